"""The child process that opens Excel files which somebody sent.

Owns the limits on itself (time, memory, no new files) and the order of the checks: the archive first,
its XML second, the cells last. It is started by `documents.reading` only and speaks JSON over its
standard streams; it imports nothing of the product but this package.
"""

import io
import json
import resource
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from documents.archive import SheetFacts, check_archive, check_compound_file
from documents.cells import EXCEL_EXACT_DIGITS, CellKind, text_cell
from documents.limits import Limits
from documents.refusal import FileRefusedError

_ZIP = b"PK\x03\x04"
_ERRORS = ("#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!")


def _bound_self(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _number(value: float) -> tuple[str, CellKind]:
    exact = Decimal(format(value, f".{EXCEL_EXACT_DIGITS}g"))
    text = format(exact, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    digits = len(text.lstrip("-").split(".")[0])
    return text, CellKind.LOSSY if digits > EXCEL_EXACT_DIGITS else CellKind.NUMBER


def _moment(value: datetime | date | time | timedelta) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}" if value.time() != time() else f"{value:%Y-%m-%d}"
    return str(value)


def _cell(value: Any) -> tuple[str, CellKind]:
    if isinstance(value, bool):
        return ("TRUE" if value else "FALSE"), CellKind.BOOLEAN
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime | date | time | timedelta):
        return _moment(value), CellKind.DATE
    if value in _ERRORS:
        return value, CellKind.ERROR
    cell = text_cell(str(value), "")
    return cell.text, cell.kind


def _rows(sheet: CalamineSheet, limits: Limits, name: str) -> list[list[tuple[str, CellKind]]]:
    if sheet.total_height > limits.rows or sheet.total_width > limits.columns:
        raise FileRefusedError(
            f"{name} 工作表“{sheet.name}”",
            f"超过 {limits.rows} 行或 {limits.columns} 列",
            "请删去空白的行列，或拆成几个文件",
        )
    rows: list[list[tuple[str, CellKind]]] = []
    characters = 0
    for row in sheet.to_python(skip_empty_area=False):
        cells = [_cell(value) for value in row]
        characters += sum(len(text) for text, _ in cells)
        if characters > limits.text_characters:
            raise FileRefusedError(f"{name} 工作表“{sheet.name}”", "文字总量过大", "请拆成几个文件")
        rows.append(cells)
    return rows


def read_workbook(content: bytes, name: str, limits: Limits) -> list[dict[str, Any]]:
    """Return plain sheets of an .xlsx or .xls; raises FileRefusedError."""
    facts: dict[str, SheetFacts] = {}
    if content.startswith(_ZIP):
        facts = check_archive(content, name, limits)
    else:
        check_compound_file(content, name)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        return [
            _plain(workbook.get_sheet_by_name(about.name), about.visible, facts, (name, limits))
            for about in workbook.sheets_metadata
        ]
    except PasswordError as error:
        raise FileRefusedError(name, "文件有打开密码", "请取消密码后另存，再导入") from error
    except (CalamineError, OSError, ValueError) as error:
        if isinstance(error, FileRefusedError):
            raise
        raise FileRefusedError(
            name, "文件已损坏，表格打不开", "请用 WPS 或 Excel 打开后另存为新的 .xlsx 文件"
        ) from error


def _plain(
    sheet: CalamineSheet,
    visible: SheetVisibleEnum,
    facts: dict[str, SheetFacts],
    bounds: tuple[str, Limits],
) -> dict[str, Any]:
    name, limits = bounds
    fact = facts.get(sheet.name, SheetFacts())
    hidden = visible != SheetVisibleEnum.Visible
    return {
        "about": [sheet.name, hidden, fact.hidden_rows, fact.merged],
        "rows": _rows(sheet, limits, name),
    }


def main() -> None:
    """Read one order and one file from standard input; write sheets or a refusal to standard output."""
    incoming = sys.stdin.buffer
    order = json.loads(incoming.read(int.from_bytes(incoming.read(4), "big")))
    limits = Limits(**order["limits"])
    _bound_self(limits)
    try:
        answer: dict[str, Any] = {"sheets": read_workbook(incoming.read(), order["name"], limits)}
    except FileRefusedError as error:
        answer = {"refused": [error.where, error.what, error.how_to_fix]}
    sys.stdout.write(json.dumps(answer, ensure_ascii=False))


if __name__ == "__main__":
    main()
