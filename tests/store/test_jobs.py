"""Durable jobs: once per key, one worker at a time, taken up again after a crash."""

from datetime import UTC, datetime, timedelta

import pytest

from store.jobs import (
    ATTEMPTS,
    LEASE,
    JobConflictError,
    JobContext,
    JobFailedError,
    JobLostError,
    JobState,
    NewJob,
    claim,
    fail,
    find,
    finish,
    listing,
    progress,
    recover,
    retry,
    run_next,
    submit,
)
from store.problem import Problem, ProblemsError

NOW = datetime(2026, 10, 5, 4, 0, tzinfo=UTC)
WORK = NewJob("close-2026-10", "close", {"month": "2026-10"})


@pytest.fixture(params=["database", "postgres"])
def either(request):
    return request.getfixturevalue(request.param)


def test_submitting_twice_is_one_job(either):
    with either.transaction() as session:
        assert submit(session, WORK, NOW) == submit(session, WORK, NOW + LEASE)
        with pytest.raises(JobConflictError):
            submit(session, NewJob(WORK.key, "close", {"month": "2026-11"}), NOW)


def test_the_oldest_job_is_claimed_first_and_by_one_worker(either):
    with either.transaction() as session:
        submit(session, NewJob("second", "close", {}), NOW + timedelta(seconds=1))
        submit(session, NewJob("first", "close", {}), NOW)
        submit(session, NewJob("other", "export", {}), NOW - LEASE)
        taken = [claim(session, f"w{n}", NOW, ("close",)) for n in range(3)]
    assert [job and job.key for job in taken] == ["first", "second", None]


def test_progress_and_result_are_kept(either):
    with either.transaction() as session:
        submit(session, WORK, NOW)
        job = claim(session, "w", NOW)
        progress(session, job, (3, 40), NOW)
        assert (find(session, WORK.key).done, find(session, WORK.key).total) == (3, 40)
        finish(session, job, "40 个村", NOW)
        assert find(session, WORK.key).state is JobState.DONE
        assert listing(session)[0].result == "40 个村"
        with pytest.raises(JobLostError):
            fail(session, job, "too late", NOW)


def test_a_job_whose_worker_died_is_given_to_another_who_alone_may_finish_it(either):
    with either.transaction() as session:
        submit(session, WORK, NOW)
        lost = claim(session, "dead", NOW)
        assert recover(session, NOW + LEASE) == []
        assert recover(session, NOW + LEASE + timedelta(seconds=1)) == [WORK.key]
        again = claim(session, "alive", NOW + LEASE)
        assert again.attempts == 2
        with pytest.raises(JobLostError):
            progress(session, lost, (1, 1), NOW)
        finish(session, again, "ok", NOW)


def test_progress_renews_the_lease(database):
    with database.transaction() as session:
        submit(session, WORK, NOW)
        job = claim(session, "w", NOW)
        progress(session, job, (1, 2), NOW + LEASE)
        assert recover(session, NOW + LEASE + timedelta(seconds=1)) == []


def test_a_job_that_keeps_dying_fails_in_the_end(database):
    with database.transaction() as session:
        submit(session, WORK, NOW)
        for attempt in range(1, ATTEMPTS + 1):
            assert claim(session, "w", NOW + attempt * 3 * LEASE) is not None
            recover(session, NOW + (attempt * 3 + 2) * LEASE)
        assert find(session, WORK.key).state is JobState.FAILED
        assert "中断" in find(session, WORK.key).error


def test_retry_puts_a_job_back_until_its_attempts_are_used_up(database):
    with database.transaction() as session:
        submit(session, WORK, NOW)
        for _ in range(ATTEMPTS):
            retry(session, claim(session, "w", NOW), "store is full", NOW)
        assert find(session, WORK.key).state is JobState.FAILED


# The runner


def clock() -> datetime:
    return NOW


def run(database, handler) -> JobState:
    with database.transaction() as session:
        submit(session, WORK, NOW)
    assert run_next(database, "w", clock, {"close": handler})
    with database.reading() as session:
        return find(session, WORK.key).state


def test_the_runner_does_a_job_and_notes_progress_on_the_way(database):
    seen = []

    def handler(context: JobContext) -> str:
        context.progress(1, 2)
        with database.reading() as session:
            seen.append(find(session, WORK.key).done)
        return context.job.payload["month"]

    assert run(database, handler) is JobState.DONE
    assert seen == [1]
    with database.reading() as session:
        assert find(session, WORK.key).result == "2026-10"
    assert not run_next(database, "w", clock, {"close": handler})


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ProblemsError([Problem("A1", "不是数字", "改")]), JobState.FAILED),
        (JobFailedError("没有方案"), JobState.FAILED),
        (KeyError("month"), JobState.FAILED),
        (OSError("disk full"), JobState.WAITING),
        (RuntimeError("server gone"), JobState.WAITING),
    ],
)
def test_wrong_data_fails_at_once_and_trouble_is_tried_again(database, error, state):
    def handler(_context: JobContext) -> str:
        raise error

    assert run(database, handler) is state
    with database.reading() as session:
        assert find(session, WORK.key).error


def test_a_job_that_was_taken_over_is_left_to_its_new_worker(database):
    def handler(_context: JobContext) -> str:
        with database.transaction() as session:
            recover(session, NOW + 2 * LEASE)
            claim(session, "other", NOW + 2 * LEASE)
        return "late"

    assert run(database, handler) is JobState.RUNNING
