"""Exchanged devices and revenue meters: which gave way to which, and what both showed that day.

Owns table `replacement`. Devices and meters themselves are `registry.stations`'; a reading is evidence for
reconciliation and computes no amount here.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.actors import Actor, Permission
from registry.assets.tables import ReplacementRow
from registry.facts import as_record
from registry.revisions import revise
from registry.stations import (
    Device,
    RevenueMeter,
    RevenueMeterRow,
    StationRow,
    add_revenue_meter,
    device,
    replace_device,
    station,
    station_in_area,
)
from store.db import new_id
from store.problem import Problem, ProblemsError


@dataclass(frozen=True, slots=True)
class Readings:
    """What the old one showed last and the new one first [kWh, as displayed]; document and moment."""

    closing: str
    opening: str
    document: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Replacement:
    """One exchange: of a `device` or a `meter`, on a day, with both readings."""

    id: str
    station_id: str
    kind: str
    old_id: str
    new_id: str
    replaced_on: date
    closing_reading: str
    opening_reading: str
    document: str
    recorded_at: datetime


def replacements(session: Session, actor: Actor, station_id: str = "") -> tuple[Replacement, ...]:
    """Return the exchanges at the actor's stations, or at one of them, the latest first."""
    actor.require(Permission.VIEW_STATIONS)
    statement = select(ReplacementRow).join(StationRow).where(station_in_area(actor))
    if station_id:
        statement = statement.where(ReplacementRow.station_id == station_id)
    rows = session.scalars(statement.order_by(ReplacementRow.replaced_on.desc(), ReplacementRow.id))
    return tuple(as_record(Replacement, row) for row in rows)


def replace_meter(session: Session, actor: Actor, old_id: str, new: RevenueMeter, readings: Readings) -> str:
    """End a revenue meter on the day its successor begins, keep both readings; return the exchange's id."""
    actor.require(Permission.EDIT_REGISTRY)
    row = session.get(RevenueMeterRow, old_id)
    if row is None or station(session, actor, row.station_id) is None or row.removed_on is not None:
        raise LookupError(f"{actor.name} 的辖区内没有在用的关口表 {old_id}")
    _check_day(row.installed_on, new.installed_on)
    kept = _checked(readings)
    revise(session, actor, row, {"removed_on": new.installed_on}, kept.at)
    meter = replace(new, station_id=row.station_id)
    add_revenue_meter(session, actor, meter, kept.at)
    return _keep(session, actor, ("meter", row.station_id, old_id, meter.id, new.installed_on), kept)


def exchange_device(session: Session, actor: Actor, old_id: str, new: Device, readings: Readings) -> str:
    """Put a new device into the slot of an old one and keep both readings; return the exchange's id."""
    kept = _checked(readings)
    replace_device(session, actor, old_id, new, kept.at)
    return _keep(session, actor, ("device", new.station_id, old_id, new.id, new.installed_on), kept)


def exchange_slot(
    session: Session, actor: Actor, old_id: str, number: tuple[str, date], readings: Readings
) -> str:
    """Exchange a device for one of the same kind in its slot: new serial number and day; return the exchange.

    Address, profile and rating stay; what differs is changed on the device's own page. The readings tell
    where the old counter ended and the new one began, so that energy is counted across the exchange.
    """
    serial, on = number
    old = device(session, actor, old_id)
    if old is None or old.removed_on is not None:
        raise LookupError(f"{actor.name} 的辖区内没有在用的设备 {old_id}")
    if not serial.strip():
        raise ProblemsError([Problem("新设备", "没有写序列号", "照铭牌写新设备的序列号")])
    _check_day(old.installed_on, on)
    new = replace(old, id=new_id("device"), serial=serial.strip(), installed_on=on, removed_on=None)
    return exchange_device(session, actor, old_id, new, readings)


def _check_day(installed_on: date, replaced_on: date) -> None:
    if replaced_on <= installed_on:
        raise ProblemsError(
            [Problem("更换日期", f"不晚于换下的那一台的安装日期 {installed_on}", "核对更换日期")]
        )


def _checked(readings: Readings) -> Readings:
    problems = [
        Problem(name, f"“{value}”不是非负的示数", "照表上的数填写，如 12345.67")
        for name, value in (("止码", readings.closing), ("起码", readings.opening))
        if not _is_reading(value)
    ]
    if not readings.document.strip():
        problems.append(Problem("依据", "没有写依据", "写上换表单的编号或名称"))
    if problems:
        raise ProblemsError(problems)
    return readings


def _is_reading(value: str) -> bool:
    try:
        found = Decimal(value)
    except InvalidOperation:
        return False
    return found.is_finite() and 0 <= found < Decimal(10**12)


def _keep(
    session: Session,
    actor: Actor,
    what: tuple[str, str, str, str, date],
    readings: Readings,
) -> str:
    kind, station_id, old_id, new_id_, replaced_on = what
    row = ReplacementRow(
        id=new_id("replacement"),
        station_id=station_id,
        kind=kind,
        old_id=old_id,
        new_id=new_id_,
        replaced_on=replaced_on,
        closing_reading=readings.closing,
        opening_reading=readings.opening,
        document=readings.document,
        recorded_at=readings.at,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("replace", kind, old_id, detail={"by": new_id_}), readings.at)
    return row.id
