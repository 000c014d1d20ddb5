"""Matching bank lines with receivables, m to n, and taking a match back.

Owns the step from confirmed edges to receipts. Neither side is ever used up beyond what it holds; what a
tolerance lets through is written down as a difference, to be booked. Taking back writes negative rows.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from distribution.money import split, yuan
from distribution.settlement.bank.proposals import Edge, OpenLine, OpenReceivable, Proposal, propose
from distribution.settlement.bank.reads import BankLine, Match, bank_lines, differences, matches
from distribution.settlement.bank.tables import (
    BankDifferenceRow,
    BankDifferenceShareRow,
    BankMatchItemRow,
    BankMatchRow,
    BankUnmatchRow,
)
from distribution.settlement.receipts import NewReceipt, correct_receipt, open_parts, write_receipt
from distribution.settlement.receivables.owed import owed_items
from distribution.settlement.tables import ReceiptRow
from distribution.types import Component
from registry import audit
from registry.actors import Actor, Permission
from registry.parameters import Place, value_on
from registry.stations import station
from store.canonical import content_hash
from store.problem import Problem, ProblemsError

BY_HAND = "人工"
_FEN_PER_YUAN = 100


@dataclass(frozen=True, slots=True)
class MatchDraft:
    """A match to be confirmed: its edges, by which rule, a note, and whether to book what is left over.

    With `book_difference` a rest of the lines, or of the last receivable, within the tolerance is booked.
    """

    edges: tuple[Edge, ...]
    rule: str = BY_HAND
    note: str = ""
    book_difference: bool = False


def tolerance_fen(session: Session, line: BankLine) -> int:
    """Return how much a match of a line may leave over [fen], by the county's dated parameter."""
    value = value_on("receipt_tolerance_yuan", line.received_on, Place(line.division_code), session=session)
    return int(value.value * _FEN_PER_YUAN)


def proposals(session: Session, actor: Actor) -> tuple[Proposal, ...]:
    """Return what may be matched now in the actor's area, by the rules of `bank.proposals`."""
    lines = [one for one in bank_lines(session, actor) if one.is_unfinished]
    if not lines:
        return ()
    open_lines = [
        OpenLine(
            one.id, one.received_on, one.rest_fen, f"{one.payer} {one.remark}", tolerance_fen(session, one)
        )
        for one in reversed(lines)
    ]
    return propose(open_lines, open_receivables(session, actor))


def open_receivables(session: Session, actor: Actor) -> tuple[OpenReceivable, ...]:
    """Return what is still to arrive in the actor's area, by month and station."""
    return tuple(
        OpenReceivable(
            one.station_id,
            one.station_name,
            one.account_number,
            one.component,
            one.month,
            one.outstanding_fen,
        )
        for one in owed_items(session, actor)
        if one.outstanding_fen > 0
    )


def confirm_match(session: Session, actor: Actor, draft: MatchDraft, now: datetime) -> str:
    """Confirm a match and return its id; the same match again, while it holds, changes nothing.

    Raises ProblemsError when either side does not hold so much, or the rest exceeds the tolerance.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    known = {one.id: one for one in bank_lines(session, actor, ids=_lines_of(draft.edges))}
    match_id = _match_id(session, draft)
    if session.get(BankMatchRow, match_id) is not None:
        return match_id
    problems = [*_line_problems(draft.edges, known), *_owed_problems(session, actor, draft.edges)]
    if problems:
        raise ProblemsError(problems)
    lines = [known[one] for one in _lines_of(draft.edges)]
    left = _left_over(session, draft, lines) if draft.book_difference else None
    row = BankMatchRow(
        id=match_id,
        division_code=lines[0].division_code,
        rule=draft.rule,
        note=draft.note.strip(),
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    for number, edge in enumerate(draft.edges, start=1):
        _write_edge(session, actor, (match_id, number), (edge, known[edge.line_id]), now)
    if left is not None:
        _write_difference(session, actor, match_id, left, now)
    audit.record(session, actor, audit.Entry("match", "bank_match", match_id, after=draft), now)
    return match_id


def _lines_of(edges: Iterable[Edge]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(edge.line_id for edge in edges))


def _match_id(session: Session, draft: MatchDraft) -> str:
    """The same edges again are the same match, until it was taken back: then they are a new one."""
    undone = (
        select(func.count(func.distinct(BankUnmatchRow.match_id)))
        .join(BankMatchItemRow, BankMatchItemRow.match_id == BankUnmatchRow.match_id)
        .where(BankMatchItemRow.bank_line_id.in_(_lines_of(draft.edges)))
    )
    key = [draft.edges, draft.book_difference, session.scalar(undone) or 0]
    return f"match:{content_hash(key)[:32]}"


def _line_problems(edges: Sequence[Edge], known: Mapping[str, BankLine]) -> list[Problem]:
    sums: dict[str, int] = defaultdict(int)
    for edge in edges:
        sums[edge.line_id] += edge.amount_fen
    problems = [] if edges else [Problem("核对", "没有选择流水和应收款", "请至少各选一项")]
    if any(edge.amount_fen <= 0 for edge in edges):
        problems.append(Problem("核对金额", "不大于零", "请填写大于零的金额"))
    for line_id, amount in sums.items():
        line = known.get(line_id)
        if line is None or line.state in {"ignored", "corrected"}:
            problems.append(Problem("银行流水", "没有这笔流水，或已作废", "请从待核对流水中选择"))
        elif amount > line.rest_fen:
            what = f"流水 {line.reference} 还可核对 {yuan(line.rest_fen)} 元，要核对 {yuan(amount)} 元"
            problems.append(Problem("银行流水", what, "请减少金额"))
    if len({line.division_code for line in known.values()}) > 1:
        problems.append(Problem("银行流水", "属于不同县的专户", "请分别核对"))
    return problems


def _owed_problems(session: Session, actor: Actor, edges: Sequence[Edge]) -> list[Problem]:
    sums: dict[tuple[str, str, Component], int] = defaultdict(int)
    for edge in edges:
        sums[(edge.station_id, edge.month, edge.component)] += edge.amount_fen
    problems = []
    for (station_id, month, component), amount in sums.items():
        place = station(session, actor, station_id)
        parts = None if place is None else open_parts(session, station_id, month, component)
        if place is None or parts is None:
            problems.append(Problem("应收款", f"辖区内没有 {month} 的这笔应收款", "请先导入该月结算单"))
        elif amount > sum(parts.values()):
            what = f"{place.name} {month} 还应收 {yuan(sum(parts.values()))} 元，要核对 {yuan(amount)} 元"
            problems.append(Problem("应收款", what, "请减少金额，或核对所属月份"))
    return problems


@dataclass(frozen=True, slots=True)
class _LeftOver:
    """A difference [fen] to be written: of a line (surplus), or of a receivable (shortfall)."""

    kind: str
    line: BankLine
    edge: Edge
    amount_fen: int


def _left_over(session: Session, draft: MatchDraft, lines: Sequence[BankLine]) -> _LeftOver | None:
    """Return what the match leaves over of the last line or receivable.

    Raises ProblemsError when it is more than the tolerance.
    """
    last = draft.edges[-1]
    line = next(one for one in lines if one.id == last.line_id)
    of_line = sum(one.rest_fen for one in lines) - sum(edge.amount_fen for edge in draft.edges)
    parts = open_parts(session, last.station_id, last.month, last.component) or {}
    paid = sum(edge.amount_fen for edge in draft.edges if _same_receivable(edge, last))
    short = sum(parts.values()) - paid
    allowed = tolerance_fen(session, line)
    amount, kind = (of_line, "surplus") if of_line else (short, "shortfall")
    if amount > allowed or (of_line and short):
        what = f"还差 {yuan(max(of_line, short))} 元，超出允许尾差 {yuan(allowed)} 元，或两边都有余额"
        raise ProblemsError([Problem("尾差", what, "请核对金额；超出尾差的不能入尾差账")])
    return _LeftOver(kind, line, last, amount) if amount else None


def _same_receivable(one: Edge, other: Edge) -> bool:
    mine = (one.station_id, one.month, one.component)
    return mine == (other.station_id, other.month, other.component)


def _write_edge(
    session: Session, actor: Actor, key: tuple[str, int], what: tuple[Edge, BankLine], now: datetime
) -> None:
    match_id, number = key
    edge, line = what
    parts = open_parts(session, edge.station_id, edge.month, edge.component) or {}
    villages = list(parts)
    amounts = split(edge.amount_fen, [parts[village] for village in villages], villages)
    receipt_id = f"receipt:{content_hash([match_id, number])[:32]}"
    new = NewReceipt(
        receipt_id,
        edge.station_id,
        edge.component,
        edge.month,
        edge.amount_fen,
        line.received_on,
        _free_reference(session, edge, line.reference),
        f"银行流水 {line.reference}（{line.source}）",
        dict(zip(villages, amounts, strict=True)),
    )
    write_receipt(session, actor, new, now)
    session.execute(
        insert(BankMatchItemRow),
        [
            {
                "match_id": match_id,
                "item_no": number,
                "bank_line_id": line.id,
                "receipt_id": receipt_id,
                "amount_fen": edge.amount_fen,
            }
        ],
    )


def _free_reference(session: Session, edge: Edge, reference: str) -> str:
    """Return the bank's reference, numbered where that receivable had a receipt of it before."""
    statement = select(func.count()).where(
        ReceiptRow.station_id == edge.station_id,
        ReceiptRow.component == edge.component.value,
        ReceiptRow.month == edge.month,
        ReceiptRow.amount_fen > 0,
        (ReceiptRow.bank_reference == reference) | ReceiptRow.bank_reference.startswith(f"{reference} 第"),
    )
    before = session.scalar(statement) or 0
    return f"{reference} 第{before + 1}次" if before else reference


def _write_difference(session: Session, actor: Actor, match_id: str, left: _LeftOver, now: datetime) -> None:
    of_line = left.kind == "surplus"
    difference_id = f"difference:{content_hash([match_id])[:32]}"
    session.add(
        BankDifferenceRow(
            id=difference_id,
            match_id=match_id,
            division_code=left.line.division_code,
            kind=left.kind,
            bank_line_id=left.line.id,
            station_id="" if of_line else left.edge.station_id,
            component="" if of_line else left.edge.component.value,
            month="" if of_line else left.edge.month,
            amount_fen=left.amount_fen,
            on=left.line.received_on,
            reverses=None,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    if not of_line:
        edge = left.edge
        rest = open_parts(session, edge.station_id, edge.month, edge.component) or {}
        _write_difference_shares(session, difference_id, rest)


def _write_difference_shares(session: Session, difference_id: str, parts: Mapping[str, int]) -> None:
    values = [
        {"difference_id": difference_id, "village_code": village, "amount_fen": amount}
        for village, amount in parts.items()
        if amount
    ]
    if values:
        session.execute(insert(BankDifferenceShareRow), values)


def unmatch(session: Session, actor: Actor, match_id: str, reason: str, now: datetime) -> Match:
    """Take a match back by negative receipts and differences, and return it; repeating changes nothing.

    Raises LookupError outside the area, ProblemsError without a reason. Whether a receipt was distributed
    already is asked by `distribution.receiving`.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    found = matches(session, actor, match_id=match_id)
    if not found:
        raise LookupError(f"辖区内没有核对 {match_id}")
    if found[0].undone:
        return found[0]
    if not reason.strip():
        raise ProblemsError([Problem("撤销核对", "没有写明原因", "请写明为什么撤销")])
    session.add(
        BankUnmatchRow(match_id=match_id, reason=reason.strip(), recorded_at=now, recorded_by=actor.user_id)
    )
    session.flush()
    for item in found[0].items:
        correct_receipt(session, actor, item.receipt_id, f"撤销核对：{reason}", now)
    for one in differences(session, actor, match_id=match_id):
        _take_back_difference(session, actor, one.id, now)
    audit.record(session, actor, audit.Entry("unmatch", "bank_match", match_id, reason=reason), now)
    return matches(session, actor, match_id=match_id)[0]


def _take_back_difference(session: Session, actor: Actor, difference_id: str, now: datetime) -> None:
    row = session.get_one(BankDifferenceRow, difference_id)
    negative = f"difference:{content_hash(['back', difference_id])[:32]}"
    session.add(
        BankDifferenceRow(
            id=negative,
            match_id=row.match_id,
            division_code=row.division_code,
            kind=row.kind,
            bank_line_id=row.bank_line_id,
            station_id=row.station_id,
            component=row.component,
            month=row.month,
            amount_fen=-row.amount_fen,
            on=row.on,
            reverses=row.id,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    shares = select(BankDifferenceShareRow).where(BankDifferenceShareRow.difference_id == difference_id)
    parts = {one.village_code: -one.amount_fen for one in session.scalars(shares)}
    _write_difference_shares(session, negative, parts)
