"""One station: whether it runs and why not, its curves, its inverters, its money.

Owns the station page. Figures of energy are `monitoring`'s; amounts are `distribution.settlement`'s, by
the grid company's meter; the two stand side by side and are never mixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.charts import energy_chart, power_chart
from dashboards.filters import clock_time, day, duration, kilowatt, kwh
from dashboards.freshness import Freshness, freshness
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from distribution.statement.records import StationMonth
from distribution.statement.station import station_money
from monitoring.curves import EnergyBar, day_bars, day_curves, month_bars, yield_rank
from monitoring.snapshot import station_view
from monitoring.views import InverterView, StationView
from registry.actors import Actor, Permission
from registry.divisions import division_names
from registry.stations import Station, revenue_meters, shares, station
from store.events import Event, EventFilter, recent
from store.periods import Period, local_date

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_KINDS = {
    "village": "村级电站",
    "joint": "联村电站",
    "household_group": "户用电站",
    "agri_pv": "农光互补电站",
    "ground": "集中式电站",
}
_MODES = {"full": "全额上网", "surplus": "自发自用、余电上网"}
_MONEY_MONTHS = 12
_DAYS = 31


@dataclass(frozen=True, slots=True)
class InverterRow:
    """One inverter of the table: what it is, how it runs, and when it was last heard of."""

    shown: InverterView
    final_yield_h: float | None
    seen: str


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """One month of a station's money, beside what its inverters measured [Wh]."""

    billed: StationMonth
    generated_energy_wh: int | None


@dataclass(frozen=True, slots=True)
class StationPageView:
    """Everything on the station page."""

    station: StationView
    freshness: Freshness
    today_change: float | None
    month_note: str
    rank_note: str
    power_chart: dict[str, Any] | None
    day_chart: dict[str, Any]
    month_chart: dict[str, Any]
    inverters: tuple[InverterRow, ...]
    money: tuple[MoneyRow, ...] | None
    facts: tuple[tuple[str, str], ...]
    shares: tuple[tuple[str, str], ...]
    events: Sequence[Event]


@router.get("/stations/{station_id}")
def show_station(request: Request, actor: Reader, session: Reading, station_id: str) -> HTMLResponse:
    """Show one station of the actor's area; any other is not found."""
    services = services_of(request)
    now = services.clock()
    shown = station_view(session, services.series, actor, station_id, now)
    place = station(session, actor, station_id)
    if shown is None or place is None:
        raise NotFoundError(station_id)
    curves = day_curves(session, services.series, actor, station_id, now)
    days, months = (
        day_bars(session, actor, station_id, now, _DAYS),
        month_bars(session, actor, station_id, now),
    )
    view = StationPageView(
        station=shown,
        freshness=freshness(shown.last_time, now),
        today_change=_change(shown),
        month_note=_month_note(months),
        rank_note=_rank_note(session, actor, station_id, now),
        power_chart=power_chart(curves) if curves else None,
        day_chart=energy_chart(days, "每日发电", [_day_label(bar) for bar in days], 3),
        month_chart=energy_chart(months, "每月发电", [_month_label(bar) for bar in months], 1),
        inverters=tuple(_inverter(one, now) for one in shown.inverters),
        money=_money(session, actor, station_id, months) if actor.may(Permission.VIEW_MONEY) else None,
        facts=_facts(session, actor, place, shown),
        shares=_shares(session, station_id, now),
        events=recent(session, 12, EventFilter(subject=("station", station_id))),
    )
    return render(request, "station.html", shown.name, crumbs=(Crumb("电站", "/stations"),), view=view)


def _change(shown: StationView) -> float | None:
    if shown.today_wh is None or not shown.yesterday_same_time_wh:
        return None
    return shown.today_wh / shown.yesterday_same_time_wh - 1


def _month_note(months: Sequence[EnergyBar]) -> str:
    previous = months[-2].energy_wh if len(months) > 1 else None
    return f"上月 {kwh(previous)} 千瓦时" if previous is not None else "上月没有电量"


def _rank_note(session: Session, actor: Actor, station_id: str, now: datetime) -> str:
    found = yield_rank(session, actor, station_id, Period.month_of(now))
    if found is None or found.rank is None:
        return "本月还没有排名"
    return f"本月排全县第 {found.rank} 名，共 {found.stations} 座"


def _day_label(bar: EnergyBar) -> str:
    start = Period.parse(bar.period).start
    return f"{start.month}月{start.day}日"


def _month_label(bar: EnergyBar) -> str:
    start = Period.parse(bar.period).start
    return f"{start.month}月"


def _inverter(one: InverterView, now: datetime) -> InverterRow:
    hours = None if one.today_wh is None or not one.rated_power_w else one.today_wh / one.rated_power_w
    if one.last_time is None:
        seen = "从未"
    elif now - one.last_time > timedelta(hours=12):
        seen = f"{duration(now - one.last_time)}前"
    else:
        seen = clock_time(one.last_time)
    return InverterRow(one, hours, seen)


def _money(
    session: Session, actor: Actor, station_id: str, months: Sequence[EnergyBar]
) -> tuple[MoneyRow, ...]:
    generated = {bar.period: bar.energy_wh for bar in months}
    return tuple(
        MoneyRow(one, generated.get(one.month))
        for one in station_money(session, actor, station_id)[:_MONEY_MONTHS]
    )


def _facts(session: Session, actor: Actor, place: Station, shown: StationView) -> tuple[tuple[str, str], ...]:
    dc = f"（组件 {kilowatt(place.dc_power_w)} 千瓦）" if place.dc_power_w else ""
    meters = [one for one in revenue_meters(session, actor, place.id) if one.removed_on is None]
    facts = (
        ("类型", _KINDS.get(place.kind, "其他")),
        ("所在地", f"{shown.township_name} {shown.village_name}"),
        ("村代码", place.division_code),
        ("容量", f"{kilowatt(place.rated_power_w)} 千瓦{dc}"),
        ("并网日期", day(place.grid_connected_on)),
        ("上网方式", _MODES.get(place.on_grid_mode, "")),
        ("户号", place.account_number or ""),
        ("关口表", "、".join(f"{one.meter_number}（倍率 {one.meter_multiplier}）" for one in meters)),
        ("补贴目录", place.subsidy_list_status),
        ("运维单位", f"{place.maintenance_company} {place.maintenance_phone}".strip()),
    )
    return tuple((name, value) for name, value in facts if value)


def _shares(session: Session, station_id: str, now: datetime) -> tuple[tuple[str, str], ...]:
    parts = shares(session, station_id, local_date(now))
    names, total = division_names(session), sum(part.weight for part in parts)
    return tuple(
        (names.get(part.village_code, part.village_code), f"{part.weight} / {total}") for part in parts
    )
