"""The energy of closed months: frozen once, and what people decided where late data would change it.

Owns tables `frozen_energy` and `energy_decision`. A frozen row never changes; an accepted difference is a
new fact that stands in its place from then on. Money follows the grid's meter and never changes by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Float, Index, Integer, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from store.cutting import DeviceEnergy
from store.db import Base, UtcDateTime, guard_append_only
from store.periods import Period, PeriodKind


class FrozenEnergy(Base):
    """The energy of a device in a closed month, as it was when the month was closed."""

    __tablename__ = "frozen_energy"
    __table_args__ = (
        CheckConstraint("energy_wh IS NULL OR energy_wh >= 0", name="energy"),
        CheckConstraint("completeness >= 0 AND completeness <= 1", name="completeness"),
        CheckConstraint("estimated_wh >= 0", name="estimated"),
        CheckConstraint("length(month) = 7", name="month"),
    )

    device_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    quantity: Mapped[str] = mapped_column(String(64), primary_key=True)
    energy_wh: Mapped[int | None] = mapped_column(BigInteger)
    completeness: Mapped[float] = mapped_column(Float)
    method: Mapped[str] = mapped_column(String(32))
    estimated_wh: Mapped[int] = mapped_column(BigInteger)
    flags: Mapped[int] = mapped_column(Integer)
    frozen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EnergyDecisionRow(Base):
    """Table `energy_decision`: whether a closed month's energy is taken as late data have it, and why."""

    __tablename__ = "energy_decision"
    __table_args__ = (
        CheckConstraint("energy_wh IS NULL OR energy_wh >= 0", name="energy"),
        CheckConstraint("completeness >= 0 AND completeness <= 1", name="completeness"),
        CheckConstraint("estimated_wh >= 0", name="estimated"),
        CheckConstraint("length(month) = 7", name="month"),
        CheckConstraint("reason <> ''", name="reason"),
        Index(None, "month", "device_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    device_id: Mapped[str] = mapped_column(String(128))
    month: Mapped[str] = mapped_column(String(7))
    quantity: Mapped[str] = mapped_column(String(64))
    previous_wh: Mapped[int | None] = mapped_column(BigInteger)
    energy_wh: Mapped[int | None] = mapped_column(BigInteger)
    completeness: Mapped[float] = mapped_column(Float)
    method: Mapped[str] = mapped_column(String(32))
    estimated_wh: Mapped[int] = mapped_column(BigInteger)
    flags: Mapped[int] = mapped_column(Integer)
    is_accepted: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str] = mapped_column(String(500))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str] = mapped_column(String(128))


guard_append_only(Base.metadata.tables["frozen_energy"])
guard_append_only(Base.metadata.tables["energy_decision"])


@dataclass(frozen=True, slots=True)
class EnergyAdjustment:
    """A closed month that would come out differently today: an offer, never a change."""

    device_id: str
    month: str
    quantity: str
    frozen_wh: int | None
    current_wh: int | None

    @property
    def difference_wh(self) -> int:
        """Current less frozen energy [Wh], unknown counting as 0."""
        return (self.current_wh or 0) - (self.frozen_wh or 0)


@dataclass(frozen=True, slots=True)
class EnergyDecision:
    """What somebody decided about a difference of a closed month [Wh]."""

    device_id: str
    month: str
    previous_wh: int | None
    energy_wh: int | None
    is_accepted: bool
    reason: str
    decided_at: datetime
    decided_by: str


def freeze(
    session: Session, energies: Sequence[DeviceEnergy], quantity: str, frozen_at: datetime
) -> list[EnergyAdjustment]:
    """Freeze monthly energies; those frozen before stay, and a difference comes back as an adjustment.

    Raises ValueError for an energy whose period is no month.
    """
    for energy in energies:
        if Period.parse(energy.period).kind is not PeriodKind.MONTH:
            raise ValueError(f"only months are frozen, not {energy.period}")
    existing = {(row.device_id, row.period) for row in frozen(session, energies_of(energies), quantity)}
    for energy in energies:
        if (energy.device_id, energy.period) not in existing:
            session.add(_frozen_row(energy, quantity, frozen_at))
            existing.add((energy.device_id, energy.period))
    session.flush()
    return adjustments(session, energies, quantity)


def energies_of(energies: Sequence[DeviceEnergy]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the devices and the periods of energies, each once."""
    return (
        list(dict.fromkeys(energy.device_id for energy in energies)),
        list(dict.fromkeys(energy.period for energy in energies)),
    )


def _frozen_row(energy: DeviceEnergy, quantity: str, frozen_at: datetime) -> FrozenEnergy:
    return FrozenEnergy(
        device_id=energy.device_id,
        month=energy.period,
        quantity=quantity,
        energy_wh=energy.energy_wh,
        completeness=energy.completeness,
        method=str(energy.method),
        estimated_wh=energy.estimated_wh,
        flags=energy.flags,
        frozen_at=frozen_at,
    )


def frozen(
    session: Session, of: tuple[Sequence[str], Sequence[str]], quantity: str = "generated_energy_wh"
) -> list[DeviceEnergy]:
    """Return the energies in force `of` closed months (device ids, months), ordered by device and month.

    That is the frozen one, or what was last accepted in its place.
    """
    statement = (
        select(FrozenEnergy)
        .where(
            FrozenEnergy.device_id.in_(of[0]),
            FrozenEnergy.month.in_(of[1]),
            FrozenEnergy.quantity == quantity,
        )
        .order_by(FrozenEnergy.device_id, FrozenEnergy.month)
    )
    accepted = _accepted(session, of, quantity)
    return [_energy(accepted.get((row.device_id, row.month), row)) for row in session.scalars(statement)]


def _energy(row: FrozenEnergy | EnergyDecisionRow) -> DeviceEnergy:
    return DeviceEnergy(
        row.device_id, row.month, row.energy_wh, row.completeness, row.method, row.estimated_wh, row.flags
    )


def _accepted(
    session: Session, of: tuple[Sequence[str], Sequence[str]], quantity: str
) -> dict[tuple[str, str], EnergyDecisionRow]:
    """Return the last accepted decision of each device and month."""
    statement = (
        select(EnergyDecisionRow)
        .where(
            EnergyDecisionRow.device_id.in_(of[0]),
            EnergyDecisionRow.month.in_(of[1]),
            EnergyDecisionRow.quantity == quantity,
            EnergyDecisionRow.is_accepted,
        )
        .order_by(EnergyDecisionRow.decided_at, EnergyDecisionRow.id)
    )
    return {(row.device_id, row.month): row for row in session.scalars(statement)}


def frozen_months(session: Session) -> tuple[str, ...]:
    """Return the months of which anything is frozen, the latest first."""
    statement = select(FrozenEnergy.month).distinct().order_by(FrozenEnergy.month.desc())
    return tuple(session.scalars(statement))


def decisions(
    session: Session, month: str, quantity: str = "generated_energy_wh"
) -> tuple[EnergyDecision, ...]:
    """Return what was decided about a month, in the order of time."""
    statement = (
        select(EnergyDecisionRow)
        .where(EnergyDecisionRow.month == month, EnergyDecisionRow.quantity == quantity)
        .order_by(EnergyDecisionRow.decided_at, EnergyDecisionRow.id)
    )
    return tuple(
        EnergyDecision(
            row.device_id,
            row.month,
            row.previous_wh,
            row.energy_wh,
            row.is_accepted,
            row.reason,
            row.decided_at,
            row.decided_by,
        )
        for row in session.scalars(statement)
    )


def decide(session: Session, current: DeviceEnergy, decision: EnergyDecision, quantity: str) -> None:
    """Keep a decision about a month as it comes out now; the frozen row stays as it is.

    Raises ValueError where the decision is about another figure, or the month is not frozen as it says.
    """
    key = (decision.device_id, decision.month)
    inforce = frozen(session, ([key[0]], [key[1]]), quantity)
    if (current.device_id, current.period, current.energy_wh) != (*key, decision.energy_wh):
        raise ValueError("the decision is about another figure")
    if [one.energy_wh for one in inforce] != [decision.previous_wh]:
        raise ValueError("the month is not frozen with this figure")
    session.add(
        EnergyDecisionRow(
            id=_identifier(decision, quantity),
            device_id=decision.device_id,
            month=decision.month,
            quantity=quantity,
            previous_wh=decision.previous_wh,
            energy_wh=current.energy_wh,
            completeness=current.completeness,
            method=str(current.method),
            estimated_wh=current.estimated_wh,
            flags=current.flags,
            is_accepted=decision.is_accepted,
            reason=decision.reason,
            decided_at=decision.decided_at,
            decided_by=decision.decided_by,
        )
    )
    session.flush()


def _identifier(decision: EnergyDecision, quantity: str) -> str:
    parts = (decision.device_id, decision.month, quantity, decision.decided_at.isoformat())
    return sha256("\0".join(parts).encode()).hexdigest()


def adjustments(
    session: Session, energies: Sequence[DeviceEnergy], quantity: str = "generated_energy_wh"
) -> list[EnergyAdjustment]:
    """Return where monthly energies as computed now differ from those in force."""
    stored = {(row.device_id, row.period): row for row in frozen(session, energies_of(energies), quantity)}
    return [
        EnergyAdjustment(energy.device_id, energy.period, quantity, row.energy_wh, energy.energy_wh)
        for energy in energies
        if (row := stored.get((energy.device_id, energy.period))) is not None
        and row.energy_wh != energy.energy_wh
    ]
