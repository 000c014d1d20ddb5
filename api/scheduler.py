"""What happens by itself: periodic work as durable jobs, and the worker that does them.

Owns when things happen (Asia/Shanghai) and how a job kind finds its handler. Each turn of a periodic task
is a job whose key names the turn, so that two schedulers on one database do it once.
"""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy.exc import SQLAlchemyError

from dashboards.web import Services
from store.jobs import Handler, NewJob, run_next, submit
from store.periods import SHANGHAI, local_date

logger = structlog.get_logger(__name__)
WORK_SECONDS = 2


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A job kind and the hour and minute of the day (Asia/Shanghai) at which its next turn is queued."""

    kind: str
    hour: str
    minute: str
    payload: Callable[[Services], Mapping[str, str]]


class Scheduler:
    """Queues periodic jobs and works through the queue in a thread of its own."""

    def __init__(
        self, services: Services, handlers: Mapping[str, Handler], tasks: tuple[PeriodicTask, ...]
    ) -> None:
        self._services = services
        self._handlers = handlers
        self._worker = f"{socket.gethostname()}-{os.getpid()}"
        self._scheduler = BackgroundScheduler(timezone=SHANGHAI)
        self._scheduler.add_job(
            self._work, "interval", seconds=WORK_SECONDS, max_instances=1, coalesce=True, id="worker"
        )
        for task in tasks:
            self._scheduler.add_job(
                self._queue,
                CronTrigger(hour=task.hour, minute=task.minute, timezone=SHANGHAI),
                args=[task],
                coalesce=True,
                misfire_grace_time=3600,
                id=task.kind,
            )

    def start(self) -> None:
        """Begin to queue and to work."""
        self._scheduler.start()

    def stop(self) -> None:
        """Finish the job at hand and stop; what is queued stays queued."""
        self._scheduler.shutdown(wait=True)

    def _queue(self, task: PeriodicTask) -> None:
        now = self._services.clock()
        turn = f"{task.kind}-{now.astimezone(SHANGHAI):%Y-%m-%dT%H:%M}"
        with self._services.database.transaction() as session:
            submit(session, NewJob(turn, task.kind, task.payload(self._services)), now)

    def _work(self) -> None:
        try:
            while run_next(self._services.database, self._worker, self._services.clock, self._handlers):
                pass
        except SQLAlchemyError as error:
            logger.warning("the job queue is out of reach", error=str(error))


def last_month(services: Services) -> Mapping[str, str]:
    """Return the month before the present one as a job's payload."""
    from store.periods import Period

    month = Period.month_of(local_date(services.clock())).previous()
    return {"month": str(month)}
