"""A village's posts with attendance (岗位考勤) and its points, stars and work points (积分工分), by month.

Owns the two pages and their forms, which take a whole month in at once. What may be recorded is
`registry.roll.duties`'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.moments import read_day
from dashboards.web import (
    Crumb,
    NotFoundError,
    check_form,
    reading,
    redirect,
    render,
    requires,
    services_of,
)
from distribution.money import parse_yuan
from registry.actors import Actor, Permission
from registry.divisions import Division, division_name, villages
from registry.enrolment import Post
from registry.roll.cards import RollEntry, roll_entries
from registry.roll.duties import (
    Duty,
    Figure,
    duty_sheet,
    measure_sheet,
    record_duties,
    record_figures,
)
from registry.roll.measures import MEASURES
from registry.roll.posts import put_post
from store.db import new_id
from store.periods import Period, PeriodKind, local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409
_MONTHS = 14


class Asked(BaseModel):
    """What the address asks for: a month, and a measure."""

    month: str = ""
    measure: str = "points"


@dataclass(frozen=True, slots=True)
class DutiesView:
    """The posts of a village in a month, and the form of a new post."""

    village_code: str
    month: str
    months: Sequence[str]
    rows: Sequence[Duty]
    homes: Sequence[RollEntry]
    may_edit: bool
    today: date
    message: str = ""
    tone: str = "bad"


@dataclass(frozen=True, slots=True)
class MeasuresView:
    """A measure of every household of a village in a month."""

    village_code: str
    month: str
    months: Sequence[str]
    measure: str
    measures: Mapping[str, str]
    rows: Sequence[Figure]
    total: Decimal
    may_edit: bool
    message: str = ""
    tone: str = "bad"


@dataclass(frozen=True, slots=True)
class VillagesView:
    """The villages of the actor's area, for choosing one."""

    villages: Sequence[Division]


@dataclass(frozen=True, slots=True)
class WantedDuties:
    """What the forms of posts hold: a month's attendance row by row, or a new post (`action` is post)."""

    action: Annotated[str, Form(max_length=10)] = ""
    document: Annotated[str, Form(max_length=200)] = ""
    posts: Annotated[tuple[str, ...], Form()] = ()
    units: Annotated[tuple[str, ...], Form()] = ()
    coefficients: Annotated[tuple[str, ...], Form()] = ()
    household: Annotated[str, Form(max_length=64)] = ""
    kind: Annotated[str, Form(max_length=40)] = ""
    rate: Annotated[str, Form(max_length=12)] = ""
    on: Annotated[str, Form(max_length=10)] = ""
    until: Annotated[str, Form(max_length=10)] = ""


@dataclass(frozen=True, slots=True)
class WantedFigures:
    """What the form of a measure holds: a month's figures row by row."""

    document: Annotated[str, Form(max_length=200)] = ""
    homes: Annotated[tuple[str, ...], Form()] = ()
    values: Annotated[tuple[str, ...], Form()] = ()


def _month(asked: Asked, request: Request) -> tuple[str, list[str]]:
    """Return the asked month, or the present one, and the months to choose from, the latest first."""
    first = local_date(services_of(request).clock()).replace(day=1)
    index = first.year * 12 + first.month - 1
    months = [f"{(index - back) // 12}-{(index - back) % 12 + 1:02d}" for back in range(_MONTHS)]
    try:
        fits = Period.parse(asked.month).kind is PeriodKind.MONTH
    except ValueError:
        fits = False
    chosen = asked.month.strip() if fits else months[0]
    return chosen, months if chosen in months else [*months, chosen]


def _name(session: Session, actor: Actor, village_code: str) -> str:
    if not actor.covers(village_code) or village_code not in {one.code for one in villages(session, actor)}:
        raise NotFoundError(village_code)
    return division_name(session, village_code)


def _decimal(text: str, where: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise ProblemsError([Problem(where, f"“{text}”不是数", "只写数字，如 1 或 0.5")])
    return found


@router.get("/duties")
def show_villages(request: Request, actor: Reader, session: Reading) -> Response:
    """Show the villages to choose from; an actor of one village goes to it at once."""
    found = villages(session, actor)
    if len(found) == 1:
        return redirect(f"/duties/{found[0].code}")
    return render(request, "registry/duty_villages.html", "岗位和积分", view=VillagesView(found))


def _duties_page(
    request: Request, session: Session, actor: Actor, place: tuple[str, Asked], message: str = ""
) -> HTMLResponse:
    village_code, asked = place
    name = _name(session, actor, village_code)
    month, months = _month(asked, request)
    today = local_date(services_of(request).clock())
    homes = [one for one in roll_entries(session, actor, village_code, today) if one.present(today)]
    view = DutiesView(
        village_code,
        month,
        months,
        duty_sheet(session, actor, village_code, month),
        homes,
        actor.may(Permission.EDIT_REGISTRY),
        today,
        message,
    )
    crumbs = (Crumb("岗位和积分", "/duties"),)
    return render(request, "registry/duties.html", f"{name}岗位考勤", crumbs=crumbs, view=view)


@router.get("/duties/{village_code}")
def show_duties(
    request: Request, actor: Reader, session: Reading, village_code: str, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show the posts of a village with a month's attendance."""
    return _duties_page(request, session, actor, (village_code, asked))


@router.post("/duties/{village_code}", dependencies=[Depends(check_form)])
def change_duties(
    request: Request,
    actor: Editor,
    village_code: str,
    asked: Annotated[Asked, Query()],
    wanted: Annotated[WantedDuties, Depends()],
) -> Response:
    """Record a month's attendance, or a post; or show the page again with what is wrong."""
    services = services_of(request)
    month, _ = _month(asked, request)
    try:
        with services.database.transaction() as session:
            now = services.clock()
            if wanted.action == "post":
                put_post(session, actor, _post(village_code, wanted), now)
            else:
                entries = _duty_entries(wanted)
                record_duties(session, actor, (village_code, month), entries, (wanted.document.strip(), now))
    except LookupError as error:
        raise NotFoundError(village_code) from error
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _duties_page(request, session, actor, (village_code, asked), str(error))
        page.status_code = _REFUSED
        return page
    return redirect(f"/duties/{village_code}", month=month)


def _duty_entries(wanted: WantedDuties) -> dict[str, tuple[Decimal | None, Decimal]]:
    if not len(wanted.posts) == len(wanted.units) == len(wanted.coefficients):
        raise ProblemsError([Problem("考勤", "表单不完整", "刷新页面后重新填写")])
    rows = zip(wanted.posts, wanted.units, wanted.coefficients, strict=True)
    return {
        post: (_decimal(units, "出勤"), _decimal(coefficient, "考核系数") or Decimal(0))
        for post, units, coefficient in rows
    }


def _post(village_code: str, wanted: WantedDuties) -> Post:
    if not wanted.kind.strip() or not wanted.document.strip():
        raise ProblemsError([Problem("岗位", "没有写岗位名称或依据", "写上岗位名称和聘用协议")])
    try:
        rate = parse_yuan(wanted.rate.strip())
    except ValueError as error:
        raise ProblemsError([Problem("月标准", f"“{wanted.rate}”不是金额", "写元，如 600")]) from error
    start = read_day(wanted.on, "上岗日期")
    end = read_day(wanted.until, "离岗日期") if wanted.until else None
    if rate < 0 or (end is not None and end <= start):
        raise ProblemsError([Problem("岗位", "标准是负数，或离岗不晚于上岗", "改正标准或日期")])
    return Post(
        new_id("post"),
        village_code,
        wanted.household,
        wanted.kind.strip(),
        rate,
        start,
        end,
        wanted.document.strip(),
    )


def _measures_page(
    request: Request, session: Session, actor: Actor, place: tuple[str, Asked], message: str = ""
) -> HTMLResponse:
    village_code, asked = place
    name = _name(session, actor, village_code)
    month, months = _month(asked, request)
    measure = asked.measure if asked.measure in MEASURES else "points"
    rows = measure_sheet(session, actor, (village_code, month), measure)
    view = MeasuresView(
        village_code,
        month,
        months,
        measure,
        MEASURES,
        rows,
        sum((one.value for one in rows if one.value is not None), Decimal(0)),
        actor.may(Permission.EDIT_REGISTRY),
        message,
    )
    crumbs = (Crumb("岗位和积分", "/duties"),)
    return render(request, "registry/measures.html", f"{name}积分工分", crumbs=crumbs, view=view)


@router.get("/duties/{village_code}/measures")
def show_measures(
    request: Request, actor: Reader, session: Reading, village_code: str, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show a measure of every household of a village in a month."""
    return _measures_page(request, session, actor, (village_code, asked))


@router.post("/duties/{village_code}/measures", dependencies=[Depends(check_form)])
def change_measures(
    request: Request,
    actor: Editor,
    village_code: str,
    asked: Annotated[Asked, Query()],
    wanted: Annotated[WantedFigures, Depends()],
) -> Response:
    """Record a month's figures of a measure, or show the page again with what is wrong."""
    services = services_of(request)
    month, _ = _month(asked, request)
    measure = asked.measure if asked.measure in MEASURES else "points"
    try:
        entries = _figures(wanted)
        with services.database.transaction() as session:
            basis = (wanted.document.strip(), services.clock())
            record_figures(session, actor, (village_code, month, measure), entries, basis)
    except LookupError as error:
        raise NotFoundError(village_code) from error
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _measures_page(request, session, actor, (village_code, asked), str(error))
        page.status_code = _REFUSED
        return page
    return redirect(f"/duties/{village_code}/measures", month=month, measure=measure)


def _figures(wanted: WantedFigures) -> dict[str, Decimal | None]:
    if len(wanted.homes) != len(wanted.values):
        raise ProblemsError([Problem("积分", "表单不完整", "刷新页面后重新填写")])
    return {home: _decimal(value, "数值") for home, value in zip(wanted.homes, wanted.values, strict=True)}
