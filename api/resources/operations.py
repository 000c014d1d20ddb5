"""How the service itself is doing: connections of the collector, its balance, events."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from collector.runtime import Collector
from dashboards.web import NotFoundError, requires
from registry.actors import Actor, Permission

router = APIRouter(tags=["运行"])
Operator = Annotated[Actor, Depends(requires(Permission.VIEW_OPERATIONS))]


class ConnectionOut(BaseModel):
    """How one device's connection is doing; counts are since the collector started."""

    device_id: str
    address: str
    state: str
    label: str
    last_good_at: datetime | None
    last_error: str
    latency_ms: float | None
    polls: int
    missed: int


class BalanceOut(BaseModel):
    """Where every received sample is; the difference is 0 or something was lost."""

    published: int
    stored: int
    duplicates: int
    quarantined: int
    dropped: int
    waiting: int
    difference: int


def _collector(request: Request) -> Collector:
    collector: Collector | None = request.app.state.collector
    if collector is None:
        raise NotFoundError("collector")
    return collector


@router.get("/connections")
def connections(request: Request, actor: Operator) -> list[ConnectionOut]:
    """Return the connections to the devices of the area; 404 where this process does not collect."""
    return [
        ConnectionOut(
            device_id=one.link.device_id,
            address=one.link.address,
            state=one.state,
            label=one.label,
            last_good_at=one.last_good_at,
            last_error=one.last_error,
            latency_ms=one.latency_ms,
            polls=one.polls,
            missed=one.missed,
        )
        for one in _collector(request).connections()
        if actor.covers(one.link.division_code)
    ]


@router.get("/collector/balance", dependencies=[Depends(requires(Permission.VIEW_OPERATIONS))])
def balance(request: Request) -> BalanceOut:
    """Return where every received sample is."""
    found = _collector(request).status().balance
    return BalanceOut(
        published=found.published,
        stored=found.stored,
        duplicates=found.duplicates,
        quarantined=found.quarantined,
        dropped=found.dropped,
        waiting=found.waiting,
        difference=found.difference,
    )
