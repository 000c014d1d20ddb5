"""Costs of the month with their vouchers and photos: recorded, corrected, looked at."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import ATTACHMENTS
from dashboards.forms import REFUSED, RecordId, Sha256, amount, attempt, day, photo
from dashboards.month_work import chosen_month, month_choices
from dashboards.web import NotFoundError, check_form, reading, redirect, render, requires, services_of
from distribution.settlement.reads import Cost, costs
from distribution.settlement.spending.costs import COST_KINDS, CostFact, correct_cost, record_cost
from distribution.settlement.spending.spendings import add_photo, photos
from documents.attachments import media_type, read_attachment
from registry.actors import Actor, Permission
from registry.divisions import division_names, villages
from registry.stations import Station, stations
from store.periods import local_date
from store.problem import Problem

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Recorder = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
Reading = Annotated[Session, Depends(reading)]
_DONE = {"cost": "费用已登记。", "correct": "已冲正，原记录保留。"}


@dataclass(frozen=True, slots=True)
class CostLine:
    """A cost with its village's name, its kind in Chinese, its photos, and whether it was taken back."""

    cost: Cost
    village: str
    kind: str
    photos: tuple[str, ...]
    taken_back: bool


@dataclass(frozen=True, slots=True)
class CostsView:
    """The costs of a month, and the form for a new one."""

    month: str
    months: tuple[str, ...]
    lines: tuple[CostLine, ...]
    kinds: dict[str, str]
    villages: tuple[tuple[str, str], ...]
    stations: tuple[Station, ...]
    today: date
    may_record: bool
    message: str
    problems: tuple[Problem, ...]

    @property
    def total_fen(self) -> int:
        """The sum of the month's costs [fen], corrections included."""
        return sum(line.cost.amount_fen for line in self.lines)


def _page(
    request: Request, session: Session, actor: Actor, month: str, told: tuple[str, tuple[Problem, ...]]
) -> HTMLResponse:
    now = services_of(request).clock()
    chosen = chosen_month(month, now)
    every = costs(session, actor, month=chosen)
    taken_back = {one.corrects for one in every if one.corrects}
    names, kept = division_names(session), photos(session, actor)
    view = CostsView(
        month=chosen,
        months=month_choices(now),
        lines=tuple(
            CostLine(
                one,
                names.get(one.village_code, one.village_code),
                COST_KINDS.get(one.kind, one.kind),
                kept.get(one.id, ()),
                one.id in taken_back,
            )
            for one in every
        ),
        kinds=COST_KINDS,
        villages=tuple((one.code, one.name) for one in villages(session, actor, on=local_date(now))),
        stations=stations(session, actor),
        today=local_date(now),
        may_record=actor.may(Permission.IMPORT_SETTLEMENT),
        message=told[0],
        problems=told[1],
    )
    return render(request, "receiving/costs.html", "费用", view=view)


@router.get("/costs")
def show_costs(
    request: Request, actor: Reader, session: Reading, month: str = "", done: str = ""
) -> HTMLResponse:
    """Show the costs of a month of the area's villages."""
    return _page(request, session, actor, month, (_DONE.get(done, ""), ()))


def _answer(request: Request, actor: Actor, month: str, done: str, problems: tuple[Problem, ...]) -> Response:
    if not problems:
        return redirect("/costs", month=month, done=done)
    with services_of(request).database.reading() as session:
        response = _page(request, session, actor, month, ("", problems))
    response.status_code = REFUSED
    return response


@dataclass(frozen=True, slots=True)
class _Said:
    """The form of a cost."""

    month: Annotated[str, Form(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
    kind: Annotated[str, Form(max_length=30)]
    yuan: Annotated[str, Form(max_length=30)]
    on: Annotated[str, Form(max_length=10)]
    text: Annotated[str, Form(max_length=120)] = ""
    bearer: Annotated[str, Form(max_length=60)] = ""
    voucher: Annotated[str, Form(max_length=120)] = ""
    paid_on: Annotated[str, Form(max_length=10)] = ""
    picture: Annotated[UploadFile | None, File()] = None


@router.post("/costs", dependencies=[Depends(check_form)])
def record(request: Request, actor: Recorder, said: Annotated[_Said, Depends()]) -> Response:
    """Record a cost of a village, or of a station and then of its villages."""
    services = services_of(request)

    def act(session: Session) -> None:
        kept = photo(services, said.picture)
        is_village = said.bearer.isdigit() and len(said.bearer) == 12  # noqa: PLR2004, a division code
        fact = CostFact(
            month=said.month,
            kind=said.kind if said.kind in COST_KINDS else "other",
            text=said.text.strip() or COST_KINDS.get(said.kind, said.kind),
            amount_fen=amount(said.yuan, "费用金额"),
            incurred_on=day(said.on, "发生日期"),
            voucher=said.voucher.strip() or kept,
            village_code=said.bearer if is_village else "",
            station_id="" if is_village else said.bearer,
            paid_on=day(said.paid_on, "付款日期") if said.paid_on else None,
        )
        ids = record_cost(session, actor, fact, services.clock())
        codes = {one.id: one.village_code for one in costs(session, actor, month=said.month)}
        for cost_id in ids if kept else ():
            if cost_id in codes:
                add_photo(session, actor, (cost_id, codes[cost_id]), kept, services.clock())

    return _answer(request, actor, said.month, "cost", attempt(services, act))


@router.post("/costs/{cost_id}/correct", dependencies=[Depends(check_form)])
def correct(
    request: Request,
    actor: Recorder,
    cost_id: RecordId,
    reason: Annotated[str, Form(max_length=200)] = "",
    month: Annotated[str, Form(max_length=7)] = "",
) -> Response:
    """Take a cost back by a negative row."""
    services = services_of(request)

    def act(session: Session) -> None:
        correct_cost(session, actor, cost_id, reason, services.clock())

    return _answer(request, actor, month, "correct", attempt(services, act))


@router.get("/vouchers/{sha256}")
def show_voucher(request: Request, actor: Reader, session: Reading, sha256: Sha256) -> Response:
    """Show the photo of a voucher of the actor's villages."""
    if not photos(session, actor, sha256=sha256):
        raise NotFoundError(sha256)
    content = read_attachment(services_of(request).data_dir / ATTACHMENTS, sha256)
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response(content, media_type=media_type(content), headers=headers)
