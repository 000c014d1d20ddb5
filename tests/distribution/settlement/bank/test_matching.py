"""Bank lines and receivables, m to n: matched, left over within tolerance, set apart, taken back."""

from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from distribution.closing.facts import book_facts
from distribution.ledger.balances import balances
from distribution.ledger.journal import journals, reversal_of
from distribution.receiving import take_back_match, take_back_receipt
from distribution.settlement.bank.lines import (
    LineDecision,
    correct_line,
    decide_line,
    import_bank_lines,
)
from distribution.settlement.bank.matching import MatchDraft, confirm_match, proposals
from distribution.settlement.bank.proposals import Edge
from distribution.settlement.bank.reads import bank_lines, matches
from distribution.settlement.columns import load_layout
from distribution.settlement.reads import outstanding, receipts
from distribution.settlement.receivables.owed import by_month, owed_items
from distribution.types import Component
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from store.problem import ProblemsError

FIRST, COUNTY = "520499101201", "520499000000"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, COUNTY)
HEADING = "到账日期,到账金额(元),付款人,银行流水号,备注"
BILLS = [
    "0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00",
    "0002,2026-10,M2,100,50,350,30000,0.3515,10545.00,0.4985,14955.00",
]


def bank(county, *rows, name="流水.csv", dry_run=False):
    content = "\n".join([HEADING, *rows]).encode("utf-8-sig")
    with county.database.transaction() as session:
        source = (content, name, load_layout("bank"))
        return import_bank_lines(session, FINANCE, source, county.now, dry_run=dry_run)


def lines(county, state=""):
    with county.database.reading() as session:
        return [one for one in bank_lines(session, FINANCE) if not state or one.state == state]


def confirm(county, *edges, book=False):
    with county.database.transaction() as session:
        return confirm_match(session, FINANCE, MatchDraft(edges, book_difference=book), county.now)


def propose(county):
    with county.database.reading() as session:
        return proposals(session, FINANCE)


def books(county):
    with county.database.transaction() as session:
        book_facts(session, SYSTEM, FIRST, county.now)
        book_facts(session, SYSTEM, "520499101202", county.now)
    with county.database.reading() as session:
        assert verify(session) == []
        return {
            (one.book, one.account, one.holder, one.fund.value): one.amount_fen
            for one in balances(session, SYSTEM)
        }


@pytest.fixture
def billed(county):
    county.statement(BILLS)
    return county


def test_one_line_pays_the_electricity_of_a_month_of_many_stations(billed):
    bank(billed, "2026-11-15,14763.00,县供电公司,BK1,2026年10月上网电费")
    [found] = propose(billed)
    assert (found.rule, found.difference_fen, found.is_certain) == ("整月合计", 0, True)
    confirm(billed, *found.edges)
    [line] = lines(billed)
    assert (line.state, line.rest_fen) == ("matched", 0)
    with billed.database.reading() as session:
        assert {one.amount_fen for one in receipts(session, FINANCE)} == {421_800, 1_054_500}
        [month] = by_month(owed_items(session, FINANCE))
    assert (month.electricity_open_fen, month.subsidy_open_fen) == (0, 2_093_700)


def test_several_lines_of_one_account_pay_one_receivable(billed):
    bank(
        billed,
        "2026-11-15,4000.00,供电公司,BK1,户号0001 2026年10月电费",
        "2026-11-16,218.00,供电公司,BK2,户号0001 2026年10月电费",
    )
    [found] = propose(billed)
    assert found.rule == "多笔合一"
    confirm(billed, *found.edges)
    assert {one.state for one in lines(billed)} == {"matched"}


def test_an_account_number_and_the_amount_name_one_receivable(billed):
    bank(billed, "2026-11-15,5982.00,供电公司,BK1,0001 10月补贴")
    [found] = propose(billed)
    assert (found.rule, found.is_certain) == ("户号", True)
    assert found.edges == (Edge(found.edges[0].line_id, "s1", Component.SUBSIDY, "2026-10", 598_200),)


@pytest.mark.parametrize(
    ("amount", "difference", "where"),
    [("4217.98", -2, FIRST), ("4218.02", 2, COUNTY)],
)
def test_a_difference_within_tolerance_is_booked_on_a_named_account(billed, amount, difference, where):
    bank(billed, f"2026-11-15,{amount},供电公司,BK1,户号0001 2026年10月电费")
    [found] = propose(billed)
    assert found.difference_fen == difference
    confirm(billed, *found.edges, book=True)
    [line] = lines(billed)
    assert (line.state, line.rest_fen) == ("matched", 0)
    held = books(billed)
    assert held[(where, "unmatched_receipt", "对账尾差", "electricity")] == -difference
    assert (FIRST, "receivable_electricity", "s1", "electricity") not in held
    with billed.database.reading() as session:
        owed = outstanding(session, FINANCE, FIRST, "2026-10")
    assert ("s1", Component.ELECTRICITY) not in {(one.station_id, one.component) for one in owed}


def test_a_difference_beyond_tolerance_is_refused(billed):
    bank(billed, "2026-11-15,4200.00,供电公司,BK1,户号0001 2026年10月电费")
    [line] = lines(billed)
    assert propose(billed) == ()
    edge = Edge(line.id, "s1", Component.ELECTRICITY, "2026-10", 420_000)
    with pytest.raises(ProblemsError, match="尾差"):
        confirm(billed, edge, book=True)
    confirm(billed, edge)
    assert lines(billed)[0].state == "matched"


def test_neither_side_is_ever_used_up_twice(billed):
    bank(billed, "2026-11-15,5000.00,供电公司,BK1,", "2026-11-16,5000.00,供电公司,BK2,")
    first, second = sorted(lines(billed), key=lambda one: one.reference)
    confirm(billed, Edge(first.id, "s1", Component.ELECTRICITY, "2026-10", 400_000))
    with pytest.raises(ProblemsError, match="还可核对"):
        confirm(billed, Edge(first.id, "s2", Component.ELECTRICITY, "2026-10", 100_001))
    with pytest.raises(ProblemsError, match="还应收"):
        confirm(billed, Edge(second.id, "s1", Component.ELECTRICITY, "2026-10", 21_801))


@pytest.mark.parametrize("kind", ["county", "county_postgres"])
def test_the_database_itself_refuses_more_than_either_side_holds(request, kind):
    county = request.getfixturevalue(kind)
    county.statement(BILLS)
    bank(county, "2026-11-15,100.00,供电公司,BK1,")
    [line] = lines(county)
    match_id = confirm(county, Edge(line.id, "s1", Component.ELECTRICITY, "2026-10", 10_000))
    with county.database.reading() as session:
        [receipt] = receipts(session, FINANCE)
    keys = {"match": match_id, "line": line.id, "receipt": receipt.id}
    statements = (
        (
            "INSERT INTO bank_match_item (match_id, item_no, bank_line_id, receipt_id, amount_fen) "
            "VALUES (:match, 2, :line, 'r2', 1)"
        ),
        (
            "INSERT INTO receipt (id, station_id, component, month, amount_fen, received_on, bank_reference, "
            "source, recorded_at, recorded_by) VALUES ('r2', 's1', 'electricity', '2026-10', 411801, "
            "'2026-11-15', 'X', '', '2026-11-15 00:00:00', 'u')"
        ),
        (
            "INSERT INTO settlement (id, station_id, month, revision, exported_energy_wh, electricity_fen, "
            "subsidy_fen, local_subsidy_fen, source, file_sha256, content_hash, recorded_at, recorded_by) "
            "VALUES ('x', 's1', '2026-10', 9, 0, 9999, 0, 0, '', '', '', '2026-11-15 00:00:00', 'u')"
        ),
        "UPDATE receipt SET amount_fen = 1 WHERE id = :receipt",
        "DELETE FROM bank_line",
    )
    for statement in statements:
        with pytest.raises(DBAPIError), county.database.transaction() as session:
            session.execute(text(statement), {name: keys[name] for name in keys if f":{name}" in statement})


def test_a_match_is_taken_back_by_linked_reversals_and_may_be_made_anew(billed):
    bank(billed, "2026-11-15,4217.99,供电公司,BK1,户号0001 2026年10月电费")
    [found] = propose(billed)
    before = books(billed)
    match_id = confirm(billed, *found.edges, book=True)
    assert confirm(billed, *found.edges, book=True) == match_id
    matched = books(billed)
    with billed.database.transaction() as session:
        take_back_match(session, FINANCE, match_id, "认错了户号", billed.now)
    with billed.database.transaction() as session:
        take_back_match(session, FINANCE, match_id, "再点一次", billed.now)
    assert books(billed) == before
    with billed.database.reading() as session:
        every = journals(session, SYSTEM)
        reversals = [one for one in every if one.kind == "reversal"]
        assert all(reversal_of(session, one) is not None for one in every if one.kind == "receipt")
        assert matches(session, FINANCE)[0].undone == "认错了户号"
    assert len(reversals) == 4
    assert lines(billed)[0].state == "open"
    assert confirm(billed, *found.edges, book=True) != match_id
    assert books(billed) == matched


def test_every_line_ends_matched_excepted_or_ignored_with_a_reason(billed):
    bank(billed, "2026-11-15,1.23,某公司,BK1,利息", "2026-11-15,9.00,不明,BK2,", "2026-11-15,5.00,不明,BK3,")
    interest, strange, wrong = sorted(lines(billed), key=lambda one: one.reference)
    with billed.database.transaction() as session:
        with pytest.raises(ProblemsError, match="原因"):
            decide_line(session, FINANCE, interest.id, LineDecision("ignored", " "), billed.now)
        with pytest.raises(ProblemsError, match="负责人"):
            decide_line(session, FINANCE, strange.id, LineDecision("excepted", "来源不明"), billed.now)
        decide_line(session, FINANCE, interest.id, LineDecision("ignored", "账户利息"), billed.now)
        due = LineDecision("excepted", "来源不明", "王会计", date(2026, 12, 1))
        decide_line(session, FINANCE, strange.id, due, billed.now)
        correct_line(session, FINANCE, wrong.id, "银行重复推送", billed.now)
        correct_line(session, FINANCE, wrong.id, "银行重复推送", billed.now)
    states = {one.reference: (one.state, one.reason) for one in lines(billed)}
    assert states == {
        "BK1": ("ignored", "账户利息"),
        "BK2": ("excepted", "来源不明"),
        "BK3": ("corrected", ""),
    }
    assert not any(one.is_unfinished for one in lines(billed))
    assert books(billed)[(COUNTY, "bank", "", "electricity")] == 1_023


@pytest.mark.parametrize("bank_first", [True, False])
def test_a_list_by_account_and_the_banks_statement_count_the_same_money_once(billed, bank_first):
    statement = "2026-11-15,14763.00,县供电公司,BK001,"
    listed = ["0001,电费,2026-10,4218.00,2026-11-15,BK001", "0002,电费,2026-10,10545.00,2026-11-15,BK001"]
    if bank_first:
        bank(billed, statement)
        books(billed)
        assert not billed.receipts(listed).problems
    else:
        assert not billed.receipts(listed).problems
        books(billed)
        bank(billed, statement)
    [line] = lines(billed)
    assert line.state == "matched"
    held = books(billed)
    assert held[(COUNTY, "bank", "", "electricity")] == 1_476_300
    assert (COUNTY, "unmatched_receipt", line.id, "electricity") not in held


def test_a_receipt_is_corrected_by_a_negative_row_and_its_entry_reversed(billed):
    billed.receipts(["0001,电费,2026-10,4000.00,2026-11-15,BK9"])
    before = books(billed)
    assert before[(FIRST, "distributable", "", "electricity")] == -400_000
    with billed.database.reading() as session:
        [wrong] = receipts(session, FINANCE)
    with billed.database.transaction() as session:
        take_back_receipt(session, FINANCE, wrong.id, "银行退汇", billed.now)
    held = books(billed)
    assert (FIRST, "distributable", "", "electricity") not in held
    with billed.database.reading() as session:
        assert [one.amount_fen for one in receipts(session, FINANCE)] == [400_000, -400_000] or [
            one.corrects for one in receipts(session, FINANCE)
        ].count(wrong.id) == 1


def test_money_that_a_run_counts_is_not_taken_back_behind_its_back(booked):
    with booked.database.reading() as session:
        used = next(one for one in receipts(session, FINANCE) if dict(one.shares).get(FIRST))
    with booked.database.transaction() as session, pytest.raises(ProblemsError, match="分配批次"):
        take_back_receipt(session, FINANCE, used.id, "银行退汇", booked.now)


def test_a_statement_of_the_bank_is_read_with_its_mistakes_named(billed):
    result = bank(
        billed,
        "2026-11-15,100.00,甲,BK1,",
        "2026-11-15,100.00,甲,BK1,",
        "2026-13-15,1.00,甲,BK2,",
        "2026-11-15,-5.00,甲,BK3,",
        "2026-11-15,一百,甲,BK4,",
        "合计,200.00,,,",
        dry_run=True,
    )
    assert (len(result.added), len(result.problems)) == (1, 4)
    assert lines(billed) == []
    bank(billed, "2026-11-15,100.00,甲,BK1,")
    again = bank(billed, "2026-11-15,100.00,甲,BK1,", "2026-11-15,101.00,甲,BK1,", name="又.csv")
    assert (len(again.unchanged), len(again.problems)) == (1, 1)
