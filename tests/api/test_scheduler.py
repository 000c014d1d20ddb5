"""Turns that are named alike by every scheduler, a lease that lasts as long as its job, a stop that waits."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.scheduler import PeriodicTask, Scheduler
from dashboards.web import Services
from store.db import Database
from store.jobs import Handler, JobContext, JobState, NewJob, find, listing, run_next, submit
from store.periods import SHANGHAI, local_date
from tests.collector.plants import until, utc_now

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
TASK = PeriodicTask("count", (0, 6, 18), 10, lambda turn: {"day": local_date(turn).isoformat()})


@contextmanager
def running(
    database: Database, folder: Path, handlers: dict[str, Handler], *tasks: PeriodicTask
) -> Iterator[Scheduler]:
    scheduler = Scheduler(Services(database, None, utc_now, folder), handlers, tasks)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()


def queue(database: Database, *keys: str) -> None:
    with database.transaction() as session:
        for key in keys:
            submit(session, NewJob(key, "count", {}), utc_now())


def state(database: Database, key: str) -> JobState:
    with database.reading() as session:
        job = find(session, key)
    assert job is not None
    return job.state


@pytest.mark.parametrize(
    ("now", "turn"),
    [
        ("2026-11-25T06:09", "2026-11-25T00:10"),
        ("2026-11-25T06:10", "2026-11-25T06:10"),
        ("2026-11-25T23:59", "2026-11-25T18:10"),
        ("2026-11-25T00:05", "2026-11-24T18:10"),
        ("2026-01-01T00:00", "2025-12-31T18:10"),
    ],
)
def test_the_last_turn_is_the_one_before_now(now: str, turn: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=SHANGHAI)
    assert f"{TASK.last_turn(moment.astimezone(UTC)):%Y-%m-%dT%H:%M}" == turn


@given(st.integers(0, 15 * 365 * 86_400).map(lambda seconds: FIRST + timedelta(seconds=seconds)))
def test_every_instant_belongs_to_one_turn(now: datetime) -> None:
    turn = TASK.last_turn(now)
    assert turn <= now < turn + timedelta(hours=12)
    assert TASK.last_turn(turn) == turn
    assert TASK.last_turn(turn - timedelta(seconds=1)) < turn


def test_a_turn_that_nobody_queued_is_made_up_for_once(database: Database, tmp_path: Path) -> None:
    done: list[str] = []

    def count(context: JobContext) -> str:
        done.append(context.job.key)
        return "counted"

    for _ in range(3):
        with running(database, tmp_path, {"count": count}, TASK):
            until(lambda: bool(done), 15)
    assert len(done) == 1
    with database.reading() as session:
        (job,) = listing(session)
    turn = TASK.last_turn(utc_now())
    assert (job.key, job.payload) == (f"count-{turn:%Y-%m-%dT%H:%M}", {"day": f"{turn:%Y-%m-%d}"})


def test_a_job_that_outlasts_its_lease_is_not_begun_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("api.scheduler", "store.jobs"):
        monkeypatch.setattr(f"{module}.LEASE", timedelta(seconds=0.8))
    begun: list[str] = []
    others: list[bool] = []

    def long(context: JobContext) -> str:
        begun.append(context.job.key)
        time.sleep(2.5)
        return "at last"

    queue(database, "long")
    with running(database, tmp_path, {"count": long}):
        until(lambda: bool(begun), 15)
        while state(database, "long") is JobState.RUNNING:
            others.append(run_next(database, "other", utc_now, {"count": lambda _: "stolen"}))
            time.sleep(0.2)
    assert len(others) > 5
    assert not any(others)
    with database.reading() as session:
        job = find(session, "long")
    assert job is not None
    assert (job.result, job.attempts, begun) == ("at last", 1, ["long"])


def test_stopping_finishes_the_job_at_hand_and_leaves_the_queue(database: Database, tmp_path: Path) -> None:
    begun = threading.Event()

    def slow(_context: JobContext) -> str:
        begun.set()
        time.sleep(0.5)
        return "done"

    queue(database, "first", "second", "third")
    with running(database, tmp_path, {"count": slow}):
        assert begun.wait(15)
    with database.reading() as session:
        states = sorted(job.state for job in listing(session))
    assert states == [JobState.DONE, JobState.WAITING, JobState.WAITING]
