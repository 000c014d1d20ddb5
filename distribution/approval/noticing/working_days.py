"""A county's own days off and days of work, with the document that sets them.

Owns the records that override the published calendar; the reckoning is `calendar`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.approval.noticing.tables import WorkingDayRow
from distribution.approval.runs import ApprovalError
from registry import audit
from registry.actors import Actor, Permission, in_area


@dataclass(frozen=True, slots=True)
class WorkingDay:
    """Whether a day is worked in a division, on which document."""

    division_code: str
    day: date
    is_working: bool
    document: str


def set_working_day(session: Session, actor: Actor, fact: WorkingDay, now: datetime) -> None:
    """Record a day of work or a day off; a later word on the same day replaces an earlier one.

    Raises PermissionError outside the area, ApprovalError without a document.
    """
    actor.require(Permission.EDIT_REGISTRY)
    if not actor.covers(fact.division_code):
        raise PermissionError(f"{fact.division_code} 不在 {actor.name} 的辖区内")
    if not fact.document.strip():
        raise ApprovalError("请写明放假或上班的依据文件")
    last = select(func.max(WorkingDayRow.seq)).where(
        WorkingDayRow.division_code == fact.division_code, WorkingDayRow.day == fact.day
    )
    row = WorkingDayRow(
        division_code=fact.division_code,
        day=fact.day,
        seq=(session.scalar(last) or 0) + 1,
        is_working=fact.is_working,
        document=fact.document.strip(),
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    key = f"{fact.division_code} {fact.day}"
    audit.record(session, actor, audit.Entry("set", "working_day", key, after=fact), now)


def working_days(session: Session, actor: Actor) -> tuple[WorkingDay, ...]:
    """Return what holds in the actor's area, the latest day first."""
    statement = select(WorkingDayRow).where(in_area(actor, WorkingDayRow.division_code))
    rows = session.scalars(statement.order_by(WorkingDayRow.seq))
    found = {(row.division_code, row.day): row for row in rows}
    ordered = sorted(found.values(), key=lambda row: (row.day, row.division_code), reverse=True)
    return tuple(WorkingDay(row.division_code, row.day, row.is_working, row.document) for row in ordered)


def overrides_of(session: Session, village_code: str) -> Mapping[date, bool]:
    """Return the days on which a village's county, township or itself differs; the narrower place wins."""
    codes = [village_code[:length].ljust(len(village_code), "0") for length in (2, 4, 6, 9, 12)]
    rows = session.scalars(
        select(WorkingDayRow).where(WorkingDayRow.division_code.in_(codes)).order_by(WorkingDayRow.seq)
    ).all()
    ordered = sorted(rows, key=lambda row: codes.index(row.division_code))
    return {row.day: row.is_working for row in ordered}
