from datetime import UTC, date, datetime, timedelta

from distribution.approval.states import RunState
from distribution.disbursing import take_return
from distribution.ledger.balances import balances, period_state, verify_books
from distribution.payout.payouts import PayoutFilter, payouts
from registry.actors import SYSTEM

FIRST, SECOND = "520499101201", "520499101202"
FINANCE_AT = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


def test_a_month_waits_for_each_gate_in_turn_and_says_so(county):
    assert "电费结算单：上坪村电站、联村电站" in county.close()[FIRST].waiting_for
    county.statement(
        [
            "0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00",
            "0002,2026-10,M2,100,50,350,30000,0.3515,10545.00,0.4985,14955.00",
        ]
    )
    assert "还差 7,733.00 元" in county.close()[FIRST].waiting_for
    county.october()
    county.cost()
    first = county.close()[FIRST]

    assert (first.state, first.waiting_for) == ("computed", "等待村委会核对并提交")
    again = county.close()[FIRST]
    assert again == first
    county.to_notice()
    assert (
        "公示中，至 2026-11-23 止"
        in county.close(now=datetime(2026, 11, 18, 2, 0, tzinfo=UTC))[FIRST].waiting_for
    )
    over = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    assert county.close(now=over)[FIRST].waiting_for == "等待乡镇审核"
    county.approve()
    later = over + timedelta(days=2)
    posted = county.close(now=later)[FIRST]
    assert posted.state == "posted"
    assert "等待县专户拨付到村，还差" in posted.waiting_for
    county.remit(FIRST, 773300, date(2026, 11, 26))
    assert "等待导出代发文件 3 户" in county.close(now=later)[FIRST].waiting_for
    batch, file = county.batch()
    assert "等待银行回盘 3 户" in county.close(now=later)[FIRST].waiting_for
    lines = file.content.decode("gb18030").splitlines()
    assert lines[-1].startswith("合计3笔|")
    answer = ["批内编号,金额,结果,失败原因"]
    for number, line in enumerate(lines[1:-1]):
        parts = line.split("|")
        answer.append(f"{parts[1]},{parts[5]},{'失败,户名不符' if number == 0 else '成功,'}")
    from registry.actors import Actor, Role

    finance = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
    with county.database.transaction() as session:
        result = take_return(session, finance, ("\n".join(answer).encode(), "回盘.csv"), batch.id, FINANCE_AT)
        assert result.changed == 3
        again = take_return(session, finance, ("\n".join(answer).encode(), "回盘.csv"), batch.id, FINANCE_AT)
        assert again.changed == 0
    progress = county.close(now=FINANCE_AT)[FIRST]
    assert progress.state == RunState.SETTLED
    assert "1 户发放失败" in progress.waiting_for
    with county.database.reading() as session:
        assert verify_books(session) == []
        owed = balances(session, SYSTEM, book=FIRST, accounts=("returned_household",))
        assert len(owed) == 1
        assert period_state(session, FIRST, "2026-10") == "closed"
        assert sum(one.amount_fen for one in balances(session, SYSTEM, book=FIRST)) == 0
        assert [one.state for one in payouts(session, SYSTEM, PayoutFilter(book=FIRST))].count(
            "succeeded"
        ) == 2
