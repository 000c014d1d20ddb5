"""Curves and bars of one station: power through the day, energy by day and month, rank in the county.

Owns the alignment of series to steps of the day. A step without data is None, never zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from statistics import median

from sqlalchemy.orm import Session

from monitoring.energy import daily_energy, known_sum
from monitoring.uptime.present import working_inverters
from registry.actors import SYSTEM, Actor
from registry.stations import Device, DeviceKind, Station, devices, station, stations
from store.periods import Period, local_date, local_midnight
from store.series import SeriesStore

STEP = timedelta(minutes=15)
_STEPS_A_DAY = 96


@dataclass(frozen=True, slots=True)
class DayCurves:
    """Power [W] of a station in steps of 15 minutes from local midnight.

    `times` [UTC] are the beginnings of the steps of today; `county_median` is the median power per rated
    power of the county's stations today, times this station's rated power.
    """

    times: tuple[datetime, ...]
    today: tuple[float | None, ...]
    yesterday: tuple[float | None, ...]
    county_median: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class EnergyBar:
    """Energy [Wh] of a station in one day or month, None where nothing is known.

    `final_yield_h` is 等效利用小时 [h]; `completeness` 0..1 is the mean over its devices and days.
    """

    period: str
    label: str
    energy_wh: int | None
    final_yield_h: float | None
    completeness: float


@dataclass(frozen=True, slots=True)
class YieldRank:
    """等效利用小时 [h] of a station in a month, and its place among the county's stations."""

    month: str
    final_yield_h: float | None
    rank: int | None
    stations: int


def _sums(
    series: SeriesStore, inverters: Sequence[Device], interval: tuple[datetime, datetime]
) -> dict[str, dict[int, float]]:
    """Return per station the sum of its inverters' mean power [W] by step number."""
    owner = {device.id: device.station_id for device in inverters}
    table = series.downsample(list(owner), interval, STEP, {"active_power_w": "mean"})
    sums: dict[str, dict[int, float]] = {}
    for row in table.to_pylist():
        if row["active_power_w"] is None:
            continue
        step = int((row["time"] - interval[0]) / STEP)
        steps = sums.setdefault(owner[row["device_id"]], {})
        steps[step] = steps.get(step, 0.0) + row["active_power_w"]
    return sums


def _row(sums: Mapping[int, float]) -> tuple[float | None, ...]:
    return tuple(sums.get(step) for step in range(_STEPS_A_DAY))


def _median_row(
    sums: Mapping[str, Mapping[int, float]], rated: Mapping[str, int], scale_w: int
) -> tuple[float | None, ...]:
    result: list[float | None] = []
    for step in range(_STEPS_A_DAY):
        fractions = [
            steps[step] / rated[name] for name, steps in sums.items() if step in steps and rated.get(name)
        ]
        result.append(median(fractions) * scale_w if fractions else None)
    return tuple(result)


def day_curves(
    session: Session, series: SeriesStore, actor: Actor, station_id: str, now: datetime
) -> DayCurves | None:
    """Return today's power of a station against yesterday's and the county's median, or None.

    None means that the actor's area has no such station.
    """
    place = station(session, actor, station_id)
    if place is None:
        return None
    today = local_date(now)
    midnight, yesterday = local_midnight(today), local_midnight(today - timedelta(days=1))
    # The median is one figure over the whole county and shows no single station.
    everyone = working_inverters(session, SYSTEM, today)
    mine = [device for device in everyone if device.station_id == station_id]
    sums = _sums(series, everyone, (midnight, now))
    before = _sums(series, mine, (yesterday, midnight))
    rated: dict[str, int] = {}
    for device in everyone:
        rated[device.station_id] = rated.get(device.station_id, 0) + device.rated_power_w
    return DayCurves(
        times=tuple(midnight + step * STEP for step in range(_STEPS_A_DAY)),
        today=_row(sums.get(station_id, {})),
        yesterday=_row(before.get(station_id, {})),
        county_median=_median_row(sums, rated, rated.get(station_id, 0)),
    )


def _bar(
    days: Mapping[tuple[str, date], tuple[int | None, float]],
    period: Period,
    devices_of: Sequence[Device],
    rated_power_w: int,
) -> EnergyBar:
    cells = [
        days.get((device.id, day.start), (None, 0.0))
        for day in period.days()
        for device in devices_of
        if _stands(device, day.start)
    ]
    energy = known_sum(cell[0] for cell in cells)
    return EnergyBar(
        period=str(period),
        label=period.label,
        energy_wh=energy,
        final_yield_h=None if energy is None else energy / rated_power_w,
        completeness=sum(cell[1] for cell in cells) / len(cells) if cells else 0.0,
    )


def energy_bars(
    session: Session, actor: Actor, station_id: str, periods: Sequence[Period]
) -> tuple[EnergyBar, ...]:
    """Return the energy of a station in closed days or months, from the cached days.

    An empty tuple means that the actor's area has no such station. A replaced inverter counts for the
    days on which it stood there.
    """
    place = station(session, actor, station_id)
    if place is None or not periods:
        return ()
    members = [d for d in devices(session, actor, station_id) if d.kind == DeviceKind.INVERTER]
    first, end = min(period.start for period in periods), max(period.end for period in periods)
    cached = daily_energy(session, [device.id for device in members], first, end)
    days = {key: (energy.energy_wh, energy.completeness) for key, energy in cached.items()}
    return tuple(_bar(days, period, members, place.rated_power_w) for period in periods)


def month_bars(
    session: Session, actor: Actor, station_id: str, now: datetime, months: int = 12
) -> tuple[EnergyBar, ...]:
    """Return the energy of the last `months` months, the running one last, up to yesterday."""
    month = Period.month_of(now)
    periods = [month]
    while len(periods) < months:
        periods.insert(0, periods[0].previous())
    return energy_bars(session, actor, station_id, periods)


def day_bars(
    session: Session, actor: Actor, station_id: str, now: datetime, days: int = 31
) -> tuple[EnergyBar, ...]:
    """Return the energy of the last `days` closed days."""
    today = local_date(now)
    periods = [Period.day(today - timedelta(days=days - n)) for n in range(days)]
    return energy_bars(session, actor, station_id, periods)


@dataclass(frozen=True, slots=True)
class StationYield:
    """What a station generated in a month, from the cached days.

    `energy_wh` and `final_yield_h` (等效利用小时) are None where nothing is known; `rank` is its place among
    all stations of the installation that have a figure; `days` is the number of closed days on which an
    inverter stood there, `completeness` 0..1 the mean over its devices and days.
    """

    station_id: str
    energy_wh: int | None
    final_yield_h: float | None
    completeness: float
    days: int
    rank: int | None = None


def station_yields(session: Session, month: Period, today: date) -> dict[str, StationYield]:
    """Return the yield and rank of every station of the installation in the closed days of a month.

    One list for all, so that a rank means the same for everybody; callers show an actor's stations only.
    """
    members: dict[str, list[Device]] = {}
    for device in devices(session, SYSTEM):
        if device.kind == DeviceKind.INVERTER:
            members.setdefault(device.station_id, []).append(device)
    closed = [day for day in month.days() if day.start < today]
    ids = [device.id for listed in members.values() for device in listed]
    cached = daily_energy(session, ids, month.start, min(month.end, today))
    days = {key: (energy.energy_wh, energy.completeness) for key, energy in cached.items()}
    found = {
        place.id: _station_yield(days, closed, members.get(place.id, []), place)
        for place in stations(session, SYSTEM)
    }
    yields = [one.final_yield_h for one in found.values() if one.final_yield_h is not None]
    return {
        name: one
        if one.final_yield_h is None
        else replace(one, rank=1 + sum(other > one.final_yield_h for other in yields))
        for name, one in found.items()
    }


def _station_yield(
    days: Mapping[tuple[str, date], tuple[int | None, float]],
    closed: Sequence[Period],
    members: Sequence[Device],
    place: Station,
) -> StationYield:
    standing = [day for day in closed if any(_stands(device, day.start) for device in members)]
    cells = [
        days.get((device.id, day.start), (None, 0.0))
        for day in standing
        for device in members
        if _stands(device, day.start)
    ]
    energy = known_sum(cell[0] for cell in cells)
    return StationYield(
        station_id=place.id,
        energy_wh=energy,
        final_yield_h=None if energy is None else energy / place.rated_power_w,
        completeness=sum(cell[1] for cell in cells) / len(cells) if cells else 0.0,
        days=len(standing),
    )


def _stands(device: Device, day: date) -> bool:
    return device.installed_on <= day and (device.removed_on is None or day < device.removed_on)


def yield_rank(session: Session, actor: Actor, station_id: str, month: Period) -> YieldRank | None:
    """Return the station's 等效利用小时 of a month and its rank among all stations with a figure."""
    if station(session, actor, station_id) is None:
        return None
    found = station_yields(session, month, month.end)
    mine = found[station_id]
    count = sum(one.final_yield_h is not None for one in found.values())
    return YieldRank(str(month), mine.final_yield_h, mine.rank, count)
