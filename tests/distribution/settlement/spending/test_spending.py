"""Costs and spending: once, with papers, within limits, taken back by linked reversals."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from distribution.closing.facts import book_facts
from distribution.ledger.balances import balances
from distribution.ledger.journal import by_key, journals, reversal_of
from distribution.settlement.reads import costs, receipts
from distribution.settlement.receivables.advances import (
    AdvanceFact,
    advances,
    clear_advance,
    record_advance,
)
from distribution.settlement.receivables.remittances import Arrival, RemittanceFact, record_arrival
from distribution.settlement.receivables.remittances import record_remittance as remit
from distribution.settlement.receivables.transit import held_money, passages
from distribution.settlement.spending.costs import correct_cost
from distribution.settlement.spending.spendings import SpendingFact, spendings
from distribution.spending import purses, spend, take_back_spending
from distribution.types import Component
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from store.problem import ProblemsError

FIRST, COUNTY = "520499101201", "520499000000"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, COUNTY)
CLERK = Actor("u_clerk", "村干部", Role.VILLAGE, FIRST)
NOW = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


def held(county, book=FIRST):
    with county.database.transaction() as session:
        book_facts(session, SYSTEM, FIRST, NOW)
    with county.database.reading() as session:
        assert verify(session) == []
        found = {}
        for one in balances(session, SYSTEM, book=book):
            key = (one.account, one.holder)
            found[key] = found.get(key, 0) + one.amount_fen
        return found


def purse_of(county):
    with county.database.reading() as session:
        return max(
            purses(session, SYSTEM, NOW.date(), village_code=FIRST),
            key=lambda one: (one.amount_fen, one.name),
        )


def fact_of(purse, **changes):
    plain = SpendingFact(
        FIRST, purse.account, purse.holder, "works", "修路灯", "王师傅", 1_000, date(2026, 11, 27), "收据 9"
    )
    return replace(plain, **changes)


def paid(county, fact, actor=CLERK):
    with county.database.transaction() as session:
        return spend(session, actor, fact, NOW)


@pytest.mark.parametrize("kind", ["booked", "booked_postgres"])
def test_a_spending_leaves_its_purse_and_the_bank_and_comes_back_by_a_reversal(request, kind):
    county = request.getfixturevalue(kind)
    purse, before = purse_of(county), held(county)
    spending_id = paid(county, fact_of(purse))
    assert paid(county, fact_of(purse)) == spending_id
    after = held(county)
    assert after[purse.account, purse.holder] - before[purse.account, purse.holder] == 1_000
    assert after.get(("bank", ""), 0) - before.get(("bank", ""), 0) == -1_000
    with county.database.transaction() as session:
        take_back_spending(session, CLERK, spending_id, "记错村", NOW)
    with county.database.transaction() as session:
        take_back_spending(session, CLERK, spending_id, "记错村", NOW)
    assert held(county) == before
    with county.database.reading() as session:
        entry = by_key(session, spending_id)
        mirror = reversal_of(session, entry)
        assert mirror.reverses == entry.seq
        assert [one.fact.amount_fen for one in spendings(session, CLERK)] in (
            [-1_000, 1_000],
            [1_000, -1_000],
        )


def test_more_than_the_limit_needs_a_decision_and_more_than_the_purse_is_refused(booked):
    purse = purse_of(booked)
    over_limit = fact_of(purse, amount_fen=200_001)
    with pytest.raises(ProblemsError, match="超过单笔限额 2,000"):
        paid(booked, over_limit)
    with pytest.raises(ProblemsError, match="这个钱袋还有"):
        paid(booked, replace(over_limit, amount_fen=purse.amount_fen + 200_001, decision_document="决议 3"))
    for changes, words in (
        ({"voucher": ""}, "凭证"),
        ({"use": "vehicles"}, "用途"),
        ({"amount_fen": 0}, "零"),
    ):
        with pytest.raises(ProblemsError, match=words):
            paid(booked, fact_of(purse, **changes))
    with pytest.raises(ProblemsError, match="辖区"):
        paid(booked, fact_of(purse, village_code="520499101202"))
    with booked.database.reading() as session:
        assert spendings(session, SYSTEM) == ()


def test_the_database_itself_wants_a_decision_above_the_limit(booked):
    statement = text(
        "INSERT INTO spending (id, village_code, account, holder, use, text, payee, amount_fen, limit_fen, "
        "spent_on, voucher, decision_document, recorded_at, recorded_by) VALUES ('x', :village, 'purse', '', "
        "'works', 'x', 'x', 101, 100, '2026-11-01', 'v', '', '2026-11-01 00:00:00', 'u')"
    )
    with pytest.raises(DBAPIError), booked.database.transaction() as session:
        session.execute(statement, {"village": FIRST})


def test_a_cost_is_taken_back_once_and_its_entries_reversed(county):
    county.cost()
    before = held(county)
    assert before["cost", ""] == 60_000
    with county.database.reading() as session:
        [wrong] = costs(session, FINANCE)
    for _ in range(2):
        with county.database.transaction() as session:
            correct_cost(session, FINANCE, wrong.id, "发票开错", NOW)
    assert held(county) == {}
    with county.database.reading() as session:
        assert sorted(one.amount_fen for one in costs(session, FINANCE)) == [-60_000, 60_000]
        assert [one.kind for one in journals(session, SYSTEM, book=FIRST)] == ["cost", "reversal"]
    with county.database.transaction() as session, pytest.raises(ProblemsError):
        correct_cost(session, FINANCE, wrong.id, " ", NOW)


def test_an_advance_is_a_debt_until_the_subsidy_pays_it_back(county):
    county.statement(["0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"])
    fact = AdvanceFact(
        *(FIRST, "s1", Component.SUBSIDY, "2026-10", 300_000, date(2026, 11, 2), "县财政局", "县财 8 号"),
        "DF1",
    )
    with county.database.transaction() as session:
        advance_id = record_advance(session, FINANCE, fact, county.now)
        assert record_advance(session, FINANCE, fact, county.now) == advance_id
    first = held(county)
    assert (first["bank", ""], first["payable_cost", advance_id]) == (300_000, -300_000)
    assert ("distributable", "") not in first
    county.receipts(["0001,补贴,2026-10,5982.00,2026-11-15,BK7"])
    with county.database.transaction() as session:
        [arrived] = receipts(session, FINANCE)
        with pytest.raises(ProblemsError, match="未还 3,000"):
            clear_advance(session, FINANCE, (advance_id, arrived.id), 300_001, county.now)
        clear_advance(session, FINANCE, (advance_id, arrived.id), 300_000, county.now)
        clear_advance(session, FINANCE, (advance_id, arrived.id), 300_000, county.now)
    last = held(county)
    assert ("payable_cost", advance_id) not in last
    assert last["due_from_county", ""] == 298_200
    assert last["distributable", ""] == -598_200
    assert held(county, COUNTY)["due_to_village", FIRST] == -298_200
    with county.database.reading() as session:
        assert advances(session, FINANCE)[0].open_fen == 0
        [waiting] = held_money(session, FINANCE, date(2026, 11, 28))
    assert (waiting.held_fen, waiting.days) == (298_200, 13)


def test_the_database_itself_clears_no_advance_twice(county):
    county.statement(["0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"])
    fact = AdvanceFact(
        *(FIRST, "s1", Component.SUBSIDY, "2026-10", 100, date(2026, 11, 2), "县财政局", "县财 8 号"),
        "DF1",
    )
    county.receipts(["0001,补贴,2026-10,5982.00,2026-11-15,BK7"])
    with county.database.transaction() as session:
        advance_id = record_advance(session, FINANCE, fact, county.now)
        [arrived] = receipts(session, FINANCE)
    statement = text(
        "INSERT INTO advance_clearing (id, advance_id, receipt_id, amount_fen, cleared_on, recorded_at, "
        "recorded_by) VALUES ('x', :advance, :receipt, 101, '2026-11-15', '2026-11-15 00:00:00', 'u')"
    )
    with pytest.raises(DBAPIError), county.database.transaction() as session:
        session.execute(statement, {"advance": advance_id, "receipt": arrived.id})


def test_money_by_way_of_the_township_is_in_the_village_when_it_is_there(county):
    county.october()
    fact = RemittanceFact(FIRST, 300_000, date(2026, 11, 16), "BO1", by_township=True)
    with county.database.transaction() as session:
        remittance_id = remit(session, FINANCE, fact, county.now)
    assert ("bank", "") not in held(county)
    assert held(county, COUNTY)["bank", ""] == 1_476_300 - 300_000 - 703_000
    with county.database.transaction() as session:
        with pytest.raises(ProblemsError, match="上一环节"):
            record_arrival(session, FINANCE, Arrival(remittance_id, "township", date(2026, 11, 15)), NOW)
        record_arrival(session, FINANCE, Arrival(remittance_id, "township", date(2026, 11, 18)), NOW)
    with county.database.reading() as session:
        [one] = passages(session, FINANCE, date(2026, 11, 28))
        waiting = next(
            one for one in held_money(session, FINANCE, date(2026, 11, 28)) if one.village_code == FIRST
        )
    assert (one.word, one.days, one.limit_days, one.is_late) == ("在乡镇账户", 12, 10, True)
    assert waiting.in_transit_fen == 300_000
    with county.database.transaction() as session:
        record_arrival(session, FINANCE, Arrival(remittance_id, "village", date(2026, 11, 20)), NOW)
    assert held(county)["bank", ""] == 300_000
    with county.database.reading() as session:
        [one] = passages(session, FINANCE, date(2026, 12, 28))
    assert (one.word, one.days, one.is_late) == ("已到村", 4, False)
