"""The books as a beancount file, so that outsiders check them with `bean-check`.

Owns the translation of journal entries into beancount's plain text, with balance assertions that are
taken from our own sums. It reads only.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from sqlalchemy.orm import Session

from distribution.ledger.accounts import CHART, Account, account_name
from distribution.ledger.balances import Balance, balances, books
from distribution.ledger.journal import Journal, journals
from registry.actors import Actor, Permission

CURRENCY = "CNY"


def yuan_text(amount_fen: int) -> str:
    """Return fen as plain yuan text without separators: `-1234.56`."""
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}{abs(amount_fen) // 100}.{abs(amount_fen) % 100:02d}"


def account_path(book: str, account: str, fund: str) -> str:
    """Return the beancount account of a book's account and fund, as `Assets:V5204…:Bank:Subsidy`."""
    name = "".join(part.capitalize() for part in account.split("_"))
    return f"{CHART[Account(account)].side}:V{book}:{name}:{fund.capitalize()}"


def beancount_text(session: Session, actor: Actor, chosen: Sequence[str] = ()) -> str:
    """Return the given books (all of the actor's area when none is given) as one beancount file."""
    actor.require(Permission.VIEW_MONEY)
    parts = list(_header())
    for book in chosen or books(session, actor):
        entries = journals(session, actor, book=book)
        if entries:
            parts += _book(entries, balances(session, actor, book=book))
    return "\n".join(parts) + "\n"


def _header() -> Iterator[str]:
    yield 'option "title" "阳光账本 记账凭证"'
    yield f'option "operating_currency" "{CURRENCY}"'
    yield ""


def _book(entries: Sequence[Journal], sums: Sequence[Balance]) -> Iterator[str]:
    first = min(entry.business_date for entry in entries)
    last = max(entry.business_date for entry in entries)
    used = sorted({(leg.account, leg.fund.value) for entry in entries for leg in entry.postings})
    for account, fund in used:
        yield f"{first} open {account_path(entries[0].book, account, fund)} {CURRENCY}"
        yield f"  name: {_quoted(account_name(account))}"
    yield ""
    for entry in entries:
        yield from _entry(entry)
    yield from _assertions(entries[0].book, used, sums, last)


def _entry(entry: Journal) -> Iterator[str]:
    yield f"{entry.business_date} * {_quoted(entry.text)}"
    yield f"  seq: {entry.seq}"
    yield f"  source: {_quoted(entry.source)}"
    yield f"  hash: {_quoted(entry.hash)}"
    if entry.reverses is not None:
        yield f"  reverses: {entry.reverses}"
    for leg in entry.postings:
        path = account_path(entry.book, leg.account, leg.fund.value)
        yield f"  {path}  {yuan_text(leg.amount_fen)} {CURRENCY}"
        if leg.holder:
            yield f"    holder: {_quoted(leg.holder)}"
    yield ""


def _assertions(
    book: str, used: Sequence[tuple[str, str]], sums: Sequence[Balance], last: date
) -> Iterator[str]:
    totals: dict[tuple[str, str], int] = {}
    for one in sums:
        totals[(one.account, one.fund.value)] = totals.get((one.account, one.fund.value), 0) + one.amount_fen
    for account, fund in used:
        amount = yuan_text(totals.get((account, fund), 0))
        yield f"{last + timedelta(days=1)} balance {account_path(book, account, fund)}  {amount} {CURRENCY}"
    yield ""


def _quoted(text: str) -> str:
    return '"' + re.sub(r"\s+", " ", text).replace("\\", "\\\\").replace('"', '\\"') + '"'
