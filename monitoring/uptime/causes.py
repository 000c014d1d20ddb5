"""Causes of time and the shares that follow: equipment and all-cause availability, bounds, data.

Pure. Owns the causes, hours by cause and the formulas. How time comes under a cause is `judging`'s.

Source: categories after IEC TS 63019:2019; formulas and test vector in docs/availability.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum

OUTAGE_AT_LEAST_H = 0.5
WORTH_SAYING_H = 0.05


class Cause(IntEnum):
    """Where one moment of one device belongs; exactly one holds."""

    DARK = 0
    RUNNING = 1
    FORCED = 2
    GRID = 3
    ORDERED = 4
    PLANNED = 5
    MAJEURE = 6
    UNKNOWN = 7


CAUSE_LABELS = {
    Cause.DARK: "无日照",
    Cause.RUNNING: "运行",
    Cause.FORCED: "设备原因停机",
    Cause.GRID: "电网原因",
    Cause.ORDERED: "调度或命令停机",
    Cause.PLANNED: "计划检修",
    Cause.MAJEURE: "不可抗力",
    Cause.UNKNOWN: "无数据",
}


@dataclass(frozen=True, slots=True)
class Hours:
    """Time by cause [h], or [h x weight] when devices are added up.

    `resolved` is the part that had no data and was decided by the counter (or, for some lost samples, by what
    was said on both sides); `resolved_forced` is what of it was found to be a stop. `doubtful_running` is
    what of `running` the counter's shortfall could hide as a stop, `doubtful_forced` what of `forced` the
    little that was gained could hide as production; they open the bounds and change no figure.
    """

    dark: float = 0.0
    running: float = 0.0
    forced: float = 0.0
    grid: float = 0.0
    ordered: float = 0.0
    planned: float = 0.0
    majeure: float = 0.0
    unknown: float = 0.0
    resolved: float = 0.0
    resolved_forced: float = 0.0
    doubtful_running: float = 0.0
    doubtful_forced: float = 0.0

    @property
    def use(self) -> float:
        """T_use: time with enough light, whatever happened in it."""
        causes = (self.running, self.forced, self.grid, self.ordered, self.planned, self.majeure)
        return sum(causes) + self.unknown

    @property
    def with_light(self) -> "dict[Cause, float]":
        """The time with light by cause, in the order in which it is read out."""
        return {
            Cause.RUNNING: self.running,
            Cause.FORCED: self.forced,
            Cause.GRID: self.grid,
            Cause.ORDERED: self.ordered,
            Cause.PLANNED: self.planned,
            Cause.MAJEURE: self.majeure,
            Cause.UNKNOWN: self.unknown,
        }

    def weighted(self, weight: float) -> "Hours":
        """Return the hours times a weight, as rated kW."""
        return Hours(*(getattr(self, item.name) * weight for item in fields(self)))


def added(parts: Iterable[Hours]) -> Hours:
    """Return the sum of hours, cause by cause."""
    listed = list(parts)
    return Hours(*(sum(getattr(part, item.name) for part in listed) for item in fields(Hours)))


@dataclass(frozen=True, slots=True)
class Share:
    """A share 0..1 with its bounds: unknown and doubtful time counted wholly down, and wholly up."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Availability:
    """What follows from the hours: equipment, all causes, completeness of data; None where nothing is known.

    No share is given for a period in which no usable time has data.
    """

    equipment: Share
    all_causes: Share
    data: float | None


def _ratio(bad: float, whole: float) -> float | None:
    return None if whole <= 0 else min(1.0, max(0.0, 1.0 - bad / whole))


def availability(hours: Hours) -> Availability:
    """Return the availabilities of some hours, or weighted hours.

    equipment = 1 - forced / (use - grid - ordered - planned - majeure - unknown); all causes = 1 - (use -
    running - unknown) / (use - unknown); data = share of the usable time that was received.
    """
    excused = hours.grid + hours.ordered + hours.planned + hours.majeure
    base = hours.use - excused
    down = hours.use - hours.running - hours.unknown
    known = hours.use - hours.unknown
    if known <= 0:
        nothing = Share(None, None, None)
        return Availability(nothing, nothing, 0.0 if hours.use > 0 else None)
    received = known - hours.resolved
    worse, better = hours.unknown + hours.doubtful_running, hours.doubtful_forced
    return Availability(
        equipment=Share(
            _ratio(hours.forced, base - hours.unknown),
            _ratio(hours.forced + worse, base),
            _ratio(hours.forced - better, base),
        ),
        all_causes=Share(
            _ratio(down, known), _ratio(down + worse, hours.use), _ratio(down - better, hours.use)
        ),
        data=received / hours.use,
    )


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:.1f} %"


def _open_words(hours: Hours, equipment: Share) -> list[str]:
    """Return in Chinese what opens the bounds, and the bounds."""
    doubtful = hours.doubtful_running + hours.doubtful_forced
    open_h = (("未知", hours.unknown), ("计数器判定存疑", doubtful))
    words = [f"{name} {length:.1f} 台时" for name, length in open_h if length >= WORTH_SAYING_H]
    return [*words, f"界限 {_percent(equipment.low)}～{_percent(equipment.high)}"] if words else []


def availability_sentence(hours: Hours) -> str:
    """Return the availability of some hours (not weighted) as a Chinese sentence with its causes."""
    result = availability(hours)
    if result.equipment.value is None:
        return "没有数据，不能给出可用率"
    named = ((Cause.GRID, hours.grid), (Cause.ORDERED, hours.ordered), (Cause.PLANNED, hours.planned))
    causes = [f"{CAUSE_LABELS[cause]} {length:.1f} 台时" for cause, length in named if length > 0]
    causes += _open_words(hours, result.equipment)
    detail = f"（{'，'.join(causes)}）" if causes else ""
    return f"设备可用率 {_percent(result.equipment.value)}{detail}，数据完整率 {_percent(result.data)}"
