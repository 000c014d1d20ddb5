"""Connections: how every device of the area is reached and how that goes; who called and was not let in.

Owns the list page. It shows what the collectors last reported, wherever they run.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from collector.connections import LINK_STATE_LABELS, MQTT, LinkState, RefusedCaller
from collector.reports import (
    SILENT_LABEL,
    CollectorReport,
    ConnectionReport,
    collector_reports,
    connection_reports,
    refused_callers,
)
from dashboards.paging import Pager, paged
from dashboards.web import reading, render, requires, services_of
from registry.actors import Actor, Permission

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_LOOKS = {
    LinkState.MISCONFIGURED: ("fault", "✕"),
    LinkState.FAILING: ("offline", "◌"),
    LinkState.BUSY: ("warning", "▲"),
    LinkState.OVERSUBSCRIBED: ("warning", "▲"),
    LinkState.CAPPED: ("curtailed", "▼"),
    LinkState.WAITING: ("unknown", "▨"),
    LinkState.GOOD: ("normal", "●"),
}
SILENT = "silent"
_SILENT_LOOK = ("unknown", "▨")
MEGABYTE = 1_000_000
_WAYS = {
    "modbus-tcp": "Modbus TCP",
    "modbus-rtu-tcp": "Modbus RTU（TCP）",
    "modbus-serial": "串口",
    "modbus-dial-in": "DTU 拨入",
    "modbus-dial-in-tcp": "DTU 拨入（TCP 帧）",
    "dlt645-tcp": "DL/T 645",
    "dlt645-serial": "DL/T 645 串口",
    "mqtt": "MQTT",
}


class Asked(BaseModel):
    """What the address asks for: a state, a part of a station's name or an address, a page."""

    state: str = ""
    q: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class StateTally:
    """How many connections are in one state."""

    state: str
    word: str
    tone: str
    shape: str
    count: int


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One device in words; `asked` says how often and `missed` how often in vain, since the start."""

    tone: str
    shape: str
    word: str
    device: str
    station: str
    station_id: str
    way: str
    address: str
    last_good_at: datetime | None
    latency_ms: float | None
    asked: int
    missed: int
    today: str
    remark: str
    remark_at: datetime | None
    collector: str


@dataclass(frozen=True, slots=True)
class CollectorLine:
    """What one collector said of itself, and whether it has stopped saying anything."""

    report: CollectorReport
    silent: bool


@dataclass(frozen=True, slots=True)
class ConnectionsView:
    """The filters in force, one page of connections, and what the collectors say of themselves."""

    collectors: tuple[CollectorLine, ...]
    total: int
    tallies: tuple[StateTally, ...]
    state: str
    wanted: str
    rows: Sequence[ConnectionRow]
    pager: Pager
    refused: tuple[RefusedCaller, ...]
    sees_refused: bool


@router.get("/connections")
def show_connections(
    request: Request, actor: Reader, session: Reading, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show the connections that pass the filters, worst first."""
    now, wanted = services_of(request).clock(), asked.q.strip()
    reports, said = connection_reports(session, actor, now), collector_reports(session)
    capped = {one.name for one in said if one.daily_requests_cap or one.daily_bytes_cap}
    found = [
        one
        for one in reports
        if (not asked.state or _shown(one) == asked.state)
        and (wanted in one.station.name or wanted in _address(one) or wanted in one.device.serial)
    ]
    rows, pager = paged(found, asked.page, "/connections", {"state": asked.state, "q": wanted})
    sees_refused = actor.may(Permission.VIEW_OPERATIONS)
    view = ConnectionsView(
        collectors=tuple(CollectorLine(one, one.is_silent(now)) for one in said),
        total=len({one.device.id for one in reports}),
        tallies=_tallies(reports),
        state=asked.state,
        wanted=wanted,
        rows=[_row(one, one.collector in capped) for one in rows],
        pager=pager,
        refused=refused_callers(session, actor) if sees_refused else (),
        sees_refused=sees_refused,
    )
    return render(request, "connections.html", "连接", view=view)


def _shown(one: ConnectionReport) -> str:
    return SILENT if one.silent else one.status.state.value


def _tallies(reports: Sequence[ConnectionReport]) -> tuple[StateTally, ...]:
    counts = Counter(_shown(one) for one in reports)
    states = [(SILENT, SILENT_LABEL, _SILENT_LOOK)]
    states += [(state.value, LINK_STATE_LABELS[state], look) for state, look in _LOOKS.items()]
    return tuple(
        StateTally(state, word, *look, counts[state]) for state, word, look in states if counts[state]
    )


def _address(one: ConnectionReport) -> str:
    device = one.device
    if device.transport == MQTT:
        return device.topic
    port = f":{device.port}" if device.transport.endswith("tcp") and "dial" not in device.transport else ""
    return f"{device.host}{port}　站号 {device.unit_id}"


def _today(one: ConnectionReport, *, capped: bool) -> str:
    """Return what the device cost today: requests and traffic, or messages since the start."""
    if one.device.transport == MQTT:
        return f"{one.status.messages} 条报文"
    words = f"{one.status.requests} 次，{_volume(one.status.bytes_exchanged)}"
    return f"{words}（有上限）" if capped else words


def _volume(count: int) -> str:
    """Return a number of bytes as a SIM card's bill shows it."""
    return f"{count / MEGABYTE:,.1f} MB" if count >= MEGABYTE else f"{count / 1000:.1f} kB"


def _remark(one: ConnectionReport) -> tuple[str, datetime | None]:
    """Return what is wrong, and since when."""
    status = one.status
    if one.silent:
        return f"采集程序 {one.collector} 停了，在那之前是“{status.label}”", None
    if not one.collector:
        return "还没有采集程序报告它：看采集程序是否在运行，它的采集范围设置是否包括这个电站", None
    if status.state is LinkState.OVERSUBSCRIBED:
        remark = f"线路上设备太多或太慢，已跳过 {status.skipped} 轮：加长采集周期，或分到两条线路"
        return remark, status.failing_since
    if status.state in {LinkState.GOOD, LinkState.WAITING}:
        return "", None
    return status.last_error, status.failing_since


def _row(one: ConnectionReport, capped: bool) -> ConnectionRow:
    tone, shape = _SILENT_LOOK if one.silent else _LOOKS[one.status.state]
    remark, since = _remark(one)
    return ConnectionRow(
        tone=tone,
        shape=shape,
        word=one.label,
        device=one.device.name,
        station=one.station.name,
        station_id=one.station.id,
        way=_WAYS.get(one.device.transport, one.device.transport),
        address=_address(one),
        last_good_at=one.status.last_good_at,
        latency_ms=one.status.latency_ms,
        asked=one.status.polls,
        missed=one.status.missed,
        today=_today(one, capped=capped),
        remark=remark,
        remark_at=since,
        collector=one.collector,
    )
