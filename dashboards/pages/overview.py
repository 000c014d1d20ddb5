"""The first screen: whether the stations run, and what this month still needs.

Owns what a county, township or village finds after logging in. Energy and states are `monitoring`'s, money
and the month's work are `distribution`'s; they meet here.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.alarm_words import money_for
from dashboards.freshness import Freshness, freshness
from dashboards.month_work import (
    MonthMoney,
    MonthWork,
    VillageWork,
    month_money,
    month_work,
    village_work,
    work_month,
)
from dashboards.web import reading, render, requires, services_of
from distribution.settlement.reads import settlements
from distribution.settlement.valuation import lost_fen
from monitoring.overview import county_overview, state_counts
from monitoring.states import NEEDS_ATTENTION
from monitoring.views import Attention, Overview, StateCount, StationView
from monitoring.work_orders.reads import OrderFilter, work_orders
from registry.actors import Actor, Permission, Role
from registry.divisions import division_name

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class AreaRow:
    """One township, or one village within one: stations by state, how many need somebody, today [Wh]."""

    code: str
    name: str
    stations: int
    abnormal: int
    counts: tuple[StateCount, ...]
    today_wh: int | None


@dataclass(frozen=True, slots=True)
class WorstLine:
    """One thing that needs a person, with what it cost so far [fen], its alarm and its work order.

    The addresses are empty where there is neither.
    """

    item: Attention
    lost_fen: int | None
    href: str
    order_href: str
    order_word: str


@dataclass(frozen=True, slots=True)
class OverviewView:
    """Everything on the first screen."""

    place: str
    freshness: Freshness
    overview: Overview
    today_change: float | None
    month_note: str
    area_word: str
    areas: tuple[AreaRow, ...]
    abnormal: int
    worst: tuple[WorstLine, ...]
    occurring: tuple[StateCount, ...]
    money: MonthMoney | None
    work: MonthWork | None


@dataclass(frozen=True, slots=True)
class VillageView:
    """The first screen of a village: its stations as cards, and where this month's money stands."""

    place: str
    freshness: Freshness
    overview: Overview
    work: VillageWork | None


@router.get("/")
def show_overview(request: Request, actor: Reader, session: Reading) -> HTMLResponse:
    """Show the first screen of the actor's area."""
    services = services_of(request)
    now = services.clock()
    overview = county_overview(session, services.series, actor, now)
    place = division_name(session, actor.area) if actor.area else services.site_name
    fresh, month = freshness(overview.data_time, now), work_month(now)
    if actor.role is Role.VILLAGE:
        view = VillageView(place, fresh, overview, village_work(session, actor, month))
        return render(request, "village_home.html", "我的电站", view=view)
    areas = _areas(overview.stations, by_village=len(overview.townships) <= 1)
    sees_money = actor.may(Permission.VIEW_MONEY)
    bills = settlements(session, actor, month=month) if sees_money else ()
    shown = OverviewView(
        place=place,
        freshness=fresh,
        overview=overview,
        today_change=None if overview.change_percent is None else overview.change_percent / 100,
        month_note="按逆变器计量，含今日" if overview.month_wh is not None else "本月还没有电量",
        area_word="各村" if len(overview.townships) <= 1 else "各乡镇",
        areas=areas,
        worst=_worst(session, actor, overview, now),
        occurring=tuple(count for count in overview.counts if count.stations),
        abnormal=sum(area.abnormal for area in areas),
        money=month_money(session, actor, month, bills) if sees_money else None,
        work=month_work(session, actor, month, bills) if sees_money else None,
    )
    return render(request, "overview.html", "总览", view=shown)


def _worst(session: Session, actor: Actor, overview: Overview, now: datetime) -> tuple[WorstLine, ...]:
    """Return what needs a person, with the money at the tariff in force and what is being done about it."""
    if not overview.attention:
        return ()
    tariffs = money_for(session, actor, now)
    orders = work_orders(session, actor, OrderFilter(open_only=True))
    lines = []
    for item in overview.attention:
        order = next((one for one in orders if item.alarm_id and one.alarm_id == item.alarm_id), None)
        lines.append(
            WorstLine(
                item,
                lost_fen(tariffs, item.station_id, item.lost_wh),
                f"/alarms/{item.alarm_id}" if item.alarm_id else f"/stations/{item.station_id}",
                f"/work-orders/{order.id}" if order else "",
                order.state_word if order else "",
            )
        )
    return tuple(lines)


def _areas(stations: tuple[StationView, ...], *, by_village: bool) -> tuple[AreaRow, ...]:
    grouped: dict[tuple[str, str], list[StationView]] = {}
    for one in stations:
        key = (one.village_code, one.village_name) if by_village else (one.township_code, one.township_name)
        grouped.setdefault(key, []).append(one)
    return tuple(
        AreaRow(
            code,
            name,
            len(members),
            sum(one.state in NEEDS_ATTENTION for one in members),
            state_counts(members),
            sum(one.today_wh for one in members if one.today_wh is not None)
            if any(one.today_wh is not None for one in members)
            else None,
        )
        for (code, name), members in sorted(grouped.items())
    )
