"""The month's indicators in the national form, on a page and as files.

Owns the page; the figures and their definitions are `monitoring.indicators`'.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.files import XLSX, attached
from dashboards.month_work import month_choices
from dashboards.web import NotFoundError, reading, render, requires, services_of
from documents.writing import SheetContent, write_csv, write_xlsx
from monitoring.indicators.monthly import Indicators, MonthlyIndicators, monthly_indicators
from monitoring.indicators.sheets import indicators_sheet
from registry.actors import Actor, Permission
from store.periods import Period

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class IndicatorsView:
    """The month, its choices, the sum and the table."""

    month: str
    months: tuple[str, ...]
    total: Indicators
    until: str
    sheet: SheetContent
    links: tuple[str, ...]


def _found(request: Request, session: Session, actor: Actor, month: str) -> MonthlyIndicators:
    services = services_of(request)
    if month not in month_choices(services.clock()):
        raise NotFoundError(month)
    return monthly_indicators(session, services.series, actor, Period.parse(month), services.clock())


@router.get("/indicators")
def show_indicators(request: Request, actor: Reader, session: Reading, month: str = "") -> HTMLResponse:
    """Show the indicators of a month, by default the last whole one."""
    months = month_choices(services_of(request).clock())
    chosen = month if month in months else months[1]
    found = _found(request, session, actor, chosen)
    sheet = indicators_sheet(found)
    view = IndicatorsView(
        month=chosen,
        months=months,
        total=found.total,
        until=sheet.notes[0],
        sheet=sheet,
        links=tuple(f"/stations/{row.station_id}" for row in found.rows),
    )
    return render(request, "running/indicators.html", "运维指标", view=view)


@router.get("/indicators/{month}/xlsx")
def indicators_as_xlsx(request: Request, actor: Reader, session: Reading, month: str) -> Response:
    """Hand out the table as a workbook."""
    sheet = indicators_sheet(_found(request, session, actor, month))
    content = write_xlsx([sheet], services_of(request).watermark)
    return attached(content, XLSX, f"{Period.parse(month).label}_运维指标.xlsx")


@router.get("/indicators/{month}/csv")
def indicators_as_csv(request: Request, actor: Reader, session: Reading, month: str) -> Response:
    """Hand out the table as CSV."""
    sheet = indicators_sheet(_found(request, session, actor, month))
    return attached(write_csv(sheet), "text/csv", f"{Period.parse(month).label}_运维指标.csv")
