"""The monthly uptime report (运行月报): the same figures on the page, in the workbook and on paper.

Owns the page and its downloads; the report is `monitoring.reports.monthly`'s.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.files import XLSX, attached
from dashboards.month_work import month_choices
from dashboards.web import NotFoundError, reading, render, requires, services_of
from monitoring.reports.monthly import UptimeReport, report_pdf, report_xlsx, uptime_report
from registry.actors import Actor, Permission
from registry.divisions import division_name
from store.periods import Period

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class UptimeReportView:
    """The month, its choices and the report."""

    month: str
    months: tuple[str, ...]
    report: UptimeReport


def _report(request: Request, session: Session, actor: Actor, month: str) -> UptimeReport:
    services = services_of(request)
    if month not in month_choices(services.clock()):
        raise NotFoundError(month)
    place = actor.company or (division_name(session, actor.area) if actor.area else "")
    asked = Period.parse(month), place
    return uptime_report(session, services.series, actor, asked, services.clock())


@router.get("/uptime-report")
def show_report(request: Request, actor: Reader, session: Reading, month: str = "") -> HTMLResponse:
    """Show the report of a month, by default the last whole one."""
    months = month_choices(services_of(request).clock())
    chosen = month if month in months else months[1]
    view = UptimeReportView(chosen, months, _report(request, session, actor, chosen))
    return render(request, "running/uptime_report.html", "运行月报", view=view)


@router.get("/uptime-report/{month}/xlsx")
def report_as_xlsx(request: Request, actor: Reader, session: Reading, month: str) -> Response:
    """Hand out the report as a workbook."""
    report = _report(request, session, actor, month)
    return attached(report_xlsx(report, services_of(request).watermark), XLSX, f"{report.title}.xlsx")


@router.get("/uptime-report/{month}/pdf")
def report_as_pdf(request: Request, actor: Reader, session: Reading, month: str) -> Response:
    """Hand out the report to be printed."""
    report = _report(request, session, actor, month)
    content = report_pdf(report, services_of(request).watermark)
    return attached(content, "application/pdf", f"{report.title}.pdf")
