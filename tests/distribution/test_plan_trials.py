"""A plan tried on past months: sums, causes, scope, and villages for which it cannot be computed."""

import pytest

from distribution.approval.runs import allocation_of
from distribution.plan_trials import try_plan
from distribution.plans.document import load_plan
from distribution.plans.templates import template_path
from distribution.types import PayeeKind
from registry.actors import PUBLIC, SYSTEM, Actor, NotPermittedError, Role

FIRST, SECOND = "520499101201", "520499101202"
MONTH = "2026-10"
TEXT = template_path("default_county").read_text(encoding="utf-8").split("[[case]]", maxsplit=1)[0]
MORE_TO_HOUSEHOLDS = TEXT.replace('collective = "20%"', 'collective = "10%"').replace(
    'households = "20%"', 'households = "30%"'
)


@pytest.fixture
def computed(county):
    """Both villages with October computed."""
    county.october()
    county.close()
    return county


def test_the_plan_in_force_changes_nothing(computed):
    with computed.database.reading() as session:
        trial = try_plan(session, SYSTEM, load_plan(TEXT), [MONTH])
    assert [one.village_code for one in trial.villages] == [FIRST, SECOND]
    assert trial.computed == 2
    assert trial.households
    assert all(one.delta_fen == 0 and one.causes == () for one in trial.households)


def test_a_larger_share_for_households_raises_each_and_the_causes_add_up(computed):
    with computed.database.reading() as session:
        trial = try_plan(session, SYSTEM, load_plan(MORE_TO_HOUSEHOLDS), [MONTH])
        frozen = allocation_of(session, SYSTEM, trial.villages[0].run_id)
    assert all(one.delta_fen > 0 for one in trial.households)
    assert all(one.delta_fen == sum(cause.delta_fen for cause in one.causes) for one in trial.changes)
    paid = sum(line.amount_fen for line in frozen.lines if line.payee_kind is PayeeKind.HOUSEHOLD)
    assert trial.villages[0].old_fen == paid
    moved = {one.name: one.new_fen - one.old_fen for one in trial.purses}
    assert moved["households"] == -moved["collective"] > 0
    assert sum(moved.values()) == 0


def test_months_add_up_and_their_causes_too(computed):
    computed.statement(
        [
            "0001,2026-09,M1,1,1000,9000,8000,0.3515,2812.00,0.4985,3988.00",
            "0002,2026-09,M2,100,50,250,20000,0.3515,7030.00,0.4985,9970.00",
        ],
        "九月.csv",
    )
    computed.receipts(
        ["0001,电费,2026-09,2812.00,2026-10-15,BK901", "0002,电费,2026-09,7030.00,2026-10-15,BK902"],
        name="九月到账.csv",
    )
    computed.close("2026-09")
    plan = load_plan(MORE_TO_HOUSEHOLDS)
    with computed.database.reading() as session:
        both = try_plan(session, SYSTEM, plan, [MONTH, "2026-09"])
        parts = [try_plan(session, SYSTEM, plan, [month]) for month in ("2026-09", MONTH)]
    assert both.months == ("2026-09", MONTH)
    assert both.computed == 4
    for one in both.households:
        alone = [change for part in parts for change in part.households if change.payee_id == one.payee_id]
        assert (one.old_fen, one.new_fen) == (
            sum(part.old_fen for part in alone),
            sum(part.new_fen for part in alone),
        )
        assert one.delta_fen == sum(cause.delta_fen for cause in one.causes)


def test_only_the_plans_scope_and_the_readers_area_are_tried(computed):
    narrow = load_plan(TEXT.replace("version = 1", f'version = 1\nscope = ["{SECOND}"]', 1))
    cadre = Actor("v", "村干部", Role.VILLAGE, FIRST)
    with computed.database.reading() as session:
        assert [one.village_code for one in try_plan(session, SYSTEM, narrow, [MONTH]).villages] == [SECOND]
        assert [one.village_code for one in try_plan(session, cadre, load_plan(TEXT), [MONTH]).villages] == [
            FIRST
        ]
        assert try_plan(session, cadre, narrow, [MONTH]).villages == ()
        with pytest.raises(NotPermittedError):
            try_plan(session, PUBLIC, narrow, [MONTH])


def test_a_village_for_which_the_plan_cannot_be_satisfied_is_told_and_left_out(computed):
    impossible = load_plan(TEXT.replace('weight = "enrolment"', 'weight = "enrolment"\nfloor = "100000"', 1))
    with computed.database.reading() as session:
        trial = try_plan(session, SYSTEM, impossible, [MONTH])
    assert trial.computed == 0
    assert trial.changes == ()
    assert all(one.problems and "100,000.00" in str(one.problems[0]) for one in trial.villages)
