"""Pages for people: server-rendered, in Chinese, usable without JavaScript."""

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Return the routers of every page; the application mounts them without a prefix."""
    from dashboards.pages import ROUTERS

    return list(ROUTERS)
