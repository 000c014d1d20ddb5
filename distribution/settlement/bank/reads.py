"""Bank lines and matches as they stand, read within the actor's area."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.settlement.bank.tables import (
    BankDifferenceRow,
    BankDifferenceShareRow,
    BankLineDecisionRow,
    BankLineRow,
    BankMatchItemRow,
    BankMatchRow,
    BankUnmatchRow,
)
from distribution.settlement.tables import ReceiptRow
from distribution.types import Component
from registry.actors import Actor, Permission, in_area

STATE_WORDS = {
    "open": "待核对",
    "partly": "部分核对",
    "matched": "已核对",
    "excepted": "例外待查",
    "ignored": "不予核对",
    "corrected": "已冲正",
}


@dataclass(frozen=True, slots=True)
class BankLine:
    """One credit [fen] of the county's account: how much of it is matched, and what became of the rest."""

    id: str
    division_code: str
    received_on: date
    amount_fen: int
    payer: str
    reference: str
    remark: str
    source: str
    file_sha256: str
    matched_fen: int
    surplus_fen: int
    state: str
    reason: str = ""
    owner: str = ""
    due_on: date | None = None

    @property
    def rest_fen(self) -> int:
        """What no match and no booked difference holds [fen]."""
        return 0 if self.state == "corrected" else self.amount_fen - self.matched_fen - self.surplus_fen

    @property
    def state_word(self) -> str:
        """The state in Chinese."""
        return STATE_WORDS[self.state]

    @property
    def is_unfinished(self) -> bool:
        """Whether somebody has still to match it, set it apart or ignore it."""
        return self.state in {"open", "partly"}


@dataclass(frozen=True, slots=True)
class MatchItem:
    """The part [fen] of a line that became a receipt of a station, component and month."""

    bank_line_id: str
    reference: str
    receipt_id: str
    station_id: str
    component: Component
    month: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A booked difference [fen] of a match; a taken back one has its negative beside it."""

    id: str
    match_id: str
    division_code: str
    kind: str
    bank_line_id: str
    station_id: str
    component: str
    month: str
    amount_fen: int
    on: date
    reverses: str
    shares: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A confirmed match; `undone` is why it was taken back, empty while it holds."""

    id: str
    rule: str
    note: str
    confirmed_at: datetime
    confirmed_by: str
    items: tuple[MatchItem, ...]
    difference_fen: int
    undone: str


def bank_lines(
    session: Session, actor: Actor, *, ids: Sequence[str] = (), month: str = ""
) -> tuple[BankLine, ...]:
    """Return the bank lines of the actor's area, the latest first; of a month of arrival `2026-10`.

    Corrections are not listed by themselves: a line that was taken back has the state `corrected`.
    """
    actor.require(Permission.VIEW_MONEY)
    statement = select(BankLineRow).where(
        in_area(actor, BankLineRow.division_code), BankLineRow.corrects.is_(None)
    )
    if ids:
        statement = statement.where(BankLineRow.id.in_(ids))
    order = (BankLineRow.received_on.desc(), BankLineRow.reference, BankLineRow.id)
    rows = [
        row
        for row in session.scalars(statement.order_by(*order))
        if not month or f"{row.received_on:%Y-%m}" == month
    ]
    known = _Known(session, [row.id for row in rows])
    return tuple(known.line(row) for row in rows)


class _Known:
    """What is known of lines beside their rows, read in a few statements."""

    def __init__(self, session: Session, ids: list[str]) -> None:
        self.matched: dict[str, int] = defaultdict(int)
        self.surplus: dict[str, int] = defaultdict(int)
        self.decisions: dict[str, BankLineDecisionRow] = {}
        self.corrected: set[str] = set()
        for start in range(0, len(ids), 500):
            self._read(session, ids[start : start + 500])

    def _read(self, session: Session, ids: list[str]) -> None:
        undone = select(BankUnmatchRow.match_id)
        items = (
            select(BankMatchItemRow.bank_line_id, func.sum(BankMatchItemRow.amount_fen))
            .where(BankMatchItemRow.bank_line_id.in_(ids), BankMatchItemRow.match_id.not_in(undone))
            .group_by(BankMatchItemRow.bank_line_id)
        )
        self.matched.update({row[0]: int(row[1]) for row in session.execute(items)})
        surplus = (
            select(BankDifferenceRow.bank_line_id, func.sum(BankDifferenceRow.amount_fen))
            .where(BankDifferenceRow.bank_line_id.in_(ids), BankDifferenceRow.kind == "surplus")
            .group_by(BankDifferenceRow.bank_line_id)
        )
        self.surplus.update({row[0]: int(row[1]) for row in session.execute(surplus)})
        decisions = select(BankLineDecisionRow).where(BankLineDecisionRow.bank_line_id.in_(ids))
        for row in session.scalars(decisions.order_by(BankLineDecisionRow.seq)):
            self.decisions[row.bank_line_id] = row
        corrected = select(BankLineRow.corrects).where(BankLineRow.corrects.in_(ids))
        self.corrected |= {one for one in session.scalars(corrected) if one}

    def line(self, row: BankLineRow) -> BankLine:
        """Return the record of a row."""
        decision = self.decisions.get(row.id)
        held = self.matched[row.id] + self.surplus[row.id]
        state = "partly" if held else "open"
        if row.id in self.corrected:
            state = "corrected"
        elif held == row.amount_fen:
            state = "matched"
        elif decision is not None and decision.decision != "reopened":
            state = decision.decision
        told = decision if decision is not None and state == decision.decision else None
        return BankLine(
            *(row.id, row.division_code, row.received_on, row.amount_fen, row.payer, row.reference),
            *(row.remark, row.source, row.file_sha256, self.matched[row.id], self.surplus[row.id], state),
            "" if told is None else told.reason,
            "" if told is None else told.owner,
            None if told is None else told.due_on,
        )


def matches(session: Session, actor: Actor, *, line_id: str = "", match_id: str = "") -> tuple[Match, ...]:
    """Return the matches of the actor's area, the latest first; of one line or by name."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(BankMatchRow, BankUnmatchRow.reason).outerjoin(
        BankUnmatchRow, BankUnmatchRow.match_id == BankMatchRow.id
    )
    statement = statement.where(in_area(actor, BankMatchRow.division_code))
    if line_id:
        of_line = select(BankMatchItemRow.match_id).where(BankMatchItemRow.bank_line_id == line_id)
        statement = statement.where(BankMatchRow.id.in_(of_line))
    if match_id:
        statement = statement.where(BankMatchRow.id == match_id)
    found = session.execute(statement.order_by(BankMatchRow.recorded_at.desc(), BankMatchRow.id)).all()
    ids = [row.id for row, _reason in found]
    items, over = _items(session, ids), _difference_sums(session, ids)
    return tuple(
        Match(
            *(row.id, row.rule, row.note, row.recorded_at, row.recorded_by),
            tuple(items[row.id]),
            over[row.id],
            reason or "",
        )
        for row, reason in found
    )


def _items(session: Session, ids: list[str]) -> dict[str, list[MatchItem]]:
    found: dict[str, list[MatchItem]] = defaultdict(list)
    for start in range(0, len(ids), 500):
        statement = (
            select(BankMatchItemRow, BankLineRow.reference, ReceiptRow)
            .join(BankLineRow, BankLineRow.id == BankMatchItemRow.bank_line_id)
            .join(ReceiptRow, ReceiptRow.id == BankMatchItemRow.receipt_id)
            .where(BankMatchItemRow.match_id.in_(ids[start : start + 500]))
            .order_by(BankMatchItemRow.match_id, BankMatchItemRow.item_no)
        )
        for item, reference, receipt in session.execute(statement):
            one = MatchItem(
                *(item.bank_line_id, reference, receipt.id, receipt.station_id),
                Component(receipt.component),
                receipt.month,
                item.amount_fen,
            )
            found[item.match_id].append(one)
    return found


def _difference_sums(session: Session, ids: list[str]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for start in range(0, len(ids), 500):
        statement = select(BankDifferenceRow).where(
            BankDifferenceRow.match_id.in_(ids[start : start + 500]), BankDifferenceRow.reverses.is_(None)
        )
        for row in session.scalars(statement):
            found[row.match_id] += row.amount_fen if row.kind == "surplus" else -row.amount_fen
    return found


def differences(
    session: Session, actor: Actor, *, village_code: str = "", match_id: str = ""
) -> tuple[Difference, ...]:
    """Return the booked differences of the actor's area, taken back ones included, in order of their day."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(BankDifferenceRow)
    if village_code:
        mine = select(BankDifferenceShareRow.difference_id).where(
            BankDifferenceShareRow.village_code == village_code
        )
        statement = statement.where(BankDifferenceRow.id.in_(mine))
    else:
        statement = statement.where(in_area(actor, BankDifferenceRow.division_code))
    if match_id:
        statement = statement.where(BankDifferenceRow.match_id == match_id)
    rows = session.scalars(statement.order_by(BankDifferenceRow.on, BankDifferenceRow.id)).all()
    shares = _difference_shares(session, [row.id for row in rows])
    return tuple(
        Difference(
            *(row.id, row.match_id, row.division_code, row.kind, row.bank_line_id, row.station_id),
            *(row.component, row.month, row.amount_fen, row.on, row.reverses or ""),
            tuple(shares[row.id]),
        )
        for row in rows
    )


def _difference_shares(session: Session, ids: list[str]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for start in range(0, len(ids), 500):
        statement = select(BankDifferenceShareRow).where(
            BankDifferenceShareRow.difference_id.in_(ids[start : start + 500])
        )
        for row in session.scalars(statement.order_by(BankDifferenceShareRow.village_code)):
            found[row.difference_id].append((row.village_code, row.amount_fen))
    return found


def line_of_receipt(session: Session, receipt_ids: Sequence[str]) -> dict[str, str]:
    """Return the bank line behind each receipt that came of a match; unscoped, for the conductor."""
    found: dict[str, str] = {}
    for start in range(0, len(receipt_ids), 500):
        statement: Any = select(BankMatchItemRow.receipt_id, BankMatchItemRow.bank_line_id).where(
            BankMatchItemRow.receipt_id.in_(receipt_ids[start : start + 500])
        )
        found.update({row[0]: row[1] for row in session.execute(statement)})
    return found
