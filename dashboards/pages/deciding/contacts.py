"""The telephones that are printed on public notices, and the days that count while they hang.

Owns the page on which the county keeps them; the facts are `registry.contacts`' and the approval room's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.web import Crumb, check_form, reading, redirect, render, requires, services_of
from distribution.approval.noticing.working_days import WorkingDay, set_working_day, working_days
from distribution.approval.runs import ApprovalError
from registry.actors import Actor, Permission
from registry.contacts import NewContact, NoticeContact, contacts, set_contact
from registry.divisions import Division, division_names, divisions
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class ContactsView:
    """Every office with its telephone, and the places to choose from."""

    rows: Sequence[NoticeContact]
    names: dict[str, str]
    places: Sequence[Division]
    today: date
    may_edit: bool
    days: Sequence[WorkingDay]
    problems: Sequence[Problem] = ()
    message: str = ""


@router.get("/contacts")
def show_contacts(request: Request, actor: Reader, session: Reading, done: str = "") -> HTMLResponse:
    """Show the offices of the actor's area."""
    return _page(request, session, actor, message="已登记，以后的公示都会印上。" if done else "")


def _page(
    request: Request,
    session: Session,
    actor: Actor,
    *,
    problems: Sequence[Problem] = (),
    message: str = "",
) -> HTMLResponse:
    view = ContactsView(
        rows=contacts(session, actor),
        names=division_names(session),
        places=divisions(session, actor),
        today=local_date(services_of(request).clock()),
        may_edit=actor.may(Permission.EDIT_REGISTRY),
        days=working_days(session, actor),
        problems=problems,
        message=message,
    )
    crumbs = (Crumb("本月工作", "/work"),)
    return render(request, "deciding/contacts.html", "公示上的监督电话", crumbs=crumbs, view=view)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the form holds."""

    division_code: Annotated[str, Form(pattern="^[0-9]{12}$")]
    office: Annotated[str, Form(max_length=80)]
    since: Annotated[date, Form()]
    phone: Annotated[str, Form(max_length=40)] = ""


@router.post("/contacts", dependencies=[Depends(check_form)])
def take_contact(request: Request, actor: Editor, given: Annotated[_Given, Depends()]) -> Response:
    """Record an office's telephone from a day on; without a telephone the office is left out from then on."""
    services = services_of(request)
    new = NewContact(given.division_code, given.office, given.phone, given.since)
    try:
        with services.database.transaction() as session:
            set_contact(session, actor, new, services.clock())
    except ProblemsError as error:
        with services.database.reading() as session:
            return _page(request, session, actor, problems=error.problems)
    return redirect("/contacts", done="1")


@dataclass(frozen=True, slots=True)
class _Day:
    """What the form of a day holds."""

    division_code: Annotated[str, Form(pattern="^[0-9]{12}$")]
    day: Annotated[date, Form()]
    working: Annotated[str, Form(pattern="^(yes|no)$")]
    document: Annotated[str, Form(max_length=120)] = ""


@router.post("/working-days", dependencies=[Depends(check_form)])
def take_day(request: Request, actor: Editor, given: Annotated[_Day, Depends()]) -> Response:
    """Record a day of work or a day off of a division."""
    services = services_of(request)
    fact = WorkingDay(given.division_code, given.day, given.working == "yes", given.document)
    try:
        with services.database.transaction() as session:
            set_working_day(session, actor, fact, services.clock())
    except ApprovalError as error:
        with services.database.reading() as session:
            return _page(
                request, session, actor, problems=[Problem(f"{given.day}", str(error), "补上再登记")]
            )
    return redirect("/contacts", done="1")
