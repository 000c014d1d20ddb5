"""What would change, and why: the causes add up to every difference."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from distribution.plans.allocation import allocate
from distribution.plans.comparison import CauseKind, diff, recompute
from distribution.plans.document import load_plan
from distribution.plans.templates import template_path
from distribution.types import (
    Component,
    CostItem,
    EnrolmentInput,
    HouseholdInput,
    IncomePart,
    PayeeKind,
    PlanInput,
    PostInput,
)

TEXT = Path(template_path("default_county")).read_text(encoding="utf-8")
OLD = load_plan(TEXT)
NEW = load_plan(
    TEXT.replace('posts = "60%", collective = "20%", households = "20%"', 'posts = "50%", households = "50%"')
    .replace(
        'name = "collective"\nlabel = "村集体"\nrest = "village_collective"',
        'name = "collective"\nlabel = "村集体"\nrest = "carry_over"',
    )
    .replace('clause = "公益岗位 60%', 'rest_into = "collective"\nclause = "公益岗位 60%')
)
VILLAGE = "520499101201"


def month(total=1_000_000, weights=(1, 2, 3), costs=0, post=True):
    return PlanInput(
        VILLAGE,
        "2026-10",
        income=(IncomePart(Component.ELECTRICITY, total, date(2026, 10, 20), "r"),),
        costs=(CostItem("other", costs, "c"),),
        households=tuple(
            HouseholdInput(
                f"h{number}", VILLAGE, enrolments=(EnrolmentInput("households", Fraction(weight)),)
            )
            for number, weight in enumerate(weights)
        ),
        posts=(PostInput("p", "h0", "保洁", 60_000, Fraction(1), evidence="e"),) if post else (),
    )


def test_a_plan_difference_names_purses_households_and_causes():
    difference = diff(OLD, NEW, month())
    changes = {change.payee_id: change for change in difference.changes}
    assert difference.gaining == 3
    assert difference.losing == 0
    assert {item.name: (item.old_fen, item.new_fen) for item in difference.purses}["households"] == (
        196_000,
        490_000,
    )
    assert changes["h0"].old_fen == 60_000 + 32_667
    assert changes["h0"].new_fen == 60_000 + 81_667
    assert changes["h1"].causes[0].kind is CauseKind.POOL
    assert "钱袋 1,960.00 元变为 4,900.00 元" in changes["h1"].causes[0].text


def test_the_same_plan_changes_nothing():
    difference = diff(OLD, OLD, month())
    assert (difference.gaining, difference.losing, difference.unchanged) == (0, 0, 3)
    assert all(change.causes == () for change in difference.changes)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(
        st.integers(0, 10**7), st.lists(st.integers(0, 9), max_size=6), st.integers(0, 10**4), st.booleans()
    ),
    st.tuples(
        st.integers(0, 10**7), st.lists(st.integers(0, 9), max_size=6), st.integers(0, 10**4), st.booleans()
    ),
)
def test_old_plus_causes_is_new_for_everybody(first, second):
    before = month(*first) if first[1] else month(first[0], (1,), first[2], first[3])
    after = month(*second) if second[1] else month(second[0], (1,), second[2], second[3])
    _, changes = recompute((OLD, before), (NEW, after))
    by_plan = diff(OLD, NEW, after).changes
    for change in (*changes, *by_plan):
        assert change.old_fen + sum(cause.delta_fen for cause in change.causes) == change.new_fen
    new = allocate(NEW, after)
    for change in changes:
        lines = [
            line
            for line in new.lines
            if (line.payee_kind, line.payee_id) == (change.payee_kind, change.payee_id)
        ]
        assert change.new_fen == sum(line.amount_fen for line in lines)


def test_a_recomputed_month_says_which_input_changed():
    before = month()
    after = replace(month(weights=(1, 2, 3, 4)), income=month(2_000_000).income)
    _, changes = recompute((OLD, before), (OLD, after))
    kinds = {change.payee_id: [cause.kind for cause in change.causes] for change in changes}
    assert kinds["h1"] == [CauseKind.SETTLEMENT, CauseKind.ENROLMENT]
    assert kinds["h3"] == [CauseKind.ENROLMENT]


def test_one_fen_that_only_rounding_moved_is_called_so():
    before, after = month(100_000, (1, 1, 1), post=False), month(100_005, (1, 1, 1), post=False)
    _, changes = recompute((OLD, before), (OLD, after))
    household = [
        change for change in changes if change.payee_kind is PayeeKind.HOUSEHOLD and change.delta_fen
    ]
    assert {cause.kind for change in household for cause in change.causes} == {CauseKind.ROUNDING}
