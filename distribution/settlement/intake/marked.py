"""The sender's own statement with its wrong cells coloured and explained, to be sent back to them.

Owns the marking; what is wrong was found by `settlement.imports`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from distribution.settlement.imports import ImportResult
from documents.cells import Sheet
from documents.reading import read_sheets
from documents.writing import Column, SheetContent, write_xlsx
from store.problem import Problem


def marked_statement(content: bytes, file_name: str, result: ImportResult) -> bytes:
    """Return the file as .xlsx: each wrong cell coloured with a comment, each row with what is said of it.

    Raises FileRefusedError for a file that cannot be read at all.
    """
    said: dict[str, list[Problem]] = defaultdict(list)
    for problem in (*result.problems, *result.warnings):
        said[problem.where].append(problem)
    sheets = [
        _marked(sheet, f"{file_name} {sheet.name}", said)
        for sheet in read_sheets(content, file_name)
        if not sheet.hidden and sheet.rows
    ]
    return write_xlsx(sheets)


def _marked(sheet: Sheet, label: str, said: Mapping[str, Sequence[Problem]]) -> SheetContent:
    width = len(sheet.rows[0])
    columns = (*(Column(cell.text or "　") for cell in sheet.rows[0]), Column("问题", width=60))
    rows, marks = [], {}
    for number, cells in enumerate(sheet.rows[1:]):
        told = []
        for column, cell in enumerate(cells):
            for problem in said.get(f"{label}!{cell.address}", ()):
                text = f"{problem.what}。{problem.how_to_fix}"
                marks[number, column] = text
                told.append(text)
        for problem in said.get(f"{label}!第{number + 2}行", ()):
            told.append(f"{problem.what}。{problem.how_to_fix}")
            marks[number, width] = told[-1]
        rows.append((*(cell.text for cell in cells), "；".join(told)))
    return SheetContent(
        sheet.name, "核对结果：有色的格有问题，说明在批注和最后一列", columns, rows, marks=marks
    )
