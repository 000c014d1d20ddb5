"""Operational events: what happened to links, messages, readings and jobs.

Owns the list page. Events of a village are seen by whoever covers it; events of the installation by the
county and above it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.web import reading, render, requires
from registry.actors import Actor, Permission, Role
from registry.divisions import villages
from registry.stations import Device, devices, stations
from store.events import EVENT_LABELS, SEVERITY_LABELS, Event, EventFilter, EventKind, Severity, recent
from store.redaction import redact

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
    "connection": "连接",
    "dtu": "拨入设备",
    "collector": "采集",
    "ledger": "账目",
}
_PARTS = {("collector", "spool"): "采集队列", ("collector", "store"): "时序库"}


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
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Places:
    """Where subjects are: name and address by id, and the devices that speak on topics or at addresses."""

    named: Mapping[str, tuple[str, str]]
    devices: Sequence[Device]


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
    """Return the newest events that an actor may see: those of the own area, and for the county its own.

    The person of an O&M company sees those of its stations.
    """
    whole = actor.role in {Role.COUNTY, Role.AUDITOR, Role.SYSTEM} or not actor.area_prefix
    prefix = "" if whole else actor.area_prefix
    found = recent(session, limit, EventFilter(kinds=kinds, area_prefix=prefix))
    seen = [event for event in found if not event.division_code or actor.covers(event.division_code)]
    if not actor.company:
        return seen
    own = {one.id for one in stations(session, actor)} | {one.id for one in devices(session, actor)}
    return [event for event in seen if event.subject_id in own]


@router.get("/events")
def show_events(request: Request, actor: Reader, session: Reading, kind: str = "") -> HTMLResponse:
    """Show the newest events, of one kind where asked for."""
    chosen = EventKind(kind) if kind in set(EventKind) else None
    tabs = [Tab("全部", "/events", chosen is None)]
    tabs += [Tab(EVENT_LABELS[one], f"/events?kind={one}", one is chosen) for one in EventKind]
    found = visible_events(session, actor, _LIMIT, (chosen,) if chosen else ())
    places = _places(session, actor)
    rows = tuple(_row(event, places) for event in found)
    return render(request, "events.html", "运行事件", view=EventsView(tuple(tabs), rows))


def _places(session: Session, actor: Actor) -> Places:
    """Return where the stations, devices and villages of an actor's area are."""
    named = {station.id: (station.name, f"/stations/{station.id}") for station in stations(session, actor)}
    known = tuple(devices(session, actor))
    for device in known:
        station, href = named.get(device.station_id, ("", ""))
        named[device.id] = (f"{station} {device.name}".strip(), href)
    named |= {one.code: (one.name, "") for one in villages(session, actor)}
    return Places(named, known)


def _subject(event: Event, places: Places) -> tuple[str, str]:
    """Return what an event is about in words, and the address of its station where there is one."""
    if event.subject_id in places.named:
        return places.named[event.subject_id]
    part = _PARTS.get((event.subject_kind, event.subject_id))
    words = part or f"{_SUBJECTS.get(event.subject_kind, '其他')} {redact(event.subject_id)}".strip()
    speakers = {one.station_id for one in places.devices if _speaks(one, event)}
    if len(speakers) != 1:
        return words, ""
    station, href = places.named.get(speakers.pop(), ("", ""))
    return (f"{words}（{station}）", href) if station else (words, "")


def _speaks(device: Device, event: Event) -> bool:
    """Tell whether an event's topic or connection is a device's."""
    if event.subject_kind == "topic":
        return bool(device.topic) and _matches(device.topic, event.subject_id)
    return event.subject_kind == "connection" and event.subject_id == f"{device.host}:{device.port}"


def _matches(pattern: str, topic: str) -> bool:
    """Tell whether a topic passes an MQTT filter: `+` is one level, `#` the rest."""
    levels, parts = pattern.split("/"), topic.split("/")
    if levels[-1] == "#":
        levels, parts = levels[:-1], parts[: len(levels) - 1]
    return len(levels) == len(parts) and all(
        level in {"+", part} for level, part in zip(levels, parts, strict=True)
    )


def _row(event: Event, places: Places) -> EventRow:
    tone, shape = _LOOKS[event.severity]
    subject, href = _subject(event, places)
    listed = event.detail.get("problems")
    return EventRow(
        event.at,
        tone,
        shape,
        SEVERITY_LABELS[event.severity],
        EVENT_LABELS[event.kind],
        subject,
        href,
        redact(event.message),
        tuple(redact(listed).splitlines()) if isinstance(listed, str) else (),
    )
