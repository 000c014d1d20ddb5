"""Tables of what villages spend out of their own purses, and of the photos that prove a voucher.

Owns spendings (append-only; a correction is a negative row that names the first) and photos by content
hash. Deductible costs are in `settlement.tables`.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard_append_only


class _Recorded:
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class SpendingRow(_Recorded, Base):
    """Table `spending`: money [fen] that a village paid out of one of its purses, with its voucher."""

    __tablename__ = "spending"
    __table_args__ = (
        CheckConstraint(
            "(amount_fen > 0 AND corrects IS NULL) OR (amount_fen < 0 AND corrects IS NOT NULL)",
            name="negative_corrects",
        ),
        CheckConstraint("voucher <> ''", name="voucher"),
        CheckConstraint(
            "amount_fen < 0 OR amount_fen <= limit_fen OR decision_document <> ''", name="decision"
        ),
        UniqueConstraint("corrects"),
        Index(None, "village_code", "spent_on"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(String(12))
    account: Mapped[str]
    holder: Mapped[str]
    use: Mapped[str]
    text: Mapped[str]
    payee: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    limit_fen: Mapped[int] = mapped_column(BigInteger)
    spent_on: Mapped[date]
    voucher: Mapped[str]
    decision_document: Mapped[str]
    corrects: Mapped[str | None] = mapped_column(ForeignKey("spending.id"))


class VoucherPhotoRow(_Recorded, Base):
    """Table `voucher_photo`: a photo, by content hash, of the voucher of a cost or spending."""

    __tablename__ = "voucher_photo"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="sha256"),)

    subject_id: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    village_code: Mapped[str] = mapped_column(String(12))


for _row in (SpendingRow, VoucherPhotoRow):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]
