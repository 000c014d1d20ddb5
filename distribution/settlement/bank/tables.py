"""Tables of the county's bank account: lines, what became of each, and matches with receivables.

Owns bank lines (append-only; a correction is a negative row that names the first), decisions, matches of m
lines with n receivables, and the differences that a tolerance let through. The database itself refuses to
match more than a line holds, to receive more than the newest bill says, and to revise a bill below what
has arrived.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from distribution.settlement.tables import ReceiptRow, SettlementRow
from store.db import Base, UtcDateTime, guard, guard_append_only


class _Recorded:
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class BankLineRow(_Recorded, Base):
    """Table `bank_line`: one credit of the account of a division, as the bank's list has it."""

    __tablename__ = "bank_line"
    __table_args__ = (
        CheckConstraint(
            "(amount_fen > 0 AND corrects IS NULL) OR (amount_fen < 0 AND corrects IS NOT NULL)",
            name="negative_corrects",
        ),
        CheckConstraint("reference <> ''", name="reference"),
        UniqueConstraint("corrects"),
        Index(None, "division_code", "received_on"),
        Index(None, "reference"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    division_code: Mapped[str] = mapped_column(String(12))
    received_on: Mapped[date]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    payer: Mapped[str]
    reference: Mapped[str]
    remark: Mapped[str]
    source: Mapped[str]
    file_sha256: Mapped[str] = mapped_column(String(64))
    corrects: Mapped[str | None] = mapped_column(ForeignKey("bank_line.id"))


class BankLineDecisionRow(_Recorded, Base):
    """Table `bank_line_decision`: a line set apart, ignored or taken up again; the latest row holds."""

    __tablename__ = "bank_line_decision"
    __table_args__ = (
        CheckConstraint("decision IN ('excepted', 'ignored', 'reopened')", name="decision"),
        CheckConstraint("reason <> ''", name="reason"),
        CheckConstraint("decision <> 'excepted' OR due_on IS NOT NULL", name="due"),
    )

    bank_line_id: Mapped[str] = mapped_column(ForeignKey("bank_line.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    decision: Mapped[str]
    reason: Mapped[str]
    owner: Mapped[str]
    due_on: Mapped[date | None]


class BankMatchRow(_Recorded, Base):
    """Table `bank_match`: lines and receivables that somebody confirmed as belonging together."""

    __tablename__ = "bank_match"
    __table_args__ = (CheckConstraint("rule <> ''", name="rule"), Index(None, "division_code"))

    id: Mapped[str] = mapped_column(primary_key=True)
    division_code: Mapped[str] = mapped_column(String(12))
    rule: Mapped[str]
    note: Mapped[str]


class BankMatchItemRow(Base):
    """Table `bank_match_item`: the part [fen] of a line that became one receipt."""

    __tablename__ = "bank_match_item"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        UniqueConstraint("receipt_id"),
        Index(None, "bank_line_id"),
    )

    match_id: Mapped[str] = mapped_column(ForeignKey("bank_match.id"), primary_key=True)
    item_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    bank_line_id: Mapped[str] = mapped_column(ForeignKey("bank_line.id"))
    receipt_id: Mapped[str] = mapped_column(ForeignKey("receipt.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)


class BankDifferenceRow(_Recorded, Base):
    """Table `bank_difference`: what a match left over within tolerance [fen], booked by name.

    `shortfall` is what a receivable lost (the bank paid less than was owed), `surplus` what a line had too
    much. A negative row takes back the row that it names in `reverses`.
    """

    __tablename__ = "bank_difference"
    __table_args__ = (
        CheckConstraint("kind IN ('shortfall', 'surplus')", name="kind"),
        CheckConstraint(
            "(amount_fen > 0 AND reverses IS NULL) OR (amount_fen < 0 AND reverses IS NOT NULL)",
            name="negative_reverses",
        ),
        CheckConstraint("kind = 'surplus' OR station_id <> ''", name="station"),
        UniqueConstraint("reverses"),
        Index(None, "station_id", "month"),
        Index(None, "bank_line_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    match_id: Mapped[str] = mapped_column(ForeignKey("bank_match.id"))
    division_code: Mapped[str] = mapped_column(String(12))
    kind: Mapped[str]
    bank_line_id: Mapped[str] = mapped_column(ForeignKey("bank_line.id"))
    station_id: Mapped[str]
    component: Mapped[str]
    month: Mapped[str] = mapped_column(String(7))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    on: Mapped[date]
    reverses: Mapped[str | None] = mapped_column(ForeignKey("bank_difference.id"))


class BankDifferenceShareRow(Base):
    """Table `bank_difference_share`: a village's part [fen] of a shortfall."""

    __tablename__ = "bank_difference_share"
    __table_args__ = (Index(None, "village_code"),)

    difference_id: Mapped[str] = mapped_column(ForeignKey("bank_difference.id"), primary_key=True)
    village_code: Mapped[str] = mapped_column(String(12), primary_key=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)


class BankUnmatchRow(_Recorded, Base):
    """Table `bank_unmatch`: a match that was taken back, once, and why."""

    __tablename__ = "bank_unmatch"
    __table_args__ = (CheckConstraint("reason <> ''", name="reason"),)

    match_id: Mapped[str] = mapped_column(ForeignKey("bank_match.id"), primary_key=True)
    reason: Mapped[str]


_TABLES = (
    BankLineRow,
    BankLineDecisionRow,
    BankMatchRow,
    BankMatchItemRow,
    BankDifferenceRow,
    BankDifferenceShareRow,
    BankUnmatchRow,
)
for _row in _TABLES:
    guard_append_only(_row.__table__)  # type: ignore[arg-type]

_LINE_HOLDS = "SELECT SUM(l.amount_fen) FROM bank_line AS l WHERE l.id = {line} OR l.corrects = {line}"
_LINE_MATCHED = (
    "SELECT COALESCE(SUM(i.amount_fen), 0) FROM bank_match_item AS i WHERE i.bank_line_id = {line} "
    "AND NOT EXISTS (SELECT 1 FROM bank_unmatch AS u WHERE u.match_id = i.match_id)"
)
_LINE_SURPLUS = (
    "SELECT COALESCE(SUM(d.amount_fen), 0) FROM bank_difference AS d "
    "WHERE d.bank_line_id = {line} AND d.kind = 'surplus'"
)
_RECEIVED = (
    "SELECT COALESCE(SUM(r.amount_fen), 0) FROM receipt AS r WHERE r.station_id = NEW.station_id "
    "AND r.month = NEW.month AND r.component = {component}"
)
_WRITTEN_OFF = (
    "SELECT COALESCE(SUM(d.amount_fen), 0) FROM bank_difference AS d WHERE d.kind = 'shortfall' "
    "AND d.station_id = NEW.station_id AND d.month = NEW.month AND d.component = {component}"
)
_OWED = (
    "SELECT CASE NEW.component WHEN 'electricity' THEN s.electricity_fen WHEN 'subsidy' THEN s.subsidy_fen "
    "ELSE s.local_subsidy_fen END FROM settlement AS s WHERE s.station_id = NEW.station_id "
    "AND s.month = NEW.month ORDER BY s.revision DESC LIMIT 1"
)
_BILLED = ("electricity", "subsidy", "local_subsidy")
_BILLED_SQL = ", ".join(f"'{one}'" for one in _BILLED)


def _over_line(line: str, more: str) -> str:
    return (
        f"({_LINE_MATCHED.format(line=line)}) + ({_LINE_SURPLUS.format(line=line)}) + {more} "
        f"> COALESCE(({_LINE_HOLDS.format(line=line)}), 0)"
    )


def _over_bill() -> str:
    taken = f"({_RECEIVED}) + ({_WRITTEN_OFF})".format(component="NEW.component")
    return f"{taken} + NEW.amount_fen > COALESCE(({_OWED}), 0)"


def _below_received(component: str) -> str:
    taken = f"({_RECEIVED}) + ({_WRITTEN_OFF})".format(component=f"'{component}'")
    return f"({taken} > 0 AND {taken} > NEW.{component}_fen)"


_RECEIVABLE_KEY = "'receivable|' || NEW.station_id || '|' || NEW.month"
_LINE_KEY = "'bank_line|' || NEW.bank_line_id"
_REFUSALS = (
    (
        "bank_match_item_within_line",
        BankMatchItemRow.__tablename__,
        _LINE_KEY,
        _over_line("NEW.bank_line_id", "NEW.amount_fen"),
        "more would be matched than the bank line holds",
    ),
    (
        "bank_difference_within_line",
        BankDifferenceRow.__tablename__,
        _LINE_KEY,
        f"NEW.kind = 'surplus' AND NEW.amount_fen > 0 AND {_over_line('NEW.bank_line_id', 'NEW.amount_fen')}",
        "more would be matched than the bank line holds",
    ),
    (
        "bank_difference_within_bill",
        BankDifferenceRow.__tablename__,
        _RECEIVABLE_KEY,
        f"NEW.kind = 'shortfall' AND NEW.amount_fen > 0 AND {_over_bill()}",
        "more would be received than is owed",
    ),
    (
        "receipt_within_bill",
        ReceiptRow.__tablename__,
        _RECEIVABLE_KEY,
        f"NEW.amount_fen > 0 AND NEW.component IN ({_BILLED_SQL}) AND {_over_bill()}",
        "more would be received than is owed",
    ),
    (
        "settlement_covers_received",
        SettlementRow.__tablename__,
        _RECEIVABLE_KEY,
        " OR ".join(_below_received(component) for component in _BILLED),
        "a revised bill may not fall below what was received",
    ),
    (
        "bank_line_correction_free",
        BankLineRow.__tablename__,
        "'bank_line|' || COALESCE(NEW.corrects, NEW.id)",
        f"NEW.corrects IS NOT NULL AND {_over_line('NEW.corrects', '(- NEW.amount_fen)')}",
        "a matched bank line is unmatched before it is corrected",
    ),
)


def _function(name: str, key: str, condition: str, message: str) -> str:
    """The condition is read after the lock: whoever waited sees what the other wrote."""
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$ BEGIN "
        f"PERFORM pg_advisory_xact_lock(hashtextextended({key}, 0)); "
        f"IF {condition} THEN RAISE EXCEPTION '{message}'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
    )


# Guards of released tables are made with the newest table of ours that is sure to come after them.
BankMatchItemRow.__table__.add_is_dependent_on(SettlementRow.__table__)  # type: ignore[attr-defined]
_MADE_WITH = {row.__tablename__: row for row in _TABLES}
for _name, _table, _key, _condition, _message in _REFUSALS:
    guard(
        _MADE_WITH.get(_table, BankMatchItemRow).__table__,  # type: ignore[arg-type]
        sqlite=(
            (
                f"CREATE TRIGGER {_name} BEFORE INSERT ON {_table} WHEN {_condition} "
                f"BEGIN SELECT RAISE(ABORT, '{_message}'); END"
            ),
        ),
        postgresql=(
            _function(_name, _key, _condition, _message),
            f"CREATE TRIGGER {_name} BEFORE INSERT ON {_table} FOR EACH ROW EXECUTE FUNCTION {_name}()",
        ),
    )
