"""What settlement knows, read within the actor's area.

Owns the queries over settlements (always the latest revision), receivables, receipts, costs and
remittances. A village sees a joint station's figures as its own part.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from distribution.settlement.bank.tables import BankDifferenceRow, BankDifferenceShareRow
from distribution.settlement.intake.tables import SettlementDetailRow
from distribution.settlement.tables import (
    CostRow,
    ReceiptRow,
    ReceiptShareRow,
    ReceivableRow,
    RemittanceRow,
    SettlementLineRow,
    SettlementRow,
)
from distribution.types import Component, LineDetail, Receivable, Settlement, SettlementLine
from registry.actors import Actor, Permission, in_area, scope
from registry.stations import StationRow, station_in_area

_LINE_FIELDS = len(fields(SettlementLine))
_EXACT_PLACES = [n for n, one in enumerate(fields(SettlementLine)) if one.type is Decimal]
NO_DETAIL = LineDetail()


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that arrived [fen] for a station, component and settlement month; `shares` are the villages'.

    A correction is negative and names the receipt that it takes back.
    """

    id: str
    station_id: str
    component: Component
    month: str
    amount_fen: int
    received_on: date
    bank_reference: str
    source: str
    shares: tuple[tuple[str, int], ...]
    corrects: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost of a village and month [fen]; `paid_on` is None until the bank has paid it.

    A correction is negative and names the cost that it takes back.
    """

    id: str
    village_code: str
    month: str
    kind: str
    text: str
    amount_fen: int
    incurred_on: date
    paid_on: date | None
    voucher: str
    station_id: str
    corrects: str = ""


@dataclass(frozen=True, slots=True)
class Remittance:
    """Money passed on from the county's account to a village's [fen]."""

    id: str
    village_code: str
    amount_fen: int
    remitted_on: date
    bank_reference: str


@dataclass(frozen=True, slots=True)
class VillageBill:
    """A village's part [fen] of a bill, by component."""

    settlement_id: str
    station_id: str
    month: str
    revision: int
    parts: tuple[tuple[Component, int], ...]


def effective_settlement(session: Session, station_id: str, month: str) -> SettlementRow | None:
    """Return the latest revision for a station and month, or None; unscoped, for the rooms' own use."""
    statement = select(SettlementRow).where(
        SettlementRow.station_id == station_id, SettlementRow.month == month
    )
    return session.scalar(statement.order_by(SettlementRow.revision.desc()).limit(1))


def settlements(
    session: Session,
    actor: Actor,
    *,
    month: str = "",
    station_id: str = "",
    station_ids: Collection[str] | None = None,
) -> tuple[Settlement, ...]:
    """Return the latest revisions of the actor's stations, or of those named, by month and station."""
    actor.require(Permission.VIEW_MONEY)
    newest = (
        select(SettlementRow.station_id, SettlementRow.month, func.max(SettlementRow.revision).label("last"))
        .group_by(SettlementRow.station_id, SettlementRow.month)
        .subquery()
    )
    statement = (
        select(SettlementRow)
        .join(StationRow, StationRow.id == SettlementRow.station_id)
        .join(
            newest,
            (newest.c.station_id == SettlementRow.station_id)
            & (newest.c.month == SettlementRow.month)
            & (newest.c.last == SettlementRow.revision),
        )
        .where(station_in_area(actor), has_lines())
    )
    if station_ids is not None:
        statement = statement.where(SettlementRow.station_id.in_(station_ids))
    return _settlements(session, statement, month, station_id)


def has_lines() -> ColumnElement[bool]:
    """Return the condition on `SettlementRow` that the bill was not taken back."""
    return exists().where(SettlementLineRow.settlement_id == SettlementRow.id)


def billed_energy(session: Session, station_ids: Collection[str], month: str) -> dict[str, int]:
    """Return the exported energy [Wh] of the stations that have a bill for a month; unscoped.

    A later revision replaces the earlier one; a bill that was taken back counts as none.
    """
    columns = (SettlementRow.station_id, SettlementRow.exported_energy_wh, has_lines())
    statement = select(*columns).where(
        SettlementRow.month == month, SettlementRow.station_id.in_(station_ids)
    )
    rows = session.execute(statement.order_by(SettlementRow.revision)).all()
    last = {station_id: energy if billed else None for station_id, energy, billed in rows}
    return {station_id: energy for station_id, energy in last.items() if energy is not None}


def village_bills(session: Session, village_code: str) -> tuple[VillageBill, ...]:
    """Return a village's part in the latest revision of each bill, by month and station; unscoped."""
    statement = (
        select(SettlementRow, ReceivableRow.component, ReceivableRow.amount_fen)
        .join(ReceivableRow, ReceivableRow.settlement_id == SettlementRow.id)
        .where(ReceivableRow.village_code == village_code)
        .order_by(SettlementRow.month, SettlementRow.station_id, SettlementRow.revision)
    )
    parts: dict[tuple[str, str], tuple[SettlementRow, dict[Component, int]]] = {}
    for row, component, amount in session.execute(statement):
        held = parts.get((row.station_id, row.month))
        if held is None or held[0].revision != row.revision:
            held = parts[(row.station_id, row.month)] = (row, {})
        held[1][Component(component)] = amount
    return tuple(
        VillageBill(row.id, row.station_id, row.month, row.revision, tuple(amounts.items()))
        for row, amounts in parts.values()
    )


def revisions(session: Session, actor: Actor, station_id: str, month: str) -> tuple[Settlement, ...]:
    """Return every revision of a station's month, oldest first, within the actor's area."""
    actor.require(Permission.VIEW_MONEY)
    statement = (
        select(SettlementRow)
        .join(StationRow, StationRow.id == SettlementRow.station_id)
        .where(station_in_area(actor))
    )
    return _settlements(session, statement, month, station_id)


def _settlements(
    session: Session, statement: Select[Any], month: str, station_id: str
) -> tuple[Settlement, ...]:
    query = statement
    if month:
        query = query.where(SettlementRow.month == month)
    if station_id:
        query = query.where(SettlementRow.station_id == station_id)
    order = (SettlementRow.month, SettlementRow.station_id, SettlementRow.revision)
    columns = (
        SettlementRow.id,
        SettlementRow.station_id,
        SettlementRow.month,
        SettlementRow.revision,
        SettlementRow.electricity_fen,
        SettlementRow.subsidy_fen,
        SettlementRow.local_subsidy_fen,
        SettlementRow.exported_energy_wh,
        SettlementRow.source,
    )
    rows = session.execute(query.order_by(*order).with_only_columns(*columns)).all()
    lines, details = _lines(session, [row.id for row in rows])
    return tuple(
        Settlement(
            row.id,
            row.station_id,
            row.month,
            row.revision,
            lines[row.id],
            row.electricity_fen,
            row.subsidy_fen,
            row.local_subsidy_fen,
            row.exported_energy_wh,
            row.source,
            details[row.id],
        )
        for row in rows
    )


def _lines(
    session: Session, ids: Sequence[str]
) -> tuple[dict[str, tuple[SettlementLine, ...]], dict[str, tuple[LineDetail, ...]]]:
    """Return the lines of bills, and of each line what stands beside its amounts."""
    lines: dict[str, tuple[SettlementLine, ...]] = dict.fromkeys(ids, ())
    details: dict[str, tuple[LineDetail, ...]] = dict.fromkeys(ids, ())
    same = (SettlementDetailRow.settlement_id == SettlementLineRow.settlement_id) & (
        SettlementDetailRow.line_no == SettlementLineRow.line_no
    )
    columns = [SettlementLineRow.settlement_id, SettlementDetailRow.settlement_id]
    columns += [getattr(SettlementLineRow, one.name) for one in fields(SettlementLine)]
    columns += [getattr(SettlementDetailRow, one.name) for one in fields(LineDetail)]
    for start in range(0, len(ids), 5_000):
        statement = (
            select(*columns)
            .outerjoin(SettlementDetailRow, same)
            .where(SettlementLineRow.settlement_id.in_(ids[start : start + 5_000]))
        )
        order = (SettlementLineRow.settlement_id, SettlementLineRow.line_no)
        for settlement_id, detailed, *values in session.execute(statement.order_by(*order)):
            lines[settlement_id] += (_line(values[:_LINE_FIELDS]),)
            details[settlement_id] += (LineDetail(*values[_LINE_FIELDS:]) if detailed else NO_DETAIL,)
    return lines, details


def _line(values: Sequence[Any]) -> SettlementLine:
    """Return a line from its columns in the order of the record; exact figures are kept as text."""
    exact = list(values)
    for place in _EXACT_PLACES:
        exact[place] = Decimal(exact[place])
    return SettlementLine(*exact)


def detail_of(row: SettlementDetailRow) -> LineDetail:
    """Return what stands beside the amounts of a stored line."""
    return LineDetail(
        row.invoice_number,
        row.invoice_state,
        row.payee,
        row.previous_read_on,
        row.current_read_on,
        row.adjustment_reason,
    )


def line_of(row: SettlementLineRow) -> SettlementLine:
    """Return a stored line of a bill as the record that was hashed."""
    return _line([getattr(row, one.name) for one in fields(SettlementLine)])


def receivable_parts(session: Session, settlement_id: str) -> dict[Component, dict[str, int]]:
    """Return the villages' parts [fen] of each component of a settlement; unscoped."""
    parts: dict[Component, dict[str, int]] = defaultdict(dict)
    statement = select(ReceivableRow).where(ReceivableRow.settlement_id == settlement_id)
    for row in session.scalars(statement.order_by(ReceivableRow.component, ReceivableRow.village_code)):
        parts[Component(row.component)][row.village_code] = row.amount_fen
    return dict(parts)


def received_parts(session: Session, station_id: str, month: str) -> dict[Component, dict[str, int]]:
    """Return what each village has received [fen] of a station's month, by component; unscoped."""
    parts: dict[Component, dict[str, int]] = defaultdict(dict)
    statement = (
        select(ReceiptRow.component, ReceiptShareRow.village_code, func.sum(ReceiptShareRow.amount_fen))
        .join(ReceiptShareRow, ReceiptShareRow.receipt_id == ReceiptRow.id)
        .where(ReceiptRow.station_id == station_id, ReceiptRow.month == month)
        .group_by(ReceiptRow.component, ReceiptShareRow.village_code)
    )
    for component, village, amount in session.execute(statement):
        parts[Component(component)][village] = int(amount)
    return dict(parts)


def written_off_parts(session: Session, station_id: str, month: str) -> dict[Component, dict[str, int]]:
    """Return what each village lost [fen] of a station's month within tolerance, by component; unscoped."""
    parts: dict[Component, dict[str, int]] = defaultdict(dict)
    keys = (BankDifferenceRow.component, BankDifferenceShareRow.village_code)
    statement = (
        select(*keys, func.sum(BankDifferenceShareRow.amount_fen))
        .join(BankDifferenceShareRow, BankDifferenceShareRow.difference_id == BankDifferenceRow.id)
        .where(BankDifferenceRow.station_id == station_id, BankDifferenceRow.month == month)
        .group_by(*keys)
    )
    for component, village, amount in session.execute(statement):
        parts[Component(component)][village] = int(amount)
    return dict(parts)


def outstanding(session: Session, actor: Actor, village_code: str, until: str) -> tuple[Receivable, ...]:
    """Return what a village is still owed of months up to and with `until`, by station and component."""
    actor.require(Permission.VIEW_MONEY)
    if not actor.covers(village_code):
        return ()
    newest = (
        select(SettlementRow.station_id, SettlementRow.month, func.max(SettlementRow.revision).label("last"))
        .group_by(SettlementRow.station_id, SettlementRow.month)
        .subquery()
    )
    owed = (
        select(SettlementRow, ReceivableRow.component, ReceivableRow.amount_fen)
        .join(ReceivableRow, ReceivableRow.settlement_id == SettlementRow.id)
        .join(
            newest,
            (newest.c.station_id == SettlementRow.station_id)
            & (newest.c.month == SettlementRow.month)
            & (newest.c.last == SettlementRow.revision),
        )
        .where(ReceivableRow.village_code == village_code, SettlementRow.month <= until)
        .order_by(SettlementRow.month, SettlementRow.station_id, ReceivableRow.component)
    )
    received = _received_by_village(session, village_code)
    lost = _written_off_by_village(session, village_code)
    parts = []
    for row, component, amount in session.execute(owed):
        key = (row.station_id, row.month, component)
        rest = amount - received.get(key, 0) - lost.get(key, 0)
        if rest:
            parts.append(Receivable(Component(component), rest, row.month, row.id, row.station_id))
    return tuple(parts)


def _received_by_village(session: Session, village_code: str) -> dict[tuple[str, str, str], int]:
    keys = (ReceiptRow.station_id, ReceiptRow.month, ReceiptRow.component)
    statement = (
        select(*keys, func.sum(ReceiptShareRow.amount_fen))
        .join(ReceiptShareRow, ReceiptShareRow.receipt_id == ReceiptRow.id)
        .where(ReceiptShareRow.village_code == village_code)
        .group_by(*keys)
    )
    return {(row[0], row[1], row[2]): int(row[3]) for row in session.execute(statement)}


def _written_off_by_village(session: Session, village_code: str) -> dict[tuple[str, str, str], int]:
    keys = (BankDifferenceRow.station_id, BankDifferenceRow.month, BankDifferenceRow.component)
    statement = (
        select(*keys, func.sum(BankDifferenceShareRow.amount_fen))
        .join(BankDifferenceShareRow, BankDifferenceShareRow.difference_id == BankDifferenceRow.id)
        .where(BankDifferenceShareRow.village_code == village_code)
        .group_by(*keys)
    )
    return {(row[0], row[1], row[2]): int(row[3]) for row in session.execute(statement)}


def receipts(  # noqa: PLR0913, each filter may be left out
    session: Session,
    actor: Actor,
    *,
    village_code: str = "",
    station_id: str = "",
    ids: Sequence[str] = (),
    month: str = "",
) -> tuple[Receipt, ...]:
    """Return receipts of the actor's stations in order of arrival, of one village, station or month."""
    actor.require(Permission.VIEW_MONEY)
    statement = (
        select(ReceiptRow)
        .join(StationRow, StationRow.id == ReceiptRow.station_id)
        .where(station_in_area(actor))
    )
    if village_code:
        mine = select(ReceiptShareRow.receipt_id).where(ReceiptShareRow.village_code == village_code)
        statement = statement.where(ReceiptRow.id.in_(mine))
    if station_id:
        statement = statement.where(ReceiptRow.station_id == station_id)
    if ids:
        statement = statement.where(ReceiptRow.id.in_(ids))
    if month:
        statement = statement.where(ReceiptRow.month == month)
    rows = session.scalars(statement.order_by(ReceiptRow.received_on, ReceiptRow.id)).all()
    parts: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for start in range(0, len(rows), 500):
        wanted = [row.id for row in rows[start : start + 500]]
        shares = select(ReceiptShareRow).where(ReceiptShareRow.receipt_id.in_(wanted))
        for share in session.scalars(shares.order_by(ReceiptShareRow.village_code)):
            parts[share.receipt_id].append((share.village_code, share.amount_fen))
    return tuple(
        Receipt(
            row.id,
            row.station_id,
            Component(row.component),
            row.month,
            row.amount_fen,
            row.received_on,
            row.bank_reference,
            row.source,
            tuple(parts[row.id]),
            row.corrects or "",
        )
        for row in rows
    )


def costs(
    session: Session, actor: Actor, *, village_code: str = "", until: str = "", month: str = ""
) -> tuple[Cost, ...]:
    """Return costs of the actor's villages by month; of one village, one month, or up to a month."""
    actor.require(Permission.VIEW_MONEY)
    statement = scope(select(CostRow), actor, CostRow.village_code)
    if village_code:
        statement = statement.where(CostRow.village_code == village_code)
    if until:
        statement = statement.where(CostRow.month <= until)
    if month:
        statement = statement.where(CostRow.month == month)
    rows = session.scalars(statement.order_by(CostRow.month, CostRow.kind, CostRow.id))
    return tuple(
        Cost(
            row.id,
            row.village_code,
            row.month,
            row.kind,
            row.text,
            row.amount_fen,
            row.incurred_on,
            row.paid_on,
            row.voucher,
            row.station_id,
            row.corrects or "",
        )
        for row in rows
    )


def remittances(session: Session, actor: Actor, *, village_code: str = "") -> tuple[Remittance, ...]:
    """Return remittances to the actor's villages by date."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(RemittanceRow).where(in_area(actor, RemittanceRow.village_code))
    if village_code:
        statement = statement.where(RemittanceRow.village_code == village_code)
    rows = session.scalars(statement.order_by(RemittanceRow.remitted_on, RemittanceRow.id))
    return tuple(
        Remittance(row.id, row.village_code, row.amount_fen, row.remitted_on, row.bank_reference)
        for row in rows
    )


_Record = TypeVar("_Record", Receipt, Cost)


def uncorrected(every: Iterable[_Record]) -> tuple[_Record, ...]:
    """Return the records that stand: neither a correction nor what one takes back."""
    listed = tuple(every)
    taken_back = {one.corrects for one in listed if one.corrects}
    return tuple(one for one in listed if not one.corrects and one.id not in taken_back)
