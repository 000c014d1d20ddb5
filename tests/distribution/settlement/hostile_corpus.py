"""A corpus of settlement and receipt files as they really arrive, and what each must come to.

Every file is made here, byte by byte or by a writer of spreadsheets. `expected` is what must be told: the
number of usable rows, and words that a message must hold.
"""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import xlsxwriter

HEADING = ["户号", "结算月份", "上网电量(千瓦时)", "上网电价(元/千瓦时)", "上网电费(元)"]
GOOD = ["0001", "2026-10", "12000", "0.3515", "4218.00"]
OTHER = ["0002", "2026-10", "30000", "0.3515", "10545.00"]
RECEIPT_HEADING = ["户号", "款项", "所属月份", "到账金额(元)", "到账日期", "银行流水号"]
RECEIPT = ["0001", "电费", "2026-10", "4218.00", "2026-11-15", "BK001"]
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Arriving:
    """One file: what it is called, its content, how many rows are usable, and what must be said."""

    about: str
    name: str
    content: bytes
    usable: int
    said: str = ""


def text(rows: list[list[str]], encoding: str = "utf-8-sig", delimiter: str = ",") -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return buffer.getvalue().encode(encoding)


def book(*sheets: tuple[str, list[list[object]], dict[str, object]]) -> bytes:
    """An .xlsx; options: hidden (sheet), hidden_rows, merges (range, value), formulas (cell, text, value)."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as workbook:
        for name, rows, options in sheets:
            sheet = workbook.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
            for number in options.get("hidden_rows", ()):
                sheet.set_row(number, None, None, {"hidden": True})
            for where, value in options.get("merges", ()):
                sheet.merge_range(where, value)
            for where, formula, value in options.get("formulas", ()):
                sheet.write_formula(where, formula, None, value)
            if options.get("hidden"):
                sheet.hide()
            elif len(sheets) > 1:
                sheet.activate()
    return buffer.getvalue()


def _numbers(row: list[str]) -> list[object]:
    return [*row[:2], *(float(value) for value in row[2:])]


def bad_cells() -> Iterator[tuple[str, int, str, str]]:
    """Yield what may stand in one cell: about, column, text, and what must be said."""
    yield "an energy with its unit", 2, "12000度", "不是数字"
    yield "an energy about so much", 2, "约12000", "不是数字"
    yield "an energy below zero", 2, "-5", "小于零"
    yield "an energy with two points", 2, "12.000.0", "不是数字"
    yield "an energy with too many decimals", 2, "1.12345678901", "不是数字"
    yield "an energy that is a dash", 2, "—", "不是数字"
    yield "an energy that Excel could not compute", 2, "#REF!", "不是数字"
    yield "an energy that is not a number", 2, "NaN", "不是数字"
    yield "an energy without end", 2, "inf", "不是数字"
    yield "an energy in powers of ten", 2, "1.2E+4", "不是数字"
    yield "an energy that is missing", 2, "", "缺少上网电量"
    yield "a price that is words", 3, "三毛五", "不是数字"
    yield "a price that is missing", 3, "", "缺少上网电价"
    yield "a fee with three decimals", 4, "4218.005", "两位小数"
    yield "a fee that is missing", 4, "", "缺少上网电费"
    yield "a fee grouped wrongly", 4, "42,18.00", "两位小数"
    yield "a fee in words", 4, "肆仟贰佰", "两位小数"
    yield "a month that does not exist", 1, "2026-13", "不是年月"
    yield "a month in two digits", 1, "26年10月", "不是年月"
    yield "a month that is missing", 1, "", "不是年月"
    yield "a month in words", 1, "上个月", "不是年月"
    yield "an account that is missing", 0, "", "缺少户号"
    yield "an account that Excel has rounded", 0, "5.20423E+17", "科学计数"


def good_forms() -> Iterator[tuple[str, int, str]]:
    """Yield forms of a cell that mean the same as the plain one."""
    yield "full-width digits", 2, "１２０００"
    yield "a thousand's comma", 2, "12,000"
    yield "blanks around", 2, "  12000　"
    yield "a month as a day in it", 1, "2026-10-31"
    yield "a month in Chinese", 1, "2026年10月"
    yield "a month without a dash", 1, "202610"
    yield "a month with a stroke", 1, "2026/10"
    yield "a fee with its sign", 4, "￥4,218.00元"
    yield "a full-width account", 0, "０００１"


def with_cell(column: int, value: str) -> list[list[str]]:
    row = list(GOOD)
    row[column] = value
    return [HEADING, row, OTHER]


def statements() -> list[Arriving]:
    """Return the statement files."""
    found = [
        Arriving(about, "单.csv", text(with_cell(column, value)), 1, said)
        for about, column, value, said in bad_cells()
    ]
    found += [
        Arriving(about, "单.csv", text(with_cell(column, value)), 2) for about, column, value in good_forms()
    ]
    return [*found, *_texts(), *_books(), *_refused()]


def _texts() -> list[Arriving]:
    plain = [HEADING, GOOD, OTHER]
    title = [["某供电公司十月电费结算单"], [], *plain, ["合计", "", "42000", "", "14763.00"]]
    blanks = [["", "", "", "", ""], HEADING, ["", "", "", "", ""], GOOD, [], OTHER]
    short = [HEADING, GOOD[:3], OTHER]
    return [
        Arriving("GB 18030", "单.csv", text(plain, "gb18030"), 2),
        Arriving("UTF-8 without a mark", "单.csv", text(plain, "utf-8"), 2),
        Arriving("UTF-16", "单.csv", text(plain, "utf-16"), 2),
        Arriving("tabs", "单.txt", text(plain, delimiter="\t"), 2),
        Arriving("semicolons", "单.csv", text(plain, delimiter=";"), 2),
        Arriving("a title above and a total below", "单.csv", text(title), 2),
        Arriving("empty rows between", "单.csv", text(blanks), 2),
        Arriving("a row cut short", "单.csv", text(short), 1, "缺少上网电价"),
        Arriving("headings with line breaks", "单.csv", text([["户\n号", *HEADING[1:]], GOOD]), 1),
        Arriving("columns in another order", "单.csv", text([HEADING[::-1], GOOD[::-1]]), 1),
        Arriving("a heading and nothing else", "单.csv", text([HEADING]), 0),
        Arriving("a formula as text", "单.csv", text(with_cell(2, "=1+1")), 1, "不是数字"),
    ]


def _books() -> list[Arriving]:
    rows: list[list[object]] = [HEADING, _numbers(GOOD), _numbers(OTHER)]
    windows: list[list[object]] = [
        [*HEADING, "电价时段"],
        ["", "2026-10", 5000, 0.3515, 1757.5, "上半月"],
        ["", "2026-10", 7000, 0.3515, 2460.5, "下半月"],
    ]
    amounts: list[list[object]] = [
        HEADING,
        ["0001", "2026-10", 12000, 0.3515, ""],
        ["0001", "2026-10", 1, 0.3515, ""],
    ]
    stale: list[list[object]] = [HEADING, ["0001", "2026-10", 1, 1, 1]]
    second: list[list[object]] = [HEADING, ["0001", "2026-11", 7000, 0.3515, 2460.5]]
    formula = {"formulas": [("C2", "=6000*2", 12000), ("E2", "=C2*D2", 4218)]}
    uncomputed = {"formulas": [("E2", "=C2*D2", "")]}
    return [
        Arriving("numbers as numbers", "单.xlsx", book(("表一", rows, {})), 2),
        Arriving(
            "an account merged over its windows",
            "单.xlsx",
            book(("表一", windows, {"merges": [("A2:A3", "0001")]})),
            2,
        ),
        Arriving(
            "an amount merged over two rows",
            "单.xlsx",
            book(("表一", amounts, {"merges": [("E2:E3", 4218)]})),
            1,
            "缺少上网电费",
        ),
        Arriving(
            "a title merged above",
            "单.xlsx",
            book(("表一", [["结算单"], *rows], {"merges": [("A1:E1", "结算单")]})),
            2,
        ),
        Arriving("a hidden row", "单.xlsx", book(("表一", rows, {"hidden_rows": [2]})), 2, "隐藏"),
        Arriving(
            "a hidden sheet of old figures",
            "单.xlsx",
            book(("旧", stale, {"hidden": True}), ("表一", rows, {})),
            2,
        ),
        Arriving("two sheets of two months", "单.xlsx", book(("十月", rows, {}), ("十一月", second, {})), 3),
        Arriving(
            "a sheet of remarks beside", "单.xlsx", book(("说明", [["请核对"]], {}), ("表一", rows, {})), 2
        ),
        Arriving("formulas with their results", "单.xlsx", book(("表一", rows, formula)), 2),
        Arriving("a formula nobody computed", "单.xlsx", book(("表一", rows, uncomputed)), 1, "上网电费"),
        Arriving("an .xlsx called .csv", "单.csv", book(("表一", rows, {})), 2),
        Arriving(
            "a long account as a number",
            "单.xlsx",
            book(("表一", [HEADING, [520423000000000012, *_numbers(GOOD)[1:]]], {})),
            0,
            "户号",
        ),
        Arriving(
            "a true instead of a number",
            "单.xlsx",
            book(("表一", [HEADING, ["0001", "2026-10", True, 0.3515, 1]], {})),
            0,
            "不是数字",
        ),
    ]


def _refused() -> list[Arriving]:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (120 << 20))
    good = book(("表一", [HEADING, _numbers(GOOD)], {}))
    wide = text([HEADING + [f"列{number}" for number in range(300)]])
    return [
        Arriving("nothing at all", "单.csv", b"", -1, "空"),
        Arriving("a PDF", "单.xlsx", b"%PDF-1.7 x", -1, "不是表格"),
        Arriving("a picture", "单.xlsx", b"\x89PNG\r\n\x1a\n", -1, "不是表格"),
        Arriving(
            "a web page called .xls", "单.xls", b"<html><table><tr><td>1</td></tr></table></html>", -1, "网页"
        ),
        Arriving("an old .xls that is broken", "单.xls", OLE + bytes(600), -1, ""),
        Arriving("an .xlsx cut in half", "单.xlsx", good[: len(good) // 2], -1, ""),
        Arriving("a zip bomb", "单.xlsx", bomb.getvalue(), -1, "过大"),
        Arriving(
            "a table of something else",
            "单.csv",
            text([["姓名", "金额"], ["张三", "1"]]),
            -1,
            "没有找到结算单的表头",
        ),
        Arriving("bytes that are no text", "单.csv", bytes(range(128, 256)) * 40, -1, ""),
        Arriving("more columns than allowed", "单.csv", wide, -1, "列"),
        Arriving("more rows than allowed", "单.csv", text([HEADING, *([GOOD] * 20_001)]), -1, "行"),
        Arriving("a file above 10 MB", "单.csv", b"a," * (6 << 20), -1, "10 MB"),
        Arriving(
            "a quote that never closes", "单.csv", text([HEADING])[:-2] + b'\r\n"0001,2026-10', -1, "引号"
        ),
    ]


def receipts() -> list[Arriving]:
    """Return the receipt files."""

    def one(column: int, value: str) -> bytes:
        row = list(RECEIPT)
        row[column] = value
        return text([RECEIPT_HEADING, row])

    return [
        Arriving("a receipt in GB 18030", "到账.csv", text([RECEIPT_HEADING, RECEIPT], "gb18030"), 1),
        Arriving("a day as a number", "到账.csv", one(4, "20261115"), 1),
        Arriving("a day that does not exist", "到账.csv", one(4, "2026-02-30"), 0, "不是日期"),
        Arriving("a kind nobody knows", "到账.csv", one(1, "红包"), 0, "不认识"),
        Arriving("an amount of nothing", "到账.csv", one(3, "0"), 0, "不大于零"),
        Arriving("an amount in words", "到账.csv", one(3, "壹万元整"), 0, "两位小数"),
        Arriving("a reference that Excel has rounded", "到账.csv", one(5, "1.23457E+18"), 0, "科学计数"),
        Arriving("a receipt without reference", "到账.csv", one(5, ""), 0, "缺少银行流水号"),
        Arriving("a receipt without heading", "到账.csv", text([RECEIPT]), -1, "表头"),
        Arriving(
            "receipts with a total",
            "到账.csv",
            text([RECEIPT_HEADING, RECEIPT, ["合计", "", "", "4218.00", "", ""]]),
            1,
        ),
    ]
