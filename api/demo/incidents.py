"""What the collector would have reported in the demo's past: lost and recovered communication.

Owns the operational events that belong to the story's communication gaps; live ones are the collector's
own. An event is recorded once, however often the demo is topped up.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from api.demo.county import County
from api.demo.story import FactKind
from registry.stations import Station
from store.events import Event, EventKind, Severity, record

_NOTICED_AFTER = timedelta(minutes=10)


def record_incidents(session: Session, county: County, now: datetime) -> None:
    """Record the events of the story that lie before `now`."""
    for event in incidents(county):
        if event.at <= now:
            record(session, event)


def incidents(county: County) -> Iterator[Event]:
    """Yield what a collector reports of the story's gaps: when each was noticed, and when it ended."""
    for number, fact in enumerate(county.story.of(FactKind.COMMUNICATION_GAP)):
        station = county.station_in(fact)
        noticed = fact.start + _NOTICED_AFTER
        lost = f"{station.name}通信中断：{fact.text}"
        hours = (fact.end - fact.start) // timedelta(hours=1)
        back = f"{station.name}通信恢复，中断约 {hours} 小时"
        yield _event(station, f"demo_gap_{number}_lost", (noticed, lost, Severity.WARNING))
        yield _event(station, f"demo_gap_{number}_back", (fact.end, back, Severity.INFO))


def _event(station: Station, identifier: str, told: tuple[datetime, str, Severity]) -> Event:
    at, message, severity = told
    return Event(
        at=at,
        kind=EventKind.COMMUNICATION,
        severity=severity,
        subject_kind="station",
        subject_id=station.id,
        message=message,
        division_code=station.division_code,
        id=identifier,
    )
