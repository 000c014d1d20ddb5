"""Dated facts that are superseded, never edited.

Owns the columns of a bi-temporal fact (when it is valid, when and by whom it was recorded, when it was
superseded) and the guards that keep it so on both databases. It knows no particular table.
"""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Table, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from registry.actors import Actor
from store.db import UtcDateTime, guard

Record = TypeVar("Record")


class Recorded:
    """Mixin: when and by whom a row was recorded."""

    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class Dated:
    """Mixin: the half-open span of days [valid_from, valid_to) in which a fact holds; None is open-ended."""

    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class Fact(Dated, Recorded):
    """Mixin of a bi-temporal fact: `superseded_at` is None while the row is what is known."""

    superseded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    superseded_by: Mapped[str] = mapped_column(default="")


class FactTable(Protocol):
    """What the conditions below need of a mapped class."""

    valid_from: Any
    valid_to: Any
    recorded_at: Any
    superseded_at: Any


def known(table: type[Any], at: datetime | None = None) -> ColumnElement[bool]:
    """Return the condition that a fact is what is known now, or was what was known at an instant."""
    if at is None:
        condition: ColumnElement[bool] = table.superseded_at.is_(None)
        return condition
    return and_(table.recorded_at <= at, or_(table.superseded_at.is_(None), table.superseded_at > at))


def overlaps(table: type[Any], start: date, end: date | None) -> ColumnElement[bool]:
    """Return the condition that a fact holds on some day of [start, end)."""
    open_or_later = or_(table.valid_to.is_(None), table.valid_to > start)
    return open_or_later if end is None else and_(table.valid_from < end, open_or_later)


def holds_on(table: type[Any], on: date) -> ColumnElement[bool]:
    """Return the condition that a fact holds on a day."""
    return and_(table.valid_from <= on, or_(table.valid_to.is_(None), table.valid_to > on))


def as_record(record: type[Record], row: Any) -> Record:
    """Return the frozen record of a row: the fields of the record, by name."""
    return record(**{field.name: getattr(row, field.name) for field in fields(record)})  # type: ignore[arg-type]


def as_columns(record: Any) -> dict[str, Any]:
    """Return the columns of a record for writing, by name."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def supersede(row: Any, actor: Actor, now: datetime) -> None:
    """Mark a fact as no longer what is known; raises ValueError when it already is superseded."""
    if row.superseded_at is not None:
        raise ValueError(f"the fact {row.id} is superseded already")
    row.superseded_at = now
    row.superseded_by = actor.user_id


def guard_facts(table: Table, *, mutable: Sequence[str] = ()) -> None:
    """Make a fact table refuse deletion, and any update but superseding once.

    `mutable` names columns that may be rewritten (ciphertexts, when the key is rotated).
    """
    free = {"superseded_at", "superseded_by", *mutable}
    fixed = ", ".join(column.name for column in table.columns if column.name not in free)
    name = table.name
    guard(
        table,
        sqlite=(
            (
                f"CREATE TRIGGER {name}_fixed BEFORE UPDATE OF {fixed} ON {name} "
                f"BEGIN SELECT RAISE(ABORT, '{name} is superseded, never edited'); END"
            ),
            (
                f"CREATE TRIGGER {name}_superseded_once BEFORE UPDATE OF superseded_at ON {name} "
                f"WHEN OLD.superseded_at IS NOT NULL AND NEW.superseded_at IS NOT OLD.superseded_at "
                f"BEGIN SELECT RAISE(ABORT, '{name} is superseded once'); END"
            ),
            (
                f"CREATE TRIGGER {name}_kept BEFORE DELETE ON {name} "
                f"BEGIN SELECT RAISE(ABORT, '{name} keeps its history'); END"
            ),
        ),
        postgresql=(
            (
                "CREATE OR REPLACE FUNCTION sunledger_fact_fixed() RETURNS trigger AS $$ "
                "BEGIN RAISE EXCEPTION '% is superseded, never edited', TG_TABLE_NAME; END $$ "
                "LANGUAGE plpgsql"
            ),
            (
                f"CREATE TRIGGER {name}_fixed BEFORE UPDATE OF {fixed} ON {name} "
                "FOR EACH ROW EXECUTE FUNCTION sunledger_fact_fixed()"
            ),
            (
                f"CREATE TRIGGER {name}_superseded_once BEFORE UPDATE OF superseded_at ON {name} "
                "FOR EACH ROW "
                "WHEN (OLD.superseded_at IS NOT NULL AND "
                "NEW.superseded_at IS DISTINCT FROM OLD.superseded_at) "
                "EXECUTE FUNCTION sunledger_fact_fixed()"
            ),
            (
                f"CREATE TRIGGER {name}_kept BEFORE DELETE ON {name} "
                "FOR EACH ROW EXECUTE FUNCTION sunledger_fact_fixed()"
            ),
        ),
    )


def guard_no_overlap(table: Table, *, key: Sequence[str], what: str, only: str = "") -> None:
    """Make a fact table refuse two rows that are known, have the same key and share a day.

    `only` names a boolean column: rows where it is false are not looked at.

    On PostgreSQL the writers of one key are serialised by an advisory lock, so that two transactions
    which do not see each other cannot both pass.
    """
    name = table.name
    same = " AND ".join(f"other.{column} = NEW.{column}" for column in key)
    shared = (
        f"SELECT 1 FROM {name} AS other WHERE {same} AND other.id <> NEW.id "  # noqa: S608, names of our own tables
        "AND other.superseded_at IS NULL "
        "AND (other.valid_to IS NULL OR other.valid_to > NEW.valid_from) "
        "AND (NEW.valid_to IS NULL OR NEW.valid_to > other.valid_from)"
    )
    if only:
        shared += f" AND NEW.{only} AND other.{only}"
    lock_key = " || '|' || ".join(f"NEW.{column}" for column in key)
    guard(
        table,
        sqlite=(
            (
                f"CREATE TRIGGER {name}_no_overlap BEFORE INSERT ON {name} WHEN NEW.superseded_at IS NULL "
                f"AND EXISTS ({shared}) BEGIN SELECT RAISE(ABORT, '{what}'); END"
            ),
        ),
        postgresql=(
            (
                f"CREATE OR REPLACE FUNCTION {name}_no_overlap() RETURNS trigger AS $$ BEGIN "
                f"PERFORM pg_advisory_xact_lock(hashtextextended('{name}|' || {lock_key}, 0)); "
                f"IF NEW.superseded_at IS NULL AND EXISTS ({shared}) THEN RAISE EXCEPTION '{what}'; END IF; "
                "RETURN NEW; END $$ LANGUAGE plpgsql"
            ),
            (
                f"CREATE TRIGGER {name}_no_overlap BEFORE INSERT ON {name} "
                f"FOR EACH ROW EXECUTE FUNCTION {name}_no_overlap()"
            ),
        ),
    )
