"""What an import did to one row, and how it is taken back.

Owns the steps of an import: adding or changing a station or household, adding or superseding a fact. A
step keeps ids and former columns (ciphertexts as they are), so that undoing needs no key.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import event, func, inspect, select
from sqlalchemy.orm import Session

from registry.actors import Actor
from registry.assets.tables import ArchiveEntryRow, HoldingRow, HouseholdSystemRow, ReplacementRow
from registry.divisions import DivisionRow
from registry.enrolment import AttendanceRow, EnrolmentRow, PostRow
from registry.facts import known, supersede
from registry.households import HouseholdClassRow, HouseholdMemberRow, HouseholdRow, PayeeAccountRow
from registry.revisions import content_of, restored, revise
from registry.roll.tables import FindingRow, MeasureRow
from registry.stations import DeviceRow, RevenueMeterRow, StationRow, StationShareRow
from store.db import new_id
from store.problem import Problem, ProblemsError

_TABLES: dict[str, type[Any]] = {
    table.__tablename__: table
    for table in (
        DivisionRow,
        StationRow,
        DeviceRow,
        RevenueMeterRow,
        HouseholdRow,
        HouseholdMemberRow,
        HouseholdClassRow,
        PayeeAccountRow,
        EnrolmentRow,
        PostRow,
        AttendanceRow,
        MeasureRow,
        StationShareRow,
        ArchiveEntryRow,
        HoldingRow,
        HouseholdSystemRow,
        ReplacementRow,
        FindingRow,
    )
}
_BY_HAND = {
    ReplacementRow: ("换表记录不能整批撤销", "核对后用新的换表记录更正"),
    FindingRow: ("核查结果不能整批撤销", "改正后重新导入，或在核查页面重写，以后一次为准"),
}
_STAMPS = {"id", "recorded_at", "recorded_by", "superseded_at", "superseded_by"}
_LATER = "之后又有人改过或用到它，不能整批撤销；请在页面上逐条更正"


@dataclass(frozen=True, slots=True)
class Desk:
    """Who takes in which moment, in which transaction.

    `villages` remembers codes that were judged, `said` what earlier rows of the file said of a thing.
    """

    session: Session
    actor: Actor
    now: datetime
    villages: dict[str, Problem | None] = field(default_factory=dict)
    said: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an import.

    `do` is `added` or `changed` (an entity, with the content after and before), `recorded` or
    `superseded` (a fact).
    """

    do: str
    table: str
    row_id: str
    after: str = ""
    before: str = ""


def steps_json(steps: Sequence[Step]) -> str:
    """Return steps as JSON for `import_row.undo`."""
    return json.dumps([asdict(step) for step in steps], ensure_ascii=False)


def steps_of(text: str) -> tuple[Step, ...]:
    """Return the steps kept as JSON."""
    return tuple(Step(**plain) for plain in json.loads(text))


def added(row: Any) -> Step:
    """Return the step of an entity that was just added."""
    return Step("added", row.__tablename__, row.id, content_of(row))


def change(desk: Desk, row: Any, columns: dict[str, Any]) -> Step:
    """Change an entity, keep its former state, and return the step."""
    before = content_of(row)
    revise(desk.session, desk.actor, row, columns, desk.now)
    return Step("changed", row.__tablename__, row.id, content_of(row), before)


def replace_fact(desk: Desk, row: Any) -> Step:
    """Supersede a fact and return the step."""
    supersede(row, desk.actor, desk.now)
    desk.session.flush()
    return Step("superseded", row.__tablename__, row.id)


def recorded(table: type[Any], row_id: str) -> Step:
    """Return the step of a fact that was just recorded."""
    return Step("recorded", table.__tablename__, row_id)


def watched(desk: Desk, act: Callable[[], object]) -> tuple[Step, ...]:
    """Do something to dated facts and return its steps: what it superseded and what it recorded, in order."""
    steps: list[Step] = []

    def note(session: Session, *_: object) -> None:
        steps.extend(
            Step("superseded", row.__tablename__, row.id)
            for row in session.dirty
            if _is_fact(row) and inspect(row).attrs.superseded_at.history.has_changes()
        )
        steps.extend(Step("recorded", row.__tablename__, row.id) for row in session.new if _is_fact(row))

    desk.session.flush()
    event.listen(desk.session, "before_flush", note)
    try:
        act()
        desk.session.flush()
    finally:
        event.remove(desk.session, "before_flush", note)
    return tuple(steps)


def _is_fact(row: Any) -> bool:
    return type(row) in _TABLES.values() and hasattr(row, "superseded_at")


def kept(table: type[Any], row_id: str) -> Step:
    """Return the step of something that can only be corrected by hand."""
    return Step("kept", table.__tablename__, row_id)


def take_back(desk: Desk, step: Step, where: str) -> None:
    """Undo one step; raises ProblemsError when what it did was changed or used since."""
    row = desk.session.get(_TABLES[step.table], step.row_id)
    if row is None:
        raise ProblemsError([Problem(where, f"找不到 {step.table} {step.row_id}", "联系管理员核对数据库")])
    match step.do:
        case "recorded":
            present = _present(desk.session, row)
            if present is None:
                raise ProblemsError([_used(where, "导入的登记")])
            supersede(present, desk.actor, desk.now)
        case "superseded":
            columns = _own_columns(row)
            stamp = {"recorded_at": desk.now, "recorded_by": desk.actor.user_id}
            desk.session.add(type(row)(id=new_id(step.table), **columns, **stamp))
        case "changed":
            _require(content_of(row) == step.after, where, "导入的资料")
            revise(desk.session, desk.actor, row, restored(row, step.before), desk.now)
        case "kept":
            raise ProblemsError([Problem(where, *_BY_HAND[type(row)])])
        case _ if not hasattr(row, "withdrawn_at"):
            raise ProblemsError([Problem(where, "新增的区划和设备不能整批撤销", "逐个写上停用日期")])
        case _:
            _require(content_of(row) == step.after and not _in_use(desk.session, row), where, "导入的资料")
            revise(desk.session, desk.actor, row, {"withdrawn_at": desk.now}, desk.now)
    desk.session.flush()


def _own_columns(row: Any) -> dict[str, Any]:
    return {
        column.name: getattr(row, column.name)
        for column in row.__table__.columns
        if column.name not in _STAMPS
    }


def _present(session: Session, row: Any) -> Any | None:
    # An undo writes a fact anew with another id; it is still the fact that was recorded.
    if row.superseded_at is None:
        return row
    table = type(row)
    same = [getattr(table, name).is_not_distinct_from(value) for name, value in _own_columns(row).items()]
    return session.scalars(select(table).where(known(table), *same)).first()


def _require(condition: bool, where: str, what: str) -> None:
    if not condition:
        raise ProblemsError([_used(where, what)])


def _used(where: str, what: str) -> Problem:
    return Problem(where, f"{what}{_LATER}", "先处理这一行，再撤销其余各行")


def _in_use(session: Session, row: Any) -> bool:
    if isinstance(row, StationRow):
        used = [select(func.count()).select_from(DeviceRow).where(DeviceRow.station_id == row.id)]
    else:
        used = [
            select(func.count()).select_from(table).where(table.household_id == row.id, known(table))
            for table in (EnrolmentRow, PostRow, HouseholdMemberRow, HouseholdClassRow, PayeeAccountRow)
        ]
    return any(session.scalar(statement) for statement in used)
