"""Work that was announced before it began.

Owns announcing and reading of planned work (the table is in `tables`): what is announced after it began does
not count as planned. A cancellation is a new entry that ends the work.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitoring.tables import PlannedWorkRow
from registry.actors import Actor, Permission
from registry.stations import device, station
from store.db import new_id


class AnnouncedTooLateError(ValueError):
    """Work can be announced only before it begins."""


def announce(
    session: Session,
    actor: Actor,
    subject_id: str,
    work: tuple[datetime, datetime, str],
    now: datetime,
) -> str:
    """Announce work on a station or device of the actor's area: (start, end [UTC], description).

    Returns the id. Raises AnnouncedTooLateError when the work began before `now`, LookupError when the
    subject lies outside the actor's area.
    """
    actor.require(Permission.ACKNOWLEDGE_EVENTS)
    start, end, description = work
    if start < now:
        raise AnnouncedTooLateError("开始之后才登记的检修不算计划检修，请改登记为运维工单")
    if station(session, actor, subject_id) is None and device(session, actor, subject_id) is None:
        raise LookupError(f"{actor.name} 的辖区内没有电站或设备 {subject_id}")
    row = PlannedWorkRow(
        id=new_id("work"),
        subject_id=subject_id,
        start=start,
        end=end,
        description=description,
        announced_at=now,
        announced_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    return row.id


def planned_work(session: Session, now: datetime) -> dict[str, str]:
    """Return the description of the announced work that covers `now`, by station or device id."""
    rows = session.scalars(
        select(PlannedWorkRow).where(PlannedWorkRow.start <= now, PlannedWorkRow.end > now)
    )
    return {row.subject_id: row.description for row in rows}


def planned_between(
    session: Session, start: datetime, end: datetime
) -> list[tuple[str, datetime, datetime, str]]:
    """Return announced work that touches [start, end): (station or device id, start, end, description)."""
    rows = session.scalars(
        select(PlannedWorkRow)
        .where(PlannedWorkRow.start < end, PlannedWorkRow.end > start)
        .order_by(PlannedWorkRow.start)
    )
    return [(row.subject_id, row.start, row.end, row.description) for row in rows]
