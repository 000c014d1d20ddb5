"""The list of stations, by state, area and search.

Owns the filters and the order: what needs somebody comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.freshness import Freshness, freshness
from dashboards.paging import Pager, paged
from dashboards.web import reading, render, requires, services_of
from monitoring.overview import county_overview
from monitoring.views import StateCount, StationView
from registry.actors import Actor, Permission
from registry.divisions import Division, DivisionLevel, divisions
from registry.stations import stations

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]


class Asked(BaseModel):
    """What the address asks for: a state, an area's code, a part of a name or account number, a page."""

    state: str = ""
    area: str = ""
    q: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class StationsView:
    """The filters in force and one page of stations."""

    freshness: Freshness
    total: int
    counts: tuple[StateCount, ...]
    state: str
    area: str
    areas: Sequence[Division]
    wanted: str
    rows: Sequence[StationView]
    pager: Pager


@router.get("/stations")
def show_stations(
    request: Request, actor: Reader, session: Reading, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show the stations that pass the filters, worst first."""
    services = services_of(request)
    now = services.clock()
    overview = county_overview(session, services.series, actor, now)
    accounts = {one.id: one.account_number or "" for one in stations(session, actor)}
    wanted = asked.q.strip()
    found = [
        one
        for one in overview.stations
        if (not asked.state or one.state == asked.state)
        and one.village_code.startswith(asked.area.rstrip("0"))
        and (wanted in one.name or wanted in one.village_name or wanted in accounts.get(one.station_id, ""))
    ]
    found.sort(key=lambda one: (one.look.rank, one.village_code, one.name))
    rows, pager = paged(
        found, asked.page, "/stations", {"state": asked.state, "area": asked.area, "q": wanted}
    )
    view = StationsView(
        freshness=freshness(overview.data_time, now),
        total=overview.total,
        counts=overview.counts,
        state=asked.state,
        area=asked.area,
        areas=divisions(session, actor, DivisionLevel.TOWNSHIP),
        wanted=wanted,
        rows=rows,
        pager=pager,
    )
    return render(request, "stations.html", "电站", view=view)
