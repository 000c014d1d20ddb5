from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from distribution.disbursing import ready_payouts, send_batch, take_return
from distribution.ledger.balances import balances
from distribution.payout.batches import export_again, unpayable
from distribution.payout.files import BatchLine, parse_template, read_return, render_batch, template_text
from distribution.payout.payouts import BatchOrder, Payout, PayoutFilter, batches, payouts
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, NotPermittedError, Role
from registry.households import (
    NewMember,
    NewPayeeAccount,
    add_member,
    add_payee_account,
    payee_accounts,
    withdraw_account,
)
from store.problem import ProblemsError
from tests.distribution.conftest import COUNTY

VILLAGE = "520499101201"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
MOMENT = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


@pytest.fixture
def funded(booked):
    booked.remit(VILLAGE, 773300, date(2026, 11, 26))
    booked.close()
    return booked


def answer(file, words, heading="批内编号,金额,结果,失败原因"):
    rows = [heading]
    for number, line in enumerate(file.content.decode("gb18030").splitlines()[1:-1]):
        parts = line.split("|")
        word = words[number] if number < len(words) else ""
        if word:
            rows.append(f"{parts[1]},{parts[5]},{word},")
    return ("\n".join(rows).encode(), "回盘.csv")


def give(county, batch, file, words):
    with county.database.transaction() as session:
        return take_return(session, FINANCE, answer(file, words), batch.id, MOMENT)


def states(county):
    with county.database.reading() as session:
        return [one.state for one in payouts(session, SYSTEM, PayoutFilter(book=VILLAGE))]


def whole(county):
    with county.database.reading() as session:
        return verify(session) == []


def test_the_file_has_heading_lines_and_control_totals(funded):
    batch, file = funded.batch()
    lines = file.content.decode("gb18030").split("\r\n")
    assert lines[0].startswith("序号|批内编号|户名|账号")
    assert lines[-2] == f"合计3笔|{file.total_fen // 100}.{file.total_fen % 100:02d}|{batch.number}|20261127"
    assert batch.total_fen == sum(int(line.split("|")[5].replace(".", "")) for line in lines[1:-2])
    assert "6217000020100000001" in lines[1]


def test_a_lost_file_is_made_again_byte_for_byte(funded):
    batch, file = funded.batch()
    with funded.database.transaction() as session:
        assert export_again(session, FINANCE, funded.ring, batch.id, MOMENT).content == file.content


def test_the_csv_template_is_utf8_with_mark(funded):
    _batch, file = funded.batch(template="csv_utf8")
    assert file.content.startswith(b"\xef\xbb\xbf")


def test_nothing_is_sent_before_the_money_is_there(booked):
    with booked.database.reading() as session:
        before = len(batches(session, SYSTEM))
    with pytest.raises(ProblemsError, match="请先由县专户拨付到村"):
        booked.batch()
    with booked.database.reading() as session:
        assert len(batches(session, SYSTEM)) == before
    assert states(booked) == ["", "", ""]


def test_what_is_on_its_way_is_not_sent_again(funded):
    funded.batch()
    with funded.database.transaction() as session:
        every = tuple(one.id for one in payouts(session, SYSTEM, PayoutFilter(book=VILLAGE)))
        assert ready_payouts(session, FINANCE, book=VILLAGE) == ()
        with pytest.raises(ProblemsError, match="银行处理中"):
            send_batch(session, FINANCE, funded.ring, BatchOrder(every), MOMENT)


def test_a_failure_stays_owed_and_is_sent_again_only_from_a_list(funded):
    batch, file = funded.batch()
    give(funded, batch, file, ["失败", "成功", "成功"])
    assert states(funded) == ["failed", "succeeded", "succeeded"]
    assert whole(funded)
    with funded.database.reading() as session:
        assert ready_payouts(session, FINANCE, book=VILLAGE) == ()
        failed = next(
            one for one in payouts(session, SYSTEM, PayoutFilter(book=VILLAGE)) if one.state == "failed"
        )
        owed = balances(session, SYSTEM, book=VILLAGE, accounts=("returned_household",))
        assert -sum(one.amount_fen for one in owed) == failed.amount_fen
    with funded.database.transaction() as session:
        again, file = send_batch(session, FINANCE, funded.ring, BatchOrder((failed.id,)), MOMENT)
    assert again.number != batch.number
    assert whole(funded)
    give(funded, again, file, ["成功"])
    assert states(funded) == ["succeeded"] * 3
    assert funded.run().state == "closed"
    assert whole(funded)


def test_unknown_is_never_sent_again_and_may_still_be_answered(funded):
    batch, file = funded.batch()
    give(funded, batch, file, ["处理中", "成功", "成功"])
    with funded.database.transaction() as session:
        (unknown,) = [
            one for one in payouts(session, SYSTEM, PayoutFilter(book=VILLAGE)) if one.state == "unknown"
        ]
        with pytest.raises(ProblemsError, match="未知"):
            send_batch(session, FINANCE, funded.ring, BatchOrder((unknown.id,)), MOMENT)
    give(funded, batch, file, ["成功", "", ""])
    assert funded.run().state == "closed"
    assert whole(funded)


def test_a_return_twice_and_in_parts_and_late_gives_the_same_end(funded):
    batch, file = funded.batch()
    give(funded, batch, file, ["", "成功", ""])
    give(funded, batch, file, ["退回", "", "失败"])
    again = give(funded, batch, file, ["退回", "成功", "失败"])
    assert again.changed == 0
    assert states(funded) == ["returned", "succeeded", "failed"]
    assert whole(funded)


def test_paid_money_that_bounces_is_owed_again(funded):
    batch, file = funded.batch()
    give(funded, batch, file, ["成功", "成功", "成功"])
    give(funded, batch, file, ["退回", "", ""])
    assert states(funded) == ["returned", "succeeded", "succeeded"]
    assert whole(funded)


def test_rows_that_fit_nothing_stop_no_other(funded):
    batch, file = funded.batch()
    lines = file.content.decode("gb18030").splitlines()[1:-1]
    first, second = lines[0].split("|"), lines[1].split("|")
    rows = "\n".join(
        [
            "批内编号,金额,结果",
            "FFFFFFFFFFFFFFFFFFFF,1.00,成功",
            f"{first[1]},0.01,成功",
            f"{second[1]},{second[5]},成功",
            "合计,,",
        ]
    )
    with funded.database.transaction() as session:
        result = take_return(session, FINANCE, (rows.encode(), "回盘.csv"), batch.id, MOMENT)
    assert result.changed == 1
    assert [problem.what[:4] for problem in result.problems] == ["批次 S", "金额 0"]
    assert whole(funded)


def test_a_file_that_is_no_return_is_refused(funded):
    batch, _file = funded.batch()
    with (
        funded.database.transaction() as session,
        pytest.raises(ProblemsError, match="没有找到回盘文件的表头"),
    ):
        take_return(session, FINANCE, ("甲,乙\n1,2\n".encode(), "x.csv"), batch.id, MOMENT)


def test_a_household_without_account_is_named_and_nothing_is_half_done(funded):
    with funded.database.engine.begin() as connection:
        withdrawn = "UPDATE payee_account SET superseded_at = '2026-01-02 00:00:00'"
        connection.execute(text(f"{withdrawn} WHERE household_id = 'h_201_2'"))
    with pytest.raises(ProblemsError, match="h_201_2：没有收款账户"):
        funded.batch()
    assert states(funded) == ["", "", ""]


def share_an_account(county):
    with county.database.transaction() as session:
        for old in payee_accounts(session, COUNTY, "h_201_3"):
            withdraw_account(session, COUNTY, old.id, MOMENT)
        card = NewPayeeAccount("h_201_3", "张小2", "农商行", "6217000020100000002", date(2020, 1, 1))
        add_payee_account(session, COUNTY, county.ring, card, MOMENT)


def test_a_card_that_two_households_name_is_paid_to_neither(funded):
    share_an_account(funded)
    with pytest.raises(ProblemsError, match="h_201_2：收款账户（户名 张小2）同时登记在 2 户名下"):
        funded.batch()
    with funded.database.transaction() as session:
        ready = ready_payouts(session, FINANCE, book=VILLAGE)
        waiting = unpayable(session, FINANCE, funded.ring, ready, MOMENT)
        assert {problem.where for problem in waiting.values()} == {"h_201_2", "h_201_3"}
        chosen = tuple(one.id for one in ready if one.id not in waiting)
        batch, _file = send_batch(session, FINANCE, funded.ring, BatchOrder(chosen), MOMENT)
    assert batch.line_count == 1
    assert whole(funded)


def test_a_file_is_made_again_as_it_was_after_the_account_changed(funded):
    batch, file = funded.batch()
    share_an_account(funded)
    with funded.database.transaction() as session:
        assert export_again(session, FINANCE, funded.ring, batch.id, MOMENT).content == file.content


def test_the_answer_to_another_batch_is_refused_in_words(funded):
    batch, file = funded.batch()
    give(funded, batch, file, ["失败", "成功", "成功"])
    with funded.database.transaction() as session:
        failed = next(
            one for one in payouts(session, SYSTEM, PayoutFilter(book=VILLAGE)) if one.state == "failed"
        )
        again, _file = send_batch(session, FINANCE, funded.ring, BatchOrder((failed.id,)), MOMENT)
    with pytest.raises(ProblemsError, match=f"这是批次 {batch.number} 的回盘文件，不是 {again.number} 的"):
        give(funded, again, file, ["成功", "成功", "成功"])
    assert whole(funded)


@pytest.mark.parametrize(
    ("total", "what"),
    [("合计4笔,,", "合计写 4 笔，明细有 3 笔"), ("合计3笔,0.01,", "合计写 0.01 元，明细加起来")],
)
def test_an_answer_whose_total_is_not_its_own_is_refused_whole(funded, total, what):
    batch, file = funded.batch()
    content, name = answer(file, ["成功"] * 3)
    with pytest.raises(ProblemsError, match=what), funded.database.transaction() as session:
        take_return(session, FINANCE, (content + f"\n{total}".encode(), name), batch.id, MOMENT)
    assert states(funded) == ["sent"] * 3


def test_a_person_is_paid_to_his_own_card_only(funded):
    with funded.database.transaction() as session:
        people = [
            NewMember(f"h_201_{number}", name, "11010519491231002X", date(2020, 1, 1), phone="", is_head=True)
            for number, name in ((1, "张小1"), (2, "别人"))
        ]
        own, other = (add_member(session, COUNTY, funded.ring, one, MOMENT) for one in people)
        payees = [Payout(f"payout:{one}", VILLAGE, "run", "2026-10", one, 100) for one in (own, other)]
        waiting = unpayable(session, FINANCE, funded.ring, payees, MOMENT)
    assert list(waiting) == [f"payout:{other}"]
    assert "别人 没有本人账户，户账户的户名是 张小2" in waiting[f"payout:{other}"].what


def test_only_finance_exports_and_imports(funded):
    village = Actor("v", "村", Role.VILLAGE, VILLAGE)
    with funded.database.transaction() as session, pytest.raises(NotPermittedError):
        send_batch(session, village, funded.ring, BatchOrder(("x",)), MOMENT)


def test_the_database_itself_refuses_a_second_live_attempt(funded):
    funded.batch()
    statement = (
        "INSERT INTO payout_attempt SELECT payout_id, n + 1, batch_id, line + 10, reference || 'x', "
        "payee_account_id, holder, bank, account_hash, amount_fen, 'sent', '', '', changed_at "
        "FROM payout_attempt"
    )
    for wrong, message in (
        (statement, "(?i)unique"),
        ("UPDATE payout_attempt SET amount_fen = 1", "cannot change so"),
        ("UPDATE payout_attempt SET state = 'pending'", "cannot change so"),
        ("DELETE FROM payout_attempt", "never deleted"),
        ("UPDATE payout SET amount_fen = 1", "append-only"),
        ("DELETE FROM bank_batch", "append-only|FOREIGN KEY"),
    ):
        with pytest.raises(DBAPIError, match=message), funded.database.transaction() as session:
            session.execute(text(wrong))


def line(**changes):
    values = {"line": 1, "reference": "R1", "holder": "张小明", "account": "62170001", "bank": "农商行"}
    return BatchLine(**(values | {"amount_fen": 105, "summary": "光伏"} | changes))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"holder": "=HYPERLINK(1)"}, "公式"),
        ({"holder": "张|三"}, "分隔符"),
        ({"account": ""}, "没有收款账号"),
    ],
)
def test_a_line_that_the_bank_would_misread_is_refused(changes, what):
    with pytest.raises(ProblemsError, match=what):
        render_batch([line(**changes)], parse_template(template_text("standard")), "SL1", date(2026, 11, 1))


def test_a_name_that_the_banks_charset_cannot_carry_is_named():
    template = parse_template(template_text("standard").replace("gb18030", "gbk"))
    with pytest.raises(ProblemsError, match="GBK 写不出“𫖯𬀩”"):
        render_batch([line(holder="张𫖯𬀩")], template, "SL1", date(2026, 11, 1))


def test_rare_names_survive_gb18030_both_ways():
    file = render_batch(
        [line(holder="㐱𫖯𬀩䶮")], parse_template(template_text("standard")), "SL1", date(2026, 11, 1)
    )
    assert "㐱𫖯𬀩䶮" in file.content.decode("gb18030")


def test_an_unknown_result_is_unknown_and_reported():
    rows, problems = read_return("批内编号,金额,结果\nR1,1.05,也许\n".encode(), "回盘.csv")
    assert rows[0].state == "unknown"
    assert "也许" in problems[0].what
