"""A paper in its forms: the page's sheet, Excel, CSV, and PDF for signature, with totals and fingerprint.

Owns that every form carries the same control totals and the SHA-256 of its CSV. What a paper is made of is
`settlement_papers`' and `money_papers`'.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from distribution.exports.pdf import FONTS
from distribution.money import yuan
from documents.pdf import render_pdf
from documents.writing import ColumnKind, SheetContent, cell_text, write_csv, write_xlsx

_TEMPLATE = Path(__file__).parent / "paper.typ"


@dataclass(frozen=True, slots=True)
class PaperKind:
    """A kind of paper: its name in addresses and commands, its Chinese name, and what it is for."""

    name: str
    title: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Control:
    """A control total: its name, and the figure [fen or count] with its unit."""

    name: str
    figure: int
    unit: str

    @property
    def text(self) -> str:
        """The total in words."""
        return (
            f"{self.name} {yuan(self.figure)} 元"
            if self.unit == "fen"
            else f"{self.name} {self.figure} {self.unit}"
        )


@dataclass(frozen=True, slots=True)
class PaperContent:
    """A sheet with its control totals, and who signs it."""

    sheet: SheetContent
    controls: tuple[Control, ...]
    signatories: tuple[str, ...] = ("制表", "复核", "负责人")
    seals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper as it is shown and written; `fingerprint` is the SHA-256 of its figures as CSV."""

    content: PaperContent
    file_stem: str
    fingerprint: str

    @property
    def control_text(self) -> str:
        """The control totals in one line."""
        return "控制合计：" + "；".join(one.text for one in self.content.controls)

    @property
    def sheet(self) -> SheetContent:
        """The sheet as it is shown."""
        return self.content.sheet


def sealed(content: PaperContent, file_stem: str) -> Paper:
    """Return a paper with the fingerprint of its figures."""
    return Paper(content, file_stem, hashlib.sha256(write_csv(content.sheet)).hexdigest())


def paper_csv(made: Paper) -> bytes:
    """Return a paper as CSV (UTF-8 with mark); its last row holds control totals and SHA-256.

    The SHA-256 is that of everything before the last row.
    """
    tail = f"校验,{made.control_text},SHA-256,{made.fingerprint}"
    return write_csv(made.sheet) + f"{tail}\r\n".encode()


def paper_xlsx(made: Paper, watermark: str = "") -> bytes:
    """Return a paper as a workbook: text cells only, no formula; totals and SHA-256 above the table."""
    notes = (*made.sheet.notes, made.control_text, f"SHA-256 {made.fingerprint}")
    return write_xlsx([replace(made.sheet, notes=notes)], watermark)


def paper_pdf(made: Paper, watermark: str = "") -> bytes:
    """Return a paper for signature and seal on A4; raises FileRefusedError when a name has no glyph."""
    sheet = made.sheet
    rows = [*sheet.rows, *([sheet.total] if sheet.total is not None else [])]
    data: dict[str, object] = {
        "title": sheet.title,
        "notes": list(sheet.notes),
        "columns": [
            {"title": column.title, "number": column.kind is not ColumnKind.TEXT} for column in sheet.columns
        ],
        "rows": [
            [cell_text(column.kind, value) for column, value in zip(sheet.columns, row, strict=True)]
            for row in rows
        ],
        "has_total": sheet.total is not None,
        "controls": made.control_text,
        "fingerprint": made.fingerprint,
        "signatories": list(made.content.signatories),
        "seals": list(made.content.seals),
        "watermark": watermark,
        "fonts": list(FONTS),
    }
    return render_pdf(_TEMPLATE, data)


FORMS: Mapping[str, Callable[[Paper, str], bytes]] = {
    "xlsx": paper_xlsx,
    "csv": lambda made, _watermark: paper_csv(made),
    "pdf": paper_pdf,
}
"""How a paper is written, by the ending of its file; the second argument is the watermark."""
