"""Whether everything that was decided, booked and paid is still as it was, offline and from the rows alone.

Owns the check that joins the rooms: books against printed heads, runs against their hashes, notices,
votes, payouts, batches and bills. It repairs nothing; each problem names the first record that is wrong.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.approval.frozen import thaw
from distribution.approval.nettings import nettings_of
from distribution.approval.noticing.notices import printed_heads
from distribution.approval.runs import frozen_hashes
from distribution.approval.tables import (
    AllocationLineRow,
    LineExplanationRow,
    PublicNoticeRow,
    RunEventRow,
    RunNettingRow,
    RunRow,
    VoteRow,
)
from distribution.ledger.balances import verify_books
from distribution.ledger.journal import Head
from distribution.ledger.tables import JournalRow, PostingRow
from distribution.money import yuan
from distribution.payout.tables import AttemptEventRow, BankBatchRow, PayoutAttemptRow, PayoutRow
from distribution.settlement.bank.verification import bank_faults
from distribution.settlement.intake.tables import SettlementDetailRow
from distribution.settlement.intake.writing import settlement_hash
from distribution.settlement.reads import detail_of, line_of
from distribution.settlement.tables import (
    ReceiptRow,
    ReceiptShareRow,
    ReceivableRow,
    SettlementLineRow,
    SettlementRow,
)
from distribution.types import Allocation, LineDetail, PayeeKind, SettlementLine
from store.problem import Problem
from store.seals import verify_seals

_MEND = "请从备份恢复并报告审计"
_BOOKED = ("posted", "batched", "settled", "closed")


def verify(session: Session) -> list[Problem]:
    """Return everything that does not fit; empty when runs, books, notices, payouts and bills are whole."""
    heads = {
        book: [Head(seq, digest) for seq, digest in ends] for book, ends in printed_heads(session).items()
    }
    checks: dict[str, Callable[[Session], Iterable[Problem]]] = {
        "封存": verify_seals,
        "账簿": lambda opened: verify_books(opened, heads),
        "结算单": _bills,
        "到账": _receipts,
        "银行核对": bank_faults,
        "分配批次": _runs,
        "分配明细": _strays,
        "公示": _notices,
        "已记账批次": _booked,
        "发放": _payouts,
        "代发批次": _batches,
        "农户款": _where_the_money_is,
    }
    return [problem for what, check in checks.items() for problem in _found(session, what, check)]


def _found(session: Session, what: str, check: Callable[[Session], Iterable[Problem]]) -> Iterator[Problem]:
    """Give what a check finds; a record that cannot even be read ends that check and no other."""
    try:
        yield from check(session)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        yield Problem(what, f"有记录读不出（{type(error).__name__}），这一项没有查完", _MEND)


def _bills(session: Session) -> Iterator[Problem]:
    lines: dict[str, list[SettlementLine]] = defaultdict(list)
    details: dict[str, list[LineDetail]] = defaultdict(list)
    order = (SettlementLineRow.settlement_id, SettlementLineRow.line_no)
    said = {
        (row.settlement_id, row.line_no): detail_of(row)
        for row in session.scalars(select(SettlementDetailRow))
    }
    for row in session.scalars(select(SettlementLineRow).order_by(*order)):
        lines[row.settlement_id].append(line_of(row))
        details[row.settlement_id].append(said.get((row.settlement_id, row.line_no), LineDetail()))
    parts: dict[tuple[str, str], int] = defaultdict(int)
    for part in session.scalars(select(ReceivableRow)):
        parts[(part.settlement_id, part.component)] += part.amount_fen
    for bill in session.scalars(select(SettlementRow).order_by(SettlementRow.id)):
        told = settlement_hash(bill.station_id, bill.month, lines[bill.id], details[bill.id])
        if told != bill.content_hash:
            yield Problem(f"结算单 {bill.id}", "内容与指纹不一致", _MEND)
        for component in ("electricity", "subsidy", "local_subsidy"):
            if parts[(bill.id, component)] != getattr(bill, f"{component}_fen"):
                yield Problem(f"结算单 {bill.id}", "各村应收之和与结算金额不等", _MEND)


def _receipts(session: Session) -> Iterator[Problem]:
    total = func.coalesce(func.sum(ReceiptShareRow.amount_fen), 0)
    statement = (
        select(ReceiptRow.id)
        .outerjoin(ReceiptShareRow, ReceiptShareRow.receipt_id == ReceiptRow.id)
        .group_by(ReceiptRow.id, ReceiptRow.amount_fen)
        .having(total != ReceiptRow.amount_fen)
    )
    for receipt_id in session.scalars(statement):
        yield Problem(f"到账 {receipt_id}", "各村份额之和与到账金额不等", _MEND)


def _runs(session: Session) -> Iterator[Problem]:
    last: dict[str, str] = {}
    makers: dict[str, str] = {}
    order = (RunEventRow.run_id, RunEventRow.seq)
    for event in session.scalars(select(RunEventRow).order_by(*order)):
        last[event.run_id] = event.state
        makers.setdefault(event.run_id, event.changed_by)
    for row in session.scalars(select(RunRow).order_by(RunRow.id).execution_options(yield_per=200)):
        where = f"分配批次 {row.id}"
        head = (row.book, row.period, row.kind, row.plan_hash)
        if frozen_hashes(head, row.inputs, row.content) != (row.input_hash, row.content_hash):
            yield Problem(where, "内容与指纹不一致", _MEND)
            continue
        result = thaw(row.content, Allocation)
        if last.get(row.id) != row.state or makers.get(row.id) != row.made_by:
            yield Problem(where, "状态或测算人与经过记录不一致", _MEND)
        if sum(line.amount_fen for line in result.lines) != row.amount_fen:
            yield Problem(where, "合计与明细不等", _MEND)
        yield from _lines(session, row.id, result)
        if nettings_of(session, row.id) != {one.household_id: one for one in result.nettings}:
            yield Problem(where, "冲抵多发的记录与冻结的分配结果不一致", _MEND)
        yield from _votes(session, row)


def _strays(session: Session) -> Iterator[Problem]:
    """Lines and explanations of runs that are not there."""
    for table, what in ((AllocationLineRow, "分配明细"), (LineExplanationRow, "计算说明")):
        missing = select(table.run_id).where(table.run_id.not_in(select(RunRow.id))).distinct()
        for run_id in session.scalars(missing.order_by(table.run_id)):
            yield Problem(f"分配批次 {run_id}", f"有{what}而无批次", _MEND)


def _lines(session: Session, run_id: str, result: Allocation) -> Iterator[Problem]:
    expected = {
        (line.line_no, line.purse, line.payee_kind.value, line.payee_id, line.amount_fen, str(line.weight))
        for line in result.lines
    }
    table = AllocationLineRow
    columns = (
        table.line_no,
        table.purse,
        table.payee_kind,
        table.payee_id,
        table.amount_fen,
        table.weight,
    )
    found = {tuple(row) for row in session.execute(select(*columns).where(table.run_id == run_id))}
    for line in sorted(expected ^ found)[:1]:
        yield Problem(f"分配批次 {run_id} 第 {line[0]} 行", "与冻结的分配结果不一致", _MEND)
    steps = {
        (line.line_no, number, step.label, step.formula, str(step.exact), step.amount_fen, step.clause)
        for line in result.lines
        for number, step in enumerate(line.explanation, start=1)
    }
    way = LineExplanationRow
    kept = (way.line_no, way.step_no, way.label, way.formula, way.exact, way.amount_fen, way.clause)
    rows = {tuple(row) for row in session.execute(select(*kept).where(way.run_id == run_id))}
    for one in sorted(steps ^ rows)[:1]:
        yield Problem(f"分配批次 {run_id} 第 {one[0]} 行第 {one[1]} 步", "计算说明与冻结的结果不一致", _MEND)


def _votes(session: Session, run: RunRow) -> Iterator[Problem]:
    for vote in session.scalars(select(VoteRow).where(VoteRow.run_id == run.id)):
        if vote.content_hash != run.content_hash or vote.voter_id == run.made_by:
            yield Problem(f"分配批次 {run.id} {vote.voter_name} 的表决", "不是对这份内容的有效表决", _MEND)


def _notices(session: Session) -> Iterator[Problem]:
    statement = select(PublicNoticeRow, RunRow.content_hash).join(RunRow, RunRow.id == PublicNoticeRow.run_id)
    for notice, digest in session.execute(statement.order_by(PublicNoticeRow.id)):
        listed = hashlib.sha256(notice.list_json.encode()).hexdigest()
        if listed != notice.list_hash or notice.content_hash != digest:
            yield Problem(f"公示 {notice.number}", "公示表与指纹或批次内容不一致", _MEND)


def _booked(session: Session) -> Iterator[Problem]:
    """A booked run has its votes and notice, and its entry says of every line what the run says."""
    statement = select(RunRow).where(RunRow.state.in_(_BOOKED)).order_by(RunRow.id)
    for run in session.scalars(statement.execution_options(yield_per=200)):
        where = f"分配批次 {run.id}"
        voted = session.scalar(select(func.count()).where(VoteRow.run_id == run.id))
        posted = session.scalar(select(func.count()).where(PublicNoticeRow.run_id == run.id))
        if not voted or not posted:
            yield Problem(where, "已记账而没有表决或公示", _MEND)
        legs = (
            select(PostingRow.line_no, func.sum(PostingRow.amount_fen))
            .join(JournalRow, (JournalRow.book == PostingRow.book) & (JournalRow.seq == PostingRow.seq))
            .where(JournalRow.source == run.id, PostingRow.line_no.is_not(None))
            .group_by(PostingRow.line_no)
        )
        entry = {int(row[0] or 0): -int(row[1]) for row in session.execute(legs)}
        amounts = select(AllocationLineRow.line_no, AllocationLineRow.amount_fen)
        lines = {
            row[0]: row[1]
            for row in session.execute(amounts.where(AllocationLineRow.run_id == run.id))
            if row[1]
        }
        for number in sorted(set(entry) | set(lines)):
            if entry.get(number, 0) != lines.get(number, 0):
                yield Problem(f"{where} 第 {number} 行", "账簿金额与分配金额不等", _MEND)
                break


def _payouts(session: Session) -> Iterator[Problem]:
    household = (PayeeKind.HOUSEHOLD.value, PayeeKind.PERSON.value)
    owed: dict[tuple[str, str], int] = defaultdict(int)
    statement = (
        select(AllocationLineRow.run_id, AllocationLineRow.payee_id, AllocationLineRow.amount_fen)
        .join(RunRow, RunRow.id == AllocationLineRow.run_id)
        .where(AllocationLineRow.payee_kind.in_(household), RunRow.state.in_(_BOOKED))
    )
    for run_id, payee, amount in session.execute(statement):
        # What a correction takes is owed by the household, and not paid.
        owed[(run_id, payee)] += max(amount, 0)
    booked = select(RunNettingRow).join(RunRow, RunRow.id == RunNettingRow.run_id)
    for netted in session.scalars(booked.where(RunRow.state.in_(_BOOKED))):
        owed[(netted.run_id, netted.household_id)] -= netted.amount_fen
    for row in session.scalars(select(PayoutRow)):
        owed[(row.run_id, row.household_id)] -= row.amount_fen
    for (run_id, payee), difference in sorted(owed.items()):
        if difference:
            what = f"发放金额与分配金额相差 {yuan(difference)} 元"
            yield Problem(f"分配批次 {run_id} 户 {payee}", what, _MEND)


def _batches(session: Session) -> Iterator[Problem]:
    statement = select(
        PayoutAttemptRow.batch_id, func.count(), func.sum(PayoutAttemptRow.amount_fen)
    ).group_by(PayoutAttemptRow.batch_id)
    found = {row[0]: (int(row[1]), int(row[2])) for row in session.execute(statement)}
    for batch in session.scalars(select(BankBatchRow).order_by(BankBatchRow.number)):
        if found.get(batch.id) != (batch.line_count, batch.total_fen):
            yield Problem(f"代发批次 {batch.number}", "笔数或金额与发放记录不等", _MEND)
    last: dict[tuple[str, int], str] = {}
    order = (AttemptEventRow.payout_id, AttemptEventRow.n, AttemptEventRow.seq)
    for event in session.scalars(select(AttemptEventRow).order_by(*order)):
        last[(event.payout_id, event.n)] = event.state
    for attempt in session.scalars(select(PayoutAttemptRow).order_by(PayoutAttemptRow.payout_id)):
        if last.get((attempt.payout_id, attempt.n)) != attempt.state:
            yield Problem(f"发放 {attempt.payout_id} 第 {attempt.n} 次", "状态与经过记录不一致", _MEND)


def _where_the_money_is(session: Session) -> Iterator[Problem]:
    """Every approved fen of a household is in exactly one of payable, clearing, paid, returned."""
    expected: dict[tuple[str, str, str], int] = defaultdict(int)
    states = {row.payout_id: row.state for row in _last_attempts(session)}
    account_of = {"": "payable_household", "failed": "returned_household", "returned": "returned_household"}
    for row in session.scalars(select(PayoutRow)):
        state = states.get(row.id, "")
        if state != "succeeded":
            account = account_of.get(state, "payout_clearing")
            expected[(row.book, account, row.household_id)] += row.amount_fen
    keys = (PostingRow.book, PostingRow.account, PostingRow.holder)
    statement = select(*keys, func.sum(PostingRow.amount_fen)).where(
        PostingRow.account.in_(("payable_household", "payout_clearing", "returned_household"))
    )
    for book, account, holder, total in session.execute(statement.group_by(*keys)):
        expected[(book, account, holder)] += int(total)
    for (book, account, holder), difference in sorted(expected.items()):
        if difference:
            what = f"账簿 {account} 与发放状态相差 {yuan(abs(difference))} 元"
            yield Problem(f"账簿 {book} 户 {holder}", what, _MEND)


def _last_attempts(session: Session) -> list[PayoutAttemptRow]:
    last = (
        select(PayoutAttemptRow.payout_id, func.max(PayoutAttemptRow.n).label("n"))
        .group_by(PayoutAttemptRow.payout_id)
        .subquery()
    )
    statement = select(PayoutAttemptRow).join(
        last, (last.c.payout_id == PayoutAttemptRow.payout_id) & (last.c.n == PayoutAttemptRow.n)
    )
    return list(session.scalars(statement))
