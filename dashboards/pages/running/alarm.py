"""One alarm: what is wrong and why we say so, who took note, what is being done.

Owns the page and the form of the acknowledgement; the rules are `monitoring.alarms`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.alarm_words import AlarmLine, alarm_line, money_for
from dashboards.web import Crumb, NotFoundError, check_form, reading, redirect, render, requires, services_of
from monitoring.alarms.acknowledging import AlarmError, acknowledge
from monitoring.alarms.kinds import ACTION_WORDS, LEVEL_WORDS, AlarmAction
from monitoring.alarms.reads import Alarm, AlarmEvent, AlarmFilter, alarm, alarms, history
from monitoring.work_orders.reads import OrderFilter, WorkOrder, work_orders
from registry.actors import Actor, Permission

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Acknowledger = Annotated[Actor, Depends(requires(Permission.ACKNOWLEDGE_EVENTS))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409


@dataclass(frozen=True, slots=True)
class AlarmView:
    """The alarm in words, its history, what it explains, and the work orders that answer it."""

    line: AlarmLine
    level: str
    history: Sequence[AlarmEvent]
    words: dict[AlarmAction, str]
    explained: tuple[AlarmLine, ...]
    orders: Sequence[WorkOrder]
    may_acknowledge: bool
    may_dispatch: bool
    message: str
    tone_of_message: str


def _own(session: Session, actor: Actor, alarm_id: str) -> Alarm:
    found = alarm(session, actor, alarm_id)
    if found is None:
        raise NotFoundError(alarm_id)
    return found


def _page(
    request: Request, session: Session, actor: Actor, found: Alarm, told: tuple[str, str]
) -> HTMLResponse:
    now = services_of(request).clock()
    tariffs = money_for(session, actor, now)
    line = alarm_line(found, tariffs, now)
    orders = work_orders(session, actor, OrderFilter(alarm_id=found.id))
    inside = alarms(session, actor, AlarmFilter(parent_id=found.id))
    running = any(not one.ended for one in orders)
    view = AlarmView(
        line=line,
        level=LEVEL_WORDS[found.level],
        history=history(session, actor, found.id),
        words=dict(ACTION_WORDS),
        explained=tuple(alarm_line(one, tariffs, now) for one in inside),
        orders=orders,
        may_acknowledge=found.open and not found.acknowledged and actor.may(Permission.ACKNOWLEDGE_EVENTS),
        may_dispatch=bool(found.open and found.station_id and not running)
        and actor.may(Permission.DISPATCH_WORK_ORDERS),
        message=told[0],
        tone_of_message=told[1],
    )
    crumbs = (Crumb("告警", "/alarms"),)
    return render(request, "running/alarm.html", line.sentence, crumbs=crumbs, view=view)


@router.get("/alarms/{alarm_id}")
def show_alarm(
    request: Request, actor: Reader, session: Reading, alarm_id: str, done: str = ""
) -> HTMLResponse:
    """Show an alarm of the actor's area."""
    told = "已确认，记在您的名下。" if done else ""
    return _page(request, session, actor, _own(session, actor, alarm_id), (told, "good"))


@router.post("/alarms/{alarm_id}/acknowledge", dependencies=[Depends(check_form)])
def acknowledge_alarm(
    request: Request, actor: Acknowledger, alarm_id: str, note: Annotated[str, Form(max_length=2000)] = ""
) -> Response:
    """Record that the actor has taken note; a second click by the same person changes nothing."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            found = _own(session, actor, alarm_id)
            if found.acknowledged_by != actor.user_id:
                acknowledge(session, actor, alarm_id, note, services.clock())
    except AlarmError as refused:
        with services.database.reading() as session:
            response = _page(request, session, actor, _own(session, actor, alarm_id), (str(refused), "warn"))
        response.status_code = _REFUSED
        return response
    return redirect(f"/alarms/{alarm_id}", done="1")
