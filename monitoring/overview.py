"""The first screen: counts by state that add up, energy, and what needs a person, worst first.

Owns the order and the sentences. Money is added by the page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from statistics import median

from sqlalchemy.orm import Session

from monitoring.alarms.kinds import STANDSTILL, AlarmKind
from monitoring.alarms.reads import Alarm, AlarmFilter, alarms
from monitoring.energy import daily_energy, known_sum
from monitoring.snapshot import station_views
from monitoring.states import (
    DISPLAY_ORDER,
    LOOKS,
    NEEDS_ATTENTION,
    Opinion,
    StationState,
    duration_words,
)
from monitoring.uptime.present import working_inverters
from monitoring.views import Attention, InverterView, Overview, StateCount, StationView, TownshipRow
from registry.actors import SYSTEM, Actor
from store.periods import local_date
from store.series import SeriesStore

ATTENTION_LINES = 10
_LOST_DAYS = 30
_VERBS = {
    StationState.FAULT: "停机",
    StationState.GRID_OUTAGE: "电网停电",
    StationState.OFFLINE: "通信中断",
    StationState.WARNING: "告警",
}


def state_counts(views: Iterable[StationView]) -> tuple[StateCount, ...]:
    """Return how many stations are in each state, all nine states in reading order."""
    listed = list(views)
    return tuple(
        StateCount(
            state,
            LOOKS[state],
            sum(view.state is state for view in listed),
            sum(view.rated_power_w for view in listed if view.state is state),
        )
        for state in DISPLAY_ORDER
    )


@dataclass(frozen=True, slots=True)
class _Yields:
    """The county's median yield [Wh per W rated] of each closed day, and of today so far."""

    days: Mapping[date, float]
    today: float | None

    def lost_wh(self, rated_power_w: int, since: datetime, today: date) -> int | None:
        """Return what a device would have generated since a day, as its neighbours did; None if unknown."""
        first = local_date(since) + timedelta(days=1)
        days = [self.days.get(first + timedelta(days=n)) for n in range(max(0, (today - first).days))]
        known = [figure for figure in (*days, self.today) if figure is not None]
        return round(rated_power_w * sum(known)) if known else None


def _median_yields(session: Session, views: Sequence[StationView], today: date) -> _Yields:
    everyone = working_inverters(session, SYSTEM, today)
    rated = {device.id: device.rated_power_w for device in everyone if device.rated_power_w}
    energies = daily_energy(session, list(rated), today - timedelta(days=_LOST_DAYS), today)
    by_day: dict[date, list[float]] = {}
    for (device_id, day), energy in energies.items():
        if energy.energy_wh is not None:
            by_day.setdefault(day, []).append(energy.energy_wh / rated[device_id])
    present = [
        inverter.today_wh / inverter.rated_power_w
        for view in views
        for inverter in view.inverters
        if inverter.today_wh is not None and inverter.rated_power_w
    ]
    return _Yields(
        {day: median(figures) for day, figures in by_day.items()}, median(present) if present else None
    )


def _sentence(view: StationView, name: str, opinion: Opinion, now: datetime) -> str:
    where = view.name.removesuffix("电站").removesuffix("光伏") or view.village_name
    verb = _VERBS[opinion.state]
    if opinion.since is not None:
        lasting = f"{verb} {duration_words(now - opinion.since)}"
    elif opinion.state is StationState.FAULT:
        lasting = f"{verb} 30 天以上"
    else:
        lasting = verb
    detail = f"（{opinion.reason}）" if opinion.state in {StationState.WARNING, StationState.FAULT} else ""
    return f"{where} {name} {lasting}{detail}"


_ALARMS = {
    StationState.FAULT: STANDSTILL,
    StationState.GRID_OUTAGE: frozenset({AlarmKind.GRID_OUTAGE}),
    StationState.OFFLINE: frozenset({AlarmKind.COMMUNICATION}),
}
"""The alarms that tell of a state."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known beside the present states: the neighbours' yields, and the open alarms by subject."""

    yields: _Yields
    alarms: Mapping[tuple[str, str], Sequence[Alarm]]

    def alarm_of(self, station_id: str, device_id: str, state: StationState) -> Alarm | None:
        """Return the open alarm that tells of a state of a device, or of the whole station."""
        kinds = _ALARMS.get(state, frozenset())
        told = (*self.alarms.get((station_id, device_id), ()), *self.alarms.get((station_id, ""), ()))
        return next((one for one in told if one.kind in kinds), None)


def _known(session: Session, views: Sequence[StationView], now: datetime) -> _Known:
    mine = {view.station_id for view in views}
    found: dict[tuple[str, str], list[Alarm]] = {}
    for one in alarms(session, SYSTEM, AlarmFilter(open_only=True, grouped=True)):
        if one.station_id in mine:
            found.setdefault((one.station_id, one.device_id), []).append(one)
    return _Known(_median_yields(session, views, local_date(now)), found)


def _lines(view: StationView, known: _Known, now: datetime) -> Iterable[Attention]:
    """Yield one line per station where all of it is concerned, else one per inverter concerned."""
    bad = [item for item in view.inverters if item.opinion.state in NEEDS_ATTENTION]
    if bad and len(bad) == len(view.inverters) and len({item.opinion.state for item in bad}) == 1:
        yield _line(view, None, known, now)
    else:
        for inverter in bad:
            yield _line(view, inverter, known, now)


def _line(view: StationView, inverter: InverterView | None, known: _Known, now: datetime) -> Attention:
    opinion = inverter.opinion if inverter else view.opinion
    if inverter is None and opinion.since is None:
        begins = [item.opinion.since for item in view.inverters if item.opinion.since]
        opinion = replace(opinion, since=min(begins, default=None))
    if inverter is None and view.inverters:
        opinion = replace(opinion, reason=view.inverters[0].opinion.reason)
    told = known.alarm_of(view.station_id, inverter.device_id if inverter else "", opinion.state)
    if told is not None:
        opinion = replace(opinion, since=told.opened_at)
    rated = inverter.rated_power_w if inverter else view.rated_power_w
    stopped = opinion.state in {StationState.FAULT, StationState.GRID_OUTAGE}
    lost = known.yields.lost_wh(rated, opinion.since, local_date(now)) if stopped and opinion.since else None
    if told is not None and told.lost_energy_wh is not None:
        lost = told.lost_energy_wh
    return Attention(
        station_id=view.station_id,
        device_id=inverter.device_id if inverter else "",
        village_code=view.village_code,
        state=opinion.state,
        look=opinion.look,
        sentence=_sentence(view, inverter.name if inverter else "全站", opinion, now),
        since=opinion.since,
        lost_wh=lost,
        maintenance_company=view.maintenance_company,
        maintenance_phone=view.maintenance_phone,
        alarm_id=told.id if told else "",
    )


def attention_lines(
    session: Session, views: Sequence[StationView], now: datetime, limit: int = ATTENTION_LINES
) -> tuple[Attention, ...]:
    """Return what needs a person, worst first: by state, then by energy lost, then by duration."""
    if not any(item.opinion.state in NEEDS_ATTENTION for view in views for item in view.inverters):
        return ()
    known = _known(session, views, now)
    lines = [line for view in views for line in _lines(view, known, now)]
    lines.sort(key=lambda line: (line.look.rank, -(line.lost_wh or 0), line.since or now, line.station_id))
    return tuple(lines[:limit])


def _townships(views: Sequence[StationView]) -> tuple[TownshipRow, ...]:
    grouped: dict[str, list[StationView]] = {}
    for view in views:
        grouped.setdefault(view.township_code, []).append(view)
    return tuple(
        TownshipRow(
            code=code,
            name=group[0].township_name,
            stations=len(group),
            counts=state_counts(group),
            rated_power_w=sum(view.rated_power_w for view in group),
            today_wh=known_sum(view.today_wh for view in group),
            month_wh=known_sum(view.month_wh for view in group),
        )
        for code, group in sorted(grouped.items())
    )


def county_overview(session: Session, series: SeriesStore, actor: Actor, now: datetime) -> Overview:
    """Return the first screen of the actor's area at `now` [UTC]; the counts add up to the total."""
    views = station_views(session, series, actor, now)
    powers = [view.active_power_w for view in views if view.active_power_w is not None]
    return Overview(
        at=now,
        data_time=max((view.last_time for view in views if view.last_time), default=None),
        total=len(views),
        counts=state_counts(views),
        rated_power_w=sum(view.rated_power_w for view in views),
        active_power_w=sum(powers) if powers else None,
        today_wh=known_sum(view.today_wh for view in views),
        yesterday_same_time_wh=known_sum(
            view.yesterday_same_time_wh for view in views if view.today_wh is not None
        ),
        month_wh=known_sum(view.month_wh for view in views),
        attention=attention_lines(session, views, now),
        townships=_townships(views),
        stations=views,
    )
