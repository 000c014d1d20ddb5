"""Columns of a list, and how a sheet's own headers are matched to them.

Owns finding the header row, guessing columns, and reading rows into values with cell-level problems. It
knows no table and no particular list.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from documents.cells import column_letters, half_width
from documents.reading import Cell, CellKind, Sheet
from registry.intake.values import Parser, UnfitError
from store.problem import Problem

HEADER_SEARCH_ROWS = 10
_LIKE = 0.75
_REMARKS = re.compile(r"^(合计|小计|总计|填表|制表|审核|备注[:：]|说明|注[:：])")
_RANGE = re.compile(r"^([A-Z]+)(\d+):([A-Z]+)(\d+)$")


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column: its field, its Chinese title, other titles in use, how it is read, an example."""

    field: str
    title: str
    parse: Parser
    required: bool = False
    aliases: tuple[str, ...] = ()
    example: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ListSpec:
    """One list: its kind, what it is called, its columns, and notes for the template."""

    kind: str
    label: str
    columns: tuple[ColumnSpec, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row as read: values by field (absent where the cell is empty), and what is wrong with it."""

    row_no: int
    values: Mapping[str, object] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadList:
    """A sheet as read: its header row, the column of each field, its rows, and what was assumed.

    `problems` concern the whole sheet and make it unusable; `warnings` say what was guessed or left out;
    `headers` are the texts of the header row, so that a person can say which column is which.
    """

    sheet_name: str
    header_row: int
    places: Mapping[str, int]
    rows: tuple[ReadRow, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


def _folded(title: str) -> str:
    return re.sub(r"[（(【\[].*?[)）】\]]|[\s*＊:：、_-]", "", half_width(title)).lower()


def _titles(spec: ListSpec) -> dict[str, ColumnSpec]:
    return {_folded(title): column for column in spec.columns for title in (column.title, *column.aliases)}


def _match_header(spec: ListSpec, row: Sequence[Cell]) -> tuple[dict[str, int], list[str]]:
    titles = _titles(spec)
    places: dict[str, int] = {}
    loose: list[tuple[int, str]] = []
    for index, cell in enumerate(row):
        folded = _folded(cell.text)
        column = titles.get(folded)
        if column is not None:
            places.setdefault(column.field, index)
        elif folded:
            loose.append((index, folded))
    guesses = []
    for index, folded in loose:
        near = difflib.get_close_matches(folded, titles, n=1, cutoff=_LIKE)
        if near and titles[near[0]].field not in places:
            places[titles[near[0]].field] = index
            guesses.append(f"把 {column_letters(index)} 列“{row[index].text}”当作“{titles[near[0]].title}”")
    return places, guesses


def read_list(spec: ListSpec, sheets: Sequence[Sheet], chosen: Mapping[str, int] | None = None) -> ReadList:
    """Find the sheet and the header of a list and read its rows; problems are returned, not raised.

    `chosen` is a person's own assignment of fields to columns (from 0); it goes before any guess.
    """
    candidates = [_header_of(spec, sheet, chosen) for sheet in sheets if not sheet.hidden]
    fitting = [one for one in candidates if not one.problems]
    if len(fitting) > 1:
        names = "、".join(f"“{one.sheet_name}”" for one in fitting)
        problem = Problem("文件", f"工作表 {names} 都像{spec.label}", "只留一张，其余另存或隐藏")
        return ReadList("", 0, {}, (), (problem,))
    if not fitting:
        best = max(candidates, key=lambda one: len(one.places), default=None)
        empty = Problem("文件", "没有可见的工作表", "取消隐藏后再导入")
        return best or ReadList("", 0, {}, (), (empty,))
    sheet = next(one for one in sheets if one.name == fitting[0].sheet_name and not one.hidden)
    return _read_rows(spec, sheet, fitting[0])


def _header_of(spec: ListSpec, sheet: Sheet, chosen: Mapping[str, int] | None) -> ReadList:
    matches = [
        (_match_header(spec, row), number) for number, row in enumerate(sheet.rows[:HEADER_SEARCH_ROWS])
    ]
    (places, guesses), row_index = max(matches, key=lambda one: len(one[0][0]), default=(({}, []), 0))
    if chosen is not None:
        width = len(sheet.rows[0]) if sheet.rows else 0
        places, guesses = {name: index for name, index in chosen.items() if 0 <= index < width}, []
    missing = [column for column in spec.columns if column.required and column.field not in places]
    problems = tuple(
        Problem(
            f"“{sheet.name}”第 {row_index + 1} 行（表头）",
            f"找不到“{column.title}”列",
            "补上这一列，或按模板改表头"
            + (f"（也可写作 {'、'.join(column.aliases)}）" if column.aliases else ""),
        )
        for column in missing
    )
    headers = tuple(cell.text for cell in sheet.rows[row_index]) if sheet.rows else ()
    return ReadList(sheet.name, row_index + 1, places, (), problems, tuple(guesses), headers)


def _read_rows(spec: ListSpec, sheet: Sheet, header: ReadList) -> ReadList:
    warnings = list(header.warnings)
    rows: list[ReadRow] = []
    merged = _merged_below(sheet, header.header_row)
    for number, cells in enumerate(sheet.rows[header.header_row :], start=header.header_row + 1):
        if all(cell.kind is CellKind.EMPTY for cell in cells):
            continue
        if _is_remark(cells):
            warnings.append(f"第 {number} 行“{_first(cells)}”是合计或说明，没有导入")
            continue
        if number in sheet.hidden_rows:
            warnings.append(f"第 {number} 行是隐藏行，也在导入之列")
        rows.append(_read_row(spec, header.places, (number, cells), merged))
    problems = [] if rows else [Problem(f"“{sheet.name}”", "表头下面没有数据", "检查是否选错了文件")]
    return replace(header, rows=tuple(rows), problems=tuple(problems), warnings=tuple(warnings))


def _first(cells: Sequence[Cell]) -> str:
    return next((cell.text for cell in cells if cell.text), "")


def _is_remark(cells: Sequence[Cell]) -> bool:
    return bool(_REMARKS.match(re.sub(r"\s", "", _first(cells))))


def _merged_below(sheet: Sheet, header_row: int) -> dict[int, str]:
    found: dict[int, str] = {}
    for span in sheet.merged:
        match = _RANGE.match(span)
        if match is not None and int(match[4]) > header_row:
            for number in range(max(int(match[2]), header_row + 1), int(match[4]) + 1):
                found[number] = span
    return found


def _read_row(
    spec: ListSpec, places: Mapping[str, int], row: tuple[int, Sequence[Cell]], merged: Mapping[int, str]
) -> ReadRow:
    number, cells = row
    values: dict[str, object] = {}
    problems: list[Problem] = []
    if number in merged:
        how = "取消合并，把内容填满每个单元格"
        problems.append(Problem(f"第 {number} 行", f"{merged[number]} 是合并单元格，看不出属于哪一行", how))
    for column, cell in _cells(spec, places, cells):
        if cell.kind is CellKind.EMPTY:
            if column.required:
                problems.append(Problem(cell.address, f"“{column.title}”是空的", "这一列每行都要填"))
            continue
        try:
            values[column.field] = column.parse(cell)
        except UnfitError as error:
            problems.append(Problem(cell.address, f"“{column.title}”：{error.what}", error.how_to_fix))
    return ReadRow(number, values, tuple(problems))


def _cells(
    spec: ListSpec, places: Mapping[str, int], cells: Sequence[Cell]
) -> Iterator[tuple[ColumnSpec, Cell]]:
    for column in spec.columns:
        if column.field in places:
            yield column, cells[places[column.field]]
