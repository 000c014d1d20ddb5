"""What the scheduler does by itself, and when."""

from collections.abc import Callable, Mapping
from datetime import datetime

from api.scheduler import PeriodicTask
from dashboards.web import Services
from monitoring.energy import refresh_daily_energy
from store.jobs import Handler, JobContext
from store.periods import local_date

DAILY_ENERGY = "daily-energy"


def handlers(services: Services) -> Mapping[str, Handler]:
    """Return what does each kind of job."""
    return {DAILY_ENERGY: _daily_energy(services)}


def tasks() -> tuple[PeriodicTask, ...]:
    """Return the periodic tasks: the energy of closed days soon after midnight, and again for late data."""
    return (PeriodicTask(DAILY_ENERGY, hours=(0, 1, 6, 12, 18), minute=10, payload=_day_of),)


def _day_of(turn: datetime) -> Mapping[str, str]:
    return {"day": local_date(turn).isoformat()}


def _daily_energy(services: Services) -> Callable[[JobContext], str]:
    def run(context: JobContext) -> str:
        with context.database.transaction() as session:
            rows = refresh_daily_energy(session, services.series, context.clock())
        return f"更新 {rows} 个设备日的电量"

    return run
