"""Who votes for whom: delegations of approval, with days and document.

Owns the page on which somebody lets another vote for him and takes it back; the rules are
`distribution.approval`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.web import Crumb, NotFoundError, check_form, reading, redirect, render, requires, services_of
from distribution.approval.runs import ApprovalError
from distribution.approval.states import GATE_NAMES, GATE_PERMISSIONS
from distribution.approval.voting.delegations import (
    Delegation,
    DelegationOrder,
    colleagues,
    delegate,
    delegations,
    end_delegation,
)
from registry.actors import Actor, Permission
from store.periods import local_date
from store.problem import Problem

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class DelegationsView:
    """The delegations that concern the reader, and the form for a new one where he has a right to give."""

    rows: Sequence[tuple[Delegation, str]]
    gates: tuple[tuple[str, str], ...]
    people: Sequence[tuple[str, str]]
    today: date
    reader: str
    may_manage: bool
    problems: Sequence[Problem] = ()
    message: str = ""


@router.get("/delegations")
def show_delegations(request: Request, actor: Reader, session: Reading, done: str = "") -> HTMLResponse:
    """Show who votes for whom."""
    return _page(request, session, actor, message="已登记。" if done else "")


def _page(
    request: Request,
    session: Session,
    actor: Actor,
    *,
    problems: Sequence[Problem] = (),
    message: str = "",
) -> HTMLResponse:
    today = local_date(services_of(request).clock())
    gates = tuple((gate, GATE_NAMES[gate]) for gate, right in GATE_PERMISSIONS.items() if actor.may(right))
    view = DelegationsView(
        rows=[(one, _state(one, today)) for one in delegations(session, actor)],
        gates=gates,
        people=colleagues(session, actor) if gates else (),
        today=today,
        reader=actor.user_id,
        may_manage=actor.may(Permission.MANAGE_USERS),
        problems=problems,
        message=message,
    )
    crumbs = (Crumb("本月工作", "/work"),)
    return render(request, "deciding/delegations.html", "审批委托", crumbs=crumbs, view=view)


def _state(one: Delegation, today: date) -> str:
    if one.ended_at is not None:
        return "已收回"
    if today < one.valid_from:
        return "未到期间"
    return "在用" if one.holds_on(today) else "已到期"


@dataclass(frozen=True, slots=True)
class _Given:
    """What the form holds; `last` is the last day on which the delegate may vote."""

    gate: Annotated[str, Form(pattern="^(village|township|county)$")]
    delegate_id: Annotated[str, Form(max_length=60)]
    first: Annotated[date, Form()]
    last: Annotated[date, Form()]
    document: Annotated[str, Form(max_length=120)]


@router.post("/delegations", dependencies=[Depends(check_form)])
def give(request: Request, actor: Reader, given: Annotated[_Given, Depends()]) -> Response:
    """Let another vote at a gate in the actor's name."""
    services = services_of(request)
    until = date.max if given.last == date.max else date.fromordinal(given.last.toordinal() + 1)
    order = DelegationOrder(
        given.gate, actor.user_id, given.delegate_id, given.first, until, given.document.strip()
    )
    try:
        with services.database.transaction() as session:
            delegate(session, actor, order, services.clock())
    except ApprovalError as error:
        with services.database.reading() as session:
            problem = Problem("审批委托", str(error), "改正后再登记")
            return _page(request, session, actor, problems=[problem])
    return redirect("/delegations", done="1")


@router.post("/delegations/{delegation_id}/end", dependencies=[Depends(check_form)])
def end(request: Request, actor: Reader, delegation_id: str) -> Response:
    """Take a delegation back before its last day."""
    services = services_of(request)
    with services.database.transaction() as session:
        if all(one.id != delegation_id for one in delegations(session, actor)):
            raise NotFoundError(delegation_id)
        end_delegation(session, actor, delegation_id, services.clock())
    return redirect("/delegations", done="1")
