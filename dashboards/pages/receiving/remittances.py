"""Money passed on: county, township, village, with days and limits; advances and their clearing."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.forms import REFUSED, RecordId, amount, attempt, day
from dashboards.web import check_form, reading, redirect, render, requires, services_of
from distribution.exports.settlement_sheets import COMPONENT_WORDS
from distribution.settlement.reads import Receipt, receipts, uncorrected
from distribution.settlement.receivables.advances import (
    Advance,
    AdvanceFact,
    advances,
    clear_advance,
    record_advance,
)
from distribution.settlement.receivables.remittances import (
    Arrival,
    RemittanceFact,
    record_arrival,
    record_remittance,
)
from distribution.settlement.receivables.transit import HeldMoney, Passage, held_money, passages
from distribution.types import Component
from registry.actors import Actor, Permission
from registry.divisions import division_names, villages
from registry.stations import Station, stations
from store.periods import Period, PeriodKind, local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Payer = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
Reading = Annotated[Session, Depends(reading)]
_SHOWN = 100
_DONE = {
    "remit": "拨付已登记。",
    "arrive": "到账日期已登记。",
    "advance": "垫付已登记，记为应付，不参与分配。",
    "clear": "归还已登记。",
}


@dataclass(frozen=True, slots=True)
class AdvanceLine:
    """An advance with its names, and the receipts that could pay it back."""

    advance: Advance
    village: str
    station: str
    component: str
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class RemittancesView:
    """Villages and what waits for them, money under way, remittances and advances."""

    today: date
    held: tuple[HeldMoney, ...]
    under_way: tuple[Passage, ...]
    passages: tuple[Passage, ...]
    more: int
    advances: tuple[AdvanceLine, ...]
    names: dict[str, str]
    villages: tuple[tuple[str, str], ...]
    stations: tuple[Station, ...]
    components: tuple[tuple[str, str], ...]
    may_pay: bool
    message: str
    problems: tuple[Problem, ...]

    @property
    def held_fen(self) -> int:
        """What the county holds for villages [fen]."""
        return sum(max(0, one.held_fen) for one in self.held)

    @property
    def in_transit_fen(self) -> int:
        """What is under way [fen]."""
        return sum(one.in_transit_fen for one in self.held)

    @property
    def late_count(self) -> int:
        """How many villages or remittances are over their limit."""
        late = sum(1 for one in self.under_way if one.is_late)
        return late + sum(1 for one in self.held if one.is_late)


def _page(
    request: Request, session: Session, actor: Actor, told: tuple[str, tuple[Problem, ...]]
) -> HTMLResponse:
    today = local_date(services_of(request).clock())
    sent = passages(session, actor, today)
    names = division_names(session)
    places = stations(session, actor)
    view = RemittancesView(
        today=today,
        held=held_money(session, actor, today),
        under_way=tuple(one for one in sent if one.village_on is None),
        passages=sent[:_SHOWN],
        more=max(0, len(sent) - _SHOWN),
        advances=_advances(session, actor, names, {one.id: one.name for one in places}),
        names=names,
        villages=tuple((one.code, one.name) for one in villages(session, actor, on=today)),
        stations=places,
        components=tuple((kind.value, word) for kind, word in COMPONENT_WORDS.items()),
        may_pay=actor.may(Permission.IMPORT_SETTLEMENT),
        message=told[0],
        problems=told[1],
    )
    return render(request, "receiving/remittances.html", "拨付与垫付", view=view)


def _advances(
    session: Session, actor: Actor, names: dict[str, str], places: dict[str, str]
) -> tuple[AdvanceLine, ...]:
    return tuple(
        AdvanceLine(
            one,
            names.get(one.fact.village_code, one.fact.village_code),
            places.get(one.fact.station_id, one.fact.station_id),
            COMPONENT_WORDS[one.fact.component],
            _fitting(session, actor, one) if one.open_fen else (),
        )
        for one in advances(session, actor)
    )


def _fitting(session: Session, actor: Actor, one: Advance) -> tuple[Receipt, ...]:
    every = uncorrected(receipts(session, actor, station_id=one.fact.station_id))
    used = {part.receipt_id for part in one.clearings}
    return tuple(
        receipt
        for receipt in every
        if receipt.component is one.fact.component
        and receipt.id not in used
        and one.fact.village_code in dict(receipt.shares)
    )


@router.get("/remittances")
def show_remittances(request: Request, actor: Reader, session: Reading, done: str = "") -> HTMLResponse:
    """Show what waits for the villages, what is under way, and what was advanced."""
    return _page(request, session, actor, (_DONE.get(done, ""), ()))


def _answer(request: Request, actor: Actor, done: str, problems: tuple[Problem, ...]) -> Response:
    if not problems:
        return redirect("/remittances", done=done)
    with services_of(request).database.reading() as session:
        response = _page(request, session, actor, ("", problems))
    response.status_code = REFUSED
    return response


@dataclass(frozen=True, slots=True)
class _Sent:
    """The form of a remittance."""

    village: Annotated[str, Form(pattern=r"^\d{12}$")]
    yuan: Annotated[str, Form(max_length=30)]
    on: Annotated[str, Form(max_length=10)]
    reference: Annotated[str, Form(max_length=60)]
    by_township: Annotated[str, Form(max_length=1)] = ""


@router.post("/remittances", dependencies=[Depends(check_form)])
def remit(request: Request, actor: Payer, sent: Annotated[_Sent, Depends()]) -> Response:
    """Record money passed on to a village."""
    services = services_of(request)

    def act(session: Session) -> None:
        on = day(sent.on, "拨付日期")
        if on > local_date(services.clock()):
            raise ProblemsError([Problem("拨付日期", f"{on} 还没有到", "请填写实际拨付日期")])
        fen = amount(sent.yuan, "拨付金额")
        fact = RemittanceFact(sent.village, fen, on, sent.reference.strip(), bool(sent.by_township))
        record_remittance(session, actor, fact, services.clock())

    return _answer(request, actor, "remit", attempt(services, act))


@router.post("/remittances/{remittance_id}/arrival", dependencies=[Depends(check_form)])
def arrive(
    request: Request,
    actor: Payer,
    remittance_id: RecordId,
    stage: Annotated[str, Form(pattern="^(township|village)$")],
    on: Annotated[str, Form(max_length=10)],
) -> Response:
    """Record that money came to the township, or to the village."""
    services = services_of(request)

    def act(session: Session) -> None:
        record_arrival(session, actor, Arrival(remittance_id, stage, day(on, "到账日期")), services.clock())

    return _answer(request, actor, "arrive", attempt(services, act))


@dataclass(frozen=True, slots=True)
class _Advanced:
    """The form of an advance."""

    village: Annotated[str, Form(pattern=r"^\d{12}$")]
    station: Annotated[str, Form(max_length=60)]
    component: Annotated[Component, Form()]
    month: Annotated[str, Form(max_length=7)]
    yuan: Annotated[str, Form(max_length=30)]
    on: Annotated[str, Form(max_length=10)]
    advancer: Annotated[str, Form(max_length=60)]
    document: Annotated[str, Form(max_length=120)]
    reference: Annotated[str, Form(max_length=60)]


@router.post("/advances", dependencies=[Depends(check_form)])
def advance(request: Request, actor: Payer, said: Annotated[_Advanced, Depends()]) -> Response:
    """Record an advance."""
    services = services_of(request)

    def act(session: Session) -> None:
        fact = AdvanceFact(
            said.village,
            said.station,
            said.component,
            _month(said.month),
            amount(said.yuan, "垫付金额"),
            day(said.on, "垫付日期"),
            said.advancer,
            said.document,
            said.reference.strip(),
        )
        record_advance(session, actor, fact, services.clock())

    return _answer(request, actor, "advance", attempt(services, act))


def _month(text: str) -> str:
    try:
        period = Period.parse(text)
    except ValueError as error:
        raise ProblemsError([Problem("所属月份", f"“{text}”不是月份", "请写成 2026-10")]) from error
    if period.kind is not PeriodKind.MONTH:
        raise ProblemsError([Problem("所属月份", f"“{text}”不是月份", "请写成 2026-10")])
    return str(period)


@router.post("/advances/{advance_id}/clear", dependencies=[Depends(check_form)])
def clear(
    request: Request,
    actor: Payer,
    advance_id: RecordId,
    receipt: Annotated[str, Form(pattern=r"^receipt:[0-9a-f]{32}$")],
    yuan: Annotated[str, Form(max_length=30)],
) -> Response:
    """Clear part of an advance by a receipt."""
    services = services_of(request)

    def act(session: Session) -> None:
        clear_advance(session, actor, (advance_id, receipt), amount(yuan, "归还金额"), services.clock())

    return _answer(request, actor, "clear", attempt(services, act))
