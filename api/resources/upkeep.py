"""Work orders and planned work of the area."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.web import NotFoundError, reading, requires, services_of
from monitoring.calendar.planned import announced_between
from monitoring.work_orders.reads import OrderFilter, WorkOrder, log_of, work_order, work_orders
from monitoring.work_orders.states import ACTION_WORDS, OrderState
from registry.actors import Actor, Permission

router = APIRouter(tags=["运维"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_AT_MOST = 500
_PAST, _AHEAD = timedelta(days=60), timedelta(days=400)


class WorkOrderOut(BaseModel):
    """One work order; times are UTC, `in_time` is None where that is not decided."""

    id: str
    number: str
    station_id: str
    station_name: str
    device_id: str
    alarm_id: str
    title: str
    company: str
    state: OrderState
    state_word: str
    opened_at: datetime
    due_at: datetime
    done_at: datetime | None
    closed_at: datetime | None
    in_time: bool | None


class LogOut(BaseModel):
    """One entry of an order's log; photos are named by SHA-256."""

    seq: int
    at: datetime
    by_name: str
    action: str
    word: str
    note: str
    photos: list[str]
    parts: list[str]


class WorkOrderDetailOut(WorkOrderOut):
    """One work order with its instructions and log."""

    instructions: str
    log: list[LogOut]


class PlannedWorkOut(BaseModel):
    """One announced work; `end` is where it ends in fact, times are UTC."""

    id: str
    station_id: str
    subject: str
    start: datetime
    end: datetime
    description: str
    announced_at: datetime
    cancelled_at: datetime | None


def _order(one: WorkOrder, now: datetime) -> WorkOrderOut:
    return WorkOrderOut(
        id=one.id,
        number=one.number,
        station_id=one.station_id,
        station_name=one.station_name,
        device_id=one.device_id,
        alarm_id=one.alarm_id,
        title=one.title,
        company=one.company,
        state=one.state,
        state_word=one.state_word,
        opened_at=one.opened_at,
        due_at=one.due_at,
        done_at=one.done_at,
        closed_at=one.closed_at,
        in_time=one.in_time(now),
    )


@router.get("/work-orders")
def list_work_orders(
    request: Request,
    actor: Reader,
    session: Reading,
    *,
    open_only: Annotated[bool, Query(description="只列未办结的")] = False,
) -> list[WorkOrderOut]:
    """Return the work orders of the area, the most urgent first, at most 500."""
    now = services_of(request).clock()
    found = work_orders(session, actor, OrderFilter(open_only=open_only))
    return [_order(one, now) for one in found[:_AT_MOST]]


@router.get("/work-orders/{order_id}")
def show_work_order(request: Request, order_id: str, actor: Reader, session: Reading) -> WorkOrderDetailOut:
    """Return one work order with its log."""
    found = work_order(session, actor, order_id)
    if found is None:
        raise NotFoundError(order_id)
    log = [
        LogOut(
            seq=one.seq,
            at=one.at,
            by_name=one.by_name,
            action=one.action,
            word=ACTION_WORDS[one.action],
            note=one.note,
            photos=list(one.photos),
            parts=[f"{part.name} × {part.quantity} {part.serial}".strip() for part in one.parts],
        )
        for one in log_of(session, actor, order_id)
    ]
    shown = _order(found, services_of(request).clock()).model_dump()
    return WorkOrderDetailOut(**shown, instructions=found.instructions, log=log)


@router.get("/planned-work")
def list_planned_work(request: Request, actor: Reader, session: Reading) -> list[PlannedWorkOut]:
    """Return announced work of the last 60 days and to come."""
    now = services_of(request).clock()
    return [
        PlannedWorkOut(
            id=one.id,
            station_id=one.station_id,
            subject=one.subject,
            start=one.start,
            end=one.end,
            description=one.description,
            announced_at=one.announced_at,
            cancelled_at=one.cancelled_at,
        )
        for one in announced_between(session, actor, now - _PAST, now + _AHEAD)
    ]
