"""The books of areas (五本账), from the registry and the ledger; a household's card is a page of its own."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field
from sqlalchemy.orm import Session

from api.resources.settlements import FromRecord
from dashboards.web import NotFoundError, reading, requires, services_of
from distribution.books.figures import Book, book
from registry.actors import Actor, Permission

router = APIRouter(prefix="/books", tags=["台账"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Reading = Annotated[Session, Depends(reading)]
Code = Annotated[str, Path(pattern=r"^[0-9]{12}$", description="村、乡镇、县或市的 12 位区划代码")]
Year = Annotated[str, Query(pattern=r"^20[0-9]{2}$", description="年份，例如 2026")]


class MoneyOut(FromRecord):
    """What the ledger gave [fen]: to households, to the collective, to other purses; paid and owed."""

    households_fen: int
    collective_fen: int
    other_fen: int
    total_fen: int
    paid_fen: int
    owed_fen: int


class BookRowOut(FromRecord):
    """One line of a book: a household (its id and number, no name) or a division, and its money."""

    key: str
    number: str
    group: str
    households: int
    persons: int
    enrolled: int
    money: MoneyOut


class BookOut(FromRecord):
    """A book of a year; every level is its own sum over the ledger."""

    kind: str
    code: str
    name: str
    year: str
    rows: list[BookRowOut]
    total: MoneyOut
    households: int
    persons: int
    enrolled: int
    difference_fen: int = Field(description="0 unless something is wrong")


@router.get("/{code}", response_model=BookOut, summary="村册、乡簿、县档或市级汇总")
def read_book(request: Request, actor: Reader, session: Reading, code: Code, year: Year) -> Book:
    """Return an area's book of a year; an area outside the reader's is not found."""
    found = book(session, actor, (code, year), services_of(request).clock())
    if found is None:
        raise NotFoundError(code)
    return found
