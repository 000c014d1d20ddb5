"""The books of a month: looked at on the page, taken as Excel, CSV or PDF, the same figures in each."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.month_work import chosen_month, month_choices
from dashboards.papers import Choice, Form, PapersView, PaperView, paper_file
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from distribution.exports.money_papers import MONEY_KINDS, MoneyPaper, money_paper
from distribution.exports.papers import Paper
from registry.actors import Actor, Permission
from registry.divisions import villages

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
_ADDRESS = "/money-papers"
_WORD = "账表"


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which paper a reader asks for."""

    kind: str
    month: str = ""
    village: str = ""


Asked = Annotated[_Asked, Depends()]


@router.get(_ADDRESS)
def show_papers(request: Request, actor: Reader, session: Reading, month: str = "") -> HTMLResponse:
    """Show which papers there are of a month."""
    now = services_of(request).clock()
    [single] = [one for one in MONEY_KINDS if one.name == "ledger"]
    options = [(one.code, one.name) for one in villages(session, actor)]
    view = PapersView(
        address=_ADDRESS,
        word=_WORD,
        month=chosen_month(month, now),
        months=month_choices(now),
        kinds=[one for one in MONEY_KINDS if one is not single],
        choice=Choice(single, "village", "村", options),
    )
    return render(request, "papers.html", _WORD, view=view)


@router.get(_ADDRESS + "/{kind}")
def show_paper(request: Request, actor: Reader, session: Reading, asked: Asked) -> HTMLResponse:
    """Show a paper of a month with its control totals."""
    made, month = _made(request, session, actor, asked)
    question = {"month": month} | ({"village": asked.village} if asked.village else {})
    view = PaperView(f"{_ADDRESS}/{asked.kind}", question, made)
    crumbs = (Crumb(_WORD, f"{_ADDRESS}?month={month}"),)
    return render(request, "paper.html", made.sheet.title, crumbs=crumbs, view=view)


@router.get(_ADDRESS + "/{kind}/{form}")
def download_paper(request: Request, actor: Reader, session: Reading, asked: Asked, form: Form) -> Response:
    """Hand out a paper as a file."""
    made, _month = _made(request, session, actor, asked)
    return paper_file(made, form, services_of(request).watermark)


def _made(request: Request, session: Session, actor: Actor, asked: _Asked) -> tuple[Paper, str]:
    """Return a paper and the month it is of; raises NotFoundError for what there is not."""
    month = chosen_month(asked.month, services_of(request).clock())
    try:
        return money_paper(session, actor, MoneyPaper(asked.kind, month, asked.village)), month
    except LookupError as error:
        raise NotFoundError(asked.kind) from error
