"""A table of a workbook as a page shows it: the same cells, with the way to what stands behind a row.

Owns the turn from `SheetContent` to cells of text, so that a page and its Excel file cannot differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dashboards.filters import day
from documents.writing import ColumnKind, SheetContent, Value, cell_text

_NUMBERS = frozenset(
    {ColumnKind.MONEY, ColumnKind.ENERGY, ColumnKind.INTEGER, ColumnKind.NUMBER, ColumnKind.PERCENT}
)


@dataclass(frozen=True, slots=True)
class ShownCell:
    """One cell: its text, its column's title, and whether it is a number."""

    text: str
    title: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table: its name and title, its header, rows of cells with their addresses, and the total."""

    name: str
    title: str
    notes: tuple[str, ...]
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, tuple[ShownCell, ...]], ...]
    total: tuple[ShownCell, ...]


def shown_table(sheet: SheetContent, hrefs: Mapping[int, str] | None = None) -> ShownTable:
    """Return a sheet as a page shows it; `hrefs` are the addresses of rows, by place from 0."""
    found = hrefs or {}
    return ShownTable(
        sheet.name,
        sheet.title,
        sheet.notes,
        tuple((column.title, column.kind in _NUMBERS) for column in sheet.columns),
        tuple((found.get(place, ""), _cells(sheet, row)) for place, row in enumerate(sheet.rows)),
        () if sheet.total is None else _cells(sheet, sheet.total),
    )


def _cells(sheet: SheetContent, row: Sequence[Value]) -> tuple[ShownCell, ...]:
    return tuple(
        ShownCell(
            day(value) if isinstance(value, date) else cell_text(column.kind, value),
            column.title,
            column.kind in _NUMBERS,
        )
        for column, value in zip(sheet.columns, row, strict=True)
    )
