"""Planned work and orders of dispatch: what was announced, and the forms to announce and to cancel.

Owns the page; what counts as planned is `monitoring.calendar`'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.moments import field_value, read_moment
from dashboards.web import NotFoundError, check_form, reading, redirect, render, requires, services_of
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
from registry.divisions import division_names
from registry.stations import Device, Station, device, devices, station, stations
from store.periods import local_date
from store.problem import ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Planner = Annotated[Actor, Depends(requires(Permission.ACKNOWLEDGE_EVENTS))]
Reading = Annotated[Session, Depends(reading)]
_PAST, _AHEAD = timedelta(days=60), timedelta(days=400)
_REFUSED = 409


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """One announced work: its standing in words, and whether it may be cancelled."""

    work: Announced
    standing: str
    tone: str
    may_cancel: bool


@dataclass(frozen=True, slots=True)
class DispatchLine:
    """One order of dispatch, and what it is about in words."""

    record: DispatchRecord
    kind: str
    subject: str
    running: bool


@dataclass(frozen=True, slots=True)
class PlannedWorkView:
    """The lists, and the form's choices."""

    planned: tuple[PlannedLine, ...]
    dispatch: tuple[DispatchLine, ...]
    stations: Sequence[Station]
    place: Station | None
    devices: Sequence[Device]
    kinds: tuple[tuple[str, str], ...]
    start: str
    end: str
    may_plan: bool
    message: str
    tone_of_message: str


def _line(work: Announced, now: datetime, *, may_plan: bool) -> PlannedLine:
    if work.cancelled_at is not None:
        return PlannedLine(
            work, "已取消" if work.end <= work.start else "提前结束", "offline", may_cancel=False
        )
    if now < work.start:
        return PlannedLine(work, "将开始", "night", may_plan)
    if now < work.end:
        return PlannedLine(work, "进行中", "planned", may_plan)
    return PlannedLine(work, "已结束", "normal", may_cancel=False)


def _subject(session: Session, actor: Actor, subject_id: str) -> str:
    place = station(session, actor, subject_id)
    if place is not None:
        return place.name
    found = device(session, actor, subject_id)
    if found is not None:
        host = station(session, actor, found.station_id)
        return f"{host.name if host else ''} {found.name}".strip()
    return division_names(session).get(subject_id, subject_id)


def _page(
    request: Request, session: Session, actor: Actor, station_id: str, told: tuple[str, str]
) -> HTMLResponse:
    now = services_of(request).clock()
    may_plan = actor.may(Permission.ACKNOWLEDGE_EVENTS)
    place = station(session, actor, station_id) if station_id else None
    if station_id and place is None:
        raise NotFoundError(station_id)
    found = announced_between(session, actor, now - _PAST, now + _AHEAD)
    tomorrow = (now + timedelta(days=1)).replace(minute=0)
    view = PlannedWorkView(
        planned=tuple(_line(one, now, may_plan=may_plan) for one in sorted(found, key=_newest)),
        dispatch=tuple(
            DispatchLine(
                one,
                KIND_LABELS[one.kind],
                _subject(session, actor, one.subject_id),
                one.start <= now and (one.end is None or one.end > now),
            )
            for one in dispatch_records(session, actor)
        ),
        stations=stations(session, actor),
        place=place,
        devices=devices(session, actor, place.id, on=local_date(now)) if place else (),
        kinds=tuple((str(kind), KIND_LABELS[kind]) for kind in DispatchKind),
        start=field_value(tomorrow),
        end=field_value(tomorrow + timedelta(hours=4)),
        may_plan=may_plan,
        message=told[0],
        tone_of_message=told[1],
    )
    return render(request, "running/planned_work.html", "计划检修与调度", view=view)


def _newest(work: Announced) -> float:
    return -work.start.timestamp()


@router.get("/planned-work")
def show_planned_work(
    request: Request, actor: Reader, session: Reading, station: str = "", done: str = ""
) -> HTMLResponse:
    """Show announced work and orders of dispatch of the actor's area."""
    told = {"plan": "已登记，期间停机按计划检修计。", "cancel": "已取消。", "dispatch": "已登记。"}.get(
        done, ""
    )
    return _page(request, session, actor, station, (told, "good"))


def _do(request: Request, actor: Actor, done: str, act: Callable[[Session, datetime], object]) -> Response:
    """Do something in one transaction; a refusal is shown on the page."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            act(session, services.clock())
    except LookupError as error:
        raise NotFoundError(str(error)) from error
    except (AnnouncedTooLateError, PlannedWorkError, ProblemsError) as refused:
        with services.database.reading() as session:
            response = _page(request, session, actor, "", (str(refused), "bad"))
        response.status_code = _REFUSED
        return response
    return redirect("/planned-work", done=done)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the form of planned work, or of an order of dispatch, holds."""

    subject: Annotated[str, Form(max_length=128)]
    start: Annotated[str, Form(max_length=40)]
    end: Annotated[str, Form(max_length=40)] = ""
    description: Annotated[str, Form(max_length=500)] = ""
    kind: Annotated[str, Form(max_length=20)] = ""


@router.post("/planned-work", dependencies=[Depends(check_form)])
def announce_work(request: Request, actor: Planner, work: Annotated[_Work, Depends()]) -> Response:
    """Announce work that has not begun."""

    def act(session: Session, now: datetime) -> None:
        times = read_moment(work.start, "开始"), read_moment(work.end, "结束")
        announce(session, actor, work.subject, (*times, work.description.strip()), now)

    return _do(request, actor, "plan", act)


@router.post("/planned-work/{work_id}/cancel", dependencies=[Depends(check_form)])
def cancel_work(
    request: Request, actor: Planner, work_id: str, reason: Annotated[str, Form(max_length=500)] = ""
) -> Response:
    """Cancel announced work, or end it now."""
    return _do(request, actor, "cancel", lambda session, now: cancel(session, actor, work_id, reason, now))


@router.post("/dispatch-records", dependencies=[Depends(check_form)])
def record_order(request: Request, actor: Planner, work: Annotated[_Work, Depends()]) -> Response:
    """Record curtailment, an ordered stop or majeure, with its document."""

    def act(session: Session, now: datetime) -> None:
        kind = DispatchKind(work.kind) if work.kind in set(DispatchKind) else DispatchKind.CURTAILMENT
        end = read_moment(work.end, "结束") if work.end.strip() else None
        start = read_moment(work.start, "开始")
        record = DispatchRecord(work.subject, kind, start, end, work.description)
        record_dispatch(session, actor, record, now)

    return _do(request, actor, "dispatch", act)


@router.post("/dispatch-records/{record_id}/end", dependencies=[Depends(check_form)])
def end_order(request: Request, actor: Planner, record_id: str) -> Response:
    """Say that an order of dispatch ends now."""
    return _do(
        request, actor, "dispatch", lambda session, now: end_dispatch(session, actor, record_id, now, now)
    )
