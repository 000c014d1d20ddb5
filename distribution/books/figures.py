"""The figures of the books: what the ledger gave to whom in a year, by household, village, township, county.

Owns the sums. Each level is its own sum over the postings; none is added up from the level below.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.approval.states import ENDED
from distribution.approval.tables import RunRow
from distribution.ledger.tables import JournalRow, PostingRow
from distribution.payout.payouts import payouts
from registry.actors import CODE_LENGTH, Actor, Permission, area_prefix, in_area
from registry.divisions import division_name, division_names
from registry.roll.cards import RollEntry, roll_entries
from store.periods import Period, local_date

_TO_HOUSEHOLDS = "payable_household"
_TO_COLLECTIVE = "village_collective"
_GONE = "（已不在台账）"


class BookKind(StrEnum):
    """The books that list an area, by the level of its code."""

    VILLAGE = "village"
    TOWNSHIP = "township"
    COUNTY = "county"
    PREFECTURE = "prefecture"

    @property
    def word(self) -> str:
        """村册, 乡簿, 县档 or 市级汇总."""
        return _WORDS[self]

    @property
    def row_word(self) -> str:
        """What a row of the book is."""
        return {"village": "户", "township": "村", "county": "乡镇", "prefecture": "县"}[self.value]


_WORDS = {
    BookKind.VILLAGE: "村册",
    BookKind.TOWNSHIP: "乡簿",
    BookKind.COUNTY: "县档",
    BookKind.PREFECTURE: "市级汇总",
}
_KIND_OF_LENGTH = {
    12: BookKind.VILLAGE,
    9: BookKind.TOWNSHIP,
    6: BookKind.COUNTY,
    4: BookKind.PREFECTURE,
}
_NEXT_LENGTH = {BookKind.TOWNSHIP: 12, BookKind.COUNTY: 9, BookKind.PREFECTURE: 6}


@dataclass(frozen=True, slots=True)
class Money:
    """What the ledger gave [fen]: to households, to the collective, to other purses; paid and owed."""

    households_fen: int = 0
    collective_fen: int = 0
    other_fen: int = 0
    paid_fen: int = 0

    @property
    def total_fen(self) -> int:
        """All that was distributed."""
        return self.households_fen + self.collective_fen + self.other_fen

    @property
    def owed_fen(self) -> int:
        """What households have been credited and not yet been paid."""
        return self.households_fen - self.paid_fen


@dataclass(frozen=True, slots=True)
class BookRow:
    """One line of a book: a household of a village, or a division; how many people, and the money."""

    key: str
    label: str
    number: str
    group: str
    note: str
    households: int
    persons: int
    enrolled: int
    money: Money


@dataclass(frozen=True, slots=True)
class Book:
    """A book of a year: its rows, its own total from the ledger, and what was known of people when."""

    kind: BookKind
    code: str
    name: str
    year: str
    rows: tuple[BookRow, ...]
    total: Money
    households: int
    persons: int
    enrolled: int
    known_at: datetime | None = None

    @property
    def difference_fen(self) -> int:
        """Total less the sum of the rows [fen]; 0 unless the books were touched."""
        return self.total.total_fen - sum(row.money.total_fen for row in self.rows)


def book(
    session: Session, actor: Actor, place: tuple[str, str], now: datetime, *, at: datetime | None = None
) -> Book | None:
    """Return the book of an area and year, given as (12-digit code, `2026`); None outside the actor's area.

    `at` shows the people as they were known at an instant; the money is the ledger's at `now`.
    """
    actor.require(Permission.VIEW_MONEY)
    code, year = place
    prefix = area_prefix(code)
    kind = _KIND_OF_LENGTH.get(len(prefix))
    if kind is None or len(code) != CODE_LENGTH or not actor.covers(code):
        return None
    on = min(Period.parse(year).end - timedelta(days=1), local_date(now))
    people = roll_entries(session, actor, code, on, at=at)
    if kind is BookKind.VILLAGE:
        rows = _household_rows(session, actor, code, (year, on), people)
    else:
        rows = _division_rows(session, actor, (code, _NEXT_LENGTH[kind]), (year, on), people)
    total = _sums(session, actor, prefix, year, len(prefix)).get(prefix, Money())
    return Book(
        kind,
        code,
        division_name(session, code),
        year,
        rows,
        total,
        sum(row.households for row in rows),
        sum(row.persons for row in rows),
        sum(row.enrolled for row in rows),
        at,
    )


def _lines(actor: Actor, prefix: str, year: str) -> Any:
    """Return the postings of booked lines of a year's live runs inside an area."""
    return (
        select(func.sum(-PostingRow.amount_fen))
        .join(JournalRow, (JournalRow.book == PostingRow.book) & (JournalRow.seq == PostingRow.seq))
        .join(RunRow, RunRow.id == JournalRow.source)
        .where(
            PostingRow.line_no.is_not(None),
            PostingRow.book == RunRow.book,
            RunRow.period.startswith(f"{year}-"),
            RunRow.state.not_in([state.value for state in ENDED]),
            RunRow.book.startswith(prefix),
            in_area(actor, RunRow.book),
        )
    )


def _sums(session: Session, actor: Actor, prefix: str, year: str, length: int) -> dict[str, Money]:
    """Return the money of every division of a code length inside an area, by its significant digits."""
    place = func.substr(RunRow.book, 1, length)
    statement = _lines(actor, prefix, year).add_columns(place, PostingRow.account)
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for amount, code, account in session.execute(statement.group_by(place, PostingRow.account)):
        found[code][account] += int(amount)
    paid = _paid(session, actor, prefix, year, length)
    return {code: _money(accounts, paid.get(code, 0)) for code, accounts in found.items()}


def _money(accounts: Mapping[str, int], paid_fen: int) -> Money:
    households = accounts.get(_TO_HOUSEHOLDS, 0)
    collective = accounts.get(_TO_COLLECTIVE, 0)
    return Money(households, collective, sum(accounts.values()) - households - collective, paid_fen)


def _paid(session: Session, actor: Actor, prefix: str, year: str, length: int) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in payouts(session, actor):
        if one.state == "succeeded" and one.period.startswith(year) and one.book.startswith(prefix):
            found[one.book[:length] if length else one.household_id] += one.amount_fen
    return found


def _household_rows(
    session: Session, actor: Actor, village: str, when: tuple[str, date], people: tuple[RollEntry, ...]
) -> tuple[BookRow, ...]:
    year, on = when
    statement = _lines(actor, village, year).add_columns(PostingRow.holder)
    grouped = statement.where(PostingRow.account == _TO_HOUSEHOLDS).group_by(PostingRow.holder)
    given = {holder: int(amount) for amount, holder in session.execute(grouped)}
    paid = _paid(session, actor, village, year, 0)
    rows = [
        _household_row(one, on, Money(given.pop(one.household_id, 0), 0, 0, paid.get(one.household_id, 0)))
        for one in people
    ]
    rows = [row for row in rows if row.households or row.money.total_fen]
    rows += [
        BookRow(holder, _GONE, "", "", "", 0, 0, 0, Money(amount, 0, 0, paid.get(holder, 0)))
        for holder, amount in sorted(given.items())
    ]
    whole = _sums(session, actor, village, year, CODE_LENGTH).get(village, Money())
    rows += [
        BookRow("", label, "", "", "", 0, 0, 0, money)
        for label, money in (
            ("村集体", Money(0, whole.collective_fen)),
            ("储备与结转", Money(0, 0, whole.other_fen)),
        )
        if money.total_fen
    ]
    return tuple(rows)


def _household_row(one: RollEntry, on: date, money: Money) -> BookRow:
    present = one.present(on)
    note = "、".join(one.classes) if present else "已退出" if one.left_on else "未纳入"
    return BookRow(
        one.household_id,
        one.name,
        one.number,
        one.village_group,
        note,
        int(present),
        one.persons if present else 0,
        int(present and bool(one.components)),
        money,
    )


def _division_rows(
    session: Session,
    actor: Actor,
    place: tuple[str, int],
    when: tuple[str, date],
    people: tuple[RollEntry, ...],
) -> tuple[BookRow, ...]:
    code, length = place
    year, on = when
    names = division_names(session)
    prefix = area_prefix(code)
    sums = _sums(session, actor, prefix, year, length)
    here = [one for one in people if one.present(on)]
    below = sorted({one.village_code[:length] for one in here} | set(sums))
    rows = []
    for part in below:
        full = part.ljust(CODE_LENGTH, "0")
        own = [one for one in here if one.village_code.startswith(part)]
        rows.append(
            BookRow(
                full,
                names.get(full, full),
                full,
                "",
                "",
                len(own),
                sum(one.persons for one in own),
                sum(bool(one.components) for one in own),
                sums.get(part, Money()),
            )
        )
    return tuple(rows)
