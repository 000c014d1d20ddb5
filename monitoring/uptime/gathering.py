"""From the store to runs: samples of many devices read in slices of time and pressed at once.

Owns the reading. Memory holds one slice of samples, the runs of the whole period, and the mean output of
every device on an even grid.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitoring.sky.expected import median_of
from monitoring.sky.tracks import NOTHING, Floats, Outputs, Track, with_gaps
from monitoring.uptime.plants import COUNTER, IRRADIANCE, POWER, Machine
from monitoring.uptime.runs import (
    Batch,
    Integers,
    Reading,
    Runs,
    Stretches,
    finest_step_wh,
    joined,
    pressed,
    runs_of,
)
from monitoring.uptime.told import ALARMS, VOLTAGES, WITNESSES, Codes, Rows, idle_power_w, told
from store.series import SeriesStore

BEFORE = timedelta(hours=1)
SLOT = timedelta(minutes=15)
LONG_SLOT = timedelta(hours=1)
LONG_AFTER = timedelta(days=62)
BEST_OUTPUT_PERCENTILE = 99.5
ROWS_AT_ONCE = 800_000
LARGE_FLEET = 300
PROBE = timedelta(hours=1)
QUANTITIES = (POWER, COUNTER, "state", *VOLTAGES, *ALARMS)
_MICROSECOND = 1e-6


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything read of some machines over an interval.

    `stretches` of machine n lie at positions [bounds[n], bounds[n + 1]); `outputs` (machines, slots) are
    mean powers as fractions of rated power where the machine may be asked for the light, else NaN;
    `slots` are the beginnings of the slots [s since 1970].
    """

    machines: tuple[Machine, ...]
    interval: tuple[float, float]
    stretches: Stretches
    bounds: Integers
    slots: Floats
    outputs: Outputs
    finest_wh: Floats
    before: dict[str, Reading]
    after: dict[str, Reading]

    def runs(self, number: int) -> Runs:
        """Return the runs of one machine over the time in which it stood there."""
        machine = self.machines[number]
        interval = (
            datetime.fromtimestamp(self.interval[0], UTC),
            datetime.fromtimestamp(self.interval[1], UTC),
        )
        return runs_of(
            self.stretches.of(int(self.bounds[number]), int(self.bounds[number + 1])),
            machine.within(interval),
            cycle_s=machine.cycle_s,
            before=self.before.get(machine.device_id),
            after=self.after.get(machine.device_id),
        )


def _column(table: pa.Table, name: str) -> Floats | None:
    """Return a column as floats with NaN for what is missing, None where all of it is."""
    if name not in table.column_names:
        return None
    column = table.column(name)
    if column.null_count == table.num_rows:
        return None
    if pa.types.is_integer(column.type):
        column = column.cast(pa.float64(), safe=False)
    values: Floats = column.to_numpy()
    return values


def _epochs(table: pa.Table) -> Floats:
    times: Floats = table.column("time").cast(pa.int64()).to_numpy() * _MICROSECOND
    return times


def _bounds(table: pa.Table) -> tuple[list[str], Integers]:
    """Return which devices a table holds, in order, and where the rows of each begin (one more than them)."""
    ids = table.column("device_id").combine_chunks()
    encoded = pc.run_end_encode(ids, run_end_type=pa.int64())
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    ends = encoded.run_ends.to_numpy()
    return encoded.values.to_pylist(), np.concatenate([[0], ends]).astype(np.int64)


def _derived_power(counter: Floats, times: Floats, bounds: Integers) -> Floats:
    """Return the mean power [W] from each counter reading to the device's next, for devices without power."""
    power = np.full(len(times), np.nan)
    power[:-1] = np.diff(counter) / np.maximum(np.diff(times), 1e-6) * 3600
    lasts = bounds[1:] - 1
    power[lasts] = np.where(np.diff(bounds) > 1, power[np.maximum(lasts - 1, 0)], np.nan)
    return power


@dataclass(slots=True)
class _Reader:
    """Reads and presses slice after slice."""

    series: SeriesStore
    machines: Sequence[Machine]
    number: dict[str, int]
    slot_s: float
    start: float
    parts: list[Stretches]
    outputs: Outputs
    finest: Floats

    def take(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        names, bounds = _bounds(table)
        numbers = np.array([self.number[name] for name in names], np.int64)
        counts = np.diff(bounds)
        times = _epochs(table)
        counter = _column(table, COUNTER)
        counter = np.full(len(times), np.nan) if counter is None else counter
        power = self._power(table, counter, times, bounds)
        said = self._told(table, power, numbers, counts)
        cycles = np.array([self.machines[n].cycle_s for n in numbers])
        batch = Batch(bounds, numbers, cycles, times, said, counter)
        self.parts.append(pressed(batch))
        self.finest[numbers] = np.minimum(self.finest[numbers], finest_step_wh(batch))
        self._outputs(power, said, times, numbers, counts)

    def _power(self, table: pa.Table, counter: Floats, times: Floats, bounds: Integers) -> Floats:
        power = _column(table, POWER)
        missing = np.ones(len(times), bool) if power is None else np.isnan(power)
        if not missing.any() or np.isnan(counter).all():
            return np.full(len(times), np.nan) if power is None else power
        wholly = np.add.reduceat(missing, bounds[:-1]) == np.diff(bounds)
        if not wholly.any():
            return np.full(len(times), np.nan) if power is None else power
        derived = _derived_power(counter, times, bounds)
        chosen = np.repeat(wholly, np.diff(bounds))
        return np.where(chosen, derived, np.nan if power is None else power)

    def _told(self, table: pa.Table, power: Floats, numbers: Integers, counts: Integers) -> Codes:
        state = _column(table, "state")
        voltages = [column for name in VOLTAGES if (column := _column(table, name)) is not None]
        alarms = [column for name in ALARMS if (column := _column(table, name)) is not None]
        alarm = None
        for words in alarms:
            alarm = (words > 0) | (words < 0) if alarm is None else alarm | (words > 0) | (words < 0)
        idle = np.array([idle_power_w(self.machines[n].rated_power_w) for n in numbers])
        unknown = np.full(len(power), np.nan)
        return told(
            Rows(power, unknown if state is None else state, np.repeat(idle, counts), voltages, alarm)
        )

    def _outputs(
        self, power: Floats, said: Codes, times: Floats, numbers: Integers, counts: Integers
    ) -> None:
        """Add up the output of devices that may be asked for the light, slot by slot."""
        slot = np.floor((times - self.start) / self.slot_s).astype(np.int64)
        first, last = max(0, int(slot.min())), int(slot.max())
        width = last - first + 1
        asked = np.isin(said, WITNESSES) & (slot >= 0)
        if width <= 0 or not asked.any():
            return
        cells = (np.repeat(np.arange(len(numbers)), counts) * width + slot - first)[asked]
        size = len(numbers) * width
        sums = np.bincount(cells, power[asked], minlength=size).reshape(-1, width)
        seen = np.bincount(cells, minlength=size).reshape(-1, width)
        rated = np.array([max(1.0, self.machines[n].rated_power_w) for n in numbers])[:, None]
        means = np.where(seen > 0, sums / np.maximum(seen, 1) / rated, np.nan)
        width = min(width, self.outputs.shape[1] - first)
        known = ~np.isnan(means[:, :width])
        held = self.outputs[numbers, first : first + width]
        self.outputs[numbers, first : first + width] = np.where(known, means[:, :width], held)


def _slices(
    interval: tuple[datetime, datetime], machines: int, slot: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """Yield pieces of an interval, whole slots each, with so many rows as memory should hold at most."""
    minutes = max(1, ROWS_AT_ONCE // max(1, machines))
    width = max(1, timedelta(minutes=minutes) // slot) * slot
    begin = interval[0]
    while begin < interval[1]:
        end = min(begin + width, interval[1])
        yield begin, end
        begin = end


def _with_rated(
    series: SeriesStore, machines: Sequence[Machine], interval: tuple[datetime, datetime]
) -> tuple[Machine, ...]:
    """Return the machines, those of unknown rated power with their best output instead."""
    unknown = [one.device_id for one in machines if one.rated_power_w <= 0]
    if not unknown:
        return tuple(machines)
    best: dict[str, float] = {}
    table = series.downsample(unknown, interval, SLOT, {POWER: "max", COUNTER: "last"})
    for name, mine in _by_device(table):
        power = _column(mine, POWER)
        counter = _column(mine, COUNTER)
        if power is None and counter is not None and len(counter) > 1:
            power = np.diff(counter) / np.diff(_epochs(mine)) * 3600
        if power is not None and not np.isnan(power).all():
            best[name] = float(np.nanpercentile(power, BEST_OUTPUT_PERCENTILE))
    return tuple(
        one if one.rated_power_w > 0 else replace(one, rated_power_w=max(0.0, best.get(one.device_id, 0.0)))
        for one in machines
    )


def _by_device(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    if table.num_rows:
        names, bounds = _bounds(table)
        for position, name in enumerate(names):
            low, high = int(bounds[position]), int(bounds[position + 1])
            yield name, table.slice(low, high - low)


def gather(series: SeriesStore, machines: Sequence[Machine], interval: tuple[datetime, datetime]) -> Gathered:
    """Return what the store tells of some machines over an interval [UTC]."""
    start, end = interval
    slot = LONG_SLOT if end - start > LONG_AFTER else SLOT
    machines = _with_rated(series, machines, interval)
    ids = [machine.device_id for machine in machines]
    count = max(1, -(-(end - start) // slot))
    reader = _Reader(
        series,
        machines,
        {name: number for number, name in enumerate(ids)},
        slot.total_seconds(),
        start.timestamp(),
        [],
        np.full((len(ids), count), np.nan, np.float32),
        np.full(len(ids), np.inf),
    )
    quantities = _quantities(series, ids, interval)
    for begin, finish in [(start - BEFORE, start), *_slices(interval, len(ids), slot)]:
        reader.take(series.read(ids, begin, finish, quantities))
    stretches = joined(reader.parts)
    before, after = _readings(series, ids, interval)
    return Gathered(
        machines,
        (start.timestamp(), end.timestamp()),
        stretches,
        np.searchsorted(stretches.device, np.arange(len(ids) + 1)),
        start.timestamp() + reader.slot_s * np.arange(count, dtype=np.float64),
        reader.outputs,
        reader.finest,
        before,
        after,
    )


def _quantities(
    series: SeriesStore, ids: Sequence[str], interval: tuple[datetime, datetime]
) -> tuple[str, ...]:
    """Return the quantities worth reading: all of them, of a large fleet those that anybody measures.

    What a fleet measures is told by its newest samples and by those of three hours of the interval.
    """
    if len(ids) < LARGE_FLEET:
        return QUANTITIES
    seen = {name for sample in series.latest(ids).values() for name in sample.values}
    start, end = interval
    for begin in (start, start + (end - start) / 2, max(start, end - PROBE)):
        table = series.read(ids, begin, begin + PROBE, QUANTITIES)
        seen |= {name for name in QUANTITIES if table.column(name).null_count < table.num_rows}
    return tuple(name for name in QUANTITIES if name in seen or name in {POWER, COUNTER, "state"})


def _readings(
    series: SeriesStore, ids: Sequence[str], interval: tuple[datetime, datetime]
) -> tuple[dict[str, Reading], dict[str, Reading]]:
    """Return the counter's last reading before an interval and the first after it, by device."""
    before: dict[str, Reading] = {}
    after: dict[str, Reading] = {}
    for found, boundary, side in ((before, interval[0] - BEFORE, "before"), (after, interval[1], "after")):
        table = series.boundary_readings(ids, COUNTER, [boundary], "before" if side == "before" else "after")
        for row in table.to_pylist():
            time, value = row[f"{side}_time"], row[f"{side}_value"]
            if time is not None:
                found[row["device_id"]] = Reading(time.timestamp(), float(value))
    return before, after


def irradiance(series: SeriesStore, sensors: Sequence[str], interval: tuple[datetime, datetime]) -> Track:
    """Return the irradiance [W/m²] over an interval; of several sensors the median at each instant."""
    if not sensors:
        return NOTHING
    table = series.read(list(sensors), interval[0], interval[1], [IRRADIANCE])
    table = table.filter(pc.is_valid(table.column(IRRADIANCE)))
    tracks = [
        Track(_epochs(mine), np.asarray(_column(mine, IRRADIANCE))) for _name, mine in _by_device(table)
    ]
    if len(tracks) < 2:  # noqa: PLR2004, one sensor speaks for itself
        return tracks[0] if tracks else NOTHING
    times = np.unique(np.concatenate([track.times for track in tracks]))
    return Track(times, median_of(np.stack([with_gaps(track).at(times) for track in tracks])))
