"""Paying out: batches to the bank and its answers, joined with the ledger and the run's state.

Owns the transaction in which an attempt and its journal entry happen together. `payout` knows attempts,
`ledger` knows entries; only here do both move.
"""

from collections import defaultdict
from datetime import datetime

from sqlalchemy.orm import Session

from distribution import bookings
from distribution.approval.noticing.notices import held_lines
from distribution.approval.runs import Change, move, run
from distribution.approval.states import RunState
from distribution.ledger.balances import balances
from distribution.ledger.journal import journals, post
from distribution.money import yuan
from distribution.payout.batches import create_batch
from distribution.payout.files import BatchFile
from distribution.payout.payouts import (
    Batch,
    BatchOrder,
    Payout,
    PayoutFilter,
    attempts,
    payout_lines,
    payouts,
    payouts_named,
)
from distribution.payout.returns import ReturnResult, import_return
from distribution.types import Fund
from registry.actors import Actor
from registry.secrets import KeyRing
from store.periods import local_date
from store.problem import Problem, ProblemsError


def ready_payouts(session: Session, actor: Actor, *, period: str = "", book: str = "") -> tuple[Payout, ...]:
    """Return the payouts that may go into a batch now: never tried, not held back by an objection."""
    found = payouts(session, actor, PayoutFilter(book=book, period=period, untried=True))
    held = {run_id: held_lines(session, actor, run_id) for run_id in {one.run_id for one in found}}
    lines = payout_lines(session, [one.id for one in found])
    return tuple(one for one in found if not held[one.run_id] & lines[one.id])


def send_batch(
    session: Session, actor: Actor, ring: KeyRing, order: BatchOrder, now: datetime
) -> tuple[Batch, BatchFile]:
    """Put payouts into a bank file and book them as on their way; all or nothing.

    Raises ProblemsError that names every payout which cannot go, or a book without the money.
    """
    batch, file = create_batch(session, actor, ring, order, now)
    sent = attempts(session, actor, batch_id=batch.id)
    chosen = {one.id: one for one in payouts(session, actor, PayoutFilter(batch_id=batch.id))}
    _require_money(session, actor, sorted({one.book for one in sent}), chosen)
    by_book: dict[tuple[str, str], list[bookings.Payment]] = defaultdict(list)
    funds = _FundsOfRuns(session, actor)
    for one in sent:
        move_name = "sent" if one.n == 1 else "resent"
        by_book[(one.book, move_name)].append(funds.payment(chosen[one.payout_id]))
    for (book, move_name), every in sorted(by_book.items()):
        draft = bookings.payments((book, batch.business_date), move_name, (batch.id, batch.id), every)
        post(session, actor, draft, now)
    for run_id in sorted({one.run_id for one in chosen.values()}):
        _move_run(session, actor, run_id, now)
    return batch, file


def _require_money(session: Session, actor: Actor, books: list[str], chosen: dict[str, Payout]) -> None:
    """Only money that lies in the village's account can be paid out."""
    problems = []
    for book in books:
        held = sum(one.amount_fen for one in balances(session, actor, book=book, accounts=("bank",)))
        clearing = balances(session, actor, book=book, accounts=("payout_clearing",))
        free = held + sum(one.amount_fen for one in clearing)
        wanted = sum(one.amount_fen for one in chosen.values() if one.book == book)
        if wanted > free:
            what = f"村账户可用 {yuan(free)} 元，要发放 {yuan(wanted)} 元"
            problems.append(Problem(book, what, "请先由县专户拨付到村"))
    if problems:
        raise ProblemsError(problems)


class _FundsOfRuns:
    """How each payout is made up of funds, as its run's entry says; read once per run."""

    def __init__(self, session: Session, actor: Actor) -> None:
        self._session, self._actor = session, actor
        self._runs: dict[str, dict[str, dict[Fund, int]]] = {}

    def payment(self, payout: Payout) -> bookings.Payment:
        parts = self._of_run(payout.run_id)[payout.household_id]
        left = tuple((fund, amount) for fund, amount in parts.items() if amount)
        return bookings.Payment(payout.id, payout.household_id, left)

    def _of_run(self, run_id: str) -> dict[str, dict[Fund, int]]:
        if run_id not in self._runs:
            found: dict[str, dict[Fund, int]] = defaultdict(dict)
            for entry in journals(self._session, self._actor, sources=(run_id,)):
                for leg in entry.postings:
                    if leg.account == "payable_household":
                        parts = found[leg.holder]
                        parts[leg.fund] = parts.get(leg.fund, 0) - leg.amount_fen
            self._runs[run_id] = found
        return self._runs[run_id]


def take_return(
    session: Session, actor: Actor, source: tuple[bytes, str], batch_id: str, now: datetime
) -> ReturnResult:
    """Take in a bank's return file, given as (content, file name), and book what it changed.

    The same file again, or rows in another order, change nothing more.
    """
    before = {(one.payout_id, one.n): one.state for one in attempts(session, actor, batch_id=batch_id)}
    result = import_return(session, actor, source, batch_id, now)
    owned = {one.id: one for one in payouts_named(session, actor, [payout_id for payout_id, _n in before])}
    moves: dict[tuple[str, str], list[bookings.Payment]] = defaultdict(list)
    funds = _FundsOfRuns(session, actor)
    touched = set()
    for one in attempts(session, actor, batch_id=batch_id):
        previous = before[(one.payout_id, one.n)]
        if one.state != previous and one.state in {"succeeded", "failed", "returned"}:
            name = "bounced" if previous == "succeeded" else one.state
            moves[(one.book, name)].append(funds.payment(owned[one.payout_id]))
            touched.add(owned[one.payout_id].run_id)
    for (book, name), every in sorted(moves.items()):
        key = f"{batch_id}:{every[0].payout_id}:{len(every)}"
        draft = bookings.payments((book, local_date(now)), name, (batch_id, key), every)
        post(session, actor, draft, now)
    for run_id in sorted(touched):
        _move_run(session, actor, run_id, now)
    return result


def _move_run(session: Session, actor: Actor, run_id: str, now: datetime) -> None:
    """Bring a run's state in line with its payouts: batched, settled when answered, closed when all paid."""
    states = {one.state for one in payouts(session, actor, PayoutFilter(run_id=run_id))}
    present = run(session, actor, run_id)
    if present is None:
        return
    if present.state is RunState.POSTED and "" not in states:
        move(session, actor, run_id, Change(RunState.BATCHED), now)
        present = run(session, actor, run_id)
    answered = states <= {"succeeded", "failed", "returned"}
    if present is not None and present.state in {RunState.POSTED, RunState.BATCHED} and answered:
        move(session, actor, run_id, Change(RunState.SETTLED), now)
        present = run(session, actor, run_id)
    if present is not None and present.state is RunState.SETTLED and states <= {"succeeded"}:
        move(session, actor, run_id, Change(RunState.CLOSED), now)
