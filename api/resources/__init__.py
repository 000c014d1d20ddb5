"""JSON resources below /api/v1, one file each."""

from fastapi import APIRouter

from api.resources import operations, session, stations

PREFIX = "/api/v1"


def routers() -> list[APIRouter]:
    """Return the router of every resource, below one prefix."""
    root = APIRouter(prefix=PREFIX)
    for resource in (session, stations, operations):
        root.include_router(resource.router)
    return [root]
