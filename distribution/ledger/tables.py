"""Tables of the ledger, and the guards that keep them true whoever writes.

Owns books, journals, postings and period states. Postings are written first and sealed by their journal
row: the database checks at that moment, once per journal, that the entry balances in every fund, continues
the chain, lies in an open period and overdraws nothing. After that nobody adds, changes or removes.
"""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from distribution.ledger.accounts import CHART, NEVER_OVERDRAWN
from distribution.types import Fund
from store.db import Base, UtcDateTime, guard, guard_append_only

HASH_LENGTH = 64
NO_HASH = "0" * HASH_LENGTH


def _quoted(values: list[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


class BookRow(Base):
    """Table `ledger_book`: the book of a village, or of the county's account."""

    __tablename__ = "ledger_book"
    __table_args__ = (CheckConstraint("length(division_code) = 12", name="division_code"),)

    book: Mapped[str] = mapped_column(String(12), primary_key=True)
    division_code: Mapped[str] = mapped_column(String(12), index=True)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)


class JournalRow(Base):
    """Table `journal`: one entry; `seq` counts from 1 without gaps in each book."""

    __tablename__ = "journal"
    __table_args__ = (
        CheckConstraint("seq > 0", name="seq"),
        CheckConstraint("length(hash) = 64 AND length(previous_hash) = 64", name="hashes"),
        CheckConstraint("length(period) = 7", name="period"),
        UniqueConstraint("idempotency_key"),
        UniqueConstraint("book", "reverses"),
        ForeignKeyConstraint(["book", "reverses"], ["journal.book", "journal.seq"]),
        Index(None, "source"),
        Index(None, "book", "period"),
    )

    book: Mapped[str] = mapped_column(ForeignKey("ledger_book.book"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    business_date: Mapped[date]
    period: Mapped[str] = mapped_column(String(7))
    kind: Mapped[str]
    text: Mapped[str]
    idempotency_key: Mapped[str]
    request_hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    source: Mapped[str]
    reverses: Mapped[int | None] = mapped_column(BigInteger)
    attributes: Mapped[str]
    previous_hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class PostingRow(Base):
    """Table `posting`: one leg [fen, debit positive] of a journal."""

    __tablename__ = "posting"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0", name="amount"),
        CheckConstraint(f"account IN ({_quoted([account.value for account in CHART])})", name="account"),
        CheckConstraint(f"fund IN ({_quoted([fund.value for fund in Fund])})", name="fund"),
        ForeignKeyConstraint(
            ["book", "seq"], ["journal.book", "journal.seq"], deferrable=True, initially="DEFERRED"
        ),
        Index("ix_posting_balance", "book", "account", "holder", "fund", "amount_fen"),
    )

    book: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account: Mapped[str]
    holder: Mapped[str]
    fund: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    line_no: Mapped[int | None]


class PeriodRow(Base):
    """Table `ledger_period`: every change of a period's state; the latest row of a month holds."""

    __tablename__ = "ledger_period"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'adjusting', 'closed')", name="state"),
        CheckConstraint("state <> 'open' OR reason <> ''", name="reopened_with_reason"),
    )

    book: Mapped[str] = mapped_column(ForeignKey("ledger_book.book"), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str]
    reason: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str]


_MINE = "book = NEW.book AND seq = NEW.seq"
_OVERDRAWN = (
    "SELECT 1 FROM posting AS mine "  # noqa: S608, names of our own tables
    "WHERE mine.book = NEW.book AND mine.seq = NEW.seq AND mine.amount_fen > 0 "
    f"AND mine.account IN ({_quoted([account.value for account in NEVER_OVERDRAWN])}) "
    "AND (SELECT SUM(every.amount_fen) FROM posting AS every WHERE every.book = mine.book "
    "AND every.account = mine.account AND every.holder = mine.holder AND every.fund = mine.fund) > 0"
)
SEALS: dict[str, tuple[str, str]] = {
    "no_postings": (
        f"(SELECT COUNT(*) FROM posting WHERE {_MINE}) < 2",  # noqa: S608, names of our own tables
        "a journal needs two postings",
    ),
    "unbalanced": (
        f"EXISTS (SELECT 1 FROM posting WHERE {_MINE} GROUP BY fund HAVING SUM(amount_fen) <> 0)",  # noqa: S608, names of our own tables
        "a journal balances in every fund",
    ),
    "broken_chain": (
        (
            "NEW.seq <> COALESCE((SELECT MAX(seq) FROM journal WHERE book = NEW.book), 0) + 1 "  # noqa: S608, names of our own tables
            "OR NEW.previous_hash <> COALESCE((SELECT hash FROM journal "
            f"WHERE book = NEW.book AND seq = NEW.seq - 1), '{NO_HASH}')"
        ),
        "a journal continues the chain of its book",
    ),
    "closed_period": (
        (
            "COALESCE((SELECT state FROM ledger_period WHERE book = NEW.book AND month = NEW.period "
            "ORDER BY seq DESC LIMIT 1), 'open') = 'closed'"
        ),
        "the period is closed",
    ),
    "overdrawn": (f"EXISTS ({_OVERDRAWN})", "an account that may not be overdrawn would be"),
}
"""What the database refuses when a journal is sealed: name -> (condition, message)."""

_SEALED = "EXISTS (SELECT 1 FROM journal WHERE book = NEW.book AND seq = NEW.seq)"

guard_append_only(BookRow.__table__)  # type: ignore[arg-type]
guard_append_only(JournalRow.__table__)  # type: ignore[arg-type]
guard_append_only(PostingRow.__table__)  # type: ignore[arg-type]
guard_append_only(PeriodRow.__table__)  # type: ignore[arg-type]
guard(
    PostingRow.__table__,  # type: ignore[arg-type]
    sqlite=(
        *(
            f"CREATE TRIGGER journal_{name} BEFORE INSERT ON journal WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for name, (condition, message) in SEALS.items()
        ),
        (
            f"CREATE TRIGGER posting_sealed BEFORE INSERT ON posting WHEN {_SEALED} "
            "BEGIN SELECT RAISE(ABORT, 'a sealed journal takes no more postings'); END"
        ),
    ),
    postgresql=(
        (
            "CREATE OR REPLACE FUNCTION journal_seal() RETURNS trigger AS $$ BEGIN "
            "PERFORM pg_advisory_xact_lock(hashtextextended('ledger|' || NEW.book, 0)); "
            + " ".join(
                f"IF {condition} THEN RAISE EXCEPTION '{message}'; END IF;"
                for condition, message in SEALS.values()
            )
            + " RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        ("CREATE TRIGGER journal_seal BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION journal_seal()"),
        (
            "CREATE OR REPLACE FUNCTION posting_sealed() RETURNS trigger AS $$ BEGIN "
            "IF EXISTS (SELECT 1 FROM (SELECT DISTINCT book, seq FROM fresh) AS mine "
            "JOIN journal ON journal.book = mine.book AND journal.seq = mine.seq) THEN "
            "RAISE EXCEPTION 'a sealed journal takes no more postings'; END IF; "
            "RETURN NULL; END $$ LANGUAGE plpgsql"
        ),
        (
            "CREATE TRIGGER posting_sealed AFTER INSERT ON posting REFERENCING NEW TABLE AS fresh "
            "FOR EACH STATEMENT EXECUTE FUNCTION posting_sealed()"
        ),
    ),
)
