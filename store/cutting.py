"""Energy of periods, cut out of the believed steps of one counter.

Owns the record of a device's energy, the rule by which a step over a period's edge is split, and how much
of a period was watched. Pure; `store.energy` reads the store and asks here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

from store.counters import GAP, Integers, Steps, daylight_weight, standstill
from store.periods import Period
from store.quality import Flag

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS_OF_LIGHT = 12


class Method(StrEnum):
    """How a figure came about, from best to worst."""

    COUNTER = "counter"
    COUNTER_GAP = "counter_gap"
    GAP_SPLIT = "gap_split"
    PARTIAL = "partial"
    RESET = "reset"
    NONE = "none"


METHOD_LABELS: Mapping[str, str] = {
    Method.COUNTER: "计数器实测",
    Method.COUNTER_GAP: "计数器实测（期内有缺口，电量不缺）",
    Method.GAP_SPLIT: "跨期缺口按日照曲线分摊",
    Method.PARTIAL: "期初或期末无读数，电量不全",
    Method.RESET: "计数归零或换机，部分电量不可知",
    Method.NONE: "无数据",
}
_WORST_FIRST = (Method.RESET, Method.PARTIAL, Method.GAP_SPLIT, Method.COUNTER_GAP, Method.COUNTER)


@dataclass(frozen=True, slots=True)
class DeviceEnergy:
    """Energy of one device in one period.

    `energy_wh` [Wh] is None where nothing is known; `completeness` 0..1 is the part of the period's ordinary
    production time that was watched; `estimated_wh` is the part of the energy that was attributed by rule
    (a gap across the period's edge, a counter that restarted); `flags` are `store.quality.Flag` bits.
    """

    device_id: str
    period: str
    energy_wh: int | None
    completeness: float
    method: str
    estimated_wh: int
    flags: int = 0


def combined(device_id: str, period: str, parts: Sequence[tuple[DeviceEnergy, int]]) -> DeviceEnergy:
    """Return the sum of energies that follow each other, each with its length in days."""
    known = [part for part, _ in parts if part.energy_wh is not None]
    days = sum(length for _, length in parts)
    methods = {part.method for part in known}
    flags = 0
    for part, _ in parts:
        flags |= part.flags
    return DeviceEnergy(
        device_id=device_id,
        period=period,
        energy_wh=sum(part.energy_wh or 0 for part in known) if known else None,
        completeness=sum(part.completeness * length for part, length in parts) / days if days else 0.0,
        method=next((method for method in _WORST_FIRST if method in methods), Method.NONE),
        estimated_wh=sum(part.estimated_wh for part in known),
        flags=flags,
    )


def summed(name: str, period: str, parts: Sequence[tuple[DeviceEnergy, int]]) -> DeviceEnergy:
    """Return the sum of devices that work side by side, each with its rated power [W] as its weight.

    Where a rated power is not known all count alike. What nobody knows adds nothing, and is missing in the
    completeness; the method is the worst one of them.
    """
    known = [part for part, _ in parts if part.energy_wh is not None]
    alike = any(not weight for _, weight in parts)
    weights = [1 if alike else weight for _, weight in parts]
    shares = sum(part.completeness * weight for (part, _), weight in zip(parts, weights, strict=True))
    flags = 0
    for part, _ in parts:
        flags |= part.flags
    methods = {part.method for part in known}
    if known and len(known) < len(parts):
        methods.add(Method.PARTIAL)
    return DeviceEnergy(
        device_id=name,
        period=period,
        energy_wh=sum(part.energy_wh or 0 for part in known) if known else None,
        completeness=min(1.0, shares / sum(weights)) if parts else 0.0,
        method=next((method for method in _WORST_FIRST if method in methods), Method.NONE),
        estimated_wh=sum(part.estimated_wh for part in known),
        flags=flags,
    )


def microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970 of an aware instant."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Totals:
    """Cumulative figures at the edges of periods: energy, covered weight, split steps."""

    energy: list[int]
    covered: list[int]
    split: list[int]
    part: list[int]


@dataclass(frozen=True, slots=True)
class Watch:
    """How periods are watched: rated power [W] (0 unknown), completeness up to `until`, what is a gap."""

    rated_power_w: int = 0
    until: datetime | None = None
    gap: timedelta = GAP


@dataclass(frozen=True, slots=True)
class Cuts:
    """Periods to cut out, with their edges [us] and their daylight weights, made once for all devices."""

    periods: tuple[Period, ...]
    names: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    edges: Integers
    weights: tuple[int, ...]

    @classmethod
    def of(cls, periods: Sequence[Period]) -> "Cuts":
        """Prepare periods for cutting."""
        bounds = [(microseconds(period.start_utc), microseconds(period.end_utc)) for period in periods]
        edges = sorted({edge for pair in bounds for edge in pair})
        place = {edge: number for number, edge in enumerate(edges)}
        array = np.array(edges, np.int64)
        return cls(
            tuple(periods),
            tuple(str(period) for period in periods),
            tuple((place[low], place[high]) for low, high in bounds),
            array,
            tuple(daylight_weight(array).tolist()),
        )


def cut(device_id: str, steps: Steps, cuts: Cuts, watch: Watch) -> Iterator[DeviceEnergy]:
    """Yield the energy of each period, cut out of one device's steps."""
    if not len(steps.start):
        for name in cuts.names:
            yield DeviceEnergy(device_id, name, None, 0.0, Method.NONE, 0, int(Flag.GAP))
        return
    covered = _covered(steps, watch.gap, watch.rated_power_w)
    totals = _totals(steps, covered, cuts)
    estimated = steps.energy * ~steps.known
    first = np.searchsorted(steps.end, cuts.edges, "right").tolist()
    last = np.searchsorted(steps.start, cuts.edges).tolist()
    limits = _limits(steps, cuts, watch)
    for period, name, span in zip(cuts.periods, cuts.names, cuts.spans, strict=True):
        over = (first[span[0]], last[span[1]])
        if over[1] <= over[0]:
            yield DeviceEnergy(device_id, name, None, 0.0, Method.NONE, 0, int(Flag.GAP))
            continue
        energy = totals.energy[span[1]] - totals.energy[span[0]]
        share = _estimated(steps, totals, span, watch.gap)
        share += int(estimated[over[0] : over[1]].sum()) - _edge_estimates(estimated, totals, span)
        low = cuts.weights[span[0]]
        weight = max(0, min(cuts.weights[span[1]], limits.until) - low)
        seen = totals.covered[span[1]] - totals.covered[span[0]]
        inside = min(cuts.weights[span[1]], limits.end) - max(low, limits.start)
        flags = _flags(steps, covered, over, (int(cuts.edges[span[0]]), int(cuts.edges[span[1]])))
        if seen < weight:
            flags |= Flag.GAP
        most = unsupported(watch.rated_power_w, period)
        if most and 10 * energy > most:
            flags |= Flag.UNSUPPORTED
        method = _method(flags, share, partial=inside < weight)
        completeness = min(1.0, seen / weight) if weight else 1.0
        yield DeviceEnergy(device_id, name, energy, completeness, method, share, flags)


def unsupported(rated_power_w: int, period: Period) -> int:
    """Return ten times the energy [0.1 Wh] above which a period is more than a device can make; 0 unknown."""
    return 11 * rated_power_w * _HOURS_OF_LIGHT * period.day_count


@dataclass(frozen=True, slots=True)
class _Limits:
    """Daylight weights at the first and last reading, and up to where completeness counts."""

    start: int
    end: int
    until: int


def _limits(steps: Steps, cuts: Cuts, watch: Watch) -> _Limits:
    begin, end = int(steps.start[0]), int(steps.end[-1])
    until = int(cuts.edges[-1])
    if watch.until is not None:
        until = microseconds(watch.until)
        # A device that reported just now owes nothing yet.
        if until - watch.gap // timedelta(microseconds=1) <= end <= until:
            until = end
    return _Limits(*daylight_weight(np.array([begin, end, until])).tolist())


def _method(flags: int, estimated: int, *, partial: bool) -> str:
    if flags & Flag.RESET:
        return Method.RESET
    if partial:
        return Method.PARTIAL
    if estimated:
        return Method.GAP_SPLIT
    return Method.COUNTER_GAP if flags & Flag.GAP else Method.COUNTER


def _covered(steps: Steps, gap: timedelta, rated_power_w: int) -> Integers:
    """Tell which steps leave nothing open: short ones, and those over which the counter stood still."""
    short = steps.end - steps.start <= gap // timedelta(microseconds=1)
    covered: Integers = (steps.known & (short | (steps.energy <= standstill(rated_power_w)))).astype(np.int64)
    return covered


def _totals(steps: Steps, covered: Integers, cuts: Cuts) -> _Totals:
    weights = (daylight_weight(steps.start), daylight_weight(steps.end))
    energy = np.concatenate(([0], np.cumsum(steps.energy)))
    seen = np.concatenate(([0], np.cumsum((weights[1] - weights[0]) * covered)))
    places = np.searchsorted(steps.end, cuts.edges, "right").tolist()
    result = _Totals([], [], [], [])
    for number, (edge, weight, before) in enumerate(
        zip(cuts.edges.tolist(), cuts.weights, places, strict=True)
    ):
        split = before < len(steps.start) and int(steps.start[before]) < edge
        part = _part(steps, before, (edge, weight), weights) if split else 0
        inside = (weight - int(weights[0][before])) * int(covered[before]) if split else 0
        result.energy.append(int(energy[before]) + part)
        result.covered.append(int(seen[before]) + inside)
        result.split.append(before if split else -1 - number)
        result.part.append(part)
    return result


def _part(steps: Steps, step: int, edge: tuple[int, int], weights: tuple[Integers, Integers]) -> int:
    """Return the energy of a step before an edge (instant, weight), by daylight weight, at night by time."""
    low, high = int(weights[0][step]), int(weights[1][step])
    energy, start, end = int(steps.energy[step]), int(steps.start[step]), int(steps.end[step])
    if high > low:
        return energy * (edge[1] - low) // (high - low)
    return energy * (edge[0] - start) // (end - start)


def _estimated(steps: Steps, totals: _Totals, span: tuple[int, int], gap: timedelta) -> int:
    """Return the energy in a period that comes from steps which its edges split."""

    def guessed(step: int) -> bool:
        long = int(steps.end[step] - steps.start[step]) > gap // timedelta(microseconds=1)
        return long or not bool(steps.known[step])

    low, high = totals.split[span[0]], totals.split[span[1]]
    if low == high:
        return totals.part[span[1]] - totals.part[span[0]] if guessed(low) else 0
    first = int(steps.energy[low]) - totals.part[span[0]] if low >= 0 and guessed(low) else 0
    last = totals.part[span[1]] if high >= 0 and guessed(high) else 0
    return first + last


def _edge_estimates(estimated: Integers, totals: _Totals, span: tuple[int, int]) -> int:
    """Return the estimated energy of the steps at the edges, which is counted by its part already."""
    edges = {step for step in (totals.split[span[0]], totals.split[span[1]]) if step >= 0}
    return sum(int(estimated[step]) for step in edges)


def _flags(steps: Steps, covered: Integers, over: tuple[int, int], span: tuple[int, int]) -> int:
    flags = int(np.bitwise_or.reduce(steps.flags[over[0] : over[1]], initial=0))
    if not covered[over[0] : over[1]].all():
        flags |= Flag.GAP
    inside = (steps.dropped >= span[0]) & (steps.dropped < span[1])
    return flags | int(np.bitwise_or.reduce(steps.dropped_flags[inside], initial=0))
