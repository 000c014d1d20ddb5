"""Advances (垫付): money that somebody paid a village before the grid company did, and its clearing.

Owns who advanced what on which receivable, and which receipt paid it back. An advance is a debt of the
village, never income: what is distributed is only what the grid company has paid.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.money import yuan
from distribution.settlement.reads import receipts
from distribution.settlement.receivables.tables import AdvanceClearingRow, AdvanceRow
from distribution.types import Component
from registry import audit
from registry.actors import Actor, Permission, in_area
from registry.stations import shares
from store.canonical import content_hash
from store.periods import Period, local_date
from store.problem import Problem, ProblemsError


@dataclass(frozen=True, slots=True)
class AdvanceFact:
    """Money advanced [fen] to a village on what the grid company owes it, by whom and on which document."""

    village_code: str
    station_id: str
    component: Component
    month: str
    amount_fen: int
    advanced_on: date
    advancer: str
    document: str
    bank_reference: str


@dataclass(frozen=True, slots=True)
class Clearing:
    """The part [fen] of an advance that a receipt paid back."""

    id: str
    advance_id: str
    receipt_id: str
    amount_fen: int
    cleared_on: date


@dataclass(frozen=True, slots=True)
class Advance:
    """An advance with its clearings."""

    id: str
    fact: AdvanceFact
    clearings: tuple[Clearing, ...]

    @property
    def open_fen(self) -> int:
        """What is still to be paid back [fen]."""
        return self.fact.amount_fen - sum(one.amount_fen for one in self.clearings)


def record_advance(session: Session, actor: Actor, fact: AdvanceFact, now: datetime) -> str:
    """Record an advance and return its id; the same bank reference of a village only once.

    Raises ProblemsError when figures or papers are missing, or the station is not the village's.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    problems = []
    if fact.amount_fen <= 0 or not fact.bank_reference.strip():
        problems.append(Problem("垫付", "金额或银行流水号不完整", "请按银行回单填写"))
    if not fact.advancer.strip() or not fact.document.strip():
        problems.append(Problem("垫付", "没有写明垫付单位或依据文件", "请填写谁垫付、依据哪份文件"))
    if fact.advanced_on > local_date(now):
        problems.append(Problem("垫付日期", f"{fact.advanced_on} 还没有到", "请填写实际付款日期"))
    owners = {one.village_code for one in shares(session, fact.station_id, Period.parse(fact.month).start)}
    if not actor.covers(fact.village_code) or fact.village_code not in owners:
        problems.append(Problem("垫付", "这个村没有这座电站的收益份额", "请核对村和电站"))
    if problems:
        raise ProblemsError(problems)
    advance_id = f"advance:{content_hash([fact.village_code, fact.bank_reference])[:32]}"
    present = session.get(AdvanceRow, advance_id)
    if present is not None:
        if _fact(present) != fact:
            what = f"流水号 {fact.bank_reference} 已登记为另一笔垫付 {yuan(present.amount_fen)} 元"
            raise ProblemsError([Problem("垫付", what, "请核对流水号")])
        return advance_id
    session.add(
        AdvanceRow(
            id=advance_id,
            village_code=fact.village_code,
            station_id=fact.station_id,
            component=fact.component.value,
            month=fact.month,
            amount_fen=fact.amount_fen,
            advanced_on=fact.advanced_on,
            advancer=fact.advancer,
            document=fact.document,
            bank_reference=fact.bank_reference,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    audit.record(session, actor, audit.Entry("record", "advance", advance_id, after=fact), now)
    return advance_id


def clear_advance(
    session: Session, actor: Actor, pair: tuple[str, str], amount_fen: int, now: datetime
) -> str:
    """Clear part of an advance by a receipt, given as (advance id, receipt id); returns the clearing's id.

    Raises ProblemsError when the receipt is not of that village, station and component, or either side does
    not hold so much.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    advance = next((one for one in advances(session, actor) if one.id == pair[0]), None)
    found = receipts(session, actor, ids=(pair[1],))
    if advance is None or not found:
        raise ProblemsError([Problem("归还垫付", "没有这笔垫付或这笔到账", "请从列表中选择")])
    clearing_id = f"clearing:{content_hash(list(pair))[:32]}"
    if session.get(AdvanceClearingRow, clearing_id) is not None:
        return clearing_id
    arrived = found[0]
    part = dict(arrived.shares).get(advance.fact.village_code, 0)
    same = (arrived.station_id, arrived.component) == (advance.fact.station_id, advance.fact.component)
    free = part - cleared_by(session, arrived.id, advance.fact.village_code)
    if not same or not 0 < amount_fen <= min(free, advance.open_fen):
        what = f"垫付未还 {yuan(advance.open_fen)} 元，这笔到账可用 {yuan(max(free, 0) if same else 0)} 元"
        raise ProblemsError([Problem("归还垫付", what, "归还金额不能超过其中任何一个")])
    session.add(
        AdvanceClearingRow(
            id=clearing_id,
            advance_id=pair[0],
            receipt_id=pair[1],
            amount_fen=amount_fen,
            cleared_on=max(arrived.received_on, advance.fact.advanced_on),
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    audit.record(session, actor, audit.Entry("clear", "advance", pair[0], reason=pair[1]), now)
    return clearing_id


def cleared_by(session: Session, receipt_id: str, village_code: str) -> int:
    """Return what of a village's part of a receipt has paid back advances [fen]; unscoped."""
    statement = (
        select(func.coalesce(func.sum(AdvanceClearingRow.amount_fen), 0))
        .join(AdvanceRow, AdvanceRow.id == AdvanceClearingRow.advance_id)
        .where(AdvanceClearingRow.receipt_id == receipt_id, AdvanceRow.village_code == village_code)
    )
    return int(session.scalar(statement) or 0)


def _fact(row: AdvanceRow) -> AdvanceFact:
    return AdvanceFact(
        row.village_code,
        row.station_id,
        Component(row.component),
        row.month,
        row.amount_fen,
        row.advanced_on,
        row.advancer,
        row.document,
        row.bank_reference,
    )


def advances(session: Session, actor: Actor, *, village_code: str = "") -> tuple[Advance, ...]:
    """Return the advances to the actor's villages with their clearings, by date."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(AdvanceRow).where(in_area(actor, AdvanceRow.village_code))
    if village_code:
        statement = statement.where(AdvanceRow.village_code == village_code)
    rows = session.scalars(statement.order_by(AdvanceRow.advanced_on, AdvanceRow.id)).all()
    cleared: dict[str, list[Clearing]] = defaultdict(list)
    if rows:
        for row in session.scalars(select(AdvanceClearingRow).order_by(AdvanceClearingRow.cleared_on)):
            cleared[row.advance_id].append(
                Clearing(row.id, row.advance_id, row.receipt_id, row.amount_fen, row.cleared_on)
            )
    return tuple(Advance(row.id, _fact(row), tuple(cleared[row.id])) for row in rows)
