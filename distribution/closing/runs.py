"""Computing a village's run from what is known, and posting it once it is approved.

Owns the step from a plan and frozen inputs to a run's version, and from an approved run to its entries and
payouts. When that may happen is `month`'s and the database's.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from distribution import bookings
from distribution.approval.runs import (
    Change,
    Run,
    RunDraft,
    allocation_of,
    compute_run,
    inputs_of,
    live_run,
    move,
    sources_of,
)
from distribution.approval.states import BOOKED, RunState
from distribution.closing import entries
from distribution.closing.corrections import CORRECTION, TOP_UP
from distribution.closing.deltas import HOUSEHOLD_KINDS
from distribution.closing.facts import post_fact
from distribution.ledger.balances import balances, set_period
from distribution.ledger.journal import journals
from distribution.payout.payouts import PayoutDraft, create_payouts
from distribution.plan_inputs import gather
from distribution.plans.allocation import KEPT_IN_PURSE, allocate
from distribution.plans.document import Plan, plan_hash
from distribution.plans.tables import NoPlanPublishedError, plan_for, plan_version
from distribution.types import Allocation, Fund, JournalDraft
from registry.actors import Actor
from store.periods import Period, local_date
from store.problem import Problem, ProblemsError

REGULAR = "regular"
OVERPAID = "recoverable_household"


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
    draft = RunDraft(village, month, REGULAR, plan_hash(plan), gathered.inputs, result, gathered.sources)
    return compute_run(session, actor, draft, now)


def _plan(session: Session, place: tuple[str, str]) -> Plan:
    try:
        return plan_for(session, place[0], Period.parse(place[1]).start)
    except NoPlanPublishedError as error:
        raise ProblemsError([Problem(place[1], str(error), "请先发布分配方案")]) from error


def post_run(session: Session, actor: Actor, run: Run, now: datetime) -> None:
    """Post an approved run: its entry, what it nets, and what is owed to each household; then lock its month.

    The database itself refuses this without votes, a closed notice and decided objections.
    """
    result = allocation_of(session, actor, run.id)
    draft = _entry(session, actor, run, result, now)
    if draft is not None:
        post_fact(session, actor, draft, now)
    _net(session, actor, run, (result, draft), now)
    create_payouts(session, actor, (run.book, run.id, run.period), payout_drafts(result), now)
    move(session, actor, run.id, Change(RunState.POSTED), now)
    if run.kind == REGULAR and run.period < str(Period.month_of(now)):
        set_period(session, actor, (run.book, run.period), "closed", now)


def _entry(
    session: Session, actor: Actor, run: Run, result: Allocation, now: datetime
) -> JournalDraft | None:
    head = (run.id, run.content_hash, local_date(now))
    if run.kind == CORRECTION:
        return entries.correction(run.book, head, result, _had(session, actor, run))
    if run.kind == TOP_UP:
        return bookings.top_up(run.book, head, result)
    return bookings.allocation(run.book, head, result, _carried_in(session, actor, run, result))


def _carried_in(session: Session, actor: Actor, run: Run, result: Allocation) -> list[bookings.Holding]:
    """Return out of which funds the balances come that the run carried in, as much as it carried in."""
    if not result.carried_in_fen:
        return []
    held: dict[str, dict[Fund, int]] = {}
    for one in balances(session, actor, book=run.book, accounts=("purse",)):
        held.setdefault(one.holder, {})[one.fund] = -one.amount_fen
    opening = {one.purse: one.amount_fen for one in inputs_of(session, actor, run.id).opening}
    plan = plan_version(session, run.plan_id, run.plan_version)
    kept = [purse.name for purse in plan.purses if purse.rest in KEPT_IN_PURSE]
    return [
        bookings.Holding("purse", purse, fund, part)
        for purse in kept
        for fund, part in bookings.spread_over(opening.get(purse, 0), held.get(purse, {})).items()
    ]


def _had(session: Session, actor: Actor, run: Run) -> entries.Standing:
    """Return what the month's run and its corrections gave by account, holder and fund [fen]."""
    given = tuple(one.source_id for one in sources_of(session, run.id) if one.source_table == "run")
    sums: dict[tuple[str, str], dict[Fund, int]] = {}
    for entry in journals(session, actor, book=run.book, sources=given):
        for leg in entry.postings:
            account = "payable_household" if leg.account == OVERPAID else leg.account
            parts = sums.setdefault((account, leg.holder), {})
            parts[leg.fund] = parts.get(leg.fund, 0) - leg.amount_fen
    return sums


def _net(
    session: Session,
    actor: Actor,
    run: Run,
    what: tuple[Allocation, JournalDraft | None],
    now: datetime,
) -> None:
    """Post what a run keeps back against earlier overpayments, out of what it has just made payable."""
    result, posted = what
    if not result.nettings or posted is None:
        return
    standing: dict[tuple[str, str], dict[Fund, int]] = {}
    for leg in posted.postings:
        if leg.account == "payable_household":
            parts = standing.setdefault((leg.account, leg.holder), {})
            parts[leg.fund] = parts.get(leg.fund, 0) - leg.amount_fen
    for one in balances(session, actor, book=run.book, accounts=(OVERPAID,)):
        standing.setdefault((OVERPAID, one.holder), {})[one.fund] = one.amount_fen
    draft = entries.netting(run.book, (run.id, local_date(now)), result.nettings, standing)
    if draft is not None:
        post_fact(session, actor, draft, now)


def netting_fault(session: Session, actor: Actor, run: Run) -> str:
    """Return why an approved run's netting can no longer be booked, in Chinese; empty when it can."""
    result = allocation_of(session, actor, run.id)
    if not result.nettings:
        return ""
    owed: dict[str, int] = {}
    for one in balances(session, actor, book=run.book, accounts=(OVERPAID,)):
        owed[one.holder] = owed.get(one.holder, 0) + one.amount_fen
    for line in result.lines:
        if line.payee_kind in HOUSEHOLD_KINDS and line.amount_fen < 0:
            owed[line.payee_id] = owed.get(line.payee_id, 0) - line.amount_fen
    short = [one for one in result.nettings if owed.get(one.household_id, 0) < one.amount_fen]
    return f"{len(short)} 户的多发欠款已经变动，请退回重新测算" if short else ""


def payout_drafts(result: Allocation) -> list[PayoutDraft]:
    """Return what each household is paid out of an allocation: its additions less what is netted.

    What a correction takes is owed, not paid.
    """
    netted = {one.household_id: one.amount_fen for one in result.nettings}
    lines: dict[str, list[tuple[int, int]]] = {}
    for line in result.lines:
        if line.payee_kind in HOUSEHOLD_KINDS and line.amount_fen > 0:
            lines.setdefault(line.payee_id, []).append((line.line_no, line.amount_fen))
    return [
        PayoutDraft(
            household,
            sum(amount for _no, amount in parts) - netted.get(household, 0),
            tuple(number for number, _a in parts),
        )
        for household, parts in sorted(lines.items())
    ]


def run_entries(session: Session, actor: Actor, run: Run) -> tuple[str, ...]:
    """Return the ids of the journal entries that a run made, in order."""
    return tuple(one.id for one in journals(session, actor, book=run.book, sources=(run.id,)))
