"""The availability of devices, stations, townships or a county as one table.

Owns the columns, the notes (rule and formulas), and the sentence with the bounds. The evaluation is
`monitoring.uptime`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from documents.writing import Column, ColumnKind, SheetContent, Value
from monitoring.reports.cells import energy_cell, hours_cell, percent_cell
from monitoring.uptime.causes import CAUSE_LABELS, Cause, Hours, Share
from monitoring.uptime.evaluation import Evaluation, Question, areas, evaluate
from monitoring.uptime.results import AreaUptime, Level, area_uptime
from registry.actors import Actor
from registry.stations import devices, stations
from store.series import SeriesStore

LEVEL_LABELS = {
    Level.DEVICE: "设备",
    Level.STATION: "电站",
    Level.TOWNSHIP: "乡镇",
    Level.COUNTY: "全县",
}
COLUMNS = (
    Column("名称", width=26),
    Column("设备数", ColumnKind.INTEGER, 8),
    Column("额定（千瓦）", ColumnKind.HOURS, 11),
    Column("设备可用率（%）", ColumnKind.PERCENT, 12),
    Column("下限（%）", ColumnKind.PERCENT, 9),
    Column("上限（%）", ColumnKind.PERCENT, 9),
    Column("全口径可用率（%）", ColumnKind.PERCENT, 12),
    Column("数据完整率（%）", ColumnKind.PERCENT, 12),
    Column("电量可用率（%）", ColumnKind.PERCENT, 12),
    Column("有日照（台时）", ColumnKind.HOURS, 12),
    *(Column(f"{CAUSE_LABELS[cause]}（台时）", ColumnKind.HOURS, 12) for cause in Hours().with_light),
    Column("停机次数", ColumnKind.INTEGER, 9),
    Column("设备原因少发（千瓦时）", ColumnKind.ENERGY, 14),
)
_NOTES = (
    "设备可用率 = 1 − 设备原因停机 ÷（有日照 − 电网 − 调度 − 计划检修 − 不可抗力 − 无数据），按千瓦加权。",
    "全口径可用率 = 1 − 一切原因停机 ÷（有日照 − 无数据）。",
    "无数据的时间不猜：算作停机得下限，算作运行得上限。",
    "通信中断期间，以设备自身累计电量判断当时是否发电。停机次数只计设备原因、日照下不少于半小时的。",
)


@dataclass(frozen=True, slots=True)
class AvailabilityTable:
    """The rows of a level with their sum, over [start, end) [UTC]."""

    start: datetime
    end: datetime
    level: Level
    rule_label: str
    rows: tuple[AreaUptime, ...]
    total: AreaUptime


def availability_table(
    session: Session, series: SeriesStore, actor: Actor, asked: tuple[Question, Level], now: datetime
) -> AvailabilityTable:
    """Return the availability of the actor's stations at a level, up to `now` [UTC]."""
    question, level = asked
    return table_of(session, actor, evaluate(session, series, actor, question, now), level)


def table_of(session: Session, actor: Actor, evaluation: Evaluation, level: Level) -> AvailabilityTable:
    """Return an evaluation as the rows of a level."""
    rows = (
        _device_rows(session, actor, evaluation)
        if level is Level.DEVICE
        else areas(session, evaluation, level)
    )
    return AvailabilityTable(
        evaluation.start,
        evaluation.end,
        level,
        evaluation.rule.label,
        _in_order(session, actor, rows, level),
        area_uptime(Level.COUNTY, "", "合计", evaluation.devices),
    )


def _device_rows(session: Session, actor: Actor, evaluation: Evaluation) -> tuple[AreaUptime, ...]:
    names = device_names(session, actor)
    return tuple(
        area_uptime(Level.DEVICE, one.device_id, names.get(one.device_id, one.device_id), [one])
        for one in evaluation.devices
    )


def device_names(session: Session, actor: Actor) -> dict[str, str]:
    """Return the names of the actor's devices with their station, by id."""
    places = {place.id: place.name for place in stations(session, actor)}
    return {one.id: f"{places.get(one.station_id, '')} {one.name}".strip() for one in devices(session, actor)}


def _in_order(
    session: Session, actor: Actor, rows: Sequence[AreaUptime], level: Level
) -> tuple[AreaUptime, ...]:
    """Return the rows in the order in which the registry lists them."""
    if level in {Level.TOWNSHIP, Level.COUNTY}:
        return tuple(rows)
    listed = [one.id for one in (stations if level is Level.STATION else devices)(session, actor)]
    place = {key: number for number, key in enumerate(listed)}
    return tuple(sorted(rows, key=lambda row: place.get(row.key, len(place))))


def cells(row: AreaUptime) -> tuple[Value, ...]:
    """Return one row of the table."""
    result, hours = row.availability, row.hours
    return (
        row.name,
        row.devices,
        hours_cell(row.rated_power_w / 1000),
        percent_cell(result.equipment.value),
        percent_cell(result.equipment.low),
        percent_cell(result.equipment.high),
        percent_cell(result.all_causes.value),
        percent_cell(result.data),
        percent_cell(row.energy.availability),
        hours_cell(hours.use),
        *(hours_cell(value) for value in hours.with_light.values()),
        sum(outage.cause is Cause.FORCED for outage in row.outages),
        energy_cell(row.energy.lost_wh.get(Cause.FORCED, 0.0)) if row.energy.modelled else None,
    )


def availability_sheet(table: AvailabilityTable, label: str) -> SheetContent:
    """Return the table; `label` names the period in words."""
    word = LEVEL_LABELS[table.level]
    return SheetContent(
        f"可用率（{word}）",
        f"{label}{'各' if table.level is not Level.COUNTY else ''}{word}可用率",
        COLUMNS,
        tuple(cells(row) for row in table.rows),
        notes=(*rule_notes(table), *_NOTES),
        total=cells(table.total),
        landscape=True,
    )


def rule_notes(table: AvailabilityTable) -> tuple[str, ...]:
    """Return by which rule time counted as usable: the one asked for, and what was used in fact."""
    used = "；".join(table.total.rules)
    return (f"有日照的判定：{table.rule_label}。实际采用：{used or '没有数据'}。",)


def range_words(share: Share) -> str:
    """Return a share with its bounds in words; unknown time makes them differ."""
    if share.value is None:
        return "没有数据，不能给出"
    value, low, high = (percent_cell(one) for one in (share.value, share.low, share.high))
    if low == high:
        return f"{value} %"
    return f"{value} %，在 {low} % 到 {high} % 之间"
