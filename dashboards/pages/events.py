"""Operational events: what happened to links, messages, readings and jobs.

Owns the list page. Events of a village are seen by whoever covers it; events of the installation by the
county and above it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.web import reading, render, requires
from registry.actors import Actor, Permission, Role
from registry.stations import devices, stations
from store.events import EVENT_LABELS, SEVERITY_LABELS, Event, EventFilter, EventKind, Severity, recent

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_LIMIT = 200
_LOOKS = {Severity.INFO: ("night", "●"), Severity.WARNING: ("warning", "▲"), Severity.ERROR: ("fault", "✕")}
_SUBJECTS = {
    "device": "设备",
    "station": "电站",
    "file": "文件",
    "job": "任务",
    "topic": "主题",
    "message": "报文",
    "service": "服务",
    "broker": "消息服务",
    "village": "村",
}


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event in words."""

    at: datetime
    tone: str
    shape: str
    severity: str
    kind: str
    subject: str
    href: str
    message: str


@dataclass(frozen=True, slots=True)
class Tab:
    """One choice of kind."""

    label: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class EventsView:
    """The tabs and the newest events of the chosen kind."""

    tabs: tuple[Tab, ...]
    rows: tuple[EventRow, ...]


def visible_events(
    session: Session, actor: Actor, limit: int, kinds: tuple[EventKind, ...] = ()
) -> list[Event]:
    """Return the newest events that an actor may see: those of the own area, and for the county its own."""
    whole = actor.role in {Role.COUNTY, Role.AUDITOR, Role.SYSTEM} or not actor.area_prefix
    prefix = "" if whole else actor.area_prefix
    found = recent(session, limit, EventFilter(kinds=kinds, area_prefix=prefix))
    return [event for event in found if not event.division_code or actor.covers(event.division_code)]


@router.get("/events")
def show_events(request: Request, actor: Reader, session: Reading, kind: str = "") -> HTMLResponse:
    """Show the newest events, of one kind where asked for."""
    chosen = EventKind(kind) if kind in set(EventKind) else None
    tabs = [Tab("全部", "/events", chosen is None)]
    tabs += [Tab(EVENT_LABELS[one], f"/events?kind={one}", one is chosen) for one in EventKind]
    found = visible_events(session, actor, _LIMIT, (chosen,) if chosen else ())
    names = _names(session, actor)
    rows = tuple(_row(event, names) for event in found)
    return render(request, "events.html", "运行事件", view=EventsView(tuple(tabs), rows))


def _names(session: Session, actor: Actor) -> dict[str, tuple[str, str]]:
    """Return name and address by the id of a station or device."""
    named = {station.id: (station.name, f"/stations/{station.id}") for station in stations(session, actor)}
    for device in devices(session, actor):
        station, href = named.get(device.station_id, ("", ""))
        named[device.id] = (f"{station} {device.name}".strip(), href)
    return named


def _row(event: Event, names: dict[str, tuple[str, str]]) -> EventRow:
    tone, shape = _LOOKS[event.severity]
    subject, href = names.get(event.subject_id, (_SUBJECTS.get(event.subject_kind, "其他"), ""))
    return EventRow(
        event.at,
        tone,
        shape,
        SEVERITY_LABELS[event.severity],
        EVENT_LABELS[event.kind],
        subject,
        href,
        event.message,
    )
