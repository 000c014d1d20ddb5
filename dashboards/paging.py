"""Long lists in pages of fifty.

Owns the arithmetic and the addresses of the pager.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

ROWS_PER_PAGE = 50
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Pager:
    """Where a reader is in a long list; an empty address means that there is no such page."""

    page: int
    pages: int
    total: int
    previous: str = ""
    next: str = ""


def pager_of(total: int, page: int, path: str, parameters: Mapping[str, str]) -> Pager:
    """Return where a page (counted from 1; out of range is brought back) stands in a list of `total` rows."""
    pages = max(1, -(-total // ROWS_PER_PAGE))
    page = min(max(page, 1), pages)

    def address(number: int) -> str:
        if not 1 <= number <= pages:
            return ""
        kept = {name: value for name, value in parameters.items() if value}
        return f"{path}?{urlencode({**kept, 'page': number})}"

    return Pager(page, pages, total, address(page - 1), address(page + 1))


def paged(
    rows: Sequence[Row], page: int, path: str, parameters: Mapping[str, str]
) -> tuple[Sequence[Row], Pager]:
    """Return the rows of one page (counted from 1; out of range is brought back) and its pager."""
    pager = pager_of(len(rows), page, path, parameters)
    start = (pager.page - 1) * ROWS_PER_PAGE
    return rows[start : start + ROWS_PER_PAGE], pager
