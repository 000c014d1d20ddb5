"""Work orders of the area: list, one with its log, sending one out, and every step of its life."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Base64Bytes, BaseModel, Field
from sqlalchemy.orm import Session

from api.resources.given import Instant, Words
from api.resources.problems import only_with_token, problems
from dashboards.files import ATTACHMENTS
from dashboards.web import NotFoundError, Services, reading, requires, services_of
from documents.refusal import FileRefusedError
from monitoring.work_orders.orders import (
    Entry,
    NewOrder,
    Part,
    WorkOrderError,
    act,
    keep_photo,
    open_order,
)
from monitoring.work_orders.reads import OrderFilter, WorkOrder, log_of, work_order, work_orders
from monitoring.work_orders.states import ACTION_WORDS, PERMISSIONS, Action, OrderState
from registry.actors import Actor, NotPermittedError, Permission
from store.problem import Problem, ProblemsError

router = APIRouter(prefix="/work-orders")
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Dispatcher = Annotated[Actor, Depends(requires(Permission.DISPATCH_WORK_ORDERS))]
Reading = Annotated[Session, Depends(reading)]
_AT_MOST = 500
_PHOTOS_AT_ONCE = 4
_ACTIONS = [action for action in Action if action is not Action.DISPATCH]


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


class OrderIn(BaseModel):
    """A work order to be sent to the company that looks after the station."""

    station_id: Words = Field(min_length=1, max_length=128)
    title: Words = Field(min_length=1, max_length=120, description="要做什么，一句话")
    due_at: Instant = Field(description="完成期限，带时区")
    device_id: Words = Field("", max_length=128, description="空为全站")
    alarm_id: Words = Field("", max_length=64, description="因哪条告警派单；空为人工派单")
    instructions: Words = Field("", max_length=1000)


class PartIn(BaseModel):
    """A part that was used."""

    name: Words = Field(min_length=1, max_length=200)
    quantity: int = Field(1, ge=1, le=9999)
    serial: Words = Field("", max_length=200, description="新件的序列号")


class EntryIn(BaseModel):
    """A step of an order's life: what is done, in words, with photos, parts or a new deadline."""

    action: Action = Field(
        description="accept 接单、note 记录进展、extend 延长期限、finish 报完工、"
        "send_back 退回、close 验收办结、cancel 撤销"
    )
    note: Words = Field("", max_length=1000)
    seen_seq: int = Field(0, ge=0, le=100_000, description="看到的最后一条记录的序号；0 为不核对")
    due_at: Instant | None = Field(None, description="extend 的新期限，带时区")
    parts: list[PartIn] = Field([], max_length=20, description="finish 用到的配件")
    photos: list[Base64Bytes] = Field([], max_length=_PHOTOS_AT_ONCE, description="JPEG 或 PNG，base64")


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


@router.get("")
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


def _detail(session: Session, actor: Actor, order_id: str, now: datetime) -> WorkOrderDetailOut:
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
    return WorkOrderDetailOut(**_order(found, now).model_dump(), instructions=found.instructions, log=log)


@router.get("/{order_id}")
def show_work_order(request: Request, order_id: str, actor: Reader, session: Reading) -> WorkOrderDetailOut:
    """Return one work order with its log."""
    return _detail(session, actor, order_id, services_of(request).clock())


@router.post("", status_code=201, dependencies=[Depends(only_with_token)], responses=problems(400))
def send_work_order(request: Request, given: OrderIn, actor: Dispatcher) -> WorkOrderDetailOut:
    """Send out a work order, for an alarm or by hand."""
    services = services_of(request)
    now = services.clock()
    try:
        with services.database.transaction() as session:
            made = open_order(session, actor, NewOrder(**given.model_dump()), now)
            return _detail(session, actor, made, now)
    except LookupError as error:
        wrong = Problem("电站或设备", "辖区内没有", "用 GET /api/v1/stations 查看编号")
        raise ProblemsError([wrong]) from error
    except WorkOrderError as error:
        raise _refused(error) from error


@router.post(
    "/{order_id}/log", status_code=201, dependencies=[Depends(only_with_token)], responses=problems(400)
)
def write_log(request: Request, order_id: str, given: EntryIn, actor: Reader) -> WorkOrderDetailOut:
    """Do something with a work order: each step leaves one entry of its log."""
    services = services_of(request)
    if given.action not in _ACTIONS:
        raise ProblemsError([Problem("action", "已派出的工单不能再派", f"写 {'、'.join(_ACTIONS)}")])
    if not actor.may(PERMISSIONS[given.action]):
        raise NotPermittedError(f"{actor.name} 无权{ACTION_WORDS[given.action]}")
    now = services.clock()
    try:
        with services.database.reading() as session:
            _detail(session, actor, order_id, now)
        entry = _entry(services, given)
        with services.database.transaction() as session:
            act(session, actor, order_id, entry, now)
            return _detail(session, actor, order_id, now)
    except LookupError as error:
        raise NotFoundError(order_id) from error
    except FileRefusedError as error:
        raise ProblemsError([Problem(error.where, error.what, error.how_to_fix)]) from error
    except WorkOrderError as error:
        raise _refused(error) from error


def _refused(error: WorkOrderError) -> ProblemsError:
    return ProblemsError([Problem("工单", str(error), "查看工单的最新情况后再办")])


def _entry(services: Services, given: EntryIn) -> Entry:
    folder = services.data_dir / ATTACHMENTS
    return Entry(
        action=given.action,
        note=given.note,
        seen_seq=given.seen_seq,
        photos=tuple(keep_photo(folder, content) for content in given.photos),
        parts=tuple(Part(one.name, one.quantity, one.serial) for one in given.parts),
        due_at=given.due_at if given.action is Action.EXTEND else None,
    )
