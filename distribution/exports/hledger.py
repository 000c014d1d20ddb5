"""The books as an hledger journal, so that outsiders check them with `hledger check`.

Owns the translation of journal entries into hledger's plain text: every account and the currency are
declared, holders are sub-accounts, and our own balances stand at the end as assertions. It reads only.
"""

import re
from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from distribution.exports.beancount import CURRENCY, yuan_text
from distribution.ledger.accounts import CHART, Account, account_name
from distribution.ledger.balances import Balance, balances, books
from distribution.ledger.journal import Journal, journals
from registry.actors import Actor, Permission


def account_path(book: str, account: str, fund: str, holder: str) -> str:
    """Return the hledger account, as `liabilities:520499101201:应付农户款:subsidy:household_1`."""
    parts = [CHART[Account(account)].side.lower(), book, account_name(account), fund]
    return ":".join([*parts, _plain(holder)] if holder else parts)


def hledger_text(session: Session, actor: Actor, chosen: Sequence[str] = ()) -> str:
    """Return the given books (all of the actor's area when none is given) as one hledger journal."""
    actor.require(Permission.VIEW_MONEY)
    parts = [f"commodity 1000.00 {CURRENCY}", ""]
    for book in chosen or books(session, actor):
        entries = journals(session, actor, book=book)
        if entries:
            parts += _book(entries, balances(session, actor, book=book))
    return "\n".join(parts) + "\n"


def _book(entries: Sequence[Journal], sums: Sequence[Balance]) -> Iterator[str]:
    book = entries[0].book
    used = sorted(
        {
            account_path(book, leg.account, leg.fund.value, leg.holder)
            for entry in entries
            for leg in entry.postings
        }
    )
    yield from (f"account {path}" for path in used)
    yield ""
    for entry in entries:
        yield f"{entry.business_date} * ({entry.book}/{entry.seq}) {_plain(entry.text)}  ; hash: {entry.hash}"
        for leg in entry.postings:
            path = account_path(book, leg.account, leg.fund.value, leg.holder)
            yield f"    {path}  {yuan_text(leg.amount_fen)} {CURRENCY}"
        yield ""
    yield f"{max(entry.business_date for entry in entries)} * 账簿余额核对"
    held = {account_path(book, one.account, one.fund.value, one.holder): one.amount_fen for one in sums}
    for path in used:
        yield f"    {path}  0.00 {CURRENCY} = {yuan_text(held.get(path, 0))} {CURRENCY}"
    yield ""


def _plain(text: str) -> str:
    return re.sub(r"[;|()\s]+", " ", text).strip().replace(":", "_")
