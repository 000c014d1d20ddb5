"""The match of a month with what operation knows: orders to curtail and wrong clocks.

Joins `monitoring` and `distribution`, which never see each other, for the page and the command line alike.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from dashboards.web import Services
from distribution.matching import Circumstances, match_month
from monitoring.alarms.kinds import AlarmKind
from monitoring.alarms.reads import AlarmFilter, alarms
from monitoring.calendar.dispatch import DispatchKind, DispatchRecord, dispatch_between
from registry.actors import Actor, area_prefix
from registry.stations import Device, Station, devices, stations
from store.periods import Period


def run_match(services: Services, actor: Actor, month: str) -> tuple[str, ...]:
    """Match a month of the actor's area; returns the differences that are new."""
    period = Period.parse(month)
    with services.database.reading() as session:
        around = circumstances(session, actor, period)
    return match_month(
        services.database, services.series, actor, month, services.clock(), circumstances=around
    )


def circumstances(session: Session, actor: Actor, period: Period) -> Circumstances:
    """Return what operation knows of a month: curtailment by station, and stations with a wrong clock."""
    places, known = stations(session, actor), devices(session, actor)
    orders: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for record in dispatch_between(session, period.start_utc, period.end_utc):
        if record.kind != DispatchKind.CURTAILMENT:
            continue
        span = _within(record, period)
        for station_id in _concerned(record.subject_id, places, known):
            orders[station_id].append(span)
    wrong = AlarmFilter(kinds=(AlarmKind.CLOCK,), since=period.start_utc, until=period.end_utc, grouped=True)
    clocks = frozenset(one.station_id for one in alarms(session, actor, wrong) if one.station_id)
    return Circumstances(orders, clocks)


def _within(record: DispatchRecord, period: Period) -> tuple[datetime, datetime]:
    end = period.end_utc if record.end is None else min(record.end, period.end_utc)
    return max(record.start, period.start_utc), end


def _concerned(subject_id: str, places: Iterable[Station], known: Iterable[Device]) -> set[str]:
    """Return the stations that an order for a station, a device or a division is about."""
    by_device = {one.id: one.station_id for one in known}
    if subject_id in by_device:
        return {by_device[subject_id]}
    prefix = area_prefix(subject_id) if subject_id.isdigit() else None
    return {
        one.id
        for one in places
        if one.id == subject_id or (prefix is not None and one.division_code.startswith(prefix))
    }
