"""The books of a month: looked at on the page, taken as Excel, CSV or PDF, the same figures in each."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import PDF, XLSX, attached
from dashboards.month_work import chosen_month, month_choices
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from distribution.exports.money_papers import MONEY_KINDS, MoneyPaper, money_paper
from distribution.exports.settlement_papers import Paper, PaperKind, paper_csv, paper_pdf, paper_xlsx
from registry.actors import Actor, Permission
from registry.divisions import Division, villages

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
Form = Literal["xlsx", "csv", "pdf"]


@dataclass(frozen=True, slots=True)
class PapersView:
    """The kinds of paper of a month, and the villages of which there is a sub-ledger each."""

    month: str
    months: tuple[str, ...]
    kinds: tuple[PaperKind, ...]
    villages: tuple[Division, ...]


@dataclass(frozen=True, slots=True)
class PaperView:
    """One paper as it is written."""

    kind: str
    month: str
    village_code: str
    paper: Paper


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which paper a reader asks for."""

    kind: str
    month: str = ""
    village: str = ""


Asked = Annotated[_Asked, Depends()]


@router.get("/money-papers")
def show_papers(request: Request, actor: Reader, session: Reading, month: str = "") -> HTMLResponse:
    """Show which books there are of a month."""
    now = services_of(request).clock()
    view = PapersView(
        chosen_month(month, now), month_choices(now), MONEY_KINDS, tuple(villages(session, actor))
    )
    return render(request, "paying/papers.html", "账表", view=view)


@router.get("/money-papers/{kind}")  # noqa: FAST003, what is asked for has it
def show_paper(request: Request, actor: Reader, session: Reading, asked: Asked) -> HTMLResponse:
    """Show a book of a month with its control totals."""
    made, chosen = _made(request, session, actor, asked)
    view = PaperView(asked.kind, chosen, asked.village, made)
    crumbs = (Crumb("账表", f"/money-papers?month={chosen}"),)
    return render(request, "paying/paper.html", made.sheet.title, crumbs=crumbs, view=view)


@router.get("/money-papers/{kind}/{form}")  # noqa: FAST003, what is asked for has it
def download_paper(request: Request, actor: Reader, session: Reading, asked: Asked, form: Form) -> Response:
    """Hand out a book as a file with a Chinese name."""
    made, _chosen = _made(request, session, actor, asked)
    watermark = services_of(request).watermark
    if form == "csv":
        return attached(paper_csv(made), "text/csv; charset=utf-8", f"{made.file_stem}.csv")
    if form == "xlsx":
        return attached(paper_xlsx(made, watermark), XLSX, f"{made.file_stem}.xlsx")
    return attached(paper_pdf(made, watermark), PDF, f"{made.file_stem}.pdf")


def _made(request: Request, session: Session, actor: Actor, asked: _Asked) -> tuple[Paper, str]:
    """Return a paper and the month it is of; raises NotFoundError for what there is not."""
    chosen = chosen_month(asked.month, services_of(request).clock())
    try:
        return money_paper(session, actor, MoneyPaper(asked.kind, chosen, asked.village)), chosen
    except LookupError as error:
        raise NotFoundError(asked.kind) from error
