"""The match of one station and month: inverter against meter against bill, and bill against receipts. Pure.

Owns which pairs of figures are compared, what counts as equal, and what a difference is called. Revenue
follows the grid's meter; measured energy is evidence, never the source of an amount.
"""

from dataclasses import dataclass
from fractions import Fraction

from distribution.money import yuan
from distribution.settlement.matching.causes import Cause, Proposal, propose
from distribution.settlement.matching.evidence import Evidence, Metered
from distribution.types import Settlement
from store.canonical import content_hash
from store.periods import Period

BILLED_METERED = "billed_metered"
METERED_GENERATED = "metered_generated"
BILLED_GENERATED = "billed_energy"
UNBILLED = "unbilled"
RECEIVED = "received"
KIND_LABELS = {
    BILLED_METERED: "结算与关口表",
    METERED_GENERATED: "关口表与逆变器",
    BILLED_GENERATED: "结算与逆变器",
    UNBILLED: "未出账",
    RECEIVED: "结算与到账",
}
MATCHED, EXCEPTED, WAITING = "matched", "excepted", "waiting"
_METER_SHARE = Fraction(5, 1_000)
_READING_STEP_WH = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference beyond tolerance between two figures [unit] and its likely cause."""

    station_id: str
    month: str
    kind: str
    expected: int
    found: int
    text: str
    cause: str
    cause_kind: str = Cause.UNKNOWN
    unit: str = "Wh"

    @property
    def basis(self) -> str:
        """The hash of what was compared and what is behind it: the same again is the same difference."""
        return content_hash([*self.figures, self.cause_kind])

    @property
    def figures(self) -> tuple[str, ...]:
        """What was compared, in the form in which a resolved difference is known again."""
        return (f"{self.expected}", f"{self.found}") if self.unit else (self.text,)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a match came to: `matched`, `excepted`, or `waiting` while there is nothing to compare yet."""

    state: str
    differences: tuple[Difference, ...] = ()


def judge(evidence: Evidence) -> Verdict:
    """Compare everything that is known of a station's month, once the month is over."""
    period = Period.parse(evidence.month)
    if evidence.on < period.end:
        return Verdict(WAITING)
    if evidence.bill is None:
        return _without_bill(evidence, period)
    differences = [
        one
        for one in (
            _billed_metered(evidence, evidence.bill),
            _metered_generated(evidence),
            _billed_generated(evidence, evidence.bill),
            *_received(evidence),
        )
        if one is not None
    ]
    return Verdict(EXCEPTED if differences else MATCHED, tuple(differences))


def _without_bill(evidence: Evidence, period: Period) -> Verdict:
    """A month that made energy and is over for as long as its money may take should have been billed."""
    expected = evidence.expected_wh if evidence.metered is None else evidence.metered.energy_wh
    if not expected or expected <= evidence.tolerances.energy_floor_wh:
        return Verdict(WAITING)
    if evidence.on < evidence.tolerances.due_on:
        return Verdict(WAITING)
    text = f"{period.label}发电 {expected // 1_000:,} 千瓦时，至今没有结算单"
    proposal = Proposal(Cause.UNBILLED, "供电公司漏结、户号未登记，或文件尚未导入")
    return Verdict(EXCEPTED, (_difference(evidence, (UNBILLED, expected, 0), text, proposal),))


def _difference(
    evidence: Evidence, figures: tuple[str, int, int], text: str, proposal: Proposal, unit: str = "Wh"
) -> Difference:
    kind, expected, found = figures
    return Difference(
        evidence.station_id,
        evidence.month,
        kind,
        expected,
        found,
        text,
        proposal.text,
        proposal.cause,
        unit,
    )


def _said(names: tuple[str, str], found: int, given: int, expected: int) -> str:
    """Return a comparison in words; `given` is what the second figure showed before the loss was taken."""
    off = found - expected
    percent = f"{abs(off) * 100 / max(abs(expected), 1):.1f}%"
    return (
        f"{names[0]} {found // 1_000:,} 千瓦时，{names[1]} {given // 1_000:,} 千瓦时，"
        f"{names[0]}{'多' if off > 0 else '少'} {abs(off) // 1_000:,} 千瓦时（{percent}）"
    )


def _billed_metered(evidence: Evidence, bill: Settlement) -> Difference | None:
    """Our own reading of the grid's meter should give the bill almost exactly."""
    metered = evidence.metered
    if metered is None or not metered.is_complete:
        return None
    allowed = max(int(metered.energy_wh * _METER_SHARE), _READING_STEP_WH * evidence.multiplier)
    if abs(bill.exported_energy_wh - metered.energy_wh) <= allowed:
        return None
    text = _said(("结算", "关口表"), bill.exported_energy_wh, metered.energy_wh, metered.energy_wh)
    proposal = _meter_proposal(evidence, bill, metered)
    figures = (BILLED_METERED, metered.energy_wh, bill.exported_energy_wh)
    return _difference(evidence, figures, text, proposal)


def _meter_proposal(evidence: Evidence, bill: Settlement, metered: Metered) -> Proposal:
    """A bill that differs from its own meter: only the reading or the figure itself can be at fault."""
    proposal = propose(evidence, metered.energy_wh, bill.exported_energy_wh)
    if proposal.cause in {Cause.LOSS, Cause.OWN_USE, Cause.GAP, Cause.COUNTER_RESET, Cause.CLOCK}:
        return Proposal(Cause.UNKNOWN, "关口表示数与结算单不符，请供电公司核对示数")
    return proposal


def _metered_generated(evidence: Evidence) -> Difference | None:
    metered, expected = evidence.metered, evidence.expected_wh
    if metered is None or expected is None or not metered.is_complete:
        return None
    if abs(metered.energy_wh - expected) <= evidence.tolerance_wh(expected):
        return None
    text = _said(("关口表", "逆变器"), metered.energy_wh, evidence.measured.energy_wh or 0, expected)
    proposal = propose(evidence, expected, metered.energy_wh)
    return _difference(evidence, (METERED_GENERATED, expected, metered.energy_wh), text, proposal)


def _billed_generated(evidence: Evidence, bill: Settlement) -> Difference | None:
    """Without a meter of our own the bill is compared with what the inverters made, less the loss."""
    expected = evidence.expected_wh
    has_meter = evidence.metered is not None and evidence.metered.is_complete
    if expected is None or has_meter:
        return None
    if abs(bill.exported_energy_wh - expected) <= evidence.tolerance_wh(expected):
        return None
    text = _said(("结算", "逆变器"), bill.exported_energy_wh, evidence.measured.energy_wh or 0, expected)
    proposal = propose(evidence, expected, bill.exported_energy_wh)
    figures = (BILLED_GENERATED, expected, bill.exported_energy_wh)
    return _difference(evidence, figures, text, proposal)


def _received(evidence: Evidence) -> list[Difference | None]:
    """Electricity should have arrived by its day; a subsidy may be in arrears, but never more than billed."""
    money, allowed = evidence.money, evidence.tolerances.amount_fen
    found: list[Difference | None] = []
    off = money.electricity_received_fen - money.electricity_fen
    if off > allowed:
        found.append(_amount(evidence, "电费", Cause.OVERPAID, "可能记错月份或户号"))
    elif off < -allowed and evidence.on >= evidence.tolerances.due_on:
        arrived = bool(money.electricity_received_fen)
        cause = Cause.SHORT_PAID if arrived else Cause.UNPAID
        because = "可能扣了税费或分批支付" if arrived else "过了应到账日期，银行没有这笔收款"
        found.append(_amount(evidence, "电费", cause, because))
    if money.subsidy_received_fen - money.subsidy_fen > allowed:
        found.append(_amount(evidence, "补贴", Cause.OVERPAID, "可能含以前月份的补贴"))
    return found


def _amount(evidence: Evidence, name: str, cause: Cause, because: str) -> Difference:
    money = evidence.money
    billed, arrived = (
        (money.electricity_fen, money.electricity_received_fen)
        if name == "电费"
        else (money.subsidy_fen, money.subsidy_received_fen)
    )
    off = arrived - billed
    more = "多" if off > 0 else "少"
    text = f"{name}应收 {yuan(billed)} 元，到账 {yuan(arrived)} 元，{more} {yuan(abs(off))} 元"
    kind = RECEIVED if name == "电费" else f"{RECEIVED}_subsidy"
    return _difference(evidence, (kind, billed, arrived), text, Proposal(cause, because), "fen")
