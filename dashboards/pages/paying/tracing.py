"""From one yuan to the meter reading, and from the reading on to whom it paid.

Owns the two pages of the way; what the steps are is `distribution.tracing`'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.pages.paying.statement import entries_href
from dashboards.web import Crumb, NotFoundError, RowNumber, reading, render, requires
from distribution.approval.runs import run
from distribution.tracing import TraceStep, trace_line, trace_settlement
from registry.actors import Actor, Permission
from registry.divisions import division_name
from store.periods import Period

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
_WORDS = {
    "line": "分配",
    "rule": "规则",
    "entry": "凭证",
    "receipt": "到账",
    "settlement": "结算单",
    "reading": "电表",
    "run": "批次",
}


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step with its word and where it can be followed to."""

    shown: TraceStep
    word: str
    href: str


@dataclass(frozen=True, slots=True)
class TraceView:
    """The way from its beginning to its end."""

    lead: str
    rows: tuple[StepRow, ...]


@router.get("/runs/{run_id}/lines/{line_no}/trace")
def show_origin(
    request: Request, actor: Reader, session: Reading, run_id: str, line_no: RowNumber
) -> HTMLResponse:
    """Show where a line's money comes from, down to the meter."""
    present = run(session, actor, run_id)
    steps = trace_line(session, actor, run_id, line_no)
    if present is None or not steps:
        raise NotFoundError(f"{run_id}/{line_no}")
    village = division_name(session, present.book)
    crumb = Crumb(village, f"/villages/{present.book}/statements/{present.period}")
    lead = f"{village}{Period.parse(present.period).label}分配的一行，从金额追到电表读数。"
    view = TraceView(lead, _rows(steps))
    return render(request, "paying/trace.html", "从一元钱追到电表", crumbs=(crumb,), view=view)


@router.get("/settlements/{settlement_id}/trace")
def show_destination(request: Request, actor: Reader, session: Reading, settlement_id: str) -> HTMLResponse:
    """Show whom a bill's energy has paid, as far as the actor's area goes."""
    steps = trace_settlement(session, actor, settlement_id)
    if not steps:
        raise NotFoundError(settlement_id)
    view = TraceView("从电表读数追到每一户。只列出您辖区内的村。", _rows(steps))
    crumbs = (Crumb("电费结算", "/settlements"),)
    return render(request, "paying/trace.html", "从电表追到每一户", crumbs=crumbs, view=view)


def _rows(steps: Iterable[TraceStep]) -> tuple[StepRow, ...]:
    return tuple(StepRow(step, _WORDS[step.kind], _href(step)) for step in steps)


def _href(step: TraceStep) -> str:
    """Return where a step is shown by itself: its entries, its run, its line, or the bill's way on."""
    if step.kind == "entry":
        return entries_href((step.reference,))
    if step.kind == "run":
        return f"/runs/{step.reference}"
    if step.kind == "settlement":
        return f"/settlements/{step.reference}/trace"
    run_id, _, line_no = step.reference.rpartition("/")
    return f"/runs/{run_id}/lines/{line_no}/trace" if step.kind == "line" and run_id else ""
