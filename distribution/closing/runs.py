"""Computing a village's run from what is known, and posting it once it is approved.

Owns the step from a plan and frozen inputs to a run's version, and from an approved run to its entries and
payouts. When that may happen is `month`'s and the database's.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from distribution import bookings
from distribution.approval.runs import Change, Run, RunDraft, allocation_of, compute_run, live_run, move
from distribution.approval.states import BOOKED, RunState
from distribution.closing.facts import post_fact
from distribution.ledger.balances import balances, set_period
from distribution.ledger.journal import journals
from distribution.payout.payouts import PayoutDraft, create_payouts
from distribution.plan_inputs import gather
from distribution.plans.allocation import allocate
from distribution.plans.document import Plan, plan_hash
from distribution.plans.tables import NoPlanPublishedError, plan_for
from distribution.types import Allocation, PayeeKind
from registry.actors import Actor
from store.periods import Period, local_date
from store.problem import Problem, ProblemsError


def compute(session: Session, actor: Actor, place: tuple[str, str], now: datetime) -> Run | None:
    """Compute (or compute anew) the run of a village's month; None when there is nothing to distribute.

    Raises ProblemsError with the arithmetic that fails, or when no plan is published.
    """
    village, month = place
    present = live_run(session, village, month)
    own = present.id if present is not None and present.state not in BOOKED else ""
    gathered = gather(session, actor, place, own, now)
    if not gathered.inputs.income and present is None:
        return None
    plan = _plan(session, place)
    result = allocate(plan, gathered.inputs)
    draft = RunDraft(village, month, "regular", plan_hash(plan), gathered.inputs, result, gathered.sources)
    return compute_run(session, actor, draft, now)


def _plan(session: Session, place: tuple[str, str]) -> Plan:
    try:
        return plan_for(session, place[0], Period.parse(place[1]).start)
    except NoPlanPublishedError as error:
        raise ProblemsError([Problem(place[1], str(error), "请先发布分配方案")]) from error


def post_run(session: Session, actor: Actor, run: Run, now: datetime) -> None:
    """Post an approved run: its allocation, and what is owed to each household; then lock its month.

    The database itself refuses this without votes, a closed notice and decided objections.
    """
    result = allocation_of(session, actor, run.id)
    purses = [
        bookings.Holding("purse", one.holder, one.fund, -one.amount_fen)
        for one in balances(session, actor, book=run.book, accounts=("purse",))
        if one.amount_fen < 0
    ]
    draft = bookings.allocation(
        run.book, (run.id, run.content_hash, local_date(now)), result, purses if result.carried_in_fen else []
    )
    if draft is not None:
        post_fact(session, actor, draft, now)
    create_payouts(session, actor, (run.book, run.id, run.period), payout_drafts(result), now)
    move(session, actor, run.id, Change(RunState.POSTED), now)
    if run.period < str(Period.month_of(now)):
        set_period(session, actor, (run.book, run.period), "closed", now)


def payout_drafts(result: Allocation) -> list[PayoutDraft]:
    """Return what each household gets out of an allocation, all its lines together, by household."""
    lines: dict[str, list[tuple[int, int]]] = {}
    for line in result.lines:
        if line.payee_kind in {PayeeKind.HOUSEHOLD, PayeeKind.PERSON} and line.amount_fen:
            lines.setdefault(line.payee_id, []).append((line.line_no, line.amount_fen))
    return [
        PayoutDraft(household, sum(amount for _no, amount in parts), tuple(number for number, _a in parts))
        for household, parts in sorted(lines.items())
    ]


def run_entries(session: Session, actor: Actor, run: Run) -> tuple[str, ...]:
    """Return the ids of the journal entries that a run made, in order."""
    return tuple(one.id for one in journals(session, actor, book=run.book, sources=(run.id,)))
