"""Tables of what comes with a statement: layouts of grid companies, details of lines, rows left out, undo.

Every table is append-only: a layout is replaced by a newer one of the same company, a row left out is
settled by a row of its own.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard_append_only


class _Recorded:
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class StatementLayoutRow(_Recorded, Base):
    """Table `statement_layout`: which heading of a company's file means which field; the newest holds."""

    __tablename__ = "statement_layout"
    __table_args__ = (
        CheckConstraint("company <> ''", name="company"),
        UniqueConstraint("area", "company", "revision"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    area: Mapped[str] = mapped_column(String(12))
    company: Mapped[str]
    revision: Mapped[int]
    content: Mapped[str]


class SettlementDetailRow(Base):
    """Table `settlement_detail`: what the grid company said of a line beside its amounts."""

    __tablename__ = "settlement_detail"

    settlement_id: Mapped[str] = mapped_column(ForeignKey("settlement.id"), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True)
    invoice_number: Mapped[str]
    invoice_state: Mapped[str]
    payee: Mapped[str]
    previous_read_on: Mapped[date | None]
    current_read_on: Mapped[date | None]
    adjustment_reason: Mapped[str]


class StatementUndoRow(_Recorded, Base):
    """Table `statement_undo`: an imported file was taken back, by whom and why."""

    __tablename__ = "statement_undo"
    __table_args__ = (CheckConstraint("reason <> ''", name="reason"), Index(None, "sha256"))

    id: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    file_name: Mapped[str]
    reason: Mapped[str]
    settlement_count: Mapped[int]


class RefusedLineRow(_Recorded, Base):
    """Table `refused_line`: a row of a statement that did not go in, with the place and what is wrong."""

    __tablename__ = "refused_line"
    __table_args__ = (Index(None, "month"), Index(None, "account_number", "month"))

    id: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    file_name: Mapped[str]
    place: Mapped[str]
    row_number: Mapped[int]
    account_number: Mapped[str]
    month: Mapped[str] = mapped_column(String(7))
    what: Mapped[str]
    how_to_fix: Mapped[str]
    area: Mapped[str] = mapped_column(String(12))


class RefusedLineResolutionRow(_Recorded, Base):
    """Table `refused_line_resolution`: why a row that did not go in needs nothing more; once."""

    __tablename__ = "refused_line_resolution"
    __table_args__ = (CheckConstraint("reason <> ''", name="reason"),)

    refused_line_id: Mapped[str] = mapped_column(ForeignKey("refused_line.id"), primary_key=True)
    reason: Mapped[str]


for _row in (
    StatementLayoutRow,
    SettlementDetailRow,
    StatementUndoRow,
    RefusedLineRow,
    RefusedLineResolutionRow,
):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]
