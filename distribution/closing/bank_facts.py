"""Posting the county's bank account: its lines, the matches that use them up, surpluses and corrections."""

from datetime import date, datetime

from sqlalchemy import ColumnElement, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from distribution.closing import bank_entries
from distribution.closing.posting import post_fact, take_back
from distribution.ledger.journal import open_book
from distribution.ledger.tables import JournalRow
from distribution.settlement.bank.reads import bank_lines, differences
from distribution.settlement.bank.tables import (
    BankDifferenceRow,
    BankLineRow,
    BankMatchItemRow,
    BankUnmatchRow,
)
from registry.actors import Actor


def book_bank(session: Session, actor: Actor, county: str, now: datetime) -> None:
    """Post what is known of a county's bank lines and the ledger does not know: each fact once.

    A line that was taken back, or a match undone, before it was ever posted leaves no entry.
    """
    lines = _new_lines(session, county)
    corrections = _open_corrections(session, county)
    links, undone = _new_links(session, county), _open_undone(session, county)
    over, back = _new_surpluses(session, county), _open_surplus_reversals(session, county)
    if not any((lines, corrections, links, undone, over, back)):
        return
    open_book(session, actor, county, now)
    for line in bank_lines(session, actor, ids=lines) if lines else ():
        post_fact(session, actor, bank_entries.bank_line(line), now)
    for link in links:
        post_fact(session, actor, bank_entries.link(county, link), now)
    for one in differences(session, actor) if over else ():
        if one.id in over:
            post_fact(session, actor, bank_entries.surplus(one), now)
    for receipt_id, reason in undone:
        take_back(session, actor, bank_entries.link_key(receipt_id, county), f"撤销核对：{reason}", now)
    for difference_id in back:
        take_back(session, actor, f"{difference_id}:{county}", "撤销核对", now)
    for line_id, reason in corrections:
        take_back(session, actor, bank_entries.bank_line_key(line_id, county), reason, now)


def _entry(column: InstrumentedAttribute[str], tail: str) -> ColumnElement[bool]:
    key = column + literal(tail)
    return select(JournalRow.seq).where(JournalRow.idempotency_key == key).exists()


def _standing_entry(column: InstrumentedAttribute[str], tail: str) -> ColumnElement[bool]:
    """The condition that an entry was posted under a key and not reversed."""
    first, mirror = aliased(JournalRow), aliased(JournalRow)
    reversed_by = select(mirror.seq).where(mirror.book == first.book, mirror.reverses == first.seq).exists()
    key = column + literal(tail)
    return select(first.seq).where(first.idempotency_key == key, ~reversed_by).exists()


def _new_lines(session: Session, county: str) -> tuple[str, ...]:
    correction = aliased(BankLineRow)
    statement = select(BankLineRow.id).where(
        BankLineRow.division_code == county,
        BankLineRow.corrects.is_(None),
        ~select(correction.id).where(correction.corrects == BankLineRow.id).exists(),
        ~_entry(BankLineRow.id, f":{county}"),
    )
    return tuple(session.scalars(statement.order_by(BankLineRow.received_on, BankLineRow.id)))


def _open_corrections(session: Session, county: str) -> list[tuple[str, str]]:
    first = aliased(BankLineRow)
    statement = (
        select(first.id, BankLineRow.source)
        .join(first, first.id == BankLineRow.corrects)
        .where(BankLineRow.division_code == county, _standing_entry(first.id, f":{county}"))
    )
    return [(row[0], row[1]) for row in session.execute(statement.order_by(first.id))]


def _new_links(session: Session, county: str) -> list[tuple[str, str, str, int, date]]:
    undone = select(BankUnmatchRow.match_id).where(BankUnmatchRow.match_id == BankMatchItemRow.match_id)
    statement = (
        select(
            BankMatchItemRow.receipt_id,
            BankLineRow.id,
            BankLineRow.reference,
            BankMatchItemRow.amount_fen,
            BankLineRow.received_on,
        )
        .join(BankLineRow, BankLineRow.id == BankMatchItemRow.bank_line_id)
        .where(
            BankLineRow.division_code == county,
            ~undone.exists(),
            ~_entry(BankMatchItemRow.receipt_id, f":line:{county}"),
        )
        .order_by(BankMatchItemRow.match_id, BankMatchItemRow.item_no)
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in session.execute(statement)]


def _open_undone(session: Session, county: str) -> list[tuple[str, str]]:
    statement = (
        select(BankMatchItemRow.receipt_id, BankUnmatchRow.reason)
        .join(BankUnmatchRow, BankUnmatchRow.match_id == BankMatchItemRow.match_id)
        .where(_standing_entry(BankMatchItemRow.receipt_id, f":line:{county}"))
    )
    return [(row[0], row[1]) for row in session.execute(statement.order_by(BankMatchItemRow.receipt_id))]


def _new_surpluses(session: Session, county: str) -> frozenset[str]:
    back = aliased(BankDifferenceRow)
    statement = select(BankDifferenceRow.id).where(
        BankDifferenceRow.division_code == county,
        BankDifferenceRow.kind == "surplus",
        BankDifferenceRow.reverses.is_(None),
        ~select(back.id).where(back.reverses == BankDifferenceRow.id).exists(),
        ~_entry(BankDifferenceRow.id, f":{county}"),
    )
    return frozenset(session.scalars(statement))


def _open_surplus_reversals(session: Session, county: str) -> list[str]:
    first = aliased(BankDifferenceRow)
    statement = (
        select(first.id)
        .join(BankDifferenceRow, BankDifferenceRow.reverses == first.id)
        .where(first.division_code == county, _standing_entry(first.id, f":{county}"))
    )
    return list(session.scalars(statement.order_by(first.id)))
