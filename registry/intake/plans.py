"""What one row of a list would do: the outcome, the changes, and the act itself.

Owns the records that the lists of intake hand to the service, and the checks they share.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Protocol

from sqlalchemy import select

from registry.divisions import DivisionLevel, DivisionRow
from registry.households import HouseholdRow
from registry.intake.columns import ListSpec
from registry.intake.steps import Desk, Step
from registry.secrets import KeyRing
from store.problem import Problem

Values = Mapping[str, object]


class Outcome(StrEnum):
    """What becomes of a row: 新增, 修改, 不变, 错误."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"

    @property
    def word(self) -> str:
        """The Chinese word for it."""
        return {"added": "新增", "changed": "修改", "unchanged": "不变", "refused": "错误"}[self.value]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a row changes, as an office's screen shows it (identifiers masked)."""

    title: str
    before: str
    after: str


def _nothing() -> tuple[Step, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What a row would do. `act` does it and returns the steps; problems make the row 错误.

    The problems' `where` is the field that is wrong; the service puts the cell's address in its place.
    """

    label: str
    changes: tuple[Change, ...] = ()
    is_new: bool = False
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    act: Callable[[], tuple[Step, ...]] = _nothing

    @property
    def outcome(self) -> Outcome:
        """What becomes of the row."""
        if self.problems:
            return Outcome.REFUSED
        if self.is_new:
            return Outcome.ADDED
        return Outcome.CHANGED if self.changes else Outcome.UNCHANGED


@dataclass(frozen=True, slots=True)
class Claim:
    """What a row claims for itself in a file, in a span of days [start, end)."""

    key: tuple[object, ...]
    start: date = date.min
    end: date | None = None

    def overlaps(self, other: "Claim") -> bool:
        """Tell whether two claims of one key share a day."""
        return (self.end is None or other.start < self.end) and (other.end is None or self.start < other.end)


class IntakeList(Protocol):
    """One kind of list: its columns, what its rows may claim once, and what a row would do."""

    spec: ListSpec

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """Return what no other row of the file may claim too."""

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:
        """Return what a row would do, without doing it."""


def village_problem(desk: Desk, code: str) -> Problem | None:
    """Return what is wrong with a village code: unknown, not a village, or outside the actor's area."""
    if code not in desk.villages:
        desk.villages[code] = _village_problem(desk, code)
    return desk.villages[code]


def _village_problem(desk: Desk, code: str) -> Problem | None:
    if not desk.actor.covers(code):
        return Problem("village_code", f"{code} 不在您的辖区内", "删去这一行，或请上级导入")
    statement = select(DivisionRow.level).where(DivisionRow.code == code, DivisionRow.valid_to.is_(None))
    if desk.session.scalar(statement) != DivisionLevel.VILLAGE:
        return Problem("village_code", f"{code} 不是已登记的村", "核对 12 位代码；新的村先在区划表中登记")
    return None


def find_household(desk: Desk, values: Values) -> HouseholdRow | None:
    """Return the household that a row names by village and number; withdrawn ones too."""
    statement = select(HouseholdRow).where(
        HouseholdRow.village_code == values["village_code"], HouseholdRow.number == values["number"]
    )
    return desk.session.scalar(statement)


def present_household(desk: Desk, values: Values) -> HouseholdRow | Problem:
    """Return the household that a row names, or what is wrong with it."""
    wrong = village_problem(desk, str(values["village_code"]))
    if wrong is not None:
        return wrong
    row = find_household(desk, values)
    if row is None or row.withdrawn_at is not None:
        where = f"{values['village_code']} 的户 {values['number']}"
        return Problem("number", f"{where} 没有登记", "先导入户信息表，或改正户编号")
    return row


def future_problem(desk: Desk, field: str, day: object) -> Problem | None:
    """Return what is wrong with a day that may not lie far ahead (more than a year)."""
    if isinstance(day, date) and day > desk.now.date() + timedelta(days=366):
        return Problem(field, f"{day} 在一年以后", "检查年份")
    return None
