"""Tables of what stands between a receivable and the village: advances, and money under way.

Owns advances with their clearing, and the stages that a remittance passes. Append-only; an advance is never
cleared by more than it was.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard, guard_append_only


class _Recorded:
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class AdvanceRow(_Recorded, Base):
    """Table `advance`: money [fen] that somebody paid a village before the grid company did (垫付)."""

    __tablename__ = "advance"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("document <> ''", name="document"),
        CheckConstraint("component IN ('electricity', 'subsidy', 'local_subsidy')", name="component"),
        UniqueConstraint("village_code", "bank_reference"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(String(12))
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    component: Mapped[str]
    month: Mapped[str] = mapped_column(String(7))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    advanced_on: Mapped[date]
    advancer: Mapped[str]
    document: Mapped[str]
    bank_reference: Mapped[str]


class AdvanceClearingRow(_Recorded, Base):
    """Table `advance_clearing`: the part [fen] of an advance that an arrived receipt pays back."""

    __tablename__ = "advance_clearing"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        UniqueConstraint("advance_id", "receipt_id"),
        Index(None, "receipt_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    advance_id: Mapped[str] = mapped_column(ForeignKey("advance.id"))
    receipt_id: Mapped[str] = mapped_column(ForeignKey("receipt.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    cleared_on: Mapped[date]


class RemittanceStageRow(_Recorded, Base):
    """Table `remittance_stage`: a remittance on its way; `sent` marks one that goes by the township."""

    __tablename__ = "remittance_stage"
    __table_args__ = (
        CheckConstraint("stage IN ('sent', 'township', 'village')", name="stage"),
        CheckConstraint("length(division_code) = 12", name="division_code"),
    )

    remittance_id: Mapped[str] = mapped_column(ForeignKey("remittance.id"), primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    division_code: Mapped[str] = mapped_column(String(12))
    on: Mapped[date]
    bank_reference: Mapped[str]


for _row in (AdvanceRow, AdvanceClearingRow, RemittanceStageRow):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]

_OVER = (
    "(SELECT COALESCE(SUM(c.amount_fen), 0) FROM advance_clearing AS c WHERE c.advance_id = NEW.advance_id) "
    "+ NEW.amount_fen > COALESCE((SELECT a.amount_fen FROM advance AS a WHERE a.id = NEW.advance_id), 0)"
)
_MESSAGE = "an advance is not cleared by more than it was"
guard(
    AdvanceClearingRow.__table__,  # type: ignore[arg-type]
    sqlite=(
        (
            f"CREATE TRIGGER advance_clearing_within BEFORE INSERT ON advance_clearing WHEN {_OVER} "
            f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
        ),
    ),
    postgresql=(
        (
            "CREATE OR REPLACE FUNCTION advance_clearing_within() RETURNS trigger AS $$ BEGIN "
            "PERFORM pg_advisory_xact_lock(hashtextextended('advance|' || NEW.advance_id, 0)); "
            f"IF {_OVER} THEN RAISE EXCEPTION '{_MESSAGE}'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        (
            "CREATE TRIGGER advance_clearing_within BEFORE INSERT ON advance_clearing "
            "FOR EACH ROW EXECUTE FUNCTION advance_clearing_within()"
        ),
    ),
)
