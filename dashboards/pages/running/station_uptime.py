"""When one station ran, when not and why: availability by cause and a timeline of states, over chosen days.

Owns the page. Hours, states and outages are `monitoring.uptime`'s; the money is the tariff's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from dashboards.alarm_words import money_for
from dashboards.moments import Span, asked_span
from dashboards.timeline import Timeline, timeline
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from distribution.settlement.valuation import Tariff, lost_fen
from monitoring.reports.availability import range_words
from monitoring.states import LOOKS, StateLook, StationState
from monitoring.uptime.causes import CAUSE_LABELS, Cause
from monitoring.uptime.evaluation import Evaluation, Question, evaluate
from monitoring.uptime.results import AreaUptime, Level, Outage, StateInterval, area_uptime
from registry.actors import Actor, Permission
from registry.stations import devices, station
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_DAYS = 7
_SHOWN = 300
_TONES = {
    Cause.RUNNING: "normal",
    Cause.FORCED: "fault",
    Cause.GRID: "grid_outage",
    Cause.ORDERED: "curtailed",
    Cause.PLANNED: "planned",
    Cause.MAJEURE: "offline",
    Cause.UNKNOWN: "unknown",
}


class Asked(BaseModel):
    """The days that the address asks for."""

    first: str = Field("", alias="from", max_length=10)
    last: str = Field("", alias="to", max_length=10)


@dataclass(frozen=True, slots=True)
class CauseLine:
    """Time with light by one cause: 台时 [h], its share, and how it looks."""

    label: str
    tone: str
    hours: float
    share: float
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class IntervalLine:
    """One state of one device in the table."""

    device: str
    interval: StateInterval
    look: StateLook
    state: StationState


@dataclass(frozen=True, slots=True)
class OutageLine:
    """One outage, with the money that it cost [fen] where that is known."""

    device: str
    outage: Outage
    cause: str
    lost_wh: int | None
    lost_fen: int | None


@dataclass(frozen=True, slots=True)
class StationUptimeView:
    """Everything on the page."""

    station_id: str
    span: Span
    equipment: str
    all_causes: str
    data: float | None
    rules: tuple[str, ...]
    causes: tuple[CauseLine, ...]
    timeline: Timeline | None
    intervals: tuple[IntervalLine, ...]
    hidden: int
    outages: tuple[OutageLine, ...]
    problems: tuple[Problem, ...] = ()


@router.get("/stations/{station_id}/uptime")
def show_station_uptime(
    request: Request, actor: Reader, session: Reading, station_id: str, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show when a station of the actor's area ran over the chosen days."""
    services = services_of(request)
    place = station(session, actor, station_id)
    if place is None:
        raise NotFoundError(station_id)
    now = services.clock()
    problems: tuple[Problem, ...] = ()
    try:
        span = asked_span(asked.first, asked.last, now, _DAYS)
    except ProblemsError as wrong:
        span, problems = asked_span("", "", now, _DAYS), wrong.problems
    question = Question(span.start_utc, span.end_utc, station_id=station_id, intervals=True)
    evaluation = evaluate(session, services.series, actor, question, now)
    names = {one.id: one.name for one in devices(session, actor, station_id)}
    view = _view((station_id, span, problems), evaluation, names, money_for(session, actor, now))
    crumbs = (Crumb("电站", "/stations"), Crumb(place.name, f"/stations/{station_id}"))
    response = render(request, "running/station_uptime.html", "运行情况", crumbs=crumbs, view=view)
    response.status_code = 422 if problems else 200
    return response


def _view(
    asked: tuple[str, Span, tuple[Problem, ...]],
    evaluation: Evaluation,
    names: Mapping[str, str],
    tariffs: Mapping[str, Tariff],
) -> StationUptimeView:
    station_id, span, problems = asked
    total = area_uptime(Level.STATION, station_id, "", evaluation.devices)
    shown = {one.device_id: names.get(one.device_id, one.device_id) for one in evaluation.devices}
    states = {one.device_id: one.intervals for one in evaluation.devices}
    lines = _interval_lines(shown, states)
    return StationUptimeView(
        station_id=station_id,
        span=span,
        equipment=range_words(total.availability.equipment),
        all_causes=range_words(total.availability.all_causes),
        data=total.availability.data,
        rules=total.rules,
        causes=_causes(total),
        timeline=timeline(shown, states, (evaluation.start, evaluation.end)) if shown else None,
        intervals=tuple(lines[:_SHOWN]),
        hidden=max(0, len(lines) - _SHOWN),
        outages=tuple(_outage(one, shown, station_id, tariffs) for one in evaluation.outages()),
        problems=problems,
    )


def _causes(total: AreaUptime) -> tuple[CauseLine, ...]:
    hours, lines, x = total.hours, [], 0.0
    for cause, value in hours.with_light.items():
        if value > 0 and hours.use > 0:
            width = round(1000 * value / hours.use, 2)
            lines.append(CauseLine(CAUSE_LABELS[cause], _TONES[cause], value, value / hours.use, x, width))
            x = round(x + width, 2)
    return tuple(lines)


def _interval_lines(
    names: Mapping[str, str], states: Mapping[str, Sequence[StateInterval]]
) -> list[IntervalLine]:
    """Return the intervals of all devices, the newest first."""
    lines = [
        IntervalLine(name, one, LOOKS[one.state], one.state)
        for key, name in names.items()
        for one in states.get(key, ())
    ]
    return sorted(lines, key=_newest)


def _newest(line: IntervalLine) -> tuple[datetime, str]:
    return datetime.fromtimestamp(-line.interval.start.timestamp(), line.interval.start.tzinfo), line.device


def _outage(
    outage: Outage, names: Mapping[str, str], station_id: str, tariffs: Mapping[str, Tariff]
) -> OutageLine:
    return OutageLine(
        device=names.get(outage.device_id, outage.device_id),
        outage=outage,
        cause=CAUSE_LABELS[outage.cause],
        lost_wh=None if outage.lost_wh is None else round(outage.lost_wh),
        lost_fen=lost_fen(tariffs, station_id, outage.lost_wh),
    )
