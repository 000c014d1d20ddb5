"""A device's samples pressed into runs: stretches in which it says one thing, and the gaps between them.

Pure and vectorised over all devices of a batch. Owns what a sample speaks for: its own usual step, up to
the next sample, and where a gap begins. A month of a device shrinks to some hundred runs, on which all that
follows is done, so that the sampling step does not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from monitoring.sky.tracks import Floats
from monitoring.uptime.told import Codes, Told

Integers = NDArray[np.int64]

HOLD_STEPS = 1.5
UNEVEN = 0.25
NEARLY_WHOLE, MOSTLY = 0.1, 0.9
ROWS_AT_LEAST = 5
STEPS_LOOKED_AT = 64
ROWS_OF_A_DAY = 48
DAY_S, DAY_BEGINS_EARLIER_S = 86_400.0, 8 * 3600.0
"""Length of a day, and how much earlier than in UTC it begins in Asia/Shanghai."""
DEFAULT_STEP_S = 900.0


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches of samples that say the same, of many devices: every array has the shape (stretches,).

    `device` is a number; `first` and `last` the times of the first and last sample [s since 1970];
    `first_wh` and `last_wh` the counter there [Wh] or NaN; `step` the device's usual step [s] and `hold`
    how far apart two samples may be before there is a gap [s], NaN where too few samples tell.
    """

    device: Integers
    first: Floats
    last: Floats
    told: Codes
    first_wh: Floats
    last_wh: Floats
    step: Floats
    hold: Floats

    def of(self, low: int, high: int) -> "Stretches":
        """Return the stretches of positions [low, high)."""
        return Stretches(*(getattr(self, item.name)[low:high] for item in fields(self)))


def joined(parts: Sequence[Stretches]) -> Stretches:
    """Return all stretches ordered by device and time; `parts` follow each other in time."""
    if not parts:
        nothing = np.empty(0)
        codes = np.empty(0, np.int8)
        return Stretches(np.empty(0, np.int64), nothing, nothing, codes, nothing, nothing, nothing, nothing)
    device = np.concatenate([part.device for part in parts])
    order = np.argsort(device, kind="stable")
    columns = [np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Stretches)]
    return Stretches(*(column[order] for column in columns))


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of many devices, ordered by device and time.

    `bounds` (devices + 1) are the positions at which each device's rows begin, `numbers` (devices) their
    numbers and `cycles` (devices) their registered cycles [s] or 0; the rest has the shape (rows,).
    """

    bounds: Integers
    numbers: Integers
    cycles: Floats
    times: Floats
    told: Codes
    counter: Floats


def steps_of(batch: Batch) -> tuple[Floats, Floats]:
    """Return each device's usual step and the longest pause that is no gap [s], shape (devices,).

    The step is the median of some of its steps, or its registered cycle where it is seen to keep it now and
    then. Where the steps are uneven by nature, the pause may be as long as nine in ten of them allow.
    """
    counts = np.diff(batch.bounds)
    step, hold = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    enough = counts >= ROWS_AT_LEAST
    if not enough.any():
        return step, hold
    share = np.linspace(0, 1, STEPS_LOOKED_AT)
    picked = batch.bounds[:-1][enough, None] + np.round((counts[enough, None] - 2) * share).astype(np.int64)
    found = np.sort(batch.times[picked + 1] - batch.times[picked], axis=1)
    low, middle, high, most = (found[:, int(part * (STEPS_LOOKED_AT - 1))] for part in (0.25, 0.5, 0.75, 0.9))
    cycles = batch.cycles[enough]
    kept = (cycles > 0) & (found[:, 0] <= HOLD_STEPS * cycles) & (middle >= cycles)
    even = kept | (high - low <= UNEVEN * middle)
    at_cycle = np.where(low <= HOLD_STEPS * cycles, np.maximum(cycles, low), cycles)
    ratios = found / np.maximum(low, 1e-6)[:, None]
    # Rows lost from an even grid leave steps that are multiples of it; uneven stamps do not.
    lossy = ~even & ((np.abs(ratios - np.round(ratios)) <= NEARLY_WHOLE).mean(axis=1) >= MOSTLY)
    step[enough] = np.where(kept, at_cycle, np.where(lossy, low, middle))
    even |= lossy
    hold[enough] = HOLD_STEPS * np.where(even, step[enough], np.maximum(middle, most))
    return step, hold


def _filled(counter: Floats, starts: Integers) -> Floats:
    """Return the counter with each hole filled by the device's last value before it."""
    known = ~np.isnan(counter)
    if known.all() or not known.any():
        return counter
    rows = np.arange(len(counter))
    last = np.maximum.accumulate(np.where(known, rows, -1))
    filled: Floats = np.where(last >= starts, counter[np.maximum(last, 0)], np.nan)
    return filled


def pressed(batch: Batch) -> Stretches:
    """Return a batch as stretches: cut where the device, what it says, or the link changes."""
    count = len(batch.times)
    if not count:
        return joined([])
    counts = np.diff(batch.bounds)
    owner = np.repeat(np.arange(len(counts)), counts)
    step, hold = _steps_by_row(batch, owner)
    cut = np.empty(count, bool)
    cut[0] = True
    cut[1:] = batch.told[1:] != batch.told[:-1]
    # Where too few samples tell the step, every one stands for itself until the others are joined.
    pause = np.nan_to_num(hold, nan=0.0)
    cut[1:] |= np.diff(batch.times) > pause[1:]
    cut[batch.bounds[:-1][counts > 0]] = True
    begins = np.flatnonzero(cut)
    ends = np.append(begins[1:], count) - 1
    device = owner[begins]
    counter = _filled(batch.counter, np.repeat(batch.bounds[:-1], counts))
    return Stretches(
        batch.numbers[device],
        batch.times[begins],
        batch.times[ends],
        batch.told[begins],
        counter[begins],
        counter[ends],
        step[begins],
        hold[begins],
    )


def _steps_by_row(batch: Batch, owner: Integers) -> tuple[Floats, Floats]:
    """Return step and hold of each row [s], shape (rows,): those of its day, or of its device.

    A device's rhythm may change: history that was taken over at a quarter of an hour is no lossy record of
    a device that is asked every minute now. A day with few rows says nothing of its own.
    """
    step, hold = (found[owner] for found in steps_of(batch))
    days = np.floor_divide(batch.times + DAY_BEGINS_EARLIER_S, DAY_S)
    begins = np.flatnonzero(np.append(True, (np.diff(days) != 0) | (np.diff(owner) != 0)))
    counts = np.diff(np.append(begins, len(days)))
    if len(begins) == len(batch.numbers):
        return step, hold
    first = owner[begins]
    whole_days = replace(
        batch,
        bounds=np.append(begins, len(days)),
        numbers=batch.numbers[first],
        cycles=batch.cycles[first],
    )
    own_step, own_hold = (np.repeat(found, counts) for found in steps_of(whole_days))
    own = np.repeat(counts >= ROWS_OF_A_DAY, counts) & ~np.isnan(own_step)
    return np.where(own, own_step, step), np.where(own, own_hold, hold)


def finest_step_wh(batch: Batch) -> Floats:
    """Return the smallest gain of each device's counter [Wh], shape (devices,), infinite where none is seen.

    It is what the counter can tell apart.
    """
    gains = np.full(len(batch.times), np.inf)
    gained = np.diff(batch.counter)
    gains[1:] = np.where(gained > 0, gained, np.inf)
    begins = batch.bounds[:-1]
    filled = np.diff(batch.bounds) > 0
    gains[begins[filled]] = np.inf
    finest = np.full(len(begins), np.inf)
    if filled.any():
        finest[filled] = np.minimum.reduceat(gains, begins[filled])
    return finest


@dataclass(frozen=True, slots=True)
class Runs:
    """One device over a period: runs that follow each other without a hole, shape (runs,).

    `edges` (runs + 1) [s since 1970]; `told` what it says, MISSING in a gap; `first` and `last` the times of
    the samples on both sides of what happened, `first_wh` and `last_wh` the counter there [Wh] or NaN.
    """

    edges: Floats
    told: Codes
    first: Floats
    last: Floats
    first_wh: Floats
    last_wh: Floats


@dataclass(frozen=True, slots=True)
class Reading:
    """A counter reading outside the period: its time [s since 1970] and value [Wh]."""

    time: float
    value_wh: float


def _steps_known(found: Stretches, cycle_s: float) -> tuple[Floats, Floats]:
    """Return step and hold of each stretch, the device's usual ones where a stretch knows none."""
    known = ~np.isnan(found.step)
    usual = float(np.median(found.step[known])) if known.any() else cycle_s
    pauses = found.last - found.first
    if usual <= 0:
        usual = DEFAULT_STEP_S if not len(pauses) or pauses.max() <= 0 else min(DEFAULT_STEP_S, pauses.max())
    step = np.where(known, found.step, usual)
    return step, np.where(known, found.hold, HOLD_STEPS * usual)


def runs_of(
    found: Stretches,
    interval: tuple[float, float],
    *,
    cycle_s: float = 0.0,
    before: Reading | None = None,
    after: Reading | None = None,
) -> Runs:
    """Return one device's stretches as runs over an interval [s since 1970], gaps between them.

    `before` and `after` are the counter's readings around the interval, which tell what a gap at its limits
    was.
    """
    start, end = interval
    step, hold = _steps_known(found, cycle_s)
    ends = np.append(found.first[1:], end)[: len(found.first)]
    pause = np.maximum(hold, np.append(hold[1:], 0.0)[: len(hold)])
    own_ends = np.where(ends - found.last > pause, np.minimum(found.last + step, ends), ends)
    gap = own_ends < ends
    ahead, behind = _known_before(found, before), _known_after(found, after)
    place = np.arange(len(ends)) + np.cumsum(gap) - gap
    columns = np.empty((len(ends) + int(gap.sum()), 7))
    columns[place] = np.column_stack(
        [found.first, own_ends, found.told, found.first, found.last, found.first_wh, found.last_wh]
    )
    columns[place[gap] + 1] = np.column_stack(
        [
            own_ends[gap],
            ends[gap],
            np.full(int(gap.sum()), float(Told.MISSING)),
            ahead[0][1:][gap],
            behind[0][1:][gap],
            ahead[1][1:][gap],
            behind[1][1:][gap],
        ]
    )
    first = float(found.first[0]) if len(ends) else end
    if first > start:
        row = [start, first, Told.MISSING, ahead[0][0], behind[0][0], ahead[1][0], behind[1][0]]
        columns = np.vstack([np.array([row], np.float64), columns])
    return _clipped(columns, start, end)


def _known_before(found: Stretches, before: Reading | None) -> tuple[Floats, Floats]:
    """Return time and value of the last counter reading up to each stretch's end; 0 is before all."""
    times = np.append(np.nan if before is None else before.time, found.last)
    values = np.append(np.nan if before is None else before.value_wh, found.last_wh)
    known = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    return times[known], values[known]


def _known_after(found: Stretches, after: Reading | None) -> tuple[Floats, Floats]:
    """Return time and value of the first counter reading from each stretch on; the last is after all."""
    times = np.append(found.first, np.nan if after is None else after.time)
    values = np.append(found.first_wh, np.nan if after is None else after.value_wh)
    last = len(values) - 1
    back = np.where(np.isnan(values), last, np.arange(len(values)))
    known = np.minimum.accumulate(back[::-1])[::-1]
    return times[known], values[known]


def _clipped(columns: Floats, start: float, end: float) -> Runs:
    """Return rows of (from, to, told, first, last, first_wh, last_wh) as runs inside [start, end)."""
    inside = columns[(columns[:, 1] > start) & (columns[:, 0] < end) & (columns[:, 1] > columns[:, 0])]
    edges = np.append(inside[:, 0], inside[-1, 1] if len(inside) else start)
    told = inside[:, 2].astype(np.int8)
    return Runs(np.clip(edges, start, end), told, inside[:, 3], inside[:, 4], inside[:, 5], inside[:, 6])
