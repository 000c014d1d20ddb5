"""Why two figures of a station's month differ: the cause that the evidence speaks for, strongest first.

Owns the causes and the order in which evidence is heard: what a paper says outright (days of reading),
what the devices confess (gap, reset, clock), exact ratios (multiplier, unit), energy that fits (curtailment,
a shifted day of reading), the way the station is connected (own use), and last the loss. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

from distribution.settlement.matching.evidence import Evidence
from store.periods import Period
from store.quality import Flag

SHIFT_DAYS = 10
_COMMON_MULTIPLIERS = (1, 5, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100, 120, 150, 160, 200, 240, 300, 400)
_TEN_POWERS = (10, 100, 1_000, 10_000)
_LARGEST_LOSS = Fraction(15, 100)
_ESTIMATED_SHARE = Fraction(1, 20)
_FITS = Fraction(1, 5)
_RATIO_FITS = Fraction(25, 1_000)
_SHIFT_FITS = Fraction(4, 1_000)
_CLOCK_DAYS = 4


class Cause(StrEnum):
    """What may be behind a difference."""

    READING_DATE = "reading_date"
    GAP = "gap"
    COUNTER_RESET = "counter_reset"
    CLOCK = "clock"
    MULTIPLIER = "multiplier"
    UNIT = "unit"
    CURTAILMENT = "curtailment"
    OWN_USE = "own_use"
    LOSS = "loss"
    UNBILLED = "unbilled"
    UNPAID = "unpaid"
    SHORT_PAID = "short_paid"
    OVERPAID = "overpaid"
    BILL = "bill"
    UNKNOWN = "unknown"


CAUSE_LABELS: dict[Cause, str] = {
    Cause.READING_DATE: "抄表日期不一致",
    Cause.GAP: "采集有缺口",
    Cause.COUNTER_RESET: "计数器归零或换机",
    Cause.CLOCK: "设备时钟不准",
    Cause.MULTIPLIER: "倍率",
    Cause.UNIT: "单位写错",
    Cause.CURTAILMENT: "限电",
    Cause.OWN_USE: "自用电",
    Cause.LOSS: "线损、变损",
    Cause.UNBILLED: "未出账",
    Cause.UNPAID: "未到账",
    Cause.SHORT_PAID: "到账不足",
    Cause.OVERPAID: "到账多出",
    Cause.BILL: "结算单本身",
    Cause.UNKNOWN: "待查",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed cause with the evidence for it in words."""

    cause: Cause
    because: str

    @property
    def text(self) -> str:
        """The cause in Chinese, with why."""
        return f"{CAUSE_LABELS[self.cause]}：{self.because}"


def propose(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal:
    """Return the likeliest cause of an energy [Wh] that differs from the expected one."""
    by_order = (
        _by_dates(evidence, found_wh),
        _by_devices(evidence, expected_wh, found_wh),
        _by_ratio(evidence, expected_wh, found_wh),
        _by_curtailment(evidence, expected_wh, found_wh),
        _by_neighbour(evidence, expected_wh, found_wh),
        _by_own_use(evidence, expected_wh, found_wh),
        _by_other_multiplier(evidence, expected_wh, found_wh),
        _by_shift(evidence, expected_wh, found_wh),
        _by_loss(evidence, expected_wh, found_wh),
    )
    fallback = Proposal(Cause.UNKNOWN, "现有资料说明不了，请核对结算单和现场电表示数")
    return next((one for one in by_order if one is not None), fallback)


def _kwh(energy_wh: int) -> str:
    return f"{energy_wh // 1_000:,} 千瓦时"


def _between(evidence: Evidence, start: date, end: date) -> int | None:
    """Return the inverters' energy [Wh] of the days of [start, end), None where a day is not known."""
    days = [start + timedelta(days=number) for number in range((end - start).days)]
    if not days or any(day not in evidence.by_day for day in days):
        return None
    return evidence.after_loss(sum(evidence.by_day[day] for day in days))


def _by_dates(evidence: Evidence, found_wh: int) -> Proposal | None:
    """The statement names its days of reading, and the energy between them is what it bills."""
    details = () if evidence.bill is None else evidence.bill.details
    starts: list[date] = [one.previous_read_on for one in details if one.previous_read_on is not None]
    ends: list[date] = [one.current_read_on for one in details if one.current_read_on is not None]
    if not starts or not ends:
        return None
    start, end = min(starts), max(ends)
    period = Period.parse(evidence.month)
    energy = _between(evidence, start, end)
    if (start, end) == (period.start, period.end) or energy is None:
        return None
    if abs(energy - found_wh) > evidence.tolerance_wh(energy):
        return None
    return Proposal(
        Cause.READING_DATE, f"结算单按 {start} 至 {end} 抄表，逆变器这段时间折合 {_kwh(energy)}，与结算相符"
    )


def _by_devices(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal | None:
    """The devices themselves say that their figure is not whole."""
    measured = evidence.measured
    if measured.flags & Flag.RESET:
        return Proposal(Cause.COUNTER_RESET, "本月有逆变器电量计数归零或换机，逆变器电量只是下限")
    if found_wh > expected_wh and (measured.silent or measured.is_partial):
        missing = f"{measured.silent} 台逆变器全月无数据" if measured.silent else "月初或月末没有读数"
        return Proposal(Cause.GAP, f"{missing}，逆变器电量不完整")
    if found_wh > expected_wh and measured.estimated_wh > expected_wh * _ESTIMATED_SHARE:
        return Proposal(Cause.GAP, f"其中 {_kwh(measured.estimated_wh)} 是采集中断期间推算的")
    wrong_clock = evidence.clock_is_wrong or measured.flags & Flag.CLOCK
    days = Period.parse(evidence.month).day_count
    if wrong_clock and abs(found_wh - expected_wh) * days <= expected_wh * _CLOCK_DAYS:
        return Proposal(Cause.CLOCK, "本月有设备时钟不准，电量记到了别的日子")
    return None


def _is_ratio(high: int, low: int, ratio: Fraction) -> bool:
    return low > 0 and abs(high - low * ratio) <= high * _RATIO_FITS


def _by_ratio(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal | None:
    """The figures differ by a factor that only a multiplier or a unit makes."""
    high, low, own = max(found_wh, expected_wh), min(found_wh, expected_wh), evidence.multiplier
    if own > 1 and _is_ratio(high, low, Fraction(own)):
        return Proposal(Cause.MULTIPLIER, f"两者正好相差 {own} 倍，是台账上的倍率")
    for factor in _TEN_POWERS:
        if _is_ratio(high, low, Fraction(factor)):
            return Proposal(Cause.UNIT, f"两者正好相差 {factor} 倍，像是单位写错")
    return None


def _by_other_multiplier(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal | None:
    """The figures differ as two common multipliers do, so that a transformer may have been exchanged."""
    high, low, own = max(found_wh, expected_wh), min(found_wh, expected_wh), evidence.multiplier
    for other in _COMMON_MULTIPLIERS:
        ratio = Fraction(max(own, other), min(own, other))
        if other != own and ratio >= Fraction(5, 4) and _is_ratio(high, low, ratio):
            return Proposal(Cause.MULTIPLIER, f"两者之比像是倍率 {own} 与 {other} 之差，请核对互感器")
    return None


def _by_curtailment(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal | None:
    """What was made under an order to curtail is what the bill lacks."""
    curtailed = evidence.after_loss(evidence.curtailed_wh)
    lacks = expected_wh - found_wh
    off = abs(lacks - curtailed)
    if curtailed <= 0 or lacks <= 0 or off > curtailed * _FITS:
        return None
    return Proposal(Cause.CURTAILMENT, f"限电令期间逆变器仍发 {_kwh(curtailed)}，结算正好少了这么多")


def _by_own_use(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal | None:
    if not evidence.is_self_use or found_wh >= expected_wh:
        return None
    return Proposal(
        Cause.OWN_USE, f"电站是自发自用、余电上网，少的 {_kwh(expected_wh - found_wh)} 可能在本地用掉了"
    )


def _by_neighbour(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal | None:
    """A neighbouring month's bill is off by as much the other way: the day of reading lies in between."""
    off, allowed = found_wh - expected_wh, evidence.tolerance_wh(expected_wh)
    for name, other in (("上月", evidence.off_before_wh), ("下月", evidence.off_after_wh)):
        if other is not None and abs(other) > allowed // 2 and abs(off + other) <= allowed:
            return Proposal(
                Cause.READING_DATE,
                f"与{name}的差异 {_signed(other)} 正负相抵，抄表日不在月末",
            )
    return None


def _signed(energy_wh: int) -> str:
    return f"{'多' if energy_wh > 0 else '少'} {_kwh(abs(energy_wh))}"


def _by_shift(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal | None:
    """Another day of reading gives the billed energy very closely, and no neighbouring month denies it."""
    if evidence.off_after_wh is not None:
        return None
    period = Period.parse(evidence.month)
    best: tuple[int, date, date] | None = None
    for start, end in _shifts(period):
        energy = _between(evidence, start, end)
        if energy is None:
            continue
        off = abs(energy - found_wh)
        if off <= expected_wh * _SHIFT_FITS and (best is None or off < best[0]):
            best = (off, start, end)
    if best is None:
        return None
    return Proposal(
        Cause.READING_DATE,
        f"若按 {best[1]:%m-%d} 至 {best[2]:%m-%d} 抄表，逆变器电量与结算相符，待下月结算单印证",
    )


def _shifts(period: Period) -> Iterator[tuple[date, date]]:
    """Yield other days of reading: both edges moved alike, then one of them."""
    for days in range(1, SHIFT_DAYS + 1):
        for step in (timedelta(days=-days), timedelta(days=days)):
            yield period.start + step, period.end + step
            yield period.start, period.end + step
            yield period.start + step, period.end


def _by_loss(evidence: Evidence, expected_wh: int, found_wh: int) -> Proposal | None:
    lacks = expected_wh - found_wh
    if lacks <= 0 or lacks > expected_wh * _LARGEST_LOSS:
        return None
    learnt = f"按 {evidence.loss.months} 个月学到的" if evidence.loss.months else "默认"
    percent = evidence.loss.share * 100
    generated = evidence.measured.energy_wh or expected_wh
    now = Fraction(generated - found_wh, generated) * 100
    return Proposal(
        Cause.LOSS, f"损耗由{learnt} {_percent(percent)} 升到 {_percent(now)}，请查线路、变压器和互感器"
    )


def _percent(share: Fraction) -> str:
    return f"{int(share * 10) / 10:.1f}%" if share >= 0 else f"-{int(-share * 10) / 10:.1f}%"
