"""Reading a CSV that is too large to be uploaded, piece by piece, from the disk of this machine.

Owns the rows of one text file in pieces of bounded size. What comes from outside over a page goes through
`documents.reading` and its limits; the command line may read more, but never more at once.
"""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

from documents.cells import Cell, Sheet, cell_address, text_cell
from documents.reading import FileRefusedError

ROWS_AT_ONCE = 5_000
_HEAD_BYTES = 65_536
_COLUMNS = 200
_FIELD_CHARACTERS = 131_072


def stream_csv(path: Path, rows_at_once: int = ROWS_AT_ONCE) -> Iterator[tuple[int, Sheet]]:
    """Yield a CSV as sheets of at most `rows_at_once` rows, each with the number of rows before it.

    Comma, semicolon or tab; UTF-8 or GB 18030. Raises FileRefusedError where a row cannot be read.
    """
    encoding = _encoding(path)
    csv.field_size_limit(_FIELD_CHARACTERS)
    with path.open(encoding=encoding, newline="") as stream:
        delimiter = max(",\t;", key=stream.read(_HEAD_BYTES).count)
        stream.seek(0)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        before = 0
        rows: list[tuple[Cell, ...]] = []
        try:
            for row in reader:
                if len(row) > _COLUMNS:
                    raise FileRefusedError(
                        f"{path.name} 第 {reader.line_num} 行", f"超过 {_COLUMNS} 列", "请检查这一行"
                    )
                rows.append(_cells(row, before + len(rows)))
                if len(rows) == rows_at_once:
                    yield before, Sheet(path.stem, tuple(rows))
                    before, rows = before + len(rows), []
        except csv.Error as error:
            raise FileRefusedError(
                f"{path.name} 第 {reader.line_num} 行", "引号不成对或单元格过长", "请检查这一行的引号和换行"
            ) from error
        if rows:
            yield before, Sheet(path.stem, tuple(rows))


def _cells(row: list[str], number: int) -> tuple[Cell, ...]:
    return tuple(text_cell(text, cell_address(number, column)) for column, text in enumerate(row))


def _encoding(path: Path) -> str:
    """Return the encoding that reads the whole file; raises FileRefusedError when none does."""
    for encoding in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as stream:
                while piece := stream.read(1 << 20):
                    if "\x00" in decoder.decode(piece):
                        raise FileRefusedError(path.name, "文件不是文本", "请另存为“CSV UTF-8（逗号分隔）”")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise FileRefusedError(
        path.name, "文件不是文本，或编码无法识别", "请另存为“CSV UTF-8（逗号分隔）”后再导入"
    )
