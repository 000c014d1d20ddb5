"""Writing bills: settlements with their lines, details and receivables by village, many at once.

Owns the one form in which a revision is stored and hashed. Whether it may be stored is judged by
`settlement.imports` and `intake.undo`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, insert
from sqlalchemy.orm import Session

from distribution.money import split
from distribution.settlement.intake.tables import SettlementDetailRow
from distribution.settlement.tables import ReceivableRow, SettlementLineRow, SettlementRow
from distribution.types import Component, LineDetail, SettlementLine
from registry.actors import Actor
from registry.stations import StationShare
from store.canonical import content_hash
from store.db import Base

_EXACT = ("previous_reading", "current_reading", "electricity_price", "subsidy_price")
_LINE_FIELDS = tuple(one.name for one in fields(SettlementLine))
_DETAIL_FIELDS = tuple(one.name for one in fields(LineDetail))
_NOTHING = LineDetail()


@dataclass(frozen=True, slots=True)
class BillLine:
    """A line to be stored: its figures, what stands beside them, and where its energy was read."""

    line: SettlementLine
    detail: LineDetail
    place: str


@dataclass(frozen=True, slots=True)
class Bill:
    """A revision to be stored with its hash; without lines it takes the bill before it back."""

    station_id: str
    month: str
    revision: int
    lines: tuple[BillLine, ...]
    source: str
    file_sha256: str
    parts: Mapping[Component, Mapping[str, int]]
    content_hash: str

    @property
    def id(self) -> str:
        """The id of the revision."""
        return f"settlement:{self.station_id}:{self.month}:{self.revision}"


def settlement_hash(
    station_id: str, month: str, lines: Sequence[SettlementLine], details: Sequence[LineDetail] = ()
) -> str:
    """Return the hash of what a bill says; details count only where there are any."""
    said: list[object] = [station_id, month, tuple(lines)]
    if any(one != _NOTHING for one in details):
        said.append(tuple(details))
    return content_hash(said)


def settlement_totals(lines: Iterable[SettlementLine]) -> dict[Component, int]:
    """Return what the grid owes by component [fen]: electricity with adjustments and less withheld tax."""
    every = tuple(lines)
    return {
        Component.ELECTRICITY: sum(
            line.electricity_fen + line.adjustment_fen - line.tax_fen for line in every
        ),
        Component.SUBSIDY: sum(line.subsidy_fen for line in every),
        Component.LOCAL_SUBSIDY: sum(line.local_subsidy_fen for line in every),
    }


def village_parts(
    owners: Sequence[StationShare],
    totals: Mapping[Component, int],
    before: Iterable[tuple[Component, str]] = (),
) -> dict[Component, dict[str, int]]:
    """Split each component over the owners; a village of the bill before that gets nothing now gets 0.

    The zero is what tells the ledger that the earlier accrual of that village no longer holds.
    """
    villages = [share.village_code for share in owners]
    weights = [share.weight for share in owners]
    parts = {
        component: dict(zip(villages, split(total, weights, villages), strict=True))
        for component, total in totals.items()
        if total
    }
    for component, village in before:
        parts.setdefault(component, {}).setdefault(village, 0)
    return parts


def write_bills(session: Session, actor: Actor, bills: Sequence[Bill], now: datetime) -> None:
    """Store revisions with everything that belongs to them."""
    if not bills:
        return
    session.execute(insert(_table(SettlementRow)), [_settlement(actor, bill, now) for bill in bills])
    lines, details = [], []
    for bill in bills:
        for number, one in enumerate(bill.lines, start=1):
            lines.append(_line(bill.id, number, one))
            if one.detail != _NOTHING:
                details.append(_detail(bill.id, number, one.detail))
    parts = [
        {
            "settlement_id": bill.id,
            "component": component.value,
            "village_code": village,
            "amount_fen": amount,
        }
        for bill in bills
        for component, amounts in bill.parts.items()
        for village, amount in amounts.items()
    ]
    for table, values in ((SettlementLineRow, lines), (SettlementDetailRow, details), (ReceivableRow, parts)):
        if values:
            session.execute(insert(_table(table)), values)


def _table(row: type[Base]) -> Table:
    """Return the table behind a row: many rows are written without an object for each."""
    return cast(Table, row.__table__)


def _settlement(actor: Actor, bill: Bill, now: datetime) -> dict[str, Any]:
    lines = [one.line for one in bill.lines]
    totals = settlement_totals(lines)
    return {
        "id": bill.id,
        "station_id": bill.station_id,
        "month": bill.month,
        "revision": bill.revision,
        "exported_energy_wh": sum(line.exported_energy_wh for line in lines),
        "electricity_fen": totals[Component.ELECTRICITY],
        "subsidy_fen": totals[Component.SUBSIDY],
        "local_subsidy_fen": totals[Component.LOCAL_SUBSIDY],
        "source": bill.source,
        "file_sha256": bill.file_sha256,
        "content_hash": bill.content_hash,
        "recorded_at": now,
        "recorded_by": actor.user_id,
    }


def _line(settlement_id: str, number: int, one: BillLine) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(one.line, name) for name in _LINE_FIELDS}
    for name in _EXACT:
        values[name] = f"{values[name]:f}"
    return values | {"settlement_id": settlement_id, "line_no": number, "place": one.place}


def _detail(settlement_id: str, number: int, detail: LineDetail) -> dict[str, Any]:
    values = {name: getattr(detail, name) for name in _DETAIL_FIELDS}
    return values | {"settlement_id": settlement_id, "line_no": number}
