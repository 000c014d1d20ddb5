"""A household's card (户卡): people, rights, work, events and money, with numbers masked.

Owns the page, its Excel file, and the opening of one whole ID number against a written reason. What
happens to a household is recorded on `dashboards.pages.registry.lifecycle`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import XLSX, attached
from dashboards.pages.registry.books import Asked, chosen_year, known_instant
from dashboards.pages.registry.tables import ShownTable, shown_table
from dashboards.web import (
    Crumb,
    NotFoundError,
    check_form,
    reading,
    render,
    requires,
    services_of,
)
from distribution.books.sheets import card_sheets, card_xlsx
from distribution.books.words import component_words
from distribution.statement.household import household_statement
from distribution.statement.records import HouseholdStatement
from registry.actors import Actor, Permission
from registry.roll.cards import HouseholdCard, household_card, open_id_number
from registry.roll.trail import TrailStep, household_trail
from registry.secrets import open_key_ring
from store.periods import local_date
from store.problem import ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Opener = Annotated[Actor, Depends(requires(Permission.UNMASK_PERSONAL_DATA))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409


@dataclass(frozen=True, slots=True)
class CardView:
    """The card of a year, what was opened, and who looked or changed before."""

    card: HouseholdCard
    statement: HouseholdStatement
    tables: tuple[ShownTable, ...]
    year: str
    years: tuple[str, ...]
    known: str
    trail: tuple[TrailStep, ...]
    may_open: bool
    may_edit: bool
    opened: tuple[str, str] = ("", "")
    message: str = ""
    tone: str = "bad"


def found_card(
    request: Request, session: Session, actor: Actor, household_id: str, asked: Asked
) -> tuple[HouseholdCard, HouseholdStatement]:
    """Return a household's card and money of the asked year; raises NotFoundError outside the area."""
    services = services_of(request)
    year, _ = chosen_year(asked.year, services.clock())
    ring = open_key_ring(services.data_dir)
    card = household_card(session, actor, ring, household_id, at=known_instant(asked.known))
    money = household_statement(session, actor, household_id, year)
    if card is None or money is None:
        raise NotFoundError(household_id)
    return card, money


def words_of(request: Request, session: Session, card: HouseholdCard) -> Mapping[str, str]:
    """Return what the components that a household takes part in are called."""
    today = local_date(services_of(request).clock())
    components = [one.component for one in card.enrolments]
    return component_words(session, card.household.village_code, today, components)


def card_page(
    request: Request,
    session: Session,
    actor: Actor,
    which: tuple[str, Asked],
    said: tuple[str, tuple[str, str]] = ("", ("", "")),
) -> HTMLResponse:
    """Return the page of a household's card, with what went wrong or was opened."""
    household_id, asked = which
    card, money = found_card(request, session, actor, household_id, asked)
    year, years = chosen_year(asked.year, services_of(request).clock())
    view = CardView(
        card,
        money,
        tuple(shown_table(one) for one in card_sheets(card, money, words_of(request, session, card))),
        year,
        years,
        asked.known,
        household_trail(session, actor, household_id, [one.id for one in card.changes]),
        actor.may(Permission.UNMASK_PERSONAL_DATA),
        actor.may(Permission.EDIT_REGISTRY),
        said[1],
        said[0],
    )
    crumbs = (Crumb("村册", f"/books/{card.household.village_code}?year={year}"),)
    title = f"{card.household.name}户卡"
    return render(request, "registry/card.html", title, crumbs=crumbs, view=view)


@router.get("/households/{household_id}/card")
def show_card(
    request: Request, actor: Reader, session: Reading, household_id: str, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show a household's card as known now, or on a day."""
    return card_page(request, session, actor, (household_id, asked))


@router.get("/households/{household_id}/card/xlsx")
def card_as_xlsx(
    request: Request, actor: Reader, session: Reading, household_id: str, asked: Annotated[Asked, Query()]
) -> Response:
    """Hand out a household's card as a workbook, masked as the page."""
    card, money = found_card(request, session, actor, household_id, asked)
    name = f"{money.village_name}_{card.household.number}_{card.household.name}户卡_{money.period}年.xlsx"
    return attached(
        card_xlsx(card, money, words_of(request, session, card), services_of(request).watermark), XLSX, name
    )


@router.post("/households/{household_id}/open-number", dependencies=[Depends(check_form)])
def open_number(
    request: Request,
    actor: Opener,
    household_id: str,
    member: Annotated[str, Form(max_length=64)] = "",
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Show one whole ID number, once, against a written reason; nothing is kept of it but the audit."""
    services = services_of(request)
    now: datetime = services.clock()
    opened, message = ("", ""), ""
    try:
        with services.database.transaction() as session:
            ring = open_key_ring(services.data_dir)
            opened = (member, open_id_number(session, actor, ring, member, (reason, now)))
    except ProblemsError as error:
        message = str(error)
    except LookupError as error:
        raise NotFoundError(member) from error
    with services.database.reading() as session:
        page = card_page(request, session, actor, (household_id, Asked()), (message, opened))
    page.status_code = _REFUSED if message else page.status_code
    return page
