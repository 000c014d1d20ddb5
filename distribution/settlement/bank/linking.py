"""Receipts that a list already named by account and month, tied to the bank line of the same reference.

Owns that money is not counted twice when both the bank's statement and a list by account are imported, in
either order.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session, aliased

from distribution.settlement.bank.reads import BankLine, bank_lines
from distribution.settlement.bank.tables import BankLineRow, BankMatchItemRow, BankMatchRow
from distribution.settlement.tables import ReceiptRow
from registry.actors import Actor, in_area
from registry.stations import StationRow, station_in_area
from store.canonical import content_hash

BY_LIST = "到账明细"


def lines_by_reference(session: Session, actor: Actor, references: Collection[str]) -> dict[str, BankLine]:
    """Return the bank lines of the actor's area that have one of some references, by reference."""
    wanted = sorted(references)
    ids: list[str] = []
    for start in range(0, len(wanted), 500):
        statement = select(BankLineRow.id).where(
            BankLineRow.reference.in_(wanted[start : start + 500]),
            in_area(actor, BankLineRow.division_code),
            BankLineRow.corrects.is_(None),
        )
        ids += session.scalars(statement)
    return {one.reference: one for one in bank_lines(session, actor, ids=ids)} if ids else {}


def link_receipts(session: Session, actor: Actor, references: Collection[str], now: datetime) -> int:
    """Tie receipts without a bank line to the line of their reference; returns how many were tied.

    What would exceed the line stays as it is: then the line shows a rest that somebody must look at.
    """
    lines = lines_by_reference(session, actor, references)
    loose = _loose_receipts(session, actor, sorted(lines)) if lines else {}
    tied = 0
    for reference, rows in sorted(loose.items()):
        line = lines[reference]
        if line.state in {"ignored", "corrected"} or sum(row.amount_fen for row in rows) > line.rest_fen:
            continue
        match_id = f"match:{content_hash([line.id, [row.id for row in rows]])[:32]}"
        session.add(
            BankMatchRow(
                id=match_id,
                division_code=line.division_code,
                rule=BY_LIST,
                note="到账明细已写明户号和月份",
                recorded_at=now,
                recorded_by=actor.user_id,
            )
        )
        session.flush()
        items = [
            {
                "match_id": match_id,
                "item_no": number,
                "bank_line_id": line.id,
                "receipt_id": row.id,
                "amount_fen": row.amount_fen,
            }
            for number, row in enumerate(rows, start=1)
        ]
        session.execute(insert(BankMatchItemRow), items)
        tied += len(rows)
    return tied


def _loose_receipts(session: Session, actor: Actor, references: list[str]) -> dict[str, list[ReceiptRow]]:
    found: dict[str, list[ReceiptRow]] = defaultdict(list)
    correction = aliased(ReceiptRow)
    for start in range(0, len(references), 500):
        statement = (
            select(ReceiptRow)
            .join(StationRow, StationRow.id == ReceiptRow.station_id)
            .outerjoin(BankMatchItemRow, BankMatchItemRow.receipt_id == ReceiptRow.id)
            .outerjoin(correction, correction.corrects == ReceiptRow.id)
            .where(
                ReceiptRow.bank_reference.in_(references[start : start + 500]),
                station_in_area(actor),
                ReceiptRow.amount_fen > 0,
                BankMatchItemRow.match_id.is_(None),
                correction.id.is_(None),
            )
            .order_by(ReceiptRow.id)
        )
        for row in session.scalars(statement):
            found[row.bank_reference].append(row)
    return found
