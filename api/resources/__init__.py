"""JSON resources below /api/v1, one file each."""

from fastapi import APIRouter, Depends

from api.resources import (
    adjustments,
    alarms,
    allocations,
    books,
    matching,
    operations,
    plans,
    receiving,
    session,
    settlements,
    statements,
    stations,
    subscriptions,
    tracing,
    upkeep,
    uptime,
)
from api.resources.problems import BEARER, problems

PREFIX = "/api/v1"
READ = (
    stations,
    adjustments,
    uptime,
    alarms,
    subscriptions,
    upkeep,
    settlements,
    tracing,
    matching,
    receiving,
    plans,
    allocations,
    statements,
    books,
    operations,
)


def routers() -> list[APIRouter]:
    """Return the router of every resource, below one prefix."""
    root = APIRouter(prefix=PREFIX)
    root.include_router(session.router, responses=problems(400, 422, 503))
    for resource in READ:
        described = problems(401, 403, 404, 422, 503)
        root.include_router(resource.router, dependencies=[Depends(BEARER)], responses=described)
    return [root]
