"""Statements and reconciliation as tables for Excel and CSV.

Owns which figures stand in which column; the form of the files is `documents.writing`'s. Amounts come
from the statements as they are shown on the pages.
"""

from collections.abc import Sequence

from distribution.money import yuan
from distribution.settlement.reconciliation import Discrepancy
from distribution.statement.records import HouseholdStatement, StationMonth, VillageStatement
from distribution.types import Settlement
from documents.writing import Column, ColumnKind, SheetContent, write_csv, write_xlsx

_SUMMARY = (Column("项目", width=30), Column("金额（元）", ColumnKind.MONEY), Column("依据", width=40))
_LINES = (
    Column("序号", ColumnKind.INTEGER, 8),
    Column("组", width=10),
    Column("户主"),
    Column("项目", width=18),
    Column("依据", width=40),
    Column("金额（元）", ColumnKind.MONEY),
    Column("发放情况"),
)
_HOUSEHOLD = (
    Column("月份"),
    Column("项目", width=18),
    Column("计算", width=60),
    Column("金额（元）", ColumnKind.MONEY),
    Column("发放情况"),
)
_SETTLEMENT = (
    Column("月份"),
    Column("户号", width=18),
    Column("电站", width=24),
    Column("电表编号", width=18),
    Column("倍率", ColumnKind.INTEGER, 8),
    Column("上次示数", ColumnKind.NUMBER),
    Column("本次示数", ColumnKind.NUMBER),
    Column("上网电量（千瓦时）", ColumnKind.ENERGY, 18),
    Column("电价（元/千瓦时）", ColumnKind.NUMBER),
    Column("电费（元）", ColumnKind.MONEY),
    Column("补贴（元）", ColumnKind.MONEY),
    Column("结算单", width=40),
)


def summary_sheet(statement: VillageStatement) -> SheetContent:
    """Return the sum from income to lines, as on the page."""
    figures = [(one.label, one.amount_fen, one.clause) for one in statement.income]
    figures += [(f"减：{one.label}", -one.amount_fen, one.clause) for one in statement.deductions]
    if statement.carried_in is not None:
        figures.append((f"加：{statement.carried_in.label}", statement.carried_in.amount_fen, ""))
    figures.append(("可分配", statement.distributable.amount_fen, ""))
    figures += [(f"其中：{one.label}", one.amount_fen, "") for one in statement.purses]
    return SheetContent(
        "收支",
        f"{statement.village_name}{statement.period_label}光伏收益分配",
        _SUMMARY,
        figures,
        notes=(
            f"分配方案：{statement.plan_title}（{statement.plan_source}）",
            f"第 {statement.run.version} 版，指纹 {statement.fingerprint}，{statement.run.state_name}",
        ),
        total=(f"合计（大写）{statement.total_uppercase}", statement.total_fen, ""),
    )


def lines_sheet(statement: VillageStatement) -> SheetContent:
    """Return the list of a village's lines with their sum."""
    rows = [
        (
            number,
            line.village_group,
            line.name,
            line.item,
            line.basis,
            line.amount_fen,
            line.payout_state,
        )
        for number, line in enumerate(statement.lines, start=1)
    ]
    return SheetContent(
        "明细",
        f"{statement.village_name}{statement.period_label}分配明细",
        _LINES,
        rows,
        total=("", "", "合计", "", statement.total_uppercase, statement.total_fen, ""),
        landscape=True,
    )


_FURTHER = (Column("种类"), Column("状态", width=16), *_LINES[1:])


def further_sheet(statement: VillageStatement) -> SheetContent:
    """Return the lines of the month's top-ups and corrections; those of a correction are differences."""
    rows = [
        (
            f"{one.kind_name}第 {one.run.version} 版",
            one.run.state_name,
            *(line.village_group, line.name, line.item, line.basis, line.amount_fen, line.payout_state),
        )
        for one in statement.further
        for line in one.lines
    ]
    return SheetContent(
        "补发和更正",
        f"{statement.village_name}{statement.period_label}补发和更正",
        _FURTHER,
        rows,
        notes=(f"本村目前待收回多发款 {yuan(statement.recoverable_fen)} 元",),
        total=("合计", "", "", "", "", "", sum(one.amount_fen for one in statement.further), ""),
        landscape=True,
    )


def statement_xlsx(statement: VillageStatement, watermark: str = "") -> bytes:
    """Return a village statement as a workbook: the sum, the list, and top-ups and corrections if any."""
    sheets = [summary_sheet(statement), lines_sheet(statement)]
    if statement.further:
        sheets.append(further_sheet(statement))
    return write_xlsx(sheets, watermark)


def statement_csv(statement: VillageStatement) -> bytes:
    """Return a village statement's lines as CSV (UTF-8 with mark)."""
    return write_csv(lines_sheet(statement))


def household_notes(statement: HouseholdStatement) -> tuple[str, ...]:
    """Return what stands below a household's sum: what is paid, what is owed back, what is under way."""
    notes = [f"已发放 {yuan(statement.paid_fen)} 元，待发放 {yuan(statement.owed_fen)} 元"]
    if statement.overpaid_fen or statement.netted_fen or statement.recoverable_fen:
        notes.append(
            f"更正减少 {yuan(statement.overpaid_fen)} 元，已从发放中冲抵 {yuan(statement.netted_fen)} 元，"
            f"目前待收回 {yuan(statement.recoverable_fen)} 元"
        )
    waiting = len(statement.lines) - len(statement.booked)
    if waiting:
        notes.append(f"另有办理中 {waiting} 笔 {yuan(statement.pending_fen)} 元，入账后计入合计")
    return tuple(notes)


def household_xlsx(statement: HouseholdStatement, watermark: str = "") -> bytes:
    """Return a household's sheet as a workbook."""
    rows = [
        (line.period, line.item, "；".join(line.steps), line.amount_fen, line.payout_state)
        for line in statement.booked
    ]
    sheet = SheetContent(
        "到户明细",
        f"{statement.village_name} {statement.household.name}户 {statement.period_label}光伏收益",
        _HOUSEHOLD,
        rows,
        notes=household_notes(statement),
        total=("合计", "", statement.total_uppercase, statement.total_fen, ""),
        landscape=True,
    )
    return write_xlsx([sheet], watermark)


def settlement_xlsx(
    bills: Sequence[Settlement],
    names: dict[str, str],
    differences: Sequence[Discrepancy] = (),
    watermark: str = "",
) -> bytes:
    """Return the reconciliation sheet (对账单) of bills by line, with the differences found beside them.

    `names` are station names by id.
    """
    rows = [
        (
            bill.month,
            line.account_number,
            names.get(bill.station_id, bill.station_id),
            line.meter_number,
            line.meter_multiplier,
            line.previous_reading,
            line.current_reading,
            line.exported_energy_wh,
            line.electricity_price,
            line.electricity_fen,
            line.subsidy_fen,
            bill.source,
        )
        for bill in bills
        for line in bill.lines
    ]
    total = (
        *("合计", "", "", "", None, None, None),
        sum(bill.exported_energy_wh for bill in bills),
        None,
        sum(line.electricity_fen for bill in bills for line in bill.lines),
        sum(line.subsidy_fen for bill in bills for line in bill.lines),
        "",
    )
    sheets = [
        SheetContent("结算单", "上网电费对账单", _SETTLEMENT, rows, total=total, landscape=True),
        _differences_sheet(differences, names),
    ]
    return write_xlsx(sheets, watermark)


def _differences_sheet(differences: Sequence[Discrepancy], names: dict[str, str]) -> SheetContent:
    columns = (
        Column("月份"),
        Column("电站", width=24),
        Column("差异", width=60),
        Column("可能原因", width=40),
        Column("处理", width=30),
    )
    rows = [
        (one.month, names.get(one.station_id, one.station_id), one.text, one.cause, one.reason or "未处理")
        for one in differences
    ]
    return SheetContent("差异", "电量差异", columns, rows, landscape=True)


def station_money_csv(name: str, months: Sequence[StationMonth]) -> bytes:
    """Return a station's money by month as CSV: 应收, 已到账, 待到账."""
    columns = (
        Column("月份"),
        Column("上网电量（千瓦时）", ColumnKind.ENERGY, 18),
        Column("应收电费（元）", ColumnKind.MONEY),
        Column("应收补贴（元）", ColumnKind.MONEY),
        Column("已到账电费（元）", ColumnKind.MONEY),
        Column("已到账补贴（元）", ColumnKind.MONEY),
        Column("待到账（元）", ColumnKind.MONEY),
    )
    rows = [
        (
            one.month,
            one.exported_energy_wh,
            one.electricity_fen,
            one.subsidy_fen,
            one.electricity_received_fen,
            one.subsidy_received_fen,
            one.outstanding_fen,
        )
        for one in months
    ]
    return write_csv(SheetContent("电站收益", f"{name} 应收与到账", columns, rows))
