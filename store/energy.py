"""Energy from cumulative counters: the only place that turns counters into Wh.

Owns daily, monthly and longer energy per device with completeness, method and the estimated share. What is
frozen of closed months is `store.freezing`'s and handed on here. What a step of a counter is worth is judged
in `store.counters`; sums of devices into stations are made above.

Every period is cut out of the judgement of its whole month (with three days on either side, or the nearest
reading beyond), so the days of a month add up to the month exactly, whoever asks for which.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from store.clean_counters import clean_steps, cut_clean
from store.counters import (
    DEFAULT_RATED_POWER_W,
    GAP,
    CounterEpoch,
    CounterLimits,
    Integers,
    Steps,
    judge,
    with_ends,
)
from store.cutting import (
    METHOD_LABELS,
    Cuts,
    DeviceEnergy,
    Method,
    Watch,
    combined,
    cut,
    microseconds,
    summed,
)
from store.freezing import (
    EnergyAdjustment,
    EnergyDecision,
    FrozenEnergy,
    adjustments,
    decide,
    decisions,
    freeze,
    frozen,
    frozen_months,
)
from store.periods import Period, PeriodKind
from store.series import CountedSeries, SeriesStore, Side

__all__ = [
    "METHOD_LABELS",
    "CounterEpoch",
    "DeviceEnergy",
    "EnergyAdjustment",
    "EnergyDecision",
    "EnergyQuestion",
    "FrozenEnergy",
    "Method",
    "adjustments",
    "answer",
    "combined",
    "decide",
    "decisions",
    "device_energy",
    "freeze",
    "frozen",
    "frozen_months",
    "integrated_energy",
    "summed",
    "witness_disagrees",
]

MARGIN = timedelta(days=3)
DEVICES_AT_ONCE = 64
ROWS_AT_ONCE = 3_000_000
FOREVER = np.iinfo(np.int64).max
_NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class EnergyQuestion:
    """What energy is asked for.

    `rated_power_w` and `moduli` [Wh] per device bound and unwrap the counters; `epochs` are known
    replacements. Completeness counts only up to `until` (an open period); a pause between readings longer
    than `gap` is a gap.
    """

    device_ids: Sequence[str]
    periods: Sequence[Period]
    quantity: str = "generated_energy_wh"
    rated_power_w: Mapping[str, int] = field(default_factory=dict)
    moduli: Mapping[str, int] = field(default_factory=dict)
    epochs: Sequence[CounterEpoch] = ()
    until: datetime | None = None
    gap: timedelta = GAP


def device_energy(
    store: SeriesStore,
    device_ids: Sequence[str],
    periods: Sequence[Period],
    quantity: str = "generated_energy_wh",
    rated_power_w: Mapping[str, int] | None = None,
) -> list[DeviceEnergy]:
    """Return the energy of every device in every period, device by device in the given order."""
    question = EnergyQuestion(device_ids, periods, quantity, rated_power_w or {})
    return answer(store, question)


def answer(store: SeriesStore, question: EnergyQuestion) -> list[DeviceEnergy]:
    """Return the energy of every device in every period of the question, in its order."""
    months = sorted({month for period in question.periods for month in _months_of(period)})
    found: dict[tuple[str, Period], DeviceEnergy] = {}
    for month in months:
        cuts = Cuts.of(_cuts(month, question.periods))
        doubtful = question
        if isinstance(store, CountedSeries) and question.gap >= GAP:
            clean = dict(_clean(store, store, question, (month, cuts)))
            for device_id, listed in clean.items():
                found |= {(device_id, p): energy for p, energy in zip(cuts.periods, listed, strict=True)}
            doubtful = replace(question, device_ids=[d for d in question.device_ids if d not in clean])
        for device_id, steps in _judged(store, doubtful, month):
            energies = cut(device_id, steps, cuts, _watch(question, device_id))
            for period, energy in zip(cuts.periods, energies, strict=True):
                found[device_id, period] = energy
    return [
        _composed(found, device_id, period)
        for device_id in question.device_ids
        for period in question.periods
    ]


def _clean(
    store: SeriesStore, counted: CountedSeries, question: EnergyQuestion, of: tuple[Period, Cuts]
) -> Iterator[tuple[str, list[DeviceEnergy]]]:
    """Yield the energies of the devices whose counters are proved clean by what the store has summed up."""
    month, cuts = of
    replaced = {epoch.device_id for epoch in question.epochs}
    ids = [device_id for device_id in dict.fromkeys(question.device_ids) if device_id not in replaced]
    start, end = month.start_utc - MARGIN, month.end_utc + MARGIN
    runs = counted.counter_runs(ids, question.quantity, start, end)
    place = {device_id: number for number, device_id in enumerate(ids)}
    before = np.full(len(ids), FOREVER)
    after = np.full(len(ids), -1)
    np.minimum.at(before, runs.device, runs.start)
    np.maximum.at(after, runs.device, runs.finish)
    early = [d for d in ids if before[place[d]] >= microseconds(month.start_utc)]
    late = [d for d in ids if after[place[d]] < microseconds(month.end_utc)]
    beyond = [
        {place[d]: (int(times[0]), int(values[0])) for d, (times, values) in found.items()}
        for found in (
            _beyond(store, early, (question.quantity, start), "before"),
            _beyond(store, late, (question.quantity, end), "after"),
        )
    ]
    rated = np.array([question.rated_power_w.get(device_id, 0) for device_id in ids], np.int64)
    steps = clean_steps(runs, beyond, rated)
    names = [ids[number] for number in steps.places]
    watches = [_watch(question, name) for name in names]
    yield from zip(names, cut_clean(steps, names, cuts, watches), strict=True)


def _watch(question: EnergyQuestion, device_id: str) -> Watch:
    return Watch(question.rated_power_w.get(device_id, 0), question.until, question.gap)


def _months_of(period: Period) -> list[Period]:
    if period.kind in {PeriodKind.DAY, PeriodKind.MONTH}:
        return [Period.month_of(period.start)]
    return list(period.months())


def _cuts(month: Period, periods: Sequence[Period]) -> list[Period]:
    """Return the periods to cut out of one month: the wanted days, and the month itself where wanted."""
    days = [p for p in periods if p.kind is PeriodKind.DAY and month.contains(p.start)]
    whole = any(p.kind is not PeriodKind.DAY and p.start <= month.start < p.end for p in periods)
    return [*dict.fromkeys(days), *([month] if whole else [])]


def _composed(
    found: Mapping[tuple[str, Period], DeviceEnergy], device_id: str, period: Period
) -> DeviceEnergy:
    if period.kind in {PeriodKind.DAY, PeriodKind.MONTH}:
        return found[device_id, period]
    parts = [(found[device_id, month], month.day_count) for month in period.months()]
    return combined(device_id, str(period), parts)


# Reading and judging


def _judged(store: SeriesStore, question: EnergyQuestion, month: Period) -> Iterator[tuple[str, Steps]]:
    """Yield every device with the believed steps of its counter around a month."""
    epochs: dict[str, list[tuple[int, CounterEpoch]]] = {}
    for epoch in sorted(question.epochs, key=lambda item: item.start):
        epochs.setdefault(epoch.device_id, []).append((microseconds(epoch.start), epoch))
    waiting = list(dict.fromkeys(question.device_ids))
    span = (microseconds(month.start_utc), microseconds(month.end_utc))
    count = DEVICES_AT_ONCE
    while waiting:
        chosen, waiting = waiting[:count], waiting[count:]
        rows = 0
        for device_id, *found in _readings(store, chosen, question, month):
            rows += len(found[0])
            limits = CounterLimits(
                question.rated_power_w.get(device_id) or DEFAULT_RATED_POWER_W, question.moduli.get(device_id)
            )
            (times, values), known = with_ends(
                (found[0], found[1]), epochs.get(device_id, ()), span, limits.rated_power_w
            )
            yield device_id, judge(times, values, limits, known)
        count = max(DEVICES_AT_ONCE, min(1000, ROWS_AT_ONCE * len(chosen) // max(1, rows)))


def _readings(
    store: SeriesStore, ids: Sequence[str], question: EnergyQuestion, month: Period
) -> Iterator[tuple[str, Integers, Integers]]:
    """Yield per device the times [us] and readings [Wh] around a month, with the nearest ones beyond."""
    start, end = month.start_utc - MARGIN, month.end_utc + MARGIN
    table = store.read(ids, start, end, [question.quantity])
    table = table.filter(pc.is_valid(table.column(question.quantity)))
    series = dict(_by_device(table, question.quantity))
    empty = (_NOTHING, _NOTHING)
    inside = (microseconds(month.start_utc), microseconds(month.end_utc))
    no_before = [d for d in ids if not (series.get(d, empty)[0] < inside[0]).any()]
    no_after = [d for d in ids if not (series.get(d, empty)[0] >= inside[1]).any()]
    before = _beyond(store, no_before, (question.quantity, start), "before")
    after = _beyond(store, no_after, (question.quantity, end), "after")
    for device_id in ids:
        pieces = [before.get(device_id, empty), series.get(device_id, empty), after.get(device_id, empty)]
        yield (
            device_id,
            np.concatenate([piece[0] for piece in pieces]),
            np.concatenate([piece[1] for piece in pieces]),
        )


def _by_device(table: pa.Table, quantity: str) -> Iterator[tuple[str, tuple[Integers, Integers]]]:
    if not table.num_rows:
        return
    times = table.column("time").cast(pa.int64()).to_numpy()
    values = table.column(quantity).to_numpy()
    runs = pc.run_end_encode(table.column("device_id").combine_chunks(), run_end_type=pa.int64())
    if isinstance(runs, pa.ChunkedArray):
        runs = runs.combine_chunks()
    low = 0
    for device_id, high in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield device_id, (times[low:high], values[low:high])
        low = high


def _beyond(
    store: SeriesStore, ids: Sequence[str], edge: tuple[str, datetime], side: Side
) -> dict[str, tuple[Integers, Integers]]:
    if not ids:
        return {}
    rows = store.boundary_readings(ids, edge[0], [edge[1]], side).to_pylist()
    return {
        row["device_id"]: (np.array([microseconds(row[f"{side}_time"])]), np.array([row[f"{side}_value"]]))
        for row in rows
        if row[f"{side}_value"] is not None
    }


# The second witness


def integrated_energy(
    store: SeriesStore, device_ids: Sequence[str], period: Period, step: timedelta = timedelta(minutes=15)
) -> dict[str, int]:
    """Return the energy [Wh] per device from mean active power over the steps that have a sample.

    It misses what happened while nothing was received, and is evidence only, never the figure itself.
    """
    interval = (period.start_utc, period.end_utc)
    table = store.downsample(device_ids, interval, step, {"active_power_w": "mean"})
    sums = table.group_by("device_id").aggregate([("active_power_w", "sum")]).to_pylist()
    hours = step / timedelta(hours=1)
    return {row["device_id"]: round((row["active_power_w_sum"] or 0) * hours) for row in sums}


def witness_disagrees(energy: DeviceEnergy, integrated_wh: int, percent: int = 5) -> bool:
    """Tell whether integrated power contradicts the counter by more than `percent` of the energy.

    Power can miss energy over gaps, so a shortfall counts only where the period was watched completely.
    """
    if energy.energy_wh is None:
        return False
    missing = 1.0 - energy.completeness
    low = energy.energy_wh * (100 - percent) / 100 - energy.energy_wh * missing
    high = energy.energy_wh * (100 + percent) / 100
    return not low <= integrated_wh <= max(high, 1000)
