"""What happens by itself: periodic work as durable jobs, and the worker that does them.

Owns when things happen (Asia/Shanghai) and how a job kind finds its handler. Each turn of a periodic task
is a job whose key names the turn, so that two schedulers on one database do it once, and a scheduler that
was away makes up for the last turn.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from dashboards.web import Services
from store.jobs import LEASE, Handler, JobContext, JobLostError, NewJob, renew, run_next, submit
from store.periods import SHANGHAI
from store.series import SeriesUnavailableError

logger = structlog.get_logger(__name__)
WORK_SECONDS = 2


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A job kind and the hours and minute of the day (Asia/Shanghai) at which its turns are queued.

    `payload` is made of the turn's own instant, so that every scheduler makes the same of it.
    """

    kind: str
    hours: tuple[int, ...]
    minute: int
    payload: Callable[[datetime], Mapping[str, str]]

    def last_turn(self, now: datetime) -> datetime:
        """Return the latest turn that is not after `now` (Asia/Shanghai)."""
        today = now.astimezone(SHANGHAI).replace(minute=self.minute, second=0, microsecond=0)
        turns = [today.replace(hour=hour) - timedelta(days=back) for back in (0, 1) for hour in self.hours]
        return max(turn for turn in turns if turn <= now)


@dataclass(frozen=True, slots=True)
class Pulse:
    """Work that is done every so many seconds and may be left out: the next turn makes up for it.

    It leaves no job behind. `work` returns what it did in words.
    """

    name: str
    seconds: int
    work: Callable[[], str]


class Scheduler:
    """Queues periodic jobs and works through the queue in a thread of its own; beside it, pulses."""

    def __init__(
        self,
        services: Services,
        handlers: Mapping[str, Handler],
        tasks: tuple[PeriodicTask, ...],
        pulses: tuple[Pulse, ...] = (),
    ) -> None:
        self._services = services
        self._handlers = {kind: self._kept(handler) for kind, handler in handlers.items()}
        self._tasks = tasks
        self._worker = f"{socket.gethostname()}-{os.getpid()}"
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(timezone=SHANGHAI)
        self._scheduler.add_job(
            self._work, "interval", seconds=WORK_SECONDS, max_instances=1, coalesce=True, id="worker"
        )
        for task in tasks:
            hours = ",".join(str(hour) for hour in task.hours)
            self._scheduler.add_job(
                self._queue,
                CronTrigger(hour=hours, minute=task.minute, timezone=SHANGHAI),
                args=[task],
                coalesce=True,
                misfire_grace_time=3600,
                id=task.kind,
            )

        for pulse in pulses:
            self._scheduler.add_job(
                self._beat,
                "interval",
                seconds=pulse.seconds,
                args=[pulse],
                max_instances=1,
                coalesce=True,
                id=f"pulse-{pulse.name}",
            )

    def start(self) -> None:
        """Queue the last turn of each task, in case nobody did, and begin to work."""
        for task in self._tasks:
            self._queue(task)
        self._scheduler.start()

    def stop(self) -> None:
        """Finish the job at hand and stop; what is queued stays queued."""
        self._stopping.set()
        self._scheduler.shutdown(wait=True)

    @staticmethod
    def _beat(pulse: Pulse) -> None:
        try:
            logger.debug("pulse", name=pulse.name, result=pulse.work())
        except (SQLAlchemyError, SeriesUnavailableError) as error:
            logger.warning("a pulse was left out", name=pulse.name, error=str(error))

    def _queue(self, task: PeriodicTask) -> None:
        now = self._services.clock()
        turn = task.last_turn(now)
        job = NewJob(f"{task.kind}-{turn:%Y-%m-%dT%H:%M}", task.kind, task.payload(turn))
        try:
            with self._services.database.transaction() as session:
                submit(session, job, now)
        except IntegrityError:
            logger.debug("another scheduler has queued it", key=job.key)
        except SQLAlchemyError as error:
            logger.warning("the job queue is out of reach", key=job.key, error=str(error))

    def _work(self) -> None:
        try:
            while not self._stopping.is_set() and run_next(
                self._services.database, self._worker, self._services.clock, self._handlers
            ):
                pass
        except SQLAlchemyError as error:
            logger.warning("the job queue is out of reach", error=str(error))

    def _kept(self, handler: Handler) -> Handler:
        """Return the handler with a line in the log, and the lease renewed for as long as it runs."""

        def run(context: JobContext) -> str:
            logger.info("job begun", key=context.job.key, attempt=context.job.attempts)
            done = threading.Event()
            keeper = threading.Thread(target=_keep, args=(context, done), name="job lease", daemon=True)
            keeper.start()
            try:
                result = handler(context)
            finally:
                done.set()
                keeper.join()
            logger.info("job done", key=context.job.key, result=result)
            return result

        return run


def _keep(context: JobContext, done: threading.Event) -> None:
    while not done.wait(LEASE.total_seconds() / 4):
        try:
            with context.database.transaction() as session:
                renew(session, context.job, context.clock())
        except JobLostError:
            return
        except SQLAlchemyError as error:
            # On SQLite a long transaction of the job itself holds the only pen; there is one worker then.
            logger.debug("the lease was not renewed", key=context.job.key, error=str(error))
