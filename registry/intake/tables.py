"""Tables of intake: batches, and what each of their rows did.

Owns the memory that makes an import undoable. It keeps ids and former columns, never a plain ID number,
account or phone.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard_append_only


class ImportBatchRow(Base):
    """Table `import_batch`: one file that was taken in; undoing it fills `undone_at` once."""

    __tablename__ = "import_batch"
    __table_args__ = (
        CheckConstraint("added >= 0 AND changed >= 0 AND unchanged >= 0 AND refused >= 0", name="counts"),
        CheckConstraint("(undone_at IS NULL) = (undone_by = '')", name="undone"),
        Index(None, "kind", "committed_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    file_name: Mapped[str]
    file_hash: Mapped[str] = mapped_column(String(64))
    area: Mapped[str]
    committed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    committed_by: Mapped[str]
    added: Mapped[int]
    changed: Mapped[int]
    unchanged: Mapped[int]
    refused: Mapped[int]
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undone_by: Mapped[str] = mapped_column(default="")


class ImportRowRow(Base):
    """Table `import_row`: one row of a file: its outcome, and the steps that undo it (JSON)."""

    __tablename__ = "import_row"
    __table_args__ = (
        CheckConstraint("outcome IN ('added', 'changed', 'unchanged', 'refused')", name="outcome"),
    )

    batch_id: Mapped[str] = mapped_column(ForeignKey("import_batch.id"), primary_key=True)
    row_no: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[str]
    label: Mapped[str]
    undo: Mapped[str]


guard_append_only(ImportRowRow.__table__)  # type: ignore[arg-type]
