"""What differs, what does not, and the cause that the evidence speaks for."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest

from distribution.settlement.matching.causes import Cause
from distribution.settlement.matching.evidence import Evidence, Loss, Measured, Metered, Money, Tolerances
from distribution.settlement.matching.judging import judge
from distribution.settlement.matching.losses import learnt
from distribution.types import LineDetail, Settlement
from store.quality import Flag

AFTER, LONG_AFTER = date(2026, 11, 10), date(2027, 3, 1)
TOLERANCES = Tolerances(Fraction(3, 100), 20_000, 1, date(2027, 1, 29))
DAYS = {date(2026, 9, 21) + timedelta(days=n): 300_000 + n * 997 % 90_000 for n in range(50)}
MADE = sum(wh for day, wh in DAYS.items() if day.month == 10)


def bill(share, details=()):
    wh = int(MADE * share)
    return Settlement("settlement:s1:2026-10:1", "s1", "2026-10", 1, (), 0, 0, 0, wh, "单", details)


def evidence(share=0.985, **changes):
    plain = Evidence(
        "s1", "2026-10", AFTER, Measured(MADE), Loss(Fraction(15, 1000)), TOLERANCES, bill(share), by_day=DAYS
    )
    return replace(plain, **changes)


def cause(**changes):
    (one,) = judge(evidence(**changes)).differences
    return one.cause_kind


@pytest.mark.parametrize("share", [0.957, 0.985, 1.012])
def test_within_the_tolerance_it_agrees(share):
    assert judge(evidence(share)).state == "matched"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"share": 0.90}, Cause.LOSS),
        ({"share": 1.2}, Cause.UNKNOWN),
        ({"share": 1.2, "measured": Measured(MADE, silent=1)}, Cause.GAP),
        ({"share": 1.2, "measured": Measured(MADE, estimated_wh=MADE // 10)}, Cause.GAP),
        ({"share": 1.2, "measured": Measured(MADE, flags=Flag.RESET)}, Cause.COUNTER_RESET),
        ({"share": 1.06, "clock_is_wrong": True}, Cause.CLOCK),
        ({"share": 0.985 / 60, "multiplier": 60}, Cause.MULTIPLIER),
        ({"share": 0.985 * 60 / 40, "multiplier": 60}, Cause.MULTIPLIER),
        ({"share": 9.85}, Cause.UNIT),
        ({"share": 0.75, "curtailed_wh": int(MADE * 0.24)}, Cause.CURTAILMENT),
        ({"share": 0.6, "is_self_use": True}, Cause.OWN_USE),
        ({"share": 0.90, "off_after_wh": int(MADE * 0.085)}, Cause.READING_DATE),
        ({"share": 0.90, "off_before_wh": int(MADE * 0.085)}, Cause.READING_DATE),
    ],
)
def test_the_cause_is_the_one_that_the_evidence_speaks_for(changes, expected):
    unknown_next = {"off_after_wh": 0} | changes
    assert cause(**unknown_next) == expected


def test_a_bill_that_names_its_days_is_judged_by_them():
    first, last = date(2026, 9, 25), date(2026, 10, 26)
    between = sum(wh for day, wh in DAYS.items() if first <= day < last)
    named = LineDetail(previous_read_on=first, current_read_on=last)
    share = between * 0.985 / MADE
    found = judge(
        evidence(bill=bill(share, (named,)), tolerances=replace(TOLERANCES, energy_share=Fraction(0)))
    )
    assert [one.cause_kind for one in found.differences] == [Cause.READING_DATE]
    assert "2026-09-25 至 2026-10-26" in found.differences[0].cause


def test_our_own_reading_of_the_meter_is_closer_than_the_inverters():
    agreed = evidence(0.985, metered=Metered(int(MADE * 0.985), "人工抄表"))
    assert judge(agreed).state == "matched"
    (one,) = judge(evidence(0.97, metered=Metered(int(MADE * 0.985), "采集"), off_after_wh=0)).differences
    assert (one.kind, one.cause_kind) == ("billed_metered", Cause.UNKNOWN)
    (other,) = judge(evidence(0.90, metered=Metered(int(MADE * 0.90), "采集"), off_after_wh=0)).differences
    assert (other.kind, other.cause_kind) == ("metered_generated", Cause.LOSS)
    partly = evidence(0.985, metered=Metered(int(MADE * 0.5), "人工抄表", is_complete=False))
    assert judge(partly).state == "matched"


def test_money_is_due_on_its_day_and_a_subsidy_may_wait():
    owed = Money(100_00, 0, 50_00, 0)
    assert judge(evidence(money=owed)).state == "matched"
    (unpaid,) = judge(evidence(money=owed, on=LONG_AFTER)).differences
    assert unpaid.cause_kind == Cause.UNPAID
    (short,) = judge(evidence(money=Money(100_00, 97_00, 50_00, 0), on=LONG_AFTER)).differences
    assert (short.cause_kind, short.unit) == (Cause.SHORT_PAID, "fen")
    (more,) = judge(evidence(money=Money(100_00, 100_00, 50_00, 50_02))).differences
    assert (more.kind, more.cause_kind) == ("received_subsidy", Cause.OVERPAID)


def test_a_month_without_bill_waits_until_its_money_was_due():
    assert judge(evidence(bill=None)).state == "waiting"
    (one,) = judge(evidence(bill=None, on=LONG_AFTER)).differences
    assert one.cause_kind == Cause.UNBILLED
    nothing = evidence(bill=None, on=LONG_AFTER, measured=Measured())
    assert judge(nothing).state == "waiting"
    assert judge(evidence(on=date(2026, 10, 20))).state == "waiting"


def test_one_odd_month_teaches_nothing():
    assert learnt([20_000, 21_000], Fraction(1, 100)) == Loss(Fraction(1, 100))
    assert learnt([20_000, 21_000, 700_000], Fraction(1, 100)) == Loss(Fraction(21, 1000), 3)
