"""对账: a month's stations from inverter to bank, what differs with its likely cause, and settling it.

Owns the month's page with its forms. What is compared is `distribution.settlement.matching`'s.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.month_work import chosen_month, month_choices
from dashboards.reconciling import run_match
from dashboards.web import NotFoundError, check_form, reading, redirect, render, requires, services_of
from distribution.matching import resolve
from distribution.settlement.intake.refused import RefusedLine, ignore_refused, refused_lines
from distribution.settlement.matching.results import FATES, line_fates, match_results
from distribution.settlement.reconciliation import (
    OUTCOMES,
    Assignment,
    Discrepancy,
    Resolution,
    assign_discrepancy,
    discrepancies,
    discrepancy,
)
from registry.actors import Actor, Permission
from registry.stations import stations
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Settler = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
Reading = Annotated[Session, Depends(reading)]
Words = Annotated[str, Form(max_length=500)]
_STATES = {"matched": "相符", "excepted": "有差异", "waiting": "等结算单"}
_DONE = {
    "matched": "已重新比对。",
    "settled": "处理结果已记录。",
    "assigned": "已交办。",
    "ignored": "这一行不再处理，原因已记录。",
}


@dataclass(frozen=True, slots=True)
class DifferenceLine:
    """One difference with the name of its station."""

    difference: Discrepancy
    station_name: str
    is_late: bool

    @property
    def outcome_name(self) -> str:
        """How it was settled, in Chinese; empty while it is open."""
        return OUTCOMES.get(self.difference.outcome, "")


@dataclass(frozen=True, slots=True)
class ReconciliationView:
    """A month: stations and lines by result, open and settled differences, rows that did not go in."""

    month: str
    months: tuple[str, ...]
    states: tuple[tuple[str, int], ...]
    fates: tuple[tuple[str, int], ...]
    causes: tuple[tuple[str, int], ...]
    open_lines: tuple[DifferenceLine, ...]
    settled_lines: tuple[DifferenceLine, ...]
    refused: tuple[RefusedLine, ...]
    may_settle: bool
    message: str

    @property
    def line_count(self) -> int:
        """How many lines the month's bills have."""
        return sum(count for _, count in self.fates)


@router.get("/reconciliation")
def show_month(
    request: Request, actor: Reader, session: Reading, month: str = "", done: str = ""
) -> HTMLResponse:
    """Show what the match of a month came to."""
    now = services_of(request).clock()
    chosen = chosen_month(month, now)
    names = {one.id: one.name for one in stations(session, actor)}
    found = discrepancies(session, actor, month=chosen)
    lines = [_line(one, names, local_date(now)) for one in found]
    states = Counter(one.state for one in match_results(session, actor, month=chosen))
    fates = Counter(one.fate for one in line_fates(session, actor, chosen))
    causes = Counter(one.cause_name for one in found if not one.outcome)
    view = ReconciliationView(
        chosen,
        month_choices(now),
        tuple((label, states[name]) for name, label in _STATES.items()),
        tuple((label, fates[name]) for name, label in FATES.items()),
        tuple(causes.most_common()),
        tuple(one for one in lines if not one.difference.outcome),
        tuple(one for one in lines if one.difference.outcome),
        refused_lines(session, actor, month=chosen, open_only=True),
        actor.may(Permission.IMPORT_SETTLEMENT),
        _DONE.get(done, ""),
    )
    return render(request, "settling/reconciliation.html", "对账", view=view)


def _line(one: Discrepancy, names: dict[str, str], today: date) -> DifferenceLine:
    is_late = not one.outcome and one.due_on is not None and one.due_on < today
    return DifferenceLine(one, names.get(one.station_id, one.station_id), is_late)


@router.post("/reconciliation/run", dependencies=[Depends(check_form)])
def match_again(request: Request, actor: Settler, month: Annotated[str, Form(max_length=7)]) -> Response:
    """Match the month again; nothing is recorded twice."""
    services = services_of(request)
    chosen = chosen_month(month, services.clock())
    run_match(services, actor, chosen)
    return redirect("/reconciliation", month=chosen, done="matched")


@router.post("/reconciliation/differences/{difference_id}/resolve", dependencies=[Depends(check_form)])
def settle(  # noqa: PLR0913, PLR0917, the fields of the form
    request: Request,
    actor: Settler,
    difference_id: str,
    outcome: Annotated[str, Form(max_length=20)],
    reason: Words = "",
    journal: Annotated[str, Form(max_length=60)] = "",
) -> Response:
    """Record how a difference was settled, with its reason and, where money moved, its entry."""
    services = services_of(request)
    with services.database.transaction() as session:
        one = _required(session, actor, difference_id)
        said = Resolution(outcome, reason, journal.strip())
        try:
            resolve(session, actor, one.id, said, services.clock())
        except (LookupError, ValueError) as error:
            raise ProblemsError(
                [Problem("处理差异", str(error), "写明结果和原因；凭证写成 村代码:凭证号")]
            ) from error
    return redirect("/reconciliation", month=one.month, done="settled")


@router.post("/reconciliation/differences/{difference_id}/assign", dependencies=[Depends(check_form)])
def give(  # noqa: PLR0913, PLR0917, the fields of the form
    request: Request,
    actor: Settler,
    difference_id: str,
    owner: Annotated[str, Form(max_length=60)],
    due_on: Annotated[date, Form()],
    note: Words = "",
) -> Response:
    """Give a difference to somebody until a day."""
    services = services_of(request)
    with services.database.transaction() as session:
        one = _required(session, actor, difference_id)
        try:
            assign_discrepancy(session, actor, one.id, Assignment(owner, due_on, note), services.clock())
        except ValueError as error:
            raise ProblemsError([Problem("交办", str(error), "填写负责人")]) from error
    return redirect("/reconciliation", month=one.month, done="assigned")


def _required(session: Session, actor: Actor, difference_id: str) -> Discrepancy:
    one = discrepancy(session, actor, difference_id)
    if one is None:
        raise NotFoundError(f"没有差异 {difference_id}")
    return one


@router.post("/reconciliation/refused/{line_id}/ignore", dependencies=[Depends(check_form)])
def ignore(
    request: Request,
    actor: Settler,
    line_id: str,
    month: Annotated[str, Form(max_length=7)] = "",
    reason: Words = "",
) -> Response:
    """Say why a row that did not go in needs nothing more."""
    services = services_of(request)
    with services.database.transaction() as session:
        try:
            ignore_refused(session, actor, line_id, reason, services.clock())
        except LookupError as error:
            raise NotFoundError(str(error)) from error
        except ValueError as error:
            raise ProblemsError([Problem("未入库的行", str(error), "写明原因")]) from error
    return redirect("/reconciliation", month=chosen_month(month, services.clock()), done="ignored")
