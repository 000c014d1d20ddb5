"""How the service itself is doing: connections of the collector, its balance, events."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.door import COLLECTOR_FILE, ask_running_service
from collector.reports import collector_reports, connection_counts, connection_reports, refused_callers
from collector.runtime import Collector
from dashboards.web import NotFoundError, reading, requires, services_of
from registry.actors import Actor, Permission

router = APIRouter(tags=["运行"])
Reading = Annotated[Session, Depends(reading)]
Operator = Annotated[Actor, Depends(requires(Permission.VIEW_OPERATIONS))]


class ConnectionOut(BaseModel):
    """How one device's connection is doing; counts are since the collector started, the last two of today.

    `collector` names who reported it, and `collector_silent` says that it has stopped reporting, so that the
    state is of an earlier time. A device that two collectors have heard stands here twice.
    """

    device_id: str
    station_id: str
    transport: str
    address: str
    state: str
    label: str
    last_good_at: datetime | None
    last_error: str
    last_error_at: datetime | None
    failing_since: datetime | None
    latency_ms: float | None
    polls: int
    missed: int
    skipped: int
    requests_today: int
    bytes_today: int
    collector: str
    collector_silent: bool


class CollectorOut(BaseModel):
    """A collector: when it reported last, since when it runs, whether it has fallen silent."""

    name: str
    reported_at: datetime
    started_at: datetime
    silent: bool
    dial_in_port: int
    connections: int


class RefusedCallerOut(BaseModel):
    """A DTU that called and was not let in; `packet` is as it would be registered."""

    peer: str
    packet: str
    reason: str
    first_at: datetime
    last_at: datetime
    count: int


class BalanceOut(BaseModel):
    """Where every received sample is; the difference is 0 or something was lost."""

    published: int
    stored: int
    duplicates: int
    quarantined: int
    dropped: int
    waiting: int
    difference: int


@router.get("/connections")
def connections(actor: Operator, session: Reading, request: Request) -> list[ConnectionOut]:
    """Return the connections to the devices of the area as the collectors last reported them, worst first."""
    return [
        ConnectionOut(
            device_id=one.device.id,
            station_id=one.station.id,
            transport=one.device.transport,
            address=one.status.link.address,
            state=one.status.state,
            label=one.label,
            last_good_at=one.status.last_good_at,
            last_error=one.status.last_error,
            last_error_at=one.status.last_error_at,
            failing_since=one.status.failing_since,
            latency_ms=one.status.latency_ms,
            polls=one.status.polls,
            missed=one.status.missed,
            skipped=one.status.skipped,
            requests_today=one.status.requests,
            bytes_today=one.status.bytes_exchanged,
            collector=one.collector,
            collector_silent=one.silent,
        )
        for one in connection_reports(session, actor, services_of(request).clock())
    ]


@router.get("/collectors")
def collectors(_actor: Operator, session: Reading, request: Request) -> list[CollectorOut]:
    """Return every collector that has reported within a week, by name."""
    now, counts = services_of(request).clock(), connection_counts(session)
    return [
        CollectorOut(
            name=one.name,
            reported_at=one.at,
            started_at=one.started_at,
            silent=one.is_silent(now),
            dial_in_port=one.dial_in_port,
            connections=sum(count for (name, _), count in counts.items() if name == one.name),
        )
        for one in collector_reports(session)
    ]


@router.get("/collector/refused-callers")
def refused(actor: Operator, session: Reading) -> list[RefusedCallerOut]:
    """Return the DTUs that called and were not let in, the latest first."""
    return [
        RefusedCallerOut(
            peer=one.peer,
            packet=one.packet,
            reason=one.reason,
            first_at=one.first_at,
            last_at=one.last_at,
            count=one.count,
        )
        for one in refused_callers(session, actor)
    ]


@router.get("/collector/balance", dependencies=[Depends(requires(Permission.VIEW_OPERATIONS))])
def balance(request: Request) -> BalanceOut:
    """Return where every received sample is, in the collector of this process or of this data directory."""
    collector: Collector | None = request.app.state.collector
    if collector is not None:
        found = collector.status().balance
        return BalanceOut(difference=found.difference, **asdict(found))
    told = ask_running_service(
        services_of(request).data_dir, "collector-balance", {}, file_name=COLLECTOR_FILE
    )
    if told is None:
        raise NotFoundError("collector")
    return BalanceOut.model_validate(told.rows[0])
