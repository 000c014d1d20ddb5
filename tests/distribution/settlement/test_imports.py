from datetime import date

import pytest

from distribution.closing.facts import book_facts
from distribution.ledger.balances import balances
from distribution.settlement.reads import outstanding, receipts, revisions, settlements
from distribution.settlement.spending.costs import CostFact, record_cost
from registry.actors import SYSTEM, Actor, NotPermittedError, Role
from store.problem import ProblemsError

FIRST, SECOND = "520499101201", "520499101202"
ONE = "0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"
TWO = "0002,2026-10,M2,100,50,350,30000,0.3515,10545.00,0.4985,14955.00"


def test_a_dry_run_tells_and_changes_nothing(county):
    result = county.statement([ONE, TWO], dry_run=True)
    assert len(result.added) == 2
    with county.database.reading() as session:
        assert settlements(session, SYSTEM) == ()


def test_the_same_file_again_changes_nothing(county):
    first = county.statement([ONE, TWO])
    again = county.statement([ONE, TWO])
    assert again.unchanged == first.added
    assert (again.added, again.revised, again.problems) == ((), (), ())
    other_name = county.statement([TWO, ONE], name="另一个文件.csv")
    assert set(other_name.unchanged) == set(first.added)


def test_other_figures_are_the_next_revision_and_the_first_is_kept(county):
    county.statement([ONE])
    changed = "0001,2026-10,M1,1,1000,13100,12100,0.3515,4253.15,0.4985,6031.85"
    result = county.statement([changed])
    assert len(result.revised) == 1
    with county.database.reading() as session:
        (bill,) = settlements(session, SYSTEM)
        assert (bill.revision, bill.electricity_fen) == (2, 425_315)
        assert [one.electricity_fen for one in revisions(session, SYSTEM, "s1", "2026-10")] == [
            421_800,
            425_315,
        ]


def test_revisions_reach_the_ledger_as_reversal_and_new_entry(county):
    for number, row in enumerate(
        (
            ONE,
            "0001,2026-10,M1,1,1000,13100,12100,0.3515,4253.15,0.4985,6031.85",
            "0001,2026-10,M1,1,1000,13200,12200,0.3515,4288.30,0.4985,6081.70",
        )
    ):
        county.statement([row], name=f"{number}.csv")
        with county.database.transaction() as session:
            book_facts(session, SYSTEM, FIRST, county.now)
            book_facts(session, SYSTEM, FIRST, county.now)
    with county.database.reading() as session:
        held = balances(session, SYSTEM, book=FIRST, accounts=("receivable_electricity",))
    assert [one.amount_fen for one in held] == [428_830]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (ONE.replace("4218.00", "4219.00"), "差 1.00 元"),
        (ONE.replace("4218.00", "42180.00"), "正好相差 10 倍"),
        (ONE.replace("5982.00", "5981.99"), "补贴金额"),
        (ONE.replace("13000", "13500"), "× 倍率 1 = 12500 千瓦时"),
        (ONE.replace("M1,1,", "M1,10,"), "倍率"),
        (ONE.replace("1000,13000", "13000,1000"), "小于上次示数"),
        (ONE.replace("0001", "9999"), "户号“9999”不在台账内"),
        (
            "0001,2026-10,M1,1,0,120000,120000,0.3515,42180.00,0.4985,59820.00",
            "满发也只有 74400 千瓦时",
        ),
    ],
)
def test_a_wrong_line_keeps_its_station_out_and_no_other(county, row, what):
    result = county.statement([row, TWO])
    assert [one for one in result.added if ":s2:" in one]
    assert len(result.added) == 1
    assert any(what in problem.what for problem in result.problems)


def test_a_row_twice_is_named(county):
    result = county.statement([ONE, ONE])
    assert any("与第 2 行重复" in problem.what for problem in result.problems)


def test_a_reading_that_does_not_follow_the_last_is_a_warning(county):
    county.statement([ONE])
    result = county.statement(["0001,2026-11,M1,1,13005,20005,7000,0.3515,2460.50,0.4985,3489.50"])
    assert result.added
    assert "不衔接" in result.warnings[0].what


def test_each_tariff_window_is_rounded_by_itself(county):
    rows = [
        "0001,2026-10,M1,1,1000,1001,1,0.3515,0.35,0.4985,0.50",
        "0001,2026-10,M1,1,1001,1002,1,0.3515,0.35,0.4985,0.50",
        "0001,2026-10,M1,1,1002,1003,1,0.3515,0.35,0.4985,0.50",
    ]
    county.statement(rows)
    with county.database.reading() as session:
        (bill,) = settlements(session, SYSTEM)
    assert (bill.electricity_fen, bill.subsidy_fen) == (105, 150)


def test_a_joint_station_is_shared_exactly(county):
    county.statement([TWO])
    with county.database.reading() as session:
        first = outstanding(session, SYSTEM, FIRST, "2026-10")
        second = outstanding(session, SYSTEM, SECOND, "2026-10")
    assert sum(one.amount_fen for one in (*first, *second)) == 1_054_500 + 1_495_500


def test_receipts_follow_what_each_village_is_owed_and_leave_nothing(county):
    county.statement([TWO])
    for number, amount in enumerate(("3333.33", "3333.33", "3878.34")):
        county.receipts([f"0002,电费,2026-10,{amount},2026-11-1{number},BK{number}"])
    with county.database.reading() as session:
        for village in (FIRST, SECOND):
            left = outstanding(session, SYSTEM, village, "2026-10")
            assert [one.component.value for one in left] == ["subsidy"]


def test_a_receipt_twice_is_one_receipt(county):
    county.statement([ONE])
    row = "0001,电费,2026-10,4218.00,2026-11-15,BK001"
    county.receipts([row])
    again = county.receipts([row])
    assert len(again.unchanged) == 1
    conflict = county.receipts([row.replace("4218.00", "4000.00")])
    assert "已登记为" in conflict.problems[0].what
    with county.database.reading() as session:
        assert len(receipts(session, SYSTEM)) == 1


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("0001,电费,2026-09,10.00,2026-11-15,B", "没有 2026-09 的结算单"),
        ("0001,电费,2026-10,4218.01,2026-11-15,B", "多 0.01 元"),
        ("0001,红包,2026-10,1.00,2026-11-15,B", "不认识"),
        ("0001,电费,2026-10,-1.00,2026-11-15,B", "不大于零"),
        ("0001,电费,2026-10,1.00,2026-02-30,B", "不是日期"),
        ("8888,电费,2026-10,1.00,2026-11-15,B", "不在台账内"),
    ],
)
def test_a_receipt_that_fits_nothing_is_a_problem(county, row, what):
    county.statement([ONE])
    result = county.receipts([row])
    assert any(what in problem.what for problem in result.problems)
    assert result.added == ()


def test_a_revision_below_what_was_received_is_refused(county):
    county.statement([ONE])
    county.receipts(["0001,电费,2026-10,4218.00,2026-11-15,BK001"])
    result = county.statement(["0001,2026-10,M1,1,1000,12000,11000,0.3515,3866.50,0.4985,5483.50"])
    assert result.revised == ()
    assert "小于已经到账" in result.problems[0].what


def test_a_cost_needs_amount_voucher_and_owner(county):
    fact = CostFact("2026-10", "maintenance", "运维", 0, date(2026, 10, 1), "")
    with county.database.transaction() as session, pytest.raises(ProblemsError) as caught:
        record_cost(session, Actor("f", "县财务", Role.FINANCE, "520499000000"), fact, county.now)
    assert {problem.where for problem in caught.value.problems} == {"费用金额", "费用凭证", "费用归属"}


def test_only_finance_and_county_import(county):
    with pytest.raises(NotPermittedError):
        county.statement([ONE], actor=Actor("v", "村", Role.VILLAGE, FIRST))


def test_another_countys_finance_sees_unknown_accounts(county):
    result = county.statement([ONE], actor=Actor("f2", "外县", Role.FINANCE, "520498000000"))
    assert "不在台账内" in result.problems[0].what
