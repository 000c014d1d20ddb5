"""What villages spend out of their purses: recorded on a phone with a photo, within a limit, corrected."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.forms import REFUSED, RecordId, amount, attempt, day, photo
from dashboards.web import check_form, reading, redirect, render, requires, services_of
from distribution.settlement.spending.spendings import (
    USES,
    Spending,
    SpendingFact,
    add_photo,
    limit_on,
    photos,
    spendings,
)
from distribution.spending import Purse, purses, spend, take_back_spending
from registry.actors import Actor, Permission
from registry.divisions import division_names
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Spender = Annotated[Actor, Depends(requires(Permission.RECORD_SPENDING))]
Reading = Annotated[Session, Depends(reading)]
_SHOWN = 100
_DONE = {"spend": "支出已登记并记账。", "correct": "已冲正，原记录保留。"}


@dataclass(frozen=True, slots=True)
class SpendingLine:
    """A spending with its village's name, its photos, and whether it was taken back."""

    spending: Spending
    village: str
    photos: tuple[str, ...]
    taken_back: bool


@dataclass(frozen=True, slots=True)
class SpendingsView:
    """What the purses hold, what was spent, and the form for a new spending."""

    purses: tuple[Purse, ...]
    names: dict[str, str]
    lines: tuple[SpendingLine, ...]
    uses: dict[str, str]
    limit_yuan: str
    limit_source: str
    today: date
    may_spend: bool
    message: str
    problems: tuple[Problem, ...]


def _page(
    request: Request, session: Session, actor: Actor, told: tuple[str, tuple[Problem, ...]]
) -> HTMLResponse:
    today = local_date(services_of(request).clock())
    every = spendings(session, actor)
    taken_back = {one.corrects for one in every if one.corrects}
    names, kept = division_names(session), photos(session, actor)
    limit = limit_on(session, actor.area, today)
    view = SpendingsView(
        purses=purses(session, actor, today),
        names=names,
        lines=tuple(
            SpendingLine(
                one,
                names.get(one.fact.village_code, one.fact.village_code),
                kept.get(one.id, ()),
                one.id in taken_back,
            )
            for one in every[:_SHOWN]
        ),
        uses=USES,
        limit_yuan=f"{limit.value:,.2f}",
        limit_source=limit.source,
        today=today,
        may_spend=actor.may(Permission.RECORD_SPENDING),
        message=told[0],
        problems=told[1],
    )
    return render(request, "receiving/spendings.html", "村级支出", view=view)


@router.get("/spendings")
def show_spendings(request: Request, actor: Reader, session: Reading, done: str = "") -> HTMLResponse:
    """Show what the area's villages hold in their purses and have spent."""
    return _page(request, session, actor, (_DONE.get(done, ""), ()))


def _answer(request: Request, actor: Actor, done: str, problems: tuple[Problem, ...]) -> Response:
    if not problems:
        return redirect("/spendings", done=done)
    with services_of(request).database.reading() as session:
        response = _page(request, session, actor, ("", problems))
    response.status_code = REFUSED
    return response


@dataclass(frozen=True, slots=True)
class _Said:
    """The form of a spending; the purse is `village|account|holder`."""

    purse: Annotated[str, Form(max_length=120)]
    use: Annotated[str, Form(max_length=20)]
    yuan: Annotated[str, Form(max_length=30)]
    on: Annotated[str, Form(max_length=10)]
    text: Annotated[str, Form(max_length=120)] = ""
    payee: Annotated[str, Form(max_length=60)] = ""
    voucher: Annotated[str, Form(max_length=120)] = ""
    decision: Annotated[str, Form(max_length=120)] = ""
    picture: Annotated[UploadFile | None, File()] = None


@router.post("/spendings", dependencies=[Depends(check_form)])
def record(request: Request, actor: Spender, said: Annotated[_Said, Depends()]) -> Response:
    """Record a payment out of a purse, and post it."""
    services = services_of(request)

    def act(session: Session) -> None:
        kept = photo(services, said.picture)
        village, _, rest = said.purse.partition("|")
        account, _, holder = rest.partition("|")
        if not village.isdigit():
            raise ProblemsError([Problem("钱袋", "没有选择钱袋", "请从列表中选择")])
        fact = SpendingFact(
            *(village, account, holder, said.use, said.text.strip(), said.payee.strip()),
            amount(said.yuan, "支出金额"),
            day(said.on, "支出日期"),
            said.voucher.strip() or kept,
            said.decision.strip(),
        )
        spending_id = spend(session, actor, fact, services.clock())
        if kept:
            add_photo(session, actor, (spending_id, village), kept, services.clock())

    return _answer(request, actor, "spend", attempt(services, act))


@router.post("/spendings/{spending_id}/correct", dependencies=[Depends(check_form)])
def correct(
    request: Request,
    actor: Spender,
    spending_id: RecordId,
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Take a spending back by a negative row and a reversal."""
    services = services_of(request)

    def act(session: Session) -> None:
        take_back_spending(session, actor, spending_id, reason, services.clock())

    return _answer(request, actor, "correct", attempt(services, act))
