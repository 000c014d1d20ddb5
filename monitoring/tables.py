"""Tables of monitoring: the energy of closed days, and announced work.

`daily_energy` is a cache, kept so that a page need not ask the counters again: every row can be computed
again by `store.energy`, and the energy that money is compared with is frozen elsewhere.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard_append_only


class DailyEnergyRow(Base):
    """Table `daily_energy`: what one device generated (or a meter counted) on one closed day."""

    __tablename__ = "daily_energy"
    __table_args__ = (
        CheckConstraint("energy_wh IS NULL OR energy_wh >= 0", name="energy"),
        CheckConstraint("completeness >= 0 AND completeness <= 1", name="completeness"),
        Index(None, "day"),
    )

    device_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    energy_wh: Mapped[int | None] = mapped_column(BigInteger)
    completeness: Mapped[float] = mapped_column(Float)
    method: Mapped[str] = mapped_column(String(32))
    estimated_wh: Mapped[int] = mapped_column(BigInteger)
    flags: Mapped[int] = mapped_column(Integer)
    computed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PlannedWorkRow(Base):
    """Table `planned_work`: announced work on a station or a device in [start, end)."""

    __tablename__ = "planned_work"
    __table_args__ = (
        CheckConstraint('"end" > start', name="interval"),
        CheckConstraint("announced_at <= start", name="announced_before"),
        Index(None, "subject_id", "start"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(128))
    start: Mapped[datetime] = mapped_column(UtcDateTime)
    end: Mapped[datetime] = mapped_column(UtcDateTime)
    description: Mapped[str] = mapped_column(Text)
    announced_at: Mapped[datetime] = mapped_column(UtcDateTime)
    announced_by: Mapped[str] = mapped_column(String(128))


guard_append_only(Base.metadata.tables["planned_work"])
