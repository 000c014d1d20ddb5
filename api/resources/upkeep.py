"""Alarms, work orders and planned work of the area."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.web import NotFoundError, reading, requires, services_of
from monitoring.alarms.kinds import KIND_WORDS, SEVERITY_WORDS, AlarmKind, AlarmSeverity
from monitoring.alarms.reads import Alarm, AlarmFilter, alarms
from monitoring.calendar.planned import announced_between
from monitoring.work_orders.reads import OrderFilter, WorkOrder, log_of, work_order, work_orders
from monitoring.work_orders.states import ACTION_WORDS, OrderState
from registry.actors import Actor, Permission

router = APIRouter(tags=["运维"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_AT_MOST = 500
_PAST, _AHEAD = timedelta(days=60), timedelta(days=400)


class AlarmOut(BaseModel):
    """One alarm; `lost_energy_wh` is an estimate, None where unknown; times are UTC."""

    id: str
    kind: AlarmKind
    word: str
    severity: AlarmSeverity
    severity_word: str
    station_id: str
    station_name: str
    device_id: str
    device_name: str
    division_code: str
    cause: str
    opened_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_name: str
    level: int
    lost_energy_wh: int | None


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


def _alarm(one: Alarm) -> AlarmOut:
    return AlarmOut(
        id=one.id,
        kind=one.kind,
        word=KIND_WORDS[one.kind],
        severity=one.severity,
        severity_word=SEVERITY_WORDS[one.severity],
        station_id=one.station_id,
        station_name=one.station_name,
        device_id=one.device_id,
        device_name=one.device_name,
        division_code=one.division_code,
        cause=one.cause,
        opened_at=one.opened_at,
        closed_at=one.closed_at,
        acknowledged_at=one.acknowledged_at,
        acknowledged_name=one.acknowledged_name,
        level=one.level,
        lost_energy_wh=one.lost_energy_wh,
    )


@router.get("/alarms")
def list_alarms(
    actor: Reader,
    session: Reading,
    *,
    open_only: Annotated[bool, Query(description="只列未恢复的")] = True,
    unacknowledged: Annotated[bool, Query(description="只列未确认的")] = False,
) -> list[AlarmOut]:
    """Return the alarms of the area, gravest first, at most 500."""
    wanted = AlarmFilter(open_only=open_only, unacknowledged=unacknowledged)
    return [_alarm(one) for one in alarms(session, actor, wanted, limit=_AT_MOST)]


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
