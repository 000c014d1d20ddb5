"""Corrections and late money: what changes and why, who owes what; closed months stay as they were."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from distribution.approval.noticing.notices import NoticeTerms, open_notice
from distribution.approval.runs import WrongStateError, allocation_of, live_run, run, submit
from distribution.approval.voting.votes import Ballot, vote
from distribution.closing.corrections import (
    compute_top_up,
    corrections_of,
    draft_correction,
    owed_by,
    start_correction,
)
from distribution.closing.deltas import causes_of
from distribution.ledger.balances import balances
from distribution.ledger.journal import journals
from distribution.payout.payouts import PayoutFilter, payouts
from distribution.plans.document import load_plan
from distribution.plans.tables import publish, retire
from distribution.plans.templates import template_path
from distribution.settlement.reads import receipts
from distribution.settlement.receipts import correct_receipt
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from registry.enrolment import Enrolment, EnrolmentRow, enrol, withdraw_enrolment

FIRST, TOWN_CODE = "520499101201", "520499101000"
COUNTY = Actor("u_county", "县局", Role.COUNTY, "520499000000")
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
TOWN = Actor("u_town", "镇办", Role.TOWNSHIP, TOWN_CODE)
PLAN = template_path("default_county")
OPEN, OVER = datetime(2026, 12, 1, 2, 0, tzinfo=UTC), datetime(2026, 12, 9, 2, 0, tzinfo=UTC)


def clerk(number):
    return Actor(f"u_{FIRST}_{number}", f"村干部{number}", Role.VILLAGE, FIRST)


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request):
    return request.getfixturevalue("booked" if request.param == "sqlite" else "booked_postgres")


def weight(county, household, number):
    """Set right what a household's share should have been all along."""
    with county.database.transaction() as session:
        present = select(EnrolmentRow.id).where(
            EnrolmentRow.household_id == household, EnrolmentRow.superseded_at.is_(None)
        )
        withdraw_enrolment(session, COUNTY, session.scalars(present).one(), OPEN)
        fact = Enrolment(
            household, FIRST, "households", date(2020, 1, 1), weight=number, document="村决〔2026〕9号"
        )
        enrol(session, COUNTY, fact, OPEN)


def replace_plan(county, text, on):
    """Let another plan follow the present one from a day on."""
    with county.database.transaction() as session:
        retire(session, COUNTY, load_plan(PLAN), on=on, now=OPEN)
        publish(session, COUNTY, text, OPEN)


def base(county):
    with county.database.reading() as session:
        return live_run(session, FIRST, "2026-10")


def correct(county, base_id, rules="current"):
    with county.database.transaction() as session:
        return start_correction(session, SYSTEM, base_id, rules, OPEN)


def book(county, made, opened=OPEN, over=OVER):
    """Take a run through all its gates and book it."""
    with county.database.transaction() as session:
        submit(session, clerk(1), made.id, made.content_hash, opened)
        vote(session, clerk(2), made.id, Ballot(made.content_hash), opened)
        open_notice(session, clerk(1), made.id, NoticeTerms(made.content_hash, ("a" * 64,), 7), opened)
    county.close(now=over)
    with county.database.transaction() as session:
        vote(session, TOWN, made.id, Ballot(made.content_hash), over)
        vote(session, COUNTY, made.id, Ballot(made.content_hash), over)
    county.close(now=over)
    with county.database.reading() as session:
        assert verify(session) == []
        return run(session, SYSTEM, made.id)


def result_of(county, run_id):
    with county.database.reading() as session:
        return allocation_of(session, SYSTEM, run_id)


def households_of(result):
    sums = {}
    for line in result.lines:
        if line.payee_kind == "household":
            sums[line.payee_id] = sums.get(line.payee_id, 0) + line.amount_fen
    return sums


def test_a_corrected_share_gives_differences_with_their_causes_and_closed_months_stay(both):
    first = base(both)
    before = households_of(result_of(both, first.id))
    with both.database.reading() as session:
        entries = [one.hash for one in journals(session, SYSTEM, book=FIRST)]
    weight(both, "h_201_2", 4)
    made = correct(both, first.id)
    delta = result_of(both, made.id)
    assert made.kind == "correction"
    assert sum(line.amount_fen for line in delta.lines) == 0
    for line in delta.lines:
        assert sum(causes_of([line]).values()) == line.amount_fen == line.explanation[-1].amount_fen
        assert set(causes_of([line])) <= {"enrolment", "rounding"}
    changed = households_of(delta)
    assert changed["h_201_2"] > 0 > changed["h_201_1"]
    booked = book(both, made)
    assert booked.state == "posted"
    with both.database.reading() as session:
        after = [one.hash for one in journals(session, SYSTEM, book=FIRST)]
        assert after[: len(entries)] == entries
        fresh = [one for one in journals(session, SYSTEM, book=FIRST) if one.source == made.id]
        assert [(one.kind, one.period) for one in fresh] == [("correction", "2026-12")]
        assert {
            one.household_id: one.amount_fen for one in payouts(session, SYSTEM, PayoutFilter(run_id=made.id))
        } == {house: fen for house, fen in changed.items() if fen > 0}
        assert owed_by(session, SYSTEM, FIRST) == {house: -fen for house, fen in changed.items() if fen < 0}
        assert before == households_of(allocation_of(session, SYSTEM, first.id))


def test_old_effective_and_differences_give_the_new_result_also_the_second_time(booked):
    from distribution.plans.allocation import allocate

    first = base(booked)
    weight(booked, "h_201_2", 4)
    one = book(booked, correct(booked, first.id))
    weight(booked, "h_201_3", 6)
    later, end = datetime(2026, 12, 10, 2, 0, tzinfo=UTC), datetime(2026, 12, 20, 2, 0, tzinfo=UTC)
    with booked.database.reading() as session:
        drafted = draft_correction(session, SYSTEM, first.id)
    two = book(booked, correct(booked, first.id), later, end)
    sums = {}
    for made in (first, one, two):
        for house, fen in households_of(result_of(booked, made.id)).items():
            sums[house] = sums.get(house, 0) + fen
    assert sums == households_of(allocate(drafted.plan, drafted.inputs))
    with booked.database.reading() as session:
        assert [made.id for made in corrections_of(session, SYSTEM, first)] == [one.id, two.id]


def test_what_a_mistaken_correction_took_is_given_back_by_the_next_one(booked):
    first = base(booked)
    weight(booked, "h_201_2", 4)
    book(booked, correct(booked, first.id))
    weight(booked, "h_201_2", 2)
    later, end = datetime(2026, 12, 10, 2, 0, tzinfo=UTC), datetime(2026, 12, 20, 2, 0, tzinfo=UTC)
    two = book(booked, correct(booked, first.id), later, end)
    with booked.database.reading() as session:
        owed = owed_by(session, SYSTEM, FIRST)
        assert set(owed) == {"h_201_2"}
        assert payouts(session, SYSTEM, PayoutFilter(run_id=two.id)) == ()
        kinds = [one.kind for one in journals(session, SYSTEM, book=FIRST, sources=(two.id,))]
    assert kinds == ["correction", "netting"]


def test_a_correction_that_changes_nothing_is_no_run_and_one_at_a_time_is_under_decision(booked):
    first = base(booked)
    assert correct(booked, first.id) is None
    weight(booked, "h_201_2", 4)
    made = correct(booked, first.id)
    assert correct(booked, first.id).id == made.id
    with booked.database.transaction() as session:
        submit(session, clerk(1), made.id, made.content_hash, OPEN)
    assert correct(booked, first.id).id == made.id
    weight(booked, "h_201_3", 9)
    with pytest.raises(WrongStateError, match="已有一批更正在办理"):
        correct(booked, first.id)


def test_another_plan_for_the_month_is_a_cause_of_its_own(booked):
    text = PLAN.read_text(encoding="utf-8").replace("version = 1", "version = 2")
    text = text.replace(
        'posts = "60%", collective = "20%", households = "20%"',
        'posts = "50%", collective = "20%", households = "30%"',
    )
    text = text[: text.index("[[case]]")].replace("valid_from = 2021-01-01", "valid_from = 2026-10-01")
    first = base(booked)
    replace_plan(booked, text, date(2026, 10, 1))
    with booked.database.reading() as session:
        same = draft_correction(session, SYSTEM, first.id, "original")
        other = draft_correction(session, SYSTEM, first.id, "current")
    assert same.is_empty
    assert {code for change in other.changes for code, _fen in change.causes} == {"rule"}
    assert sum(change.delta_fen for change in other.changes) == 0


def test_late_subsidy_is_paid_by_the_roster_of_its_month_and_pays_no_post_twice(both):
    both.receipts(["0001,国家补贴,2026-10,5982.00,2026-12-01,BK100"], at=OPEN)
    both.close(now=OPEN)
    with both.database.transaction() as session:
        made = compute_top_up(session, SYSTEM, (FIRST, "2026-10"), OPEN)
    result = result_of(both, made.id)
    assert (made.kind, made.period) == ("top_up", "2026-10")
    assert sum(part.amount_fen for part in result.income) == 598200
    assert not [line for line in result.lines if line.purse == "posts" and line.payee_kind == "household"]
    assert sum(one.amount_fen for one in result.deductions if one.kind == "cost") == 0
    booked = book(both, made)
    assert booked.state == "posted"
    with both.database.reading() as session:
        kinds = [one.kind for one in journals(session, SYSTEM, book=FIRST, sources=(made.id,))]
        assert kinds == ["top_up"]
        paid = payouts(session, SYSTEM, PayoutFilter(run_id=made.id))
        assert {one.household_id: one.amount_fen for one in paid} == households_of(result)
        assert balances(session, SYSTEM, book=FIRST, accounts=("distributable",)) == ()


def test_an_approved_rule_nets_what_was_overpaid_up_to_its_cap_and_nothing_nets_without_it(booked):
    first = base(booked)
    weight(booked, "h_201_2", 4)
    book(booked, correct(booked, first.id))
    with booked.database.reading() as session:
        owed = owed_by(session, SYSTEM, FIRST)
    rule = '\n[[step]]\nkind = "net_overpaid"\npercent = "10%"\ncap = 300\nclause = "村决〔2026〕12号"\n'
    text = PLAN.read_text(encoding="utf-8").replace("version = 1", "version = 2")
    text = text[: text.index("[[case]]")].replace("valid_from = 2021-01-01", "valid_from = 2026-11-01") + rule
    replace_plan(booked, text, date(2026, 11, 1))
    booked.statement(
        [
            "0001,2026-11,M1,1,13000,25000,12000,0.3515,4218.00,0.4985,5982.00",
            "0002,2026-11,M2,100,350,650,30000,0.3515,10545.00,0.4985,14955.00",
        ],
        name="11.csv",
    )
    booked.receipts(
        ["0001,电费,2026-11,4218.00,2026-12-15,BK201", "0002,电费,2026-11,10545.00,2026-12-15,BK202"]
    )
    now, end = datetime(2026, 12, 16, 2, 0, tzinfo=UTC), datetime(2026, 12, 26, 2, 0, tzinfo=UTC)
    booked.close("2026-11", now=now)
    with booked.database.reading() as session:
        made = live_run(session, FIRST, "2026-11")
    result = result_of(booked, made.id)
    assert {one.household_id: one.owed_fen for one in result.nettings} == owed
    gross = households_of(result)
    for one in result.nettings:
        assert one.amount_fen == min(owed[one.household_id], gross[one.household_id] // 10, 30000)
    with booked.database.transaction() as session:
        submit(session, clerk(1), made.id, made.content_hash, now)
        vote(session, clerk(2), made.id, Ballot(made.content_hash), now)
        open_notice(session, clerk(1), made.id, NoticeTerms(made.content_hash, ("a" * 64,), 7), now)
    booked.close("2026-11", now=end)
    with booked.database.transaction() as session:
        vote(session, TOWN, made.id, Ballot(made.content_hash), end)
        vote(session, COUNTY, made.id, Ballot(made.content_hash), end)
    assert booked.close("2026-11", now=end)[FIRST].state == "posted"
    netted = {one.household_id: one.amount_fen for one in result.nettings}
    with booked.database.reading() as session:
        assert verify(session) == []
        left = {house: fen - netted.get(house, 0) for house, fen in owed.items()}
        assert owed_by(session, SYSTEM, FIRST) == {house: fen for house, fen in left.items() if fen}
        for one in payouts(session, SYSTEM, PayoutFilter(run_id=made.id)):
            assert one.amount_fen == gross[one.household_id] - netted.get(one.household_id, 0)


def test_a_wrong_receipt_of_a_booked_month_is_put_right_by_a_correction_and_then_booked(both):
    """The money that was never there is owed back before the receipt is taken back in the books."""
    first = base(both)
    with both.database.reading() as session:
        wrong = next(one for one in receipts(session, SYSTEM, village_code=FIRST) if one.amount_fen == 421800)
    with both.database.transaction() as session:
        correct_receipt(session, FINANCE, wrong.id, "银行流水看错", OPEN)
    both.receipts(["0001,电费,2026-10,4000.00,2026-11-15,BK001A"], at=OPEN)
    both.close(now=OPEN)
    made = correct(both, first.id)
    result = result_of(both, made.id)
    assert sum(part.amount_fen for part in result.income) == -21800
    assert sum(line.amount_fen for line in result.lines) == -21800 + 21800 * 2 // 100
    assert {code for line in result.lines for code in causes_of([line])} <= {"settlement", "rounding"}
    assert book(both, made).state == "posted"
    both.close(now=OVER)
    with both.database.reading() as session:
        assert verify(session) == []
        assert balances(session, SYSTEM, book=FIRST, accounts=("distributable",)) == ()
        assert sum(owed_by(session, SYSTEM, FIRST).values()) > 0
    with both.database.reading() as session:
        assert draft_correction(session, SYSTEM, first.id).is_empty
        taken_back = [one.kind for one in journals(session, SYSTEM, book=FIRST) if one.reverses]
    assert taken_back == ["reversal"]
