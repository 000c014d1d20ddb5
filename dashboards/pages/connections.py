"""Connections: how every device of the area is reached and how that goes; who called and was not let in.

Owns the list page. It shows what the collector last reported, wherever the collector runs.
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
    CollectorReport,
    ConnectionReport,
    collector_report,
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


@dataclass(frozen=True, slots=True)
class ConnectionsView:
    """The filters in force, one page of connections, and what the collector says of itself."""

    report: CollectorReport | None
    silent: bool
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
    now, reports = services_of(request).clock(), connection_reports(session, actor)
    report, wanted = collector_report(session), asked.q.strip()
    found = [
        one
        for one in reports
        if (not asked.state or one.status.state == asked.state)
        and (wanted in one.station.name or wanted in _address(one) or wanted in one.device.serial)
    ]
    rows, pager = paged(found, asked.page, "/connections", {"state": asked.state, "q": wanted})
    sees_refused = actor.may(Permission.VIEW_OPERATIONS)
    view = ConnectionsView(
        report=report,
        silent=report is None or report.is_silent(now),
        total=len(reports),
        tallies=_tallies(reports),
        state=asked.state,
        wanted=wanted,
        rows=[_row(one, report) for one in rows],
        pager=pager,
        refused=refused_callers(session, actor) if sees_refused else (),
        sees_refused=sees_refused,
    )
    return render(request, "connections.html", "连接", view=view)


def _tallies(reports: Sequence[ConnectionReport]) -> tuple[StateTally, ...]:
    counts = Counter(one.status.state for one in reports)
    return tuple(
        StateTally(state.value, LINK_STATE_LABELS[state], *look, counts[state])
        for state, look in _LOOKS.items()
        if counts[state]
    )


def _address(one: ConnectionReport) -> str:
    device = one.device
    if device.transport == MQTT:
        return device.topic
    port = f":{device.port}" if device.transport.endswith("tcp") and "dial" not in device.transport else ""
    return f"{device.host}{port}　站号 {device.unit_id}"


def _today(one: ConnectionReport, report: CollectorReport | None) -> str:
    """Return what the device cost today: requests and traffic, or messages since the start."""
    if one.device.transport == MQTT:
        return f"{one.status.messages} 条报文"
    capped = report is not None and (report.daily_requests_cap or report.daily_bytes_cap)
    words = f"{one.status.requests} 次，{_volume(one.status.bytes_exchanged)}"
    return f"{words}（有上限）" if capped else words


def _volume(count: int) -> str:
    """Return a number of bytes as a SIM card's bill shows it."""
    return f"{count / MEGABYTE:,.1f} MB" if count >= MEGABYTE else f"{count / 1000:.1f} kB"


def _row(one: ConnectionReport, report: CollectorReport | None) -> ConnectionRow:
    tone, shape = _LOOKS[one.status.state]
    troubled = one.status.state not in {LinkState.GOOD, LinkState.WAITING}
    remark = one.status.last_error if troubled else ""
    if one.status.state is LinkState.OVERSUBSCRIBED:
        remark = f"线路上设备太多或太慢，已跳过 {one.status.skipped} 轮：加长采集周期，或分到两条线路"
    return ConnectionRow(
        tone=tone,
        shape=shape,
        word=one.status.label,
        device=one.device.name,
        station=one.station.name,
        station_id=one.station.id,
        way=_WAYS.get(one.device.transport, one.device.transport),
        address=_address(one),
        last_good_at=one.status.last_good_at,
        latency_ms=one.status.latency_ms,
        asked=one.status.polls,
        missed=one.status.missed,
        today=_today(one, report),
        remark=remark,
        remark_at=one.status.failing_since if troubled else None,
    )
