"""Payouts and batches: what is owed to whom, in which file it went, and what the bank answered.

Owns attempts and their states. It posts nothing: `closing` reads what changed here and writes the ledger.
A payment that failed or came back stays owed; only an explicit list starts another attempt, and what is
unknown is never sent again by program.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, func, insert, select
from sqlalchemy.orm import Session

from distribution.payout.tables import (
    BankBatchRow,
    PayoutAttemptRow,
    PayoutRow,
)
from registry.actors import Actor, Permission, in_area

ALIVE = ("pending", "sent", "unknown", "succeeded")
STATE_NAMES = {
    "": "未发放",
    "pending": "已导出",
    "sent": "银行处理中",
    "succeeded": "成功",
    "failed": "失败",
    "returned": "退回",
    "unknown": "未知",
}


@dataclass(frozen=True, slots=True)
class PayoutDraft:
    """What a booked run owes to a household [fen], and the numbers of the lines that it sums."""

    household_id: str
    amount_fen: int
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout with its last attempt: `state` is empty before the first, else the attempt's state."""

    id: str
    book: str
    run_id: str
    period: str
    household_id: str
    amount_fen: int
    state: str = ""
    attempts: int = 0
    reason: str = ""
    batch_id: str = ""

    @property
    def state_name(self) -> str:
        """The state in Chinese."""
        return STATE_NAMES[self.state]


@dataclass(frozen=True, slots=True)
class Batch:
    """A bank batch: number, control totals, file and hash."""

    id: str
    number: str
    area: str
    business_date: date
    template: str
    line_count: int
    total_fen: int
    file_name: str
    file_sha256: str
    exported_at: datetime
    exported_by: str


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """What is to be put into a file: payouts by id, the template's name, and the bank's summary text."""

    payout_ids: tuple[str, ...]
    template: str = "standard"
    summary: str = "光伏收益"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to pay: its payout, number, batch, state and the bank's words."""

    payout_id: str
    n: int
    batch_id: str
    household_id: str
    book: str
    amount_fen: int
    state: str
    reason: str
    bank_reference: str
    changed_at: datetime


def create_payouts(
    session: Session,
    actor: Actor,
    run: tuple[str, str, str],
    drafts: Sequence[PayoutDraft],
    now: datetime,
) -> tuple[Payout, ...]:
    """Record what a booked run, given as (book, run id, period), owes; repeating it changes nothing."""
    actor.require(Permission.COMPUTE_RUN)
    book, run_id, period = run
    present = set(session.scalars(select(PayoutRow.household_id).where(PayoutRow.run_id == run_id)))
    values = [
        {
            "id": f"payout:{run_id}:{draft.household_id}",
            "book": book,
            "run_id": run_id,
            "period": period,
            "household_id": draft.household_id,
            "amount_fen": draft.amount_fen,
            "lines": ",".join(str(number) for number in draft.lines),
            "created_at": now,
            "created_by": actor.user_id,
        }
        for draft in drafts
        if draft.amount_fen > 0 and draft.household_id not in present
    ]
    if values:
        session.execute(insert(PayoutRow), values)
    return payouts(session, actor, PayoutFilter(run_id=run_id))


_AT_ONCE = 5000
_PAYOUT_COLUMNS = (
    PayoutRow.id,
    PayoutRow.book,
    PayoutRow.run_id,
    PayoutRow.period,
    PayoutRow.household_id,
    PayoutRow.amount_fen,
    PayoutAttemptRow.state,
    PayoutAttemptRow.n,
    PayoutAttemptRow.reason,
    PayoutAttemptRow.batch_id,
)


@dataclass(frozen=True, slots=True)
class PayoutFilter:
    """Which payouts to return; an empty field lets everything pass. `untried` wants those never sent."""

    run_id: str = ""
    book: str = ""
    household_id: str = ""
    period: str = ""
    batch_id: str = ""
    untried: bool = False


ALL_PAYOUTS = PayoutFilter()


def payouts(session: Session, actor: Actor, only: PayoutFilter = ALL_PAYOUTS) -> tuple[Payout, ...]:
    """Return payouts of the actor's area with their last attempts, by run and household."""
    actor.require(Permission.VIEW_MONEY)
    return _found(session, _wanted(actor, only))


def payouts_named(session: Session, actor: Actor, ids: Sequence[str]) -> tuple[Payout, ...]:
    """Return the payouts of these ids in the actor's area, by run and household."""
    actor.require(Permission.VIEW_MONEY)
    found: list[Payout] = []
    for start in range(0, len(ids), _AT_ONCE):
        part = PayoutRow.id.in_(ids[start : start + _AT_ONCE])
        found += _found(session, _wanted(actor, ALL_PAYOUTS).where(part))
    return tuple(sorted(found, key=lambda one: (one.run_id, one.household_id)))


def _wanted(actor: Actor, only: PayoutFilter) -> Select[*tuple[Any, ...]]:
    # The last attempt is looked up per payout: an aggregate over all attempts would read all of history.
    last = (
        select(func.max(PayoutAttemptRow.n))
        .where(PayoutAttemptRow.payout_id == PayoutRow.id)
        .correlate(PayoutRow)
        .scalar_subquery()
    )
    statement = (
        select(*_PAYOUT_COLUMNS)
        .outerjoin(
            PayoutAttemptRow, (PayoutAttemptRow.payout_id == PayoutRow.id) & (PayoutAttemptRow.n == last)
        )
        .where(in_area(actor, PayoutRow.book))
    )
    for column, value in (
        (PayoutRow.run_id, only.run_id),
        (PayoutRow.book, only.book),
        (PayoutRow.household_id, only.household_id),
        (PayoutRow.period, only.period),
        (PayoutAttemptRow.batch_id, only.batch_id),
    ):
        if value:
            statement = statement.where(column == value)
    if only.untried:
        statement = statement.where(PayoutAttemptRow.n.is_(None))
    return statement.order_by(PayoutRow.run_id, PayoutRow.household_id)


def _found(session: Session, statement: Select[*tuple[Any, ...]]) -> tuple[Payout, ...]:
    return tuple(Payout(*row[:6]) if row.n is None else Payout(*row) for row in session.execute(statement))


def batches(session: Session, actor: Actor) -> tuple[Batch, ...]:
    """Return the batches of the actor's area, the latest first."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(BankBatchRow).where(in_area(actor, BankBatchRow.area))
    return tuple(batch_of(row) for row in session.scalars(statement.order_by(BankBatchRow.number.desc())))


def attempts(
    session: Session, actor: Actor, *, batch_id: str = "", book: str = "", run_id: str = ""
) -> tuple[Attempt, ...]:
    """Return attempts of the actor's area by payout and number, of one batch, book or run."""
    actor.require(Permission.VIEW_MONEY)
    statement = (
        select(PayoutAttemptRow, PayoutRow)
        .join(PayoutRow, PayoutRow.id == PayoutAttemptRow.payout_id)
        .where(in_area(actor, PayoutRow.book))
    )
    for column, value in (
        (PayoutAttemptRow.batch_id, batch_id),
        (PayoutRow.book, book),
        (PayoutRow.run_id, run_id),
    ):
        if value:
            statement = statement.where(column == value)
    rows = session.execute(statement.order_by(PayoutAttemptRow.payout_id, PayoutAttemptRow.n))
    return tuple(
        Attempt(
            attempt.payout_id,
            attempt.n,
            attempt.batch_id,
            row.household_id,
            row.book,
            attempt.amount_fen,
            attempt.state,
            attempt.reason,
            attempt.bank_reference,
            attempt.changed_at,
        )
        for attempt, row in rows
    )


@dataclass(frozen=True, slots=True)
class AttemptSum:
    """How many attempts of a batch are in a state, and what they come to [fen]."""

    batch_id: str
    state: str
    count: int
    amount_fen: int


def attempt_sums(session: Session, actor: Actor) -> tuple[AttemptSum, ...]:
    """Return what became of every batch's attempts in the actor's area, added up by batch and state."""
    actor.require(Permission.VIEW_MONEY)
    keys = (PayoutAttemptRow.batch_id, PayoutAttemptRow.state)
    statement = (
        select(*keys, func.count(), func.sum(PayoutAttemptRow.amount_fen))
        .join(PayoutRow, PayoutRow.id == PayoutAttemptRow.payout_id)
        .where(in_area(actor, PayoutRow.book))
        .group_by(*keys)
        .order_by(*keys)
    )
    return tuple(AttemptSum(row[0], row[1], row[2], int(row[3])) for row in session.execute(statement))


def batch_of(row: BankBatchRow) -> Batch:
    """Return the record of a batch's row."""
    return Batch(
        row.id,
        row.number,
        row.area,
        row.business_date,
        row.template,
        row.line_count,
        row.total_fen,
        row.file_name,
        row.file_sha256,
        row.exported_at,
        row.exported_by,
    )


def payout_lines(session: Session, payout_ids: Sequence[str]) -> dict[str, frozenset[int]]:
    """Return the line numbers that each payout sums, by payout id; unscoped, for the conductor's own use."""
    found: dict[str, frozenset[int]] = {}
    for start in range(0, len(payout_ids), 500):
        statement = select(PayoutRow.id, PayoutRow.lines).where(
            PayoutRow.id.in_(payout_ids[start : start + 500])
        )
        for payout_id, lines in session.execute(statement):
            found[payout_id] = frozenset(int(number) for number in lines.split(",") if number)
    return found
