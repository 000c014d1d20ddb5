"""Operational events: recorded once, read by area, never changed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from store.events import Event, EventFilter, EventKind, Severity, recent, record

NOW = datetime(2026, 10, 5, 4, 0, tzinfo=UTC)


def event(number: int = 0, **changes) -> Event:
    given = {
        "at": NOW + timedelta(minutes=number),
        "kind": EventKind.COMMUNICATION,
        "severity": Severity.WARNING,
        "subject_kind": "device",
        "subject_id": f"d{number}",
        "message": "连不上采集器",
        "division_code": "520499100201",
        "detail": {"host": "10.0.0.1", "attempts": 3},
    }
    return Event(**(given | changes))


def test_an_event_comes_back_as_it_was_recorded(database):
    with database.transaction() as session:
        identifier = record(session, event())
    with database.reading() as session:
        assert recent(session) == [event(id=identifier)]


def test_the_same_event_is_recorded_once(database):
    with database.transaction() as session:
        assert record(session, event(id="down-d1")) == record(session, event(3, id="down-d1"))
        assert recent(session) == [event(id="down-d1")]


def test_the_newest_events_come_first_and_are_limited(database):
    with database.transaction() as session:
        for number in (2, 0, 3, 1):
            record(session, event(number))
        assert [item.subject_id for item in recent(session, 3)] == ["d3", "d2", "d1"]


@pytest.mark.parametrize(
    ("only", "subjects"),
    [
        (EventFilter(kinds=[EventKind.IMPORT]), {"file"}),
        (EventFilter(severities=[Severity.ERROR]), {"file"}),
        (EventFilter(subject=("device", "d1")), {"d1"}),
        (EventFilter(area_prefix="520499100"), {"d1"}),
        (EventFilter(area_prefix="520499"), {"d1", "d2"}),
        (EventFilter(area_prefix="5204991%"), set()),
        (EventFilter(since=NOW + timedelta(minutes=2)), {"d2", "file"}),
        (EventFilter(), {"d1", "d2", "file"}),
    ],
)
def test_events_are_chosen_by_what_they_are_about(database, only, subjects):
    with database.transaction() as session:
        record(session, event(1))
        record(session, event(2, division_code="520499200203"))
        record(
            session,
            event(3, kind=EventKind.IMPORT, severity=Severity.ERROR, subject_id="file", division_code=""),
        )
    with database.reading() as session:
        assert {item.subject_id for item in recent(session, only=only)} == subjects


@pytest.mark.parametrize(
    "statement", ["UPDATE operational_event SET message = 'x'", "DELETE FROM operational_event"]
)
@pytest.mark.parametrize("kind", ["database", "postgres"])
def test_the_database_refuses_to_change_an_event(request, kind, statement):
    database = request.getfixturevalue(kind)
    with database.transaction() as session:
        record(session, event())
    with pytest.raises(DatabaseError, match="append-only"), database.transaction() as session:
        session.execute(text(statement))
