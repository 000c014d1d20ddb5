"""What the scheduler does by itself, and when.

Owns the daily turns: the energy of closed days, the month's next steps that need nobody, and the proof that
the books are whole. What needs a person waits for the person.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from api.alarming import watch_days_once
from api.operations.store import retire
from api.reminding import remind_once
from api.scheduler import PeriodicTask, Pulse
from dashboards.files import ATTACHMENTS
from dashboards.jobs import CLOSE, SHEETS, owner_of, result_of
from dashboards.web import Services
from distribution.closing.month import close_month
from distribution.exports.pdf import Letterhead, household_sheets_pdf
from distribution.statement.household import household_statements
from distribution.verification import verify
from documents.attachments import store_attachment
from monitoring.adjustments import tell_adjustments, tell_disputes
from monitoring.energy import refresh_daily_energy
from monitoring.uptime.keeping import forget_states, refresh_states, settle_states
from registry import audit
from registry.actors import SYSTEM
from registry.divisions import division_name
from store.events import Event, EventKind, Severity, record
from store.jobs import Handler, JobContext, JobFailedError
from store.periods import Period, local_date, local_midnight
from store.series import RetiringSeries

DAILY_ENERGY, VERIFY, STATES = "daily-energy", "verify", "states"
LATE_TRUTH, RETIRE = "late-truth", "retire-samples"
REMIND = "approval-reminders"
STATE_SECONDS = 60
SETTLED_DAYS = 8
STATES_KEPT = timedelta(days=400)
PROBLEMS_TOLD = 20
SHEETS_LIMIT_BYTES = 200 << 20


def handlers(services: Services) -> Mapping[str, Handler]:
    """Return what does each kind of job."""
    return {
        DAILY_ENERGY: _daily_energy(services),
        CLOSE: _close(services),
        SHEETS: _sheets(services),
        REMIND: lambda context: remind_once(services, context.clock()),
        VERIFY: _verify,
        STATES: _settle(services),
        LATE_TRUTH: _late_truth(services),
        RETIRE: _retire(services),
    }


def pulses(services: Services) -> tuple[Pulse, ...]:
    """Return what is done every minute: the newest interval of states."""

    def refresh() -> str:
        now = services.clock()
        with services.database.transaction() as session:
            done = refresh_states(session, services.series, now)
        return f"{done.subjects} 个对象，{len(done.opened)} 个状态变化"

    return (Pulse(STATES, STATE_SECONDS, refresh),)


def tasks() -> tuple[PeriodicTask, ...]:
    """Return the periodic tasks.

    The energy of closed days comes soon after midnight and again for late data; at night the states of the
    last days are computed anew, late data included, and those beyond their time are forgotten; what late data
    would change in closed months is offered, and raw samples beyond their days are retired; the books
    are verified at night; in the morning the last month is taken to its next human gate, so that a notice
    whose days are over does not wait for somebody to press a button; after that, whoever an approval waits
    for too long is reminded.
    """
    return (
        PeriodicTask(DAILY_ENERGY, hours=(0, 1, 6, 12, 18), minute=10, payload=_day_of),
        PeriodicTask(STATES, hours=(2,), minute=20, payload=_day_of),
        PeriodicTask(LATE_TRUTH, hours=(4,), minute=10, payload=_day_of),
        PeriodicTask(RETIRE, hours=(4,), minute=40, payload=_day_of),
        PeriodicTask(VERIFY, hours=(3,), minute=30, payload=_day_of),
        PeriodicTask(CLOSE, hours=(6,), minute=30, payload=_last_month_of),
        PeriodicTask(REMIND, hours=(8,), minute=30, payload=_day_of),
    )


def _day_of(turn: datetime) -> Mapping[str, str]:
    return {"day": local_date(turn).isoformat()}


def _last_month_of(turn: datetime) -> Mapping[str, str]:
    return {"month": str(Period.month_of(turn).previous())}


def _daily_energy(services: Services) -> Callable[[JobContext], str]:
    def run(context: JobContext) -> str:
        with context.database.transaction() as session:
            rows = refresh_daily_energy(session, services.series, context.clock())
        return f"更新 {rows} 个设备日的电量，{watch_days_once(services)}"

    return run


def _late_truth(services: Services) -> Callable[[JobContext], str]:
    def run(context: JobContext) -> str:
        with context.database.transaction() as session:
            offered = tell_adjustments(session, services.series, context.clock())
            disputed = tell_disputes(session, services.series, context.clock())
        return f"已结月份可调整 {offered} 处，昨日电量两证不符 {disputed} 处"

    return run


def _retire(services: Services) -> Callable[[JobContext], str]:
    def run(context: JobContext) -> str:
        if not services.raw_sample_days or not isinstance(services.series, RetiringSeries):
            return "原始数据永久保留"
        limit = local_date(context.clock()) - timedelta(days=services.raw_sample_days)
        return retire(services, before=limit.isoformat()).summary

    return run


def _settle(services: Services) -> Callable[[JobContext], str]:
    def run(context: JobContext) -> str:
        now = context.clock()
        today = local_midnight(local_date(now))
        interval = (today - timedelta(days=SETTLED_DAYS), today)
        rows = settle_states(context.database, services.series, interval, now)
        with context.database.transaction() as session:
            gone = forget_states(session, now - STATES_KEPT)
        return f"重算 {SETTLED_DAYS} 天的状态 {rows} 段，清除过期 {gone} 段"

    return run


def _close(services: Services) -> Callable[[JobContext], str]:
    def run(context: JobContext) -> str:
        month, actor = context.job.payload["month"], owner_of(context.job) or SYSTEM
        now = context.clock()
        report = close_month(context.database, services.series, actor, month, now, tell=context.progress)
        waiting = sum(bool(one.waiting_for) for one in report.villages)
        return f"{month}：{len(report.villages)} 个村，{waiting} 个在等人办理"

    return run


def _sheets(services: Services) -> Callable[[JobContext], str]:
    """Print the sheets of every household of a village, so many in one go, into one file."""

    def run(context: JobContext) -> str:
        actor, given = owner_of(context.job) or SYSTEM, context.job.payload
        village, period = given["village"], given["period"]
        with context.database.reading() as session:
            found = household_statements(session, actor, village, period)
            name = division_name(session, village)
        if not found:
            raise JobFailedError(f"{name}没有农户，或不在您的辖区内")
        context.progress(len(found) // 2, len(found))
        head = Letterhead(name, watermark=services.watermark)
        content = household_sheets_pdf(found, head)
        digest = store_attachment(services.data_dir / ATTACHMENTS, content, SHEETS_LIMIT_BYTES)
        context.progress(len(found), len(found))
        label = Period.parse(period).label
        return result_of(f"{name}{label} {len(found)} 户", digest, f"{name}_{label}_明白单.pdf")

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
