"""Alarms as they are shown: lists with filters, one alarm, its history.

Owns the queries, always within the actor's area. An alarm of a whole division is seen by whoever looks
after that division, a wider one or a part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from monitoring.alarms.kinds import (
    SEVERITY_ORDER,
    AlarmAction,
    AlarmKind,
    AlarmSeverity,
    SubjectKind,
)
from monitoring.alarms.tables import AlarmEventRow, AlarmRow
from registry.actors import CODE_LENGTH, Actor, Permission, area_prefix, in_area
from registry.divisions import division_names
from registry.stations import DeviceRow, StationRow, station_in_area


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm as it stands.

    `station_id` and `device_id` are empty where the subject is wider. `evidence` are the figures that led
    to it. `lost_energy_wh` [Wh] is an estimate that grows while it is open, None where the energy was not
    lost or is not known. `level` is the escalation reached, `deadline` [UTC] when it rises next. `parent_id`
    is the wider alarm that explains this one, empty for one that stands by itself.
    """

    id: str
    kind: AlarmKind
    severity: AlarmSeverity
    subject_kind: SubjectKind
    subject_id: str
    station_id: str
    station_name: str
    device_id: str
    device_name: str
    division_code: str
    division_name: str
    maintenance_company: str
    maintenance_phone: str
    opened_at: datetime
    detected_at: datetime
    closed_at: datetime | None
    cause: str
    evidence: tuple[tuple[str, str], ...]
    affected_power_w: int
    lost_energy_wh: int | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    acknowledged_name: str
    acknowledged_note: str
    level: int
    deadline: datetime | None
    parent_id: str

    @property
    def open(self) -> bool:
        """Whether the cause still holds."""
        return self.closed_at is None

    @property
    def acknowledged(self) -> bool:
        """Whether a person has taken note of it."""
        return self.acknowledged_at is not None

    def lasting(self, now: datetime) -> timedelta:
        """Return how long it has lasted, or lasted."""
        return max(timedelta(), (self.closed_at or now) - self.opened_at)


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One entry of an alarm's history: when, what, by whom (empty: by itself), and what was said."""

    seq: int
    at: datetime
    action: AlarmAction
    by_id: str
    by_name: str
    note: str


@dataclass(frozen=True, slots=True)
class AlarmFilter:
    """Which alarms to show; an empty field lets everything pass.

    `open_only` and `unacknowledged` narrow; `area` is a 12-digit division code; `since` and `until` [UTC]
    keep alarms that lasted at some time in [since, until). `grouped` also shows those that a wider alarm
    explains; `parent_id` shows only those that this alarm explains; `ids` only those named.
    """

    kinds: Sequence[AlarmKind] = ()
    severities: Sequence[AlarmSeverity] = ()
    open_only: bool = False
    unacknowledged: bool = False
    area: str = ""
    station_id: str = ""
    device_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    grouped: bool = False
    parent_id: str = ""
    ids: Sequence[str] | None = None


OPEN_ALARMS = AlarmFilter(open_only=True)
"""What is wrong now, one line a cause."""


def seen_by(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on `AlarmRow` (joined outward with `StationRow`): what the actor may see."""
    inside = in_area(actor, AlarmRow.division_code)
    wider = [actor.area[:digits].ljust(CODE_LENGTH, "0") for digits in (2, 4, 6, 9)]
    around = AlarmRow.division_code.in_(wider if actor.area.isdigit() else [])
    wide = and_(AlarmRow.station_id.is_(None), or_(inside, around))
    return or_(and_(AlarmRow.station_id.is_not(None), station_in_area(actor)), wide)


def _conditions(only: AlarmFilter) -> list[ColumnElement[bool]]:
    row = AlarmRow
    wanted: list[ColumnElement[bool] | None] = [
        row.kind.in_([str(one) for one in only.kinds]) if only.kinds else None,
        row.severity.in_([str(one) for one in only.severities]) if only.severities else None,
        row.closed_at.is_(None) if only.open_only else None,
        row.acknowledged_at.is_(None) if only.unacknowledged else None,
        row.division_code.startswith(area_prefix(only.area), autoescape=True) if only.area else None,
        row.station_id == only.station_id if only.station_id else None,
        row.device_id == only.device_id if only.device_id else None,
        or_(row.closed_at.is_(None), row.closed_at > only.since) if only.since else None,
        row.opened_at < only.until if only.until else None,
        row.parent_id == only.parent_id if only.parent_id else None,
        row.id.in_(only.ids) if only.ids is not None else None,
        row.parent_id.is_(None) if not only.grouped and not only.parent_id else None,
    ]
    return [one for one in wanted if one is not None]


def _scoped(statement: Select[Any], actor: Actor, only: AlarmFilter) -> Select[Any]:
    return (
        statement.outerjoin(StationRow, StationRow.id == AlarmRow.station_id)
        .outerjoin(DeviceRow, DeviceRow.id == AlarmRow.device_id)
        .where(seen_by(actor), *_conditions(only))
    )


_COLUMNS: tuple[Any, ...] = (
    AlarmRow,
    StationRow.name,
    DeviceRow.name,
    StationRow.maintenance_company,
    StationRow.maintenance_phone,
)


def alarms(
    session: Session,
    actor: Actor,
    only: AlarmFilter = OPEN_ALARMS,
    *,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[Alarm, ...]:
    """Return the alarms of the actor's area that pass the filter: open ones first, gravest, then newest."""
    actor.require(Permission.VIEW_STATIONS)
    rank = case({str(severity): place for severity, place in SEVERITY_ORDER.items()}, value=AlarmRow.severity)
    statement = _scoped(select(*_COLUMNS), actor, only).order_by(
        AlarmRow.closed_at.is_not(None), rank, AlarmRow.opened_at.desc(), AlarmRow.id
    )
    if limit is not None or offset:
        statement = statement.limit(limit).offset(offset)
    names = division_names(session)
    return tuple(_alarm(names, *row) for row in session.execute(statement))


def count_alarms(session: Session, actor: Actor, only: AlarmFilter = OPEN_ALARMS) -> int:
    """Return how many alarms of the actor's area pass the filter."""
    actor.require(Permission.VIEW_STATIONS)
    return session.scalar(_scoped(select(func.count(AlarmRow.id)), actor, only)) or 0


def alarm(session: Session, actor: Actor, alarm_id: str) -> Alarm | None:
    """Return one alarm of the actor's area, or None where there is none (or it lies outside)."""
    actor.require(Permission.VIEW_STATIONS)
    statement = _scoped(select(*_COLUMNS), actor, AlarmFilter(grouped=True)).where(AlarmRow.id == alarm_id)
    found = session.execute(statement).one_or_none()
    return None if found is None else _alarm(division_names(session), *found)


def history(session: Session, actor: Actor, alarm_id: str) -> tuple[AlarmEvent, ...]:
    """Return the history of an alarm of the actor's area, oldest first; raises LookupError where none is."""
    if alarm(session, actor, alarm_id) is None:
        raise LookupError(f"{actor.name} 的辖区内没有告警 {alarm_id}")
    statement = select(AlarmEventRow).where(AlarmEventRow.alarm_id == alarm_id).order_by(AlarmEventRow.seq)
    return tuple(
        AlarmEvent(row.seq, row.at, AlarmAction(row.action), row.by_id, row.by_name, row.note)
        for row in session.scalars(statement)
    )


def _alarm(names: Mapping[str, str], row: AlarmRow, *joined: str | None) -> Alarm:
    station_name, device_name, company, phone = (text or "" for text in joined)
    return Alarm(
        id=row.id,
        kind=AlarmKind(row.kind),
        severity=AlarmSeverity(row.severity),
        subject_kind=SubjectKind(row.subject_kind),
        subject_id=row.subject_id,
        station_id=row.station_id or "",
        station_name=station_name,
        device_id=row.device_id or "",
        device_name=device_name,
        division_code=row.division_code,
        division_name=names.get(row.division_code, ""),
        maintenance_company=company,
        maintenance_phone=phone,
        opened_at=row.opened_at,
        detected_at=row.detected_at,
        closed_at=row.closed_at,
        cause=row.cause,
        evidence=tuple(orjson.loads(row.evidence).items()),
        affected_power_w=row.affected_power_w,
        lost_energy_wh=row.lost_energy_wh,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by or "",
        acknowledged_name=row.acknowledged_name,
        acknowledged_note=row.acknowledged_note,
        level=row.level,
        deadline=row.deadline,
        parent_id=row.parent_id or "",
    )
