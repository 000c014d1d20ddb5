"""Named columns of a table from outside, found by their Chinese headings.

Owns layouts (which heading means which field) and the reading of single cells into exact values with a
problem at the cell where that fails. What the values mean is judged by `checks` and the importers.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from distribution.money import parse_yuan
from documents.cells import Cell, CellKind, Sheet, cell_address, half_width
from documents.reading import FileRefusedError, read_sheets
from store.problem import Problem, ProblemsError

_TOTAL_WORDS = ("合计", "总计", "小计")
LAYOUTS = Path(__file__).parent / "layouts"
_HEADER_SEARCH_ROWS = 15
_NUMBER = re.compile(r"^[+-]?\d{1,18}(?:\.\d{1,9})?$")
_MONTH = re.compile(r"^(\d{4})\s*[-/.年]?\s*(\d{1,2})\s*月?(?:[-/.]\d{1,2}(?: .*)?)?$")
_DATE = re.compile(r"^(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?: .*)?$")


class Layout(BaseModel):
    """Which headings a file may use for each field; the first of each list is the template's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    energy_unit: Literal["kWh", "MWh", "万kWh"] = "kWh"
    columns: dict[str, tuple[str, ...]]


def load_layout(name_or_path: str | Path) -> Layout:
    """Read a shipped layout by name, or a county's own by path; raises ProblemsError when there is none."""
    path = name_or_path if isinstance(name_or_path, Path) else LAYOUTS / f"{name_or_path}.toml"
    if not path.is_file():
        raise ProblemsError([Problem(str(name_or_path), "没有这个表格模板", "请检查名称")])
    return Layout.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True)
class Heading:
    """Where the table begins in a sheet: the index of its heading row, and each field's column index."""

    row: int
    columns: dict[str, int]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the fields of one row stand, as `结算单.xlsx Sheet1!F12`; made only when somebody asks."""

    sheet: str
    heading: Heading
    row: int

    def __getitem__(self, field: str) -> str:
        """Return the place of a field, or of the row where the file has no such column."""
        column = self.heading.columns.get(field)
        where = f"第{self.row}行" if column is None else cell_address(self.row - 1, column)
        return f"{self.sheet}!{where}"


def _plain_heading(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def find_heading(sheet: Sheet, layout: Layout, required: tuple[str, ...]) -> Heading | None:
    """Return the heading row of a sheet: the first of its top rows that names every required field."""
    names = {
        _plain_heading(heading): field for field, headings in layout.columns.items() for heading in headings
    }
    for index, row in enumerate(sheet.rows[:_HEADER_SEARCH_ROWS]):
        columns: dict[str, int] = {}
        for column, cell in enumerate(row):
            field = names.get(_plain_heading(cell.text))
            if field is not None:
                columns.setdefault(field, column)
        if all(field in columns for field in required):
            return Heading(index, columns)
    return None


class RowReader:
    """Reads the fields of one row; collects a problem, with the cell's place, for each that fails.

    `offset` rows of the file stand before the first row of the sheet: a large file is read in pieces.
    """

    def __init__(self, sheet: Sheet, heading: Heading, row: int, file_name: str, *, offset: int = 0) -> None:
        self._cells = sheet.rows[row]
        self._heading = heading
        self.number = offset + row + 1
        self.places = Places(f"{file_name} {sheet.name}", heading, self.number)
        self.problems: list[Problem] = []

    def cell(self, field: str) -> Cell:
        """Return the cell of a field; an absent column is an empty cell."""
        column = self._heading.columns.get(field)
        if column is None or column >= len(self._cells):
            return Cell("", CellKind.EMPTY, f"第{self.number}行")
        return self._cells[column]

    def place(self, field: str) -> str:
        """Return where a field stands, as `结算单.xlsx Sheet1!F12`."""
        return self.places[field]

    def refuse(self, field: str, what: str, how_to_fix: str) -> None:
        """Record that a field cannot be used."""
        self.problems.append(Problem(self.place(field), what, how_to_fix))

    def code(self, field: str, name: str, *, required: bool = True) -> str:
        """Return a number that is a name (户号, 表号): text, leading zeros kept."""
        cell = self.cell(field)
        if cell.kind is CellKind.LOSSY:
            self.refuse(
                field,
                f"{name}“{cell.text}”超过 15 位，已被 Excel 改写成科学计数或丢失尾数",
                "请把该列设为文本格式后重新填写",
            )
            return ""
        text = half_width(cell.text)
        if not text and required:
            self.refuse(field, f"缺少{name}", f"请填写{name}")
        return text

    def decimal(self, field: str, name: str, *, default: Decimal | None = None) -> Decimal:
        """Return an exact number; a text that is no number is refused, never guessed."""
        cell = self.cell(field)
        text = half_width(cell.text).replace(",", "")
        if not text and default is not None:
            return default
        strange = cell.kind in {CellKind.ERROR, CellKind.DATE, CellKind.BOOLEAN}
        if strange or not _NUMBER.match(text):
            shown = f"{name}“{cell.text}”不是数字" if text else f"缺少{name}"
            self.refuse(field, shown, "请只填数字，不要带单位、“约”字或其他文字")
            return Decimal(0)
        return Decimal(text)

    def whole(self, field: str, name: str, *, default: int | None = None) -> int:
        """Return a whole number above zero."""
        value = self.decimal(field, name, default=None if default is None else Decimal(default))
        if value != value.to_integral_value() or value < 1:
            if not self.problems or self.problems[-1].where != self.place(field):
                self.refuse(field, f"{name}“{self.cell(field).text}”不是正整数", f"请核对{name}")
            return 1
        return int(value)

    def fen(self, field: str, name: str, *, default: int | None = None) -> int:
        """Return an amount of yuan as fen; more than two decimals are refused."""
        cell = self.cell(field)
        text = half_width(cell.text)
        if not text and default is not None:
            return default
        try:
            return parse_yuan(text)
        except ValueError:
            shown = f"{name}“{cell.text}”不是以元为单位、至多两位小数的金额" if text else f"缺少{name}"
            self.refuse(field, shown, "请按元填写，至多两位小数")
            return 0

    def month(self, field: str, name: str) -> str:
        """Return a month as `2026-10`, from 2026-10, 202610, 2026年10月 or a date in it."""
        cell = self.cell(field)
        match = _MONTH.match(half_width(cell.text))
        if match is None or not 1 <= int(match[2]) <= 12:  # noqa: PLR2004, months of a year
            self.refuse(field, f"{name}“{cell.text}”不是年月", "请写成 2026-10")
            return ""
        return f"{match[1]}-{int(match[2]):02d}"

    def optional_day(self, field: str, name: str) -> date | None:
        """Return a calendar day, or None where the cell is empty."""
        return self.day(field, name) if self.cell(field).text else None

    def day(self, field: str, name: str) -> date:
        """Return a calendar day, from 2026-10-05, 2026/10/5, 20261005 or 2026年10月5日."""
        cell = self.cell(field)
        match = _DATE.match(half_width(cell.text))
        if match is not None:
            with suppress(ValueError):
                return date(int(match[1]), int(match[2]), int(match[3]))
        self.refuse(field, f"{name}“{cell.text}”不是日期", "请写成 2026-10-05")
        return date.min


def table_rows(
    source: Path | bytes, file_name: str, layout: Layout, needed: tuple[str, tuple[str, ...]]
) -> Iterator[RowReader]:
    """Yield a reader of every row below the heading of every sheet that has one; totals are passed over.

    `needed` is what the file is called in Chinese, and the fields that its heading must have. Raises
    FileRefusedError when the file cannot be opened as a table, or no sheet has the heading.
    """
    word, required = needed
    found = False
    for sheet in read_sheets(source, file_name):
        heading = find_heading(sheet, layout, required)
        if heading is None:
            continue
        found = True
        for index in range(heading.row + 1, len(sheet.rows)):
            filled = [cell for cell in sheet.rows[index] if cell.kind is not CellKind.EMPTY]
            if filled and not filled[0].text.startswith(_TOTAL_WORDS):
                yield RowReader(sheet, heading, index, file_name)
    if not found:
        names = "、".join(layout.columns[field][0] for field in required)
        raise FileRefusedError(
            file_name, f"没有找到{word}的表头（{names}）", "请使用模板，或另存一份列名对照"
        )
