"""Indicators of a month and planned work, for operators."""

from datetime import datetime
from pathlib import Path
from typing import Any

from api.operations.energy import period_of
from api.operations.people import OPERATOR
from api.outcome import Outcome
from dashboards.web import Services
from documents.files import write_whole
from documents.writing import write_csv, write_xlsx
from monitoring.calendar.planned import (
    AnnouncedTooLateError,
    PlannedWorkError,
    announce,
    announced_between,
    cancel,
)
from monitoring.indicators.definitions import DEFINITIONS
from monitoring.indicators.monthly import Indicators, monthly_indicators
from monitoring.indicators.sheets import indicators_sheet
from monitoring.reports.cells import hours_cell, moment_cell, percent_cell
from monitoring.reports.monthly import report_pdf, report_xlsx, uptime_report
from registry.actors import SYSTEM
from registry.divisions import DivisionLevel, divisions
from store.periods import SHANGHAI, Period, PeriodKind
from store.problem import Problem, ProblemsError

COLUMNS = {
    "name": "电站",
    "fault_rate_percent": "故障率 %",
    "online_rate_percent": "在线率 %",
    "coverage_percent": "覆盖率 %",
    "timeliness_percent": "及时率 %",
    "capability_percent": "发电能力 %",
    "final_yield_h": "等效小时",
    "rank": "排名",
}
PLANNED = {
    "id": "编号",
    "subject": "对象",
    "start": "开始",
    "end": "结束",
    "description": "内容",
    "standing": "情况",
}


def _month(text: str) -> Period:
    period = period_of(text)
    if period.kind is not PeriodKind.MONTH:
        raise ProblemsError([Problem("月份", f"“{text}” 不是月份", "写成 2026-10")])
    return period


def _plain(value: Any) -> float | None:
    return None if value is None else float(value)


def _row(row: Indicators) -> dict[str, Any]:
    return {
        "station_id": row.station_id,
        "name": row.name,
        "village": row.village,
        "fault_rate_percent": _plain(percent_cell(row.fault_rate)),
        "online_rate_percent": _plain(percent_cell(row.online_rate)),
        "coverage_percent": _plain(percent_cell(row.coverage)),
        "timeliness_percent": _plain(percent_cell(row.punctuality.share)),
        "orders_due": row.punctuality.due,
        "orders_in_time": row.punctuality.in_time,
        "capability_percent": _plain(percent_cell(row.capability)),
        "energy_wh": row.energy_wh,
        "final_yield_h": _plain(hours_cell(row.final_yield_h)),
        "rank": row.rank,
    }


def _write(out: str, makers: dict[str, Any]) -> str:
    """Write a file whose ending says its form; returns words about it."""
    path = Path(out)
    make = makers.get(path.suffix.lower())
    if make is None:
        how = f"文件名以 {'、'.join(makers)} 结尾"
        raise ProblemsError([Problem(out, f"不能写成 {path.suffix or '没有后缀'}", how)])
    try:
        write_whole(path, make())
    except OSError as error:
        raise ProblemsError([Problem(out, f"写不了：{error.strerror}", "检查目录和权限")]) from error
    return f"；已写出 {path.name}"


def indicators(services: Services, *, month: str, out: str = "") -> Outcome:
    """Return the indicators of a month, and write them to `out` (.xlsx or .csv) where it is given."""
    period = _month(month)
    with services.database.reading() as session:
        found = monthly_indicators(session, services.series, SYSTEM, period, services.clock())
    sheet = indicators_sheet(found)
    written = ""
    if out:
        makers = {
            ".xlsx": lambda: write_xlsx([sheet], services.watermark),
            ".csv": lambda: write_csv(sheet),
        }
        written = _write(out, makers)
    defined = "；".join(f"{one.name}：{one.text}" for one in DEFINITIONS if one.name == "发电能力")
    rows = (*(_row(row) for row in found.rows), _row(found.total))
    return Outcome(f"{period.label}：{len(found.rows)} 座{written}。{defined}", COLUMNS, rows)


def report(services: Services, *, month: str, out: str) -> Outcome:
    """Write the monthly uptime report to `out` (.xlsx or .pdf)."""
    period = _month(month)
    with services.database.reading() as session:
        counties = divisions(session, SYSTEM, DivisionLevel.COUNTY)
        place = counties[0].name if len(counties) == 1 else ""
        found = uptime_report(session, services.series, SYSTEM, (period, place), services.clock())
    makers = {
        ".xlsx": lambda: report_xlsx(found, services.watermark),
        ".pdf": lambda: report_pdf(found, services.watermark),
    }
    written = _write(out, makers)
    return Outcome(
        f"{found.title}{written}", {"line": "摘要"}, tuple({"line": line} for line in found.summary)
    )


def _local(text: str, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ProblemsError(
            [Problem(where, f"“{text}” 不是时刻", "写成 2026-11-28T08:30（北京时间）")]
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


def plan_add(services: Services, *, subject: str, start: str, end: str, description: str) -> Outcome:
    """Announce work on a station or device before it begins."""
    work = (_local(start, "--start"), _local(end, "--end"), description)
    try:
        with services.database.transaction() as session:
            work_id = announce(session, OPERATOR, subject, work, services.clock())
    except (AnnouncedTooLateError, PlannedWorkError) as error:
        raise ProblemsError([Problem("计划检修", str(error), "改正后再登记")]) from error
    except LookupError as error:
        raise ProblemsError([Problem(subject, "没有这个电站或设备", "核对编号")]) from error
    return Outcome(f"已登记计划检修 {work_id}", {})


def plan_cancel(services: Services, *, work_id: str, reason: str) -> Outcome:
    """Cancel announced work, or end it now."""
    try:
        with services.database.transaction() as session:
            cancel(session, OPERATOR, work_id, reason, services.clock())
    except PlannedWorkError as error:
        raise ProblemsError([Problem(work_id, str(error), "用 sunledger planned list 查看")]) from error
    except LookupError as error:
        wrong = Problem(work_id, "没有这次检修", "用 sunledger planned list 查看编号")
        raise ProblemsError([wrong]) from error
    return Outcome(f"已取消 {work_id}", {})


def plan_list(services: Services, *, month: str = "") -> Outcome:
    """Return the work announced for a month, by default the present one."""
    now = services.clock()
    period = _month(month) if month else Period.month_of(now)
    with services.database.reading() as session:
        found = announced_between(session, SYSTEM, period.start_utc, period.end_utc)
    rows = tuple(
        {
            "id": one.id,
            "subject": one.subject,
            "start": moment_cell(one.start),
            "end": moment_cell(one.end),
            "description": one.description,
            "standing": "已取消" if one.cancelled_at else "已结束" if one.end <= now else "有效",
        }
        for one in found
    )
    return Outcome(f"{period.label}：{len(rows)} 次计划检修", PLANNED, rows)
