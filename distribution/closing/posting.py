"""Handing drafts to the ledger: once each, into an open period, and taken back by a linked reversal."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from distribution.ledger.balances import balances, period_state
from distribution.ledger.journal import by_key, post, reversal_of, reverse
from distribution.types import Fund, JournalDraft
from registry.actors import Actor
from store.periods import local_date


def by_fund(
    session: Session, actor: Actor, book: str, account: str, *, holder: str | None = None
) -> dict[Fund, int]:
    """Return what an account of a book holds [fen, debit positive] by fund; of one holder where given."""
    found: dict[Fund, int] = {}
    for one in balances(session, actor, book=book, accounts=(account,)):
        if holder is None or one.holder == holder:
            found[one.fund] = found.get(one.fund, 0) + one.amount_fen
    return found


def post_fact(session: Session, actor: Actor, draft: JournalDraft, now: datetime) -> None:
    """Post a fact; one that lies in a closed period is booked today, its own date kept in the attributes."""
    if period_state(session, draft.book, f"{draft.business_date:%Y-%m}") == "closed":
        if by_key(session, draft.idempotency_key) is not None:
            return
        attributes = {**draft.attributes, "value_date": draft.business_date.isoformat()}
        draft = replace(draft, business_date=local_date(now), attributes=attributes)
    post(session, actor, draft, now)


def take_back(session: Session, actor: Actor, key: str, reason: str, now: datetime) -> None:
    """Reverse the entry that was posted under a key, once; what was never posted needs nothing."""
    entry = by_key(session, key)
    if entry is not None and reversal_of(session, entry) is None:
        reverse(session, actor, entry, reason=reason, now=now)
