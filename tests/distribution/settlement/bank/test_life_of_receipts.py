"""Bills, revisions, undo, bank lines, matches, unmatches and reversals in any order end in the same balances.

The model below knows nothing of the product: it adds and subtracts what was asked for and accepted.
"""

import os
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import text

from distribution.closing.facts import book_facts
from distribution.ledger.balances import balances, verify_books
from distribution.receiving import take_back_match, take_back_receipt
from distribution.settlement.bank.lines import correct_line, import_bank_lines
from distribution.settlement.bank.matching import MatchDraft, confirm_match
from distribution.settlement.bank.proposals import Edge
from distribution.settlement.bank.reads import bank_lines, line_of_receipt
from distribution.settlement.columns import load_layout
from distribution.settlement.intake.undo import undo_statement
from distribution.settlement.reads import receipts, uncorrected
from distribution.settlement.receivables.owed import owed_items
from distribution.types import Component
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from store.db import Base
from store.problem import ProblemsError

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
EXAMPLES = 400 if SOAK else 5
SEED = 20261125
FIRST, SECOND, COUNTY = "520499101201", "520499101202", "520499000000"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, COUNTY)
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
STATIONS = {"0001": ("s1", "M1", 1), "0002": ("s2", "M2", 100)}
KINDS = {"electricity": Component.ELECTRICITY, "subsidy": Component.SUBSIDY}
DONE = Counter()


def bill_row(account, kwh):
    """A row of a bill with figures computed by hand: yuan with two places, half up."""
    _station, meter, multiplier = STATIONS[account]
    fee, extra = ((kwh * price + 50) // 100 for price in (3515, 4985))
    row = f"{account},2026-10,{meter},{multiplier},0,{kwh // multiplier},{kwh},0.3515,"
    return row + f"{fee // 100}.{fee % 100:02d},0.4985,{extra // 100}.{extra % 100:02d}", fee, extra


class LifeOfReceipts(RuleBasedStateMachine):
    """Everything that may happen to a month's receivables, in any order."""

    maker = None

    def __init__(self):
        super().__init__()
        self.county = self.maker()
        self.owed = {}
        self.files = []
        self.lines = {}
        self.matches = {}
        self.direct = {}
        self.number = 0

    @initialize()
    def a_month_begins(self):
        for account in STATIONS:
            self.a_bill_or_its_revision_comes(account, 120)
        for fen in (421_800, 250_000, 171_790):
            self.a_bank_line_comes(fen)
        self.a_line_pays_what_it_can(0, book=False)

    @precondition(lambda self: self.lines and self.owed)
    @rule(which=st.integers(0, 20), book=st.booleans())
    def a_line_pays_what_it_can(self, which, book):
        pairs = [
            (line, key, min(self.lines[line] - self.used(line), self.owed[key] - self.taken(key)))
            for line in sorted(self.lines)
            for key in sorted(self.owed)
        ]
        open_pairs = [pair for pair in pairs if pair[2] > 0]
        if open_pairs:
            self._confirm([open_pairs[which % len(open_pairs)]], fits=True, book=book)

    @precondition(lambda self: any(self.owed[key] - self.taken(key) > 200 for key in self.owed))
    @rule(which=st.integers(0, 3), off=st.sampled_from([-3, -1, 1, 3, 101]))
    def a_line_comes_that_is_a_little_off(self, which, off):
        keys = [key for key in sorted(self.owed) if self.owed[key] - self.taken(key) > 200]
        key = keys[which % len(keys)]
        rest = self.owed[key] - self.taken(key)
        self.a_bank_line_comes(rest + off)
        line = next(reversed(self.lines))
        self._confirm([(line, key, min(rest, rest + off))], fits=True, book=True)

    def transaction(self):
        return self.county.database.transaction()

    def taken(self, key):
        every = [edge for match in self.matches.values() for edge in match["edges"]]
        lost = [
            match["short"] for match in self.matches.values() if match["short"] and match["short"][0] == key
        ]
        direct = sum(amount for at, amount in self.direct.values() if at == key)
        return sum(edge[2] for edge in every if edge[1] == key) + sum(one[1] for one in lost) + direct

    def used(self, line):
        every = [edge for match in self.matches.values() for edge in match["edges"]]
        over = sum(
            match["over"][1] for match in self.matches.values() if match["over"] and match["over"][0] == line
        )
        return sum(edge[2] for edge in every if edge[0] == line) + over

    @rule(account=st.sampled_from(["0001", "0002"]), kwh=st.integers(1, 300))
    def a_bill_or_its_revision_comes(self, account, kwh):
        row, fee, extra = bill_row(account, kwh * 100)
        station = STATIONS[account][0]
        fits = fee >= self.taken((station, "electricity")) and extra >= self.taken((station, "subsidy"))
        self.number += 1
        result = self.county.statement([row, *[""] * self.number], name=f"单{self.number}.csv")
        if result.unchanged:
            return
        assert bool(result.problems) != fits
        if fits:
            DONE["bill"] += 1
            self.files.append((result.sha256, station, {**self.owed}))
            self.owed |= {(station, "electricity"): fee, (station, "subsidy"): extra}

    @precondition(lambda self: self.files)
    @rule()
    def the_last_file_is_taken_back(self):
        digest, station, before = self.files[-1]
        fits = all(
            before.get(key, 0) >= self.taken(key) for key in ((station, "electricity"), (station, "subsidy"))
        )
        with self.transaction() as session:
            result = undo_statement(session, FINANCE, digest, "导错了", NOW)
        assert bool(result.undone) == fits
        if not fits:
            return
        DONE["undo"] += 1
        self.owed = {key: before.get(key, 0) if key[0] == station else fen for key, fen in self.owed.items()}
        self.files = self.files[:-1]

    @rule(fen=st.integers(1, 900_000))
    def a_bank_line_comes(self, fen):
        self.number += 1
        reference = f"B{self.number}"
        content = (
            f"到账日期,到账金额,银行流水号\n2026-11-15,{fen // 100}.{fen % 100:02d},{reference}\n".encode()
        )
        for _ in range(2):
            with self.transaction() as session:
                import_bank_lines(session, FINANCE, (content, "流水.csv", load_layout("bank")), NOW)
        with self.county.database.reading() as session:
            self.lines |= {
                one.id: one.amount_fen for one in bank_lines(session, FINANCE) if one.reference == reference
            }
        DONE["line"] += 1

    @precondition(lambda self: self.lines and self.owed)
    @rule(data=st.data(), count=st.integers(1, 3), book=st.booleans())
    def a_match_is_confirmed(self, data, count, book):
        edges, wanted = [], Counter()
        for _ in range(count):
            line = data.draw(st.sampled_from(sorted(self.lines)))
            key = data.draw(st.sampled_from(sorted(self.owed)))
            rest = min(self.lines[line] - self.used(line), self.owed[key] - self.taken(key))
            fen = data.draw(st.sampled_from([max(rest, 1), max(rest - 3, 1), rest + 1, 100]))
            edges.append((line, key, fen))
            wanted[line] += fen
            wanted[key] += fen
        fits = all(wanted[line] <= self.lines[line] - self.used(line) for line in {edge[0] for edge in edges})
        fits &= all(wanted[key] <= self.owed[key] - self.taken(key) for key in {edge[1] for edge in edges})
        self._confirm(edges, fits=fits, book=book)

    def _left(self, edges):
        """What the match leaves over of its lines, and of its last receivable."""
        lines = {edge[0] for edge in edges}
        over = sum(self.lines[line] - self.used(line) for line in lines) - sum(edge[2] for edge in edges)
        last = edges[-1][1]
        return over, self.owed[last] - self.taken(last) - sum(edge[2] for edge in edges if edge[1] == last)

    def _confirm(self, edges, *, fits, book):
        over, short = self._left(edges)
        allowed = not (over and short) and max(over, short) <= 100
        drafts = tuple(Edge(line, key[0], KINDS[key[1]], "2026-10", fen) for line, key, fen in edges)
        try:
            with self.transaction() as session:
                match_id = confirm_match(session, FINANCE, MatchDraft(drafts, book_difference=book), NOW)
        except ProblemsError:
            assert not fits or (book and not allowed)
            return
        assert fits
        assert allowed or not book
        DONE["match with difference" if book and (over or short) else "match"] += 1
        self.matches[match_id] = {
            "edges": edges,
            "over": (edges[-1][0], over) if book and over else None,
            "short": (edges[-1][1], short) if book and short and not over else None,
        }

    @precondition(lambda self: self.matches)
    @rule(data=st.data())
    def a_match_is_taken_back(self, data):
        match_id = data.draw(st.sampled_from(sorted(self.matches)))
        for _ in range(2):
            with self.transaction() as session:
                take_back_match(session, FINANCE, match_id, "认错", NOW)
        del self.matches[match_id]
        DONE["unmatch"] += 1

    @precondition(lambda self: self.lines)
    @rule(data=st.data())
    def a_line_is_corrected(self, data):
        line = data.draw(st.sampled_from(sorted(self.lines)))
        try:
            with self.transaction() as session:
                correct_line(session, FINANCE, line, "重复", NOW)
        except ProblemsError:
            assert self.used(line)
            return
        assert not self.used(line)
        del self.lines[line]
        DONE["line corrected"] += 1

    @precondition(lambda self: self.owed)
    @rule(data=st.data(), part=st.integers(1, 120))
    def money_comes_by_a_list(self, data, part):
        key = data.draw(st.sampled_from(sorted(self.owed)))
        fen = self.owed[key] * part // 100
        if fen <= 0:
            return
        account = next(name for name, place in STATIONS.items() if place[0] == key[0])
        self.number += 1
        word = {"electricity": "电费", "subsidy": "补贴"}[key[1]]
        row = f"{account},{word},2026-10,{fen // 100}.{fen % 100:02d},2026-11-15,L{self.number}"
        result = self.county.receipts([row])
        assert bool(result.problems) == (fen > self.owed[key] - self.taken(key))
        if not result.problems:
            self.direct[result.added[0]] = (key, fen)
            DONE["list"] += 1

    @precondition(lambda self: self.direct)
    @rule(data=st.data())
    def a_listed_receipt_is_corrected(self, data):
        receipt = data.draw(st.sampled_from(sorted(self.direct)))
        with self.transaction() as session:
            take_back_receipt(session, FINANCE, receipt, "退汇", NOW)
        del self.direct[receipt]
        DONE["receipt corrected"] += 1

    @rule()
    def the_books_are_written(self):
        with self.transaction() as session:
            for village in (FIRST, SECOND):
                book_facts(session, SYSTEM, village, NOW)
        DONE["booked"] += 1

    @invariant()
    def what_is_owed_and_received_is_what_the_model_says(self):
        with self.county.database.reading() as session:
            items = {(one.station_id, one.component.value): one for one in owed_items(session, FINANCE)}
            lines = {one.id: one for one in bank_lines(session, FINANCE) if one.state != "corrected"}
        for key, owed in self.owed.items():
            found = items.get(key)
            assert (0 if found is None else found.owed_fen) == owed
            assert (0 if found is None else found.received_fen + found.written_off_fen) == self.taken(key)
            assert self.taken(key) <= owed
        assert {line: one.matched_fen + one.surplus_fen for line, one in lines.items()} == {
            line: self.used(line) for line in self.lines
        }

    def teardown(self):
        self.the_books_are_written()
        with self.county.database.reading() as session:
            assert verify(session) == []
            assert verify_books(session) == []
            held = Counter()
            for one in balances(session, SYSTEM):
                holder = one.holder if one.account == "unmatched_receipt" else ""
                held[(one.book == COUNTY, one.account, holder == "对账尾差")] += one.amount_fen
            arrived = uncorrected(receipts(session, FINANCE))
            assert set(line_of_receipt(session, [one.id for one in arrived]).values()) <= set(self.lines)
        came = sum(self.lines.values()) + sum(fen for _key, fen in self.direct.values())
        given = sum(one.amount_fen for one in arrived)
        over = sum(match["over"][1] for match in self.matches.values() if match["over"])
        short = sum(match["short"][1] for match in self.matches.values() if match["short"])
        assert held[(True, "bank", False)] == came
        assert held[(True, "due_to_village", False)] == -given
        assert held[(True, "unmatched_receipt", True)] == -over
        assert held[(True, "unmatched_receipt", False)] == -(came - given - over)
        assert held[(False, "unmatched_receipt", True)] == short
        assert held[(False, "distributable", False)] == -given
        self.county.database.close()


def run(maker, examples):
    machine = type("Life", (LifeOfReceipts,), {"maker": staticmethod(maker)})
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    seed(SEED)(case)
    case("runTest").runTest()
    print(f"\nseed {SEED}, {examples} lives: {dict(DONE)}")


@pytest.mark.soak
def test_any_order_ends_in_the_same_balances_on_sqlite(county_maker):
    run(county_maker, EXAMPLES)
    assert DONE["match"] + DONE["match with difference"] > 0


@pytest.mark.soak
def test_any_order_ends_in_the_same_balances_on_postgresql(county_postgres, postgres):
    def maker():
        with postgres.engine.begin() as connection:
            connection.execute(text("SET session_replication_role = replica"))
            for table in reversed(Base.metadata.sorted_tables):
                if table.name in _SETTLING:
                    connection.execute(table.delete())
            connection.execute(text("SET session_replication_role = origin"))
        return _Shared(county_postgres)

    run(maker, max(2, EXAMPLES // 10))


_SETTLING = {
    *("statement_file", "statement_undo", "settlement_detail", "refused_line", "settlement"),
    *("settlement_line", "receivable", "receipt", "receipt_share", "bank_line", "bank_line_decision"),
    *("bank_match", "bank_match_item", "bank_difference", "bank_difference_share", "bank_unmatch"),
    *("ledger_book", "journal", "posting", "ledger_period"),
}


class _Shared:
    """The county on the shared server; closing it is the fixture's."""

    def __init__(self, county):
        self._county = county
        self.database = _KeptOpen(county.database)

    def __getattr__(self, name):
        return getattr(self._county, name)


class _KeptOpen:
    def __init__(self, database):
        self._database = database

    def __getattr__(self, name):
        return getattr(self._database, name)

    def close(self):
        """Leave the server's database open for the next life."""
