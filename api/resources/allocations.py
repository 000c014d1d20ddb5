"""Runs and what they allocate, line by line, with the way from a line back to the meter."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session

from api.resources.settlements import MONTH, FromRecord
from dashboards.web import NotFoundError, RowNumber, reading, requires
from distribution.approval.runs import allocation_of, run, runs
from distribution.approval.states import BOOKED
from distribution.closing.corrections import CORRECTION, draft_correction
from distribution.plans.explanation import render_line
from distribution.tracing import trace_line
from registry.actors import Actor, Permission

router = APIRouter(prefix="/allocations", tags=["分配"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]


class RunOut(FromRecord):
    """A version of a village's distribution of a month; votes and notices bind to `content_hash`."""

    id: str
    village_code: str
    period: str
    kind: str
    version: int
    state: str
    state_name: str
    plan_id: str
    plan_version: int
    input_hash: str
    content_hash: str
    amount_fen: int
    household_count: int
    made_at: datetime


class LineOut(FromRecord):
    """One line [fen]: purse, payee, and in words how it came about."""

    line_no: int
    purse: str
    payee_kind: str
    payee_id: str
    amount_fen: int
    explanation: str


class NettingOut(FromRecord):
    """What is kept back of a household's payment against an earlier overpayment [fen]."""

    household_id: str
    amount_fen: int
    owed_fen: int
    clause: str


class AllocationOut(RunOut):
    """A run with its lines; those of a correction are differences."""

    distributable_fen: int
    lines: list[LineOut]
    nettings: list[NettingOut]


class DifferenceOut(FromRecord):
    """What a booked run computed anew changes for one payee [fen]; the causes add up to the difference."""

    payee_kind: str
    payee_id: str
    delta_fen: int
    causes: dict[str, int]


class CorrectionOut(FromRecord):
    """A correction as it would be drafted now; what is not booked is computed anew, not corrected."""

    run_id: str
    may_correct: bool
    plan_id: str
    plan_version: int
    differences: list[DifferenceOut]


class TraceOut(FromRecord):
    """One step on the way from a line back to the meter."""

    kind: str
    title: str
    text: str
    reference: str
    amount_fen: int | None


@router.get("")
def list_runs(
    actor: Reader, session: Reading, month: Annotated[str, Query(pattern=MONTH, description="月份")]
) -> list[RunOut]:
    """Return the counting runs of a month in the area."""
    return [RunOut.model_validate(one) for one in runs(session, actor, period=month)]


@router.get("/{run_id}")
def show_run(run_id: str, actor: Reader, session: Reading) -> AllocationOut:
    """Return a run with every line and its explanation."""
    found = run(session, actor, run_id)
    if found is None:
        raise NotFoundError(run_id)
    allocation = allocation_of(session, actor, run_id)
    lines = [
        LineOut(
            line_no=line.line_no,
            purse=line.purse,
            payee_kind=line.payee_kind,
            payee_id=line.payee_id,
            amount_fen=line.amount_fen,
            explanation=render_line(line),
        )
        for line in allocation.lines
    ]
    shown = RunOut.model_validate(found).model_dump()
    nettings = [NettingOut.model_validate(one) for one in allocation.nettings]
    return AllocationOut(
        **shown, distributable_fen=allocation.distributable_fen, lines=lines, nettings=nettings
    )


@router.get("/{run_id}/correction")
def show_correction(
    run_id: str,
    actor: Reader,
    session: Reading,
    rules: Annotated[Literal["current", "original"], Query(description="现行方案或当时的方案")] = "current",
) -> CorrectionOut:
    """Return what a booked run, computed anew from the records of now, would change; nothing is kept."""
    base = run(session, actor, run_id)
    if base is None:
        raise NotFoundError(run_id)
    if base.kind == CORRECTION or base.state not in BOOKED:
        return CorrectionOut(
            run_id=run_id,
            may_correct=False,
            plan_id=base.plan_id,
            plan_version=base.plan_version,
            differences=[],
        )
    drafted = draft_correction(session, actor, run_id, rules)
    differences = [
        DifferenceOut(
            payee_kind=one.payee_kind,
            payee_id=one.payee_id,
            delta_fen=one.delta_fen,
            causes=dict(one.causes),
        )
        for one in drafted.changes
    ]
    return CorrectionOut(
        run_id=run_id,
        may_correct=True,
        plan_id=drafted.plan.id,
        plan_version=drafted.plan.version,
        differences=differences,
    )


@router.get("/{run_id}/lines/{line_no}/trace")
def show_trace(run_id: str, line_no: RowNumber, actor: Reader, session: Reading) -> list[TraceOut]:
    """Return the way from a line to rule, entry, receipts, bills and meter readings."""
    steps = trace_line(session, actor, run_id, line_no)
    if not steps:
        raise NotFoundError(f"{run_id}/{line_no}")
    return [TraceOut.model_validate(step) for step in steps]
