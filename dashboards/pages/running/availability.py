"""Availability over any days, at any level, with the light rule that was used printed beside it.

Owns the page and its workbook; the figures are `monitoring.reports.availability`'s.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from dashboards.files import XLSX, attached
from dashboards.moments import Span, asked_span
from dashboards.web import Services, reading, render, requires, services_of
from documents.writing import SheetContent, write_xlsx
from monitoring.reports.availability import (
    LEVEL_LABELS,
    AvailabilityTable,
    availability_sheet,
    availability_table,
    range_words,
)
from monitoring.sky.rules import AUTO, Basis, LightRule
from monitoring.uptime.evaluation import Question
from monitoring.uptime.results import Level
from registry.actors import Actor, Permission
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_DAYS = 30
_RULES = tuple(LightRule(basis) for basis in (Basis.AUTO, Basis.IRRADIANCE, Basis.EXPECTED, Basis.ELEVATION))


class Asked(BaseModel):
    """What the address asks for: the days, the level, the light rule."""

    first: str = Field("", alias="from", max_length=10)
    last: str = Field("", alias="to", max_length=10)
    level: str = Field("station", max_length=10)
    rule: str = Field(str(AUTO), max_length=40)


@dataclass(frozen=True, slots=True)
class AvailabilityView:
    """The choices in force, and the table; `problems` stand where it could not be made."""

    span: Span
    level: str
    levels: tuple[tuple[str, str], ...]
    rule: str
    rules: tuple[tuple[str, str], ...]
    equipment: str
    all_causes: str
    data: float | None
    sheet: SheetContent | None
    links: tuple[str, ...]
    download: str
    problems: tuple[Problem, ...] = ()


def _question(asked: Asked, services: Services) -> tuple[Span, Question, Level]:
    """Read what was asked for; raises ProblemsError."""
    span = asked_span(asked.first, asked.last, services.clock(), _DAYS)
    level = Level(asked.level) if asked.level in set(Level) else Level.STATION
    rule = LightRule.parse(asked.rule or str(AUTO))
    return span, Question(span.start_utc, span.end_utc, rule), level


def _table(
    request: Request, session: Session, actor: Actor, asked: Asked
) -> tuple[Span, AvailabilityTable, SheetContent]:
    services = services_of(request)
    span, question, level = _question(asked, services)
    table = availability_table(session, services.series, actor, (question, level), services.clock())
    return span, table, availability_sheet(table, span.label)


def _links(table: AvailabilityTable, span: Span) -> tuple[str, ...]:
    days = f"from={span.first}&to={span.last}"
    if table.level is Level.STATION:
        return tuple(f"/stations/{row.key}/uptime?{days}" for row in table.rows)
    return ()


@router.get("/availability")
def show_availability(
    request: Request, actor: Reader, session: Reading, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show the availability of the actor's stations."""
    try:
        span, table, sheet = _table(request, session, actor, asked)
    except ProblemsError as wrong:
        default = asked_span("", "", services_of(request).clock(), _DAYS)
        view = _view(asked, default, None, None, wrong.problems)
        response = render(request, "running/availability.html", "可用率", view=view)
        response.status_code = 422
        return response
    return render(request, "running/availability.html", "可用率", view=_view(asked, span, table, sheet))


def _view(
    asked: Asked,
    span: Span,
    table: AvailabilityTable | None,
    sheet: SheetContent | None,
    problems: tuple[Problem, ...] = (),
) -> AvailabilityView:
    result = table.total.availability if table else None
    return AvailabilityView(
        span=span,
        level=asked.level,
        levels=tuple((str(level), label) for level, label in LEVEL_LABELS.items()),
        rule=asked.rule,
        rules=tuple((str(rule), rule.label) for rule in _RULES),
        equipment=range_words(result.equipment) if result else "",
        all_causes=range_words(result.all_causes) if result else "",
        data=result.data if result else None,
        sheet=sheet,
        links=_links(table, span) if table else (),
        download=f"/availability/xlsx?from={span.first}&to={span.last}&level={asked.level}&rule={asked.rule}",
        problems=problems,
    )


@router.get("/availability/xlsx")
def availability_as_xlsx(
    request: Request, actor: Reader, session: Reading, asked: Annotated[Asked, Query()]
) -> Response:
    """Hand out the same table as a workbook."""
    span, _found, sheet = _table(request, session, actor, asked)
    name = f"{span.label}_可用率.xlsx"
    return attached(write_xlsx([sheet], services_of(request).watermark), XLSX, name)
