"""Statements of a village and of a household, from the ledger."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from sqlalchemy.orm import Session

from api.resources.settlements import MONTH, FromRecord
from dashboards.web import NotFoundError, reading, requires
from distribution.statement.household import household_statement
from distribution.statement.village import village_statement
from registry.actors import Actor, Permission

router = APIRouter(prefix="/statements", tags=["明细"])
MoneyReader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
PeopleReader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Reading = Annotated[Session, Depends(reading)]
Month = Annotated[str, Path(pattern=MONTH, description="月份，例如 2026-10")]


class FigureOut(FromRecord):
    """An amount [fen] with the journal entries (`book/seq`) that it is the sum of."""

    label: str
    amount_fen: int
    entries: list[str]
    clause: str


class StatementLineOut(FromRecord):
    """One line of a village's list [fen]; the household is named by its id."""

    line_no: int
    purse: str
    item: str
    household_id: str
    amount_fen: int
    basis: str
    clause: str
    entries: list[str]
    payout_state: str


class FurtherRunOut(FromRecord):
    """A top-up or correction of the month [fen]; the lines of a correction are differences."""

    kind_name: str
    is_booked: bool
    amount_fen: int
    lines: list[StatementLineOut]
    entries: list[str]


class VillageStatementOut(FromRecord):
    """A village's month: income - deductions + carried in = distributable = sum of lines."""

    village_code: str
    village_name: str
    period: str
    is_booked: bool
    plan_title: str
    income: list[FigureOut]
    deductions: list[FigureOut]
    carried_in: FigureOut | None
    distributable: FigureOut
    purses: list[FigureOut]
    lines: list[StatementLineOut]
    total_fen: int
    total_uppercase: str
    difference_fen: int = Field(description="0 unless something is wrong")
    receivables: list[FigureOut]
    exported_energy_wh: int | None
    fingerprint: str
    further: list[FurtherRunOut] = Field(description="top-ups and corrections; not in the total")
    recoverable_fen: int = Field(description="what the village's households were overpaid and owe today")


class HouseholdLineOut(FromRecord):
    """One amount of a household [fen], with every step of how it came about."""

    period: str
    run_id: str
    line_no: int
    item: str
    amount_fen: int
    steps: list[str]
    clause: str
    entries: list[str]
    is_booked: bool
    payout_state: str


class HouseholdStatementOut(FromRecord):
    """A household's sheet for a month or a year [fen]: total = paid + owed + netted - overpaid."""

    village_name: str
    period: str
    lines: list[HouseholdLineOut]
    total_fen: int
    total_uppercase: str
    paid_fen: int
    owed_fen: int
    pending_fen: int = Field(description="sum of the lines that are not booked yet; not in the total")
    overpaid_fen: int = Field(description="what corrections took off the lines of the span")
    netted_fen: int = Field(description="what runs of the span kept back against overpayments")
    recoverable_fen: int = Field(description="what the household owes today")


@router.get("/villages/{village_code}/{month}")
def show_village(
    village_code: str, month: Month, actor: MoneyReader, session: Reading
) -> VillageStatementOut:
    """Return a village's statement of a month."""
    found = village_statement(session, actor, village_code, month)
    if found is None:
        raise NotFoundError(village_code)
    return VillageStatementOut.model_validate(found)


@router.get("/households/{household_id}/{period}")
def show_household(
    household_id: str,
    period: Annotated[str, Path(pattern=r"^20[0-9]{2}(-(0[1-9]|1[0-2]))?$", description="2026 或 2026-10")],
    actor: PeopleReader,
    session: Reading,
) -> HouseholdStatementOut:
    """Return a household's sheet of a month or a year, without its name."""
    found = household_statement(session, actor, household_id, period)
    if found is None:
        raise NotFoundError(household_id)
    return HouseholdStatementOut.model_validate(found)
