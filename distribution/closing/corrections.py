"""Putting a booked month right: corrections of what was wrong in it, and top-ups of late money.

Owns which runs make up what a month has given, and the steps from records that changed to a correction's or
top-up's run. Closed months never change: both are runs of their own, posted in the open month.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.approval.nettings import spoken_for
from distribution.approval.runs import (
    Run,
    RunDraft,
    RunInput,
    WrongStateError,
    allocation_of,
    compute_run,
    content_hash_of,
    inputs_of,
    live_run,
    run,
    runs,
)
from distribution.approval.states import BOOKED, RunState
from distribution.approval.tables import RunInputRow, RunRow
from distribution.closing.deltas import Change, Given, changes_of, correction, offsets
from distribution.ledger.balances import balances
from distribution.plan_inputs import gather_again, gather_top_up
from distribution.plans.allocation import allocate
from distribution.plans.document import Plan, plan_hash
from distribution.plans.tables import NoPlanPublishedError, plan_for, plan_version
from distribution.types import Allocation, PlanInput
from registry.actors import Actor, Permission
from store.periods import Period
from store.problem import Problem, ProblemsError

TOP_UP, CORRECTION = "top_up", "correction"
KIND_NAMES = {"regular": "分配", TOP_UP: "补发", CORRECTION: "更正"}
_RECOMPUTABLE = frozenset({RunState.COMPUTED, RunState.REVISION_REQUESTED})
Rules = Literal["current", "original"]


@dataclass(frozen=True, slots=True)
class CorrectionDraft:
    """What a correction of a booked run would change: the plan, the inputs, the differences by payee."""

    base: Run
    plan: Plan
    inputs: PlanInput
    result: Allocation
    sources: tuple[RunInput, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """The differences by payee, households first."""
        return changes_of(self.result)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing changes for anybody."""
        result = self.result
        return not (result.lines or result.income or result.deductions)


def compute_top_up(session: Session, actor: Actor, place: tuple[str, str], now: datetime) -> Run | None:
    """Compute the late money of a village's month whose first run is booked; None when there is none.

    An undecided top-up is computed anew as the next version; one under decision is returned as it is. Raises
    WrongStateError before the month is booked, ProblemsError with the arithmetic that fails.
    """
    village, month = place
    first = live_run(session, village, month)
    if first is None or first.state not in BOOKED:
        raise WrongStateError(f"{village} {month} 还没有记账，迟到的钱会计入本月分配，不必补发")
    present = live_run(session, village, month, TOP_UP)
    pending = present if present is not None and present.state not in BOOKED else None
    if pending is not None and pending.state not in _RECOMPUTABLE:
        return pending
    gathered = gather_top_up(session, actor, place, "" if pending is None else pending.id, now)
    if not gathered.inputs.income:
        return pending
    plan = _plan_of(session, first, "original")
    result = allocate(plan, gathered.inputs)
    draft = RunDraft(village, month, TOP_UP, plan_hash(plan), gathered.inputs, result, gathered.sources)
    return compute_run(session, actor, draft, now)


def draft_correction(
    session: Session, actor: Actor, base_id: str, rules: Rules = "current"
) -> CorrectionDraft:
    """Return what a booked run, computed anew from the records of now, changes; nothing is kept.

    `rules` says whether the plan published for the month applies, or the one that the run was computed with.
    Raises LookupError outside the area, WrongStateError for a run that is no booked first run or top-up,
    ProblemsError with the arithmetic that fails.
    """
    base = run(session, actor, base_id)
    if base is None:
        raise LookupError(f"{actor.name} 的辖区内没有分配批次 {base_id}")
    if base.kind == CORRECTION or base.state not in BOOKED:
        raise WrongStateError(f"{base.book} {base.period} 的这一批次不是已记账的分配或补发，不能更正")
    earlier = corrections_of(session, actor, base)
    booked = [one for one in earlier if one.state in BOOKED]
    last = booked[-1] if booked else base
    frozen = inputs_of(session, actor, base.id)
    gathered = gather_again(session, actor, (base, frozen), earlier)
    plan = _plan_of(session, last, rules)
    results = tuple(allocation_of(session, actor, one.id) for one in (base, *booked))
    given = Given(results, _plan_of(session, last, "original"), inputs_of(session, actor, last.id))
    result = correction(given, plan, gathered.inputs)
    runs_used = (RunInput("run", one.id, one.content_hash) for one in (base, *booked))
    return CorrectionDraft(base, plan, gathered.inputs, result, (*runs_used, *gathered.sources))


def start_correction(session: Session, actor: Actor, base_id: str, rules: Rules, now: datetime) -> Run | None:
    """Compute the correction of a booked run as a run of its own; None when nothing changes.

    The same correction again is the one under decision. Raises WrongStateError while another one of the same
    month is, and what `draft_correction` raises.
    """
    actor.require(Permission.COMPUTE_RUN)
    drafted = draft_correction(session, actor, base_id, rules)
    base = drafted.base
    present = live_run(session, base.book, base.period, CORRECTION)
    if present is not None and present.state in BOOKED:
        present = None
    if drafted.is_empty:
        return None
    result = _with_offsets(session, actor, drafted, "" if present is None else present.id)
    draft = RunDraft(
        base.book, base.period, CORRECTION, plan_hash(drafted.plan), drafted.inputs, result, drafted.sources
    )
    if present is not None and not _may_recompute(session, present, base):
        if content_hash_of(draft) == present.content_hash:
            return present
        raise WrongStateError(
            f"{base.book} {base.period} 已有一批更正在办理（{present.state_name}），办结或否决后才能另起"
        )
    return compute_run(session, actor, draft, now)


def _may_recompute(session: Session, pending: Run, base: Run) -> bool:
    return pending.state in _RECOMPUTABLE and base_of(session, pending.id) == base.id


def _with_offsets(session: Session, actor: Actor, drafted: CorrectionDraft, own_run: str) -> Allocation:
    """Settle additions against what earlier corrections of the same run took and is still owed."""
    base = drafted.base
    net: dict[str, int] = {}
    for one in corrections_of(session, actor, base):
        if one.state in BOOKED:
            for change in changes_of(allocation_of(session, actor, one.id)):
                net[change.payee_id] = net.get(change.payee_id, 0) + change.delta_fen
    losers = tuple(house for house, fen in net.items() if fen < 0)
    owed = owed_by(session, actor, base.book, losers) if losers else {}
    for household, amount in spoken_for(session, base.book, but=own_run).items():
        owed[household] = owed.get(household, 0) - amount
    undoable = {
        house: min(-net[house], fen) for house, fen in owed.items() if fen > 0 and net.get(house, 0) < 0
    }
    return replace(drafted.result, nettings=offsets(drafted.result, undoable))


def owed_by(session: Session, actor: Actor, book: str, holders: tuple[str, ...] = ()) -> dict[str, int]:
    """Return what households of a book owe of earlier overpayments [fen]; all of them without `holders`."""
    sums: dict[str, int] = {}
    for one in balances(session, actor, book=book, accounts=("recoverable_household",), holders=holders):
        sums[one.holder] = sums.get(one.holder, 0) + one.amount_fen
    return {holder: amount for holder, amount in sums.items() if amount}


def corrections_of(session: Session, actor: Actor, base: Run) -> tuple[Run, ...]:
    """Return the live corrections of a run in order, booked ones first, then the one under decision."""
    named = set(
        session.scalars(
            select(RunInputRow.run_id)
            .join(RunRow, RunRow.id == RunInputRow.run_id)
            .where(
                RunInputRow.source_table == "run",
                RunInputRow.source_id == base.id,
                RunRow.kind == CORRECTION,
            )
        )
    )
    every = [one for one in runs(session, actor, period=base.period, book=base.book) if one.id in named]
    return tuple(sorted(every, key=lambda one: one.version))


def base_of(session: Session, run_id: str) -> str:
    """Return which run a correction corrects: the first run or top-up among those that it names."""
    statement = (
        select(RunRow.id)
        .join(RunInputRow, RunInputRow.source_id == RunRow.id)
        .where(RunInputRow.run_id == run_id, RunInputRow.source_table == "run", RunRow.kind != CORRECTION)
    )
    return session.scalar(statement) or ""


def _plan_of(session: Session, of: Run, rules: Rules) -> Plan:
    try:
        if rules == "original":
            return plan_version(session, of.plan_id, of.plan_version)
        return plan_for(session, of.book, Period.parse(of.period).start)
    except NoPlanPublishedError as error:
        raise ProblemsError([Problem(of.period, str(error), "请先发布分配方案")]) from error
