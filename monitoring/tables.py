"""Tables of monitoring: the energy of closed days, announced work, dispatch, and intervals of states.

`daily_energy` is a cache, kept so that a page need not ask the counters again: every row can be computed
again by `store.energy`, and the energy that money is compared with is frozen elsewhere. `state_interval` is
one too: it can be computed again from the samples, and late data make it anew.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, Integer, String, Text
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


class PlannedWorkCancellationRow(Base):
    """Table `planned_work_cancellation`: announced work that ends at `at`; before it begins, it never is."""

    __tablename__ = "planned_work_cancellation"
    __table_args__ = (CheckConstraint("reason <> ''", name="reason"),)

    work_id: Mapped[str] = mapped_column(ForeignKey("planned_work.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    cancelled_by: Mapped[str] = mapped_column(String(128))
    reason: Mapped[str] = mapped_column(Text)


guard_append_only(Base.metadata.tables["planned_work"])
guard_append_only(Base.metadata.tables["planned_work_cancellation"])


class DispatchRecordRow(Base):
    """Table `dispatch_record`: curtailment, an ordered stop or majeure, for a station, device or division."""

    __tablename__ = "dispatch_record"
    __table_args__ = (
        CheckConstraint('"end" IS NULL OR "end" > start', name="interval"),
        CheckConstraint("kind IN ('curtailment', 'stop', 'majeure')", name="kind"),
        CheckConstraint(
            "limit_percent IS NULL OR (limit_percent >= 0 AND limit_percent <= 100)", name="limit"
        ),
        CheckConstraint("length(document) > 0", name="document"),
        Index(None, "start"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))
    start: Mapped[datetime] = mapped_column(UtcDateTime)
    end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    document: Mapped[str] = mapped_column(Text)
    limit_percent: Mapped[float | None] = mapped_column(Float)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str] = mapped_column(String(128))


class DispatchWithdrawalRow(Base):
    """Table `dispatch_withdrawal`: when a record ended, or that it never held; the last one counts."""

    __tablename__ = "dispatch_withdrawal"
    __table_args__ = (Index(None, "record_id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    record_id: Mapped[str] = mapped_column(ForeignKey("dispatch_record.id"))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str] = mapped_column(String(128))


class StateIntervalRow(Base):
    """Table `state_interval`: one stretch of a device or a station in one state, with its reason.

    `end` is null for the newest one. `settled` tells that it was computed from the samples of the whole
    stretch; the newest ones are written as they happen and settled later.
    """

    __tablename__ = "state_interval"
    __table_args__ = (
        CheckConstraint('"end" IS NULL OR "end" > start', name="interval"),
        CheckConstraint("subject_kind IN ('device', 'station')", name="subject_kind"),
        Index(None, "end"),
        Index(None, "start"),
    )

    subject_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    start: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    subject_kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(16))
    cause: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    received: Mapped[bool]
    settled: Mapped[bool]
    computed_at: Mapped[datetime] = mapped_column(UtcDateTime)


guard_append_only(Base.metadata.tables["dispatch_record"])
guard_append_only(Base.metadata.tables["dispatch_withdrawal"])
