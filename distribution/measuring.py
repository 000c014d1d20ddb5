"""What a station measured itself: its inverters and its grid meter, by month and by day.

Owns the sum of devices into stations and the freezing of months that are over. A frozen month is taken as
it was frozen; the series are asked only for what is not frozen yet.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from distribution.settlement.matching.causes import SHIFT_DAYS
from distribution.settlement.matching.evidence import Measured, Metered
from registry.actors import SYSTEM
from registry.assets.counters import counter_epochs
from registry.stations import Device, DeviceKind, RevenueMeter
from store.db import Database
from store.energy import DeviceEnergy, EnergyQuestion, Method, answer, freeze, frozen
from store.periods import Period, local_date
from store.series import SeriesStore

GENERATED, EXPORTED = "generated_energy_wh", "exported_energy_wh"
_WHOLE = {Method.COUNTER, Method.COUNTER_GAP}
_IDS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Plant:
    """The devices of many stations in a month: inverters, and the meters that read the grid's meter."""

    inverters: tuple[Device, ...]
    meters: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, devices: Iterable[Device], meters: Iterable[RevenueMeter], period: Period) -> "Plant":
        """Choose what worked in a period; a station counts as metered where each of its meters is read."""
        inverters = tuple(
            one
            for one in devices
            if one.kind == DeviceKind.INVERTER and _overlaps(one.installed_on, one.removed_on, period)
        )
        read: dict[str, list[str | None]] = defaultdict(list)
        for meter in meters:
            if _overlaps(meter.installed_on, meter.removed_on, period):
                read[meter.station_id].append(meter.device_id)
        whole = {
            station: tuple(dict.fromkeys(one for one in ids if one is not None))
            for station, ids in read.items()
            if all(ids)
        }
        return cls(inverters, whole)


def _overlaps(start: date, end: date | None, period: Period) -> bool:
    return start < period.end and (end is None or end > period.start)


def measured_month(
    database: Database, series: SeriesStore | None, plant: Plant, period: Period, now: datetime
) -> tuple[dict[str, Measured], dict[str, Metered]]:
    """Return what inverters and grid meters measured in a month, by station; a past month is frozen."""
    generated = _energies(
        database, series, ([one.id for one in plant.inverters], GENERATED, plant), period, now
    )
    station_of = {one.id: one.station_id for one in plant.inverters}
    measured: dict[str, Measured] = {}
    for energy in generated:
        station = station_of[energy.device_id]
        measured[station] = measured.get(station, Measured()).plus(energy)
    ids = [device for devices in plant.meters.values() for device in devices]
    exported = {
        energy.device_id: energy
        for energy in _energies(database, series, (ids, EXPORTED, plant), period, now)
    }
    metered = {}
    for station, devices in plant.meters.items():
        found = _metered([exported[one] for one in devices if one in exported], len(devices))
        if found is not None:
            metered[station] = found
    return measured, metered


def _metered(energies: Sequence[DeviceEnergy], wanted: int) -> Metered | None:
    known = [one for one in energies if one.energy_wh is not None]
    if not known:
        return None
    is_whole = len(known) == wanted and all(one.method in _WHOLE for one in known)
    return Metered(sum(one.energy_wh or 0 for one in known), "采集", is_whole)


def _energies(
    database: Database,
    series: SeriesStore | None,
    asked: tuple[Sequence[str], str, Plant],
    period: Period,
    now: datetime,
) -> list[DeviceEnergy]:
    """Return the month's energy of devices: as frozen, else as the counters say now, and then frozen."""
    ids, quantity, plant = asked
    found: list[DeviceEnergy] = []
    with database.reading() as session:
        for start in range(0, len(ids), _IDS_AT_ONCE):
            found += frozen(session, (ids[start : start + _IDS_AT_ONCE], [str(period)]), quantity)
        epochs = counter_epochs(session, SYSTEM)
    held = {one.device_id for one in found}
    missing = [one for one in ids if one not in held]
    if series is None or not missing:
        return found
    rated = {one.id: one.rated_power_w for one in plant.inverters}
    new = answer(series, EnergyQuestion(missing, (period,), quantity, rated_power_w=rated, epochs=epochs))
    if period.end <= local_date(now):
        with database.transaction() as session:
            freeze(session, new, quantity, now)
    return [*found, *new]


def days_around(
    series: SeriesStore, plant: Plant, stations: Collection[str], period: Period
) -> dict[str, dict[date, int]]:
    """Return the inverters' energy [Wh] of each day around a month, by station; a day not known is absent."""
    chosen = [one for one in plant.inverters if one.station_id in stations]
    first, end = period.start - timedelta(days=SHIFT_DAYS), period.end + timedelta(days=SHIFT_DAYS)
    days = [Period.day(first + timedelta(days=number)) for number in range((end - first).days)]
    rated = {one.id: one.rated_power_w for one in chosen}
    question = EnergyQuestion([one.id for one in chosen], days, GENERATED, rated_power_w=rated)
    station_of = {one.id: one.station_id for one in chosen}
    sums: dict[str, dict[date, int]] = defaultdict(dict)
    unknown: set[tuple[str, date]] = set()
    for energy in answer(series, question) if chosen else ():
        station, day = station_of[energy.device_id], date.fromisoformat(energy.period)
        if energy.energy_wh is None:
            unknown.add((station, day))
        else:
            sums[station][day] = sums[station].get(day, 0) + energy.energy_wh
    for station, day in unknown:
        sums[station].pop(day, None)
    return sums


def energy_within(
    series: SeriesStore, plant: Plant, orders: Mapping[str, Sequence[tuple[datetime, datetime]]]
) -> dict[str, int]:
    """Return the inverters' energy [Wh] inside instants of time, by station, from their counters."""
    found: dict[str, int] = {}
    for station, spans in orders.items():
        ids = [one.id for one in plant.inverters if one.station_id == station]
        edges = sorted({edge for span in spans for edge in span})
        if not ids or not edges:
            continue
        rows = series.boundary_readings(ids, GENERATED, edges, "before").to_pylist()
        at = {(row["device_id"], row["boundary"]): row["before_value"] for row in rows}
        for device in ids:
            for start, end in spans:
                low, high = at.get((device, start)), at.get((device, end))
                if low is not None and high is not None and high > low:
                    found[station] = found.get(station, 0) + int(high - low)
    return found
