"""Sending a work order: for an alarm, or by hand.

Owns the form. The order itself is `monitoring.work_orders`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.moments import field_value, read_moment
from dashboards.web import Crumb, NotFoundError, check_form, reading, redirect, render, requires, services_of
from monitoring.alarms.kinds import KIND_WORDS
from monitoring.alarms.reads import Alarm, alarm
from monitoring.work_orders.orders import NewOrder, WorkOrderError, open_order
from registry.actors import Actor, Permission
from registry.parameters import Place, value_on
from registry.stations import Device, Station, devices, station, stations
from store.periods import local_date
from store.problem import ProblemsError

router = APIRouter(include_in_schema=False)
Dispatcher = Annotated[Actor, Depends(requires(Permission.DISPATCH_WORK_ORDERS))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form holds: where, what, until when, and the alarm that it answers."""

    station: Annotated[str, Form(max_length=128)] = ""
    device: Annotated[str, Form(max_length=128)] = ""
    alarm: Annotated[str, Form(max_length=128)] = ""
    title: Annotated[str, Form(max_length=200)] = ""
    instructions: Annotated[str, Form(max_length=2000)] = ""
    due: Annotated[str, Form(max_length=40)] = ""


class Asked(BaseModel):
    """What the address says beforehand: where, and the alarm that is to be answered."""

    station: str = ""
    device: str = ""
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class NewOrderView:
    """The choice of a station, and once there is one the form."""

    stations: Sequence[Station]
    place: Station | None
    devices: Sequence[Device]
    draft: Draft
    due: str
    hours: str
    message: str


def _view(session: Session, actor: Actor, draft: Draft, now: datetime, message: str = "") -> NewOrderView:
    place = station(session, actor, draft.station) if draft.station else None
    if draft.station and place is None:
        raise NotFoundError(draft.station)
    where = Place(place.division_code if place else "")
    hours = value_on("work_order_hours", local_date(now), where, session=session)
    return NewOrderView(
        stations=stations(session, actor),
        place=place,
        devices=devices(session, actor, place.id, on=local_date(now)) if place else (),
        draft=draft,
        due=draft.due or field_value(now + timedelta(hours=int(hours.value))),
        hours=f"默认期限 {hours.value.normalize():f} 小时（{hours.source}）",
        message=message,
    )


def _page(request: Request, view: NewOrderView) -> HTMLResponse:
    crumbs = (Crumb("工单", "/work-orders"),)
    return render(request, "running/work_order_new.html", "派工单", crumbs=crumbs, view=view)


def _title(answered: Alarm | None) -> str:
    """Return what is to be done about an alarm, as the form proposes it; nothing for an order by hand."""
    if answered is None:
        return ""
    return f"{answered.device_name or '全站'}{KIND_WORDS[answered.kind]}，到场检查"


@router.get("/work-orders/new")
def show_form(
    request: Request, actor: Dispatcher, session: Reading, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show the form, filled in as far as the address says."""
    answered = alarm(session, actor, asked.alarm) if asked.alarm else None
    draft = Draft(asked.station, asked.device, asked.alarm, _title(answered))
    return _page(request, _view(session, actor, draft, services_of(request).clock()))


@router.post("/work-orders/new", dependencies=[Depends(check_form)])
def send_order(request: Request, actor: Dispatcher, draft: Annotated[Draft, Depends()]) -> Response:
    """Send the order, or show the form again with what is wrong."""
    services = services_of(request)
    now = services.clock()
    try:
        new = NewOrder(
            draft.station,
            draft.title,
            read_moment(draft.due, "完成期限"),
            draft.device,
            draft.alarm,
            draft.instructions,
        )
        with services.database.transaction() as session:
            order_id = open_order(session, actor, new, now)
    except LookupError as error:
        raise NotFoundError(draft.station) from error
    except (WorkOrderError, ProblemsError) as refused:
        with services.database.reading() as session:
            response = _page(request, _view(session, actor, draft, now, str(refused)))
        response.status_code = _REFUSED
        return response
    return redirect(f"/work-orders/{order_id}", done="dispatch")
