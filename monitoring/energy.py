"""Energy of devices and stations as pages want it: closed days from the cache, today from the counter.

Owns the cache of closed days (`refresh_daily_energy` fills it) and the provisional energy of the day that
still runs. Every figure comes from cumulative counters; the judgement of counters is `store.energy`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from monitoring.tables import DailyEnergyRow
from registry.actors import SYSTEM
from registry.assets.counters import energy_question
from registry.stations import Device, DeviceKind, devices
from store.energy import DeviceEnergy, answer
from store.periods import Period, local_date, local_midnight
from store.series import SeriesStore

COUNTERS = {DeviceKind.INVERTER: "generated_energy_wh", DeviceKind.METER: "exported_energy_wh"}
RECENT_DAYS = 3
_SPEED_MARGIN = 1.2


@dataclass(frozen=True, slots=True)
class DayEnergy:
    """Energy [Wh] of one device on one closed day, None where unknown, with completeness 0..1."""

    device_id: str
    day: date
    energy_wh: int | None
    completeness: float
    method: str
    estimated_wh: int = 0


@dataclass(frozen=True, slots=True)
class PresentEnergy:
    """Provisional energy [Wh] of one device: today so far, and yesterday up to the same time of day."""

    today_wh: int | None
    yesterday_same_time_wh: int | None


def daily_energy(
    session: Session, device_ids: Sequence[str], first: date, end: date
) -> dict[tuple[str, date], DayEnergy]:
    """Return the cached energies of devices on the days of [first, end)."""
    table = DailyEnergyRow
    columns = (
        table.device_id,
        table.day,
        table.energy_wh,
        table.completeness,
        table.method,
        table.estimated_wh,
    )
    statement = select(*columns).where(table.device_id.in_(device_ids), table.day >= first, table.day < end)
    return {(row[0], row[1]): DayEnergy(*row) for row in session.execute(statement)}


def energy_sums(session: Session, device_ids: Sequence[str], first: date, end: date) -> dict[str, int]:
    """Return the sum [Wh] of the cached days of [first, end) per device that has any known day."""
    statement = (
        select(DailyEnergyRow.device_id, func.sum(DailyEnergyRow.energy_wh))
        .where(
            DailyEnergyRow.device_id.in_(device_ids), DailyEnergyRow.day >= first, DailyEnergyRow.day < end
        )
        .group_by(DailyEnergyRow.device_id)
    )
    return {device_id: int(total) for device_id, total in session.execute(statement) if total is not None}


def refresh_daily_energy(
    session: Session, series: SeriesStore, now: datetime, *, since: date | None = None
) -> int:
    """Bring the cache of closed days up to date and return the number of rows written.

    Days that are missing are computed, and the last few always again, because late data may have come;
    `since` names the first day when older days must be computed again too. The day of `now` is not closed.
    """
    today = local_date(now)
    oldest = series.statistics().oldest
    if oldest is None:
        return 0
    written = 0
    for kind, quantity in COUNTERS.items():
        group = [device for device in devices(session, SYSTEM) if device.kind == kind]
        span = (local_date(oldest), today)
        for first, members in _by_first_day(session, group, span, since).items():
            days = [Period.day(first + timedelta(days=n)) for n in range((today - first).days)]
            written += _compute(session, series, (members, days, quantity), now)
    return written


def _by_first_day(
    session: Session, group: Sequence[Device], span: tuple[date, date], since: date | None
) -> dict[date, list[Device]]:
    """Return the devices by the first day of `span` (oldest sample, today) that must be computed."""
    newest: dict[str, date] = {}
    latest = select(DailyEnergyRow.device_id, func.max(DailyEnergyRow.day)).group_by(DailyEnergyRow.device_id)
    newest.update((device_id, last) for device_id, last in session.execute(latest))
    result: dict[date, list[Device]] = {}
    for device in group:
        last = newest.get(device.id)
        first = last - timedelta(days=RECENT_DAYS - 1) if last else device.installed_on
        if since is not None:
            first = min(first, since)
        first = max(first, device.installed_on, span[0])
        if first < span[1] and (device.removed_on is None or first <= device.removed_on):
            result.setdefault(first, []).append(device)
    return result


def _compute(
    session: Session,
    series: SeriesStore,
    wanted: tuple[Sequence[Device], Sequence[Period], str],
    now: datetime,
) -> int:
    members, days, quantity = wanted
    ids = [device.id for device in members]
    energies = answer(series, energy_question(session, SYSTEM, (members, days), quantity))
    gone = {device.id: device.removed_on for device in members}
    kept = [
        energy
        for energy in energies
        if (removed := gone[energy.device_id]) is None or date.fromisoformat(energy.period) <= removed
    ]
    _store(session, ids, (days[0].start, days[-1].end), kept, now)
    return len(kept)


def _store(
    session: Session,
    ids: Sequence[str],
    span: tuple[date, date],
    energies: Sequence[DeviceEnergy],
    now: datetime,
) -> None:
    session.execute(
        delete(DailyEnergyRow).where(
            DailyEnergyRow.device_id.in_(ids), DailyEnergyRow.day >= span[0], DailyEnergyRow.day < span[1]
        )
    )
    rows = [
        {
            "device_id": energy.device_id,
            "day": date.fromisoformat(energy.period),
            "energy_wh": energy.energy_wh,
            "completeness": energy.completeness,
            "method": str(energy.method),
            "estimated_wh": energy.estimated_wh,
            "flags": energy.flags,
            "computed_at": now,
        }
        for energy in energies
    ]
    if rows:
        session.execute(insert(DailyEnergyRow), rows)


def present_energy(
    series: SeriesStore, inverters: Iterable[Device], now: datetime
) -> dict[str, PresentEnergy]:
    """Return the provisional energies of today, from the counter's readings around three instants.

    A device without a reading since midnight has no energy of today: not knowing is not zero. A difference
    that falls, or that is faster than the rated power allows, is None: `store.energy` will judge it when
    the day is closed.
    """
    listed = list(inverters)
    ids = [device.id for device in listed]
    midnight = local_midnight(local_date(now))
    yesterday = local_midnight(local_date(now) - timedelta(days=1))
    boundaries = [yesterday, now - timedelta(days=1), midnight]
    table = series.boundary_readings(ids, COUNTERS[DeviceKind.INVERTER], boundaries)
    before = {(row["device_id"], row["boundary"]): _nearest_value(row) for row in table.to_pylist()}
    latest = series.latest(ids)
    result = {}
    for device in listed:
        start, then, turn = (before.get((device.id, moment)) for moment in boundaries)
        sample = latest.get(device.id)
        today = sample if sample is not None and sample.time >= midnight else None
        newest = today.values.get(COUNTERS[DeviceKind.INVERTER]) if today else None
        result[device.id] = PresentEnergy(
            _difference(turn, newest, now - midnight, device.rated_power_w),
            _difference(start, then, now - midnight, device.rated_power_w),
        )
    return result


def _nearest_value(row: Mapping[str, Any]) -> int | None:
    """Return the counter at the reading that lies nearest to a boundary, None when there is none."""
    if row["before_time"] is None or row["after_time"] is None:
        value = row["after_value"] if row["before_time"] is None else row["before_value"]
    elif row["after_time"] - row["boundary"] <= row["boundary"] - row["before_time"]:
        value = row["after_value"]
    else:
        value = row["before_value"]
    return None if value is None else int(value)


def _difference(first: int | None, last: float | None, span: timedelta, rated_power_w: int) -> int | None:
    if first is None or last is None:
        return None
    difference = int(last) - first
    limit = rated_power_w * _SPEED_MARGIN * (span / timedelta(hours=1)) + 1000 if rated_power_w else None
    if difference < 0 or (limit is not None and difference > limit):
        return None
    return difference


def known_sum(values: Iterable[int | None]) -> int | None:
    """Return the sum of the known values, None when none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def by_station(figures: Mapping[str, int | None], inverters: Sequence[Device]) -> dict[str, int | None]:
    """Return the sum of the devices' figures per station, None where none is known."""
    grouped: dict[str, list[int | None]] = {}
    for device in inverters:
        grouped.setdefault(device.station_id, []).append(figures.get(device.id))
    return {station_id: known_sum(values) for station_id, values in grouped.items()}
