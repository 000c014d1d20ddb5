"""Loads the demo's past into the time-series store, through the same interface as live samples.

Owns which instants of the past were sampled (every 15 minutes, the last days every 5) and the way from the
plant's curves to batches. Samples that could not be heard are absent, as they would be. It may be run
again at any time: what is stored already is not made anew.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from api.demo.plant import DayCurves, Plant, exists, internal_temperature
from api.demo.weather import STEP_MINUTES, Floats
from store.periods import local_date, local_midnight
from store.samples import SAMPLE_SCHEMA
from store.series import SeriesStore

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

COARSE_NODES = 3
FINE_DAYS = 4
BATCH_DAYS = 5
_MIN_GAP = timedelta(minutes=STEP_MINUTES * COARSE_NODES)


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """Which part of the past to load: instants in (after, until], UTC."""

    after: datetime
    until: datetime


def load_history(plant: Plant, series: SeriesStore, until: datetime, progress: Progress) -> int:
    """Write every sample from the plant's epoch, or from the newest stored one, up to `until`.

    Returns the number of rows stored.
    """
    latest = series.latest(list(plant.index))
    newest = max((sample.time for sample in latest.values()), default=None)
    span = HistorySpan(newest or local_midnight(plant.epoch) - timedelta(seconds=1), until)
    if newest is not None and until - newest < _MIN_GAP:
        return 0
    first, last = local_date(span.after), local_date(until)
    days = [max(first, plant.epoch) + timedelta(days=n) for n in range((last - first).days + 1)]
    days = [day for day in days if day <= last]
    stored = 0
    for start in range(0, len(days), BATCH_DAYS):
        chunk = days[start : start + BATCH_DAYS]
        tables = [table for day in chunk for table in _day_tables(plant, day, span)]
        if tables:
            stored += series.write(pa.concat_tables(tables)).stored
        progress("历史数据", start + len(chunk), len(days))
    return stored


def _day_tables(plant: Plant, day: date, span: HistorySpan) -> Iterator[pa.Table]:
    """Return the samples of one day in the order of time; the last node of a day belongs to the next."""
    curves = plant.day(day)
    fine = (local_date(span.until) - day).days < FINE_DAYS
    nodes = np.arange(0, len(curves.power_w) - 1, 1 if fine else COARSE_NODES)
    midnight = local_midnight(day)
    times = np.datetime64(midnight.replace(tzinfo=None), "us") + nodes * np.timedelta64(STEP_MINUTES, "m")
    after = np.datetime64(span.after.replace(tzinfo=None), "us")
    until = np.datetime64(span.until.replace(tzinfo=None), "us")
    wanted = (times > after) & (times <= until)
    if wanted.any():
        yield _table(plant, curves, nodes[wanted], times[wanted])


def _table(
    plant: Plant, curves: DayCurves, nodes: NDArray[np.int64], times: NDArray[np.datetime64]
) -> pa.Table:
    present = np.array([exists(machine, curves.day) for machine in plant.machines])
    columns = np.flatnonzero(present)
    heard = ~curves.silent[np.ix_(nodes, columns)]
    row, column = np.nonzero(heard)
    device = columns[column]
    power = curves.power_w[np.ix_(nodes, columns)][heard]
    ambient = curves.ambient_c[np.ix_(nodes, columns)][heard]
    energy = curves.energy_wh[np.ix_(nodes, columns)][heard]
    state = curves.state[np.ix_(nodes, columns)][heard]
    meter = np.array([machine.is_meter for machine in plant.machines])[device]
    rated = np.array([machine.rated_power_w for machine in plant.machines], dtype=np.float64)[device]
    step = np.array([machine.resolution_wh for machine in plant.machines], dtype=np.int64)[device]
    counter = (energy // step).astype(np.int64) * step
    instants = pa.array(times[row], type=pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    load = np.maximum(power, 0) / rated
    known: dict[str, pa.Array] = {
        "device_id": pa.array([machine.device_id for machine in plant.machines]).take(pa.array(device)),
        "time": instants,
        "received_at": instants,
        "flags": pa.array(np.zeros(len(row), dtype=np.int32)),
        "active_power_w": pa.array(np.round(power)),
        "generated_energy_wh": pa.array(counter, mask=meter),
        "exported_energy_wh": pa.array(counter, mask=~meter),
        "dc_power_w": pa.array(np.round(power / 0.982), mask=meter),
        "internal_temperature_c": pa.array(_temperature(ambient, load), mask=meter),
        "state": pa.array(state.astype(np.int32), mask=meter),
    }
    arrays = [
        known[field.name] if field.name in known else pa.nulls(len(row), field.type)
        for field in SAMPLE_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=SAMPLE_SCHEMA)


def _temperature(ambient: Floats, load: Floats) -> Floats:
    return np.asarray(np.round(internal_temperature(ambient, load), 1), dtype=np.float64)
