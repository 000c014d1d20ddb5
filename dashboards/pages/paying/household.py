"""A household's sheet: how much, for what, how it was computed, and whether it was paid.

Owns the one page that a household sees. Personal data stays out but for the head's name; accounts and ID
numbers are masked by `registry.households` before they reach this page.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.filters import day
from dashboards.jobs import SHEETS, queued
from dashboards.pages.paying.statement import entries_href
from dashboards.web import Crumb, NotFoundError, check_form, reading, render, requires, services_of
from distribution.statement.household import household_statement
from distribution.statement.records import HouseholdLine, HouseholdStatement
from registry.actors import Actor, Permission
from registry.divisions import villages
from registry.households import payee_accounts
from store.periods import local_date

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Reading = Annotated[Session, Depends(reading)]
_YEARS = 5
_PERIOD = r"^20[0-9]{2}(-(0[1-9]|1[0-2]))?$"


@dataclass(frozen=True, slots=True)
class SheetLine:
    """One amount with the address of its entries."""

    shown: HouseholdLine
    href: str


@dataclass(frozen=True, slots=True)
class HouseholdView:
    """The sheet of a year."""

    sheet: HouseholdStatement
    year: str
    years: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    lines: tuple[SheetLine, ...]
    failed_fen: int

    @property
    def booked(self) -> tuple[SheetLine, ...]:
        """The lines that make up the sum."""
        return tuple(one for one in self.lines if one.shown.is_booked)

    @property
    def pending(self) -> tuple[SheetLine, ...]:
        """The lines that are still under way."""
        return tuple(one for one in self.lines if not one.shown.is_booked)


@router.post("/villages/{village_code}/household-sheets", dependencies=[Depends(check_form)])
def print_sheets(
    request: Request, actor: Reader, village_code: str, period: Annotated[str, Form(pattern=_PERIOD)]
) -> Response:
    """Queue the sheets of every household of a village as one file; its page says when it is there."""
    with services_of(request).database.reading() as session:
        if all(one.code != village_code for one in villages(session, actor)):
            raise NotFoundError(village_code)
    return queued(request, actor, SHEETS, {"village": village_code, "period": period})


@router.get("/households/{household_id}")
def show_household(
    request: Request, actor: Reader, session: Reading, household_id: str, year: str = ""
) -> HTMLResponse:
    """Show a household's year; a household outside the actor's area is not found."""
    today = local_date(services_of(request).clock())
    years = tuple(str(today.year - number) for number in range(_YEARS))
    chosen = year if year in years else years[0]
    sheet = household_statement(session, actor, household_id, chosen)
    if sheet is None:
        raise NotFoundError(household_id)
    accounts = [one for one in payee_accounts(session, actor, household_id) if one.valid_to is None]
    person = sheet.household
    facts = (
        ("户号", person.number),
        ("登记日期", day(person.registered_on)),
        ("收款账户", f"{accounts[-1].bank} {accounts[-1].account_masked}" if accounts else "未登记"),
        ("迁出日期", day(person.left_on) if person.left_on else ""),
    )
    failed = sum(one.amount_fen for one in sheet.lines if one.payout_state in {"失败", "退回"})
    view = HouseholdView(
        sheet=sheet,
        year=chosen,
        years=years,
        facts=tuple((name, value) for name, value in facts if value),
        lines=tuple(SheetLine(one, entries_href(one.entries, f"line-{one.line_no}")) for one in sheet.lines),
        failed_fen=failed,
    )
    crumbs = (Crumb("农户", f"/households?village={person.village_code}"),)
    return render(request, "paying/household.html", f"{person.name}户收益明白单", crumbs=crumbs, view=view)
