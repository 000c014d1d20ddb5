"""What the collector tells the other processes: how connections are doing, who was refused, what it learned.

Owns the tables that the collector's process writes every few seconds and every other process reads, so that
pages and commands see the same whether the collector runs beside them or elsewhere. The present state only;
history is in `store.events`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, Float, String, Text, delete, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from collector.connections import ConnectionStatus, LinkState, RefusedCaller, link_of
from collector.learned import DeviceModel, Places
from registry.actors import Actor, Permission
from registry.stations import (
    Device,
    DeviceRow,
    Station,
    StationRow,
    devices,
    station_in_area,
    stations,
)
from store.db import Base, UtcDateTime

LEARNED_FOR = timedelta(days=30)
"""A refused register is tried again after this time: firmware changes."""
SILENT_AFTER = timedelta(minutes=2)
"""A collector that has not reported for this long is not running."""
TEXT_LIMIT = 300
ONLY = "collector"
STATES = ", ".join(f"'{state}'" for state in LinkState)


class ConnectionReportRow(Base):
    """How one device's connection is doing; replaced at every report."""

    __tablename__ = "connection_report"
    __table_args__ = (CheckConstraint(f"state IN ({STATES})", name="state"),)

    device_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    last_good_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str] = mapped_column(Text)
    last_error_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    latency_ms: Mapped[float | None] = mapped_column(Float)
    polls: Mapped[int]
    missed: Mapped[int]
    skipped: Mapped[int]
    failures: Mapped[int]
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    requests_today: Mapped[int]
    bytes_today: Mapped[int]
    messages: Mapped[int]


class RefusedCallerRow(Base):
    """A DTU that called and was not let in; replaced at every report."""

    __tablename__ = "refused_caller"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    peer: Mapped[str] = mapped_column(String(64))
    packet: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    count: Mapped[int]


class AbsentRegisterRow(Base):
    """A register that a device has refused under a profile, and when that was found out."""

    __tablename__ = "absent_register"

    device_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    profile: Mapped[str] = mapped_column(String(64), primary_key=True)
    function_code: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    address: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CollectorReportRow(Base):
    """That the collector lives: when it reported last, since when it runs, where DTUs call."""

    __tablename__ = "collector_report"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    dial_in_port: Mapped[int]
    daily_requests_cap: Mapped[int]
    daily_bytes_cap: Mapped[int]


@dataclass(frozen=True, slots=True)
class CollectorReport:
    """When the collector reported last [UTC], since when it runs, where DTUs call (0: nowhere), line caps."""

    at: datetime
    started_at: datetime
    dial_in_port: int = 0
    daily_requests_cap: int = 0
    daily_bytes_cap: int = 0

    def is_silent(self, now: datetime) -> bool:
        """Tell whether the collector seems to have stopped."""
        return now - self.at > SILENT_AFTER


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """One device of the area, its station, and how its connection is doing."""

    device: Device
    station: Station
    status: ConnectionStatus


def _values(status: ConnectionStatus) -> dict[str, object]:
    return {
        "device_id": status.link.device_id,
        "state": status.state.value,
        "last_good_at": status.last_good_at,
        "last_error": status.last_error[:TEXT_LIMIT],
        "last_error_at": status.last_error_at,
        "latency_ms": status.latency_ms,
        "polls": status.polls,
        "missed": status.missed,
        "skipped": status.skipped,
        "failures": status.failures,
        "failing_since": status.failing_since,
        "requests_today": status.requests,
        "bytes_today": status.bytes_exchanged,
        "messages": status.messages,
    }


def report_connections(session: Session, changed: Sequence[ConnectionStatus], gone: Iterable[str]) -> None:
    """Replace the reports of connections that changed, and drop those of devices that are gone."""
    table = ConnectionReportRow
    identifiers = [status.link.device_id for status in changed]
    for device_id in (*identifiers, *gone):
        session.execute(delete(table).where(table.device_id == device_id))
    if changed:
        session.execute(insert(table), [_values(status) for status in changed])


def report_refused(session: Session, callers: Sequence[RefusedCaller]) -> None:
    """Replace the list of refused callers."""
    session.execute(delete(RefusedCallerRow))
    session.add_all(
        RefusedCallerRow(
            number=number,
            peer=one.peer,
            packet=one.packet,
            reason=one.reason,
            first_at=one.first_at,
            last_at=one.last_at,
            count=one.count,
        )
        for number, one in enumerate(callers, start=1)
    )


def report_collector(session: Session, report: CollectorReport) -> None:
    """Say that the collector lives."""
    session.merge(
        CollectorReportRow(
            id=ONLY,
            at=report.at,
            started_at=report.started_at,
            dial_in_port=report.dial_in_port,
            daily_requests_cap=report.daily_requests_cap,
            daily_bytes_cap=report.daily_bytes_cap,
        )
    )


def keep_learned(session: Session, learned: Mapping[DeviceModel, Places], now: datetime) -> None:
    """Keep what was learned about devices; what is known already keeps its day."""
    for device, places in learned.items():
        table = AbsentRegisterRow
        mine = (table.device_id == device.device_id, table.profile == device.profile)
        found = session.execute(select(table.function_code, table.address).where(*mine)).all()
        known = {(code, address) for code, address in found}
        session.add_all(
            table(
                device_id=device.device_id,
                profile=device.profile,
                function_code=code,
                address=address,
                found_at=now,
            )
            for code, address in sorted(places - known)
        )


def recall_learned(session: Session, now: datetime) -> dict[DeviceModel, Places]:
    """Return what was learned lately; what is older is forgotten, so that it is tried again."""
    session.execute(delete(AbsentRegisterRow).where(AbsentRegisterRow.found_at < now - LEARNED_FOR))
    found: dict[DeviceModel, Places] = {}
    for row in session.scalars(select(AbsentRegisterRow)):
        device = DeviceModel(row.device_id, row.profile)
        found[device] = found.get(device, frozenset()) | {(row.function_code, row.address)}
    return found


def collector_report(session: Session) -> CollectorReport | None:
    """Return what the collector last said of itself, None where it never ran."""
    row = session.get(CollectorReportRow, ONLY)
    if row is None:
        return None
    return CollectorReport(
        row.at, row.started_at, row.dial_in_port, row.daily_requests_cap, row.daily_bytes_cap
    )


def connection_reports(session: Session, actor: Actor) -> tuple[ConnectionReport, ...]:
    """Return how the connections in the actor's area are doing, those first that want looking at."""
    actor.require(Permission.VIEW_STATIONS)
    places = {station.id: station for station in stations(session, actor)}
    statement = select(ConnectionReportRow).join(DeviceRow, DeviceRow.id == ConnectionReportRow.device_id)
    mine = statement.join(StationRow).where(station_in_area(actor))
    rows = {row.device_id: row for row in session.scalars(mine)}
    found = [
        _report(device, places[device.station_id], rows.get(device.id))
        for device in devices(session, actor)
        if device.transport and device.station_id in places and device.removed_on is None
    ]
    return tuple(
        sorted(found, key=lambda one: (_URGENCY[one.status.state], one.station.name, one.device.name))
    )


_URGENCY = {
    LinkState.MISCONFIGURED: 0,
    LinkState.FAILING: 1,
    LinkState.BUSY: 2,
    LinkState.OVERSUBSCRIBED: 3,
    LinkState.CAPPED: 4,
    LinkState.WAITING: 5,
    LinkState.GOOD: 6,
}


def _report(device: Device, station: Station, row: ConnectionReportRow | None) -> ConnectionReport:
    status = ConnectionStatus(link_of(device, station.division_code))
    if row is not None:
        status = replace(
            status,
            state=LinkState(row.state),
            last_good_at=row.last_good_at,
            last_error=row.last_error,
            last_error_at=row.last_error_at,
            latency_ms=row.latency_ms,
            polls=row.polls,
            missed=row.missed,
            skipped=row.skipped,
            failures=row.failures,
            failing_since=row.failing_since,
            requests=row.requests_today,
            bytes_exchanged=row.bytes_today,
            messages=row.messages,
        )
    return ConnectionReport(device, station, status)


def refused_callers(session: Session, actor: Actor) -> tuple[RefusedCaller, ...]:
    """Return who called and was not let in, the latest first; they belong to no area."""
    actor.require(Permission.VIEW_OPERATIONS)
    rows = session.scalars(select(RefusedCallerRow).order_by(RefusedCallerRow.number))
    return tuple(
        RefusedCaller(row.peer, row.packet, row.reason, row.first_at, row.last_at, row.count) for row in rows
    )
