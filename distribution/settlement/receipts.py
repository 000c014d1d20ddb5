"""Bank receipts by account, component and month: read, placed, recorded once, corrected by a negative row.

Owns the receipt, whoever makes it: a list that already names accounts and months, or a match of bank lines.
A receipt is split over the villages in proportion to what each is still owed of that station, month and
component, so that nobody receives more than is owed and a month paid in full leaves nothing behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.orm import Session

from distribution.money import split, yuan
from distribution.settlement.bank.linking import lines_by_reference, link_receipts
from distribution.settlement.columns import Layout, RowReader, table_rows
from distribution.settlement.imports import (
    FileFacts,
    ImportResult,
    remember_file,
    stations_by_account,
    unknown_account,
)
from distribution.settlement.reads import (
    effective_settlement,
    receipts,
    receivable_parts,
    received_parts,
    written_off_parts,
)
from distribution.settlement.statements import sha256_of
from distribution.settlement.tables import ReceiptRow, ReceiptShareRow
from distribution.types import Component
from registry.actors import Actor, Permission
from registry.stations import Station
from store.canonical import content_hash
from store.problem import Problem, ProblemsError

REQUIRED = ("account_number", "component", "month", "amount", "received_on", "bank_reference")
COMPONENT_WORDS = {
    "电费": Component.ELECTRICITY,
    "上网电费": Component.ELECTRICITY,
    "补贴": Component.SUBSIDY,
    "国家补贴": Component.SUBSIDY,
    "财政补贴": Component.SUBSIDY,
    "地方补贴": Component.LOCAL_SUBSIDY,
}


@dataclass(frozen=True, slots=True)
class ReceiptFact:
    """A bank credit for one 户号, component and settlement month [fen]."""

    account_number: str
    component: Component
    month: str
    amount_fen: int
    received_on: date
    bank_reference: str
    place: str = "录入"


def read_receipts(
    source: Path | bytes, file_name: str, layout: Layout
) -> tuple[list[ReceiptFact], list[Problem]]:
    """Read a list of receipts from CSV or Excel; bad cells are problems, good rows are returned beside them.

    Raises FileRefusedError when the file cannot be opened as a table.
    """
    facts: list[ReceiptFact] = []
    problems: list[Problem] = []
    for reader in table_rows(source, file_name, layout, ("到账明细", REQUIRED)):
        fact = _receipt_fact(reader)
        problems += reader.problems
        facts += [] if reader.problems else [fact]
    return facts, problems


def _receipt_fact(reader: RowReader) -> ReceiptFact:
    word = reader.cell("component").text
    component = COMPONENT_WORDS.get(word)
    if component is None:
        reader.refuse("component", f"款项“{word}”不认识", f"请填 {'、'.join(COMPONENT_WORDS)} 之一")
    amount_fen = reader.fen("amount", "到账金额")
    if amount_fen <= 0:
        reader.refuse("amount", "到账金额不大于零", "退款请用“更正到账”登记")
    return ReceiptFact(
        reader.code("account_number", "户号"),
        component or Component.ELECTRICITY,
        reader.month("month", "所属月份"),
        amount_fen,
        reader.day("received_on", "到账日期"),
        reader.code("bank_reference", "银行流水号"),
        reader.place("amount"),
    )


def import_receipts(
    session: Session, actor: Actor, source: tuple[bytes, str, Layout], now: datetime, *, dry_run: bool = False
) -> ImportResult:
    """Read and record a list of receipts, given as (content, file name, layout); repeats change nothing."""
    content, name, layout = source
    facts, problems = read_receipts(content, name, layout)
    result = record_receipts(session, actor, facts, now, dry_run=dry_run)
    digest = sha256_of(content)
    if not dry_run:
        remember_file(session, actor, FileFacts(digest, name, "receipts", len(facts)), now)
    return ImportResult(
        name, digest, dry_run, result.added, (), result.unchanged, (*problems, *result.problems)
    )


def record_receipts(
    session: Session, actor: Actor, facts: list[ReceiptFact], now: datetime, *, dry_run: bool = False
) -> ImportResult:
    """Record bank credits; one that cannot be placed becomes a problem and stops no other."""
    actor.require(Permission.IMPORT_SETTLEMENT)
    known = stations_by_account(session, actor)
    lines = lines_by_reference(session, actor, {fact.bank_reference for fact in facts})
    rests = {reference: line.rest_fen for reference, line in lines.items()}
    added, unchanged, problems = [], [], []
    for fact in facts:
        place = known.get(fact.account_number)
        if place is None:
            problems.append(unknown_account(fact.place, fact.account_number))
            continue
        receipt_id = receipt_key(place.id, fact)
        present = session.get(ReceiptRow, receipt_id)
        if present is not None:
            same = (present.amount_fen, present.received_on) == (fact.amount_fen, fact.received_on)
            unchanged += [receipt_id] if same else []
            problems += [] if same else [_conflict(fact, present)]
            continue
        over = fact.amount_fen - rests.get(fact.bank_reference, fact.amount_fen)
        parts = _receipt_parts(session, place, fact) if over <= 0 else _over_line(fact, over)
        if isinstance(parts, Problem):
            problems.append(parts)
            continue
        added.append(receipt_id)
        if fact.bank_reference in rests:
            rests[fact.bank_reference] -= fact.amount_fen
        if not dry_run:
            new = NewReceipt(
                receipt_id,
                place.id,
                fact.component,
                fact.month,
                fact.amount_fen,
                fact.received_on,
                fact.bank_reference,
                fact.place,
                parts,
            )
            write_receipt(session, actor, new, now)
    if not dry_run and lines:
        link_receipts(session, actor, set(lines), now)
    return ImportResult("", "", dry_run, tuple(added), (), tuple(unchanged), tuple(problems))


def _over_line(fact: ReceiptFact, over_fen: int) -> Problem:
    what = f"流水号 {fact.bank_reference} 的银行流水已核对或不够，多 {yuan(over_fen)} 元"
    return Problem(fact.place, what, "请核对银行流水；已核对的先撤销核对")


def receipt_key(station_id: str, fact: ReceiptFact) -> str:
    """Return the id of a receipt: the bank's reference, station, component and month make it unique."""
    digest = content_hash([fact.bank_reference, station_id, fact.component, fact.month])
    return f"receipt:{digest[:32]}"


def _conflict(fact: ReceiptFact, present: ReceiptRow) -> Problem:
    return Problem(
        fact.place,
        f"流水号 {fact.bank_reference} 已登记为 {present.received_on} 到账 {yuan(present.amount_fen)} 元，"
        f"与本次 {fact.received_on} {yuan(fact.amount_fen)} 元不同",
        "请核对银行流水；登记有误请用“更正到账”",
    )


def open_parts(session: Session, station_id: str, month: str, component: Component) -> dict[str, int] | None:
    """Return what each village is still owed [fen] of a bill's component; None without a bill; unscoped."""
    settlement = effective_settlement(session, station_id, month)
    if settlement is None:
        return None
    owed = receivable_parts(session, settlement.id).get(component, {})
    had = received_parts(session, station_id, month).get(component, {})
    lost = written_off_parts(session, station_id, month).get(component, {})
    return {village: amount - had.get(village, 0) - lost.get(village, 0) for village, amount in owed.items()}


def _receipt_parts(session: Session, place: Station, fact: ReceiptFact) -> dict[str, int] | Problem:
    """Split a receipt by what each village is still owed, or say why it cannot be placed."""
    rest = open_parts(session, place.id, fact.month, fact.component)
    if rest is None:
        return Problem(
            fact.place, f"{place.name} 没有 {fact.month} 的结算单，到账无从核对", "请先导入该月结算单"
        )
    total = sum(rest.values())
    if fact.amount_fen > total:
        return Problem(
            fact.place,
            f"{place.name} {fact.month} 该款项还应收 {yuan(total)} 元，到账 {yuan(fact.amount_fen)} 元，"
            f"多 {yuan(fact.amount_fen - total)} 元",
            "请核对所属月份；结算单有修订请先导入",
        )
    villages = list(rest)
    amounts = split(fact.amount_fen, [rest[village] for village in villages], villages)
    return dict(zip(villages, amounts, strict=True))


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """A receipt as it is to be written: its row's values, and each village's part [fen]."""

    id: str
    station_id: str
    component: Component
    month: str
    amount_fen: int
    received_on: date
    bank_reference: str
    source: str
    parts: Mapping[str, int]
    corrects: str | None = None


def write_receipt(session: Session, actor: Actor, new: NewReceipt, now: datetime) -> None:
    """Write a receipt and its parts; whether it fits was judged before, and is judged by the database too."""
    values = {one.name: getattr(new, one.name) for one in fields(new) if one.name != "parts"}
    values["component"] = new.component.value
    session.add(ReceiptRow(**values, recorded_at=now, recorded_by=actor.user_id))
    session.flush()
    parts = [
        {"receipt_id": new.id, "village_code": village, "amount_fen": amount}
        for village, amount in new.parts.items()
        if amount
    ]
    session.execute(insert(ReceiptShareRow), parts)


def correct_receipt(session: Session, actor: Actor, receipt_id: str, reason: str, now: datetime) -> str:
    """Take a receipt back by a negative row that names it; returns the new row's id, the same when repeated.

    Raises ProblemsError without a reason or for a receipt outside the area. The right one is recorded anew.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    found = receipts(session, actor, ids=(receipt_id,))
    if not found or found[0].amount_fen < 0 or not reason.strip():
        raise ProblemsError([Problem("更正到账", "没有这笔到账，或没有写明原因", "请从列表中选择并写明原因")])
    old = found[0]
    correction_id = f"receipt:{content_hash(['correction', receipt_id])[:32]}"
    if session.get(ReceiptRow, correction_id) is None:
        negative = NewReceipt(
            correction_id,
            old.station_id,
            old.component,
            old.month,
            -old.amount_fen,
            old.received_on,
            f"{old.bank_reference} 冲正 {receipt_id[-6:]}",
            f"更正：{reason.strip()}",
            {village: -amount for village, amount in old.shares},
            receipt_id,
        )
        write_receipt(session, actor, negative, now)
    return correction_id
