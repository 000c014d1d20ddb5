"""The indicators of a month, per station and for the whole area.

Owns the bringing together of availability, yields, work orders and the registry. What is missing is None,
never 0; the words are in `definitions`, the tables in `sheets`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from monitoring.curves import StationYield, station_yields
from monitoring.uptime.causes import Hours, added, availability
from monitoring.uptime.evaluation import Evaluation, Question, areas, evaluate
from monitoring.uptime.results import AreaUptime, Level
from monitoring.work_orders.reads import (
    OrderFilter,
    Punctuality,
    WorkOrder,
    by_station,
    punctuality,
    work_orders,
)
from registry.actors import CODE_LENGTH, Actor
from registry.divisions import division_names
from registry.parameters import NoValueError, ParameterValue, Place, value_on
from registry.stations import Station, stations
from store.periods import Period, local_date
from store.problem import Problem, ProblemsError
from store.series import SeriesStore

REFERENCE = "typical_full_load_hours"


@dataclass(frozen=True, slots=True)
class Indicators:
    """The indicators of one station, or of all (`station_id` empty); shares are 0 to 1.

    `fault_rate`, `online_rate`, `capability`, `final_yield_h` [h] and `rank` are None where nothing is known.
    `covered` of `stations` have an O&M company; `completeness` is that of the energy.
    """

    station_id: str
    name: str
    village: str
    rated_power_w: int
    stations: int
    covered: int
    fault_rate: float | None
    online_rate: float | None
    punctuality: Punctuality
    capability: float | None
    energy_wh: int | None
    completeness: float
    final_yield_h: float | None
    rank: int | None = None

    @property
    def coverage(self) -> float | None:
        """运维覆盖率, None without stations."""
        return self.covered / self.stations if self.stations else None


@dataclass(frozen=True, slots=True)
class MonthlyIndicators:
    """The indicators of a month: every station of the area, all of them together, and what they rest on.

    `until` is the first day that is not counted any more; `references` are the typical full-load hours in
    force; `rules` the light rules used, in Chinese.
    """

    month: Period
    until: date
    rows: tuple[Indicators, ...]
    total: Indicators
    ranked: int
    references: tuple[ParameterValue, ...]
    rules: tuple[str, ...]

    @property
    def running(self) -> bool:
        """Whether the month still runs."""
        return self.until < self.month.end


def monthly_indicators(
    session: Session, series: SeriesStore, actor: Actor, month: Period, now: datetime
) -> MonthlyIndicators:
    """Return the indicators of the actor's stations in a month, up to `now` [UTC].

    Raises ProblemsError for a month that has not begun.
    """
    require_begun(month, now)
    evaluation = evaluate(session, series, actor, Question(month.start_utc, month.end_utc), now)
    return indicators_of(session, actor, evaluation, month, now)


def require_begun(month: Period, now: datetime) -> None:
    """Raise ProblemsError for a month that has not begun."""
    if month.start > local_date(now):
        raise ProblemsError([Problem("月份", f"{month.label}还没有开始", "选一个已经开始的月份")])


def indicators_of(
    session: Session, actor: Actor, evaluation: Evaluation, month: Period, now: datetime
) -> MonthlyIndicators:
    """Return the indicators of a month whose uptime was evaluated already."""
    today = local_date(now)
    places = stations(session, actor)
    uptimes = {one.key: one for one in areas(session, evaluation, Level.STATION)}
    due = OrderFilter(due=(month.start_utc, month.end_utc))
    orders = by_station(work_orders(session, actor, due))
    found = station_yields(session, month, today)
    references = _references(session, places, month)
    names = division_names(session)
    rows = tuple(
        _row(
            place,
            names,
            (uptimes.get(place.id), found[place.id], orders.get(place.id, [])),
            (month, references[_county(place)], now),
        )
        for place in places
    )
    return MonthlyIndicators(
        month=month,
        until=min(month.end, today),
        rows=rows,
        total=_total(rows, uptimes, [one for listed in orders.values() for one in listed], now),
        ranked=sum(one.rank is not None for one in found.values()),
        references=tuple({one.source: one for one in references.values() if one is not None}.values()),
        rules=tuple(sorted({rule for one in uptimes.values() for rule in one.rules})),
    )


def _references(
    session: Session, places: Sequence[Station], month: Period
) -> dict[str, ParameterValue | None]:
    """Return the typical full-load hours in force, by county code of 6 digits."""
    return {code: _reference(session, code, month) for code in sorted({_county(place) for place in places})}


def _county(place: Station) -> str:
    return place.division_code[:6]


def _reference(session: Session, county: str, month: Period) -> ParameterValue | None:
    where = Place(county.ljust(CODE_LENGTH, "0"))
    try:
        return value_on(REFERENCE, date(month.start.year, 1, 1), where, session=session)
    except NoValueError:
        return None


_Found = tuple[AreaUptime | None, StationYield, list[WorkOrder]]
_Frame = tuple[Period, ParameterValue | None, datetime]


def _row(place: Station, names: Mapping[str, str], found: _Found, frame: _Frame) -> Indicators:
    uptime, energy, orders = found
    month, reference, now = frame
    fault, online = _rates(uptime.weighted if uptime else Hours())
    return Indicators(
        station_id=place.id,
        name=place.name,
        village=names.get(place.division_code, ""),
        rated_power_w=place.rated_power_w,
        stations=1,
        covered=int(bool(place.maintenance_company)),
        fault_rate=fault,
        online_rate=online,
        punctuality=punctuality(orders, now),
        capability=_capability(energy, reference, month),
        energy_wh=energy.energy_wh,
        completeness=energy.completeness,
        final_yield_h=energy.final_yield_h,
        rank=energy.rank,
    )


def _rates(weighted: Hours) -> tuple[float | None, float | None]:
    """Return 故障率 and 在线率 of weighted hours."""
    result = availability(weighted)
    equipment = result.equipment.value
    return None if equipment is None else 1 - equipment, result.data


def _capability(energy: StationYield, reference: ParameterValue | None, month: Period) -> float | None:
    if reference is None or energy.final_yield_h is None or not energy.days:
        return None
    year = Period.year_of(month.start)
    return energy.final_yield_h / (float(reference.value) * energy.days / year.day_count)


def _total(
    rows: Sequence[Indicators], uptimes: Mapping[str, AreaUptime], orders: Sequence[WorkOrder], now: datetime
) -> Indicators:
    known = [row for row in rows if row.energy_wh is not None]
    rated = sum(row.rated_power_w for row in known)
    energy = sum(row.energy_wh for row in known if row.energy_wh is not None)
    able = [row for row in known if row.capability and row.final_yield_h is not None]
    expected = sum(
        row.rated_power_w * row.final_yield_h / row.capability
        for row in able
        if row.capability and row.final_yield_h
    )
    fault, online = _rates(added(one.weighted for one in uptimes.values()))
    return Indicators(
        station_id="",
        name="合计",
        village="",
        rated_power_w=sum(row.rated_power_w for row in rows),
        stations=len(rows),
        covered=sum(row.covered for row in rows),
        fault_rate=fault,
        online_rate=online,
        punctuality=punctuality(orders, now),
        capability=sum(row.energy_wh or 0 for row in able) / expected if expected else None,
        energy_wh=energy if known else None,
        completeness=sum(row.completeness for row in rows) / len(rows) if rows else 0.0,
        final_yield_h=energy / rated if rated else None,
    )
