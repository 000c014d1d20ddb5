"""Ending and moving dated facts of households, bi-temporally.

Owns the one way in which the roll ends a fact on a day: the open fact is superseded by a closed one, or by
nothing when it had not begun.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.actors import Actor
from registry.facts import known, supersede
from store.db import new_id

_STAMPS = frozenset({"id", "recorded_at", "recorded_by", "superseded_at", "superseded_by"})


def columns_of(row: Any) -> dict[str, Any]:
    """Return a fact's own columns, without its id and stamps."""
    return {
        column.name: getattr(row, column.name)
        for column in row.__table__.columns
        if column.name not in _STAMPS
    }


def open_facts(session: Session, table: type[Any], household_id: str, on: date) -> Sequence[Any]:
    """Return what is known of a household and holds on a day or later, by first day."""
    statement = select(table).where(
        table.household_id == household_id,
        known(table),
        table.valid_to.is_(None) | (table.valid_to > on),
    )
    return session.scalars(statement.order_by(table.valid_from, table.id)).all()


def put(session: Session, actor: Actor, table: type[Any], columns: dict[str, Any], now: datetime) -> str:
    """Record a fact from its columns and return its id."""
    row = table(
        id=new_id(table.__tablename__.rpartition("_")[2]),
        **columns,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    made: str = row.id
    return made


def end_fact(session: Session, actor: Actor, row: Any, on: date, now: datetime) -> None:
    """End a fact on a day (its first day without it); a fact that begins then or later never holds."""
    supersede(row, actor, now)
    session.flush()
    if row.valid_from < on:
        put(session, actor, type(row), {**columns_of(row), "valid_to": on}, now)
