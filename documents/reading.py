"""Reading Excel and CSV files that somebody sent, within bounds.

Owns the only door for tables from outside. Excel is parsed in a child process (`documents.sandbox`)
with limits of time and memory; CSV is read here. Nothing is guessed about meaning: importers name the
columns and judge the values.
"""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from documents.cells import Cell, CellKind, Sheet, cell_address, text_cell
from documents.limits import MIB, Limits
from documents.refusal import FileRefusedError

__all__ = ["Cell", "CellKind", "FileRefusedError", "Limits", "Sheet", "read_csv", "read_sheets"]

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FORMULA_LEADERS = "=+-@\t\r＝＋－＠"


def read_sheets(source: Path | bytes, file_name: str = "", limits: Limits | None = None) -> tuple[Sheet, ...]:
    """Return the sheets of an .xlsx, .xls or .csv file; a CSV is one sheet.

    `source` is a path or the content; `file_name` is the name that messages show. The kind is judged by
    content, never by name alone. Raises FileRefusedError, in Chinese, when the file is not read.
    """
    limits = limits or Limits()
    name = file_name or (source.name if isinstance(source, Path) else "文件")
    content = _bounded_content(source, name, limits)
    if content.startswith((_ZIP, _OLE)):
        return _read_in_child(content, name, limits)
    _refuse_other_kinds(content, name)
    return (read_csv(content, name, limits),)


def _bounded_content(source: Path | bytes, name: str, limits: Limits) -> bytes:
    if isinstance(source, Path):
        with source.open("rb") as stream:
            source = stream.read(limits.file_bytes + 1)
    if len(source) > limits.file_bytes:
        raise FileRefusedError(
            name, f"文件超过 {limits.file_bytes // MIB} MB", "请拆成几个文件，或删去与导入无关的工作表和图片"
        )
    if not source:
        raise FileRefusedError(name, "文件是空的", "请检查导出是否成功，重新选择文件")
    return source


def _refuse_other_kinds(content: bytes, name: str) -> None:
    head = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype", b"<html", b"<table", b"<?xml", b"<meta")):
        raise FileRefusedError(
            name,
            "这是网页或 XML 文件，只是改了扩展名",
            "请用 WPS 或 Excel 打开后另存为“Excel 工作簿（.xlsx）”",
        )
    if head.startswith((b"%pdf", b"\x89png", b"\xff\xd8\xff", b"rar!", b"7z\xbc\xaf", b"\x1f\x8b")):
        raise FileRefusedError(name, "这不是表格文件", "请选择 .xlsx、.xls 或 .csv 文件")


def read_csv(content: bytes, file_name: str, limits: Limits | None = None) -> Sheet:
    """Return the one sheet of a CSV (comma, semicolon or tab; UTF-8, UTF-16 with mark, or GB 18030).

    Raises FileRefusedError when it is no text, or exceeds the limits.
    """
    limits = limits or Limits()
    text = _decoded(content, file_name)
    csv.field_size_limit(131_072)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if len(rows) >= limits.rows or len(row) > limits.columns:
                raise FileRefusedError(
                    f"{file_name} 第 {reader.line_num} 行",
                    f"超过 {limits.rows} 行或 {limits.columns} 列",
                    "请拆成几个文件分别导入",
                )
            rows.append(row)
    except csv.Error as error:
        raise FileRefusedError(
            f"{file_name} 第 {reader.line_num} 行", "引号不成对或单元格过长", "请检查这一行的引号和换行"
        ) from error
    width = max((len(row) for row in rows), default=0)
    return Sheet(
        Path(file_name).stem,
        tuple(
            tuple(
                text_cell(_unprefixed(row[column]) if column < len(row) else "", cell_address(number, column))
                for column in range(width)
            )
            for number, row in enumerate(rows)
        ),
    )


def _decoded(content: bytes, name: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise FileRefusedError(
        name, "文件不是文本，或编码无法识别", "请另存为“CSV UTF-8（逗号分隔）”或 .xlsx 后再导入"
    )


def _delimiter(text: str) -> str:
    head = "\n".join(text.splitlines()[:20])
    return max(",\t;", key=head.count)


def _unprefixed(text: str) -> str:
    # The apostrophe is what `documents.writing` puts before a cell that would be a formula.
    return text[1:] if len(text) > 1 and text[0] == "'" and text[1] in _FORMULA_LEADERS else text


def _read_in_child(content: bytes, name: str, limits: Limits) -> tuple[Sheet, ...]:
    order = json.dumps({"name": name, "limits": asdict(limits)}).encode()
    try:
        answer = subprocess.run(
            [sys.executable, "-P", "-m", "documents.sandbox"],
            input=len(order).to_bytes(4, "big") + order + content,
            capture_output=True,
            timeout=limits.seconds,
            check=False,
            env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PYTHONUTF8": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise FileRefusedError(
            name, f"{limits.seconds} 秒内没有读完", "请拆成几个文件，或另存为 .csv"
        ) from error
    if answer.returncode != 0 or not answer.stdout:
        raise FileRefusedError(
            name, "文件已损坏，或展开后过大", "请用 WPS 或 Excel 打开后另存为新的 .xlsx 文件"
        )
    result = json.loads(answer.stdout)
    if "refused" in result:
        raise FileRefusedError(*result["refused"])
    return tuple(_sheet(sheet) for sheet in result["sheets"])


def _sheet(plain: dict[str, Any]) -> Sheet:
    rows = tuple(
        tuple(
            Cell(text, CellKind(kind), cell_address(number, column))
            for column, (text, kind) in enumerate(row)
        )
        for number, row in enumerate(plain["rows"])
    )
    name, hidden, hidden_rows, merged = plain["about"]
    return Sheet(name, rows, hidden, tuple(hidden_rows), tuple(merged))
