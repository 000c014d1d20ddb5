"""The allocation's invariants, for arbitrary villages: sums, nearness, order, weights, days, bounds.

A hundredth of the cases runs always; all of them with SUNLEDGER_SOAK (`make soak`).
"""

import os
import random
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distribution.money import integer_weights, split
from distribution.plans.allocation import allocate
from distribution.plans.document import load_plan
from distribution.plans.primitives.payments.bounds import bounded_split
from distribution.types import (
    Component,
    CostItem,
    DivisionInput,
    EnrolmentInput,
    HouseholdInput,
    IncomePart,
    PayeeKind,
    PlanInput,
)
from store.canonical import content_hash

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
SEED = 20261125
SPLITS = 1_000_000 if SOAK else 10_000
EXAMPLES = 10_000 if SOAK else 60
VILLAGES = ("520499101201", "520499101202", "520499102201")
START, DAYS = date(2026, 10, 1), 31

PLAN = load_plan(
    """
id = "invariants"
title = "两级统筹、比例、权重"
source = "性质检验"
[[purse]]
name = "county_pool"
label = "县级"
[[purse]]
name = "kept"
label = "留存"
rest = "county"
[[purse]]
name = "village"
label = "村级"
[[purse]]
name = "persons"
label = "按人"
rest = "carry_over"
[[purse]]
name = "enrolled"
label = "按份额"
rest = "carry_over"
[[purse]]
name = "collective"
label = "村集体"
rest = "village_collective"
[[step]]
kind = "income"
components = ["electricity", "subsidy"]
into = "county_pool"
[[step]]
kind = "actual_cost"
name = "maintenance"
from = "county_pool"
costs = ["maintenance"]
[[step]]
kind = "pool"
from = "county_pool"
into = "village"
to_level = "village"
weight = "kw"
keep = "1/7"
keep_into = "kept"
[[step]]
kind = "split"
from = "village"
parts = { persons = "1/3", enrolled = "41%" }
rest_into = "collective"
[[step]]
kind = "by_weight"
from = "persons"
weight = "persons"
[[step]]
kind = "by_weight"
from = "enrolled"
enrolment = "share"
weight = "enrolment"
prorate = true
"""
)


@st.composite
def enrolments(draw):
    first = draw(st.integers(0, DAYS))
    last = draw(st.integers(first, DAYS))
    weight = draw(st.one_of(st.integers(0, 9).map(Fraction), st.fractions(0, 3, max_denominator=12)))
    return EnrolmentInput("share", weight, None, START + timedelta(first), START + timedelta(last))


@st.composite
def months(draw):
    count = draw(st.integers(0, 12))
    households = tuple(
        HouseholdInput(
            f"h{number:03d}",
            draw(st.sampled_from(VILLAGES)),
            persons=draw(st.integers(0, 7)),
            enrolments=(draw(enrolments()),),
        )
        for number in range(count)
    )
    return PlanInput(
        "520499000000",
        "2026-10",
        income=(
            IncomePart(Component.ELECTRICITY, draw(st.integers(0, 10**8)), START, "a"),
            IncomePart(Component.SUBSIDY, draw(st.integers(0, 10**6)), START, "b"),
        ),
        costs=(CostItem("maintenance", draw(st.integers(0, 10**5)), "c"),),
        divisions=tuple(
            DivisionInput(code, code, {"kw": Fraction(draw(st.integers(1, 500)))}) for code in VILLAGES
        ),
        households=households,
    )


def by_weight_groups(allocation):
    groups: dict[tuple[str, str], list] = {}
    for line in allocation.lines:
        if line.payee_kind is PayeeKind.HOUSEHOLD:
            groups.setdefault((line.purse, line.division_code), []).append(line)
    return groups


def paid(allocation):
    return {(line.purse, line.payee_id, line.division_code): line.amount_fen for line in allocation.lines}


@pytest.mark.soak
@settings(max_examples=EXAMPLES, deadline=None)
@given(months())
def test_every_level_adds_up_and_no_line_is_negative(month):
    allocation = allocate(PLAN, month)
    income = sum(part.amount_fen for part in month.income)
    deducted = sum(item.amount_fen for item in allocation.deductions)
    assert income - deducted == allocation.distributable_fen
    assert sum(line.amount_fen for line in allocation.lines) == allocation.distributable_fen
    assert sum(purse.amount_fen for purse in allocation.purses) == allocation.distributable_fen
    assert all(line.amount_fen >= 0 for line in allocation.lines)
    for purse in allocation.purses:
        assert purse.amount_fen == sum(x.amount_fen for x in allocation.lines if x.purse == purse.purse)


@pytest.mark.soak
@settings(max_examples=EXAMPLES, deadline=None)
@given(months())
def test_a_line_is_within_one_fen_of_its_exact_share_and_says_so(month):
    for line in allocate(PLAN, month).lines:
        for step in line.explanation:
            assert abs(step.exact - step.amount_fen) < 1
        if line.payee_kind is PayeeKind.HOUSEHOLD:
            assert line.explanation[-1].amount_fen == line.amount_fen


@pytest.mark.soak
@settings(max_examples=EXAMPLES, deadline=None)
@given(months(), st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_the_order_of_the_input(month, chooser):
    def shuffled(items):
        return tuple(chooser.sample(items, len(items)))

    other = replace(
        month,
        households=shuffled(month.households),
        divisions=shuffled(month.divisions),
        costs=shuffled(month.costs),
    )
    assert paid(allocate(PLAN, month)) == paid(allocate(PLAN, other))


@pytest.mark.soak
@settings(max_examples=EXAMPLES, deadline=None)
@given(months())
def test_larger_weights_never_get_less_and_equal_ones_differ_by_a_fen_at_most(month):
    for lines in by_weight_groups(allocate(PLAN, month)).values():
        lines.sort(key=lambda line: (line.weight, line.amount_fen))
        for one, other in pairwise(lines):
            assert one.amount_fen <= other.amount_fen
            assert one.weight != other.weight or other.amount_fen - one.amount_fen <= 1


@pytest.mark.soak
@settings(max_examples=EXAMPLES, deadline=None)
@given(months())
def test_no_weight_and_no_day_get_nothing(month):
    lines = paid(allocate(PLAN, month))
    for household in month.households:
        enrolment = household.enrolments[0]
        if not household.persons:
            assert ("persons", household.id, household.village_code) not in lines
        if not enrolment.weight or enrolment.valid_from == enrolment.valid_to:
            assert ("enrolled", household.id, household.village_code) not in lines


@pytest.mark.soak
@settings(max_examples=EXAMPLES, deadline=None)
@given(months())
def test_the_same_input_gives_the_same_content_hash(month):
    assert content_hash(allocate(PLAN, month)) == content_hash(allocate(PLAN, month))


@pytest.mark.soak
@settings(max_examples=EXAMPLES, deadline=None)
@given(months(), st.integers(1, DAYS - 1))
def test_days_over_a_partition_of_the_month_make_the_whole(month, cut):
    def parted(household):
        entry = household.enrolments[0]
        middle = min(max(START + timedelta(cut), entry.valid_from), entry.valid_to)
        parts = (replace(entry, valid_to=middle), replace(entry, valid_from=middle))
        return replace(household, enrolments=parts)

    other = replace(month, households=tuple(parted(household) for household in month.households))
    assert paid(allocate(PLAN, month)) == paid(allocate(PLAN, other))


@pytest.mark.soak
@settings(max_examples=EXAMPLES, deadline=None)
@given(months(), st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=50))
def test_scaling_every_weight_changes_nothing(month, factor):
    def scaled(household):
        entry = household.enrolments[0]
        return replace(household, enrolments=(replace(entry, weight=entry.weight * factor),))

    other = replace(month, households=tuple(scaled(household) for household in month.households))
    assert paid(allocate(PLAN, month)) == paid(allocate(PLAN, other))


@pytest.mark.soak
def test_random_splits_keep_every_invariant():
    chooser = random.Random(SEED)
    print(f"seed {SEED}, {SPLITS} splits")
    for _ in range(SPLITS):
        count = chooser.randrange(1, 12)
        weights = [chooser.choice((0, 1, 1, 2, 5, chooser.randrange(1, 1000))) for _ in range(count)]
        if not any(weights):
            continue
        total = chooser.randrange(10 ** chooser.randrange(1, 10))
        keys = [f"{chooser.getrandbits(64):016x}" for _ in weights]
        shares = split(total, weights, keys)
        whole = sum(weights)
        assert sum(shares) == total
        assert all(
            abs(share * whole - total * weight) < whole for share, weight in zip(shares, weights, strict=True)
        )
        order = sorted(range(count), key=lambda index: (weights[index], shares[index]))
        for one, other in pairwise(order):
            assert shares[one] <= shares[other]
            assert weights[one] != weights[other] or shares[other] - shares[one] <= 1
        assert [shares[index] for index in order] == split(
            total, [weights[index] * 3 for index in order], [keys[index] for index in order]
        )


@pytest.mark.soak
def test_random_bounded_splits_stay_inside_their_bounds_and_add_up():
    chooser = random.Random(SEED)
    for _ in range(SPLITS // 10):
        count = chooser.randrange(1, 9)
        weights = integer_weights(
            [Fraction(chooser.randrange(12), chooser.randrange(1, 5)) for _ in range(count)]
        )
        keys = [f"{index}" for index in range(count)]
        takers = sum(1 for weight in weights if weight)
        total = chooser.randrange(100_000)
        floor = chooser.randrange(30_000)
        ceiling = chooser.choice((None, floor + chooser.randrange(30_000)))
        if floor * takers > total:
            with pytest.raises(ValueError, match="floors"):
                bounded_split(total, weights, keys, floor, ceiling)
            continue
        if not takers:
            continue
        result = bounded_split(total, weights, keys, floor, ceiling)
        given_out = total if ceiling is None else min(total, ceiling * takers)
        assert sum(result.amounts) == given_out
        for weight, amount in zip(weights, result.amounts, strict=True):
            assert amount == 0 if not weight else floor <= amount
            assert ceiling is None or amount <= ceiling
        order = sorted(range(count), key=lambda index: (weights[index], result.amounts[index]))
        assert all(result.amounts[one] <= result.amounts[other] for one, other in pairwise(order))


def test_a_larger_pool_can_give_somebody_a_fen_less_and_the_explanation_says_why():
    weights, keys = [5, 3, 1], ["a", "b", "c"]
    found = [
        total
        for total in range(200)
        if any(
            after < before
            for before, after in zip(
                split(total, weights, keys), split(total + 1, weights, keys), strict=True
            )
        )
    ]
    assert found
