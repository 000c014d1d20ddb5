"""The process dies at any statement of an import, a match, an unmatch, a spending or the booking of them."""

import os
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import event

from distribution.closing.facts import book_facts
from distribution.ledger.balances import balances
from distribution.receiving import take_back_match
from distribution.settlement.bank.lines import import_bank_lines
from distribution.settlement.bank.matching import MatchDraft, confirm_match, proposals
from distribution.settlement.bank.reads import bank_lines, matches
from distribution.settlement.columns import load_layout
from distribution.settlement.reads import receipts
from distribution.settlement.receivables.owed import owed_items
from distribution.settlement.spending.spendings import SpendingFact, spendings
from distribution.spending import purses, spend
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role

FIRST, SECOND = "520499101201", "520499101202"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
CLERK = Actor("u_clerk", "村干部", Role.VILLAGE, FIRST)
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
BANK = (
    "到账日期,到账金额,银行流水号,备注\n"
    "2026-11-15,4217.98,BK1,户号0001 2026年10月电费\n"
    "2026-11-15,10545.00,BK2,户号0002 2026年10月电费\n"
).encode()


class PowerCutError(RuntimeError):
    """Raised where the process would have died."""


class Fuse:
    """Counts the SQL statements of a database and cuts the power at one of them."""

    def __init__(self, database):
        self.count, self.at = 0, None
        event.listen(database.engine, "before_cursor_execute", self)

    def __call__(self, *_arguments):
        self.count += 1
        if self.at is not None and self.count >= self.at:
            self.at = None
            raise PowerCutError


def take_in(county):
    with county.database.transaction() as session:
        import_bank_lines(session, FINANCE, (BANK, "流水.csv", load_layout("bank")), NOW)


def match(county):
    with county.database.reading() as session:
        found = proposals(session, FINANCE)
    with county.database.transaction() as session:
        for one in found:
            draft = MatchDraft(one.edges, one.rule, book_difference=one.difference_fen != 0)
            confirm_match(session, FINANCE, draft, NOW)


def book(county):
    for village in (FIRST, SECOND):
        with county.database.transaction() as session:
            book_facts(session, SYSTEM, village, NOW)


def take_back(county):
    with county.database.reading() as session:
        held = [one.id for one in matches(session, FINANCE) if not one.undone]
    for match_id in held:
        with county.database.transaction() as session:
            take_back_match(session, FINANCE, match_id, "认错", NOW)
    book(county)


def spend_from_purse(county):
    with county.database.reading() as session:
        held = purses(session, SYSTEM, LATER.date(), village_code=FIRST)
    purse = max(held, key=lambda one: (one.amount_fen, one.name))
    fact = SpendingFact(
        FIRST, purse.account, purse.holder, "works", "修路灯", "王师傅", 1_000, date(2026, 11, 27), "收据 9"
    )
    with county.database.transaction() as session:
        spend(session, CLERK, fact, LATER)


STEPS = {take_in: (), match: (take_in,), book: (take_in, match), take_back: (take_in, match, book)}


def prepared(county_maker, work):
    if work is spend_from_purse:
        return county_maker("booked")
    county = county_maker()
    county.statement(
        [
            "0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00",
            "0002,2026-10,M2,100,50,350,30000,0.3515,10545.00,0.4985,14955.00",
        ]
    )
    for step in STEPS[work]:
        step(county)
    return county


def end_of(county):
    with county.database.reading() as session:
        assert verify(session) == []
        return (
            owed_items(session, FINANCE),
            bank_lines(session, FINANCE),
            sorted(one.amount_fen for one in receipts(session, FINANCE)),
            [one.fact for one in spendings(session, SYSTEM)],
            balances(session, SYSTEM),
        )


@pytest.mark.soak
@pytest.mark.parametrize("work", [take_in, match, book, take_back, spend_from_purse])
def test_a_power_cut_at_any_statement_loses_nothing_and_doubles_nothing(county_maker, work):
    whole = prepared(county_maker, work)
    fuse = Fuse(whole.database)
    work(whole)
    statements, expected = fuse.count, end_of(whole)
    whole.database.close()
    assert statements
    step = 1 if os.environ.get("SUNLEDGER_SOAK") else max(1, statements // 6)
    print(f"\n{work.__name__}: {statements} statements, cut at every {step}.")
    for at in range(1, statements + 1, step):
        county = prepared(county_maker, work)
        fuse = Fuse(county.database)
        fuse.at = at
        with pytest.raises(PowerCutError):
            work(county)
        with county.database.reading() as session:
            assert verify(session) == []
        work(county)
        assert end_of(county) == expected
        county.database.close()
