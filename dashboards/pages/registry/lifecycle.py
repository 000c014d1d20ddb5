"""Recording what happened to a household: exit, return, birth, death, a new head, splitting, merging.

Owns the forms of one page. What each event does is `registry.roll.lifecycle`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.moments import read_day
from dashboards.pages.registry.card import words_of
from dashboards.web import (
    Crumb,
    NotFoundError,
    check_form,
    reading,
    redirect,
    render,
    requires,
    services_of,
)
from registry.actors import Actor, Permission
from registry.intake.people.household_list import LABOUR
from registry.intake.values import typed_id_number
from registry.roll.cards import HouseholdCard, RollEntry, household_card, roll_entries
from registry.roll.lifecycle import (
    Basis,
    Joining,
    Split,
    change_head,
    merge_households,
    record_birth,
    record_death,
    record_exit,
    record_return,
    split_household,
)
from registry.secrets import KeyRing, open_key_ring
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a form of the page holds; which fields count depends on the kind of event."""

    kind: Annotated[str, Form(max_length=10)] = ""
    on: Annotated[str, Form(max_length=10)] = ""
    document: Annotated[str, Form(max_length=200)] = ""
    note: Annotated[str, Form(max_length=200)] = ""
    until: Annotated[str, Form(max_length=10)] = ""
    member: Annotated[str, Form(max_length=64)] = ""
    new_head: Annotated[str, Form(max_length=64)] = ""
    number: Annotated[str, Form(max_length=30)] = ""
    members: Annotated[tuple[str, ...], Form()] = ()
    component: Annotated[str, Form(max_length=60)] = ""
    weight: Annotated[str, Form(max_length=12)] = ""
    other: Annotated[str, Form(max_length=64)] = ""
    name: Annotated[str, Form(max_length=40)] = ""
    id_number: Annotated[str, Form(max_length=20)] = ""
    phone: Annotated[str, Form(max_length=20)] = ""
    labour: Annotated[str, Form(max_length=20)] = ""


@dataclass(frozen=True, slots=True)
class ChangesView:
    """The household, the others of its village, and what went wrong."""

    card: HouseholdCard
    neighbours: tuple[RollEntry, ...]
    today: str
    words: Mapping[str, str]
    labour: Mapping[str, str]
    message: str
    tone: str = "bad"


def _page(request: Request, session: Session, actor: Actor, household_id: str, message: str) -> HTMLResponse:
    services = services_of(request)
    card = household_card(session, actor, open_key_ring(services.data_dir), household_id)
    if card is None:
        raise NotFoundError(household_id)
    today = local_date(services.clock())
    others = roll_entries(session, actor, card.household.village_code, today)
    present = tuple(one for one in others if one.present(today) and one.household_id != household_id)
    words = words_of(request, session, card)
    labour = {str(key): word for word, key in LABOUR.items()}
    view = ChangesView(card, present, today.isoformat(), words, labour, message)
    crumbs = (Crumb("户卡", f"/households/{household_id}/card"),)
    return render(
        request, "registry/lifecycle.html", f"{card.household.name}户登记变动", crumbs=crumbs, view=view
    )


@router.get("/households/{household_id}/changes")
def show_changes(request: Request, actor: Editor, session: Reading, household_id: str) -> HTMLResponse:
    """Show the forms for a household of the actor's area."""
    return _page(request, session, actor, household_id, "")


@router.post("/households/{household_id}/changes", dependencies=[Depends(check_form)])
def record_change(
    request: Request, actor: Editor, household_id: str, wanted: Annotated[Wanted, Depends()]
) -> Response:
    """Record the event, or show the page again with what is wrong."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            basis = Basis(read_day(wanted.on, "日期"), wanted.document, services.clock(), wanted.note)
            if wanted.kind == "birth":
                _add(session, actor, open_key_ring(services.data_dir), (household_id, wanted), basis)
            else:
                _record(session, actor, household_id, wanted, basis)
    except LookupError as error:
        raise NotFoundError(household_id) from error
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _page(request, session, actor, household_id, str(error))
        page.status_code = _REFUSED
        return page
    return redirect(f"/households/{household_id}/card")


def _record(session: Session, actor: Actor, household_id: str, wanted: Wanted, basis: Basis) -> None:
    match wanted.kind:
        case "exit":
            until = read_day(wanted.until, "延续享受至") if wanted.until else None
            record_exit(session, actor, household_id, basis, continued_until=until)
        case "return":
            record_return(session, actor, household_id, basis)
        case "death":
            record_death(session, actor, wanted.member, basis, new_head_id=wanted.new_head)
        case "head":
            change_head(session, actor, household_id, wanted.new_head, basis)
        case "split":
            weights = {wanted.component: _weight(wanted.weight)} if wanted.component else {}
            split = Split(household_id, wanted.number.strip(), tuple(wanted.members), weights)
            split_household(session, actor, split, basis)
        case "merge":
            merge_households(session, actor, (household_id, wanted.other), basis)
        case _:
            raise ProblemsError([Problem("变动", "没有选变动的种类", "在页面上选一种")])


def _add(session: Session, actor: Actor, ring: KeyRing, what: tuple[str, Wanted], basis: Basis) -> None:
    household_id, wanted = what
    if wanted.labour not in set(LABOUR.values()):
        raise ProblemsError([Problem("劳动能力", "没有选劳动能力", "在页面上选一种")])
    number = typed_id_number(wanted.id_number)
    new = Joining(household_id, wanted.name.strip(), number, wanted.labour, wanted.phone.strip())
    record_birth(session, actor, ring, new, basis)


def _weight(text: str) -> int:
    if not text.isdigit():
        raise ProblemsError([Problem("份额", f"“{text}”不是整数", "写分出去的份额")])
    return int(text)
