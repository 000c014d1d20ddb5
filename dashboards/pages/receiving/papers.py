"""The papers of a month: looked at on the page, taken as Excel, CSV or PDF, the same figures in each."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import PDF, XLSX, attached
from dashboards.month_work import chosen_month, month_choices
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from distribution.exports.settlement_papers import (
    KIND_NAMES,
    KINDS,
    Paper,
    PaperKind,
    Wanted,
    paper,
    paper_csv,
    paper_pdf,
    paper_xlsx,
)
from registry.actors import Actor, Permission
from registry.stations import Station, stations
from store.periods import local_date

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
Form = Literal["xlsx", "csv", "pdf"]


@dataclass(frozen=True, slots=True)
class PapersView:
    """The kinds of paper of a month, and the stations of which there is one each."""

    month: str
    months: tuple[str, ...]
    kinds: tuple[PaperKind, ...]
    stations: tuple[Station, ...]


@dataclass(frozen=True, slots=True)
class PaperView:
    """One paper as it is written."""

    kind: PaperKind
    month: str
    months: tuple[str, ...]
    station_id: str
    paper: Paper


@router.get("/settlement-papers")
def show_papers(request: Request, actor: Reader, session: Reading, month: str = "") -> HTMLResponse:
    """Show which papers there are of a month."""
    now = services_of(request).clock()
    view = PapersView(chosen_month(month, now), month_choices(now), KINDS, stations(session, actor))
    return render(request, "receiving/papers.html", "对账文件", view=view)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which paper a reader asks for."""

    kind: str
    month: str = ""
    station: str = ""


Asked = Annotated[_Asked, Depends()]


def _made(request: Request, session: Session, actor: Actor, asked: _Asked) -> tuple[Paper, str]:
    """Return a paper and the month it is of."""
    now = services_of(request).clock()
    kind, station_id = asked.kind, asked.station
    chosen = chosen_month(asked.month, now)
    if kind not in KIND_NAMES:
        raise NotFoundError(kind)
    try:
        return paper(session, actor, Wanted(kind, chosen, local_date(now), station_id)), chosen
    except LookupError as error:
        raise NotFoundError(station_id) from error


@router.get("/settlement-papers/{kind}")  # noqa: FAST003, what is asked for has it
def show_paper(request: Request, actor: Reader, session: Reading, asked: Asked) -> HTMLResponse:
    """Show a paper of a month with its control totals."""
    made, chosen = _made(request, session, actor, asked)
    now = services_of(request).clock()
    named = next(one for one in KINDS if one.name == asked.kind)
    view = PaperView(named, chosen, month_choices(now), asked.station, made)
    crumbs = (Crumb("对账文件", f"/settlement-papers?month={chosen}"),)
    return render(request, "receiving/paper.html", made.sheet.title, crumbs=crumbs, view=view)


@router.get("/settlement-papers/{kind}/{form}")  # noqa: FAST003, what is asked for has it
def download_paper(request: Request, actor: Reader, session: Reading, asked: Asked, form: Form) -> Response:
    """Hand out a paper as a file with a Chinese name."""
    made, _chosen = _made(request, session, actor, asked)
    watermark = services_of(request).watermark
    if form == "csv":
        return attached(paper_csv(made), "text/csv; charset=utf-8", f"{made.file_stem}.csv")
    if form == "xlsx":
        return attached(paper_xlsx(made, watermark), XLSX, f"{made.file_stem}.xlsx")
    return attached(paper_pdf(made, watermark), PDF, f"{made.file_stem}.pdf")
