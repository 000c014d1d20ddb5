"""JSON resources below /api/v1, one file each."""

from fastapi import APIRouter

from api.resources import allocations, operations, session, settlements, statements, stations

PREFIX = "/api/v1"
RESOURCES = (session, stations, settlements, allocations, statements, operations)


def routers() -> list[APIRouter]:
    """Return the router of every resource, below one prefix."""
    root = APIRouter(prefix=PREFIX)
    for resource in RESOURCES:
        root.include_router(resource.router)
    return [root]
