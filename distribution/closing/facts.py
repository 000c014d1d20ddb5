"""Posting what settlement knows of a village and the ledger does not: accruals, receipts, costs, transfers.

Owns that each fact is posted once, and a revised, corrected or withdrawn one reversed by an entry that is
linked with the first. Which entry a fact makes is `bookings`' and `bank_entries`'; the county's bank lines
are `bank_facts`'.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from distribution import bookings
from distribution.closing import bank_entries
from distribution.closing.bank_facts import book_bank
from distribution.closing.posting import by_fund, post_fact, take_back
from distribution.ledger.journal import by_key, open_book, posted_keys, reversal_of
from distribution.settlement.bank.reads import differences
from distribution.settlement.reads import (
    Cost,
    Receipt,
    Remittance,
    costs,
    receipts,
    remittances,
    uncorrected,
    village_bills,
)
from distribution.settlement.receivables.advances import advances
from distribution.settlement.receivables.remittances import SENT, VILLAGE, stages_of
from distribution.settlement.spending.spendings import spendings
from distribution.types import Fund, Posting
from registry.actors import Actor


def book_facts(session: Session, actor: Actor, village: str, now: datetime) -> None:
    """Post everything that settlement knows of a village and the ledger does not: each fact once."""
    open_book(session, actor, village, now)
    book_bank(session, actor, bookings.county_book(village), now)
    keys = posted_keys(session, village)
    _book_accruals(session, actor, village, keys, now)
    _book_receipts(session, actor, village, keys, now)
    _book_differences(session, actor, village, keys, now)
    _book_costs(session, actor, village, keys, now)
    _book_advances(session, actor, village, keys, now)
    for sent in remittances(session, actor, village_code=village):
        if f"{sent.id}:{village}" not in keys:
            _book_remittance(session, actor, village, sent, now)
    for spent in reversed(spendings(session, actor, village_code=village)):
        if spent.corrects:
            take_back(session, actor, spent.corrects, spent.fact.text, now)
        elif spent.id not in keys:
            held = purse_by_fund(session, actor, village, (spent.fact.account, spent.fact.holder))
            post_fact(session, actor, bank_entries.spending(spent, held), now)


def purse_by_fund(session: Session, actor: Actor, village: str, purse: tuple[str, str]) -> dict[Fund, int]:
    """Return what a purse, given as (account, holder), holds [fen] by fund; below zero is overdrawn."""
    held = by_fund(session, actor, village, purse[0], holder=purse[1])
    return {fund: -amount for fund, amount in held.items()}


def _book_accruals(session: Session, actor: Actor, village: str, keys: frozenset[str], now: datetime) -> None:
    """Post the latest revision of each settlement of a village; an earlier revision is reversed."""
    for one in village_bills(session, village):
        if f"accrual:{one.settlement_id}:{village}" in keys:
            continue
        for revision in range(1, one.revision):
            key = f"accrual:settlement:{one.station_id}:{one.month}:{revision}:{village}"
            take_back(session, actor, key, f"结算单修订为第 {one.revision} 版", now)
        draft = bookings.accrual(village, (one.settlement_id, one.station_id, one.month), dict(one.parts))
        if draft is not None:
            post_fact(session, actor, draft, now)


def _book_receipts(session: Session, actor: Actor, village: str, keys: frozenset[str], now: datetime) -> None:
    every = receipts(session, actor, village_code=village)
    for one in uncorrected(every):
        part = dict(one.shares).get(village, 0)
        if part and f"{one.id}:{village}" not in keys:
            arrival = _arrival(one)
            post_fact(session, actor, bookings.receipt(village, arrival, part), now)
            post_fact(session, actor, bookings.county_receipt(arrival, village, part), now)
    county = bookings.county_book(village)
    for one in every:
        if one.corrects and not _is_given_out(session, actor, village, one.corrects):
            for key in (f"{one.corrects}:{village}", f"{one.corrects}:{county}:{village}"):
                take_back(session, actor, key, one.source, now)


def _is_given_out(session: Session, actor: Actor, village: str, receipt_id: str) -> bool:
    """Tell whether a receipt's money is distributed: it is taken back when a correction has called it in."""
    entry = by_key(session, f"{receipt_id}:{village}")
    if entry is None or reversal_of(session, entry) is not None:
        return False
    free = by_fund(session, actor, village, "distributable")
    legs = [leg for leg in entry.postings if leg.account == "distributable"]
    return any(-free.get(leg.fund, 0) < -leg.amount_fen for leg in legs)


def _arrival(one: Receipt) -> bookings.Arrival:
    return bookings.Arrival(
        one.id, one.station_id, one.component, one.month, one.received_on, one.bank_reference
    )


def _book_differences(
    session: Session, actor: Actor, village: str, keys: frozenset[str], now: datetime
) -> None:
    every = differences(session, actor, village_code=village)
    undone = {one.reverses for one in every if one.reverses}
    for one in every:
        if one.id not in undone and not one.reverses and f"{one.id}:{village}" not in keys:
            part = dict(one.shares)[village]
            post_fact(session, actor, bank_entries.shortfall(village, one, part), now)
    for difference_id in sorted(undone):
        take_back(session, actor, f"{difference_id}:{village}", "撤销核对", now)


def _book_costs(session: Session, actor: Actor, village: str, keys: frozenset[str], now: datetime) -> None:
    every = costs(session, actor, village_code=village)
    for spent in uncorrected(every):
        if spent.id not in keys:
            fact = (spent.id, spent.text, spent.amount_fen, spent.incurred_on)
            post_fact(session, actor, bookings.cost(village, fact), now)
        if spent.paid_on is not None and f"{spent.id}:paid" not in keys:
            paid = (spent.id, spent.text, spent.amount_fen, spent.paid_on)
            post_fact(session, actor, bookings.cost_payment(village, paid), now)
    _take_back_costs(session, actor, every, now)


def _take_back_costs(session: Session, actor: Actor, every: Sequence[Cost], now: datetime) -> None:
    for one in every:
        if one.corrects:
            take_back(session, actor, f"{one.corrects}:paid", one.text, now)
            take_back(session, actor, one.corrects, one.text, now)


def _book_advances(session: Session, actor: Actor, village: str, keys: frozenset[str], now: datetime) -> None:
    for one in advances(session, actor, village_code=village):
        if f"{one.id}:{village}" not in keys:
            post_fact(session, actor, bank_entries.advance(one), now)
        for part in one.clearings:
            if f"{part.id}:{village}" not in keys:
                for draft in bank_entries.clearing(one, part):
                    post_fact(session, actor, draft, now)


def _book_remittance(session: Session, actor: Actor, village: str, sent: Remittance, now: datetime) -> None:
    """Post a remittance: in the county when it leaves, in the village when it is there.

    A straight one is there at once. What went by the township arrives in the funds in which it was sent.
    """
    stages = stages_of(session, [sent.id]).get(sent.id, {})
    county = bookings.county_book(village)
    fact = (sent.id, sent.amount_fen, sent.remitted_on, sent.bank_reference)
    gone = by_key(session, f"{sent.id}:{county}")
    due = by_fund(session, actor, village, "due_from_county") if gone is None else _funds(gone.postings)
    here, there = bookings.remittance(village, fact, due)
    if gone is None:
        post_fact(session, actor, there, now)
    if SENT not in stages:
        post_fact(session, actor, here, now)
    elif VILLAGE in stages:
        post_fact(session, actor, replace(here, business_date=stages[VILLAGE]), now)


def _funds(postings: Sequence[Posting]) -> dict[Fund, int]:
    return {leg.fund: leg.amount_fen for leg in postings if leg.account == "due_to_village"}


__all__ = ["book_facts", "by_fund", "post_fact", "purse_by_fund"]
