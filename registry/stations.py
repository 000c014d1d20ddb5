"""Stations, their devices and revenue meters, and the shares of joint stations.

Owns what stands where and who owns which part of it. A station is seen by whoever covers the village
that hosts it or a village that holds a share in it. Energy and states are `monitoring`'s.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    and_,
    or_,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.actors import CODE_LENGTH, Actor, Permission, in_area
from registry.facts import (
    Fact,
    Recorded,
    as_columns,
    as_record,
    guard_facts,
    guard_no_overlap,
    holds_on,
    known,
    supersede,
)
from registry.revisions import revise
from store.db import Base, UtcDateTime, new_id


class StationKind(StrEnum):
    """How a station is built and owned: 村级, 联村, 户用, 农光互补, 地面集中."""

    VILLAGE = "village"
    JOINT = "joint"
    HOUSEHOLD_GROUP = "household_group"
    AGRI_PV = "agri_pv"
    GROUND = "ground"


class DeviceKind(StrEnum):
    """What a device is."""

    INVERTER = "inverter"
    METER = "meter"
    SENSOR = "sensor"
    LOGGER = "logger"


class StationRow(Recorded, Base):
    """Table `station`."""

    __tablename__ = "station"
    __table_args__ = (
        CheckConstraint("rated_power_w > 0", name="rated_power"),
        CheckConstraint("length(division_code) = 12", name="division_code"),
        CheckConstraint("kind IN ('village', 'joint', 'household_group', 'agri_pv', 'ground')", name="kind"),
        Index(None, "division_code"),
        Index(None, "account_number", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    division_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    rated_power_w: Mapped[int] = mapped_column(BigInteger)
    dc_power_w: Mapped[int | None] = mapped_column(BigInteger)
    latitude: Mapped[float]
    longitude: Mapped[float]
    account_number: Mapped[str | None]
    grid_connected_on: Mapped[date | None]
    tariff_zone: Mapped[str]
    on_grid_mode: Mapped[str]
    subsidy_list_status: Mapped[str]
    maintenance_company: Mapped[str]
    maintenance_phone: Mapped[str]
    payee: Mapped[str]
    archive: Mapped[str]
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StationShareRow(Fact, Base):
    """Table `station_share`: a village's weight in a joint station, dated and bi-temporal."""

    __tablename__ = "station_share"
    __table_args__ = (
        CheckConstraint("weight > 0", name="weight"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        Index(None, "station_id", "village_code"),
        Index(None, "village_code"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    weight: Mapped[int] = mapped_column(BigInteger)


class DeviceRow(Recorded, Base):
    """Table `device`."""

    __tablename__ = "device"
    __table_args__ = (
        CheckConstraint("kind IN ('inverter', 'meter', 'sensor', 'logger')", name="kind"),
        CheckConstraint("removed_on IS NULL OR removed_on >= installed_on", name="dates"),
        Index(None, "station_id", "position"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    kind: Mapped[str]
    name: Mapped[str]
    profile: Mapped[str]
    transport: Mapped[str]
    host: Mapped[str]
    port: Mapped[int]
    unit_id: Mapped[int]
    topic: Mapped[str]
    cycle_seconds: Mapped[int]
    rated_power_w: Mapped[int] = mapped_column(BigInteger)
    serial: Mapped[str]
    position: Mapped[int]
    installed_on: Mapped[date]
    removed_on: Mapped[date | None]
    replaces: Mapped[str | None] = mapped_column(ForeignKey("device.id"))


class RevenueMeterRow(Recorded, Base):
    """Table `revenue_meter`: the grid company's meter (关口表) of a station."""

    __tablename__ = "revenue_meter"
    __table_args__ = (
        CheckConstraint("meter_multiplier > 0", name="multiplier"),
        CheckConstraint("removed_on IS NULL OR removed_on >= installed_on", name="dates"),
        Index(None, "station_id"),
        Index(None, "meter_number"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    device_id: Mapped[str | None] = mapped_column(ForeignKey("device.id"))
    meter_number: Mapped[str]
    meter_multiplier: Mapped[int]
    installed_on: Mapped[date]
    removed_on: Mapped[date | None]


guard_facts(StationShareRow.__table__)  # type: ignore[arg-type]
guard_no_overlap(
    StationShareRow.__table__,  # type: ignore[arg-type]
    key=("station_id", "village_code"),
    what="a village has one share in a station at a time",
)


@dataclass(frozen=True, slots=True)
class Station:
    """A station: AC rated power [W], DC power [W], place [degrees], 户号, and its archive (JSON text).

    `tariff_zone` is I, II or III; `on_grid_mode` is `full` (全额上网), `surplus` (自发自用余电上网);
    `subsidy_list_status` says whether and in which batch it stands on the subsidy list.
    """

    id: str
    name: str
    kind: str
    division_code: str
    rated_power_w: int
    latitude: float
    longitude: float
    dc_power_w: int | None = None
    account_number: str | None = None
    grid_connected_on: date | None = None
    tariff_zone: str = ""
    on_grid_mode: str = "full"
    subsidy_list_status: str = ""
    maintenance_company: str = ""
    maintenance_phone: str = ""
    payee: str = ""
    archive: str = "{}"


@dataclass(frozen=True, slots=True)
class Device:
    """A device: how it is reached, what it is rated [W], its slot number, and whom it replaced.

    `transport` is `modbus-tcp`, `mqtt`, … as the collector names it; `cycle_seconds` is the poll cycle.
    """

    id: str
    station_id: str
    kind: str
    name: str
    profile: str
    installed_on: date
    transport: str = "modbus-tcp"
    host: str = ""
    port: int = 502
    unit_id: int = 1
    topic: str = ""
    cycle_seconds: int = 60
    rated_power_w: int = 0
    serial: str = ""
    position: int = 0
    removed_on: date | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class RevenueMeter:
    """A revenue meter: the grid company's number and multiplier (倍率), and our device that reads it."""

    id: str
    station_id: str
    meter_number: str
    meter_multiplier: int
    installed_on: date
    device_id: str | None = None
    removed_on: date | None = None


@dataclass(frozen=True, slots=True)
class StationShare:
    """A village's integer weight in a station in [valid_from, valid_to)."""

    station_id: str
    village_code: str
    weight: int
    valid_from: date
    valid_to: date | None = None


def station_in_area(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on `StationRow`: hosted in the actor's area, or a share is held there.

    The person of an O&M company sees only the stations of the company. A station that was recorded by
    mistake (`withdrawn_at`) is seen by nobody.
    """
    shared = select(StationShareRow.station_id).where(
        known(StationShareRow), in_area(actor, StationShareRow.village_code)
    )
    here = or_(in_area(actor, StationRow.division_code), StationRow.id.in_(shared))
    if actor.company:
        here = and_(here, StationRow.maintenance_company == actor.company)
    return and_(StationRow.withdrawn_at.is_(None), here)


def stations(session: Session, actor: Actor) -> tuple[Station, ...]:
    """Return the stations of the actor's area, by division code and name."""
    actor.require(Permission.VIEW_STATIONS)
    statement = select(*_columns(Station, StationRow)).where(station_in_area(actor))
    statement = statement.order_by(StationRow.division_code, StationRow.name, StationRow.id)
    return tuple(Station(*row) for row in session.execute(statement))


def _columns(record: type[Any], row: type[Any]) -> list[Any]:
    """Return the columns of a record in its order: a list of many needs no object of the table."""
    return [getattr(row, one.name) for one in fields(record)]


def station(session: Session, actor: Actor, station_id: str) -> Station | None:
    """Return a station of the actor's area, or None where there is none (or it lies outside)."""
    actor.require(Permission.VIEW_STATIONS)
    statement = select(StationRow).where(StationRow.id == station_id, station_in_area(actor))
    row = session.scalar(statement)
    return None if row is None else as_record(Station, row)


def devices(
    session: Session, actor: Actor, station_id: str | None = None, *, on: date | None = None
) -> tuple[Device, ...]:
    """Return the devices of the actor's stations, removed ones too unless `on` names a day."""
    actor.require(Permission.VIEW_STATIONS)
    statement = select(*_columns(Device, DeviceRow)).join(StationRow).where(station_in_area(actor))
    if station_id is not None:
        statement = statement.where(DeviceRow.station_id == station_id)
    if on is not None:
        statement = statement.where(
            DeviceRow.installed_on <= on, or_(DeviceRow.removed_on.is_(None), DeviceRow.removed_on > on)
        )
    statement = statement.order_by(DeviceRow.station_id, DeviceRow.position, DeviceRow.installed_on)
    return tuple(Device(*row) for row in session.execute(statement.order_by(DeviceRow.id)))


def device(session: Session, actor: Actor, device_id: str) -> Device | None:
    """Return a device of the actor's stations, or None."""
    actor.require(Permission.VIEW_STATIONS)
    statement = select(DeviceRow).join(StationRow)
    row = session.scalar(statement.where(DeviceRow.id == device_id, station_in_area(actor)))
    return None if row is None else as_record(Device, row)


def revenue_meters(session: Session, actor: Actor, station_id: str | None = None) -> tuple[RevenueMeter, ...]:
    """Return the revenue meters of the actor's stations with their replacement history."""
    actor.require(Permission.VIEW_STATIONS)
    statement = select(*_columns(RevenueMeter, RevenueMeterRow)).join(StationRow)
    statement = statement.where(station_in_area(actor))
    if station_id is not None:
        statement = statement.where(RevenueMeterRow.station_id == station_id)
    statement = statement.order_by(
        RevenueMeterRow.station_id, RevenueMeterRow.installed_on, RevenueMeterRow.id
    )
    return tuple(RevenueMeter(*row) for row in session.execute(statement))


def shares(session: Session, station_id: str, on: date) -> tuple[StationShare, ...]:
    """Return who owns which part of a station on a day, by village code.

    A station without shares belongs to its host village alone, with weight 1. Shares are public.
    """
    statement = select(StationShareRow).where(
        StationShareRow.station_id == station_id, known(StationShareRow), holds_on(StationShareRow, on)
    )
    rows = session.scalars(statement.order_by(StationShareRow.village_code)).all()
    if rows:
        return tuple(as_record(StationShare, row) for row in rows)
    host = session.get(StationRow, station_id)
    return () if host is None else (StationShare(station_id, host.division_code, 1, on),)


def shares_ever(session: Session, station_ids: Collection[str]) -> dict[str, tuple[StationShare, ...]]:
    """Return every known share of stations, whenever it holds, by village code; shares are public."""
    statement = select(StationShareRow).where(
        StationShareRow.station_id.in_(station_ids), known(StationShareRow)
    )
    found: dict[str, list[StationShare]] = {}
    for row in session.scalars(statement.order_by(StationShareRow.village_code)):
        found.setdefault(row.station_id, []).append(as_record(StationShare, row))
    return {station_id: tuple(held) for station_id, held in found.items()}


def village_shares(session: Session, actor: Actor, village_code: str, on: date) -> tuple[StationShare, ...]:
    """Return the village's part in every station that it hosts alone or shares, on a day, by station."""
    actor.require(Permission.VIEW_STATIONS)
    if not actor.covers(village_code):
        return ()
    held = (
        select(StationShareRow).join(StationRow).where(known(StationShareRow), holds_on(StationShareRow, on))
    )
    held = held.where(StationRow.withdrawn_at.is_(None))
    mine = session.scalars(held.where(StationShareRow.village_code == village_code)).all()
    shared = select(StationShareRow.station_id).where(known(StationShareRow), holds_on(StationShareRow, on))
    alone = select(StationRow.id).where(
        StationRow.division_code == village_code,
        StationRow.withdrawn_at.is_(None),
        StationRow.id.not_in(shared),
    )
    parts = [as_record(StationShare, row) for row in mine]
    parts += [StationShare(one, village_code, 1, on) for one in session.scalars(alone)]
    return tuple(sorted(parts, key=lambda part: part.station_id))


def add_station(session: Session, actor: Actor, record: Station, now: datetime) -> None:
    """Record a new station; raises PermissionError outside the actor's area."""
    actor.require(Permission.EDIT_REGISTRY)
    _require_area(actor, (record.division_code,))
    session.add(StationRow(**as_columns(record), recorded_at=now, recorded_by=actor.user_id))
    session.flush()


def add_device(session: Session, actor: Actor, record: Device, now: datetime) -> None:
    """Record a new device of a station in the actor's area."""
    actor.require(Permission.EDIT_REGISTRY)
    _require_station(session, actor, record.station_id)
    session.add(DeviceRow(**as_columns(record), recorded_at=now, recorded_by=actor.user_id))
    session.flush()


def add_revenue_meter(session: Session, actor: Actor, record: RevenueMeter, now: datetime) -> None:
    """Record a new revenue meter of a station in the actor's area."""
    actor.require(Permission.EDIT_REGISTRY)
    _require_station(session, actor, record.station_id)
    session.add(RevenueMeterRow(**as_columns(record), recorded_at=now, recorded_by=actor.user_id))
    session.flush()


def update_station(session: Session, actor: Actor, record: Station, now: datetime) -> bool:
    """Change a station to what the record says; the state before is kept. Tell whether it changed."""
    actor.require(Permission.EDIT_REGISTRY)
    _require_station(session, actor, record.id)
    _require_area(actor, (record.division_code,))
    return revise(session, actor, session.get_one(StationRow, record.id), as_columns(record), now)


def update_device(session: Session, actor: Actor, record: Device, now: datetime) -> bool:
    """Change a device to what the record says; the state before is kept. Tell whether it changed."""
    actor.require(Permission.EDIT_REGISTRY)
    _require_station(session, actor, record.station_id)
    row = session.get(DeviceRow, record.id)
    if row is None or row.station_id != record.station_id:
        raise LookupError(f"电站 {record.station_id} 没有设备 {record.id}")
    return revise(session, actor, row, as_columns(record), now)


def replace_device(session: Session, actor: Actor, old_id: str, new: Device, now: datetime) -> None:
    """Put a new device into the slot of an old one: the old one ends on the day the new one begins."""
    old = device(session, actor, old_id)
    if old is None or old.removed_on is not None:
        raise LookupError(f"{actor.name} 的辖区内没有在用的设备 {old_id}")
    if old.station_id != new.station_id:
        raise ValueError(f"{new.id} 不在 {old_id} 所在的电站")
    update_device(session, actor, replace(old, removed_on=new.installed_on), now)
    add_device(session, actor, replace(new, position=old.position, replaces=old_id), now)


def set_shares(
    session: Session, actor: Actor, station_id: str, parts: Collection[StationShare], now: datetime
) -> None:
    """Replace what is known of a station's shares; earlier knowledge stays readable."""
    actor.require(Permission.EDIT_REGISTRY)
    _require_station(session, actor, station_id)
    old = select(StationShareRow).where(StationShareRow.station_id == station_id, known(StationShareRow))
    for row in session.scalars(old):
        supersede(row, actor, now)
    session.flush()
    for part in parts:
        session.add(
            StationShareRow(
                id=new_id("share"), **as_columns(part), recorded_at=now, recorded_by=actor.user_id
            )
        )
    session.flush()


def _require_station(session: Session, actor: Actor, station_id: str) -> None:
    if station(session, actor, station_id) is None:
        raise PermissionError(f"{actor.name} 的辖区内没有电站 {station_id}")


def _require_area(actor: Actor, codes: Collection[str]) -> None:
    for code in codes:
        if not actor.covers(code):
            raise PermissionError(f"{code} 不在 {actor.name} 的辖区内")
