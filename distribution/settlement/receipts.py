"""Money facts that people bring: bank receipts, costs with vouchers, remittances to villages.

Owns how these facts are recorded, once each. A receipt is split over the villages in proportion to what
each is still owed of that station, month and component, so that nobody receives more than is owed and a
month paid in full leaves nothing behind.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from distribution.money import split, yuan
from distribution.settlement.columns import Layout, RowReader, find_heading
from distribution.settlement.imports import (
    FileFacts,
    ImportResult,
    remember_file,
    stations_by_account,
    unknown_account,
)
from distribution.settlement.reads import effective_settlement, receivable_parts, received_parts
from distribution.settlement.statements import sha256_of
from distribution.settlement.tables import CostRow, ReceiptRow, ReceiptShareRow, RemittanceRow
from distribution.types import Component
from documents.cells import CellKind
from documents.reading import FileRefusedError, read_sheets
from registry.actors import Actor, Permission
from registry.stations import Station, shares, station
from store.canonical import content_hash
from store.periods import Period
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


@dataclass(frozen=True, slots=True)
class CostFact:
    """A cost [fen] of a village, or of a station and then split over its villages, with its voucher.

    `kind` is a name of the plan (`maintenance`, `land_rent`, `insurance` …); `voucher` names the document
    or the SHA-256 of its photo.
    """

    month: str
    kind: str
    text: str
    amount_fen: int
    incurred_on: date
    voucher: str
    village_code: str = ""
    station_id: str = ""
    paid_on: date | None = None


@dataclass(frozen=True, slots=True)
class RemittanceFact:
    """Money passed on from the county's account to a village's [fen], with the bank's reference."""

    village_code: str
    amount_fen: int
    remitted_on: date
    bank_reference: str


def read_receipts(
    source: Path | bytes, file_name: str, layout: Layout
) -> tuple[list[ReceiptFact], list[Problem]]:
    """Read a list of receipts from CSV or Excel; bad cells are problems, good rows are returned beside them.

    Raises FileRefusedError when the file cannot be opened as a table.
    """
    facts: list[ReceiptFact] = []
    problems: list[Problem] = []
    found = False
    for sheet in read_sheets(source, file_name):
        heading = find_heading(sheet, layout, REQUIRED)
        if heading is None:
            continue
        found = True
        for index in range(heading.row + 1, len(sheet.rows)):
            filled = [cell for cell in sheet.rows[index] if cell.kind is not CellKind.EMPTY]
            if filled and not filled[0].text.startswith(("合计", "总计", "小计")):
                reader = RowReader(sheet, heading, index, file_name)
                fact = _receipt_fact(reader)
                problems += reader.problems
                facts += [] if reader.problems else [fact]
    if not found:
        raise FileRefusedError(
            file_name,
            "没有找到到账明细的表头（" + "、".join(layout.columns[field][0] for field in REQUIRED) + "）",
            "请使用模板，或另存一份列名对照",
        )
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
        parts = _receipt_parts(session, place, fact)
        if isinstance(parts, Problem):
            problems.append(parts)
            continue
        added.append(receipt_id)
        if not dry_run:
            _write_receipt(session, actor, (receipt_id, place, fact, parts), now)
    return ImportResult("", "", dry_run, tuple(added), (), tuple(unchanged), tuple(problems))


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


def _receipt_parts(session: Session, place: Station, fact: ReceiptFact) -> dict[str, int] | Problem:
    """Split a receipt by what each village is still owed, or say why it cannot be placed."""
    settlement = effective_settlement(session, place.id, fact.month)
    if settlement is None:
        return Problem(
            fact.place, f"{place.name} 没有 {fact.month} 的结算单，到账无从核对", "请先导入该月结算单"
        )
    owed = receivable_parts(session, settlement.id).get(fact.component, {})
    had = received_parts(session, place.id, fact.month).get(fact.component, {})
    rest = {village: amount - had.get(village, 0) for village, amount in owed.items()}
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


def _write_receipt(
    session: Session, actor: Actor, what: tuple[str, Station, ReceiptFact, dict[str, int]], now: datetime
) -> None:
    receipt_id, place, fact, parts = what
    session.add(
        ReceiptRow(
            id=receipt_id,
            station_id=place.id,
            component=fact.component.value,
            month=fact.month,
            amount_fen=fact.amount_fen,
            received_on=fact.received_on,
            bank_reference=fact.bank_reference,
            source=fact.place,
            corrects=None,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    values = [
        {"receipt_id": receipt_id, "village_code": village, "amount_fen": amount}
        for village, amount in parts.items()
        if amount
    ]
    session.execute(insert(ReceiptShareRow), values)


def record_cost(session: Session, actor: Actor, fact: CostFact, now: datetime) -> tuple[str, ...]:
    """Record a cost and return its ids, one per village; the same voucher, month and kind only once.

    Raises ProblemsError when it names no village of the actor's area, has no voucher or no amount.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    parts = _cost_parts(session, actor, fact)
    ids = []
    for village, amount in parts.items():
        key = content_hash([village, fact.month, fact.kind, fact.voucher, fact.station_id])[:32]
        ids.append(f"cost:{key}")
        if amount and session.get(CostRow, ids[-1]) is None:
            session.add(
                CostRow(
                    id=ids[-1],
                    village_code=village,
                    month=fact.month,
                    kind=fact.kind,
                    text=fact.text,
                    amount_fen=amount,
                    incurred_on=fact.incurred_on,
                    paid_on=fact.paid_on,
                    voucher=fact.voucher,
                    station_id=fact.station_id,
                    corrects=None,
                    recorded_at=now,
                    recorded_by=actor.user_id,
                )
            )
    session.flush()
    return tuple(ids)


def _cost_parts(session: Session, actor: Actor, fact: CostFact) -> dict[str, int]:
    problems = []
    if fact.amount_fen <= 0:
        problems.append(Problem("费用金额", "须大于零", "请填写凭证上的金额"))
    if not fact.voucher:
        problems.append(Problem("费用凭证", "没有凭证", "请上传发票或收据的照片，或填写凭证号"))
    if fact.station_id:
        place = station(session, actor, fact.station_id)
        owners = () if place is None else shares(session, place.id, Period.parse(fact.month).start)
        villages = [owner.village_code for owner in owners]
        weights = [owner.weight for owner in owners]
    else:
        villages, weights = ([fact.village_code], [1]) if actor.covers(fact.village_code) else ([], [])
    if not villages or not villages[0]:
        problems.append(Problem("费用归属", "没有您辖区内的村或电站", "请选择村或电站"))
    if problems:
        raise ProblemsError(problems)
    return dict(zip(villages, split(fact.amount_fen, weights, villages), strict=True))


def record_remittance(session: Session, actor: Actor, fact: RemittanceFact, now: datetime) -> str:
    """Record money passed on to a village and return its id; the same bank reference only once.

    Raises ProblemsError for a village outside the area, or the same reference with another amount.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    village, amount_fen, reference = fact.village_code, fact.amount_fen, fact.bank_reference
    if not actor.covers(village) or amount_fen <= 0 or not reference:
        raise ProblemsError([Problem("拨付", "村、金额或流水号不完整", "请填写辖区内的村、金额和银行流水号")])
    statement = select(RemittanceRow).where(
        RemittanceRow.village_code == village, RemittanceRow.bank_reference == reference
    )
    present = session.scalar(statement)
    if present is not None:
        if present.amount_fen != amount_fen:
            raise ProblemsError(
                [
                    Problem(
                        "拨付", f"流水号 {reference} 已登记为 {yuan(present.amount_fen)} 元", "请核对流水号"
                    )
                ]
            )
        return present.id
    remittance_id = f"remittance:{content_hash([village, reference])[:32]}"
    session.add(
        RemittanceRow(
            id=remittance_id,
            village_code=village,
            amount_fen=amount_fen,
            remitted_on=fact.remitted_on,
            bank_reference=reference,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    return remittance_id


__all__ = [
    "CostFact",
    "ReceiptFact",
    "RemittanceFact",
    "import_receipts",
    "read_receipts",
    "record_cost",
    "record_receipts",
    "record_remittance",
]
