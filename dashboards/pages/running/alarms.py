"""Alarms: what is wrong now, how long, what it costs, who has taken note of it.

Owns the list with its filters. One alarm is on its own page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.alarm_words import TONES, AlarmLine, alarm_line, money_for
from dashboards.pages.running.work_orders import Tally
from dashboards.paging import ROWS_PER_PAGE, Pager, pager_of
from dashboards.web import reading, render, requires, services_of
from monitoring.alarms.kinds import (
    KIND_WORDS,
    SEVERITY_SHAPES,
    SEVERITY_WORDS,
    AlarmKind,
    AlarmSeverity,
)
from monitoring.alarms.reads import AlarmFilter, alarms, count_alarms
from monitoring.work_orders.reads import OrderFilter, WorkOrder, work_orders
from registry.actors import Actor, Permission
from registry.divisions import Division, DivisionLevel, divisions

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]


class Asked(BaseModel):
    """What the address asks for: which alarms (open, new, all), kind, severity, area, station, page."""

    show: str = "open"
    kind: str = ""
    severity: str = ""
    area: str = ""
    station: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class AlarmsView:
    """The choices, one page of alarms, and the orders that answer them, by alarm id."""

    asked: Asked
    choices: tuple[Tally, ...]
    kinds: tuple[tuple[str, str], ...]
    areas: Sequence[Division]
    rows: tuple[AlarmLine, ...]
    orders: dict[str, WorkOrder]
    pager: Pager
    may_dispatch: bool


def _filter(asked: Asked, show: str, severity: str) -> AlarmFilter:
    return AlarmFilter(
        kinds=(AlarmKind(asked.kind),) if asked.kind in set(AlarmKind) else (),
        severities=(AlarmSeverity(severity),) if severity in set(AlarmSeverity) else (),
        open_only=show in {"open", "new"},
        unacknowledged=show == "new",
        area=asked.area if asked.area.isdigit() else "",
        station_id=asked.station,
    )


def _kept(asked: Asked, **changed: str) -> dict[str, str]:
    plain = {name: str(value) for name, value in asked.model_dump().items() if name != "page"}
    return {name: value for name, value in (plain | changed).items() if value}


@router.get("/alarms")
def show_alarms(
    request: Request, actor: Reader, session: Reading, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show the alarms of the actor's area that pass the filters: open ones first, gravest, then newest."""
    now = services_of(request).clock()
    only = _filter(asked, asked.show, asked.severity)
    pager = pager_of(count_alarms(session, actor, only), asked.page, "/alarms", _kept(asked))
    offset = (pager.page - 1) * ROWS_PER_PAGE
    found = alarms(session, actor, only, limit=ROWS_PER_PAGE, offset=offset)
    tariffs = money_for(session, actor, now)
    view = AlarmsView(
        asked=asked,
        choices=_choices(session, actor, asked),
        kinds=tuple((str(kind), KIND_WORDS[kind]) for kind in AlarmKind),
        areas=divisions(session, actor, DivisionLevel.TOWNSHIP),
        rows=tuple(alarm_line(one, tariffs, now) for one in found),
        orders={one.alarm_id: one for one in work_orders(session, actor, OrderFilter(open_only=True))},
        pager=pager,
        may_dispatch=actor.may(Permission.DISPATCH_WORK_ORDERS),
    )
    return render(request, "running/alarms.html", "告警", view=view)


def _choices(session: Session, actor: Actor, asked: Asked) -> tuple[Tally, ...]:
    shown = [("未恢复", "open", "", "", ""), ("未确认", "new", "", "", "")]
    shown += [
        (SEVERITY_WORDS[one], "open", str(one), TONES[one], SEVERITY_SHAPES[one]) for one in AlarmSeverity
    ]
    shown += [("全部", "all", "", "", "")]
    return tuple(
        Tally(
            label=label,
            href="/alarms?" + urlencode(_kept(asked, show=show, severity=severity)),
            count=count_alarms(session, actor, _filter(asked, show, severity)),
            tone=tone,
            shape=shape,
            current=(asked.show, asked.severity) == (show, severity),
        )
        for label, show, severity, tone, shape in shown
    )
