"""Availability of real devices over a period: evidence from the store, judged, added up.

Owns the reading of records, light and neighbours, and the sums per device, station, township and county,
weighted by rated power. The rules are in `availability` and `light`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.orm import Session

from monitoring.uptime.judging import (
    Availability,
    Cause,
    Codes,
    Floats,
    Hours,
    Outage,
    Record,
    Setting,
    Track,
    added,
    availability,
    hours_of,
    outages,
    partition,
)
from monitoring.uptime.light import (
    NOTHING,
    Evidence,
    LightRule,
    Place,
    expected_from_irradiance,
    light_track,
    rule_used,
)
from monitoring.uptime.planned import planned_between
from monitoring.snapshot import NEIGHBOURS_AT_LEAST
from monitoring.states import DEAD_VOLTAGE_V
from registry.actors import SYSTEM, Actor
from registry.stations import Device, DeviceKind, Station, devices, stations
from store.periods import Period, local_midnight
from store.samples import DeviceState
from store.series import SeriesStore

NEIGHBOUR_STEP = timedelta(minutes=15)
DEFAULT_RATED_PERCENTILE = 99.5
_VOLTAGES = ("voltage_a_v", "voltage_ab_v")
_QUANTITIES = ("active_power_w", "generated_energy_wh", "state", *_VOLTAGES)
_NAMED = {
    DeviceState.GRID_FAULT: Cause.GRID,
    DeviceState.FAULT: Cause.FORCED,
    DeviceState.STOPPED: Cause.ORDERED,
}


@dataclass(frozen=True, slots=True)
class UptimeQuestion:
    """What is asked: a period, the rule for light, how long an outage must last in the light [h].

    `until` [UTC] ends a period that still runs.
    """

    period: Period
    rule: LightRule = LightRule.AUTO
    outage_at_least_h: float = 0.5
    until: datetime | None = None

    @property
    def interval(self) -> tuple[datetime, datetime]:
        """First instant, and the first instant after the period or its part until now [UTC]."""
        start, end = self.period.start_utc, self.period.end_utc
        return start, end if self.until is None else max(start, min(end, self.until))


@dataclass(frozen=True, slots=True)
class Machine:
    """A device to be judged: its id, its group (station), its rated power [W] or 0 when unknown.

    `first` and `end` [UTC] bound the time in which it stood there, where that is known; `step_s` is its
    cycle [s], 0 when only its samples tell.
    """

    device_id: str
    group: str
    rated_power_w: float
    first: datetime | None = None
    end: datetime | None = None
    step_s: float = 0.0

    def within(self, interval: tuple[datetime, datetime]) -> tuple[float, float]:
        """Return the part of an interval in which the machine stood there [s since 1970]."""
        first = max(interval[0], self.first or interval[0])
        end = min(interval[1], self.end or interval[1])
        return first.timestamp(), max(first, end).timestamp()


@dataclass(frozen=True, slots=True)
class Plant:
    """Machines that stand under the same sky: where, and the device that measures irradiance, if any."""

    machines: tuple[Machine, ...]
    place: Place | None = None
    sensor_id: str = ""
    planned: tuple[tuple[str, datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceUptime:
    """One device over the period: hours by cause, what follows, and its outages."""

    device_id: str
    group: str
    rated_power_w: float
    rule: LightRule
    hours: Hours
    outages: tuple[Outage, ...] = field(default=())

    @property
    def availability(self) -> Availability:
        """The device's availabilities."""
        return availability(self.hours)


def _epochs(table: pa.Table) -> Floats:
    times: Floats = table.column("time").cast(pa.int64()).to_numpy() / 1e6
    return times


def _numbers(table: pa.Table, name: str) -> Floats:
    column: Floats = table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return column


def _slices(table: pa.Table) -> dict[str, pa.Table]:
    """Return the rows of each device; the store orders them by device."""
    if not table.num_rows:
        return {}
    names = table.column("device_id").combine_chunks()
    runs = pc.run_end_encode(names, run_end_type=pa.int64())
    if isinstance(runs, pa.ChunkedArray):
        runs = runs.combine_chunks()
    slices: dict[str, pa.Table] = {}
    low = 0
    for name, high in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        slices[name] = table.slice(low, high - low)
        low = high
    return slices


def _causes(table: pa.Table, power: Floats) -> Codes:
    """Return the cause that each sample names by its state or by a grid without voltage."""
    states = _numbers(table, "state")
    causes = np.full(len(power), Cause.RUNNING, np.int8)
    for state, cause in _NAMED.items():
        causes[states == state] = cause
    voltages = np.stack([_numbers(table, name) for name in _VOLTAGES])
    known = ~np.isnan(voltages).all(axis=0)
    dead = known & (np.nan_to_num(voltages, nan=0.0) < DEAD_VOLTAGE_V).all(axis=0) & ~(power > 0)
    causes[dead] = Cause.GRID
    return causes


def _record(table: pa.Table) -> Record:
    power = _numbers(table, "active_power_w")
    return Record(_epochs(table), power, _numbers(table, "generated_energy_wh"), _causes(table, power))


def _sensor_track(series: SeriesStore, sensor_id: str, start: datetime, end: datetime) -> Track:
    if not sensor_id:
        return NOTHING
    table = series.read([sensor_id], start, end, ["irradiance_w_m2"])
    table = table.filter(pc.is_valid(table.column("irradiance_w_m2")))
    return Track(_epochs(table), _numbers(table, "irradiance_w_m2"))


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Output of every group as a fraction of rated power, on a common grid; NaN where unknown."""

    times: Floats
    groups: Mapping[str, Floats]

    def median(self, without: str = "") -> Track:
        """Return the median over the groups but one, NaN where fewer than three reported."""
        rows = [row for group, row in self.groups.items() if group != without]
        if len(rows) < NEIGHBOURS_AT_LEAST:
            return NOTHING
        grid = np.stack(rows)
        counts = (~np.isnan(grid)).sum(axis=0)
        middle = np.full(grid.shape[1], np.nan)
        enough = counts >= NEIGHBOURS_AT_LEAST
        middle[enough] = np.nanmedian(grid[:, enough], axis=0)
        return Track(self.times, middle)


def _outputs(
    series: SeriesStore, machines: Sequence[Machine], start: datetime, end: datetime, *, by_device: bool
) -> _Outputs:
    """Return the outputs per group, or per device."""
    step = NEIGHBOUR_STEP / timedelta(seconds=1)
    times = np.arange(start.timestamp(), end.timestamp(), step)
    known = {machine.device_id: machine for machine in machines if machine.rated_power_w > 0}
    table = series.downsample(list(known), (start, end), NEIGHBOUR_STEP, {"active_power_w": "mean"})
    table = table.filter(pc.is_valid(table.column("active_power_w")))
    rows: dict[str, list[Floats]] = {}
    for device_id, mine in _slices(table).items():
        machine = known[device_id]
        index = np.clip(((_epochs(mine) - times[0]) // step).astype(int), 0, len(times) - 1)
        row = np.full(len(times), np.nan)
        row[index] = _numbers(mine, "active_power_w") / machine.rated_power_w
        rows.setdefault(device_id if by_device else machine.group, []).append(row)
    return _Outputs(times, {name: _mean(members) for name, members in rows.items()})


def _mean(members: Sequence[Floats]) -> Floats:
    grid = np.stack(members)
    counts = (~np.isnan(grid)).sum(axis=0)
    total: Floats = np.nansum(grid, axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _rated(machine: Machine, record: Record) -> float:
    if machine.rated_power_w > 0 or not len(record.power):
        return machine.rated_power_w
    known = record.power[~np.isnan(record.power)]
    return float(np.percentile(known, DEFAULT_RATED_PERCENTILE)) if len(known) else 0.0


def _device(
    record: Record, machine: Machine, setting: Setting, rule: LightRule, at_least_h: float
) -> DeviceUptime:
    segments = partition(record, setting)
    return DeviceUptime(
        machine.device_id,
        machine.group,
        setting.rated_power_w,
        rule,
        hours_of(segments),
        tuple(outages(segments, at_least_h)),
    )


def plant_uptime(
    series: SeriesStore, plant: Plant, question: UptimeQuestion, neighbours: Track = NOTHING
) -> list[DeviceUptime]:
    """Return the uptime of every machine of one plant, in the given order.

    `neighbours` is the median output of other plants as a fraction of rated power; it is independent
    evidence of light. What the plant's own machines did together only tells what a gap was worth.
    """
    start, end = question.interval
    irradiance = _sensor_track(series, plant.sensor_id, start, end)
    evidence = Evidence(plant.place, irradiance, neighbours)
    light = light_track(evidence, start.timestamp(), end.timestamp(), question.rule)
    used = rule_used(evidence, question.rule)
    ids = [machine.device_id for machine in plant.machines]
    table = series.read(ids, start, end, list(_QUANTITIES))
    slices = _slices(table)
    records = {name: _record(slices.get(name, table.slice(0, 0))) for name in ids}
    machines = [replace(one, rated_power_w=_rated(one, records[one.device_id])) for one in plant.machines]
    expected = _expected(series, machines, (start, end), (irradiance, neighbours))
    return [
        _device(
            records[machine.device_id],
            machine,
            Setting(
                *machine.within((start, end)),
                machine.rated_power_w,
                light,
                expected,
                _planned(plant, machine),
                step_s=machine.step_s,
            ),
            used,
            question.outage_at_least_h,
        )
        for machine in machines
    ]


def _expected(
    series: SeriesStore,
    machines: Sequence[Machine],
    interval: tuple[datetime, datetime],
    evidence: tuple[Track, Track],
) -> Track:
    """Return the best guess of what a machine should have given: neighbours, own machines, or irradiance."""
    irradiance, neighbours = evidence
    if len(neighbours.times):
        return neighbours
    own = _outputs(series, machines, *interval, by_device=True).median()
    if len(own.times):
        return own
    return expected_from_irradiance(irradiance) if len(irradiance.times) else NOTHING


def _planned(plant: Plant, machine: Machine) -> tuple[tuple[float, float], ...]:
    return tuple(
        (start.timestamp(), end.timestamp())
        for subject, start, end in plant.planned
        if subject in {machine.device_id, machine.group}
    )


def _plants(session: Session, found: Iterable[Station], period: Period) -> list[Plant]:
    """Return the stations as plants: the inverters that stood there in the period, and a sensor."""
    members: dict[str, list[Device]] = {}
    for device in devices(session, SYSTEM):
        gone = device.removed_on is not None and device.removed_on <= period.start
        if device.installed_on < period.end and not gone:
            members.setdefault(device.station_id, []).append(device)
    planned = tuple(planned_between(session, period.start_utc, period.end_utc))
    plants = []
    for station in found:
        mine = members.get(station.id, [])
        sensors = [device.id for device in mine if device.kind == DeviceKind.SENSOR]
        machines = tuple(
            Machine(
                device.id,
                station.id,
                float(device.rated_power_w),
                local_midnight(device.installed_on),
                local_midnight(device.removed_on) if device.removed_on else None,
                float(device.cycle_seconds),
            )
            for device in mine
            if device.kind == DeviceKind.INVERTER
        )
        place = Place(station.latitude, station.longitude)
        plants.append(Plant(machines, place, sensors[0] if sensors else "", planned))
    return plants


def station_uptimes(
    session: Session, series: SeriesStore, actor: Actor, question: UptimeQuestion, now: datetime
) -> list[DeviceUptime]:
    """Return the uptime of every inverter of the actor's stations over a period, up to `now` [UTC].

    Neighbours are the other stations of the whole installation: one median, no station's own data.
    """
    period = question.period
    question = replace(question, until=now)
    start, end = question.interval
    mine = _plants(session, stations(session, actor), period)
    whole = _plants(session, stations(session, SYSTEM), period)
    if end <= start or not mine:
        return []
    everyone = [machine for plant in whole for machine in plant.machines]
    outputs = _outputs(series, everyone, start, end, by_device=False)
    result: list[DeviceUptime] = []
    for plant in mine:
        if plant.machines:
            neighbours = outputs.median(without=plant.machines[0].group)
            result += plant_uptime(series, plant, question, neighbours)
    return result


def unregistered_plant(series: SeriesStore, known: Collection[str]) -> Plant:
    """Return the devices of the store that no registry names, as one plant of unknown place.

    This is how imported history of a foreign plant is judged: whoever shows irradiance and no power is the
    sensor, the others are machines whose rated power is taken from their best output.
    """
    latest = series.latest()
    strangers = {name: sample for name, sample in sorted(latest.items()) if name not in known}
    sensors = [
        name
        for name, sample in strangers.items()
        if "irradiance_w_m2" in sample.values and "active_power_w" not in sample.values
    ]
    machines = tuple(
        Machine(name, name, 0.0) for name, sample in strangers.items() if "active_power_w" in sample.values
    )
    return Plant(machines, None, sensors[0] if sensors else "")


def by_group(uptimes: Iterable[DeviceUptime]) -> dict[str, Hours]:
    """Return the hours of each group (station), weighted by rated power [h x W]."""
    parts: dict[str, list[Hours]] = {}
    for uptime in uptimes:
        parts.setdefault(uptime.group, []).append(uptime.hours.weighted(max(1.0, uptime.rated_power_w)))
    return {group: added(hours) for group, hours in parts.items()}
