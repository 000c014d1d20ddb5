"""What the dated lists about households share: who is meant, and rows that a domain function carries out.

Owns the columns that name a household, and the plan of a row that becomes one dated fact.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

from registry.households import HouseholdRow
from registry.intake import values as v
from registry.intake.columns import ColumnSpec
from registry.intake.plans import Change, Claim, RowPlan, Values, present_household
from registry.intake.steps import Desk, watched
from store.problem import Problem, ProblemsError

WHO = (
    ColumnSpec("village_code", "村代码", v.division_code, True, ("行政村代码", "所在村代码"), "520499100201"),
    ColumnSpec("number", "户编号", v.household_number, True, ("编号",), "001"),
)
DOCUMENT = ColumnSpec("document", "依据", v.text, False, ("依据文件", "文号", "会议记录"), "村民代表大会决议")


def key_of(values: Values, *fields: str) -> tuple[object, ...]:
    """Return what names a row: its village, its household, and further fields."""
    return tuple(values[name] for name in ("village_code", "number", *fields))


def span_claim(values: Values, *key: object) -> tuple[Claim, ...]:
    """Return the claim of a row for its key from its first day to its last."""
    start, end = values["valid_from"], values.get("valid_to")
    assert isinstance(start, date)  # noqa: S101, the column is required and read as a day
    return (Claim(key, start, end if isinstance(end, date) else None),)


def home_of(desk: Desk, values: Values) -> HouseholdRow | RowPlan:
    """Return the household that a row names, or the plan of a refused row."""
    home = present_household(desk, values)
    if isinstance(home, Problem):
        return RowPlan(f"{values['number']}", problems=(home,))
    return home


def order_problem(values: Values) -> Problem | None:
    """Return what is wrong with a span whose end does not lie after its start."""
    start, end = values["valid_from"], values.get("valid_to")
    if isinstance(start, date) and isinstance(end, date) and end <= start:
        return Problem("valid_to", "终止日期不晚于起始日期", "改正日期")
    return None


def fact_plan(
    desk: Desk,
    label: str,
    changes: tuple[Change, ...] | None,
    act: Callable[[], Any],
) -> RowPlan:
    """Return the plan of a row: new where `changes` is None, unchanged where it is empty."""
    if changes == ():
        return RowPlan(label)
    return RowPlan(label, changes or (), changes is None, act=lambda: watched(desk, act))


def refused(label: str, error: ProblemsError, field: str) -> RowPlan:
    """Return the plan of a row that a domain function would refuse, at one of its fields."""
    first = error.problems[0]
    return RowPlan(label, problems=(Problem(field, first.what, first.how_to_fix),))


def shown(value: object) -> str:
    """Return a value as a preview shows it."""
    return "（空）" if value is None or value == "" else str(value)


def changed(pairs: tuple[tuple[str, object, object], ...]) -> tuple[Change, ...]:
    """Return the changes among (title, before, after)."""
    return tuple(
        Change(title, shown(before), shown(after)) for title, before, after in pairs if before != after
    )
