"""A random life of a county against an independent count of its money.

The model below adds and subtracts by itself; it shares no code with what it judges.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from distribution.approval.noticing.notices import NoticeTerms, open_notice
from distribution.approval.runs import ApprovalError, live_run, submit
from distribution.approval.voting.votes import Ballot, vote
from distribution.closing.month import close_month
from distribution.disbursing import ready_payouts, send_batch, take_return
from distribution.ledger.balances import balances, verify_books
from distribution.ledger.journal import journals
from distribution.payout.payouts import BatchOrder, PayoutFilter, payouts
from distribution.settlement.receivables.remittances import RemittanceFact, record_remittance
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from store.problem import ProblemsError

FIRST = "520499101201"
START = datetime(2026, 11, 16, 2, 0, tzinfo=UTC)
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
PEOPLE = [
    Actor("u_1", "村干部一", Role.VILLAGE, FIRST),
    Actor("u_2", "村干部二", Role.VILLAGE, FIRST),
    Actor("u_town", "镇办", Role.TOWNSHIP, "520499101000"),
    Actor("u_county", "县局", Role.COUNTY, "520499000000"),
]
PRICE, SUBSIDY = 3515, 4985
REACHED = Counter()
WORDS = st.sampled_from(["成功", "失败", "退回", "处理中", ""])


def bill(kwh):
    """One row for the first station, in figures computed by hand: yuan with two places, half up."""
    fee, extra = ((kwh * price + 50) // 100 for price in (PRICE, SUBSIDY))
    text = f"0001,2026-10,M1,1,0,{kwh},{kwh},0.3515,{fee // 100}.{fee % 100:02d},0.4985,"
    return text + f"{extra // 100}.{extra % 100:02d}", fee, extra


class LifeOfACounty(RuleBasedStateMachine):
    """Imports, receipts, closings, votes, notices, batches and answers in any order."""

    maker = None

    def __init__(self):
        super().__init__()
        self.county = self.maker()
        self.now = START
        self.received = 0
        self.billed = (0, 0)
        self.references = 0
        self.sent = []
        self.prefixes = {}

    @initialize()
    def the_joint_station_is_billed(self):
        self.county.statement(["0002,2026-10,M2,100,50,350,30000,0.3515,10545.00,0.4985,14955.00"])
        self.county.receipts(["0002,电费,2026-10,10545.00,2026-11-15,BK002"])
        self.received += 351_500

    def transaction(self):
        return self.county.database.transaction()

    def run(self):
        with self.county.database.reading() as session:
            return live_run(session, FIRST, "2026-10")

    @rule(kwh=st.integers(1, 70_000))
    def a_bill_or_its_revision_comes(self, kwh):
        row, fee, extra = bill(kwh)
        result = self.county.statement([row], name=f"{kwh}.csv")
        if not result.problems:
            self.billed = (fee, extra)

    @precondition(lambda self: self.billed[0])
    @rule(part=st.integers(1, 100), whole=st.booleans())
    def money_arrives(self, part, whole):
        got = self.received - 351_500
        amount = self.billed[0] - got if whole else self.billed[0] * part // 100
        if amount <= 0:
            return
        self.references += 1
        row = f"0001,电费,2026-10,{amount // 100}.{amount % 100:02d},2026-11-15,X{self.references}"
        result = self.county.receipts([row])
        assert bool(result.problems) == (amount > self.billed[0] - got)
        if not result.problems:
            self.received += amount

    @rule(days=st.integers(0, 9))
    def time_passes_and_the_month_is_closed(self, days):
        self.now += timedelta(days=days)
        first = close_month(self.county.database, None, SYSTEM, "2026-10", self.now)
        assert close_month(self.county.database, None, SYSTEM, "2026-10", self.now) == first

    @rule(who=st.sampled_from(PEOPLE), decision=st.sampled_from(["approve", "approve", "approve", "return"]))
    def somebody_votes(self, who, decision):
        run = self.run()
        if run is None:
            return
        try:
            with self.transaction() as session:
                vote(session, who, run.id, Ballot(run.content_hash, decision, "请核对"), self.now)
        except (ApprovalError, PermissionError):
            pass

    @rule(who=st.sampled_from(PEOPLE[:2]))
    def the_village_submits_or_posts_its_notice(self, who):
        run = self.run()
        if run is None:
            return
        try:
            with self.transaction() as session:
                if run.state == "computed":
                    submit(session, who, run.id, run.content_hash, self.now)
                else:
                    terms = NoticeTerms(run.content_hash, ("a" * 64,), 7)
                    open_notice(session, who, run.id, terms, self.now)
        except ApprovalError:
            pass

    @rule(steps=st.integers(1, 8))
    def the_right_people_do_what_is_waited_for(self, steps):
        """Without this rule a random life seldom gets beyond its votes."""
        for _ in range(steps):
            self._do_what_is_waited_for()

    def _do_what_is_waited_for(self):
        progress = self.county.close(now=self.now)[FIRST]
        act = {
            "receipt": lambda: self.money_arrives(1, whole=True),
            "settlement": lambda: self.a_bill_or_its_revision_comes(12_000),
            "submit": lambda: self.the_village_submits_or_posts_its_notice(PEOPLE[0]),
            "village": lambda: self.somebody_votes(PEOPLE[1], "approve"),
            "township": lambda: self.somebody_votes(PEOPLE[2], "approve"),
            "county": lambda: self.somebody_votes(PEOPLE[3], "approve"),
            "notice": self._pass_the_notice,
            "remittance": self.the_county_passes_the_money_on,
            "batch": lambda: self.a_batch_goes_to_the_bank(resend=False),
        }.get(progress.gate)
        if act is not None:
            act()
        REACHED[progress.state] += 1

    def _pass_the_notice(self):
        self.the_village_submits_or_posts_its_notice(PEOPLE[0])
        self.now += timedelta(days=8)

    @precondition(lambda self: self.received)
    @rule()
    def the_county_passes_the_money_on(self):
        self.references += 1
        with self.transaction() as session:
            due = balances(session, SYSTEM, book=FIRST, accounts=("due_from_county",))
            amount = sum(one.amount_fen for one in due)
            if amount > 0:
                fact = RemittanceFact(FIRST, amount, date(2026, 11, 26), f"BO{self.references}")
                record_remittance(session, FINANCE, fact, self.now)

    @rule(resend=st.booleans())
    def a_batch_goes_to_the_bank(self, resend):
        try:
            with self.transaction() as session:
                chosen = [one.id for one in ready_payouts(session, FINANCE, book=FIRST)]
                if resend:
                    every = payouts(session, FINANCE, PayoutFilter(book=FIRST))
                    chosen += [one.id for one in every if one.state in {"failed", "returned"}]
                order = BatchOrder(tuple(chosen))
                self.sent.append(send_batch(session, FINANCE, self.county.ring, order, self.now))
        except ProblemsError:
            pass

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 9), words=st.lists(WORDS, min_size=4, max_size=4))
    def the_bank_answers(self, which, words):
        batch, file = self.sent[which % len(self.sent)]
        rows = ["批内编号,金额,结果"]
        for word, line in zip(words, file.content.decode("gb18030").splitlines()[1:-1], strict=False):
            parts = line.split("|")
            rows += [f"{parts[1]},{parts[5]},{word}"] if word else []
        source = ("\n".join(rows).encode(), "回盘.csv")
        with self.transaction() as session:
            take_return(session, FINANCE, source, batch.id, self.now)
        with self.transaction() as session:
            assert take_return(session, FINANCE, source, batch.id, self.now).changed == 0

    @invariant()
    def the_books_are_whole(self):
        with self.county.database.reading() as session:
            assert verify_books(session) == []
            entries = journals(session, SYSTEM, book=FIRST)
            held = balances(session, SYSTEM, book=FIRST)
        for entry in entries:
            assert self.prefixes.setdefault(entry.seq, entry.hash) == entry.hash
        assert len(entries) >= len(self.prefixes)
        assert sum(one.amount_fen for one in held) == 0

    @invariant()
    def no_more_is_distributed_or_paid_than_was_received(self):
        with self.county.database.reading() as session:
            every = payouts(session, SYSTEM, PayoutFilter(book=FIRST))
            bank = balances(session, SYSTEM, book=FIRST, accounts=("bank",))
        assert sum(one.amount_fen for one in every) <= self.received
        assert sum(one.amount_fen for one in bank) >= 0

    def teardown(self):
        with self.county.database.reading() as session:
            assert verify(session) == []
        self.county.database.close()


def test_any_life_of_a_county_keeps_its_books(county_maker):
    machine = type("Life", (LifeOfACounty,), {"maker": staticmethod(county_maker)})
    case = machine.TestCase
    case.settings = settings(
        max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case("runTest").runTest()
    print(f"\nstates reached: {dict(REACHED)}")
    assert REACHED["posted"] + REACHED["batched"] + REACHED["settled"] > 0
