"""The station file (电站档案): dated entries, with what was known when.

Owns reading and recording of entries. Which fields there are is `registry.assets.fields`'.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.actors import Actor, Permission
from registry.assets.fields import FIELDS, fitted
from registry.assets.tables import ArchiveEntryRow
from registry.facts import as_columns, as_record, holds_on, known, overlaps, supersede
from registry.stations import StationRow, station, station_in_area
from store.db import new_id


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A field of a station's file in [valid_from, valid_to), on a document."""

    station_id: str
    field: str
    value: str
    valid_from: date
    valid_to: date | None = None
    document: str = ""


def archive(
    session: Session,
    actor: Actor,
    station_id: str,
    *,
    on: date | None = None,
    at: datetime | None = None,
) -> tuple[ArchiveEntry, ...]:
    """Return a station's file as known now or `at` an instant; `on` limits it to what holds on a day."""
    actor.require(Permission.VIEW_STATIONS)
    statement = select(ArchiveEntryRow).join(StationRow).where(station_in_area(actor))
    statement = statement.where(ArchiveEntryRow.station_id == station_id, known(ArchiveEntryRow, at))
    if on is not None:
        statement = statement.where(holds_on(ArchiveEntryRow, on))
    rows = session.scalars(statement.order_by(ArchiveEntryRow.field, ArchiveEntryRow.valid_from)).all()
    order = {key: place for place, key in enumerate(FIELDS)}
    entries = [as_record(ArchiveEntry, row) for row in rows]
    return tuple(sorted(entries, key=lambda one: (order.get(one.field, len(order)), one.valid_from)))


def record_entry(session: Session, actor: Actor, entry: ArchiveEntry, now: datetime) -> bool:
    """Record a value from its first day on: an earlier one ends there, one from that day or later gives way.

    Returns whether anything changed; raises ProblemsError for a value that does not fit its field, and
    LookupError for a station outside the actor's area.
    """
    actor.require(Permission.EDIT_REGISTRY)
    if station(session, actor, entry.station_id) is None:
        raise LookupError(f"{actor.name} 的辖区内没有电站 {entry.station_id}")
    value = fitted(entry.field, entry.value)
    old = _overlapping(session, entry)
    same = [row for row in old if row.valid_from <= entry.valid_from and row.value == value]
    if same and same[0].valid_to == entry.valid_to and same[0].document == entry.document:
        return False
    for row in old:
        supersede(row, actor, now)
    session.flush()
    for row in old:
        if row.valid_from < entry.valid_from:
            _put(session, actor, row, now, entry.valid_from)
    fresh = ArchiveEntryRow(
        id=new_id("archive"),
        **{**as_columns(entry), "value": value},
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(fresh)
    session.flush()
    detail = {"field": entry.field}
    audit.record(
        session, actor, audit.Entry("record", "station_archive", entry.station_id, detail=detail), now
    )
    return True


def _overlapping(session: Session, entry: ArchiveEntry) -> list[ArchiveEntryRow]:
    statement = select(ArchiveEntryRow).where(
        ArchiveEntryRow.station_id == entry.station_id,
        ArchiveEntryRow.field == entry.field,
        known(ArchiveEntryRow),
        overlaps(ArchiveEntryRow, entry.valid_from, entry.valid_to),
    )
    return list(session.scalars(statement.order_by(ArchiveEntryRow.valid_from)))


def _put(session: Session, actor: Actor, row: ArchiveEntryRow, now: datetime, until: date) -> None:
    columns = {**as_columns(as_record(ArchiveEntry, row)), "valid_to": until}
    session.add(ArchiveEntryRow(id=new_id("archive"), **columns, recorded_at=now, recorded_by=actor.user_id))
    session.flush()
