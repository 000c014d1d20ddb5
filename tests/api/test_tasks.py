"""What the scheduler does by itself, over a small seeded county."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from api.tasks import CLOSE, VERIFY, handlers, tasks
from dashboards.web import Services
from distribution.approval.runs import runs
from registry.actors import SYSTEM
from store.db import Database, open_database
from store.events import EventFilter, Severity, recent
from store.jobs import JobState, NewJob, find, run_next, submit
from tests.api.conftest import County


@pytest.fixture
def services(county: County, tmp_path: Path) -> Iterator[Services]:
    """The seeded county with a database of its own, so that it may be changed."""
    copy = tmp_path / "copy.sqlite3"
    with (
        closing(sqlite3.connect(county.folder / "sunledger.sqlite3")) as source,
        closing(sqlite3.connect(copy)) as to,
    ):
        source.backup(to)
    database = open_database(f"sqlite:///{copy}")
    yield replace(county.services, database=database)
    database.close()


def do(services: Services, kind: str, key: str, payload: dict[str, str]) -> str:
    with services.database.transaction() as session:
        submit(session, NewJob(key, kind, payload), services.clock())
    assert run_next(services.database, "worker", services.clock, handlers(services))
    with services.database.reading() as session:
        found = find(session, key)
    assert found is not None
    assert found.state is JobState.DONE, found.error
    return found.result


def states(database: Database, month: str) -> list[tuple[str, str, str]]:
    with database.reading() as session:
        return [(one.book, one.state, one.content_hash) for one in runs(session, SYSTEM, period=month)]


@pytest.mark.parametrize("task", tasks(), ids=lambda task: task.kind)
def test_every_task_has_a_handler_and_a_payload(task, services: Services) -> None:
    assert task.kind in handlers(services)
    assert task.payload(datetime(2026, 11, 25, 3, 30, tzinfo=UTC))


def test_the_month_is_taken_on_only_as_far_as_people_decided(services: Services) -> None:
    month = "2026-10"
    before = states(services.database, month)
    assert before
    assert "4 个村" in do(services, CLOSE, "close-1", {"month": month})
    assert states(services.database, month) == before
    assert "4 个村" in do(services, CLOSE, "close-2", {"month": month})
    assert states(services.database, month) == before


def test_whole_books_are_found_whole(services: Services) -> None:
    assert do(services, VERIFY, "verify-1", {"day": "2026-11-25"}) == "全部相符"


def test_a_changed_amount_is_told_among_the_events(services: Services) -> None:
    with services.database.engine.begin() as connection:
        guards = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'posting'")
        for (name,) in connection.execute(guards).all():
            connection.execute(text(f'DROP TRIGGER "{name}"'))
        connection.execute(text("UPDATE posting SET amount_fen = amount_fen + 1 WHERE rowid = 1"))
    assert "不符" in do(services, VERIFY, "verify-2", {"day": "2026-11-26"})
    with services.database.reading() as session:
        since = services.clock() - timedelta(hours=1)
        told = recent(session, 50, EventFilter(severities=[Severity.ERROR], since=since))
    assert any("账目校验不符" in event.message for event in told)
