"""The intervals of states as they are kept: written as they happen, settled from the samples later.

Owns the table `state_interval`: opening and closing the newest interval of every device and station,
computing past days anew (late data change them), reading, and forgetting. Within a subject the rows follow
each other without overlap.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.orm import Session

from monitoring.states import Opinion, Part, StationState, station_state
from monitoring.tables import StateIntervalRow
from monitoring.uptime.causes import Cause
from monitoring.uptime.evaluation import Evaluation, Question, evaluate
from monitoring.uptime.present import Present, present
from monitoring.uptime.results import StateInterval
from registry.actors import SYSTEM, Actor
from registry.stations import Station, devices, stations
from store.db import Database
from store.series import SeriesStore

DAY = timedelta(days=1)
DEVICE, STATION = "device", "station"
_CAUSES = {
    StationState.NORMAL: Cause.RUNNING,
    StationState.WARNING: Cause.RUNNING,
    StationState.CURTAILED: Cause.RUNNING,
    StationState.FAULT: Cause.FORCED,
    StationState.GRID_OUTAGE: Cause.GRID,
    StationState.PLANNED: Cause.PLANNED,
    StationState.NIGHT: Cause.DARK,
    StationState.OFFLINE: Cause.UNKNOWN,
    StationState.UNKNOWN: Cause.UNKNOWN,
}
_UNHEARD = frozenset({StationState.OFFLINE, StationState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: subjects looked at, and the intervals that were opened."""

    subjects: int
    opened: tuple[StateInterval, ...]


def _row(interval: StateInterval, kind: str, now: datetime, *, settled: bool) -> dict[str, object]:
    return {
        "subject_id": interval.subject_id,
        "subject_kind": kind,
        "start": interval.start,
        "end": interval.end if settled else None,
        "state": str(interval.state),
        "cause": interval.cause.name.lower(),
        "reason": interval.reason,
        "received": interval.received,
        "settled": settled,
        "computed_at": now,
    }


def _interval(row: StateIntervalRow, now: datetime) -> StateInterval:
    return StateInterval(
        row.subject_id,
        row.start,
        row.end or max(now, row.start),
        StationState(row.state),
        Cause[row.cause.upper()],
        row.reason,
        row.received,
    )


def _station_opinions(standing: Present, found: Iterable[Station]) -> dict[str, Opinion]:
    opinions = {}
    for place in found:
        members = standing.inverters.get(place.id, ())
        parts = [Part(one.name, one.rated_power_w, standing.opinions[one.id]) for one in members]
        opinions[place.id] = station_state(parts)
    return opinions


def refresh_states(session: Session, series: SeriesStore, now: datetime) -> Refreshed:
    """Bring the newest interval of every device and station up to `now` [UTC].

    An interval stays open while the state stays the same; its reason is the one with which it began.
    """
    found = stations(session, SYSTEM)
    standing = present(session, series, found, now)
    opinions = {DEVICE: dict(standing.opinions), STATION: _station_opinions(standing, found)}
    held = {
        (row.subject_kind, row.subject_id): row
        for row in session.execute(
            select(
                StateIntervalRow.subject_kind,
                StateIntervalRow.subject_id,
                StateIntervalRow.start,
                StateIntervalRow.state,
            ).where(StateIntervalRow.end.is_(None))
        )
    }
    opened, closed = [], []
    for kind, listed in opinions.items():
        for subject_id, opinion in listed.items():
            before = held.get((kind, subject_id))
            if before is not None and before.state == opinion.state:
                continue
            start = _beginning(opinion, None if before is None else before.start, now)
            if before is not None:
                closed.append((subject_id, before.start, start))
            interval = StateInterval(
                subject_id,
                start,
                now,
                opinion.state,
                _CAUSES[opinion.state],
                opinion.reason,
                opinion.state not in _UNHEARD,
            )
            opened.append((kind, interval))
    for subject_id, began, ended in closed:
        session.execute(
            update(StateIntervalRow)
            .where(StateIntervalRow.subject_id == subject_id, StateIntervalRow.start == began)
            .values(end=ended)
        )
    if opened:
        rows = [_row(interval, kind, now, settled=False) for kind, interval in opened]
        session.execute(insert(StateIntervalRow), rows)
    return Refreshed(sum(map(len, opinions.values())), tuple(interval for _kind, interval in opened))


def _beginning(opinion: Opinion, before: datetime | None, now: datetime) -> datetime:
    """Return since when a new state holds: what its evidence says, but after the state before it."""
    since = opinion.since or now
    return since if before is None or before < since <= now else now


def settle_states(
    database: Database, series: SeriesStore, interval: tuple[datetime, datetime], now: datetime
) -> int:
    """Compute the states of whole days anew and keep them instead of what was kept; returns the rows written.

    `interval` [UTC] should consist of local days that are over. Each day is one transaction.
    """
    written = 0
    begin = interval[0]
    while begin < min(interval[1], now):
        end = min(begin + DAY, interval[1], now)
        with database.reading() as session:
            evaluation = evaluate(session, series, SYSTEM, Question(begin, end, intervals=True), now)
            places = {one.id: one for one in stations(session, SYSTEM)}
            names = {one.id: one.name for one in devices(session, SYSTEM)}
        rows = _rows_of(evaluation, places, names, now)
        with database.transaction() as session:
            _make_room(session, begin, end)
            if rows:
                session.execute(insert(StateIntervalRow), rows)
        written += len(rows)
        begin = end
    return written


def _rows_of(
    evaluation: Evaluation, places: Mapping[str, Station], names: Mapping[str, str], now: datetime
) -> list[dict[str, object]]:
    rows = []
    members: dict[str, list[tuple[str, float, Sequence[StateInterval]]]] = {}
    for device in evaluation.devices:
        rows += [_row(one, DEVICE, now, settled=True) for one in device.intervals]
        part = (names.get(device.device_id, device.device_id), device.rated_power_w, device.intervals)
        members.setdefault(device.group, []).append(part)
    for station_id, parts in members.items():
        if station_id in places:
            found = station_intervals(station_id, parts)
            rows += [_row(one, STATION, now, settled=True) for one in found]
    return rows


def station_intervals(
    station_id: str, parts: Sequence[tuple[str, float, Sequence[StateInterval]]]
) -> tuple[StateInterval, ...]:
    """Return the intervals of a station from those of its inverters: (name, rated power [W], intervals)."""
    edges = sorted({edge for _n, _r, listed in parts for one in listed for edge in (one.start, one.end)})
    positions = [0] * len(parts)
    made: list[StateInterval] = []
    for start, end in itertools.pairwise(edges):
        current: list[tuple[str, float, StateInterval]] = []
        for number, (name, rated, listed) in enumerate(parts):
            while positions[number] < len(listed) and listed[positions[number]].end <= start:
                positions[number] += 1
            if positions[number] < len(listed) and listed[positions[number]].start <= start:
                current.append((name, rated, listed[positions[number]]))
        if current:
            made.append(_station_interval(station_id, (start, end), current))
    return merged(made)


def _station_interval(
    station_id: str, limits: tuple[datetime, datetime], current: Sequence[tuple[str, float, StateInterval]]
) -> StateInterval:
    parts = [Part(name, int(rated), Opinion(one.state, one.reason)) for name, rated, one in current]
    opinion = station_state(parts)
    weights: dict[Cause, float] = {}
    for _name, rated, one in current:
        weights[one.cause] = weights.get(one.cause, 0.0) + max(1.0, rated)
    cause = max(weights, key=lambda key: (weights[key], -int(key)))
    received = any(one.received for _name, _rated, one in current)
    return StateInterval(station_id, *limits, opinion.state, cause, opinion.reason, received)


def _make_room(session: Session, start: datetime, end: datetime) -> None:
    """Remove what is kept of [start, end); what reaches over its limits is cut there."""
    row = StateIntervalRow
    over = select(row).where(row.start < end, or_(row.end.is_(None), row.end > end))
    after = [
        {column.name: getattr(one, column.key) for column in row.__table__.columns} | {"start": end}
        for one in session.scalars(over)
    ]
    session.execute(delete(row).where(row.start >= start, row.start < end))
    session.execute(
        update(row).where(row.start < start, or_(row.end.is_(None), row.end > start)).values(end=start)
    )
    taken = set(session.scalars(select(row.subject_id).where(row.start == end)))
    if fresh := [one for one in after if one["subject_id"] not in taken]:
        session.execute(insert(row), fresh)
    session.expire_all()


def merged(intervals: Iterable[StateInterval]) -> tuple[StateInterval, ...]:
    """Return intervals of one subject with neighbours of the same state, cause and reason as one."""
    made: list[StateInterval] = []
    for one in intervals:
        last = made[-1] if made else None
        if last is not None and last.end == one.start and _alike(last, one):
            made[-1] = replace(last, end=one.end, received=last.received or one.received)
        else:
            made.append(one)
    return tuple(made)


def _alike(one: StateInterval, other: StateInterval) -> bool:
    return (one.state, one.cause, one.reason) == (other.state, other.cause, other.reason)


def _seen(session: Session, actor: Actor, subject_ids: Collection[str] | None) -> set[str]:
    mine = {one.id for one in stations(session, actor)} | {one.id for one in devices(session, actor)}
    return mine if subject_ids is None else mine & set(subject_ids)


def state_intervals(
    session: Session,
    actor: Actor,
    subject_ids: Collection[str],
    interval: tuple[datetime, datetime],
    now: datetime,
) -> dict[str, tuple[StateInterval, ...]]:
    """Return the kept intervals of stations or devices of the actor's area that touch an interval [UTC].

    The newest one ends at `now`; the first and the last are cut at the limits of the interval.
    """
    start, end = interval
    row = StateIntervalRow
    seen = sorted(_seen(session, actor, subject_ids))
    statement = select(row).where(
        row.subject_id.in_(seen), row.start < end, or_(row.end.is_(None), row.end > start)
    )
    found: dict[str, list[StateInterval]] = {name: [] for name in seen}
    for one in session.scalars(statement.order_by(row.subject_id, row.start)):
        whole = _interval(one, now)
        cut = replace(whole, start=max(start, whole.start), end=min(end, whole.end))
        if cut.start < cut.end:
            found[one.subject_id].append(cut)
    return {name: merged(listed) for name, listed in found.items()}


def open_states(session: Session, actor: Actor, now: datetime) -> dict[str, StateInterval]:
    """Return the newest interval of every station and device of the actor's area, by id; it ends at `now`."""
    seen = _seen(session, actor, None)
    rows = session.scalars(select(StateIntervalRow).where(StateIntervalRow.end.is_(None)))
    return {row.subject_id: _interval(row, now) for row in rows if row.subject_id in seen}


def forget_states(session: Session, before: datetime) -> int:
    """Delete the intervals that ended before an instant [UTC]; returns how many."""
    result = session.execute(delete(StateIntervalRow).where(StateIntervalRow.end <= before))
    return int(getattr(result, "rowcount", 0))
