"""The bank's answers: what became of each payment of a batch.

Owns how a return file moves attempts. The same file again, or its rows in any order, end in the same
states; what fits no attempt becomes a problem and stops no other row.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from distribution.money import yuan
from distribution.payout.files import read_return
from distribution.payout.tables import AttemptEventRow, BankBatchRow, PayoutAttemptRow, ReturnFileRow
from registry.actors import Actor, Permission
from store.problem import Problem, ProblemsError

_LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class ReturnResult:
    """What a return file changed: counts by state, rows that fit nothing, and whether it was new."""

    batch_id: str
    changed: int
    unchanged: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the state of an attempt, and the file or person it came from."""

    payout_id: str
    n: int
    state: str
    reason: str
    source: str


def import_return(
    session: Session, actor: Actor, source: tuple[bytes, str], batch_id: str, now: datetime
) -> ReturnResult:
    """Take in a bank's answer, given as (content, file name), for a batch; again and in any order alike.

    Unknown references and wrong amounts become problems and stop no other row. Raises ProblemsError for the
    file of another batch, and what `read_return` raises.
    """
    actor.require(Permission.IMPORT_RETURN)
    content, name = source
    batch = session.get(BankBatchRow, batch_id)
    if batch is None or not batch.area.startswith(actor.area_prefix):
        raise LookupError(f"没有批次 {batch_id}")
    rows, problems = read_return(content, name)
    statement = select(PayoutAttemptRow).where(PayoutAttemptRow.batch_id == batch_id)
    known = {row.reference: row for row in session.scalars(statement)}
    _require_own(session, batch, {row.reference for row in rows}, set(known))
    changes: list[_Change] = []
    for row in rows:
        attempt = known.get(row.reference)
        problem = _fault(attempt, row.amount_fen, row.place, batch.number)
        if problem is not None or attempt is None:
            problems += [] if problem is None else [problem]
            continue
        if _settle(attempt, (row.state, row.reason, row.bank_reference), now):
            changes.append(_Change(attempt.payout_id, attempt.n, row.state, row.reason, name))
    session.flush()
    _record_changes(session, actor, batch_id, changes, now)
    changed = len(changes)
    digest = hashlib.sha256(content).hexdigest()
    if session.get(ReturnFileRow, digest) is None:
        session.add(
            ReturnFileRow(
                sha256=digest,
                batch_id=batch_id,
                name=name,
                row_count=len(rows),
                imported_at=now,
                imported_by=actor.user_id,
            )
        )
    session.flush()
    return ReturnResult(batch_id, changed, len(rows) - changed - len(problems), tuple(problems))


def _require_own(session: Session, batch: BankBatchRow, given: set[str], known: set[str]) -> None:
    """Raise ProblemsError when nothing in a file is of this batch and something is of another."""
    if given & known or not given:
        return
    statement = (
        select(BankBatchRow.number)
        .join(PayoutAttemptRow, PayoutAttemptRow.batch_id == BankBatchRow.id)
        .where(PayoutAttemptRow.reference.in_(sorted(given)[:_LOOKED_AT]))
        .order_by(BankBatchRow.number)
    )
    other = session.scalar(statement.limit(1))
    if other is not None:
        what = f"这是批次 {other} 的回盘文件，不是 {batch.number} 的"
        raise ProblemsError([Problem(f"批次 {batch.number}", what, f"请在批次 {other} 下导入")])


def _fault(attempt: PayoutAttemptRow | None, amount_fen: int, place: str, number: str) -> Problem | None:
    if attempt is None:
        return Problem(place, f"批次 {number} 里没有这笔业务", "请确认回盘文件属于哪个批次")
    if attempt.amount_fen != amount_fen:
        return Problem(
            place,
            f"金额 {yuan(amount_fen)} 元与发出的 {yuan(attempt.amount_fen)} 元不同",
            "请向银行查询，本行未入账",
        )
    return None


_LATER = {"sent": 0, "unknown": 1, "succeeded": 2, "failed": 2, "returned": 3}


def _settle(attempt: PayoutAttemptRow, answer: tuple[str, str, str], now: datetime) -> bool:
    """Move an attempt to the bank's answer; an answer that says less than what is known changes nothing."""
    state, reason, bank_reference = answer
    if attempt.state == "failed" or _LATER[state] <= _LATER[attempt.state]:
        return False
    attempt.state, attempt.reason, attempt.changed_at = state, reason, now
    attempt.bank_reference = bank_reference or attempt.bank_reference
    return True


def _record_changes(
    session: Session, actor: Actor, batch_id: str, changes: Sequence[_Change], now: datetime
) -> None:
    """Record changes of a batch's attempts, in their order."""
    if not changes:
        return
    statement = (
        select(AttemptEventRow.payout_id, AttemptEventRow.n, func.max(AttemptEventRow.seq))
        .join(
            PayoutAttemptRow,
            (PayoutAttemptRow.payout_id == AttemptEventRow.payout_id)
            & (PayoutAttemptRow.n == AttemptEventRow.n),
        )
        .where(PayoutAttemptRow.batch_id == batch_id)
        .group_by(AttemptEventRow.payout_id, AttemptEventRow.n)
    )
    last = {(row[0], row[1]): int(row[2]) for row in session.execute(statement)}
    values = []
    for one in changes:
        key = (one.payout_id, one.n)
        last[key] = last.get(key, 0) + 1
        values.append(
            {
                "payout_id": one.payout_id,
                "n": one.n,
                "seq": last[key],
                "state": one.state,
                "reason": one.reason,
                "source": one.source,
                "changed_at": now,
                "changed_by": actor.user_id,
            }
        )
    session.execute(insert(AttemptEventRow), values)
