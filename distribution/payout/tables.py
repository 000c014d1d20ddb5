"""Tables of payout: what is to be paid, every attempt, and the files that carried the attempts.

Owns payouts, attempts, batches and return files. Payouts and batches are append-only; an attempt's state
moves only along the allowed transitions, and one payout has at most one attempt that is alive or paid.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard, guard_append_only
from store.seals import put_under_seal

_ALIVE = text("state IN ('pending', 'sent', 'unknown', 'succeeded')")
_TRANSITIONS = (
    "'pending>sent', 'pending>failed', 'sent>succeeded', 'sent>failed', 'sent>returned', 'sent>unknown', "
    "'unknown>succeeded', 'unknown>failed', 'unknown>returned', 'succeeded>returned'"
)


class PayoutRow(Base):
    """Table `payout`: an amount [fen] that a booked run owes to a household."""

    __tablename__ = "payout"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        UniqueConstraint("run_id", "household_id"),
        Index(None, "book", "run_id"),
        Index(None, "household_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    book: Mapped[str] = mapped_column(String(12))
    run_id: Mapped[str]
    period: Mapped[str]
    household_id: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    lines: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str]


class BankBatchRow(Base):
    """Table `bank_batch`: one payment file: its number, template, control totals and hash."""

    __tablename__ = "bank_batch"
    __table_args__ = (
        CheckConstraint("line_count > 0 AND total_fen > 0", name="totals"),
        UniqueConstraint("number"),
        UniqueConstraint("file_sha256"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[str]
    area: Mapped[str] = mapped_column(String(12))
    business_date: Mapped[date]
    template: Mapped[str]
    template_text: Mapped[str] = mapped_column(Text)
    summary: Mapped[str]
    line_count: Mapped[int]
    total_fen: Mapped[int] = mapped_column(BigInteger)
    file_name: Mapped[str]
    file_sha256: Mapped[str] = mapped_column(String(64))
    exported_at: Mapped[datetime] = mapped_column(UtcDateTime)
    exported_by: Mapped[str]


class PayoutAttemptRow(Base):
    """Table `payout_attempt`: one try to pay a payout, with the account as it was then."""

    __tablename__ = "payout_attempt"
    __table_args__ = (
        CheckConstraint(
            "state IN ('pending', 'sent', 'succeeded', 'failed', 'returned', 'unknown')", name="state"
        ),
        Index(
            "uq_payout_attempt_alive", "payout_id", unique=True, sqlite_where=_ALIVE, postgresql_where=_ALIVE
        ),
        UniqueConstraint("batch_id", "line"),
        UniqueConstraint("reference"),
    )

    payout_id: Mapped[str] = mapped_column(ForeignKey("payout.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    batch_id: Mapped[str] = mapped_column(ForeignKey("bank_batch.id"))
    line: Mapped[int]
    reference: Mapped[str]
    payee_account_id: Mapped[str]
    holder: Mapped[str]
    bank: Mapped[str]
    account_hash: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    reason: Mapped[str]
    bank_reference: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ReturnFileRow(Base):
    """Table `return_file`: a bank's answer, once for ever by its content hash."""

    __tablename__ = "return_file"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("bank_batch.id"))
    name: Mapped[str]
    row_count: Mapped[int]
    imported_at: Mapped[datetime] = mapped_column(UtcDateTime)
    imported_by: Mapped[str]


class AttemptEventRow(Base):
    """Table `attempt_event`: each change of an attempt's state and the file or person it came from."""

    __tablename__ = "attempt_event"

    payout_id: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str]


for _row in (PayoutRow, BankBatchRow, ReturnFileRow, AttemptEventRow):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]

put_under_seal(PayoutRow.__table__, "发放", group="run_id", since="created_at")
put_under_seal(BankBatchRow.__table__, "代发批次", group="id", since="exported_at")
put_under_seal(PayoutAttemptRow.__table__, "发放记录", group="batch_id", since="changed_at")
put_under_seal(ReturnFileRow.__table__, "回盘文件", group="batch_id", since="imported_at")

_FREE = {"state", "reason", "bank_reference", "changed_at"}
_FIXED = [column.name for column in PayoutAttemptRow.__table__.columns if column.name not in _FREE]
_CHANGED = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in _FIXED)
_WRONG = f"({_CHANGED}) OR (NEW.state <> OLD.state AND OLD.state || '>' || NEW.state NOT IN ({_TRANSITIONS}))"
_AMOUNT = "NEW.amount_fen <> (SELECT amount_fen FROM payout WHERE id = NEW.payout_id)"
guard(
    PayoutAttemptRow.__table__,  # type: ignore[arg-type]
    sqlite=(
        (
            "CREATE TRIGGER payout_attempt_moves BEFORE UPDATE ON payout_attempt "
            f"WHEN {_WRONG.replace('IS DISTINCT FROM', 'IS NOT')} "
            "BEGIN SELECT RAISE(ABORT, 'an attempt cannot change so'); END"
        ),
        (
            f"CREATE TRIGGER payout_attempt_amount BEFORE INSERT ON payout_attempt WHEN {_AMOUNT} "
            "BEGIN SELECT RAISE(ABORT, 'an attempt pays the whole payout'); END"
        ),
        (
            "CREATE TRIGGER payout_attempt_kept BEFORE DELETE ON payout_attempt "
            "BEGIN SELECT RAISE(ABORT, 'an attempt is never deleted'); END"
        ),
    ),
    postgresql=(
        (
            "CREATE OR REPLACE FUNCTION payout_attempt_moves() RETURNS trigger AS $$ BEGIN "
            f"IF {_WRONG} THEN RAISE EXCEPTION 'an attempt cannot change so'; END IF; "
            "RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        (
            "CREATE TRIGGER payout_attempt_moves BEFORE UPDATE ON payout_attempt "
            "FOR EACH ROW EXECUTE FUNCTION payout_attempt_moves()"
        ),
        (
            "CREATE OR REPLACE FUNCTION payout_attempt_amount() RETURNS trigger AS $$ BEGIN "
            f"IF {_AMOUNT} THEN RAISE EXCEPTION 'an attempt pays the whole payout'; END IF; "
            "RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        (
            "CREATE TRIGGER payout_attempt_amount BEFORE INSERT ON payout_attempt "
            "FOR EACH ROW EXECUTE FUNCTION payout_attempt_amount()"
        ),
        (
            "CREATE OR REPLACE FUNCTION payout_attempt_kept() RETURNS trigger AS $$ BEGIN "
            "RAISE EXCEPTION 'an attempt is never deleted'; END $$ LANGUAGE plpgsql"
        ),
        (
            "CREATE TRIGGER payout_attempt_kept BEFORE DELETE ON payout_attempt "
            "FOR EACH ROW EXECUTE FUNCTION payout_attempt_kept()"
        ),
    ),
)
