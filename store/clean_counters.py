"""Energy of counters that nothing is wrong with, for all devices at once.

Owns the proof that a counter is clean, from its runs (`store.runs`), and the cutting of many clean counters
by arrays. What it answers is to the watt-hour, flag and completeness what `store.counters.judge` and
`store.cutting.cut` say of the same readings one by one; a counter that it cannot prove clean it leaves to
them. Pure numpy and integers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from store.counters import (
    DEFAULT_RATED_POWER_W,
    Integers,
    daylight_weight,
    speed_limit,
    standstill,
)
from store.cutting import Cuts, DeviceEnergy, Method, Watch, microseconds, unsupported
from store.quality import Flag
from store.runs import Runs

Truths = npt.NDArray[np.bool_]
Nearest = Mapping[int, tuple[int, int]]
"""Time [us] and value [Wh] of a lone reading, by the place of its device."""


@dataclass(frozen=True, slots=True)
class CleanSteps:
    """Steps of clean counters, ordered by device and time; each array of shape (steps,).

    `device` is a place in `offsets`, whose entries say where each device's steps begin (and the last where
    they end); `places` are the devices' places in the question. `run` marks the steps that stand for a run,
    which was watched all through.
    """

    places: Integers
    offsets: Integers
    device: Integers
    start: Integers
    end: Integers
    energy: Integers
    run: Truths


def clean_steps(runs: Runs, beyond: Sequence[Nearest], rated_power_w: Integers) -> CleanSteps:
    """Return the steps of those devices whose counters are proved clean by their runs.

    `beyond` holds the nearest readings before and after the runs, `rated_power_w` [W] of every device (0 is
    unknown). A step inside a run is believed if the largest of the run's is no more than what is believed of
    a step that takes no time; a step between runs is judged as it is.
    """
    rated = np.where(rated_power_w > 0, rated_power_w, DEFAULT_RATED_POWER_W)
    device, time, value, opens, sound = _points(runs, beyond, rated)
    count = np.bincount(device, minlength=len(rated))
    step_device = device[1:]
    inside = device[1:] == device[:-1]
    start, end, energy, run = time[:-1], time[1:], np.diff(value), opens[:-1]
    limit = speed_limit(start, end, rated[step_device])
    good = ~inside | ((energy >= 0) & (end > start) & (run | (energy <= limit)))
    clean = count >= 2  # noqa: PLR2004, one reading makes no step
    clean[device[~sound]] = False
    clean[step_device[~good]] = False
    kept = inside & clean[step_device]
    places = np.flatnonzero(clean)
    renumbered = np.cumsum(clean) - 1
    owner = renumbered[step_device[kept]]
    offsets = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=len(places)))))
    return CleanSteps(places, offsets, owner, start[kept], end[kept], energy[kept], run[kept])


def _points(
    runs: Runs, beyond: Sequence[Nearest], rated: Integers
) -> tuple[Integers, Integers, Integers, Truths, Truths]:
    """Return device, time, value of first and last readings of runs and of lone readings, ordered.

    Also whether the step from a point is a run, and whether the point is sound.
    """
    long = runs.finish > runs.start
    sound = (runs.clean > 0) & (runs.largest <= np.maximum(2000, rated[runs.device] // 5))
    lone = [(place, *reading) for nearest in beyond for place, reading in nearest.items()]
    extra = np.array(lone, np.int64).reshape(-1, 3)
    device = np.concatenate((runs.device, runs.device[long], extra[:, 0]))
    time = np.concatenate((runs.start, runs.finish[long], extra[:, 1]))
    value = np.concatenate((runs.first, runs.last[long], extra[:, 2]))
    no = np.zeros(int(long.sum()) + len(extra), np.bool_)
    opens = np.concatenate((long, no))
    good = np.concatenate((sound, ~no[: int(long.sum())], extra[:, 2] > 0))
    order = np.lexsort((time, device))
    return device[order], time[order], value[order], opens[order], good[order]


@dataclass(frozen=True, slots=True)
class _Edge:
    """Cumulative figures of every device at one edge; each array of shape (devices,).

    `energy` [Wh] and `covered` weight before it, `before` and `begun` steps that ended or began by then, the
    step that it `split`s (or -1), the `part` [Wh] of that step before it, and whether that step is a gap.
    """

    energy: Integers
    covered: Integers
    before: Integers
    begun: Integers
    split: Integers
    part: Integers
    gap: Truths


def cut_clean(
    steps: CleanSteps, names: Sequence[str], cuts: Cuts, watches: Sequence[Watch]
) -> Iterator[list[DeviceEnergy]]:
    """Yield per clean device the energy of each period; `names` and `watches` belong to `steps.places`."""
    if not len(steps.places):
        return
    weights = daylight_weight(steps.start), daylight_weight(steps.end)
    rated = np.array([watch.rated_power_w for watch in watches], np.int64)
    gap = watches[0].gap // timedelta(microseconds=1)
    still = np.array([standstill(int(watch.rated_power_w)) for watch in watches], np.int64)
    short = steps.end - steps.start <= gap
    covered = steps.run | short | (steps.energy <= still[steps.device])
    sums = _Sums(
        np.concatenate(([0], np.cumsum(steps.energy))),
        np.concatenate(([0], np.cumsum((weights[1] - weights[0]) * covered))),
        np.concatenate(([0], np.cumsum(~covered))),
    )
    long = ~short & ~steps.run
    edges = [
        _edge(steps, weights, (covered, long), sums, (int(edge), weight))
        for edge, weight in zip(cuts.edges.tolist(), cuts.weights, strict=True)
    ]
    limits = _limits(steps, cuts, watches[0])
    columns = [
        _period(edges[span[0]], edges[span[1]], sums, (cuts.weights[span[0]], cuts.weights[span[1]], *limits))
        for span in cuts.spans
    ]
    for place, name in enumerate(names):
        yield [
            _energy(
                name,
                period_name,
                rows[place],
                unsupported(int(rated[place]), period),
            )
            for rows, period_name, period in zip(columns, cuts.names, cuts.periods, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Sums:
    """Cumulative energy, covered weight and uncovered steps over all steps, each of shape (steps + 1,)."""

    energy: Integers
    covered: Integers
    open: Integers


def _edge(
    steps: CleanSteps,
    weights: tuple[Integers, Integers],
    marks: tuple[Truths, Truths],
    sums: _Sums,
    edge: tuple[int, int],
) -> _Edge:
    begin, finish = steps.offsets[:-1], steps.offsets[1:]
    before = begin + np.add.reduceat((steps.end <= edge[0]).astype(np.int64), begin)
    begun = begin + np.add.reduceat((steps.start < edge[0]).astype(np.int64), begin)
    at = np.minimum(before, finish - 1)
    split = (before < finish) & (steps.start[at] < edge[0])
    part = np.zeros(len(begin), np.int64)
    for place in np.flatnonzero(split & (steps.energy[at] != 0)).tolist():
        step = int(at[place])
        low, high = int(weights[0][step]), int(weights[1][step])
        energy, start, end = int(steps.energy[step]), int(steps.start[step]), int(steps.end[step])
        # Python's integers: the product is larger than what 64 bits hold.
        part[place] = (
            energy * (edge[1] - low) // (high - low)
            if high > low
            else energy * (edge[0] - start) // (end - start)
        )
    inside = np.where(split & marks[0][at], edge[1] - weights[0][at], 0)
    return _Edge(
        sums.energy[before] - sums.energy[begin] + part,
        sums.covered[before] - sums.covered[begin] + inside,
        before,
        begun,
        np.where(split, before, -1),
        part,
        split & marks[1][at],
    )


def _limits(steps: CleanSteps, cuts: Cuts, watch: Watch) -> tuple[Integers, Integers, Integers]:
    """Return per device the daylight weights at its first and last reading, and up to where it counts."""
    begin, end = steps.start[steps.offsets[:-1]], steps.end[steps.offsets[1:] - 1]
    until = np.full(len(begin), int(cuts.edges[-1]))
    if watch.until is not None:
        until = np.full(len(begin), microseconds(watch.until))
        # A device that reported just now owes nothing yet.
        lately = (until - watch.gap // timedelta(microseconds=1) <= end) & (end <= until)
        until = np.where(lately, end, until)
    return daylight_weight(begin), daylight_weight(end), daylight_weight(until)


def _period(
    low: _Edge, high: _Edge, sums: _Sums, known: tuple[int, int, Integers, Integers, Integers]
) -> list[list[int]]:
    """Return figures of one period for every device: any, energy, share, seen, weight, partial, open."""
    from_weight, until_weight, begin, end, until = known
    same = (low.split == high.split) & (low.split >= 0)
    apart = np.where(low.gap, (sums.energy[low.split + 1] - sums.energy[low.split]) - low.part, 0)
    share = np.where(
        same, np.where(low.gap, high.part - low.part, 0), apart + np.where(high.gap, high.part, 0)
    )
    weight = np.maximum(0, np.minimum(until_weight, until) - from_weight)
    partial = np.minimum(until_weight, end) - np.maximum(from_weight, begin) < weight
    first, last = low.before, np.maximum(low.before, high.begun)
    figures = (
        high.begun > low.before,
        high.energy - low.energy,
        share,
        high.covered - low.covered,
        weight,
        partial,
        sums.open[last] > sums.open[first],
    )
    return [list(row) for row in zip(*(figure.tolist() for figure in figures), strict=True)]


def _energy(device_id: str, period: str, figures: Sequence[int], most_wh: int) -> DeviceEnergy:
    found, energy, share, seen, weight, partial, unwatched = figures
    if not found:
        return DeviceEnergy(device_id, period, None, 0.0, Method.NONE, 0, int(Flag.GAP))
    flags = int(Flag.GAP) if unwatched or seen < weight else 0
    if most_wh and 10 * energy > most_wh:
        flags |= Flag.UNSUPPORTED
    method = Method.COUNTER_GAP if flags & Flag.GAP else Method.COUNTER
    if partial or share:
        method = Method.PARTIAL if partial else Method.GAP_SPLIT
    completeness = min(1.0, seen / weight) if weight else 1.0
    return DeviceEnergy(device_id, period, energy, completeness, method, share, flags)
