"""What the ledger says: balances, the state of periods, and whether the books are whole.

Owns every sum over postings, and the offline check of chains and balances. It writes only the states
of periods.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from distribution.ledger.accounts import NEVER_OVERDRAWN, account_name
from distribution.ledger.journal import Head, LedgerError, entry_hash, last_period_state, open_book
from distribution.ledger.tables import NO_HASH, BookRow, JournalRow, PeriodRow, PostingRow
from distribution.money import yuan
from distribution.types import Fund
from registry.actors import Actor, Permission, in_area
from store.problem import Problem

_FUNDS = {fund.value: fund for fund in Fund}
_NEXT_STATES = {"open": {"adjusting", "closed"}, "adjusting": {"closed"}, "closed": set[str]()}


@dataclass(frozen=True, slots=True)
class Balance:
    """The sum of the postings [fen, debit positive] of one account, holder and fund in a book."""

    book: str
    account: str
    holder: str
    fund: Fund
    amount_fen: int


def balances(
    session: Session,
    actor: Actor,
    *,
    book: str = "",
    accounts: Sequence[str] = (),
    holders: Sequence[str] = (),
) -> tuple[Balance, ...]:
    """Return the balances that are not zero in the actor's area, by book, account, holder and fund."""
    actor.require(Permission.VIEW_MONEY)
    total = func.sum(PostingRow.amount_fen)
    keys = (PostingRow.book, PostingRow.account, PostingRow.holder, PostingRow.fund)
    statement = select(*keys, total).where(in_area(actor, PostingRow.book))
    if book:
        statement = statement.where(PostingRow.book == book)
    if accounts:
        statement = statement.where(PostingRow.account.in_(accounts))
    if holders:
        statement = statement.where(PostingRow.holder.in_(holders))
    rows = session.execute(statement.group_by(*keys).having(total != 0).order_by(*keys))
    return tuple(
        Balance(place, account, holder, _FUNDS[fund], int(amount))
        for place, account, holder, fund, amount in rows
    )


def books(session: Session, actor: Actor) -> tuple[str, ...]:
    """Return the books of the actor's area in order."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(BookRow.book).where(in_area(actor, BookRow.division_code)).order_by(BookRow.book)
    return tuple(session.scalars(statement))


def period_state(session: Session, book: str, month: str) -> str:
    """Return `open`, `adjusting` or `closed`; a month that nobody touched is open."""
    return last_period_state(session, book, month) or "open"


def set_period(session: Session, actor: Actor, place: tuple[str, str], state: str, now: datetime) -> None:
    """Move a period, given as (book, month), to `adjusting` or `closed`; what it is already is no change.

    Raises LedgerError for a way back: that is `reopen_period`.
    """
    actor.require(Permission.COMPUTE_RUN)
    present = period_state(session, *place)
    if present == state:
        return
    if state not in _NEXT_STATES[present]:
        raise LedgerError(f"{place[0]} 的 {place[1]} 现为 {present}，不能改为 {state}")
    _record_state(session, actor, place, (state, ""), now)


def reopen_period(session: Session, actor: Actor, place: tuple[str, str], reason: str, now: datetime) -> None:
    """Open a closed period again, by the county and with a reason; raises LedgerError otherwise."""
    actor.require(Permission.APPROVE_COUNTY)
    if period_state(session, *place) != "closed" or not reason:
        raise LedgerError(f"{place[0]} 的 {place[1]} 只有已结账且写明原因时才能重新打开")
    _record_state(session, actor, place, ("open", reason), now)


def _record_state(
    session: Session, actor: Actor, place: tuple[str, str], change: tuple[str, str], now: datetime
) -> None:
    book, month = place
    open_book(session, actor, book, now)
    last = select(func.max(PeriodRow.seq)).where(PeriodRow.book == book, PeriodRow.month == month)
    session.add(
        PeriodRow(
            book=book,
            month=month,
            seq=(session.scalar(last) or 0) + 1,
            state=change[0],
            reason=change[1],
            changed_at=now,
            changed_by=actor.user_id,
        )
    )
    session.flush()


def verify_books(session: Session, heads: dict[str, list[Head]] | None = None) -> list[Problem]:
    """Recompute every chain, balance and limit; returns what is wrong, each book's first broken entry named.

    `heads` are ends of chains that were printed elsewhere (on notices): a book must still contain them.
    """
    problems: list[Problem] = []
    for book in session.scalars(union(select(BookRow.book), select(JournalRow.book)).order_by("book")):
        hashes, broken = _verify_chain(session, book)
        problems += broken
        for printed in (heads or {}).get(book, []):
            if printed.seq and hashes.get(printed.seq) != printed.hash:
                problems.append(
                    Problem(
                        f"账簿 {book} 第 {printed.seq} 号",
                        "与公示时印出的账簿指纹不一致，分录被删去或改动",
                        "请从备份恢复并报告审计",
                    )
                )
    problems += _orphans(session)
    problems += _verify_limits(session)
    return problems


def _verify_chain(session: Session, book: str) -> tuple[dict[int, str], list[Problem]]:
    legs: dict[int, list[list[Any]]] = defaultdict(list)
    misplaced: set[int] = set()
    table = PostingRow.__table__
    columns = [
        table.c[name] for name in ("seq", "line", "account", "holder", "fund", "amount_fen", "line_no")
    ]
    statement = select(*columns).where(table.c.book == book).order_by(table.c.seq, table.c.line)
    for seq, line, *leg in session.execute(statement):
        legs[seq].append(leg)
        if line != len(legs[seq]):
            misplaced.add(seq)
    hashes: dict[int, str] = {}
    previous, expected = NO_HASH, 1
    entries = JournalRow.__table__
    for row in session.execute(select(entries).where(entries.c.book == book).order_by(entries.c.seq)):
        wrong = _entry_fault(row, legs[row.seq], previous, expected)
        if not wrong and row.seq in misplaced:
            wrong = "分录的序号不连续"
        if wrong:
            problem = Problem(f"账簿 {book} 第 {row.seq} 号", wrong, "请从备份恢复并报告审计")
            return hashes, [problem]
        hashes[row.seq] = row.hash
        previous, expected = row.hash, row.seq + 1
    return hashes, []


def _entry_fault(row: Any, legs: list[list[Any]], previous: str, expected: int) -> str:
    if row.seq != expected:
        return f"缺第 {expected} 号分录"
    if row.previous_hash != previous:
        return "与上一号分录不相连"
    if entry_hash(dict(row._mapping), legs) != row.hash:  # noqa: SLF001, the documented way to a row's columns
        return "内容与指纹不一致，分录被改动"
    sums: dict[str, int] = defaultdict(int)
    for _account, _holder, fund, amount_fen, _line_no in legs:
        sums[fund] += amount_fen
    return "借贷不平" if any(sums.values()) or not legs else ""


def _orphans(session: Session) -> list[Problem]:
    statement = (
        select(PostingRow.book, PostingRow.seq)
        .outerjoin(JournalRow, (JournalRow.book == PostingRow.book) & (JournalRow.seq == PostingRow.seq))
        .where(JournalRow.seq.is_(None))
        .distinct()
    )
    return [
        Problem(f"账簿 {book} 第 {seq} 号", "有分录而无凭证", "请从备份恢复并报告审计")
        for book, seq in session.execute(statement)
    ]


def _verify_limits(session: Session) -> list[Problem]:
    total = func.sum(PostingRow.amount_fen)
    keys = (PostingRow.book, PostingRow.account, PostingRow.holder, PostingRow.fund)
    statement = select(*keys, total).where(PostingRow.account.in_(NEVER_OVERDRAWN))
    return [
        Problem(
            f"账簿 {row[0]} {account_name(row[1])} {row[2] or row[3]}",
            f"透支 {yuan(int(row[4]))} 元",
            "请核对相关分录并报告审计",
        )
        for row in session.execute(statement.group_by(*keys).having(total > 0))
    ]
