"""Papers on pages: the list of a month's papers, one of them, and its file; both groups of papers use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import Response

from dashboards.files import PDF, XLSX, attached
from distribution.exports.papers import FORMS, Paper, PaperKind

Form = Literal["xlsx", "csv", "pdf"]
_MEDIA = {"xlsx": XLSX, "csv": "text/csv; charset=utf-8", "pdf": PDF}


@dataclass(frozen=True, slots=True)
class Choice:
    """The kind of paper of which there is one for each village or station: what is chosen, from which."""

    kind: PaperKind
    parameter: str
    word: str
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PapersView:
    """The papers of a month under an address; `word` is what the group calls them."""

    address: str
    word: str
    month: str
    months: Sequence[str]
    kinds: Sequence[PaperKind]
    choice: Choice


@dataclass(frozen=True, slots=True)
class PaperView:
    """One paper as it is written; `question` is what its address asks, for the files."""

    address: str
    question: dict[str, str]
    paper: Paper


def paper_file(made: Paper, form: Form, watermark: str) -> Response:
    """Return a paper as a file with a Chinese name."""
    return attached(FORMS[form](made, watermark), _MEDIA[form], f"{made.file_stem}.{form}")
