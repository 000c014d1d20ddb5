"""The only writer of the ledger: post and reverse; and what is read from single entries.

Owns idempotent, chained, balanced journal entries. It decides nothing about money: `closing` hands it
drafts. Writers of one book wait for each other, so `seq` has no gaps and the chain has no forks.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, text
from sqlalchemy.orm import Session

from distribution.ledger.accounts import NEVER_OVERDRAWN, Account, account_name
from distribution.ledger.tables import NO_HASH, BookRow, JournalRow, PeriodRow, PostingRow
from distribution.money import yuan
from distribution.types import Fund, JournalDraft, Posting
from registry.actors import Actor, Permission
from store.canonical import canonical_json
from store.periods import Period, local_date


class LedgerError(ValueError):
    """An entry cannot be posted as it stands."""


class UnbalancedError(LedgerError):
    """The postings of an entry do not add to zero in every fund."""


class PeriodClosedError(LedgerError):
    """The entry lies in a period that is closed."""


class OverdrawnError(LedgerError):
    """The entry would pay out more than an account holds."""


class IdempotencyConflictError(LedgerError):
    """The same key was used before for another content."""


class AlreadyReversedError(LedgerError):
    """The entry was reversed before."""


# What every posting asks. Made once: to build such a statement takes longer than to run it.
_BOOK = select(BookRow.book).where(BookRow.book == bindparam("book"))
_BY_KEY = select(JournalRow).where(JournalRow.idempotency_key == bindparam("key"))
_HEAD = (
    select(JournalRow.seq, JournalRow.hash)
    .where(JournalRow.book == bindparam("book"))
    .order_by(JournalRow.seq.desc())
    .limit(1)
)
_PERIOD = (
    select(PeriodRow.state)
    .where(PeriodRow.book == bindparam("book"), PeriodRow.month == bindparam("month"))
    .order_by(PeriodRow.seq.desc())
    .limit(1)
)
_OVERDRAWN = (
    select(PostingRow.holder, PostingRow.fund, func.sum(PostingRow.amount_fen))
    .where(PostingRow.book == bindparam("book"), PostingRow.account == bindparam("account"))
    .group_by(PostingRow.holder, PostingRow.fund)
    .having(func.sum(PostingRow.amount_fen) > 0)
    .limit(1)
)
_INSERT_JOURNAL = insert(JournalRow)


@dataclass(frozen=True, slots=True)
class Journal:
    """A posted entry: its place in the book's chain, and its postings in order."""

    book: str
    seq: int
    business_date: date
    period: str
    kind: str
    text: str
    idempotency_key: str
    source: str
    reverses: int | None
    attributes: dict[str, str]
    postings: tuple[Posting, ...]
    previous_hash: str
    hash: str
    recorded_at: datetime
    recorded_by: str

    @property
    def id(self) -> str:
        """The name by which pages and traces link to the entry: book and number."""
        return f"{self.book}/{self.seq}"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a book's chain: how many entries, and the hash of the last."""

    seq: int
    hash: str


def open_book(session: Session, actor: Actor, division_code: str, now: datetime) -> str:
    """Open the book of a village or county unless it exists; returns its id, the division code."""
    _require_area(actor, division_code)
    _lock(session, division_code)
    if session.scalar(_BOOK, {"book": division_code}) is None:
        session.add(BookRow(book=division_code, division_code=division_code, opened_at=now))
        session.flush()
    return division_code


def post(session: Session, actor: Actor, draft: JournalDraft, now: datetime) -> Journal:
    """Post an entry and return it; the same draft again returns what was posted the first time.

    Raises UnbalancedError, PeriodClosedError, OverdrawnError, IdempotencyConflictError, and PermissionError
    outside the actor's area.
    """
    _require_area(actor, draft.book)
    _check_balance(draft)
    legs = _legs(draft.postings)
    request_hash = _request_hash(draft, legs)
    open_book(session, actor, draft.book, now)
    existing = session.scalar(_BY_KEY, {"key": draft.idempotency_key})
    if existing is not None:
        return _same(existing, request_hash, draft)
    period = draft.period or str(Period.month_of(draft.business_date))
    _check_period(session, draft.book, period)
    end = head(session, draft.book)
    values = _journal_values(draft, period, end, request_hash)
    values |= {"recorded_at": now, "recorded_by": actor.user_id}
    values["hash"] = entry_hash(values, legs)
    _insert_postings(session, (draft.book, end.seq + 1), legs)
    _check_overdrawn(session, draft)
    session.execute(_INSERT_JOURNAL, values)
    return _entry(values, draft)


def _entry(columns: Mapping[str, Any], draft: JournalDraft) -> Journal:
    """Return a posted entry whose content is a draft's."""
    return Journal(
        **{name: columns[name] for name in _COPIED},
        attributes=dict(draft.attributes),
        postings=draft.postings,
    )


_COPIED = (
    "book",
    "seq",
    "business_date",
    "period",
    "kind",
    "text",
    "idempotency_key",
    "source",
    "reverses",
    "previous_hash",
    "hash",
    "recorded_at",
    "recorded_by",
)


def reverse(session: Session, actor: Actor, original: Journal, *, reason: str, now: datetime) -> Journal:
    """Post today the mirror of an entry (红冲), linked to it; repeating the call returns the same reversal.

    Raises AlreadyReversedError when it was reversed for another reason, and what `post` raises.
    """
    earlier = reversal_of(session, original)
    if earlier is not None:
        if earlier.attributes.get("reason") != reason:
            raise AlreadyReversedError(f"第 {original.seq} 号分录已由第 {earlier.seq} 号冲正，不能再次冲正")
        return earlier
    draft = JournalDraft(
        book=original.book,
        business_date=local_date(now),
        kind="reversal",
        text=f"冲正第 {original.seq} 号：{original.text}。{reason}",
        idempotency_key=f"reverse:{original.book}:{original.seq}",
        source=original.source,
        postings=tuple(replace(leg, amount_fen=-leg.amount_fen) for leg in original.postings),
        reverses=original.seq,
        attributes={"reason": reason},
    )
    return post(session, actor, draft, now)


def head(session: Session, book: str) -> Head:
    """Return the end of a book's chain; an empty book has seq 0 and a hash of zeros."""
    row = session.execute(_HEAD, {"book": book}).first()
    return Head(0, NO_HASH) if row is None else Head(row.seq, row.hash)


def journal(session: Session, actor: Actor, book: str, seq: int) -> Journal | None:
    """Return one entry of a book in the actor's area, or None."""
    actor.require(Permission.VIEW_MONEY)
    row = session.get(JournalRow, (book, seq)) if actor.covers(book) else None
    return None if row is None else _records(session, [row])[0]


def journals(
    session: Session, actor: Actor, *, book: str = "", sources: Sequence[str] = (), period: str = ""
) -> tuple[Journal, ...]:
    """Return entries of the actor's area in order, of one book, of given sources, or of one month."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(JournalRow).where(JournalRow.book.startswith(actor.area_prefix))
    if book:
        statement = statement.where(JournalRow.book == book)
    if sources:
        statement = statement.where(JournalRow.source.in_(sources))
    if period:
        statement = statement.where(JournalRow.period == period)
    rows = session.scalars(statement.order_by(JournalRow.book, JournalRow.seq)).all()
    return _records(session, rows)


def reversal_of(session: Session, entry: Journal) -> Journal | None:
    """Return the entry that reverses `entry`, or None."""
    statement = select(JournalRow).where(JournalRow.book == entry.book, JournalRow.reverses == entry.seq)
    row = session.scalar(statement)
    return None if row is None else _records(session, [row])[0]


def by_key(session: Session, idempotency_key: str) -> Journal | None:
    """Return the entry posted under a key, or None."""
    row = session.scalar(_BY_KEY, {"key": idempotency_key})
    return None if row is None else _records(session, [row])[0]


def posted_keys(session: Session, book: str) -> frozenset[str]:
    """Return the keys of everything posted in a book; unscoped, for the conductor's own use."""
    return frozenset(session.scalars(select(JournalRow.idempotency_key).where(JournalRow.book == book)))


def entry_hash(values: dict[str, Any], legs: list[list[Any]]) -> str:
    """Return the SHA-256 of an entry: its columns, its legs, its place, and the hash before it."""
    content = [
        values["book"],
        values["seq"],
        values["business_date"].isoformat(),
        *(values[name] for name in ("period", "kind", "text", "idempotency_key", "request_hash", "source")),
        values["reverses"],
        values["attributes"],
        values["recorded_at"].isoformat(),
        values["recorded_by"],
        values["previous_hash"],
        legs,
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def last_period_state(session: Session, book: str, month: str) -> str | None:
    """Return what a book's month was last moved to, or None where nobody touched it."""
    state: str | None = session.scalar(_PERIOD, {"book": book, "month": month})
    return state


def _require_area(actor: Actor, book: str) -> None:
    if not actor.covers(book):
        raise PermissionError(f"{book} 不在 {actor.name} 的辖区内")


def _lock(session: Session, book: str) -> None:
    """Make writers of one book wait for each other; on SQLite every writer already waits."""
    if session.get_bind().dialect.name == "postgresql":
        key = {"key": f"ledger|{book}"}
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)


def _check_balance(draft: JournalDraft) -> None:
    sums: dict[Fund, int] = defaultdict(int)
    for leg in draft.postings:
        sums[leg.fund] += leg.amount_fen
        if leg.amount_fen == 0:
            raise UnbalancedError(f"“{draft.text}”有金额为零的分录：{account_name(leg.account)} {leg.holder}")
    wrong = [f"{fund} 差 {yuan(total)} 元" for fund, total in sums.items() if total]
    if wrong or not draft.postings:
        raise UnbalancedError(f"“{draft.text}”借贷不平：{'，'.join(wrong) or '没有分录'}")


def _check_period(session: Session, book: str, period: str) -> None:
    if last_period_state(session, book, period) == "closed":
        raise PeriodClosedError(f"{book} 的 {period} 已结账，更正请记入未结账的月份")


def _check_overdrawn(session: Session, draft: JournalDraft) -> None:
    debited = {leg.account for leg in draft.postings if leg.amount_fen > 0} & set(NEVER_OVERDRAWN)
    for account in sorted(debited):
        over = session.execute(_OVERDRAWN, {"book": draft.book, "account": account}).first()
        if over is not None:
            name = f"{account_name(account)}（{over[0] or over[1]}）"
            raise OverdrawnError(f"“{draft.text}”使 {name} 透支 {yuan(over[2])} 元")


_ACCOUNTS = {account.value: account.value for account in Account}
_FUNDS = {fund.value: fund for fund in Fund}
_plain = str.__str__  # an enumeration's own way to its text takes ten times as long


def _legs(postings: Sequence[Posting]) -> list[list[Any]]:
    """Return the columns of each leg in plain types; raises LedgerError for an account outside the chart."""
    try:
        return [
            [_ACCOUNTS[leg.account], leg.holder, _plain(leg.fund), leg.amount_fen, leg.line_no]
            for leg in postings
        ]
    except KeyError as error:
        raise LedgerError(f"科目表里没有 {error.args[0]}") from error


def _request_hash(draft: JournalDraft, legs: list[list[Any]]) -> str:
    content = [
        draft.book,
        draft.business_date.isoformat(),
        *(draft.period, draft.kind, draft.text, draft.source, draft.reverses),
        canonical_json(draft.attributes),
        legs,
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def _same(existing: JournalRow, request_hash: str, draft: JournalDraft) -> Journal:
    if existing.request_hash != request_hash:
        raise IdempotencyConflictError(
            f"编号 {draft.idempotency_key} 已用于另一笔分录（{existing.book} 第 {existing.seq} 号），内容不同"
        )
    columns = {name: getattr(existing, name) for name in _COPIED}
    return _entry(columns, draft)


def _journal_values(draft: JournalDraft, period: str, end: Head, request_hash: str) -> dict[str, Any]:
    return {
        "book": draft.book,
        "seq": end.seq + 1,
        "business_date": draft.business_date,
        "period": period,
        "kind": draft.kind,
        "text": draft.text,
        "idempotency_key": draft.idempotency_key,
        "request_hash": request_hash,
        "source": draft.source,
        "reverses": draft.reverses,
        "attributes": canonical_json(draft.attributes),
        "previous_hash": end.hash,
    }


_COLUMNS = "book, seq, line, account, holder, fund, amount_fen, line_no"
_INSERT_SQLITE = f"INSERT INTO posting ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608, names of our own
_COPY_POSTGRESQL = f"COPY posting ({_COLUMNS}) FROM STDIN"


def _insert_postings(session: Session, place: tuple[str, int], legs: list[list[Any]]) -> None:
    """Insert all legs at `place` (book, seq) at once: an entry of a county has a hundred thousand."""
    rows = [(*place, line, *leg) for line, leg in enumerate(legs, start=1)]
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_INSERT_SQLITE, rows)
        return
    cursor = connection.connection.cursor()
    with cursor.copy(_COPY_POSTGRESQL) as copy:
        for row in rows:
            copy.write_row(row)
    cursor.close()


_LEG = (
    PostingRow.seq,
    PostingRow.account,
    PostingRow.holder,
    PostingRow.fund,
    PostingRow.amount_fen,
    PostingRow.line_no,
)


def _records(session: Session, rows: Sequence[JournalRow]) -> tuple[Journal, ...]:
    """Return the entries of rows with their postings, read in a few statements."""
    legs: dict[tuple[str, int], list[Posting]] = defaultdict(list)
    wanted: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        wanted[row.book].append(row.seq)
    for book, numbers in wanted.items():
        for start in range(0, len(numbers), 500):
            statement = select(*_LEG).where(
                PostingRow.book == book, PostingRow.seq.in_(numbers[start : start + 500])
            )
            for leg in session.execute(statement.order_by(PostingRow.seq, PostingRow.line)):
                seq, account, holder, fund, amount_fen, line_no = leg
                legs[(book, seq)].append(Posting(account, holder, amount_fen, _FUNDS[fund], line_no))
    return tuple(
        Journal(
            **{name: getattr(row, name) for name in _COPIED},
            attributes=json.loads(row.attributes),
            postings=tuple(legs[(row.book, row.seq)]),
        )
        for row in rows
    )
