"""The papers of distributed money as tables: sub-ledger, county flow, ratios, pay sheet, township book. Pure.

Owns which figures stand in which column; pages, Excel, CSV and PDF show the same sheet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from distribution.exports.papers import Control, PaperContent
from distribution.tracing import BookLine
from distribution.types import TestResult
from documents.writing import Column, ColumnKind, SheetContent, Value
from store.periods import Period


def _money(title: str) -> Column:
    return Column(f"{title}（元）", ColumnKind.MONEY, 15)


def _sum(rows: Sequence[Sequence[Value]], column: int) -> int:
    return sum(value for row in rows if isinstance(value := row[column], int))


def sub_ledger(place: tuple[str, str], lines: Sequence[BookLine], names: Mapping[str, str]) -> PaperContent:
    """Return a village's 明细账 of a month, given as (village name, month): every leg, debit or credit."""
    village, month = place
    columns = (
        Column("凭证号", width=20),
        Column("日期", ColumnKind.DATE, 12),
        Column("摘要", width=36),
        Column("科目", width=18),
        Column("户或对象", width=16),
        _money("借方"),
        _money("贷方"),
        Column("冲正", width=8),
    )
    rows = [
        (
            line.entry,
            line.business_date,
            line.text,
            line.account,
            names.get(line.holder, line.holder),
            line.amount_fen if line.amount_fen > 0 else None,
            -line.amount_fen if line.amount_fen < 0 else None,
            "冲正" if line.is_correction else "",
        )
        for line in lines
    ]
    debit = sum(line.amount_fen for line in lines if line.amount_fen > 0)
    credit = -sum(line.amount_fen for line in lines if line.amount_fen < 0)
    sheet = SheetContent(
        "村级明细账",
        f"{village}{Period.parse(month).label}明细账",
        columns,
        rows,
        total=("合计", None, "", "", "", _sum(rows, 5), _sum(rows, 6), ""),
        landscape=True,
    )
    controls = (
        Control("借方", debit, "fen"),
        Control("贷方", credit, "fen"),
        Control("分录", len(lines), "条"),
    )
    return PaperContent(sheet, controls, ("记账", "复核", "村务监督委员会主任"), (f"{village}村民委员会",))


@dataclass(frozen=True, slots=True)
class VillageFlow:
    """What the county held for a village [fen]: before, taken in, passed on; and the village's bank."""

    code: str
    name: str
    before_fen: int
    received_fen: int
    passed_fen: int
    bank_fen: int

    @property
    def after_fen(self) -> int:
        """What is still to be passed on."""
        return self.before_fen + self.received_fen - self.passed_fen


def county_flow(area: str, month: str, flows: Sequence[VillageFlow]) -> PaperContent:
    """Return the 县级收支表 of a month: received for each village, passed on, and still in transit."""
    columns = (
        Column("村代码", width=16),
        Column("村", width=18),
        _money("期初待拨"),
        _money("本月代收"),
        _money("本月拨付"),
        _money("期末待拨"),
        _money("村账户余额"),
    )
    rows = [
        (one.code, one.name, one.before_fen, one.received_fen, one.passed_fen, one.after_fen, one.bank_fen)
        for one in flows
    ]
    sheet = SheetContent(
        "县级收支表",
        f"{area}{Period.parse(month).label}县级收支表",
        columns,
        rows,
        notes=("期初待拨 + 本月代收 − 本月拨付 = 期末待拨；村账户余额为月末数。",),
        total=("", "合计", *(_sum(rows, column) for column in range(2, 7))),
        landscape=True,
    )
    controls = (
        Control("代收", sum(one.received_fen for one in flows), "fen"),
        Control("拨付", sum(one.passed_fen for one in flows), "fen"),
        Control("期末待拨", sum(one.after_fen for one in flows), "fen"),
    )
    return PaperContent(sheet, controls, ("制表", "复核", "负责人"), ("县财务",))


def ratio_sheet(
    area: str, month: str, found: Sequence[tuple[str, str, Sequence[TestResult]]]
) -> PaperContent:
    """Return the 比例测算表: each test of the plans (80 %, 60 % …) as (village, state, tests)."""
    columns = (
        Column("村", width=18),
        Column("进度", width=14),
        Column("测算项目", width=30),
        _money("计入金额"),
        _money("基数"),
        Column("比例（%）", ColumnKind.PERCENT, 12),
        Column("要求不低于（%）", ColumnKind.PERCENT, 16),
        Column("结果", width=12),
    )
    rows = [
        (
            village,
            state,
            test.label,
            test.numerator_fen,
            test.denominator_fen,
            _percent(test.numerator_fen, test.denominator_fen),
            _percent(test.threshold.numerator, test.threshold.denominator),
            "达到" if test.passed else "没有达到",
        )
        for village, state, tests in found
        for test in tests
    ]
    failed = sum(row[7] == "没有达到" for row in rows)
    sheet = SheetContent(
        "比例测算表", f"{area}{Period.parse(month).label}比例测算表", columns, rows, landscape=True
    )
    controls = (Control("测算", len(rows), "项"), Control("没有达到", failed, "项"))
    return PaperContent(sheet, controls)


def _percent(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) * 100 / Decimal(whole)).quantize(Decimal("0.01")) if whole else None


@dataclass(frozen=True, slots=True)
class Wage:
    """One wage of a public-welfare post [fen]: whose, for which post, how computed, whether paid."""

    village: str
    number: str
    name: str
    group: str
    post: str
    basis: str
    amount_fen: int
    state: str


def pay_sheet(area: str, month: str, wages: Sequence[Wage]) -> PaperContent:
    """Return the 公益岗位人员工资表 of a month, person by person; accounts stand in the bank's file only."""
    columns = (
        Column("村", width=18),
        Column("户号", width=10),
        Column("姓名", width=12),
        Column("组", width=10),
        Column("岗位", width=14),
        Column("计算", width=40),
        _money("实发"),
        Column("发放情况", width=12),
        Column("签收", width=12),
    )
    rows = [
        (one.village, one.number, one.name, one.group, one.post, one.basis, one.amount_fen, one.state, "")
        for one in wages
    ]
    sheet = SheetContent(
        "人员工资表",
        f"{area}{Period.parse(month).label}公益岗位人员工资表",
        columns,
        rows,
        total=("合计", "", "", "", "", "", _sum(rows, 6), "", ""),
        landscape=True,
    )
    controls = (
        Control("人次", len(wages), "人"),
        Control("实发", sum(one.amount_fen for one in wages), "fen"),
    )
    return PaperContent(sheet, controls, ("制表", "审核", "村务监督委员会主任"))


@dataclass(frozen=True, slots=True)
class VillageMonth:
    """A village's month in the township's book [fen]."""

    name: str
    kind: str
    state: str
    received_fen: int
    deducted_fen: int
    carried_fen: int
    distributable_fen: int
    households: int
    households_fen: int
    paid_fen: int

    @property
    def owed_fen(self) -> int:
        """What households are still to be paid."""
        return self.households_fen - self.paid_fen


def township_book(area: str, month: str, months: Sequence[VillageMonth]) -> PaperContent:
    """Return the 乡镇账 of a month: every run of every village, from receipts to what households got."""
    columns = (
        Column("村", width=18),
        Column("种类", width=10),
        Column("进度", width=14),
        _money("到账"),
        _money("扣除"),
        _money("上期结转"),
        _money("可分配"),
        Column("户数", ColumnKind.INTEGER, 8),
        _money("到户"),
        _money("已发放"),
        _money("待发放"),
    )
    rows = [
        (
            *(one.name, one.kind, one.state, one.received_fen, one.deducted_fen, one.carried_fen),
            *(one.distributable_fen, one.households, one.households_fen, one.paid_fen, one.owed_fen),
        )
        for one in months
    ]
    sheet = SheetContent(
        "乡镇账",
        f"{area}{Period.parse(month).label}分配账",
        columns,
        rows,
        notes=("到账 − 扣除 + 上期结转 = 可分配；更正的各项为差额。",),
        total=("合计", "", "", *(_sum(rows, column) for column in range(3, 11))),
        landscape=True,
    )
    controls = (
        Control("可分配", sum(one.distributable_fen for one in months), "fen"),
        Control("到户", sum(one.households_fen for one in months), "fen"),
        Control("已发放", sum(one.paid_fen for one in months), "fen"),
    )
    return PaperContent(sheet, controls)
