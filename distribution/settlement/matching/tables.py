"""Tables of the match: its result per station and month, what it found, and who looks after it.

Every table is append-only: a match whose figures changed is the next revision. The differences themselves
and their resolutions are in `settlement.tables`.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard_append_only


class _Recorded:
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class MatchResultRow(_Recorded, Base):
    """Table `match_result`: a station's month from inverter to bank, in revisions; None is not known."""

    __tablename__ = "match_result"
    __table_args__ = (
        CheckConstraint("state IN ('matched', 'excepted', 'waiting')", name="state"),
        CheckConstraint("completeness_ppm BETWEEN 0 AND 1000000", name="completeness"),
        CheckConstraint("revision > 0", name="revision"),
        UniqueConstraint("station_id", "month", "revision"),
        Index(None, "month"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    month: Mapped[str] = mapped_column(String(7))
    revision: Mapped[int]
    state: Mapped[str]
    settlement_id: Mapped[str | None] = mapped_column(ForeignKey("settlement.id"))
    inverter_wh: Mapped[int | None] = mapped_column(BigInteger)
    completeness_ppm: Mapped[int]
    estimated_wh: Mapped[int] = mapped_column(BigInteger)
    meter_wh: Mapped[int | None] = mapped_column(BigInteger)
    meter_source: Mapped[str]
    billed_wh: Mapped[int | None] = mapped_column(BigInteger)
    billed_fen: Mapped[int] = mapped_column(BigInteger)
    received_fen: Mapped[int] = mapped_column(BigInteger)
    loss_ppm: Mapped[int]
    loss_months: Mapped[int]
    curtailed_wh: Mapped[int] = mapped_column(BigInteger)
    basis_hash: Mapped[str] = mapped_column(String(64))


class MatchFindingRow(Base):
    """Table `match_finding`: a difference that a revision of a match still finds."""

    __tablename__ = "match_finding"
    __table_args__ = (Index(None, "discrepancy_id"),)

    match_id: Mapped[str] = mapped_column(ForeignKey("match_result.id"), primary_key=True)
    discrepancy_id: Mapped[str] = mapped_column(ForeignKey("discrepancy.id"), primary_key=True)


class DiscrepancyEventRow(_Recorded, Base):
    """Table `discrepancy_event`: who looks after a difference until when, and what was said; in order."""

    __tablename__ = "discrepancy_event"
    __table_args__ = (CheckConstraint("seq > 0", name="seq"),)

    discrepancy_id: Mapped[str] = mapped_column(ForeignKey("discrepancy.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]
    due_on: Mapped[date]
    note: Mapped[str]


for _row in (MatchResultRow, MatchFindingRow, DiscrepancyEventRow):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]
