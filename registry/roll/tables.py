"""Tables of the roll: household events, measures, reviews, comparisons.

Owns the rows and their guards only. A number of a person is kept as keyed hash and mask, never whole.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from registry.actors import CODE_LENGTH
from registry.facts import Fact, Recorded, guard_facts, guard_no_overlap
from registry.households import HouseholdRow
from store.db import Base, UtcDateTime, guard, guard_append_only

assert HouseholdRow.__tablename__ == "household"  # noqa: S101, the table that the rows below point at
_OPEN = "decision = ''"


class HouseholdEventRow(Recorded, Base):
    """Table `household_event`: what happened to a household on a day, on a document."""

    __tablename__ = "household_event"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('exit', 'return', 'split', 'merge', 'death', 'birth', 'head')",
            name="kind",
        ),
        CheckConstraint("document <> ''", name="document"),
        CheckConstraint(
            "continued_until IS NULL OR (kind = 'exit' AND continued_until >= happened_on)", name="continued"
        ),
        CheckConstraint(
            "(kind IN ('split', 'merge')) = (other_household_id IS NOT NULL)",
            name="other",
        ),
        Index(None, "household_id", "happened_on"),
        Index(None, "other_household_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    kind: Mapped[str]
    happened_on: Mapped[date]
    other_household_id: Mapped[str | None] = mapped_column(ForeignKey("household.id"))
    member_id: Mapped[str]
    continued_until: Mapped[date | None]
    document: Mapped[str]
    note: Mapped[str]


class MeasureRow(Fact, Base):
    """Table `household_measure`: points, stars, work done of a household in a month, in thousandths."""

    __tablename__ = "household_measure"
    __table_args__ = (
        CheckConstraint("valid_to IS NOT NULL AND valid_to > valid_from", name="dates"),
        CheckConstraint("thousandths >= 0", name="thousandths"),
        CheckConstraint("length(village_code) = 12", name="village_code"),
        Index(None, "village_code", "measure"),
        Index(None, "household_id", "measure"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    measure: Mapped[str]
    period: Mapped[str] = mapped_column(String(7))
    thousandths: Mapped[int] = mapped_column(BigInteger)
    document: Mapped[str]


class ReviewRow(Recorded, Base):
    """Table `household_review`: a yearly or half-yearly review (核查) of an area, with its deadline."""

    __tablename__ = "household_review"
    __table_args__ = (
        CheckConstraint("kind IN ('yearly', 'half_yearly')", name="kind"),
        CheckConstraint("due_on >= opened_on", name="dates"),
        Index(None, "area", "period", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    period: Mapped[str] = mapped_column(String(7))
    area: Mapped[str] = mapped_column(String(CODE_LENGTH))
    title: Mapped[str]
    document: Mapped[str]
    opened_on: Mapped[date]
    due_on: Mapped[date]


class ReviewSignatureRow(Recorded, Base):
    """Table `household_review_signature`: a village has looked at every household, on a document."""

    __tablename__ = "household_review_signature"
    __table_args__ = (CheckConstraint("document <> ''", name="document"),)

    review_id: Mapped[str] = mapped_column(ForeignKey("household_review.id"), primary_key=True)
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH), primary_key=True)
    document: Mapped[str]
    households: Mapped[int]


class FindingRow(Recorded, Base):
    """Table `household_finding`: what a review found of one household; a later one replaces it.

    `applied_at` tells when the finding changed an enrolment, on its document.
    """

    __tablename__ = "household_finding"
    __table_args__ = (
        CheckConstraint("outcome IN ('keep', 'enrol', 'end', 'change')", name="outcome"),
        CheckConstraint("outcome = 'keep' OR (component <> '' AND document <> '')", name="basis"),
        CheckConstraint("(outcome = 'keep') = (effective_on IS NULL)", name="effective"),
        CheckConstraint("(applied_at IS NULL) = (applied_by = '')", name="applied"),
        CheckConstraint("applied_by = '' OR applied_by <> recorded_by", name="two_people"),
        Index(None, "review_id", "household_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    review_id: Mapped[str] = mapped_column(ForeignKey("household_review.id"))
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    outcome: Mapped[str]
    component: Mapped[str]
    weight: Mapped[int | None] = mapped_column(BigInteger)
    effective_on: Mapped[date | None]
    document: Mapped[str]
    note: Mapped[str]
    applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    applied_by: Mapped[str]


class ExchangeRow(Recorded, Base):
    """Table `exchange`: a list of another department, compared with the roll; the file itself is not kept."""

    __tablename__ = "exchange"
    __table_args__ = (
        CheckConstraint("kind IN ('dibao', 'disabled', 'death')", name="kind"),
        Index(None, "area", "recorded_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    department: Mapped[str]
    as_of: Mapped[date]
    area: Mapped[str]
    file_name: Mapped[str]
    file_hash: Mapped[str] = mapped_column(String(64))


class ExchangeMatchRow(Base):
    """Table `exchange_match`: one person of a comparison, and what was decided of the proposal."""

    __tablename__ = "exchange_match"
    __table_args__ = (
        CheckConstraint("outcome IN ('same', 'name_differs', 'only_there', 'only_here')", name="outcome"),
        CheckConstraint("decision IN ('', 'accepted', 'rejected')", name="decision"),
        CheckConstraint("(decision = '') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("decision = '' OR document <> ''", name="document"),
        Index(None, "exchange_id", "outcome"),
        Index(
            "ux_exchange_match_person",
            "exchange_id",
            "id_number_hash",
            unique=True,
            sqlite_where=text("id_number_hash <> ''"),
            postgresql_where=text("id_number_hash <> ''"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    exchange_id: Mapped[str] = mapped_column(ForeignKey("exchange.id"))
    outcome: Mapped[str]
    id_number_hash: Mapped[str]
    id_number_masked: Mapped[str]
    name_there: Mapped[str]
    name_here: Mapped[str]
    household_id: Mapped[str]
    member_id: Mapped[str]
    village_code: Mapped[str]
    since: Mapped[date | None]
    proposal: Mapped[str]
    decision: Mapped[str]
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str]
    document: Mapped[str]


guard_append_only(HouseholdEventRow.__table__)  # type: ignore[arg-type]
guard_facts(MeasureRow.__table__)  # type: ignore[arg-type]
guard_no_overlap(
    MeasureRow.__table__,  # type: ignore[arg-type]
    key=("household_id", "measure"),
    what="a household has one figure of a measure for a span",
)
guard_append_only(ReviewRow.__table__)  # type: ignore[arg-type]
guard_append_only(ReviewSignatureRow.__table__)  # type: ignore[arg-type]
guard_append_only(ExchangeRow.__table__)  # type: ignore[arg-type]


def _guard_decided_once(row: type[Base], *, decided: tuple[str, ...], open_while: str) -> None:
    """Make a table keep what was found, and take one decision."""
    table = row.__table__
    name = row.__tablename__
    found = ", ".join(column.name for column in table.columns if column.name not in decided)
    closing = ", ".join(decided)
    guard(
        table,  # type: ignore[arg-type]
        sqlite=(
            (
                f"CREATE TRIGGER {name}_found BEFORE UPDATE OF {found} ON {name} "
                f"BEGIN SELECT RAISE(ABORT, '{name} is not edited'); END"
            ),
            (
                f"CREATE TRIGGER {name}_decided BEFORE UPDATE OF {closing} ON {name} "
                f"WHEN NOT (OLD.{open_while}) BEGIN SELECT RAISE(ABORT, '{name} is decided once'); END"
            ),
            (
                f"CREATE TRIGGER {name}_kept BEFORE DELETE ON {name} "
                f"BEGIN SELECT RAISE(ABORT, '{name} is kept'); END"
            ),
        ),
        postgresql=(
            (
                "CREATE OR REPLACE FUNCTION sunledger_decided_once() RETURNS trigger AS $$ "
                "BEGIN RAISE EXCEPTION '% is decided once and kept', TG_TABLE_NAME; END $$ LANGUAGE plpgsql"
            ),
            (
                f"CREATE TRIGGER {name}_found BEFORE UPDATE OF {found} ON {name} "
                "FOR EACH ROW EXECUTE FUNCTION sunledger_decided_once()"
            ),
            (
                f"CREATE TRIGGER {name}_decided BEFORE UPDATE OF {closing} ON {name} "
                f"FOR EACH ROW WHEN (NOT (OLD.{open_while})) EXECUTE FUNCTION sunledger_decided_once()"
            ),
            (
                f"CREATE TRIGGER {name}_kept BEFORE DELETE ON {name} "
                "FOR EACH ROW EXECUTE FUNCTION sunledger_decided_once()"
            ),
        ),
    )


_guard_decided_once(FindingRow, decided=("applied_at", "applied_by"), open_while="applied_at IS NULL")
_guard_decided_once(
    ExchangeMatchRow,
    decided=("decision", "decided_at", "decided_by", "document"),
    open_while=_OPEN,
)
