"""Every moment of a device put under one cause and one state, with the reason.

Pure. Owns the partition of a period, the resolution of gaps by the device's own counter, and outages. Time
is weighted by its length. What light there was is decided in `light`, what the samples say in `told`; the
store is read in `evaluation`.

Source: resolution of gaps by the cumulative counter as published with NREL RdTools.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitoring.sky.tracks import NOTHING, Flags, Floats, Track
from monitoring.states import StationState
from monitoring.uptime.causes import OUTAGE_AT_LEAST_H, Cause, Hours
from monitoring.uptime.runs import Runs
from monitoring.uptime.told import TOLD_WORDS, Codes, Told

Integers = NDArray[np.int64]

HOUR = 3600.0
RAN_FRACTION = 0.85
STOOD_FRACTION = 0.05
FLAT_WITHOUT_EXPECTATION = 0.05
DECISIVE_STEPS = 4
MEASURED_DOUBT = 0.25
BRIDGED_BELOW_S = 900.0
CREDIBLE_FACTOR = 1.3
KNOWN_SHARE = 0.25


class Reason(IntEnum):
    """Why a moment is in its state; `reason_words` says it."""

    RUNNING = 0
    WARNING = 1
    DERATED = 2
    IDLE = 3
    FAULT = 4
    GRID_FAULT = 5
    GRID_DEAD = 6
    STOPPED = 7
    MUTE = 8
    SILENT = 9
    RAN = 10
    STOOD = 11
    BRIDGED = 12
    NEVER = 13
    NIGHT = 14
    ASLEEP = 15
    LIMITED = 16
    ORDERED = 17
    PLANNED = 18
    MAJEURE = 19


_WORDS = {
    Reason.RUNNING: TOLD_WORDS[Told.PRODUCING],
    Reason.WARNING: TOLD_WORDS[Told.WARNING],
    Reason.DERATED: TOLD_WORDS[Told.DERATED],
    Reason.IDLE: TOLD_WORDS[Told.IDLE],
    Reason.FAULT: TOLD_WORDS[Told.FAULT],
    Reason.GRID_FAULT: TOLD_WORDS[Told.GRID_FAULT],
    Reason.GRID_DEAD: TOLD_WORDS[Told.GRID_DEAD],
    Reason.STOPPED: TOLD_WORDS[Told.STOPPED],
    Reason.MUTE: TOLD_WORDS[Told.MUTE],
    Reason.SILENT: "通信中断，这段时间没有数据，电量计数也不能判明",
    Reason.RAN: "通信中断，事后电量计数表明在发电",
    Reason.STOOD: "没有数据，事后电量计数几乎没有增长，判为停机",
    Reason.BRIDGED: "缺少个别数据，前后一致",
    Reason.NEVER: "从未收到数据",
    Reason.NIGHT: "夜间或日照不足，等待日照",
    Reason.ASLEEP: "夜间，设备休眠",
    Reason.LIMITED: "调度限电",
    Reason.ORDERED: "调度停机或限电，不发电",
    Reason.PLANNED: "计划检修",
    Reason.MAJEURE: "不可抗力",
}
_NOTED = frozenset({Reason.LIMITED, Reason.ORDERED, Reason.PLANNED, Reason.MAJEURE})

_STATES = {
    Reason.RUNNING: StationState.NORMAL,
    Reason.WARNING: StationState.WARNING,
    Reason.DERATED: StationState.CURTAILED,
    Reason.IDLE: StationState.FAULT,
    Reason.FAULT: StationState.FAULT,
    Reason.GRID_FAULT: StationState.GRID_OUTAGE,
    Reason.GRID_DEAD: StationState.GRID_OUTAGE,
    Reason.STOPPED: StationState.FAULT,
    Reason.MUTE: StationState.UNKNOWN,
    Reason.SILENT: StationState.OFFLINE,
    Reason.RAN: StationState.OFFLINE,
    Reason.STOOD: StationState.FAULT,
    Reason.BRIDGED: StationState.NORMAL,
    Reason.NEVER: StationState.UNKNOWN,
    Reason.NIGHT: StationState.NIGHT,
    Reason.ASLEEP: StationState.NIGHT,
    Reason.LIMITED: StationState.CURTAILED,
    Reason.ORDERED: StationState.CURTAILED,
    Reason.PLANNED: StationState.PLANNED,
    Reason.MAJEURE: StationState.FAULT,
}
_BY_TOLD = {
    Told.MUTE: (Cause.UNKNOWN, Reason.MUTE),
    Told.PRODUCING: (Cause.RUNNING, Reason.RUNNING),
    Told.WARNING: (Cause.RUNNING, Reason.WARNING),
    Told.DERATED: (Cause.RUNNING, Reason.DERATED),
    Told.IDLE: (Cause.FORCED, Reason.IDLE),
    Told.FAULT: (Cause.FORCED, Reason.FAULT),
    Told.GRID_FAULT: (Cause.GRID, Reason.GRID_FAULT),
    Told.GRID_DEAD: (Cause.GRID, Reason.GRID_DEAD),
    Told.STOPPED: (Cause.FORCED, Reason.STOPPED),
    Told.MISSING: (Cause.UNKNOWN, Reason.SILENT),
}
_CAUSE_OF = np.array([_BY_TOLD[code][0] for code in Told], np.int8)
_REASON_OF = np.array([_BY_TOLD[code][1] for code in Told], np.int8)
_BRIDGED_REASON_OF = np.where(_REASON_OF == Reason.RUNNING, np.int8(Reason.BRIDGED), _REASON_OF)


def _table(causes: Sequence[Cause]) -> Flags:
    """Return for each cause whether it is one of some."""
    return np.array([cause in causes for cause in Cause])


_DECIDED = _table([cause for cause in Cause if cause not in {Cause.DARK, Cause.UNKNOWN}])
_STANDS = _table([cause for cause in Cause if cause not in {Cause.DARK, Cause.UNKNOWN, Cause.RUNNING}])
_STOPPING = _table([Cause.FORCED, Cause.GRID, Cause.ORDERED])


def state_of(reason: Reason) -> StationState:
    """Return the state to which a reason belongs."""
    return _STATES[reason]


def reason_words(reason: Reason, note: str = "") -> str:
    """Return a reason in Chinese; `note` is what the announcement or the dispatch order says."""
    words = _WORDS[reason]
    return f"{words}：{note}" if note and reason in _NOTED else words


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch [start, end) [s since 1970] of announced work, of a dispatch order, or of majeure."""

    start: float
    end: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is needed beside a device's own runs to judge its period [start, end) [s since 1970].

    `light` is 1 where there was enough light, 0 where not, NaN where nothing tells; `expected` is what the
    device should have given as a fraction of rated power (empty when unknown), `output` what it gave where it
    was heard. `planned`, `ordered` and
    `majeure` are what stands in the records. `finest_wh` is the smallest gain that its counter can tell.
    """

    start: float
    end: float
    rated_power_w: float
    light: Track
    expected: Track = NOTHING
    planned: Sequence[Span] = ()
    ordered: Sequence[Span] = ()
    majeure: Sequence[Span] = ()
    finest_wh: float = 0.0
    output: Track = NOTHING


@dataclass(frozen=True, slots=True)
class Segments:
    """A partition of a period: edges [s since 1970] (n + 1), and n of everything else.

    `causes`, `reasons` (`Reason`), whether data were received, whether there was light, and the number of
    the note in `notes` or -1. `first_wh`/`last_wh` and `lost_wh` are per segment [Wh].
    """

    edges: Floats
    causes: Codes
    reasons: Codes
    received: Flags
    note: Integers
    notes: tuple[str, ...] = ()
    lost_wh: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def lengths(self) -> Floats:
        """Length of each segment [s]."""
        return np.diff(self.edges)


def _edges(runs: Runs, setting: Setting) -> Floats:
    spans = (*setting.planned, *setting.ordered, *setting.majeure)
    limits = np.array([limit for span in spans for limit in (span.start, span.end)], np.float64)
    fixed = np.array([setting.start, setting.end])
    edges = np.unique(np.concatenate([runs.edges, setting.light.times, limits, fixed]))
    kept: Floats = edges[(edges >= setting.start) & (edges <= setting.end)]
    return kept


def _inside(moments: Floats, span: Span) -> Flags:
    return np.asarray((moments >= span.start) & (moments < span.end), bool)


@dataclass(slots=True)
class _Work:
    """The partition while it is made."""

    middles: Floats
    lengths: Floats
    run: Integers
    causes: Codes
    reasons: Codes
    light: Flags
    received: Flags
    note: Integers
    notes: list[str]
    should_wh: Floats


def _should_wh(setting: Setting, edges: Floats) -> Floats:
    """Return what the device should have given between edges [Wh], NaN where too little tells."""
    means, known = setting.expected.means(edges)
    should = means * np.diff(edges) / HOUR * setting.rated_power_w
    return np.where(known >= KNOWN_SHARE, should, np.nan)


def _begun(runs: Runs, setting: Setting) -> tuple[Floats, _Work]:
    edges = _edges(runs, setting)
    middles = (edges[:-1] + edges[1:]) / 2
    run = np.clip(np.searchsorted(runs.edges, middles, side="right") - 1, 0, len(runs.told) - 1)
    told = runs.told[run] if len(runs.told) else np.full(len(middles), Told.MISSING, np.int8)
    causes = _CAUSE_OF[told]
    lit = setting.light.at(middles)
    # Where no evidence tells of the light, a device that runs is evidence enough.
    light = (lit == 1) | (np.isnan(lit) & (causes == Cause.RUNNING))
    work = _Work(
        middles,
        np.diff(edges),
        run,
        causes,
        _REASON_OF[told],
        np.asarray(light, bool),
        np.asarray(told != Told.MISSING, bool),
        np.full(len(middles), -1, np.int64),
        [],
        _should_wh(setting, edges),
    )
    return edges, work


def _expected_wh(work: _Work, chosen: Flags) -> float | None:
    """Return what the device should have given in some segments [Wh], None where too little tells."""
    should = work.should_wh[chosen]
    whole, known = work.lengths[chosen], ~np.isnan(should)
    if not known.any() or whole[known].sum() < KNOWN_SHARE * whole.sum():
        return None
    return float(should[known].sum() / whole[known].sum() * whole.sum())


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
    if np.isnan(gained_wh) or gained_wh < 0 or light_h <= 0:
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


def _resolve_gaps(runs: Runs, setting: Setting, work: _Work) -> None:
    """Decide every gap by the counter on both sides, a short one by what was said on both sides."""
    told = runs.told
    missing = told == Told.MISSING
    bridged = np.zeros(len(told), bool)
    short = np.diff(runs.edges) < BRIDGED_BELOW_S
    bridged[1:-1] = (missing & short)[1:-1] & (told[:-2] == told[2:])
    before = np.append(told[:1], told[:-1])
    mine = bridged[work.run] & ~work.received
    work.causes[mine] = _CAUSE_OF[before[work.run[mine]]]
    work.reasons[mine] = _BRIDGED_REASON_OF[before[work.run[mine]]]
    for number in np.flatnonzero(missing & ~bridged):
        low = int(np.searchsorted(work.run, number, side="left"))
        high = int(np.searchsorted(work.run, number, side="right"))
        if low < high:
            cause, reason = _gap(runs, setting, work, int(number), slice(low, high))
            work.causes[low:high], work.reasons[low:high] = cause, reason


def _gap(runs: Runs, setting: Setting, work: _Work, number: int, mine: slice) -> tuple[Cause, Reason]:
    chosen = np.zeros(len(work.middles), bool)
    chosen[mine] = work.light[mine]
    light_h = float(work.lengths[chosen].sum()) / HOUR
    if light_h <= 0:
        return Cause.UNKNOWN, Reason.SILENT
    gained = float(runs.last_wh[number] - runs.first_wh[number])
    around, doubt = _around(runs, setting, number)
    return _resolution(_Gain(gained, _expected_wh(work, chosen), around, doubt), light_h, setting)


def _ran_before(runs: Runs, number: int) -> bool:
    return number > 0 and bool(_CAUSE_OF[runs.told[number - 1]] == Cause.RUNNING)


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


def _noted(work: _Work, span: Span) -> int:
    if span.note not in work.notes:
        work.notes.append(span.note)
    return work.notes.index(span.note)


def _apply_records(setting: Setting, work: _Work) -> None:
    """Put under their own cause what dispatch ordered, majeure did and was announced before."""
    if not (setting.planned or setting.ordered or setting.majeure):
        return
    named = np.isin(work.reasons, (Reason.FAULT, Reason.GRID_DEAD, Reason.GRID_FAULT, Reason.STOOD))
    for span in setting.ordered:
        inside = _inside(work.middles, span)
        runs = inside & (work.causes == Cause.RUNNING)
        stands = inside & (work.causes == Cause.FORCED) & ~named
        work.reasons[runs & work.received], work.reasons[stands] = Reason.LIMITED, Reason.ORDERED
        work.causes[stands] = Cause.ORDERED
        work.note[(runs & work.received) | stands] = _noted(work, span)
    for spans, cause, reason in (
        (setting.majeure, Cause.MAJEURE, Reason.MAJEURE),
        (setting.planned, Cause.PLANNED, Reason.PLANNED),
    ):
        for span in spans:
            chosen = _inside(work.middles, span) & (work.causes != Cause.RUNNING)
            work.causes[chosen], work.reasons[chosen] = cause, reason
            work.note[chosen] = _noted(work, span)


def _darken(runs: Runs, work: _Work) -> None:
    """Put what happened without light under no cause; a device that feeds in then still runs."""
    dark = ~work.light
    producing = work.causes == Cause.RUNNING
    planned = work.reasons == Reason.PLANNED
    asleep = dark & ~work.received
    if len(runs.told):
        # A link that was lost by day stays lost in the night.
        lit_before = np.zeros(len(work.middles), bool)
        for number in np.unique(work.run[asleep]):
            mine = np.flatnonzero(work.run == number)
            lit_before[mine] = np.cumsum(work.light[mine]) > 0
        asleep &= ~lit_before
    work.reasons[dark & work.received & ~producing & ~planned] = Reason.NIGHT
    work.reasons[asleep & ~planned] = Reason.ASLEEP
    work.causes[dark] = Cause.DARK


def _lost(work: _Work) -> Floats:
    """Return what was not generated in each segment [Wh], NaN where nothing tells what should have been."""
    return np.where(_STANDS[work.causes], work.should_wh, 0.0)


def partition(runs: Runs, setting: Setting) -> Segments:
    """Return the period of a device cut into segments, each under exactly one cause, with its reason."""
    edges, work = _begun(runs, setting)
    _resolve_gaps(runs, setting, work)
    if not len(runs.told) or bool((runs.told == Told.MISSING).all()):
        unresolved = work.reasons == Reason.SILENT
        never = np.isnan(runs.first_wh).all() and np.isnan(runs.last_wh).all()
        work.reasons[unresolved] = Reason.NEVER if never else Reason.SILENT
    _apply_records(setting, work)
    _darken(runs, work)
    return Segments(
        edges, work.causes, work.reasons, work.received, work.note, tuple(work.notes), _lost(work)
    )


def hours_of(segments: Segments) -> Hours:
    """Return the time by cause of a partition [h]."""
    lengths = segments.lengths / HOUR
    by_cause = np.bincount(segments.causes, lengths, minlength=len(Cause))
    decided = ~segments.received & _DECIDED[segments.causes]
    down = decided & (segments.causes == Cause.FORCED)
    return Hours(
        dark=float(by_cause[Cause.DARK]),
        running=float(by_cause[Cause.RUNNING]),
        forced=float(by_cause[Cause.FORCED]),
        grid=float(by_cause[Cause.GRID]),
        ordered=float(by_cause[Cause.ORDERED]),
        planned=float(by_cause[Cause.PLANNED]),
        majeure=float(by_cause[Cause.MAJEURE]),
        unknown=float(by_cause[Cause.UNKNOWN]),
        resolved=float(lengths[decided].sum()),
        resolved_forced=float(lengths[down].sum()),
    )


@dataclass(frozen=True, slots=True)
class Stop:
    """A stretch in which a device did not run for one cause [s since 1970], with its time in the light [h].

    `position` is the segment that explains it best, `lost_wh` is NaN where nothing tells.
    """

    cause: Cause
    start: float
    end: float
    light_h: float
    position: int
    lost_wh: float
    ongoing: bool


_TOLERANCE_H = 1e-9


def stops(segments: Segments, at_least_h: float = OUTAGE_AT_LEAST_H) -> list[Stop]:
    """Return the stops of a partition with at least so much time in the light [h], in order.

    A stop goes on through the night when the device does not run before the next stretch of the cause.
    """
    lit = np.flatnonzero(segments.causes != Cause.DARK)
    if not len(lit):
        return []
    causes, lengths = segments.causes[lit], segments.lengths[lit]
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(causes)) + 1])
    lasts = np.concatenate([firsts[1:], [len(lit)]]) - 1
    light_h = np.add.reduceat(lengths, firsts) / HOUR
    wanted = _STOPPING[causes[firsts]] & (light_h >= at_least_h - _TOLERANCE_H)
    found = []
    for number in np.flatnonzero(wanted):
        mine = slice(firsts[number], lasts[number] + 1)
        found.append(
            Stop(
                Cause(int(causes[firsts[number]])),
                float(segments.edges[lit[firsts[number]]]),
                float(segments.edges[lit[lasts[number]] + 1]),
                float(light_h[number]),
                int(lit[mine][np.argmax(lengths[mine])]),
                float(segments.lost_wh[lit[mine]].sum()) if len(segments.lost_wh) else np.nan,
                bool(lasts[number] == len(lit) - 1),
            )
        )
    return found
