"""Cumulative counters: which readings to believe, and what they say between any two instants.

Owns the judgement of one device's counter: glitches and zero readings are left out, a restart opens a new
epoch, a step faster than the device can produce is not credited. Pure: numpy and integers only, no store.
All energy is exact integer Wh; all times are microseconds since 1970 (UTC).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from store.quality import Flag

Integers = npt.NDArray[np.int64]

MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
SHANGHAI_OFFSET = 8 * HOUR

DEFAULT_RATED_POWER_W = 1_000_000
GAP = timedelta(minutes=35)
_LIGHT_FROM, _LIGHT_UNTIL = 4 * HOUR + HOUR // 2, 22 * HOUR + HOUR // 2
_FULL_HOURS_A_DAY = 12
_WEIGHT_FROM_S, _WEIGHT_SPAN_S = 6 * 3600, 14 * 3600
DAY_WEIGHT = _WEIGHT_SPAN_S**3
_WEIGHT_ORIGIN = 10_957 * DAY - SHANGHAI_OFFSET  # midnight of 2000-01-01 in Asia/Shanghai
_EPOCH_PENALTY = 7
_NEIGHBOURS = 4
_MANY_BREAKS = 150
_DISPLAYED_WH = 1000
"""What a display leaves out of a reading that somebody writes down [Wh]."""


@dataclass(frozen=True, slots=True)
class CounterEpoch:
    """From `start` [UTC] on the device's counter is another one: it was replaced, or its board was.

    `last_reading_wh` is what the old counter showed when it was removed, `first_reading_wh` what the new
    one showed when it was fitted; None where nobody wrote it down.
    """

    device_id: str
    start: datetime
    first_reading_wh: int | None = None
    last_reading_wh: int | None = None


@dataclass(frozen=True, slots=True)
class CounterLimits:
    """What a counter can do: rated power [W] bounds its speed, `modulus_wh` is where it wraps (or None)."""

    rated_power_w: int = DEFAULT_RATED_POWER_W
    modulus_wh: int | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """Believed steps of one counter, in order of time, each array of shape (steps,).

    `start`, `end` [us]; `energy` [Wh]; `known` says that readings vouch for the energy; `flags` per step;
    `dropped` [us] and `dropped_flags` are the readings that were left out.
    """

    start: Integers
    end: Integers
    energy: Integers
    known: npt.NDArray[np.bool_]
    flags: Integers
    dropped: Integers
    dropped_flags: Integers


def speed_limit(start: Integers, end: Integers, rated_power_w: int | Integers) -> Integers:
    """Return the most energy [Wh] that a device can produce from `start` to `end` [us].

    110 % of rated power in the hours that can have light anywhere in China, at most 12 a day, plus the
    coarseness of counters (2 kWh, or a fifth of an hour at rated power).
    """
    light = _light(end) - _light(start)
    days = (end - start) // DAY + 1
    seconds = np.minimum(light, days * _FULL_HOURS_A_DAY * HOUR) // SECOND
    limit: Integers = 11 * rated_power_w * seconds // 36_000 + np.maximum(2000, rated_power_w // 5)
    return limit


def _light(times: Integers) -> Integers:
    """Return the cumulative time that may have light [us] up to each instant."""
    local = times + SHANGHAI_OFFSET
    inside = np.minimum(np.maximum(local % DAY, _LIGHT_FROM), _LIGHT_UNTIL) - _LIGHT_FROM
    cumulated: Integers = local // DAY * (_LIGHT_UNTIL - _LIGHT_FROM) + inside
    return cumulated


def daylight_weight(times: Integers) -> Integers:
    """Return the cumulative weight of an ordinary day's production up to each instant [us].

    A day's curve is the parabola from 06:00 to 20:00 in Asia/Shanghai, in exact integers; a whole day
    weighs DAY_WEIGHT. It is the stated rule by which energy that arrived over a gap is attributed.
    """
    seconds = (times - _WEIGHT_ORIGIN) // SECOND
    inside = np.minimum(np.maximum(seconds % 86_400 - _WEIGHT_FROM_S, 0), _WEIGHT_SPAN_S)
    weight: Integers = seconds // 86_400 * DAY_WEIGHT + inside * inside * (3 * _WEIGHT_SPAN_S - 2 * inside)
    return weight


def judge(
    times: Integers, values: Integers, limits: CounterLimits, epochs: Sequence[tuple[int, CounterEpoch]] = ()
) -> Steps:
    """Return the believed steps between readings of one device, ordered by time, one reading an instant.

    `epochs` are known replacements with their start [us], ordered.
    """
    if not epochs:
        return _judge_epoch(times, values, limits)[0]
    parts: list[Steps] = []
    edges: list[tuple[int, int] | None] = []
    cuts = [0, *(int(np.searchsorted(times, start)) for start, _ in epochs), len(times)]
    for low, high in itertools.pairwise(cuts):
        steps, ends = _judge_epoch(times[low:high], values[low:high], limits)
        parts.append(steps)
        edges.append(None if ends is None else (low + ends[0], low + ends[1]))
    for number, (_, epoch) in enumerate(epochs):
        before = next((edge for edge in reversed(edges[: number + 1]) if edge is not None), None)
        after = edges[number + 1]
        if before is not None and after is not None:
            parts.append(_replacement(times, values, (before[1], after[0]), (limits, epoch)))
    return _joined(parts)


Readings = tuple[Integers, Integers]
"""Times [us] and values [Wh] of one counter."""


def with_ends(
    readings: Readings,
    epochs: Sequence[tuple[int, CounterEpoch]],
    span: tuple[int, int],
    rated_power_w: int,
) -> tuple[Readings, list[tuple[int, CounterEpoch]]]:
    """Complete readings by what was written down when the counter came or went for good.

    A counter without any reading before its known beginning stood at its opening reading until then, one
    without any after its known end stands at its closing reading; `span` [us] is what is asked for, around
    which `readings` hold the nearest ones however far. A note that contradicts the readings is left aside.
    Returns the readings and the epochs that are still to be judged.
    """
    times, values = readings
    left: list[tuple[int, CounterEpoch]] = []
    for start, epoch in epochs:
        opening, closing = epoch.first_reading_wh, epoch.last_reading_wh
        if not len(times):
            continue
        first, last = int(times[0]), int(times[-1])
        if start <= first and first >= span[0]:
            if opening is not None and _fits((start, opening), (first, int(values[0])), rated_power_w):
                ahead = [min(start, span[0]) - DAY, start - 1]
                times = np.concatenate((ahead, times))
                values = np.concatenate(([min(opening, int(values[0]))] * 2, values))
        elif last < start and last < span[1]:
            if closing is not None and _fits((last, int(values[-1])), (start, closing), rated_power_w):
                behind = [start, max(start, span[1]) + DAY]
                times = np.concatenate((times, behind))
                values = np.concatenate((values, [max(closing, int(values[-1]))] * 2))
        else:
            left.append((start, epoch))
    return (times, values), left


def _fits(old: tuple[int, int], new: tuple[int, int], rated_power_w: int) -> bool:
    """Tell whether the counter can have gone from one (time, reading) to another, to the kWh shown."""
    start, end = np.array([old[0]]), np.array([max(new[0], old[0] + 1)])
    limit = int(speed_limit(start, end, rated_power_w)[0])
    return -_DISPLAYED_WH <= new[1] - old[1] <= limit


def _replacement(
    times: Integers, values: Integers, rows: tuple[int, int], known: tuple[CounterLimits, CounterEpoch]
) -> Steps:
    """Return the one step over a known replacement of the counter, from row to row."""
    limits, epoch = known
    old, new = rows
    limit = int(speed_limit(times[old : old + 1], times[new : new + 1], limits.rated_power_w)[0])
    energy = 0
    if epoch.last_reading_wh is not None and 0 <= epoch.last_reading_wh - int(values[old]) <= limit:
        energy += epoch.last_reading_wh - int(values[old])
    since_fitted = int(values[new]) - (epoch.first_reading_wh or 0)
    if 0 <= since_fitted <= limit:
        energy += since_fitted
    one = np.ones(1, np.int64)
    certain = epoch.first_reading_wh is not None and epoch.last_reading_wh is not None
    nothing = np.empty(0, np.int64)
    return Steps(
        times[old] * one,
        times[new] * one,
        energy * one,
        np.array([certain]),
        int(Flag.RESET) * one,
        nothing,
        nothing,
    )


def _joined(parts: Sequence[Steps]) -> Steps:
    columns = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("start", "end", "energy", "known", "flags")
    ]
    order = np.argsort(columns[0], kind="stable")
    dropped = np.concatenate([part.dropped for part in parts])
    dropped_flags = np.concatenate([part.dropped_flags for part in parts])
    start, end, energy, known, flags = (column[order] for column in columns)
    return Steps(start, end, energy, known.astype(np.bool_), flags, dropped, dropped_flags)


def _judge_epoch(
    times: Integers, values: Integers, limits: CounterLimits
) -> tuple[Steps, tuple[int, int] | None]:
    """Judge readings without known replacement; returns the steps and the first and last row believed."""
    kept = np.arange(len(times))
    believable = _believable(times, values, limits, (kept[:-1], kept[1:]))
    flags = np.zeros(len(times), np.int64)
    if believable.all() and (not len(values) or int(values.min()) > 0) and bool((np.diff(values) >= 0).all()):
        return _clean(times, values, flags), ((0, len(times) - 1) if len(times) else None)
    if not believable.all() or int(values.min()) <= 0:
        kept = _without_bad(times, values, limits)
        flags[values == 0] = Flag.ZERO
        flags[values != 0] = Flag.GLITCH
        kept = kept[_chain(times[kept], values[kept], limits)]
        believable = _believable(times, values, limits, (kept[:-1], kept[1:]))
    out = np.ones(len(times), bool)
    out[kept] = False
    start, end, energy, known, step_flags = _steps(times[kept], values[kept], believable, limits)
    # What was gained while every reading was unbelievable may be a jump in disguise.
    hidden = (
        (np.diff(kept) > 1) & (end - start > GAP // MICROSECOND) & (energy > standstill(limits.rated_power_w))
    )
    ends = (int(kept[0]), int(kept[-1])) if len(kept) else None
    return Steps(start, end, energy, known & ~hidden, step_flags, times[out], flags[out]), ends


def _clean(times: Integers, values: Integers, zeros: Integers) -> Steps:
    """Return the steps of a counter that nothing is wrong with."""
    nothing = zeros[:0]
    known = np.ones(max(0, len(times) - 1), np.bool_)
    return Steps(times[:-1], times[1:], np.diff(values), known, zeros[1:], nothing, nothing)


def standstill(rated_power_w: int) -> int:
    """Return the gain [Wh] up to which a counter counts as standing still."""
    return max(100, (rated_power_w or DEFAULT_RATED_POWER_W) // 50)


def _steps(
    times: Integers, values: Integers, believable: npt.NDArray[np.bool_], limits: CounterLimits
) -> tuple[Integers, Integers, Integers, npt.NDArray[np.bool_], Integers]:
    """Return start, end, energy, known and flags of the steps of a chain."""
    rise = np.diff(values)
    flags = np.where(believable, 0, int(Flag.RESET))
    wrapped = believable & (rise < 0)
    if limits.modulus_wh is not None:
        rise = np.where(wrapped, rise + limits.modulus_wh, rise)
        flags = np.where(wrapped, flags | Flag.ROLLOVER, flags)
    # A counter that restarted at zero has at least what it shows now; any other jump is credited nothing.
    limit = speed_limit(times[:-1], times[1:], limits.rated_power_w)
    restarted = ~believable & (rise < 0) & (values[1:] <= limit)
    energy = np.where(believable, rise, np.where(restarted, values[1:], 0))
    return times[:-1], times[1:], energy, believable, flags


def _believable(
    times: Integers, values: Integers, limits: CounterLimits, pairs: tuple[Integers, Integers]
) -> npt.NDArray[np.bool_]:
    """Tell for pairs of rows whether the counter can have gone from the one to the other."""
    rise = values[pairs[1]] - values[pairs[0]]
    limit = speed_limit(times[pairs[0]], times[pairs[1]], limits.rated_power_w)
    possible: npt.NDArray[np.bool_] = (rise >= 0) & (rise <= limit)
    if limits.modulus_wh is not None:
        wrapped = rise + limits.modulus_wh
        possible |= (rise < 0) & (wrapped >= 0) & (wrapped <= limit)
    return possible


def _without_bad(times: Integers, values: Integers, limits: CounterLimits) -> Integers:
    """Return the rows without negative values and without zeros that are no true start of a counter."""
    kept = values >= 0
    if bool((values > 0).any()):
        following = np.where(values > 0, np.arange(len(values)), len(values))
        following = np.minimum.accumulate(following[::-1])[::-1]
        zeros = np.flatnonzero(values == 0)
        ahead = following[zeros]
        inside = ahead < len(values)
        kept[zeros[~inside]] = False
        zeros, ahead = zeros[inside], ahead[inside]
        # The last zero of a run decides for the run: a counter that starts goes on from there.
        last = np.flatnonzero(np.append(np.diff(ahead) != 0, [True])) if len(zeros) else zeros
        starts = _believable(times, values, limits, (zeros[last], ahead[last]))
        begun = set(ahead[last][starts].tolist())
        kept[zeros] = [int(row) in begun for row in ahead]
    return np.flatnonzero(kept)


def _chain(times: Integers, values: Integers, limits: CounterLimits) -> Integers:
    """Return the rows of the most believable chain: most readings, fewest restarts."""
    rows = np.arange(len(times))
    if len(rows) < 2:  # noqa: PLR2004, one reading makes no step
        return rows
    breaks = np.flatnonzero(~_believable(times, values, limits, (rows[:-1], rows[1:])))
    if not len(breaks):
        return rows
    first, last = _nodes(breaks, len(rows))
    chosen = _best_path(times, values, limits, (first, last))
    epochs = _epochs(times, values, limits, [(int(first[n]), int(last[n])) for n in chosen])
    return np.concatenate(
        [np.arange(a, b + 1) for epoch in _stitched(times, values, limits, epochs) for a, b in epoch]
    )


def _nodes(breaks: Integers, count: int) -> tuple[Integers, Integers]:
    """Return first and last row of runs of readings; near a break every reading stands for itself."""
    reach = _NEIGHBOURS if len(breaks) < _MANY_BREAKS else 1
    cuts = np.unique(np.concatenate([breaks + 1 + offset for offset in range(-reach, reach + 1)]))
    cuts = cuts[(cuts > 0) & (cuts < count)]
    first = np.concatenate(([0], cuts))
    return first, np.append(cuts, count) - 1


def _best_path(
    times: Integers, values: Integers, limits: CounterLimits, nodes: tuple[Integers, Integers]
) -> list[int]:
    """Return the nodes of the path with most readings, less a penalty for each restart."""
    first, last = nodes
    weight = 2 * (last - first + 1)
    score = np.zeros(len(first), np.int64)
    previous = np.full(len(first), -1, np.int64)
    for node in range(len(first)):
        score[node] = weight[node]
        if node:
            fits = _believable(times, values, limits, (last[:node], np.full(node, first[node])))
            offers = score[:node] - np.where(fits, 0, _EPOCH_PENALTY)
            best = node - 1 - int(np.argmax(offers[::-1]))
            if offers[best] > 0:
                score[node] += offers[best]
                previous[node] = best
    path = [int(np.argmax(score))]
    while previous[path[-1]] >= 0:
        path.append(int(previous[path[-1]]))
    return path[::-1]


_Runs = list[tuple[int, int]]


def _epochs(times: Integers, values: Integers, limits: CounterLimits, runs: _Runs) -> list[_Runs]:
    """Group runs into epochs: within one the counter only goes forward."""
    epochs = [[runs[0]]]
    for run in runs[1:]:
        if _follows(times, values, limits, (epochs[-1][-1][1], run[0])):
            epochs[-1].append(run)
        else:
            epochs.append([run])
    return epochs


def _follows(times: Integers, values: Integers, limits: CounterLimits, rows: tuple[int, int]) -> bool:
    pair = (np.array(rows[:1]), np.array(rows[1:]))
    return bool(_believable(times, values, limits, pair)[0])


def _stitched(times: Integers, values: Integers, limits: CounterLimits, epochs: list[_Runs]) -> list[_Runs]:
    """Leave out an epoch after which the counter goes on as before it: a long glitch that came back."""
    position = 1
    while position < len(epochs) - 1:
        before, middle, after = epochs[position - 1 : position + 2]
        shorter = _length(middle) < _length(before) + _length(after)
        if shorter and _follows(times, values, limits, (before[-1][1], after[0][0])):
            epochs[position - 1 : position + 2] = [before + after]
            position = max(1, position - 1)
        else:
            position += 1
    return epochs


def _length(runs: _Runs) -> int:
    return sum(b - a + 1 for a, b in runs)
