"""The books of areas: 村册, 乡簿, 县档, 市级汇总, as pages and as Excel files.

Owns which book is shown for which year, and as known on which day. What stands in a book is
`distribution.books`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.files import XLSX, attached
from dashboards.pages.registry.tables import ShownTable, shown_table
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from distribution.books.figures import Book, BookKind, book
from distribution.books.sheets import book_sheet, book_xlsx
from registry.actors import Actor, Permission
from registry.divisions import Division, DivisionLevel, divisions
from store.periods import local_date, local_midnight
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Reading = Annotated[Session, Depends(reading)]
YEARS = 5


class Asked(BaseModel):
    """What the address asks for: a year, and the day as known on which people are shown."""

    year: str = ""
    known: str = ""


@dataclass(frozen=True, slots=True)
class BookView:
    """A book, its years, and the books that may be opened beside it."""

    book: Book
    table: ShownTable
    years: tuple[str, ...]
    known: str
    areas: Sequence[Division]
    query: str


def known_instant(text: str) -> datetime | None:
    """Return the end of a day written as 2026-10-05, or None for an empty text; raises ProblemsError."""
    if not text:
        return None
    try:
        return local_midnight(date.fromisoformat(text) + timedelta(days=1))
    except (ValueError, OverflowError) as error:
        raise ProblemsError([Problem("按哪一天所知", "不是日期", "写成 2026-10-05")]) from error


def chosen_year(text: str, now: datetime) -> tuple[str, tuple[str, ...]]:
    """Return the asked year, or the present one, and the years to choose from."""
    years = tuple(str(local_date(now).year - number) for number in range(YEARS))
    return (text if text in years else years[0]), years


def _found(request: Request, session: Session, actor: Actor, code: str, asked: Asked) -> Book:
    now = services_of(request).clock()
    year, _ = chosen_year(asked.year, now)
    found = book(session, actor, (code, year), now, at=known_instant(asked.known))
    if found is None:
        raise NotFoundError(code)
    return found


@router.get("/books")
def show_first_book(
    request: Request, actor: Reader, session: Reading, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show the book of the actor's own area."""
    code = actor.area
    if not code:
        counties = divisions(session, actor, DivisionLevel.COUNTY)
        code = counties[0].code if counties else ""
    return show_book(request, actor, session, code, asked)


@router.get("/books/{code}")
def show_book(
    request: Request, actor: Reader, session: Reading, code: str, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show an area's book of a year."""
    found = _found(request, session, actor, code, asked)
    year, years = chosen_year(asked.year, services_of(request).clock())
    query = f"?year={year}" + (f"&known={asked.known}" if asked.known else "")
    hrefs = {
        place: f"/households/{row.key}/card?year={year}"
        if found.kind is BookKind.VILLAGE
        else f"/books/{row.key}{query}"
        for place, row in enumerate(found.rows)
        if row.key and row.number
    }
    view = BookView(
        found,
        shown_table(book_sheet(found), hrefs),
        years,
        asked.known,
        divisions(session, actor),
        query,
    )
    crumbs = tuple(Crumb(one.name, f"/books/{one.code}{query}") for one in _above(session, actor, code))
    title = f"{found.name}{found.kind.word}"
    return render(request, "registry/book.html", title, crumbs=crumbs, view=view)


def _above(session: Session, actor: Actor, code: str) -> list[Division]:
    """Return the divisions above a code that the actor sees, the highest first."""
    prefixes = {code[:length].ljust(12, "0") for length in (4, 6, 9)} - {code}
    levels = {DivisionLevel.PREFECTURE, DivisionLevel.COUNTY, DivisionLevel.TOWNSHIP}
    found = [one for one in divisions(session, actor) if one.code in prefixes and one.level in levels]
    return sorted(found, key=lambda one: one.code)


@router.get("/books/{code}/xlsx")
def book_as_xlsx(
    request: Request, actor: Reader, session: Reading, code: str, asked: Annotated[Asked, Query()]
) -> Response:
    """Hand out an area's book as a workbook."""
    found = _found(request, session, actor, code, asked)
    name = f"{found.name}_{found.year}年_{found.kind.word}.xlsx"
    return attached(book_xlsx(found, services_of(request).watermark), XLSX, name)
