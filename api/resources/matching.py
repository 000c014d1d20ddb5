"""What the match of a month came to: results by station, differences, and the fate of every line."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session

from api.resources.settlements import MONTH, FromRecord
from dashboards.web import reading, requires
from distribution.settlement.matching.results import line_fates, match_results
from distribution.settlement.reconciliation import discrepancies
from registry.actors import Actor, Permission

router = APIRouter(tags=["对账"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
Month = Annotated[str, Query(pattern=MONTH, description="月份，例如 2026-10")]


class MatchResultOut(FromRecord):
    """A station's month from inverter to bank; energies [Wh], amounts [fen], null where not known."""

    station_id: str
    month: str
    revision: int
    state: str
    settlement_id: str | None
    inverter_wh: int | None
    completeness_ppm: int
    estimated_wh: int
    meter_wh: int | None
    meter_source: str
    billed_wh: int | None
    billed_fen: int
    received_fen: int
    loss_ppm: int
    loss_months: int
    curtailed_wh: int
    recorded_at: datetime


class DifferenceOut(FromRecord):
    """A difference [unit] with its likely cause, who looks after it, and how it was settled."""

    id: str
    station_id: str
    month: str
    kind: str
    expected: int
    found: int
    unit: str
    text: str
    cause: str
    owner: str
    due_on: date | None
    outcome: str
    reason: str
    journal: str


class LineFateOut(FromRecord):
    """What became of one line of a bill: matched, excepted, ignored or waiting, and why."""

    settlement_id: str
    station_id: str
    line_no: int
    account_number: str
    fate: str
    reason: str


@router.get("/match-results")
def list_match_results(actor: Reader, session: Reading, month: Month) -> list[MatchResultOut]:
    """Return the newest match of a month of the area's stations."""
    return [MatchResultOut.model_validate(one) for one in match_results(session, actor, month=month)]


@router.get("/differences")
def list_differences(
    actor: Reader, session: Reading, month: Month, *, open_only: bool = False
) -> list[DifferenceOut]:
    """Return the differences of a month of the area's stations, the worst first."""
    found = discrepancies(session, actor, month=month, open_only=open_only)
    return [DifferenceOut.model_validate(one) for one in found]


@router.get("/statement-lines")
def list_line_fates(actor: Reader, session: Reading, month: Month) -> list[LineFateOut]:
    """Return what became of every line of every bill of a month."""
    return [LineFateOut.model_validate(one) for one in line_fates(session, actor, month)]
