"""The indicators as one table: the page, the workbook, the CSV and the report print the same cells.

Owns columns, notes and rounding; a figure is rounded here once, and what is missing stays empty.
"""

from documents.writing import Column, ColumnKind, SheetContent, Value
from monitoring.indicators.definitions import DEFINITIONS
from monitoring.indicators.monthly import Indicators, MonthlyIndicators
from monitoring.reports.cells import hours_cell, percent_cell
from monitoring.work_orders.reads import Punctuality

COLUMNS = (
    Column("电站", width=24),
    Column("所在村", width=14),
    Column("额定（千瓦）", ColumnKind.HOURS, 12),
    Column("故障率（%）", ColumnKind.PERCENT, 11),
    Column("在线率（%）", ColumnKind.PERCENT, 11),
    Column("运维覆盖率（%）", ColumnKind.PERCENT, 14),
    Column("运维及时率（%）", ColumnKind.PERCENT, 14),
    Column("及时／到期工单", width=14),
    Column("发电能力（%）", ColumnKind.PERCENT, 13),
    Column("发电量（千瓦时）", ColumnKind.ENERGY, 16),
    Column("等效利用小时", ColumnKind.HOURS, 13),
    Column("排名", ColumnKind.INTEGER, 8),
    Column("电量完整率（%）", ColumnKind.PERCENT, 14),
)


def _counted(orders: Punctuality) -> str | None:
    return f"{orders.in_time}／{orders.due}" if orders.due else None


def cells(row: Indicators) -> tuple[Value, ...]:
    """Return one row of the table, in the order of the columns."""
    return (
        row.name,
        row.village,
        hours_cell(row.rated_power_w / 1000),
        percent_cell(row.fault_rate),
        percent_cell(row.online_rate),
        percent_cell(row.coverage),
        percent_cell(row.punctuality.share),
        _counted(row.punctuality),
        percent_cell(row.capability),
        row.energy_wh,
        hours_cell(row.final_yield_h),
        row.rank,
        percent_cell(row.completeness if row.energy_wh is not None else None),
    )


def notes(found: MonthlyIndicators) -> tuple[str, ...]:
    """Return what stands above the table: until when, the definitions, the reference and the light rules."""
    last = found.until.fromordinal(found.until.toordinal() - 1)
    until = f"统计到 {last.month}月{last.day}日，本月尚未结束" if found.running else "统计全月"
    references = tuple(
        f"典型年利用小时 {one.value.normalize():f}，依据：{one.source}" for one in found.references
    ) or ("没有录入典型年利用小时，发电能力不能计算",)
    defined = (f"{one.name}{f'（{one.unit}）' if one.unit else ''}：{one.text}" for one in DEFINITIONS)
    rules = (f"有日照的判定：{'；'.join(found.rules)}",) if found.rules else ()
    return (
        f"{until}；排名范围 {found.ranked} 座；“—”或空格表示没有数据，不是零",
        *defined,
        *references,
        *rules,
    )


def indicators_sheet(found: MonthlyIndicators) -> SheetContent:
    """Return the table of a month: stations in the order of the registry, and their total."""
    return SheetContent(
        "运维指标",
        f"{found.month.label}光伏帮扶电站运维指标",
        COLUMNS,
        tuple(cells(row) for row in found.rows),
        notes=notes(found),
        total=cells(found.total),
        landscape=True,
    )
