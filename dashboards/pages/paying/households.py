"""The list of households of a village.

Owns the search by name and number. What a household got is on its own page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.filters import day
from dashboards.paging import Pager, paged
from dashboards.web import reading, render, requires
from registry.actors import Actor, Permission
from registry.divisions import Division, villages
from registry.households import Household, households

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Reading = Annotated[Session, Depends(reading)]


class Asked(BaseModel):
    """What the address asks for: a village code, a part of a name or number, a page."""

    village: str = ""
    q: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class HouseholdRow:
    """One household of the list."""

    id: str
    number: str
    group: str
    name: str
    registered_on: date
    status: str


@dataclass(frozen=True, slots=True)
class HouseholdsView:
    """The villages to choose from, and one page of the chosen village's households."""

    villages: Sequence[Division]
    village: str
    wanted: str
    rows: Sequence[HouseholdRow]
    pager: Pager


@router.get("/households")
def show_households(
    request: Request, actor: Reader, session: Reading, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show one village's households, or those whose name or number holds the wanted text."""
    choices = villages(session, actor)
    codes = {one.code for one in choices}
    chosen = asked.village if asked.village in codes else next(iter(sorted(codes)), "")
    wanted = asked.q.strip()
    found = [
        _row(one)
        for one in (households(session, actor, chosen) if chosen else ())
        if wanted in one.name or wanted in one.number
    ]
    rows, pager = paged(found, asked.page, "/households", {"village": chosen, "q": wanted})
    return render(
        request, "paying/households.html", "农户", view=HouseholdsView(choices, chosen, wanted, rows, pager)
    )


def _row(one: Household) -> HouseholdRow:
    status = f"{day(one.left_on)}迁出" if one.left_on else "在册"
    return HouseholdRow(one.id, one.number, one.village_group, one.name, one.registered_on, status)


def household_labels(session: Session, actor: Actor) -> dict[str, str]:
    """Return name and number of every household of the actor's area by id, for lists of amounts."""
    return {one.id: f"{one.name} {one.number}" for one in households(session, actor)}
