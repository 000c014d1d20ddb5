"""Taking an imported statement back, and what a revision changed line by line.

Owns that nothing disappears: taking a file back writes, for each bill that it brought and that still
holds, a next revision that says what the bill before it said, or nothing. The ledger reverses the accrual
of the revision that no longer holds, as it does for every revision.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.money import yuan
from distribution.settlement.intake.facts import Known
from distribution.settlement.intake.tables import SettlementDetailRow, StatementUndoRow
from distribution.settlement.intake.writing import (
    Bill,
    BillLine,
    settlement_hash,
    settlement_totals,
    village_parts,
    write_bills,
)
from distribution.settlement.reads import detail_of, has_lines, line_of
from distribution.settlement.tables import SettlementLineRow, SettlementRow, StatementFileRow
from distribution.types import LineDetail, Settlement, SettlementLine
from registry import audit
from registry.actors import Actor, Permission
from registry.stations import Station, StationRow, station_in_area, stations
from store.db import new_id
from store.problem import Problem, ProblemsError

KIND = "statement"
_STATIONS_AT_ONCE = 200
_SHOWN: dict[str, str] = {
    "meter_number": "电表编号",
    "meter_multiplier": "倍率",
    "previous_reading": "上次示数",
    "current_reading": "本次示数",
    "exported_energy_wh": "上网电量（千瓦时）",
    "electricity_price": "上网电价",
    "electricity_fen": "上网电费（元）",
    "subsidy_price": "补贴单价",
    "subsidy_fen": "补贴金额（元）",
    "local_subsidy_fen": "地方补贴（元）",
    "tax_fen": "代扣税（元）",
    "adjustment_fen": "调整金额（元）",
    "tariff_window": "电价时段",
    "invoice_number": "发票号码",
    "invoice_state": "发票状态",
    "payee": "收款单位",
    "previous_read_on": "上次抄表日期",
    "current_read_on": "本次抄表日期",
    "adjustment_reason": "调整原因",
}


_TAKEN_BACK = "撤销："


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A statement file that was taken in: how many bills it brought, how many still hold, and its undo."""

    sha256: str
    name: str
    layout: str
    row_count: int
    recorded_at: datetime
    bill_count: int
    holding_count: int
    undone_at: datetime | None
    undo_reason: str


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What taking a file back did: new revisions by id, bills left as they are with why, and the months."""

    undone: tuple[str, ...]
    problems: tuple[Problem, ...]
    months: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LineChange:
    """One field of one line that a revision changed: before and after as text."""

    line: str
    label: str
    before: str
    after: str


def imported_files(session: Session, actor: Actor) -> tuple[ImportedFile, ...]:
    """Return the statement files that brought bills for the actor's stations, newest first."""
    actor.require(Permission.VIEW_MONEY)
    brought: dict[str, list[bool]] = defaultdict(list)
    for row, holds in _brought(session, actor):
        brought[row.file_sha256].append(holds)
    undone = {
        row.sha256: row
        for row in session.scalars(select(StatementUndoRow).order_by(StatementUndoRow.recorded_at))
    }
    statement = select(StatementFileRow).where(StatementFileRow.kind == KIND)
    order = (StatementFileRow.recorded_at.desc(), StatementFileRow.sha256)
    return tuple(
        ImportedFile(
            row.sha256,
            row.name,
            row.layout,
            row.row_count,
            row.recorded_at,
            len(brought[row.sha256]),
            sum(brought[row.sha256]),
            None if row.sha256 not in undone else undone[row.sha256].recorded_at,
            "" if row.sha256 not in undone else undone[row.sha256].reason,
        )
        for row in session.scalars(statement.order_by(*order))
        if row.sha256 in brought
    )


def _brought(session: Session, actor: Actor, sha256: str = "") -> list[tuple[SettlementRow, bool]]:
    """Return the bills of the actor's stations that say something, each with whether it holds."""
    statement = (
        select(SettlementRow, has_lines())
        .join(StationRow, StationRow.id == SettlementRow.station_id)
        .where(station_in_area(actor))
        .order_by(SettlementRow.station_id, SettlementRow.month, SettlementRow.revision)
    )
    if sha256:
        touched = select(SettlementRow.station_id).where(SettlementRow.file_sha256 == sha256)
        statement = statement.where(SettlementRow.station_id.in_(touched))
    rows = session.execute(statement).all()
    last = {(row.station_id, row.month): row.id for row, _ in rows}
    return [
        (row, last[row.station_id, row.month] == row.id)
        for row, billed in rows
        if billed and (not sha256 or row.file_sha256 == sha256)
    ]


def undo_statement(session: Session, actor: Actor, sha256: str, reason: str, now: datetime) -> UndoResult:
    """Take the bills of an imported file back; each by a next revision, so that nothing is lost.

    A bill that a later file has revised stays, and one whose money has arrived too; both are reported.
    Raises LookupError for a file that brought nothing to the actor's area, ProblemsError without a reason.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    if not reason.strip():
        raise ProblemsError([Problem("撤销", "没有写明原因", "写明为什么撤销")])
    brought = _brought(session, actor, sha256)
    if not brought:
        raise LookupError(f"辖区内没有由文件 {sha256[:12]} 导入的结算单")
    places = {one.id: one for one in stations(session, actor)}
    undone: list[Bill] = []
    problems = [_revised_since(places[row.station_id], row) for row, holds in brought if not holds]
    standing = [row for row, holds in brought if holds]
    for start in range(0, len(standing), _STATIONS_AT_ONCE):
        bills, refused = _reverted(session, standing[start : start + _STATIONS_AT_ONCE], places, reason)
        write_bills(session, actor, bills, now)
        undone += bills
        problems += refused
    if undone:
        _record(session, actor, (sha256, reason.strip(), len(undone)), now)
    months = tuple(sorted({bill.month for bill in undone}))
    return UndoResult(tuple(bill.id for bill in undone), tuple(problems), months)


def _revised_since(place: Station, row: SettlementRow) -> Problem:
    return Problem(
        f"{place.name} {row.month}",
        f"第 {row.revision} 版之后已有新的版本，撤销不动它",
        "要改的话，请导入更正后的结算单",
    )


def _reverted(
    session: Session, rows: Sequence[SettlementRow], places: dict[str, Station], reason: str
) -> tuple[list[Bill], list[Problem]]:
    known = Known(session, [row.station_id for row in rows], {row.month for row in rows})
    bills, problems = [], []
    for row in rows:
        place = places[row.station_id]
        before = _before(session, row)
        lines = () if before is None else _bill_lines(session, before.id)
        totals = settlement_totals(one.line for one in lines)
        if any(known.received_fen(place.id, row.month, one) > max(total, 0) for one, total in totals.items()):
            problems.append(
                Problem(f"{place.name} {row.month}", "这笔钱已经到账，不能撤销", "请先更正到账记录，再撤销")
            )
            continue
        present = known.present[place.id, row.month]
        parts = village_parts(known.owners(place, row.month), totals, known.parts_before(present))
        source = f"{_TAKEN_BACK}{reason.strip()}" + (
            "" if before is None else f"，恢复第 {before.revision} 版"
        )
        sha256 = row.file_sha256 if before is None else before.file_sha256
        said = [one.line for one in lines], [one.detail for one in lines]
        digest = settlement_hash(place.id, row.month, *said)
        bills.append(Bill(place.id, row.month, row.revision + 1, lines, source, sha256, parts, digest))
    return bills, problems


def _before(session: Session, row: SettlementRow) -> SettlementRow | None:
    """Return the bill that held before the one that holds now; None where there was none.

    An undo takes away what it took back: of the bills that are left, the one before the last is meant.
    """
    statement = select(SettlementRow).where(
        SettlementRow.station_id == row.station_id,
        SettlementRow.month == row.month,
        SettlementRow.revision <= row.revision,
    )
    left: list[SettlementRow] = []
    for one in session.scalars(statement.order_by(SettlementRow.revision)):
        if one.source.startswith(_TAKEN_BACK):
            left.pop()
        else:
            left.append(one)
    return left[-2] if len(left) > 1 else None


def _bill_lines(session: Session, settlement_id: str) -> tuple[BillLine, ...]:
    statement = select(SettlementLineRow).where(SettlementLineRow.settlement_id == settlement_id)
    details = {
        row.line_no: detail_of(row)
        for row in session.scalars(
            select(SettlementDetailRow).where(SettlementDetailRow.settlement_id == settlement_id)
        )
    }
    return tuple(
        BillLine(line_of(row), details.get(row.line_no, LineDetail()), row.place)
        for row in session.scalars(statement.order_by(SettlementLineRow.line_no))
    )


def _record(session: Session, actor: Actor, done: tuple[str, str, int], now: datetime) -> None:
    sha256, reason, count = done
    file = session.get(StatementFileRow, (sha256, KIND))
    row = StatementUndoRow(
        id=new_id("undo"),
        sha256=sha256,
        file_name="" if file is None else file.name,
        reason=reason,
        settlement_count=count,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("undo", "statement", sha256, after=f"{count}：{reason}"), now)


def revision_changes(before: Settlement, after: Settlement) -> tuple[LineChange, ...]:
    """Return what a revision changed, line by line and field by field; lines are matched by their order."""
    found: list[LineChange] = []
    for number in range(max(len(before.lines), len(after.lines))):
        old, new = (one.lines[number] if number < len(one.lines) else None for one in (before, after))
        name = f"第 {number + 1} 行"
        if old is None or new is None:
            found.append(_whole(name, old, new))
            continue
        found += _changed(name, old, new)
        old_said, new_said = (_detail_at(one, number) for one in (before, after))
        found += _changed(name, old_said, new_said)
    return tuple(found)


def _whole(name: str, old: SettlementLine | None, new: SettlementLine | None) -> LineChange:
    return LineChange(
        name,
        "整行",
        "—" if old is None else f"{_text('exported_energy_wh', old)} 千瓦时，{yuan(old.electricity_fen)} 元",
        "—" if new is None else f"{_text('exported_energy_wh', new)} 千瓦时，{yuan(new.electricity_fen)} 元",
    )


def _detail_at(bill: Settlement, number: int) -> LineDetail:
    return bill.details[number] if number < len(bill.details) else LineDetail()


def _changed(
    name: str, old: SettlementLine | LineDetail, new: SettlementLine | LineDetail
) -> list[LineChange]:
    return [
        LineChange(name, _SHOWN[one.name], _text(one.name, old), _text(one.name, new))
        for one in fields(old)
        if one.name in _SHOWN and getattr(old, one.name) != getattr(new, one.name)
    ]


def _text(name: str, record: SettlementLine | LineDetail) -> str:
    value = getattr(record, name)
    if name.endswith("_fen"):
        return yuan(value)
    if name.endswith("_wh"):
        return f"{Decimal(value) / 1_000:f}"
    return "—" if value in (None, "") else str(value)
