"""Whether matches, receipts and bills still fit together, from the rows alone; repairs nothing.

Owns the sums of both sides of every match, added up here once more and not by the code that matches.
"""

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.money import yuan
from distribution.settlement.bank.tables import (
    BankDifferenceRow,
    BankDifferenceShareRow,
    BankLineRow,
    BankMatchItemRow,
    BankUnmatchRow,
)
from distribution.settlement.tables import ReceiptRow, SettlementRow
from store.problem import Problem

_MEND = "请从备份恢复并报告审计"
_BILLED = ("electricity", "subsidy", "local_subsidy")


def bank_faults(session: Session) -> Iterator[Problem]:
    """Yield every line, receivable, receipt or difference whose sums do not fit."""
    undone = frozenset(session.scalars(select(BankUnmatchRow.match_id)))
    yield from _lines(session, undone)
    yield from _receivables(session)
    yield from _items(session, undone)
    yield from _shares(session)


def _lines(session: Session, undone: frozenset[str]) -> Iterator[Problem]:
    holds: dict[str, int] = defaultdict(int)
    for line in session.scalars(select(BankLineRow)):
        holds[line.corrects or line.id] += line.amount_fen
    for item in session.scalars(select(BankMatchItemRow)):
        holds[item.bank_line_id] -= 0 if item.match_id in undone else item.amount_fen
    surplus = select(BankDifferenceRow).where(BankDifferenceRow.kind == "surplus")
    for one in session.scalars(surplus):
        holds[one.bank_line_id] -= one.amount_fen
    for line_id, rest in sorted(holds.items()):
        if rest < 0:
            yield Problem(f"银行流水 {line_id}", f"核对金额超过流水 {yuan(-rest)} 元", _MEND)


def _receivables(session: Session) -> Iterator[Problem]:
    owed: dict[tuple[str, str, str], int] = {}
    for bill in session.scalars(select(SettlementRow).order_by(SettlementRow.revision)):
        for component in _BILLED:
            owed[(bill.station_id, bill.month, component)] = getattr(bill, f"{component}_fen")
    taken: dict[tuple[str, str, str], int] = defaultdict(int)
    for receipt in session.scalars(select(ReceiptRow).where(ReceiptRow.component.in_(_BILLED))):
        taken[(receipt.station_id, receipt.month, receipt.component)] += receipt.amount_fen
    for one in session.scalars(select(BankDifferenceRow).where(BankDifferenceRow.kind == "shortfall")):
        taken[(one.station_id, one.month, one.component)] += one.amount_fen
    for key, amount in sorted(taken.items()):
        if amount < 0 or (amount > 0 and amount > owed.get(key, 0)):
            what = f"到账和尾差 {yuan(amount)} 元，应收 {yuan(owed.get(key, 0))} 元"
            yield Problem(f"应收 {'/'.join(key)}", what, _MEND)


def _items(session: Session, undone: frozenset[str]) -> Iterator[Problem]:
    corrected = frozenset(
        session.scalars(select(ReceiptRow.corrects).where(ReceiptRow.corrects.is_not(None)))
    )
    statement = select(BankMatchItemRow, ReceiptRow).outerjoin(
        ReceiptRow, ReceiptRow.id == BankMatchItemRow.receipt_id
    )
    for item, receipt in session.execute(statement):
        where = f"核对 {item.match_id} 第 {item.item_no} 项"
        if receipt is None or receipt.amount_fen != item.amount_fen:
            yield Problem(where, "与到账记录不符", _MEND)
        elif (item.match_id in undone) != (receipt.id in corrected):
            yield Problem(where, "撤销与冲正不一致", _MEND)


def _shares(session: Session) -> Iterator[Problem]:
    sums: dict[str, int] = defaultdict(int)
    for share in session.scalars(select(BankDifferenceShareRow)):
        sums[share.difference_id] += share.amount_fen
    for one in session.scalars(select(BankDifferenceRow).where(BankDifferenceRow.kind == "shortfall")):
        if sums[one.id] != one.amount_fen:
            yield Problem(f"对账尾差 {one.id}", "各村份额之和与尾差不等", _MEND)
