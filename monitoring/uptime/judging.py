"""Availability: every moment of a device put under one cause, and the shares that follow.

Pure. Owns the causes, the partition of time, the resolution of gaps by the device's own counter, the
formulas with their bounds, and outages. Time is weighted by the length of intervals, so that the sampling
step does not matter. What light there was is decided in `light`; the store is read in `uptime`.

Source: categories after IEC TS 63019:2019; resolution of gaps by the cumulative counter as published with
NREL RdTools; formulas and test vector in docs/availability.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

HOUR = 3600.0
HOLD_AT_LEAST_S = 900.0
HOLD_STEPS = 1.5
IDLE_FRACTION = 0.005
RAN_FRACTION = 0.5
STOOD_FRACTION = 0.05
FLAT_WITHOUT_EXPECTATION = 0.05
OUTAGE_AT_LEAST_H = 0.5


@dataclass(frozen=True, slots=True)
class Track:
    """A quantity that holds its value from each time to the next: times [s since 1970], and values."""

    times: Floats
    values: Floats

    def at(self, moments: Floats) -> Floats:
        """Return the value in force at moments; NaN before the first."""
        index = np.searchsorted(self.times, moments, side="right") - 1
        values = np.full(len(moments), np.nan)
        known = index >= 0
        values[known] = self.values[index[known]]
        return values


@dataclass(frozen=True, slots=True)
class Record:
    """What one device told in a period, ordered by time.

    `times` [s since 1970]; `power` [W], NaN where absent; `counter` [Wh], NaN where absent; `cause` is the
    cause that the device itself names (GRID, ORDERED, FORCED) or RUNNING where it names none.
    """

    times: Floats
    power: Floats
    counter: Floats
    cause: Codes


@dataclass(frozen=True, slots=True)
class Setting:
    """What is needed beside a device's own record to judge its period [start, end) [s since 1970].

    `light` is 1 where there was enough light, 0 where not, NaN where nothing tells; `expected` is the output
    that comparable devices had, as a fraction of rated power (empty when unknown); `planned` and `majeure`
    are intervals; `step_s` is the device's cycle [s], 0 when only its samples tell.
    """

    start: float
    end: float
    rated_power_w: float
    light: Track
    expected: Track
    planned: Sequence[tuple[float, float]] = ()
    majeure: Sequence[tuple[float, float]] = ()
    step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Segments:
    """A partition of a period: edges [s since 1970], the cause between them, whether data was received."""

    edges: Floats
    causes: Codes
    received: NDArray[np.bool_]

    @property
    def lengths(self) -> Floats:
        """Length of each segment [s]."""
        return np.diff(self.edges)


def _usual_step(times: Floats, step_s: float) -> float:
    """Return the device's usual step [s]: the median of its steps, or its cycle where that is shorter."""
    median = float(np.median(np.diff(times))) if len(times) > 1 else step_s
    return min(median, step_s) if step_s > 0 else median


def _gaps(record: Record, setting: Setting) -> list[tuple[float, float, int, int]]:
    """Return the stretches without data: from, to, index of the sample before (-1) and after (count).

    A sample speaks until the next one; over a pause longer than a step and a half (and a quarter of an
    hour) only for its own usual step.
    """
    times, count = record.times, len(record.times)
    if not count:
        return [(setting.start, setting.end, -1, 0)]
    usual = _usual_step(times, setting.step_s)
    hold = max(HOLD_AT_LEAST_S, HOLD_STEPS * usual)
    found = []
    if times[0] > setting.start:
        found.append((setting.start, float(times[0]), -1, 0))
    found += [
        (float(times[index]) + usual, float(times[index + 1]), int(index), int(index) + 1)
        for index in np.flatnonzero(np.diff(times) > hold)
    ]
    if setting.end - float(times[-1]) > hold:
        found.append((float(times[-1]) + usual, setting.end, count - 1, count))
    return found


def _judged(record: Record, setting: Setting, moments: Floats) -> Codes:
    """Return the cause that the sample in force names at moments, as if light and data were there."""
    if not len(record.times):
        return np.full(len(moments), Cause.UNKNOWN, np.int8)
    index = np.clip(np.searchsorted(record.times, moments, side="right") - 1, 0, None)
    power, told = record.power[index], record.cause[index]
    running = power > max(1.0, IDLE_FRACTION * setting.rated_power_w)
    silent = np.isnan(power) & (told == Cause.RUNNING)
    causes = np.where(told == Cause.RUNNING, np.int8(Cause.FORCED), told)
    causes = np.where(running, np.int8(Cause.RUNNING), causes)
    return np.where(silent, np.int8(Cause.UNKNOWN), causes).astype(np.int8)


def _inside(moments: Floats, intervals: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    inside = np.zeros(len(moments), bool)
    for begin, end in intervals:
        inside |= (moments >= begin) & (moments < end)
    return inside


def _edges(record: Record, setting: Setting, gaps: Sequence[tuple[float, float, int, int]]) -> Floats:
    parts = [record.times, setting.light.times, np.array([setting.start, setting.end])]
    parts += [np.array(interval[:2]) for interval in (*gaps, *setting.planned, *setting.majeure)]
    edges = np.unique(np.concatenate(parts))
    kept: Floats = edges[(edges >= setting.start) & (edges <= setting.end)]
    return kept


def _counted(record: Record, before: int, after: int) -> float | None:
    """Return what the counter gained over a gap [Wh], None where it cannot say."""
    if before < 0 or after >= len(record.times):
        return None
    known_before = np.flatnonzero(~np.isnan(record.counter[: before + 1]))
    known_after = np.flatnonzero(~np.isnan(record.counter[after:]))
    if not len(known_before) or not len(known_after):
        return None
    gained = float(record.counter[after + known_after[0]] - record.counter[known_before[-1]])
    return gained if gained >= 0 else None


def _resolved(gained: float | None, expected_wh: float | None, light_h: float, rated_power_w: float) -> Cause:
    """Return what a gap was: the counter rose as expected, stood still, or cannot tell."""
    if gained is None or light_h <= 0:
        return Cause.UNKNOWN
    if expected_wh is None:
        ran = gained > FLAT_WITHOUT_EXPECTATION * rated_power_w * light_h
        stood = gained <= IDLE_FRACTION * rated_power_w * light_h and light_h >= OUTAGE_AT_LEAST_H
    else:
        ran = gained >= RAN_FRACTION * expected_wh
        stood = gained <= STOOD_FRACTION * expected_wh
    return Cause.RUNNING if ran else Cause.FORCED if stood else Cause.UNKNOWN


def _expected_wh(setting: Setting, middles: Floats, lengths: Floats) -> float | None:
    if not len(setting.expected.times):
        return None
    fractions = setting.expected.at(middles)
    if np.isnan(fractions).any():
        return None
    return float((fractions * lengths).sum() / HOUR * setting.rated_power_w)


def partition(record: Record, setting: Setting) -> Segments:
    """Return the period of a device cut into segments, each under exactly one cause."""
    gaps = _gaps(record, setting)
    edges = _edges(record, setting, gaps)
    middles, lengths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    causes = _judged(record, setting, middles)
    received = ~_inside(middles, [gap[:2] for gap in gaps])
    told = setting.light.at(middles)
    # Where no evidence tells of the light, a device that runs is evidence enough.
    light = (told == 1) | (np.isnan(told) & (causes == Cause.RUNNING) & received)
    for begin, end, before, after in gaps:
        chosen = (middles >= begin) & (middles < end)
        lit = chosen & light
        light_h = float(lengths[lit].sum()) / HOUR
        expected = _expected_wh(setting, middles[lit], lengths[lit])
        causes[chosen] = _resolved(_counted(record, before, after), expected, light_h, setting.rated_power_w)
    causes[_inside(middles, setting.majeure) & (causes != Cause.RUNNING)] = Cause.MAJEURE
    causes[_inside(middles, setting.planned) & (causes != Cause.RUNNING)] = Cause.PLANNED
    causes[~light] = Cause.DARK
    return Segments(edges, causes, received)


def hours_of(segments: Segments) -> Hours:
    """Return the time by cause of a partition [h]."""
    lengths = segments.lengths / HOUR
    by_cause = {cause: float(lengths[segments.causes == cause].sum()) for cause in Cause}
    decided = ~segments.received & np.isin(segments.causes, (Cause.RUNNING, Cause.FORCED))
    return Hours(
        dark=by_cause[Cause.DARK],
        running=by_cause[Cause.RUNNING],
        forced=by_cause[Cause.FORCED],
        grid=by_cause[Cause.GRID],
        ordered=by_cause[Cause.ORDERED],
        planned=by_cause[Cause.PLANNED],
        majeure=by_cause[Cause.MAJEURE],
        unknown=by_cause[Cause.UNKNOWN],
        resolved=float(lengths[decided].sum()),
    )


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch in which a device did not run for one cause: [start, end) [UTC], and its time with light [h].

    An outage goes on through the night when the device does not run before the next stretch of the cause.
    """

    cause: Cause
    start: datetime
    end: datetime
    light_h: float


_OUTAGES = (Cause.FORCED, Cause.GRID, Cause.ORDERED)
_TOLERANCE_H = 1e-9


def outages(segments: Segments, at_least_h: float = OUTAGE_AT_LEAST_H) -> list[Outage]:
    """Return the outages of a partition with at least so much time in the light [h], in order."""
    lit = np.flatnonzero(segments.causes != Cause.DARK)
    if not len(lit):
        return []
    causes, lengths = segments.causes[lit], segments.lengths[lit]
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(causes)) + 1])
    lasts = np.concatenate([firsts[1:], [len(lit)]]) - 1
    light_h = np.add.reduceat(lengths, firsts) / HOUR
    wanted = np.isin(causes[firsts], _OUTAGES) & (light_h >= at_least_h - _TOLERANCE_H)
    return [
        Outage(
            Cause(int(causes[firsts[run]])),
            _instant(float(segments.edges[lit[firsts[run]]])),
            _instant(float(segments.edges[lit[lasts[run]] + 1])),
            float(light_h[run]),
        )
        for run in np.flatnonzero(wanted)
    ]


def _instant(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


