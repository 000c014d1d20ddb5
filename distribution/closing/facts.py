"""Posting what settlement knows of a village and the ledger does not: accruals, receipts, costs, transfers.

Owns that each fact is posted once, and a revised or withdrawn one reversed. Which entry a fact makes is
`bookings`'.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from distribution import bookings
from distribution.ledger.balances import balances, period_state
from distribution.ledger.journal import by_key, open_book, post, posted_keys, reversal_of, reverse
from distribution.settlement.reads import (
    costs,
    receipts,
    remittances,
    village_bills,
)
from distribution.types import Fund, JournalDraft
from registry.actors import Actor
from store.periods import local_date


def book_facts(session: Session, actor: Actor, village: str, now: datetime) -> None:
    """Post everything that settlement knows of a village and the ledger does not: each fact once."""
    open_book(session, actor, village, now)
    keys = posted_keys(session, village)
    _book_accruals(session, actor, village, keys, now)
    for one in receipts(session, actor, village_code=village):
        arrival = bookings.Arrival(
            one.id, one.station_id, one.component, one.month, one.received_on, one.bank_reference
        )
        part = dict(one.shares).get(village, 0)
        if part and f"{one.id}:{village}" not in keys:
            post_fact(session, actor, bookings.receipt(village, arrival, part), now)
            post_fact(session, actor, bookings.county_receipt(arrival, village, part), now)
    for spent in costs(session, actor, village_code=village):
        if spent.id not in keys:
            fact = (spent.id, spent.text, spent.amount_fen, spent.incurred_on)
            post_fact(session, actor, bookings.cost(village, fact), now)
        if spent.paid_on is not None and f"{spent.id}:paid" not in keys:
            paid = (spent.id, spent.text, spent.amount_fen, spent.paid_on)
            post_fact(session, actor, bookings.cost_payment(village, paid), now)
    for sent in remittances(session, actor, village_code=village):
        if f"{sent.id}:{village}" not in keys:
            due = by_fund(session, actor, village, "due_from_county")
            sent_fact = (sent.id, sent.amount_fen, sent.remitted_on, sent.bank_reference)
            for draft in bookings.remittance(village, sent_fact, due):
                post_fact(session, actor, draft, now)


def by_fund(session: Session, actor: Actor, book: str, account: str) -> dict[Fund, int]:
    """Return what an account of a book holds [fen], by fund."""
    found: dict[Fund, int] = {}
    for one in balances(session, actor, book=book, accounts=(account,)):
        found[one.fund] = found.get(one.fund, 0) + one.amount_fen
    return found


def _book_accruals(session: Session, actor: Actor, village: str, keys: frozenset[str], now: datetime) -> None:
    """Post the latest revision of each settlement of a village; an earlier revision is reversed."""
    for one in village_bills(session, village):
        if f"accrual:{one.settlement_id}:{village}" in keys:
            continue
        bill = (one.settlement_id, one.station_id, one.month)
        draft = bookings.accrual(village, bill, dict(one.parts))
        for revision in range(1, one.revision):
            entry = by_key(session, f"accrual:settlement:{one.station_id}:{one.month}:{revision}:{village}")
            if entry is not None and reversal_of(session, entry) is None:
                reverse(session, actor, entry, reason=f"结算单修订为第 {one.revision} 版", now=now)
        if draft is not None:
            post_fact(session, actor, draft, now)


def post_fact(session: Session, actor: Actor, draft: JournalDraft, now: datetime) -> None:
    """Post a fact; one that lies in a closed period is booked today, its own date kept in the attributes."""
    if period_state(session, draft.book, f"{draft.business_date:%Y-%m}") == "closed":
        if by_key(session, draft.idempotency_key) is not None:
            return
        attributes = {**draft.attributes, "value_date": draft.business_date.isoformat()}
        draft = replace(draft, business_date=local_date(now), attributes=attributes)
    post(session, actor, draft, now)
