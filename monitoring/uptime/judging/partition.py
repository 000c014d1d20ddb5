"""The partition of a device's period: every moment under exactly one cause, with its reason.

Pure. Owns the cutting, the records of work, orders and majeure, the darkness, and the hours that come out.
Time is weighted by its length. What a gap was is decided in `gaps`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.sky.tracks import Flags, Floats
from monitoring.uptime.causes import Cause, Hours
from monitoring.uptime.judging.gaps import Stretch, Verdict, should_wh, verdict
from monitoring.uptime.judging.reasons import BRIDGED_REASON_OF, CAUSE_OF, REASON_OF, Reason
from monitoring.uptime.judging.setting import HOUR, Integers, Segments, Setting, Span
from monitoring.uptime.runs import Runs
from monitoring.uptime.told import Codes, Told

BRIDGED_BELOW_S = 900.0


def _table(causes: Sequence[Cause]) -> Flags:
    """Return for each cause whether it is one of some."""
    return np.array([cause in causes for cause in Cause])


_DECIDED = _table([cause for cause in Cause if cause not in {Cause.DARK, Cause.UNKNOWN}])
_STANDS = _table([cause for cause in Cause if cause not in {Cause.DARK, Cause.UNKNOWN, Cause.RUNNING}])


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
    doubt_s: Floats


def _begun(runs: Runs, setting: Setting) -> tuple[Floats, _Work]:
    edges = _edges(runs, setting)
    middles = (edges[:-1] + edges[1:]) / 2
    run = np.clip(np.searchsorted(runs.edges, middles, side="right") - 1, 0, len(runs.told) - 1)
    told = runs.told[run] if len(runs.told) else np.full(len(middles), Told.MISSING, np.int8)
    causes = CAUSE_OF[told]
    lit = setting.light.at(middles)
    # Where no evidence tells of the light, a device that runs is evidence enough.
    light = (lit == 1) | (np.isnan(lit) & (causes == Cause.RUNNING))
    work = _Work(
        middles,
        np.diff(edges),
        run,
        causes,
        REASON_OF[told],
        np.asarray(light, bool),
        np.asarray(told != Told.MISSING, bool),
        np.full(len(middles), -1, np.int64),
        [],
        should_wh(setting.expected, setting.rated_power_w, edges),
        np.zeros(len(middles)),
    )
    return edges, work


def _resolve_gaps(runs: Runs, setting: Setting, edges: Floats, work: _Work) -> None:
    """Decide every gap by the counter on both sides, a short one by what was said on both sides."""
    told = runs.told
    missing = told == Told.MISSING
    bridged = np.zeros(len(told), bool)
    short = np.diff(runs.edges) < BRIDGED_BELOW_S
    bridged[1:-1] = (missing & short)[1:-1] & (told[:-2] == told[2:])
    before = np.append(told[:1], told[:-1])
    mine = bridged[work.run] & ~work.received
    work.causes[mine] = CAUSE_OF[before[work.run[mine]]]
    work.reasons[mine] = BRIDGED_REASON_OF[before[work.run[mine]]]
    for number in np.flatnonzero(missing & ~bridged):
        low = int(np.searchsorted(work.run, number, side="left"))
        high = int(np.searchsorted(work.run, number, side="right"))
        if low < high:
            stretch = Stretch(edges[low : high + 1], work.light[low:high], work.should_wh[low:high])
            _settle(work, slice(low, high), verdict(runs, setting, int(number), stretch))


def _settle(work: _Work, mine: slice, found: Verdict) -> None:
    work.causes[mine], work.reasons[mine], work.doubt_s[mine] = found.cause, found.reason, found.doubt_s


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


def _lost(setting: Setting, edges: Floats, work: _Work) -> Floats:
    """Return what was not generated in each segment [Wh], NaN where nothing tells what should have been."""
    stands = _STANDS[work.causes]
    lost = np.where(stands, work.should_wh, 0.0)
    if np.isnan(lost).any() and len(setting.usual.times):
        lost = np.where(np.isnan(lost), should_wh(setting.usual, setting.rated_power_w, edges), lost)
    return lost


def partition(runs: Runs, setting: Setting) -> Segments:
    """Return the period of a device cut into segments, each under exactly one cause, with its reason."""
    edges, work = _begun(runs, setting)
    _resolve_gaps(runs, setting, edges, work)
    if not len(runs.told) or bool((runs.told == Told.MISSING).all()):
        unresolved = work.reasons == Reason.SILENT
        never = np.isnan(runs.first_wh).all() and np.isnan(runs.last_wh).all()
        work.reasons[unresolved] = Reason.NEVER if never else Reason.SILENT
    _apply_records(setting, work)
    _darken(runs, work)
    return Segments(
        edges,
        work.causes,
        work.reasons,
        work.received,
        work.note,
        tuple(work.notes),
        _lost(setting, edges, work),
        work.doubt_s,
    )


def hours_of(segments: Segments) -> Hours:
    """Return the time by cause of a partition [h]."""
    lengths = segments.lengths / HOUR
    by_cause = np.bincount(segments.causes, lengths, minlength=len(Cause))
    decided = ~segments.received & _DECIDED[segments.causes]
    down = decided & (segments.causes == Cause.FORCED)
    doubt = np.bincount(segments.causes, segments.doubt_s / HOUR, minlength=len(Cause))
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
        doubtful_running=float(doubt[Cause.RUNNING]),
        doubtful_forced=float(doubt[Cause.FORCED]),
    )
