"""What the scheduler does by itself, and when.

Owns the daily turns: the energy of closed days, the month's next steps that need nobody, and the proof that
the books are whole. What needs a person waits for the person.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from api.scheduler import PeriodicTask
from dashboards.web import Services
from distribution.closing import close_month
from distribution.verification import verify
from monitoring.energy import refresh_daily_energy
from registry import audit
from registry.actors import SYSTEM
from store.events import Event, EventKind, Severity, record
from store.jobs import Handler, JobContext
from store.periods import Period, local_date

DAILY_ENERGY, CLOSE, VERIFY = "daily-energy", "close", "verify"
PROBLEMS_TOLD = 20


def handlers(services: Services) -> Mapping[str, Handler]:
    """Return what does each kind of job."""
    return {DAILY_ENERGY: _daily_energy(services), CLOSE: _close(services), VERIFY: _verify}


def tasks() -> tuple[PeriodicTask, ...]:
    """Return the periodic tasks.

    The energy of closed days comes soon after midnight and again for late data; the books are verified at
    night; in the morning the last month is taken to its next human gate, so that a notice whose days are
    over does not wait for somebody to press a button.
    """
    return (
        PeriodicTask(DAILY_ENERGY, hours=(0, 1, 6, 12, 18), minute=10, payload=_day_of),
        PeriodicTask(VERIFY, hours=(3,), minute=30, payload=_day_of),
        PeriodicTask(CLOSE, hours=(6,), minute=30, payload=_last_month_of),
    )


def _day_of(turn: datetime) -> Mapping[str, str]:
    return {"day": local_date(turn).isoformat()}


def _last_month_of(turn: datetime) -> Mapping[str, str]:
    return {"month": str(Period.month_of(turn).previous())}


def _daily_energy(services: Services) -> Callable[[JobContext], str]:
    def run(context: JobContext) -> str:
        with context.database.transaction() as session:
            rows = refresh_daily_energy(session, services.series, context.clock())
        return f"更新 {rows} 个设备日的电量"

    return run


def _close(services: Services) -> Callable[[JobContext], str]:
    def run(context: JobContext) -> str:
        month = context.job.payload["month"]
        report = close_month(context.database, services.series, SYSTEM, month, context.clock())
        waiting = sum(bool(one.waiting_for) for one in report.villages)
        return f"{month}：{len(report.villages)} 个村，{waiting} 个在等人办理"

    return run


def _verify(context: JobContext) -> str:
    with context.database.reading() as session:
        problems = (*verify(session), *audit.verify(session))
    if not problems:
        return "全部相符"
    with context.database.transaction() as session:
        for number, problem in enumerate(problems[:PROBLEMS_TOLD]):
            event = Event(
                context.clock(),
                EventKind.STORE,
                Severity.ERROR,
                "ledger",
                problem.where[:100],
                f"账目校验不符：{problem}",
                id=f"{context.job.key}-{number}",
            )
            record(session, event)
    return f"发现 {len(problems)} 处不符"
