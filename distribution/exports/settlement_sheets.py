"""The papers of grid settlement as tables: 对账单, subsidy application, ageing, differences, entry sheets.

Owns which figures stand in which column, with control totals that are added up apart from the rows. Pages,
Excel, CSV and PDF show the same sheet; its form in each is `settlement_papers`'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from distribution.exports.papers import Control, PaperContent
from distribution.settlement.bank.reads import BankLine
from distribution.settlement.receivables.owed import AGE_WORDS, OwedItem
from distribution.settlement.receivables.transit import HeldMoney
from distribution.settlement.reconciliation import OUTCOMES, Discrepancy
from distribution.types import Component, Settlement
from documents.writing import Column, ColumnKind, SheetContent, Value
from registry.stations import Station
from store.periods import Period

COMPONENT_WORDS = {
    Component.ELECTRICITY: "上网电费",
    Component.SUBSIDY: "国家补贴",
    Component.LOCAL_SUBSIDY: "地方补贴",
}
_WH_PER_KWH = 1_000
_ENERGY = Column("上网电量（千瓦时）", ColumnKind.NUMBER, 18)


def _money(title: str) -> Column:
    return Column(f"{title}（元）", ColumnKind.MONEY, 15)


def account_paper(place: Station, bills: Sequence[Settlement], owed: Sequence[OwedItem]) -> PaperContent:
    """Return the 对账单 of one grid account: its lines as billed, and what of them has arrived."""
    columns = (
        Column("月份"),
        Column("电表编号", width=18),
        Column("时段", width=10),
        Column("倍率", ColumnKind.INTEGER, 8),
        Column("上次示数", ColumnKind.NUMBER),
        Column("本次示数", ColumnKind.NUMBER),
        _ENERGY,
        Column("电价（元/千瓦时）", ColumnKind.NUMBER),
        _money("电费"),
        Column("补贴单价（元/千瓦时）", ColumnKind.NUMBER),
        _money("国家补贴"),
        _money("地方补贴"),
        _money("代扣税"),
        _money("调整"),
        _money("应收合计"),
    )
    rows: list[tuple[Value, ...]] = [
        (
            *(bill.month, line.meter_number, line.tariff_window, line.meter_multiplier),
            *(line.previous_reading, line.current_reading, kwh(line.exported_energy_wh)),
            *(line.electricity_price, line.electricity_fen, line.subsidy_price, line.subsidy_fen),
            *(line.local_subsidy_fen, line.tax_fen, line.adjustment_fen),
            line.electricity_fen
            + line.subsidy_fen
            + line.local_subsidy_fen
            - line.tax_fen
            + line.adjustment_fen,
        )
        for bill in bills
        for line in bill.lines
    ]
    total = _total("合计", columns, rows)
    received = sum(one.received_fen for one in owed)
    lost = sum(one.written_off_fen for one in owed)
    billed = sum(one.electricity_fen + one.subsidy_fen + one.local_subsidy_fen for one in bills)
    label = "、".join(Period.parse(one.month).label for one in bills)
    notes = (
        f"户号：{place.account_number or '未登记'}　电站：{place.name}　收款：{place.payee or '县专户'}",
    )
    sheet = SheetContent("对账单", f"{place.name}{label}上网电费对账单", columns, rows, notes, total, True)
    controls = (
        Control("应收", billed, "fen"),
        Control("已到账", received, "fen"),
        Control("尾差", lost, "fen"),
        Control("待到账", billed - received - lost, "fen"),
        Control("行数", len(rows), "行"),
    )
    return PaperContent(sheet, controls, ("经办", "复核", "负责人"), ("供电公司", "县光伏收益专户管理单位"))


def county_paper(month: str, bills: Sequence[Settlement], owed: Sequence[OwedItem]) -> PaperContent:
    """Return the 对账单 of a county's month: one row a station, owed and received apart."""
    columns = (
        Column("户号", width=18),
        Column("电站", width=24),
        _ENERGY,
        *(_money(name) for name in ("应收电费", "应收国家补贴", "应收地方补贴", "应收合计")),
        *(_money(name) for name in ("已到账电费", "已到账补贴", "尾差", "待到账电费", "待补贴")),
    )
    parts: dict[str, dict[Component, OwedItem]] = {}
    for one in owed:
        parts.setdefault(one.station_id, {})[one.component] = one
    rows = [_county_row(bill, parts.get(bill.station_id, {})) for bill in bills if bill.station_id in parts]
    rows.sort(key=lambda row: (str(row[0]), str(row[1])))
    total = _total("合计", columns, rows)
    label = Period.parse(month).label
    notes = ("应收为供电公司结算金额，已到账为银行实收；尾差已入账，待补贴不参与分配。",)
    sheet = SheetContent("对账单", f"{label}上网电费对账单（全县）", columns, rows, notes, total, True)
    owed_fen, received_fen = sum(one.owed_fen for one in owed), sum(one.received_fen for one in owed)
    controls = (
        Control("应收", owed_fen, "fen"),
        Control("已到账", received_fen, "fen"),
        Control("未到", sum(one.outstanding_fen for one in owed), "fen"),
        Control("电站", len(rows), "座"),
    )
    return PaperContent(sheet, controls, seals=("供电公司", "县光伏收益专户管理单位"))


def _county_row(bill: Settlement, parts: Mapping[Component, OwedItem]) -> tuple[Value, ...]:
    power = parts.get(Component.ELECTRICITY)
    extra = [parts[one] for one in (Component.SUBSIDY, Component.LOCAL_SUBSIDY) if one in parts]
    owed = [parts[one].owed_fen if one in parts else 0 for one in COMPONENT_WORDS]
    named = next(iter(parts.values()))
    return (
        named.account_number,
        named.station_name,
        kwh(bill.exported_energy_wh),
        *owed,
        sum(owed),
        0 if power is None else power.received_fen,
        sum(one.received_fen for one in extra),
        sum(one.written_off_fen for one in parts.values()),
        0 if power is None else power.outstanding_fen,
        sum(one.outstanding_fen for one in extra),
    )


def subsidy_paper(
    until: str,
    owed: Sequence[OwedItem],
    places: Mapping[str, Station],
    energies: Mapping[tuple[str, str], int],
) -> PaperContent:
    """Return the list by which a county applies for subsidy that has not arrived, up to and with a month."""
    columns = (
        Column("户号", width=18),
        Column("电站", width=24),
        Column("目录状态", width=16),
        Column("装机（千瓦）", ColumnKind.NUMBER, 12),
        Column("并网日期", ColumnKind.DATE, 12),
        Column("月份"),
        _ENERGY,
        Column("补贴种类"),
        *(_money(name) for name in ("补贴金额", "已到账", "申请金额")),
    )
    wanted = [
        one
        for one in owed
        if one.component is not Component.ELECTRICITY and one.outstanding_fen and one.month <= until
    ]
    rows: list[tuple[Value, ...]] = []
    for one in sorted(wanted, key=lambda one: (one.account_number, one.station_id, one.month, one.component)):
        place = places.get(one.station_id)
        rows.append(
            (
                *(one.account_number, one.station_name, one.list_status or "未登记"),
                None if place is None else _kilowatt(place),
                None if place is None else place.grid_connected_on,
                *(one.month, kwh(energies.get((one.station_id, one.month))), COMPONENT_WORDS[one.component]),
                *(one.owed_fen, one.received_fen, one.outstanding_fen),
            )
        )
    total = _total("合计", columns, rows)
    title = f"截至{Period.parse(until).label}财政补贴申请清单"
    notes = ("已到账含入账尾差以外的实收金额；国家目录与地方参照电站的保障顺序不同，请按目录状态分别申报。",)
    sheet = SheetContent("补贴申请", title, columns, rows, notes, total, True)
    controls = (
        Control("申请金额", sum(one.outstanding_fen for one in wanted), "fen"),
        Control("电站", len({one.station_id for one in wanted}), "座"),
        Control("行数", len(rows), "行"),
    )
    return PaperContent(sheet, controls, seals=("县光伏收益专户管理单位", "县财政局"))


def _kilowatt(place: Station) -> Value:
    return f"{place.rated_power_w // 1000}.{place.rated_power_w % 1000:03d}".rstrip("0").rstrip(".")


def ageing_paper(on: date, owed: Sequence[OwedItem]) -> PaperContent:
    """Return what has not arrived by station, kind of money and age on a day."""
    columns = (
        Column("户号", width=18),
        Column("电站", width=24),
        Column("目录状态", width=16),
        Column("款项", width=12),
        *(_money(word) for word in AGE_WORDS),
        _money("合计"),
    )
    sums: dict[tuple[str, str, str, Component], dict[str, int]] = {}
    for one in owed:
        if one.outstanding_fen:
            key = (one.account_number, one.station_name, one.list_status or "未登记", one.component)
            ages = sums.setdefault(key, dict.fromkeys(AGE_WORDS, 0))
            ages[one.age_word(on)] += one.outstanding_fen
    rows: list[tuple[Value, ...]] = [
        (*key[:3], COMPONENT_WORDS.get(key[3], key[3].value), *ages.values(), sum(ages.values()))
        for key, ages in sorted(sums.items())
    ]
    notes = ("账龄从所属月份的最后一天起算。",)
    title = f"截至{on.year}年{on.month}月{on.day}日应收账龄表"
    sheet = SheetContent("应收账龄", title, columns, rows, notes, _total("合计", columns, rows), True)
    total = sum(one.outstanding_fen for one in owed)
    return PaperContent(sheet, (Control("未到", total, "fen"), Control("行数", len(rows), "行")))


def differences_paper(month: str, found: Sequence[Discrepancy], names: Mapping[str, str]) -> PaperContent:
    """Return the differences of a month with their causes, and how each was settled."""
    columns = (
        Column("电站", width=24),
        Column("差异", width=60),
        Column("可能原因", width=40),
        Column("负责人", width=12),
        Column("期限", ColumnKind.DATE, 12),
        Column("处理", width=12),
        Column("说明", width=30),
    )
    rows: list[tuple[Value, ...]] = [
        (
            *(names.get(one.station_id, one.station_id), one.text, one.cause, one.owner, one.due_on),
            *(OUTCOMES.get(one.outcome, "待处理"), one.reason),
        )
        for one in found
    ]
    sheet = SheetContent("差异", f"{Period.parse(month).label}对账差异及原因", columns, rows, landscape=True)
    waiting = sum(1 for one in found if not one.outcome)
    return PaperContent(sheet, (Control("差异", len(rows), "条"), Control("待处理", waiting, "条")))


@dataclass(frozen=True, slots=True)
class VillageEntry:
    """A village's month as the national system asks for it: energy [Wh], money [fen]."""

    code: str
    name: str
    exported_energy_wh: int
    electricity_fen: int
    subsidy_fen: int
    electricity_received_fen: int
    subsidy_received_fen: int
    maintenance_fen: int
    other_cost_fen: int
    remitted_fen: int
    spent_fen: int


def national_paper(month: str, entries: Sequence[VillageEntry]) -> PaperContent:
    """Return the sheet from which a month is entered into the national system, one row a village."""
    columns = (
        Column("村代码", width=16),
        Column("村", width=16),
        _ENERGY,
        *(_money(name) for name in ("应收电费", "应收补贴", "到账电费", "到账补贴", "运维费", "其他费用")),
        *(_money(name) for name in ("拨付到村", "村级支出")),
    )
    rows: list[tuple[Value, ...]] = [
        (
            *(one.code, one.name, kwh(one.exported_energy_wh), one.electricity_fen, one.subsidy_fen),
            *(one.electricity_received_fen, one.subsidy_received_fen, one.maintenance_fen),
            *(one.other_cost_fen, one.remitted_fen, one.spent_fen),
        )
        for one in entries
    ]
    label = Period.parse(month).label
    notes = ("应收按所属月份，到账、拨付和支出按实际发生的月份。联村电站按份额计入各村。",)
    sheet = SheetContent(
        "填报", f"{label}光伏收益全国系统填报表", columns, rows, notes, _total("合计", columns, rows), True
    )
    controls = (
        Control(
            "到账", sum(one.electricity_received_fen + one.subsidy_received_fen for one in entries), "fen"
        ),
        Control("拨付到村", sum(one.remitted_fen for one in entries), "fen"),
        Control("村", len(rows), "个"),
    )
    return PaperContent(sheet, controls)


def bank_paper(month: str, lines: Sequence[BankLine]) -> PaperContent:
    """Return the bank lines of a month of arrival, and what became of each."""
    columns = (
        Column("到账日期", ColumnKind.DATE, 12),
        Column("银行流水号", width=24),
        Column("付款人", width=24),
        Column("备注", width=30),
        *(_money(name) for name in ("到账金额", "已核对", "尾差", "未核对")),
        Column("状态", width=12),
        Column("原因", width=24),
    )
    rows: list[tuple[Value, ...]] = [
        (
            *(one.received_on, one.reference, one.payer, one.remark, one.amount_fen, one.matched_fen),
            *(one.surplus_fen, one.rest_fen, one.state_word, one.reason),
        )
        for one in lines
    ]
    title = f"{Period.parse(month).label}银行流水核对表"
    sheet = SheetContent("银行流水", title, columns, rows, (), _total("合计", columns, rows), True)
    controls = (
        Control("到账", sum(one.amount_fen for one in lines), "fen"),
        Control("未核对", sum(one.rest_fen for one in lines), "fen"),
        Control("流水", len(rows), "笔"),
    )
    return PaperContent(sheet, controls)


def transit_paper(on: date, held: Sequence[HeldMoney], names: Mapping[str, str]) -> PaperContent:
    """Return what arrived for each village, what was passed on, and what waits or is under way."""
    columns = (
        Column("村代码", width=16),
        Column("村", width=16),
        *(_money(name) for name in ("已到账", "已拨出", "县待拨", "在途", "已到村")),
        Column("最早一笔到账", ColumnKind.DATE, 14),
        Column("已等（天）", ColumnKind.INTEGER, 10),
        Column("时限（天）", ColumnKind.INTEGER, 10),
        Column("提示", width=12),
    )
    rows: list[tuple[Value, ...]] = [
        (
            *(one.village_code, names.get(one.village_code, one.village_code)),
            *(one.received_fen, one.remitted_fen, one.held_fen, one.in_transit_fen, one.arrived_fen),
            *(one.oldest_on, one.days if one.held_fen > 0 else None, one.limit_days or None),
            "超时限" if one.is_late else "",
        )
        for one in held
    ]
    title = f"截至{on.year}年{on.month}月{on.day}日收入转付情况"
    total = _total("合计", columns, rows)
    sheet = SheetContent("收入转付", title, columns, rows, (), total, True)
    controls = (
        Control("已到账", sum(one.received_fen for one in held), "fen"),
        Control("已拨出", sum(one.remitted_fen for one in held), "fen"),
        Control("县待拨", sum(one.held_fen for one in held), "fen"),
    )
    return PaperContent(sheet, controls)


def kwh(energy_wh: int | None) -> Decimal | None:
    """Return energy [Wh] as kWh, exactly and without idle zeros: a paper that is signed rounds nothing."""
    if energy_wh is None:
        return None
    whole, rest = divmod(energy_wh, _WH_PER_KWH)
    return Decimal(f"{whole}.{rest:03d}".rstrip("0").rstrip("."))


def _total(word: str, columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> tuple[Value, ...]:
    """Return a total row: money and energy are added up, other cells stay empty."""
    sums: list[Value] = []
    for index, column in enumerate(columns):
        figures = [row[index] for row in rows]
        if column.kind is ColumnKind.MONEY:
            sums.append(sum(one for one in figures if isinstance(one, int)))
        elif column is _ENERGY:
            sums.append(sum((one for one in figures if isinstance(one, Decimal)), Decimal(0)))
        else:
            sums.append("" if column.kind is ColumnKind.TEXT else None)
    return (word, *sums[1:])
