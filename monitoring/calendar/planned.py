"""Work that was announced before it began.

Owns announcing, cancelling and reading of planned work (the tables are in `monitoring.tables`): what is
announced after it began does not count as planned. A cancellation is a new entry that ends the work, or
makes it never have been when it comes before the beginning.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitoring.tables import PlannedWorkCancellationRow, PlannedWorkRow
from registry import audit
from registry.actors import Actor, Permission
from registry.stations import device, devices, station, stations
from store.db import new_id

LONGEST = timedelta(days=60)


class AnnouncedTooLateError(ValueError):
    """Work can be announced only before it begins."""


class PlannedWorkError(ValueError):
    """Work cannot be announced or cancelled so; the Chinese text says why."""


@dataclass(frozen=True, slots=True)
class Announced:
    """Announced work as it is shown: on what, from when to when [UTC], and whether it was cancelled.

    `subject` is the station, with the device where it is about one; `end` is where it ends in fact.
    """

    id: str
    station_id: str
    subject: str
    start: datetime
    end: datetime
    description: str
    announced_at: datetime
    announced_by: str
    cancelled_at: datetime | None = None
    reason: str = ""


def announce(
    session: Session,
    actor: Actor,
    subject_id: str,
    work: tuple[datetime, datetime, str],
    now: datetime,
) -> str:
    """Announce work on a station or device of the actor's area: (start, end [UTC], description).

    Returns the id. Raises AnnouncedTooLateError when the work began before `now`, PlannedWorkError when its
    times or words are no good, LookupError when the subject lies outside the actor's area.
    """
    actor.require(Permission.ACKNOWLEDGE_EVENTS)
    start, end, description = work
    if start < now:
        raise AnnouncedTooLateError("开始之后才登记的检修不算计划检修，请改登记为运维工单")
    if end <= start or end - start > LONGEST:
        raise PlannedWorkError(f"结束要晚于开始，一次最多 {LONGEST.days} 天")
    if not description.strip():
        raise PlannedWorkError("没有写检修内容，请写一句话，例如“更换汇流箱”")
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
    audit.record(session, actor, audit.Entry("announce", "planned_work", row.id, after=work), now)
    return row.id


def cancel(session: Session, actor: Actor, work_id: str, reason: str, now: datetime) -> None:
    """End announced work now; work that has not begun never was. Raises PlannedWorkError when it is over.

    Raises LookupError for work on what lies outside the actor's area.
    """
    actor.require(Permission.ACKNOWLEDGE_EVENTS)
    row = session.get(PlannedWorkRow, work_id)
    if row is None or _names(session, actor).get(row.subject_id) is None:
        raise LookupError(f"{actor.name} 的辖区内没有计划检修 {work_id}")
    if not reason.strip():
        raise PlannedWorkError("没有写取消的原因")
    if row.end <= now or session.get(PlannedWorkCancellationRow, work_id) is not None:
        raise PlannedWorkError("这次检修已经结束或取消，不能再取消")
    session.add(
        PlannedWorkCancellationRow(work_id=work_id, at=now, cancelled_by=actor.user_id, reason=reason.strip())
    )
    session.flush()
    what = audit.Entry("cancel", "planned_work", work_id, reason=reason.strip())
    audit.record(session, actor, what, now)


@dataclass(frozen=True, slots=True)
class _InForce:
    """A row with the end that holds after cancellations."""

    row: PlannedWorkRow
    end: datetime
    cancellation: PlannedWorkCancellationRow | None


def _touching(session: Session, start: datetime, end: datetime) -> list[_InForce]:
    """Return the rows that touch [start, end) as announced, with the end that holds in fact."""
    statement = (
        select(PlannedWorkRow, PlannedWorkCancellationRow)
        .outerjoin(PlannedWorkCancellationRow, PlannedWorkCancellationRow.work_id == PlannedWorkRow.id)
        .where(PlannedWorkRow.start < end, PlannedWorkRow.end > start)
        .order_by(PlannedWorkRow.start, PlannedWorkRow.id)
    )
    return [
        _InForce(row, row.end if ended is None else max(row.start, min(row.end, ended.at)), ended)
        for row, ended in session.execute(statement)
    ]


def planned_work(session: Session, now: datetime) -> dict[str, str]:
    """Return the description of the announced work that covers `now`, by station or device id."""
    found = _touching(session, now, now + timedelta(microseconds=1))
    return {one.row.subject_id: one.row.description for one in found if one.row.start <= now < one.end}


def planned_between(
    session: Session, start: datetime, end: datetime
) -> list[tuple[str, datetime, datetime, str]]:
    """Return announced work that touches [start, end): (station or device id, start, end, description)."""
    return [
        (one.row.subject_id, one.row.start, one.end, one.row.description)
        for one in _touching(session, start, end)
        if one.end > max(start, one.row.start)
    ]


def _names(session: Session, actor: Actor) -> dict[str, tuple[str, str]]:
    """Return station id and name in words of everything in the actor's area that work can be about."""
    named = {place.id: (place.id, place.name) for place in stations(session, actor)}
    for one in devices(session, actor):
        named[one.id] = (one.station_id, f"{named[one.station_id][1]} {one.name}")
    return named


def announced_between(
    session: Session, actor: Actor, start: datetime, end: datetime
) -> tuple[Announced, ...]:
    """Return the work on the actor's stations that was announced for [start, end), cancelled work too."""
    actor.require(Permission.VIEW_STATIONS)
    names = _names(session, actor)
    return tuple(
        Announced(
            id=one.row.id,
            station_id=names[one.row.subject_id][0],
            subject=names[one.row.subject_id][1],
            start=one.row.start,
            end=one.end,
            description=one.row.description,
            announced_at=one.row.announced_at,
            announced_by=one.row.announced_by,
            cancelled_at=None if one.cancellation is None else one.cancellation.at,
            reason="" if one.cancellation is None else one.cancellation.reason,
        )
        for one in _touching(session, start, end)
        if one.row.subject_id in names
    )
