"""A random life of a booked month: shares put right, late money, corrections, nettings, in any order.

The judge counts by hand: what each household is due is worked out here from shares alone, with a split of its
own, and compared with what was paid less what is owed back.
"""

import os
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event, select

from distribution.approval.noticing.notices import NoticeTerms, notice_of, open_notice
from distribution.approval.runs import ApprovalError, allocation_of, live_run, run, runs, submit
from distribution.approval.states import BOOKED
from distribution.approval.voting.votes import Ballot, vote
from distribution.closing.corrections import compute_top_up, owed_by, start_correction
from distribution.closing.deltas import causes_of
from distribution.ledger.balances import balances, verify_books
from distribution.ledger.journal import head, journals
from distribution.payout.payouts import PayoutFilter, payouts
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from registry.enrolment import Enrolment, EnrolmentRow, enrol, withdraw_enrolment

FIRST, MONTH = "520499101201", "2026-10"
START = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
COUNTY = Actor("u_county", "县局", Role.COUNTY, "520499000000")
TOWN = Actor("u_town", "镇办", Role.TOWNSHIP, "520499101000")
CLERKS = [Actor(f"u_{FIRST}_{number}", f"村干部{number}", Role.VILLAGE, FIRST) for number in (1, 2)]
HOUSES = [f"h_201_{number}" for number in (1, 2, 3)]
SUBSIDY_FEN = 598_200
SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
LIVES, STEPS = (200, 30) if SOAK else (4, 10)
REACHED = Counter()


def put_right(county, house, weight, now):
    with county.database.transaction() as session:
        present = select(EnrolmentRow.id).where(
            EnrolmentRow.household_id == house, EnrolmentRow.superseded_at.is_(None)
        )
        withdraw_enrolment(session, COUNTY, session.scalars(present).one(), now)
        fact = Enrolment(house, FIRST, "households", date(2020, 1, 1), weight=weight, document="更正")
        enrol(session, COUNTY, fact, now)


def take_on(county, run_id, now):
    """Take a run one human step on; return the time after it."""
    with county.database.transaction() as session:
        found = run(session, SYSTEM, run_id)
        digest = found.content_hash
        if found.state == "computed":
            submit(session, CLERKS[0], run_id, digest, now)
        elif found.state == "village_submitted":
            vote(session, CLERKS[1], run_id, Ballot(digest), now)
        elif found.state == "village_agreed":
            open_notice(session, CLERKS[0], run_id, NoticeTerms(digest, ("a" * 64,), 7), now)
            now += timedelta(days=8)
        elif found.state == "notice_closed":
            vote(session, TOWN, run_id, Ballot(digest), now)
        elif found.state == "township_approved":
            vote(session, COUNTY, run_id, Ballot(digest), now)
    county.close(now=now)
    return now


class LifeOfABookedMonth(RuleBasedStateMachine):
    """Shares change, late money comes, corrections and top-ups are started, decided, returned."""

    maker = None

    def __init__(self):
        super().__init__()
        self.county = self.maker("booked")
        self.now = START
        self.weights = {house: number for number, house in enumerate(HOUSES, start=1)}
        self.late = 0
        with self.county.database.reading() as session:
            self.first = live_run(session, FIRST, MONTH)
            lines = allocation_of(session, SYSTEM, self.first.id).lines
            self.pool = sum(one.amount_fen for one in lines if one.purse == "households")
            self.wages = {
                house: sum(one.amount_fen for one in lines if one.purse == "posts" and one.payee_id == house)
                for house in HOUSES
            }
            self.frozen = [one.hash for one in journals(session, SYSTEM, book=FIRST)]
        self.applied = {self.first.id: dict(self.weights)}
        self.drafted = {}
        self.pools = {self.first.id: self.pool}

    @initialize(weight=st.integers(3, 9))
    def the_month_was_corrected_once(self, weight):
        self.what_was_given_less_what_is_owed_is_what_is_due()
        self.a_share_is_put_right(HOUSES[1], weight, 6)

    def undecided(self):
        with self.county.database.reading() as session:
            every = runs(session, SYSTEM, book=FIRST)
        return [one for one in every if one.kind != "regular" and one.state not in BOOKED]

    @rule(house=st.sampled_from(HOUSES), weight=st.integers(1, 9), steps=st.integers(0, 6))
    def a_share_is_put_right(self, house, weight, steps):
        put_right(self.county, house, weight, self.now)
        self.weights[house] = weight
        if steps:
            self.a_correction_is_computed(0)
            self.people_decide(steps, returned=False)

    @rule(part=st.integers(1, 100), steps=st.integers(0, 6))
    def late_subsidy_arrives(self, part, steps):
        amount = min(SUBSIDY_FEN * part // 100, SUBSIDY_FEN - self.late)
        if amount > 0:
            self.late += amount
            row = f"0001,国家补贴,{MONTH},{amount // 100}.{amount % 100:02d},2026-12-01,L{self.late}"
            assert not self.county.receipts([row], at=self.now).problems
        if steps:
            self.late_money_is_computed()
            self.people_decide(steps, returned=False)

    @rule()
    def late_money_is_computed(self):
        self.county.close(now=self.now)
        try:
            with self.county.database.transaction() as session:
                made = compute_top_up(session, SYSTEM, (FIRST, MONTH), self.now)
                lines = () if made is None else allocation_of(session, SYSTEM, made.id).lines
        except ApprovalError:
            return
        if made is not None and made.state == "computed":
            self.drafted[made.id] = (made.id, dict(self.weights))
            self.pools[made.id] = sum(one.amount_fen for one in lines if one.purse == "households")
            assert all(one.amount_fen >= 0 for one in lines)

    @rule(which=st.integers(0, 3))
    def a_correction_is_computed(self, which):
        with self.county.database.reading() as session:
            every = [one for one in runs(session, SYSTEM, book=FIRST) if one.kind != "correction"]
        bases = [one for one in every if one.state in BOOKED and one.id in self.applied]
        base = bases[which % len(bases)]
        try:
            with self.county.database.transaction() as session:
                made = start_correction(session, SYSTEM, base.id, "current", self.now)
                lines = () if made is None else allocation_of(session, SYSTEM, made.id).lines
        except ApprovalError:
            return
        if made is None:
            return
        self.drafted[made.id] = (base.id, dict(self.weights))
        assert sum(one.amount_fen for one in lines) == 0
        for line in lines:
            assert sum(causes_of([line]).values()) == line.amount_fen

    @rule(steps=st.integers(1, 6), returned=st.booleans())
    def people_decide(self, steps, returned):
        for one in self.undecided():
            if returned and one.state == "village_submitted" and steps == 1:
                with self.county.database.transaction() as session:
                    ballot = Ballot(one.content_hash, "return", "请核对")
                    vote(session, CLERKS[1], one.id, ballot, self.now)
                continue
            for _ in range(steps):
                self.now = take_on(self.county, one.id, self.now)
        self._note_booked()

    def _note_booked(self):
        with self.county.database.reading() as session:
            for run_id, (base, weights) in list(self.drafted.items()):
                found = run(session, SYSTEM, run_id)
                REACHED[f"{found.kind} {found.state}"] += 1
                if found.state in BOOKED:
                    self.applied[base] = weights
                    del self.drafted[run_id]

    @invariant()
    def what_was_given_less_what_is_owed_is_what_is_due(self):
        due = dict(self.wages)
        for base, weights in self.applied.items():
            for house, fen in shares_by_hand(self.pools[base], weights).items():
                due[house] += fen
        with self.county.database.reading() as session:
            paid = Counter()
            for one in payouts(session, SYSTEM, PayoutFilter(book=FIRST)):
                paid[one.household_id] += one.amount_fen
            owed = owed_by(session, SYSTEM, FIRST)
        for house in HOUSES:
            # Equal remainders are decided by an opaque number, which the judge does not know.
            bases = len(self.applied)
            assert abs(paid[house] - owed.get(house, 0) - due[house]) <= bases
        assert sum(paid.values()) - sum(owed.values()) == sum(due.values())

    @invariant()
    def the_books_are_whole_and_what_was_posted_stays(self):
        with self.county.database.reading() as session:
            assert verify_books(session) == []
            hashes = [one.hash for one in journals(session, SYSTEM, book=FIRST)]
            assert sum(one.amount_fen for one in balances(session, SYSTEM, book=FIRST)) == 0
        assert hashes[: len(self.frozen)] == self.frozen
        self.frozen = hashes

    def teardown(self):
        with self.county.database.reading() as session:
            assert verify(session) == []
        self.county.database.close()


def shares_by_hand(pool, weights):
    """Cut every share down to fen and give what is left to the largest fractions."""
    whole = sum(weights.values())
    exact = {house: Fraction(pool * weight, whole) for house, weight in weights.items()}
    cut = {house: int(share) for house, share in exact.items()}
    order = sorted(exact, key=lambda house: cut[house] - exact[house])
    for house in order[: pool - sum(cut.values())]:
        cut[house] += 1
    return cut


@pytest.mark.soak
def test_any_life_of_a_booked_month_gives_everybody_what_is_due(county_maker):
    machine = type("Life", (LifeOfABookedMonth,), {"maker": staticmethod(county_maker)})
    case = machine.TestCase
    case.settings = settings(
        max_examples=LIVES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case("runTest").runTest()
    print(f"\n{LIVES} lives of up to {STEPS} steps; runs seen: {dict(REACHED)}")
    assert REACHED["correction posted"] > 0


class PowerCutError(RuntimeError):
    """Raised where the process would have died."""


def correct_wholly(county, now=START):
    """Correct the booked month from the first statement to the last."""
    with county.database.transaction() as session:
        base = live_run(session, FIRST, MONTH)
        start_correction(session, SYSTEM, base.id, "current", now)  # nothing more once it is booked
        found = live_run(session, FIRST, MONTH, "correction")
    opened = now
    while found.state not in BOOKED:
        with county.database.reading() as session:
            posted = notice_of(session, SYSTEM, found.id)
        now = max(now, opened + timedelta(days=8)) if posted is not None else now
        now = take_on(county, found.id, now)
        with county.database.reading() as session:
            found = run(session, SYSTEM, found.id)
    return found


@pytest.mark.soak
def test_a_power_cut_at_any_statement_of_a_correction_leaves_nothing_half_done(county_maker):
    fuse = {"count": 0, "at": 0}

    def burn(*_arguments):
        fuse["count"] += 1
        if fuse["at"] and fuse["count"] >= fuse["at"]:
            fuse["at"] = 0
            raise PowerCutError

    def made():
        county = county_maker("booked")
        put_right(county, HOUSES[1], 5, START)
        event.listen(county.database.engine, "before_cursor_execute", burn)
        fuse["count"] = 0
        return county

    def end_of(county):
        with county.database.reading() as session:
            assert verify(session) == []
            found = live_run(session, FIRST, MONTH, "correction")
            lines = [(one.payee_id, one.amount_fen) for one in allocation_of(session, SYSTEM, found.id).lines]
            return found.state, found.version, lines, head(session, FIRST).seq

    whole = made()
    correct_wholly(whole)
    statements, expected = fuse["count"], end_of(whole)
    for at in range(1, statements, 1 if SOAK else statements // 6):
        county = made()
        fuse["at"] = at
        with pytest.raises(PowerCutError):
            correct_wholly(county)
        with county.database.reading() as session:
            assert verify(session) == []
        correct_wholly(county)
        assert end_of(county) == expected


def test_both_databases_give_the_same_correction(booked, booked_postgres):
    found = []
    for county in (booked, booked_postgres):
        put_right(county, HOUSES[1], 5, START)
        made = correct_wholly(county)
        with county.database.reading() as session:
            lines = allocation_of(session, SYSTEM, made.id).lines
            legs = [one.postings for one in journals(session, SYSTEM, book=FIRST, sources=(made.id,))]
            found.append((lines, legs, owed_by(session, SYSTEM, FIRST)))
    assert found[0] == found[1]
