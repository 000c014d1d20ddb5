"""Cells, rows and sheets as every reader of tables hands them out.

Owns the records between file formats and importers. A number is handed out as its exact text, so that
no binary fraction reaches an importer; what Excel has already rounded is marked, never repaired.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

EXCEL_EXACT_DIGITS = 15
_SCIENTIFIC = re.compile(r"^[+-]?\d+(?:\.\d+)?[eE]\+?\d+$")
_BLANKS = " \t\r\n\u00a0\u3000\u200b\u200c\u200d\ufeff"


class CellKind(StrEnum):
    """What a cell holds; LOSSY is a number of more than 15 digits whose tail Excel has thrown away."""

    EMPTY = "empty"
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    ERROR = "error"
    LOSSY = "lossy"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text without surrounding blanks, what it was, and its address such as `D37`.

    The text of a number is plain decimal digits (`1234.5`), of a date ISO (`2026-10-05` or
    `2026-10-05 12:30:00`), of a boolean `TRUE` or `FALSE`.
    """

    text: str
    kind: CellKind
    address: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: rows of equal length, in file order; row 1 of the file is `rows[0]`.

    `hidden_rows` are row numbers (from 1) that the sender's screen did not show; `merged` are ranges
    such as `A1:C1`, of which only the first cell holds a value.
    """

    name: str
    rows: tuple[tuple[Cell, ...], ...]
    hidden: bool = False
    hidden_rows: tuple[int, ...] = ()
    merged: tuple[str, ...] = ()


@cache
def column_letters(index: int) -> str:
    """Return the letters of a column counted from 0, as A, Z, AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def cell_address(row: int, column: int) -> str:
    """Return the address of a cell whose row and column are counted from 0."""
    return f"{column_letters(column)}{row + 1}"


def trimmed(text: str) -> str:
    """Return text without surrounding blanks, full-width and invisible ones included."""
    return text.strip(_BLANKS)


def half_width(text: str) -> str:
    """Return text with full-width digits, letters and signs as their common forms, for numbers and codes."""
    if text.isascii():
        return trimmed(text)
    return trimmed("".join(_half_width(character) for character in text))


def _half_width(character: str) -> str:
    if "\uff01" <= character <= "\uff5e":
        return unicodedata.normalize("NFKC", character)
    return character


def text_cell(text: str, address: str) -> Cell:
    """Return the cell of a text: empty, lossy (`5.20423E+17`, as Excel writes long numbers), or text."""
    text = trimmed(text)
    if not text:
        return Cell("", CellKind.EMPTY, address)
    return Cell(text, CellKind.LOSSY if _SCIENTIFIC.match(text) else CellKind.TEXT, address)
