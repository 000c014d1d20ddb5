"""Writing Excel and CSV files that people open and trust.

Owns the form of every exported table: Chinese header, frozen row, widths, text cells that can never
become formulas, long numbers that keep all digits. It computes nothing; amounts come as integer fen and
integer Wh and are shown as yuan and kWh.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import xlsxwriter

Value = str | int | Decimal | date | None

FORMULA_LEADERS = "=+-@\t\r\n＝＋－＠"
_CREATED = datetime(2000, 1, 1, tzinfo=UTC)
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SHEET_NAME = re.compile(r"[\[\]:*?/\\']")
_CELL_CHARACTERS = 32_767
_LINE_POINTS = 16
_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


class ColumnKind(StrEnum):
    """What a column's values are: MONEY is integer fen, ENERGY integer Wh, TEXT anything that is read.

    PERCENT is a Decimal in percent and HOURS one in hours, both as they are shown.
    """

    TEXT = "text"
    MONEY = "money"
    ENERGY = "energy"
    INTEGER = "integer"
    NUMBER = "number"
    PERCENT = "percent"
    HOURS = "hours"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Chinese title with the unit, what its values are, and its width [characters].

    In a template, `choices` become a drop-down list, and `note` a comment on the title.
    """

    title: str
    kind: ColumnKind = ColumnKind.TEXT
    width: int = 14
    choices: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class SheetContent:
    """One sheet to write: title and notes above the header, rows, and an optional total row.

    `marks` colour cells of the rows, by (row, column) from 0, and say why in a comment.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Value]]
    notes: tuple[str, ...] = ()
    total: Sequence[Value] | None = None
    landscape: bool = False
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)


_FORMATS: dict[ColumnKind, dict[str, Any]] = {
    ColumnKind.TEXT: {"num_format": "@", "align": "left"},
    ColumnKind.MONEY: {"num_format": "#,##0.00;[Red]-#,##0.00", "align": "right"},
    ColumnKind.ENERGY: {"num_format": "#,##0.0", "align": "right"},
    ColumnKind.INTEGER: {"num_format": "#,##0", "align": "right"},
    ColumnKind.NUMBER: {"num_format": "General", "align": "right"},
    ColumnKind.PERCENT: {"num_format": "0.00", "align": "right"},
    ColumnKind.HOURS: {"num_format": "#,##0.0", "align": "right"},
    ColumnKind.DATE: {"num_format": "yyyy-mm-dd", "align": "center"},
}


def write_xlsx(sheets: Sequence[SheetContent], watermark: str = "") -> bytes:
    """Return an .xlsx file; the same content gives the same bytes.

    Every text is written as text, whatever it begins with. Raises ValueError for a cell that Excel could
    not hold (more than 32,767 characters), and for a row of another length than the header.
    """
    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer, _OPTIONS)
    workbook.set_properties({"created": _CREATED.replace(tzinfo=None), "author": "", "comments": watermark})
    styles = _styles(workbook)
    for sheet in sheets:
        _write_sheet(workbook.add_worksheet(_SHEET_NAME.sub("_", sheet.name)[:31]), sheet, styles, watermark)
    workbook.close()
    return buffer.getvalue()


def _styles(workbook: Any) -> dict[str, Any]:
    bordered = {
        "border": 1,
        "border_color": "#9AA0A6",
        "valign": "vcenter",
        "font_name": "宋体",
        "font_size": 11,
    }
    styles = {f"cell_{kind}": workbook.add_format(bordered | look) for kind, look in _FORMATS.items()}
    styles |= {
        f"total_{kind}": workbook.add_format(bordered | look | {"bold": True, "bg_color": "#F1F3F4"})
        for kind, look in _FORMATS.items()
    }
    styles["header"] = workbook.add_format(
        bordered | {"bold": True, "bg_color": "#E8EEF4", "align": "center", "text_wrap": True}
    )
    marked = {"bg_color": "#FBE0DD", "font_color": "#B3261E"}
    styles |= {
        f"marked_{kind}": workbook.add_format(bordered | look | marked) for kind, look in _FORMATS.items()
    }
    styles["title"] = workbook.add_format({"bold": True, "font_size": 16, "font_name": "黑体"})
    styles["note"] = workbook.add_format({"font_size": 10, "font_color": "#5F6368", "font_name": "宋体"})
    return styles


def _write_sheet(worksheet: Any, sheet: SheetContent, styles: dict[str, Any], watermark: str) -> None:
    _put(worksheet, (0, 0), sheet.title, styles["title"])
    notes = (*((watermark,) if watermark else ()), *sheet.notes)
    for number, note in enumerate(notes, start=1):
        _put(worksheet, (number, 0), note, styles["note"])
    header = 1 + len(notes)
    for index, column in enumerate(sheet.columns):
        worksheet.set_column(index, index, column.width)
        _put(worksheet, (header, index), column.title, styles["header"])
        _help_to_fill_in(worksheet, (header, index), column)
    worksheet.set_row(header, _LINE_POINTS * max(map(_title_lines, sheet.columns), default=1))
    for number, row in enumerate(sheet.rows, start=header + 1):
        _write_row(worksheet, number, (sheet, row), styles, "cell")
    _mark(worksheet, header + 1, sheet, styles)
    if sheet.total is not None:
        _write_row(worksheet, header + 1 + len(sheet.rows), (sheet, sheet.total), styles, "total")
    _set_print(worksheet, sheet, header, watermark)


_FILLED_IN_ROWS = 2_000
_DROP_DOWN_CHARACTERS = 255


def _help_to_fill_in(worksheet: Any, place: tuple[int, int], column: Column) -> None:
    row, index = place
    if column.note:
        worksheet.write_comment(row, index, writable(column.note), {"x_scale": 2})
    if column.choices and len(",".join(column.choices)) <= _DROP_DOWN_CHARACTERS:
        rule = {
            "validate": "list",
            "source": list(column.choices),
            "error_title": "不在可选项之内",
            "error_message": "请从下拉列表中选择",
            "error_type": "warning",
        }
        worksheet.data_validation(row + 1, index, row + _FILLED_IN_ROWS, index, rule)


def _mark(worksheet: Any, first: int, sheet: SheetContent, styles: dict[str, Any]) -> None:
    for (number, index), why in sorted(sheet.marks.items()):
        kind = sheet.columns[index].kind
        value = shown_value(kind, sheet.rows[number][index])
        _put(worksheet, (first + number, index), value, styles[f"marked_{kind}"])
        worksheet.write_comment(first + number, index, writable(why), {"x_scale": 3})


def _title_lines(column: Column) -> int:
    """Return how many lines a column's title takes: a Chinese character is two wide."""
    wide = sum(1 if character.isascii() else 2 for character in column.title)
    return -(-wide // max(1, column.width - 1))


def _set_print(worksheet: Any, sheet: SheetContent, header: int, watermark: str) -> None:
    worksheet.freeze_panes(header + 1, 0)
    worksheet.repeat_rows(header)
    worksheet.set_paper(9)
    worksheet.fit_to_pages(1, 0)
    worksheet.set_footer(f"&L{watermark}&C第 &P 页 共 &N 页")
    if sheet.landscape or len(sheet.columns) > 8:  # noqa: PLR2004, wider tables are printed across
        worksheet.set_landscape()


def _write_row(
    worksheet: Any,
    number: int,
    content: tuple[SheetContent, Sequence[Value]],
    styles: dict[str, Any],
    look: str,
) -> None:
    sheet, row = content
    if len(row) != len(sheet.columns):
        raise ValueError(f"row {number + 1} of “{sheet.name}” has {len(row)} cells, not {len(sheet.columns)}")
    for index, (column, value) in enumerate(zip(sheet.columns, row, strict=True)):
        _put(worksheet, (number, index), shown_value(column.kind, value), styles[f"{look}_{column.kind}"])


def shown_value(kind: ColumnKind, value: Value) -> Value:
    """Return a value as it is shown: fen as yuan, Wh as kWh (both exact Decimals), others unchanged."""
    if isinstance(value, int) and kind is ColumnKind.MONEY:
        return Decimal(value).scaleb(-2)
    if isinstance(value, int) and kind is ColumnKind.ENERGY:
        return Decimal(value).scaleb(-3)
    return str(value) if kind is ColumnKind.TEXT and value is not None else value


MISSING = "—"
_DIGITS = {
    ColumnKind.MONEY: 2,
    ColumnKind.ENERGY: 1,
    ColumnKind.INTEGER: 0,
    ColumnKind.PERCENT: 2,
    ColumnKind.HOURS: 1,
}


def cell_text(kind: ColumnKind, value: Value) -> str:
    """Return a value as a page or a PDF prints it, with the digits of the sheet; “—” where it is missing."""
    shown = shown_value(kind, value)
    if shown is None:
        return MISSING
    digits = _DIGITS.get(kind)
    return str(shown) if digits is None or isinstance(shown, str | date) else f"{shown:,.{digits}f}"


def _put(worksheet: Any, place: tuple[int, int], value: Value, style: Any) -> None:
    if value is None:
        worksheet.write_blank(*place, None, style)
    elif isinstance(value, date):
        worksheet.write_datetime(*place, value, style)
    elif isinstance(value, int | Decimal):
        worksheet.write_number(*place, value, style)
    else:
        text = writable(value)
        if len(text) > _CELL_CHARACTERS:
            raise ValueError("a cell of more than 32,767 characters cannot be written")
        worksheet.write_string(*place, text, style)


def writable(text: str) -> str:
    """Return text without characters that XML cannot hold."""
    return _UNWRITABLE.sub("", text)


def write_csv(sheet: SheetContent) -> bytes:
    """Return header, rows and total as CSV in UTF-8 with mark, as Excel and WPS expect it.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which
    `documents.reading` takes away again.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([formula_safe(column.title) for column in sheet.columns])
    for row in (*sheet.rows, *([sheet.total] if sheet.total is not None else [])):
        writer.writerow(
            [_csv_text(column.kind, value) for column, value in zip(sheet.columns, row, strict=True)]
        )
    return buffer.getvalue().encode("utf-8-sig")


def _csv_text(kind: ColumnKind, value: Value) -> str:
    shown = shown_value(kind, value)
    if shown is None:
        return ""
    if isinstance(shown, str):
        return formula_safe(writable(shown))
    return format(shown, "f") if isinstance(shown, Decimal) else str(shown)


def formula_safe(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: an apostrophe goes before a dangerous start."""
    start = text.lstrip(" \u00a0\u3000")
    return f"'{text}" if start.startswith(tuple(FORMULA_LEADERS)) else text
