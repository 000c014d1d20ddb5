"""The time-series store for operators: how large it is, and what may go."""

from typing import Any

from sqlalchemy.exc import OperationalError

from api.commands.moment import parse_moment
from api.outcome import Outcome
from api.settings import SHORTEST_RAW_DAYS
from dashboards.web import Services
from monitoring.energy import refresh_daily_energy
from store.periods import SHANGHAI, local_date, local_midnight
from store.problem import Problem, ProblemsError
from store.series import RetiringSeries, SeriesUnavailableError


def statistics(services: Services) -> Outcome:
    """Return rows, size, oldest and newest sample."""
    found = services.series.statistics()
    row: dict[str, Any] = {
        "rows": found.rows,
        "size_mb": round(found.size_bytes / 1e6, 1),
        "oldest": None if found.oldest is None else f"{found.oldest.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
        "newest": None if found.newest is None else f"{found.newest.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
    }
    columns = {"rows": "行", "size_mb": "大小 MB", "oldest": "最早", "newest": "最新"}
    return Outcome("时序库", columns, (row,))


def retire(services: Services, *, before: str) -> Outcome:
    """Replace raw samples before a day by their 15-minute means, after their daily energy is kept."""
    now = services.clock()
    limit = local_midnight(local_date(parse_moment(before, now, "--before")))
    if (now - limit).days < SHORTEST_RAW_DAYS:
        how = f"写成 {SHORTEST_RAW_DAYS} 天以前的日期：未结的月份还要用原始数据"
        raise ProblemsError([Problem("--before", f"{before} 太近", how)])
    store = services.series
    if not isinstance(store, RetiringSeries):
        how = "在时序服务器上设置保存期，见 docs/stores.md"
        raise ProblemsError([Problem("SUNLEDGER_SERIES_URL", "这个时序库由服务器自己按保存期删除", how)])
    try:
        with services.database.transaction() as session:
            refresh_daily_energy(session, services.series, now)
        gone = store.retire_before(limit)
    except (SeriesUnavailableError, OperationalError) as error:
        raise ProblemsError(
            [Problem("时序库", str(error), "检查磁盘空间后再运行一次，不会丢失数据")]
        ) from error
    day = f"{limit.astimezone(SHANGHAI):%Y-%m-%d}"
    return Outcome(f"{day} 之前的 {gone} 行原始数据已换成 15 分钟均值；日电量照旧", {})
