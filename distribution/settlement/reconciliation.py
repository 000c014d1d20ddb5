"""Where the bill and the inverters disagree: the difference, its likely cause, and how it was resolved.

Owns the comparison of a settlement with measured energy, and the records of discrepancies. Revenue
follows the grid's meter; measured energy is evidence, never the source of an amount.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.settlement.tables import DiscrepancyResolutionRow, DiscrepancyRow
from distribution.types import Settlement
from registry.actors import Actor, Permission
from registry.stations import StationRow, station_in_area
from store.canonical import content_hash
from store.db import new_id
from store.energy import DeviceEnergy

TOLERANCE = Fraction(5, 100)
EXPECTED_LOSS = Fraction(1, 100)
COMPLETE = 0.98
_SLIPS = (10, 100, 1000)


@dataclass(frozen=True, slots=True)
class Measured:
    """A station's measured energy [Wh] of a month: the sum of its inverters, and the least completeness.

    `energy_wh` is None when no inverter gave a figure; `silent` counts those.
    """

    energy_wh: int | None = None
    estimated_wh: int = 0
    completeness: float = 1.0
    silent: int = 0

    def plus(self, energy: DeviceEnergy) -> "Measured":
        """Return the sum with one more inverter."""
        if energy.energy_wh is None:
            return replace(self, silent=self.silent + 1, completeness=0.0)
        return Measured(
            (self.energy_wh or 0) + energy.energy_wh,
            self.estimated_wh + energy.estimated_wh,
            min(self.completeness, energy.completeness),
            self.silent,
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference beyond tolerance [Wh] between measured energy and bill, and its likely cause."""

    station_id: str
    month: str
    kind: str
    expected: int
    found: int
    text: str
    cause: str


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A recorded difference; `outcome` is empty while nobody has resolved it."""

    id: str
    station_id: str
    month: str
    kind: str
    expected: int
    found: int
    unit: str
    text: str
    cause: str
    recorded_at: datetime
    outcome: str = ""
    reason: str = ""


def compare(
    bill: Settlement, measured: Measured | None, tolerance: Fraction = TOLERANCE
) -> Difference | None:
    """Compare a bill with what the inverters measured; None when they agree or nothing was measured.

    The bill is expected to be lower by the loss between inverter and meter.
    """
    if measured is None or measured.energy_wh is None:
        return None
    expected = int(measured.energy_wh * (1 - EXPECTED_LOSS))
    difference = bill.exported_energy_wh - expected
    if abs(difference) <= max(expected, bill.exported_energy_wh) * tolerance:
        return None
    percent = f"{abs(difference) * 100 // max(expected, 1)}%"
    more = "多" if difference > 0 else "少"
    text = (
        f"结算 {bill.exported_energy_wh // 1000:,} 千瓦时，逆变器 {measured.energy_wh // 1000:,} 千瓦时，"
        f"结算{more} {abs(difference) // 1000:,} 千瓦时（{percent}）"
    )
    cause = _cause(bill, measured, expected)
    return Difference(
        bill.station_id, bill.month, "billed_energy", expected, bill.exported_energy_wh, text, cause
    )


def _cause(bill: Settlement, measured: Measured, expected: int) -> str:
    if measured.completeness < COMPLETE or measured.silent:
        return "采集有缺口，逆变器电量不完整"
    if measured.estimated_wh * 20 > expected:
        return "采集中断期间的电量为推算"
    for factor in _SLIPS:
        high, low = max(bill.exported_energy_wh, expected), min(bill.exported_energy_wh, expected)
        if low and abs(high - low * factor) * 20 <= high:
            return f"相差约 {factor} 倍，可能是倍率或单位有误"
    if bill.exported_energy_wh < expected:
        return "可能是自用电、线损偏大或抄表日期不一致"
    return "可能是抄表日期不一致或逆变器漏采"


def record_discrepancies(
    session: Session, actor: Actor, found: list[Difference], now: datetime
) -> tuple[str, ...]:
    """Record differences that are not recorded yet with the same figures; returns the new ids."""
    new = []
    for one in found:
        basis = content_hash([one.expected, one.found])
        statement = select(DiscrepancyRow.id).where(
            DiscrepancyRow.station_id == one.station_id,
            DiscrepancyRow.month == one.month,
            DiscrepancyRow.kind == one.kind,
            DiscrepancyRow.basis_hash == basis,
        )
        if session.scalar(statement) is not None:
            continue
        row = DiscrepancyRow(
            id=new_id("discrepancy"),
            station_id=one.station_id,
            month=one.month,
            kind=one.kind,
            expected=one.expected,
            found=one.found,
            unit="Wh",
            text=one.text,
            cause=one.cause,
            basis_hash=basis,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
        session.add(row)
        new.append(row.id)
    session.flush()
    return tuple(new)


def discrepancies(
    session: Session, actor: Actor, *, month: str = "", station_id: str = "", open_only: bool = False
) -> tuple[Discrepancy, ...]:
    """Return recorded differences of the actor's stations, the largest first."""
    actor.require(Permission.VIEW_MONEY)
    statement = (
        select(DiscrepancyRow, DiscrepancyResolutionRow)
        .join(StationRow, StationRow.id == DiscrepancyRow.station_id)
        .outerjoin(DiscrepancyResolutionRow, DiscrepancyResolutionRow.discrepancy_id == DiscrepancyRow.id)
        .where(station_in_area(actor))
    )
    if month:
        statement = statement.where(DiscrepancyRow.month == month)
    if station_id:
        statement = statement.where(DiscrepancyRow.station_id == station_id)
    found = [
        Discrepancy(
            *(row.id, row.station_id, row.month, row.kind, row.expected, row.found, row.unit, row.text),
            row.cause,
            row.recorded_at,
            "" if resolution is None else resolution.outcome,
            "" if resolution is None else resolution.reason,
        )
        for row, resolution in session.execute(statement)
    ]
    found = [one for one in found if not open_only or not one.outcome]
    return tuple(sorted(found, key=lambda one: (-abs(one.found - one.expected), one.id)))


def resolve_discrepancy(
    session: Session, actor: Actor, discrepancy_id: str, resolution: tuple[str, str], now: datetime
) -> None:
    """Resolve a difference, given as (outcome `explained`, `corrected` or `ignored`; reason), once.

    Raises LookupError outside the area, ValueError without a reason.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    statement = (
        select(DiscrepancyRow.id)
        .join(StationRow, StationRow.id == DiscrepancyRow.station_id)
        .where(DiscrepancyRow.id == discrepancy_id, station_in_area(actor))
    )
    if session.scalar(statement) is None:
        raise LookupError(f"辖区内没有差异 {discrepancy_id}")
    if not resolution[1].strip():
        raise ValueError("处理差异须写明原因")
    if session.get(DiscrepancyResolutionRow, discrepancy_id) is None:
        session.add(
            DiscrepancyResolutionRow(
                discrepancy_id=discrepancy_id,
                outcome=resolution[0],
                reason=resolution[1],
                source="",
                recorded_at=now,
                recorded_by=actor.user_id,
            )
        )
        session.flush()
