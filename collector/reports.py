"""What collectors tell the other processes: how connections are doing, who was refused, what was learned.

Owns the tables that each collector's process writes every few seconds under its own name and every other
process reads, so that pages and commands see the same whether a collector runs beside them or elsewhere. The
present state only; history is in `store.events`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, Float, String, Text, delete, func, insert, select
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
USUAL_NAME = "collector"
SILENT_AFTER = timedelta(minutes=2)
"""A collector that has not reported for this long is not running."""
FORGOTTEN_AFTER = timedelta(days=7)
"""What a collector said that has been silent for this long is dropped: it was taken down or renamed."""
TEXT_LIMIT = 300
SILENT_LABEL = "采集程序没有报告"
STATES = ", ".join(f"'{state}'" for state in LinkState)


class ConnectionReportRow(Base):
    """How one device's connection is doing as one collector sees it; replaced at every report."""

    __tablename__ = "collector_connection"
    __table_args__ = (CheckConstraint(f"state IN ({STATES})", name="state"),)

    collector: Mapped[str] = mapped_column(String(16), primary_key=True)
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

    __tablename__ = "collector_refusal"

    collector: Mapped[str] = mapped_column(String(16), primary_key=True)
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
    """That a collector lives: when it reported last, since when it runs, where DTUs call."""

    __tablename__ = "collector_report"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    dial_in_port: Mapped[int]
    daily_requests_cap: Mapped[int]
    daily_bytes_cap: Mapped[int]


@dataclass(frozen=True, slots=True)
class CollectorReport:
    """When a collector reported last [UTC], since when it runs, where DTUs call (0: nowhere), line caps."""

    at: datetime
    started_at: datetime
    dial_in_port: int = 0
    daily_requests_cap: int = 0
    daily_bytes_cap: int = 0
    name: str = USUAL_NAME

    def is_silent(self, now: datetime) -> bool:
        """Tell whether the collector seems to have stopped."""
        return now - self.at > SILENT_AFTER


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """One device of the area, its station, and how its connection is doing as one collector sees it.

    `collector` is empty where none has reported on the device; `silent` means that the collector itself has
    stopped reporting, so that the status is of an earlier time and nothing is known of the present.
    """

    device: Device
    station: Station
    status: ConnectionStatus
    collector: str = ""
    silent: bool = False

    @property
    def label(self) -> str:
        """The state in Chinese."""
        return SILENT_LABEL if self.silent else self.status.label

    @property
    def is_good(self) -> bool:
        """Whether the device answers, as far as anybody knows now."""
        return self.status.state is LinkState.GOOD and not self.silent


def _values(collector: str, status: ConnectionStatus) -> dict[str, object]:
    return {
        "collector": collector,
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


def report_connections(
    session: Session, collector: str, changed: Sequence[ConnectionStatus], gone: Iterable[str]
) -> None:
    """Replace a collector's reports of connections that changed, and drop those of devices that are gone."""
    table = ConnectionReportRow
    identifiers = [status.link.device_id for status in changed]
    for device_id in (*identifiers, *gone):
        session.execute(delete(table).where(table.collector == collector, table.device_id == device_id))
    if changed:
        session.execute(insert(table), [_values(collector, status) for status in changed])


def report_start(session: Session, collector: str) -> None:
    """Drop what an earlier life of the collector said of connections."""
    session.execute(delete(ConnectionReportRow).where(ConnectionReportRow.collector == collector))


def report_refused(session: Session, collector: str, callers: Sequence[RefusedCaller]) -> None:
    """Replace a collector's list of refused callers."""
    session.execute(delete(RefusedCallerRow).where(RefusedCallerRow.collector == collector))
    session.add_all(
        RefusedCallerRow(
            collector=collector,
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
    """Say that a collector lives; what has been silent for a week is forgotten."""
    for name in session.scalars(
        select(CollectorReportRow.id).where(CollectorReportRow.at < report.at - FORGOTTEN_AFTER)
    ).all():
        report_start(session, name)
        session.execute(delete(RefusedCallerRow).where(RefusedCallerRow.collector == name))
        session.execute(delete(CollectorReportRow).where(CollectorReportRow.id == name))
    session.merge(
        CollectorReportRow(
            id=report.name,
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


def collector_reports(session: Session) -> tuple[CollectorReport, ...]:
    """Return what every collector last said of itself, by name; empty where none ever ran."""
    return tuple(
        CollectorReport(
            row.at,
            row.started_at,
            row.dial_in_port,
            row.daily_requests_cap,
            row.daily_bytes_cap,
            row.id,
        )
        for row in session.scalars(select(CollectorReportRow).order_by(CollectorReportRow.id))
    )


def connection_counts(session: Session) -> dict[tuple[str, LinkState], int]:
    """Return how many connections each collector last reported in each state."""
    table = ConnectionReportRow
    statement = select(table.collector, table.state, func.count()).group_by(table.collector, table.state)
    return {(name, LinkState(state)): count for name, state, count in session.execute(statement)}


def connection_reports(session: Session, actor: Actor, now: datetime) -> tuple[ConnectionReport, ...]:
    """Return how the connections in the actor's area are doing, those first that want looking at.

    A device stands here once for each collector that has heard of it. One that nobody has reported on stands
    here too, without a collector.
    """
    actor.require(Permission.VIEW_STATIONS)
    places = {station.id: station for station in stations(session, actor)}
    silent = {one.name for one in collector_reports(session) if one.is_silent(now)}
    statement = select(ConnectionReportRow).join(DeviceRow, DeviceRow.id == ConnectionReportRow.device_id)
    mine = statement.join(StationRow).where(station_in_area(actor)).order_by(ConnectionReportRow.collector)
    rows: dict[str, list[ConnectionReportRow]] = {}
    for row in session.scalars(mine):
        rows.setdefault(row.device_id, []).append(row)
    found = [
        _report(device, places[device.station_id], row, silent)
        for device in devices(session, actor)
        if device.transport and device.station_id in places and device.removed_on is None
        for row in _telling(rows.get(device.id, []), silent)
    ]
    return tuple(sorted(found, key=_rank))


def _telling(
    rows: Sequence[ConnectionReportRow], silent: Collection[str]
) -> Sequence[ConnectionReportRow | None]:
    """Return the reports that say something: of collectors that live, and of those that heard the device."""
    alive = [row for row in rows if row.collector not in silent] or rows
    return [row for row in alive if row.state != LinkState.WAITING] or alive[:1] or (None,)


def _rank(one: ConnectionReport) -> tuple[int, str, str, str]:
    urgency = -1 if one.silent else _URGENCY[one.status.state]
    return urgency, one.station.name, one.device.name, one.collector


_URGENCY = {
    LinkState.MISCONFIGURED: 0,
    LinkState.FAILING: 1,
    LinkState.BUSY: 2,
    LinkState.OVERSUBSCRIBED: 3,
    LinkState.CAPPED: 4,
    LinkState.WAITING: 5,
    LinkState.GOOD: 6,
}


def _report(
    device: Device, station: Station, row: ConnectionReportRow | None, silent: Collection[str]
) -> ConnectionReport:
    status = ConnectionStatus(link_of(device, station.division_code))
    if row is None:
        return ConnectionReport(device, station, status)
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
    return ConnectionReport(device, station, status, row.collector, row.collector in silent)


def refused_callers(session: Session, actor: Actor) -> tuple[RefusedCaller, ...]:
    """Return who called any collector and was not let in, the latest first; they belong to no area."""
    actor.require(Permission.VIEW_OPERATIONS)
    rows = session.scalars(
        select(RefusedCallerRow).order_by(RefusedCallerRow.last_at.desc(), RefusedCallerRow.number)
    )
    return tuple(
        RefusedCaller(row.peer, row.packet, row.reason, row.first_at, row.last_at, row.count) for row in rows
    )
