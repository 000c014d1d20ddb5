"""The monthly uptime report (运行月报): everything about running in one month, without money.

Owns what stands in it and in which order. The page, the workbook and the PDF are made of the same record,
so that their figures cannot differ.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from documents.pdf import render_pdf
from documents.writing import Column, ColumnKind, SheetContent, Value, cell_text, write_xlsx
from monitoring.alarms.kinds import KIND_WORDS
from monitoring.alarms.reads import Alarm, AlarmFilter, alarms
from monitoring.calendar.planned import Announced, announced_between
from monitoring.indicators.monthly import MonthlyIndicators, indicators_of, require_begun
from monitoring.indicators.sheets import indicators_sheet
from monitoring.reports.availability import (
    availability_sheet,
    device_names,
    range_words,
    table_of,
)
from monitoring.reports.cells import energy_cell, hours_cell, moment_cell
from monitoring.uptime.causes import CAUSE_LABELS, Cause
from monitoring.uptime.evaluation import Evaluation, Question, evaluate
from monitoring.uptime.results import AreaUptime, Level, Outage
from monitoring.work_orders.reads import OrderFilter, WorkOrder, work_orders
from registry.actors import Actor
from store.periods import Period
from store.series import SeriesStore

OUTAGES_LISTED = 200
_TEMPLATE = Path(__file__).parent / "monthly.typ"
FONTS = ("Noto Sans SC", "Noto Sans CJK SC")
_OUTAGES = (
    Column("设备", width=30),
    Column("原因", width=14),
    Column("开始", width=17),
    Column("结束", width=17),
    Column("其中有日照（小时）", ColumnKind.HOURS, 12),
    Column("少发（千瓦时）", ColumnKind.ENERGY, 14),
    Column("判断依据", width=40),
)
_ALARMS = (
    Column("类别", width=18),
    Column("本月发生", ColumnKind.INTEGER, 10),
    Column("本月恢复", ColumnKind.INTEGER, 10),
    Column("已确认", ColumnKind.INTEGER, 10),
    Column("仍未恢复", ColumnKind.INTEGER, 10),
)
_ORDERS = (
    Column("编号", width=14),
    Column("电站", width=24),
    Column("事项", width=36),
    Column("派单", width=17),
    Column("期限", width=17),
    Column("完工", width=17),
    Column("状态", width=10),
    Column("及时", width=8),
)
_PLANNED = (
    Column("电站或设备", width=30),
    Column("开始", width=17),
    Column("结束", width=17),
    Column("内容", width=40),
    Column("登记时间", width=17),
)


@dataclass(frozen=True, slots=True)
class UptimeReport:
    """The report of a month: its title, the summary in sentences, and its tables in order."""

    month: Period
    place: str
    title: str
    summary: tuple[str, ...]
    sheets: tuple[SheetContent, ...]
    running: bool


def uptime_report(
    session: Session, series: SeriesStore, actor: Actor, asked: tuple[Period, str], now: datetime
) -> UptimeReport:
    """Return the report of (month, name of the area) for the actor's stations, up to `now` [UTC].

    Raises ProblemsError for a month that has not begun.
    """
    month, place = asked
    require_begun(month, now)
    evaluation = evaluate(session, series, actor, Question(month.start_utc, month.end_utc), now)
    indicators = indicators_of(session, actor, evaluation, month, now)
    townships = table_of(session, actor, evaluation, Level.TOWNSHIP)
    names = device_names(session, actor)
    orders = work_orders(session, actor, OrderFilter(due=(month.start_utc, month.end_utc)))
    planned = announced_between(session, actor, month.start_utc, month.end_utc)
    label = month.label
    lasting = AlarmFilter(since=month.start_utc, until=month.end_utc)
    return UptimeReport(
        month=month,
        place=place,
        title=f"{place}{label}光伏帮扶电站运行月报",
        summary=_summary(indicators, townships.total, orders, now),
        sheets=(
            availability_sheet(townships, label),
            indicators_sheet(indicators),
            availability_sheet(table_of(session, actor, evaluation, Level.STATION), label),
            _outages_sheet(evaluation, names, label),
            _alarms_sheet(alarms(session, actor, lasting), month),
            _orders_sheet(orders, now, label),
            _planned_sheet(planned, label),
        ),
        running=indicators.running,
    )


def _summary(
    indicators: MonthlyIndicators, total: AreaUptime, orders: Sequence[WorkOrder], now: datetime
) -> tuple[str, ...]:
    result, whole = total.availability, indicators.total
    forced = sum(outage.cause is Cause.FORCED for outage in total.outages)
    lost = _energy_words(total.energy.lost_wh.get(Cause.FORCED)) if total.energy.modelled else ""
    late = sum(order.overdue(now) for order in orders)
    power, made = hours_cell(total.rated_power_w / 1000), _energy_words(whole.energy_wh)
    punctual = whole.punctuality
    return (
        f"电站 {whole.stations} 座、逆变器 {total.devices} 台，合计 {power:,} 千瓦；"
        + (f"发电 {made}，等效利用小时 {hours_cell(whole.final_yield_h)}。" if made else "没有发电量数据。"),
        f"设备可用率 {range_words(result.equipment)}；全口径可用率 {range_words(result.all_causes)}。",
        f"半小时以上的设备停机 {forced} 次；{_by_cause(total)}{f'；设备原因约少发 {lost}' if lost else ''}。",
        f"本月到期工单 {punctual.due} 张，按期完成 {punctual.in_time} 张，现在超期未完 {late} 张。",
    )


def _energy_words(energy_wh: float | None) -> str:
    return "" if energy_wh is None else f"{cell_text(ColumnKind.ENERGY, energy_cell(energy_wh))} 千瓦时"


def _by_cause(total: AreaUptime) -> str:
    stopped = (
        (cause, value) for cause, value in total.hours.with_light.items() if cause is not Cause.RUNNING
    )
    named = [
        f"{CAUSE_LABELS[cause]} {hours_cell(value):,} 台时"
        for cause, value in stopped
        if value >= 0.05  # noqa: PLR2004, less is written 0.0
    ]
    return "、".join(named) or "没有停机"


def _outages_sheet(evaluation: Evaluation, names: dict[str, str], label: str) -> SheetContent:
    found = sorted(evaluation.outages(), key=_worst_first)
    left = max(0, len(found) - OUTAGES_LISTED)
    notes = ["日照下不少于半小时的停机，设备原因的在前，少发多的在前。"]
    if left:
        notes.append(f"共 {len(found)} 次，另有 {left} 次较小的没有列出。")
    return SheetContent(
        "停机明细",
        f"{label}停机明细",
        _OUTAGES,
        tuple(_outage(one, names) for one in found[:OUTAGES_LISTED]),
        notes=tuple(notes),
        landscape=True,
    )


def _worst_first(outage: Outage) -> tuple[bool, float, float, datetime, str]:
    """Order by whose fault it was, then by what was lost."""
    forced = outage.cause is Cause.FORCED
    return not forced, -(outage.lost_wh or 0.0), -outage.light_h, outage.start, outage.device_id


def _outage(outage: Outage, names: dict[str, str]) -> tuple[Value, ...]:
    return (
        names.get(outage.device_id, outage.device_id),
        CAUSE_LABELS[outage.cause],
        moment_cell(outage.start),
        "仍在停机" if outage.ongoing else moment_cell(outage.end),
        hours_cell(outage.light_h),
        energy_cell(outage.lost_wh),
        outage.reason,
    )


def _alarms_sheet(told: Sequence[Alarm], month: Period) -> SheetContent:
    """Return how many alarms of each kind there were in a month, one a cause."""
    start, end = month.start_utc, month.end_utc
    rows = []
    for kind, word in KIND_WORDS.items():
        mine = [one for one in told if one.kind is kind]
        if mine:
            closed = [one.closed_at for one in mine if one.closed_at is not None and one.closed_at < end]
            opened = sum(start <= one.opened_at for one in mine)
            acknowledged = sum(one.acknowledged for one in mine)
            rows.append((word, opened, len(closed), acknowledged, len(mine) - len(closed)))
    notes = ("一个原因一条；全站或全乡的告警只计一条。",)
    return SheetContent("告警", f"{month.label}告警", _ALARMS, tuple(rows), notes=notes)


def _orders_sheet(orders: Iterable[WorkOrder], now: datetime, label: str) -> SheetContent:
    rows = tuple(
        (
            order.number,
            order.station_name,
            order.title,
            moment_cell(order.opened_at),
            moment_cell(order.due_at),
            moment_cell(order.done_at),
            order.state_word,
            _in_time(order, now),
        )
        for order in sorted(orders, key=lambda one: one.number)
    )
    notes = ("期限在本月的工单；“—”表示还没到期或已撤销，不计入及时率。",)
    return SheetContent("工单", f"{label}运维工单", _ORDERS, rows, notes=notes, landscape=True)


def _in_time(order: WorkOrder, now: datetime) -> str | None:
    verdict = order.in_time(now)
    return None if verdict is None else "是" if verdict else "否"


def _planned_sheet(planned: Sequence[Announced], label: str) -> SheetContent:
    rows = tuple(
        (
            one.subject,
            moment_cell(one.start),
            moment_cell(one.end),
            one.description,
            moment_cell(one.announced_at),
        )
        for one in planned
    )
    notes = ("开工前登记的才算计划检修。",)
    return SheetContent("计划检修", f"{label}计划检修", _PLANNED, rows, notes=notes, landscape=True)


def report_xlsx(report: UptimeReport, watermark: str = "") -> bytes:
    """Return the report as a workbook, its summary as the first sheet."""
    lines = tuple((line,) for line in report.summary)
    first = SheetContent("摘要", report.title, (Column("摘要", width=110),), lines, landscape=True)
    return write_xlsx([first, *report.sheets], watermark)


def report_pdf(report: UptimeReport, watermark: str = "", fonts: tuple[str, ...] = FONTS) -> bytes:
    """Return the report on A4, landscape; every cell as on the page."""
    data: dict[str, object] = {
        "title": report.title,
        "summary": report.summary,
        "tables": [_printed(sheet) for sheet in report.sheets],
        "watermark": watermark,
        "fonts": fonts,
    }
    return render_pdf(_TEMPLATE, data)


def _printed(sheet: SheetContent) -> dict[str, object]:
    rows = (*sheet.rows, *((sheet.total,) if sheet.total is not None and sheet.rows else ()))
    return {
        "title": sheet.title,
        "notes": sheet.notes,
        "columns": [
            {"title": column.title, "right": column.kind is not ColumnKind.TEXT, "width": column.width}
            for column in sheet.columns
        ],
        "rows": [
            [cell_text(column.kind, value) for column, value in zip(sheet.columns, row, strict=True)]
            for row in rows
        ],
        "total": bool(sheet.total is not None and sheet.rows),
    }
