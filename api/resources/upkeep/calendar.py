"""Announced work and records of dispatch: listed, recorded before they count, cancelled or ended."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from api.resources.given import Instant, Words
from api.resources.problems import only_with_token, problems
from dashboards.web import NotFoundError, reading, requires, services_of
from monitoring.calendar.dispatch import (
    KIND_LABELS,
    DispatchKind,
    DispatchRecord,
    dispatch_records,
    end_dispatch,
    record_dispatch,
)
from monitoring.calendar.planned import (
    Announced,
    AnnouncedTooLateError,
    PlannedWorkError,
    announce,
    announced_between,
    cancel,
)
from registry.actors import Actor, Permission
from store.problem import Problem, ProblemsError

router = APIRouter()
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Planner = Annotated[Actor, Depends(requires(Permission.ACKNOWLEDGE_EVENTS))]
Reading = Annotated[Session, Depends(reading)]
_PAST, _AHEAD = timedelta(days=60), timedelta(days=400)
_WITH_TOKEN = [Depends(only_with_token)]
_NO_SUBJECT = Problem("subject_id", "辖区内没有这个电站或设备", "用 GET /api/v1/stations 查看编号")


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


class WorkIn(BaseModel):
    """Work to be announced before it begins, on a station or a device."""

    subject_id: Words = Field(min_length=1, max_length=128, description="电站或设备编号")
    start: Instant = Field(description="开始，带时区，须在现在以后")
    end: Instant = Field(description="结束，带时区")
    description: Words = Field(min_length=1, max_length=500)


class ReasonIn(BaseModel):
    """Why announced work is cancelled."""

    reason: Words = Field(min_length=1, max_length=500)


class DispatchIn(BaseModel):
    """Curtailment, an ordered stop or majeure for a station, a device or a division, with its document."""

    subject_id: Words = Field(min_length=1, max_length=128, description="电站、设备编号或 12 位区划代码")
    kind: DispatchKind
    start: Instant
    end: Instant | None = Field(None, description="还在执行的不写")
    document: Words = Field(min_length=1, max_length=500, description="调度令编号或证明材料")
    limit_percent: float | None = Field(None, ge=0, le=100, description="限至额定的百分数")


class EndIn(BaseModel):
    """When a record of dispatch ended; null says that it never held."""

    at: Instant | None = Field(description="结束时刻，带时区；null 为作废")


class DispatchOut(BaseModel):
    """A record of dispatch that holds; `end` is null while it lasts, times are UTC."""

    id: str
    subject_id: str
    kind: DispatchKind
    kind_label: str
    start: datetime
    end: datetime | None
    document: str
    limit_percent: float | None


def _work(one: Announced) -> PlannedWorkOut:
    return PlannedWorkOut(
        id=one.id,
        station_id=one.station_id,
        subject=one.subject,
        start=one.start,
        end=one.end,
        description=one.description,
        announced_at=one.announced_at,
        cancelled_at=one.cancelled_at,
    )


def _listed(session: Session, actor: Actor, span: tuple[datetime, datetime]) -> list[PlannedWorkOut]:
    return [_work(one) for one in announced_between(session, actor, *span)]


@router.get("/planned-work")
def list_planned_work(request: Request, actor: Reader, session: Reading) -> list[PlannedWorkOut]:
    """Return announced work of the last 60 days and to come."""
    now = services_of(request).clock()
    return _listed(session, actor, (now - _PAST, now + _AHEAD))


@router.post("/planned-work", status_code=201, dependencies=_WITH_TOKEN, responses=problems(400))
def announce_work(request: Request, given: WorkIn, actor: Planner) -> PlannedWorkOut:
    """Announce work that has not begun; what stands still meanwhile counts as planned."""
    services = services_of(request)
    work = (given.start, given.end, given.description.strip())
    try:
        with services.database.transaction() as session:
            made = announce(session, actor, given.subject_id, work, services.clock())
            return next(one for one in _listed(session, actor, (given.start, given.end)) if one.id == made)
    except LookupError as error:
        raise ProblemsError([_NO_SUBJECT]) from error
    except (AnnouncedTooLateError, PlannedWorkError) as error:
        raise ProblemsError([Problem("计划检修", str(error), "改正后再登记")]) from error


@router.post(
    "/planned-work/{work_id}/cancel", status_code=204, dependencies=_WITH_TOKEN, responses=problems(400)
)
def cancel_work(request: Request, work_id: str, given: ReasonIn, actor: Planner) -> Response:
    """Cancel announced work, or end it now."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            cancel(session, actor, work_id, given.reason, services.clock())
    except LookupError as error:
        raise NotFoundError(work_id) from error
    except PlannedWorkError as error:
        raise ProblemsError([Problem("计划检修", str(error), "查看最新情况")]) from error
    return Response(status_code=204)


def _records(session: Session, actor: Actor) -> list[DispatchOut]:
    return [
        DispatchOut(
            id=one.id,
            subject_id=one.subject_id,
            kind=one.kind,
            kind_label=KIND_LABELS[one.kind],
            start=one.start,
            end=one.end,
            document=one.document,
            limit_percent=one.limit_percent,
        )
        for one in dispatch_records(session, actor)
    ]


@router.get("/dispatch-records")
def list_dispatch_records(actor: Reader, session: Reading) -> list[DispatchOut]:
    """Return the records of dispatch that concern the area, the newest first; withdrawn ones are left out."""
    return _records(session, actor)


@router.post("/dispatch-records", status_code=201, dependencies=_WITH_TOKEN, responses=problems(400))
def add_dispatch_record(request: Request, given: DispatchIn, actor: Planner) -> DispatchOut:
    """Record curtailment, an ordered stop or majeure; such time does not count against the equipment."""
    services = services_of(request)
    with services.database.transaction() as session:
        made = record_dispatch(session, actor, DispatchRecord(**given.model_dump()), services.clock())
        return next(one for one in _records(session, actor) if one.id == made)


@router.post(
    "/dispatch-records/{record_id}/end", status_code=204, dependencies=_WITH_TOKEN, responses=problems(400)
)
def end_dispatch_record(request: Request, record_id: str, given: EndIn, actor: Planner) -> Response:
    """Say when a record ended, or that it never held."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            end_dispatch(session, actor, record_id, given.at, services.clock())
    except LookupError as error:
        raise NotFoundError(record_id) from error
    return Response(status_code=204)
