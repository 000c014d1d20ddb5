"""What a gap in a device's data was: its own counter tells, and how much of the gap stays in doubt.

Pure. A gap is decided as a whole, for its time with light. Where the counter gained less than production
would have brought, or anything in a stop, the time that the difference could hide is in doubt: it changes no
figure, but opens the bounds.

Source: resolution of gaps by the cumulative counter as published with NREL RdTools.
"""

from dataclasses import dataclass

import numpy as np

from monitoring.sky.tracks import Flags, Floats, Track
from monitoring.uptime.causes import OUTAGE_AT_LEAST_H, Cause
from monitoring.uptime.judging.reasons import CAUSE_OF, Reason
from monitoring.uptime.judging.setting import HOUR, Setting
from monitoring.uptime.runs import Runs

RAN_FRACTION = 0.85
STOOD_FRACTION = 0.05
FLAT_WITHOUT_EXPECTATION = 0.05
DECISIVE_STEPS = 4
MEASURED_DOUBT = 0.25
CREDIBLE_FACTOR = 1.3
KNOWN_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Stretch:
    """The segments of one gap: edges (n + 1) [s since 1970]; light, and the energy expected [Wh], (n,)."""

    edges: Floats
    light: Flags
    should_wh: Floats


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gap was, and how much of each of its segments may have been otherwise [s], shape (n,)."""

    cause: Cause
    reason: Reason
    doubt_s: Floats


@dataclass(frozen=True, slots=True)
class _Gain:
    """What the counter gained over a gap, and what should have been gained in its light [Wh].

    `around_wh` is what the device made between its last sample and the gap, which the counter holds too, and
    `doubt_wh` how unsure that is. `expected_wh` is None where nothing tells.
    """

    gained_wh: float
    expected_wh: float | None
    around_wh: float
    doubt_wh: float


def should_wh(expected: Track, rated_power_w: float, edges: Floats) -> Floats:
    """Return what a device should have given between edges [Wh], NaN where too little tells."""
    means, known = expected.means(edges)
    should = means * np.diff(edges) / HOUR * rated_power_w
    return np.where(known >= KNOWN_SHARE, should, np.nan)


def verdict(runs: Runs, setting: Setting, number: int, stretch: Stretch) -> Verdict:
    """Return what the gap of a run was by the counter on both sides."""
    nothing = np.zeros(len(stretch.light))
    light_h = float(np.diff(stretch.edges)[stretch.light].sum()) / HOUR
    if light_h <= 0:
        return Verdict(Cause.UNKNOWN, Reason.SILENT, nothing)
    gained = float(runs.last_wh[number] - runs.first_wh[number])
    gain = _Gain(gained, _expected_wh(stretch), *_around(runs, setting, number))
    cause, reason = _resolution(gain, light_h, setting)
    if cause is Cause.UNKNOWN:
        return Verdict(cause, reason, nothing)
    return Verdict(cause, reason, _doubt_s(gain, cause, setting, stretch))


def _expected_wh(stretch: Stretch) -> float | None:
    """Return what the device should have given in the light [Wh], None where too little tells."""
    should, whole = stretch.should_wh[stretch.light], np.diff(stretch.edges)[stretch.light]
    known = ~np.isnan(should)
    if not known.any() or whole[known].sum() < KNOWN_SHARE * whole.sum():
        return None
    return float(should[known].sum() / whole[known].sum() * whole.sum())


def _resolution(gain: _Gain, light_h: float, setting: Setting) -> tuple[Cause, Reason]:
    """Return what a gap was: the counter rose as expected, stood still, or cannot tell.

    A counter that counts in coarse steps tells nothing of a gap that is worth only some of them, one that
    never moves tells nothing of a stop, and a gap that is worth little beside what was made right before it
    cannot be called a stop.
    """
    nothing = (Cause.UNKNOWN, Reason.SILENT)
    gained_wh, expected_wh = gain.gained_wh, gain.expected_wh
    moves = bool(np.isfinite(setting.finest_wh))
    finest = setting.finest_wh if moves else 0.0
    if np.isnan(gained_wh) or gained_wh < 0:
        return nothing
    if gained_wh > CREDIBLE_FACTOR * setting.rated_power_w * (light_h + 1):
        return nothing
    if expected_wh is None:
        whole = setting.rated_power_w * light_h
        ran = gained_wh > FLAT_WITHOUT_EXPECTATION * whole and gained_wh > finest
        stood = gained_wh <= 0 and light_h >= OUTAGE_AT_LEAST_H and DECISIVE_STEPS * finest < 0.1 * whole
    else:
        should = expected_wh + gain.around_wh
        ran = expected_wh > 0 and gained_wh >= RAN_FRACTION * should and gained_wh > finest
        stood = gained_wh - gain.around_wh <= STOOD_FRACTION * expected_wh
        stood = stood and expected_wh >= DECISIVE_STEPS * max(finest, gain.doubt_wh) and expected_wh > 0
    if ran:
        return Cause.RUNNING, Reason.RAN
    return (Cause.FORCED, Reason.STOOD) if stood and moves else nothing


def _around(runs: Runs, setting: Setting, number: int) -> tuple[float, float]:
    """Return what the device made from its last sample to a gap, and how unsure that is [Wh]."""
    begin, end = float(runs.first[number]), float(runs.edges[number])
    if not begin < end or not _ran_before(runs, number):
        return 0.0, 0.0
    middle = np.array([(begin + end) / 2])
    for track, doubt in ((setting.output, MEASURED_DOUBT), (setting.expected, 1.0)):
        fraction = float(track.at(middle)[0]) if len(track.times) else np.nan
        if not np.isnan(fraction):
            made = fraction * (end - begin) / HOUR * setting.rated_power_w
            return made, doubt * made
    return 0.0, 0.0


def _ran_before(runs: Runs, number: int) -> bool:
    return number > 0 and bool(CAUSE_OF[runs.told[number - 1]] == Cause.RUNNING)


def _doubt_s(gain: _Gain, cause: Cause, setting: Setting, stretch: Stretch) -> Floats:
    """Return how much of each segment the gain leaves in doubt [s], shape (n,).

    The energy that is missing to production (or was made in spite of a stop) is spread over the weakest
    hours of the gap, where it hides the most time; where nothing tells what was expected, over rated power.
    """
    edges = _finer(setting, stretch)
    place = np.clip(np.searchsorted(stretch.edges, edges[:-1], side="right") - 1, 0, len(stretch.light) - 1)
    lengths = np.where(stretch.light[place], np.diff(edges), 0.0)
    power_w = _power_w(gain, setting, stretch, edges)
    whole_wh = float((power_w * lengths).sum()) / HOUR
    made_wh = gain.gained_wh - gain.around_wh
    hidden_wh = whole_wh - made_wh if cause is Cause.RUNNING else made_wh
    if hidden_wh <= 0:
        return np.zeros(len(stretch.light))
    order = np.argsort(power_w, kind="stable")
    wh = (power_w * lengths / HOUR)[order]
    left_wh = hidden_wh - (np.cumsum(wh) - wh)
    share = np.clip(left_wh / np.maximum(wh, 1e-9), 0.0, 1.0)
    doubt_s = np.bincount(place[order], share * lengths[order], minlength=len(stretch.light))
    return doubt_s.astype(np.float64)


def _finer(setting: Setting, stretch: Stretch) -> Floats:
    """Return the edges of a gap with the times between them at which what was expected changes."""
    low, high = np.searchsorted(setting.expected.times, (stretch.edges[0], stretch.edges[-1]))
    finer: Floats = np.union1d(stretch.edges, setting.expected.times[low:high])
    return finer


def _power_w(gain: _Gain, setting: Setting, stretch: Stretch, edges: Floats) -> Floats:
    """Return what the device should have given between edges [W]; the mean where that is not known."""
    if gain.expected_wh is None:
        return np.full(len(edges) - 1, setting.rated_power_w)
    light_h = float(np.diff(stretch.edges)[stretch.light].sum()) / HOUR
    power_w = should_wh(setting.expected, setting.rated_power_w, edges) / np.diff(edges) * HOUR
    return np.where(np.isnan(power_w), gain.expected_wh / light_h, power_w)
