"""The books as tables: the same tables are shown on the page and written to Excel.

Owns which column holds what, and the words. A page and a file cannot differ, because both are made of the
`SheetContent`s of this module.
"""

from collections.abc import Mapping
from datetime import date

from distribution.books.figures import Book, BookKind, Money
from distribution.money import yuan
from distribution.statement.records import HouseholdStatement
from documents.writing import Column, ColumnKind, SheetContent, Value, write_xlsx
from registry.roll.cards import HouseholdCard
from registry.roll.measures import MEASURES
from store.periods import Period

_MONEY = ColumnKind.MONEY
_COUNT = ColumnKind.INTEGER
_AMOUNTS = (
    Column("到户（元）", _MONEY, 16),
    Column("村集体（元）", _MONEY, 16),
    Column("其他（元）", _MONEY, 16),
    Column("合计（元）", _MONEY, 16),
    Column("已发放（元）", _MONEY, 16),
    Column("待发放（元）", _MONEY, 16),
)
_PEOPLE = (Column("户数", _COUNT, 8), Column("人口", _COUNT, 8), Column("参与户", _COUNT, 8))
_LABOUR = {"able": "有劳动力", "weak": "弱劳动力", "unable": "无劳动能力", "": ""}
_VILLAGE = (
    Column("户号", width=8),
    Column("组", width=10),
    Column("户主", width=14),
    Column("类别", width=20),
    Column("人口", _COUNT, 8),
    Column("参与", width=8),
    Column("金额（元）", _MONEY, 16),
    Column("已发放（元）", _MONEY, 16),
    Column("待发放（元）", _MONEY, 16),
)
_Table = tuple[tuple[Column, ...], list[tuple[Value, ...]], tuple[Value, ...]]
_PLACE = {
    BookKind.TOWNSHIP: (Column("村代码", width=16), Column("村", width=16)),
    BookKind.COUNTY: (Column("乡镇代码", width=16), Column("乡镇", width=16)),
    BookKind.PREFECTURE: (Column("县代码", width=16), Column("县", width=16)),
}


def book_sheet(book: Book) -> SheetContent:
    """Return a book as one table with its total."""
    columns, rows, total = (_village if book.kind is BookKind.VILLAGE else _division)(book)
    known = f"人员按 {book.known_at:%Y-%m-%d} 所知" if book.known_at else "人员按现在所知"
    notes = (f"{known}；金额取自总账，只含已记账的分配。",)
    title = f"{book.name}{book.year}年光伏收益{book.kind.word}"
    return SheetContent(book.kind.word, title, columns, rows, notes, total, landscape=True)


def _village(book: Book) -> _Table:
    rows: list[tuple[Value, ...]] = [
        (
            row.number,
            row.group,
            row.label,
            row.note,
            row.persons if row.number else None,
            ("是" if row.enrolled else "否") if row.number else "",
            row.money.total_fen,
            row.money.paid_fen if row.number else None,
            row.money.owed_fen if row.number else None,
        )
        for row in book.rows
    ]
    money = book.total
    total = ("合计", "", f"{book.households} 户", "", book.persons, f"{book.enrolled} 户")
    return _VILLAGE, rows, (*total, money.total_fen, money.paid_fen, money.owed_fen)


def _division(book: Book) -> _Table:
    rows: list[tuple[Value, ...]] = [
        (row.number, row.label, row.households, row.persons, row.enrolled, *_amounts(row.money))
        for row in book.rows
    ]
    people = (book.households, book.persons, book.enrolled)
    return (*_PLACE[book.kind], *_PEOPLE, *_AMOUNTS), rows, ("合计", "", *people, *_amounts(book.total))


def _amounts(money: Money) -> tuple[int, ...]:
    return (
        money.households_fen,
        money.collective_fen,
        money.other_fen,
        money.total_fen,
        money.paid_fen,
        money.owed_fen,
    )


def _until(end: date | None) -> Value:
    return "至今" if end is None else end.isoformat()


def card_sheets(
    card: HouseholdCard, statement: HouseholdStatement, words: Mapping[str, str]
) -> tuple[SheetContent, ...]:
    """Return a household's card as tables: people, rights, work, account, events, money.

    `words` are what the components of the enrolments are called.
    """
    title = f"{statement.village_name} {card.household.number} {card.household.name}户"
    return (
        _money_sheet(title, statement),
        _members_sheet(title, card),
        _rights_sheet(title, card, words),
        _work_sheet(title, card),
        _events_sheet(title, card),
    )


def _money_sheet(title: str, statement: HouseholdStatement) -> SheetContent:
    rows: list[tuple[Value, ...]] = [
        (Period.parse(line.period).label, line.item, line.payout_state or "已记账", line.amount_fen)
        for line in statement.booked
    ]
    paid = (
        f"其中已发放 {yuan(statement.paid_fen)} 元，待发放 {yuan(statement.owed_fen)} 元；只含已记账的分配。"
    )
    return SheetContent(
        "收益",
        f"{title} {statement.period_label}收益",
        (Column("月份"), Column("项目", width=20), Column("发放", width=36), Column("金额（元）", _MONEY)),
        rows,
        (paid,),
        ("合计", "", statement.total_uppercase, statement.total_fen),
    )


def _members_sheet(title: str, card: HouseholdCard) -> SheetContent:
    rows: list[tuple[Value, ...]] = [
        (
            one.name,
            "户主" if one.is_head else "成员",
            one.id_number_masked,
            one.phone_masked,
            _LABOUR[one.labour_class],
            one.valid_from,
            _until(one.valid_to),
        )
        for one in card.members
    ]
    columns = (
        Column("姓名"),
        Column("关系", width=8),
        Column("身份证号", width=22),
        Column("电话"),
        Column("劳动能力"),
        Column("起", ColumnKind.DATE, 12),
        Column("止", width=12),
    )
    return SheetContent("家庭成员", f"{title} 家庭成员", columns, rows)


def _rights_sheet(title: str, card: HouseholdCard, words: Mapping[str, str]) -> SheetContent:
    rows: list[tuple[Value, ...]] = [
        ("户类别", one.class_name, "", "", one.valid_from, _until(one.valid_to)) for one in card.classes
    ]
    rows += [
        (
            "参与分配",
            words.get(one.component, one.component),
            f"{one.weight} 份" if one.amount_fen is None else "固定金额",
            one.document,
            one.valid_from,
            _until(one.valid_to),
        )
        for one in card.enrolments
    ]
    rows += [
        ("收款账户", one.bank, one.account_masked, one.holder, one.valid_from, _until(one.valid_to))
        for one in card.accounts
    ]
    columns = (
        Column("种类"),
        Column("内容", width=20),
        Column("份额或账号", width=16),
        Column("依据或户名", width=28),
        Column("起", ColumnKind.DATE, 12),
        Column("止", width=12),
    )
    return SheetContent("类别与参与", f"{title} 类别、参与和账户", columns, rows)


def _work_sheet(title: str, card: HouseholdCard) -> SheetContent:
    rows: list[tuple[Value, ...]] = [
        (
            "公益岗位",
            one.kind,
            f"每月 {one.monthly_rate_fen // 100}.{one.monthly_rate_fen % 100:02d} 元",
            one.document,
            f"{one.valid_from} 起" + (f"，{one.valid_to} 止" if one.valid_to else ""),
        )
        for one in card.posts
    ]
    rows += [
        (
            MEASURES[one.measure],
            Period.parse(one.period).label,
            f"{one.value.normalize():f}",
            one.document,
            "",
        )
        for one in card.measures
    ]
    columns = (
        Column("种类"),
        Column("岗位或月份"),
        Column("标准或数值", width=18),
        Column("依据", width=28),
        Column("期间", width=26),
    )
    return SheetContent("岗位与积分", f"{title} 岗位、积分和工分", columns, rows)


def _events_sheet(title: str, card: HouseholdCard) -> SheetContent:
    rows: list[tuple[Value, ...]] = [
        (
            one.happened_on,
            one.word,
            one.document,
            one.note or (f"延续享受至 {one.continued_until}" if one.continued_until else ""),
        )
        for one in card.events
    ]
    columns = (
        Column("日期", ColumnKind.DATE, 12),
        Column("变动"),
        Column("依据", width=30),
        Column("说明", width=30),
    )
    return SheetContent("变动", f"{title} 户内变动", columns, rows)


def book_xlsx(book: Book, watermark: str = "") -> bytes:
    """Return a book as a workbook."""
    return write_xlsx([book_sheet(book)], watermark)


def card_xlsx(
    card: HouseholdCard, statement: HouseholdStatement, words: Mapping[str, str], watermark: str = ""
) -> bytes:
    """Return a household's card as a workbook of five sheets."""
    return write_xlsx(card_sheets(card, statement, words), watermark)
