"""Durable jobs: work that outlives a request and a restart.

Owns the table `job` with state, progress, lease and attempts, and the function that a scheduler thread
calls to do the next one. What a job does is given by handlers from the composition root.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import orjson
from sqlalchemy import CheckConstraint, Index, Integer, String, Text, UniqueConstraint, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from store.canonical import canonical_json
from store.db import Base, Database, UtcDateTime, new_id
from store.periods import Clock
from store.problem import ProblemsError

LEASE = timedelta(minutes=2)
ATTEMPTS = 3
_LOG = logging.getLogger(__name__)


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobConflictError(ValueError):
    """A job with this key exists with another kind or payload."""


class JobLostError(RuntimeError):
    """The worker no longer holds the job: its lease ran out and another took it."""


class JobFailedError(RuntimeError):
    """A handler says that the job cannot be done; the text is for people and is not retried."""


class JobRow(Base):
    """One job; `key` makes submitting it twice the same as once."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name="state"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
        CheckConstraint("progress_done >= 0 AND progress_total >= 0", name="progress"),
        Index(None, "state", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(64))
    payload: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    progress_done: Mapped[int] = mapped_column(Integer, default=0)
    progress_total: Mapped[int] = mapped_column(Integer, default=0)
    worker: Mapped[str] = mapped_column(String(64), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    result: Mapped[str] = mapped_column(Text, default="")
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands: progress as `done` of `total` steps (0 of 0 when unknown)."""

    id: str
    key: str
    kind: str
    payload: Mapping[str, str]
    state: JobState
    done: int
    total: int
    attempts: int
    result: str
    error: str
    worker: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewJob:
    """What to do: `kind` names the handler, `key` names this piece of work for ever."""

    key: str
    kind: str
    payload: Mapping[str, str]


def submit(session: Session, new: NewJob, now: datetime) -> Job:
    """Queue a job, or return the one that has its key.

    Raises JobConflictError when the key is taken by other work.
    """
    payload = canonical_json(new.payload)
    row = session.scalar(select(JobRow).where(JobRow.key == new.key))
    if row is None:
        row = JobRow(
            id=new_id("job"),
            key=new.key,
            kind=new.kind,
            payload=payload,
            state=JobState.WAITING,
            progress_done=0,
            progress_total=0,
            worker="",
            lease_until=None,
            attempts=0,
            result="",
            error="",
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        session.flush()
    elif (row.kind, row.payload) != (new.kind, payload):
        raise JobConflictError(f"任务 {new.key} 已存在，内容不同")
    return _job(row)


def find(session: Session, key: str) -> Job | None:
    """Return the job with a key."""
    row = session.scalar(select(JobRow).where(JobRow.key == key))
    return None if row is None else _job(row)


def listing(session: Session, limit: int = 50) -> list[Job]:
    """Return the jobs that changed last, newest first."""
    statement = select(JobRow).order_by(JobRow.updated_at.desc(), JobRow.id).limit(limit)
    return [_job(row) for row in session.scalars(statement)]


def claim(session: Session, worker: str, now: datetime, kinds: tuple[str, ...] = ()) -> Job | None:
    """Take the oldest waiting job under a lease, or None; two workers never get the same one."""
    statement = select(JobRow).where(JobRow.state == JobState.WAITING)
    if kinds:
        statement = statement.where(JobRow.kind.in_(kinds))
    statement = statement.order_by(JobRow.created_at, JobRow.id).limit(1).with_for_update(skip_locked=True)
    row = session.scalar(statement)
    if row is None:
        return None
    row.state, row.worker, row.lease_until = JobState.RUNNING, worker, now + LEASE
    row.attempts += 1
    row.updated_at = now
    session.flush()
    return _job(row)


def progress(session: Session, job: Job, steps: tuple[int, int], now: datetime) -> None:
    """Note `steps` (done, total) and renew the lease; raises JobLostError when the lease is gone."""
    row = _held(session, job)
    row.progress_done, row.progress_total = steps
    row.lease_until, row.updated_at = now + LEASE, now
    session.flush()


def renew(session: Session, job: Job, now: datetime) -> None:
    """Renew the lease of a held job; raises JobLostError when it is gone."""
    row = _held(session, job)
    row.lease_until, row.updated_at = now + LEASE, now
    session.flush()


def finish(session: Session, job: Job, result: str, now: datetime) -> None:
    """Mark a held job done with its result in words; raises JobLostError when the lease is gone."""
    _leave(session, job, (JobState.DONE, result, ""), now)


def fail(session: Session, job: Job, error: str, now: datetime) -> None:
    """Mark a held job failed for good, in words; raises JobLostError when the lease is gone."""
    _leave(session, job, (JobState.FAILED, "", error), now)


def retry(session: Session, job: Job, error: str, now: datetime) -> None:
    """Put a held job back into the queue, or fail it when its attempts are used up."""
    _leave(session, job, (_again(job), "", error), now)


def recover(session: Session, now: datetime) -> list[str]:
    """Give back every job whose lease ran out; returns the keys."""
    expired = (JobRow.state == JobState.RUNNING) & (JobRow.lease_until < now)
    keys = list(session.scalars(select(JobRow.key).where(expired).order_by(JobRow.key)))
    waiting = {"state": JobState.WAITING, "worker": "", "lease_until": None, "updated_at": now}
    session.execute(update(JobRow).where(expired, JobRow.attempts < ATTEMPTS).values(waiting))
    failed = {**waiting, "state": JobState.FAILED, "error": f"执行 {ATTEMPTS} 次都中断"}
    session.execute(update(JobRow).where(expired).values(failed))
    return keys


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a handler gets: the job, the database, and a way to tell its progress."""

    database: Database
    job: Job
    clock: Clock

    def progress(self, done: int, total: int) -> None:
        """Note progress durably and renew the lease; raises JobLostError when another has the job."""
        with self.database.transaction() as session:
            progress(session, self.job, (done, total), self.clock())


Handler = Callable[[JobContext], str]
"""Does a job and returns its result in words; it must be safe to run again after an interruption."""


def run_next(database: Database, worker: str, clock: Clock, handlers: Mapping[str, Handler]) -> bool:
    """Do the next waiting job of the given kinds; returns whether there was one.

    Wrong data fails the job at once; trouble around it (files, database, store) is tried again.
    """
    with database.transaction() as session:
        recover(session, clock())
        job = claim(session, worker, clock(), tuple(handlers))
    if job is None:
        return False
    try:
        outcome = _attempt(JobContext(database, job, clock), handlers[job.kind])
        with database.transaction() as session:
            _leave(session, job, outcome, clock())
    except JobLostError:
        _LOG.warning("job %s was taken over while it ran", job.key)
    return True


def _attempt(context: JobContext, handler: Handler) -> tuple[JobState, str, str]:
    """Run a handler; returns state, result and error to note. Raises JobLostError when it lost the job."""
    try:
        return JobState.DONE, handler(context), ""
    except JobLostError:
        raise
    except (ProblemsError, JobFailedError, ValueError, LookupError) as error:
        return JobState.FAILED, "", str(error)
    except (OSError, SQLAlchemyError, RuntimeError) as error:
        return _again(context.job), "", f"{type(error).__name__}: {error}"


def _again(job: Job) -> JobState:
    return JobState.WAITING if job.attempts < ATTEMPTS else JobState.FAILED


def _held(session: Session, job: Job) -> JobRow:
    statement = select(JobRow).where(
        JobRow.id == job.id,
        JobRow.state == JobState.RUNNING,
        JobRow.worker == job.worker,
        JobRow.attempts == job.attempts,
    )
    row = session.scalar(statement)
    if row is None:
        raise JobLostError(f"job {job.key} is no longer held by {job.worker}")
    return row


def _leave(session: Session, job: Job, outcome: tuple[JobState, str, str], now: datetime) -> None:
    row = _held(session, job)
    row.state, row.result, row.error = outcome
    row.worker, row.lease_until, row.updated_at = "", None, now
    session.flush()


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        key=row.key,
        kind=row.kind,
        payload=orjson.loads(row.payload),
        state=JobState(row.state),
        done=row.progress_done,
        total=row.progress_total,
        attempts=row.attempts,
        result=row.result,
        error=row.error,
        worker=row.worker,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
