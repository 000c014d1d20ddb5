"""What stations, devices, meters and households looked like before they were changed.

Owns table `entity_revision`: each replaced state of a row, with the span in which it was what was known.
Dated facts need it not; they are superseded in their own tables (`registry.facts`).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Date, Float, Index, Select, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.actors import Actor
from store.canonical import canonical_json
from store.db import Base, UtcDateTime, guard_append_only, new_id


class EntityRevisionRow(Base):
    """Table `entity_revision`: a state that was known in [recorded_at, superseded_at)."""

    __tablename__ = "entity_revision"
    __table_args__ = (
        CheckConstraint("superseded_at >= recorded_at", name="dates"),
        Index(None, "kind", "entity_id", "superseded_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    entity_id: Mapped[str]
    content: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]
    superseded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    superseded_by: Mapped[str]


guard_append_only(EntityRevisionRow.__table__)  # type: ignore[arg-type]

_STAMPS = frozenset({"recorded_at", "recorded_by"})


def content_of(row: Any) -> str:
    """Return the canonical JSON of a row's own columns, without the stamps of recording."""
    return canonical_json(
        {
            column.name: _exact(getattr(row, column.name))
            for column in row.__table__.columns
            if column.name not in _STAMPS
        }
    )


def _exact(value: object) -> object:
    return Decimal(repr(value)) if isinstance(value, float) else value


def revise(session: Session, actor: Actor, row: Any, changes: Mapping[str, Any], now: datetime) -> bool:
    """Change columns of a row; keep the state before, and audit it. Return whether anything changed.

    A clock that was set back does not make a state end before it began.
    """
    if all(getattr(row, name) == value for name, value in changes.items()):
        return False
    before = content_of(row)
    session.add(
        EntityRevisionRow(
            id=new_id("revision"),
            kind=row.__tablename__,
            entity_id=row.id,
            content=before,
            recorded_at=row.recorded_at,
            recorded_by=row.recorded_by,
            superseded_at=max(now, row.recorded_at),
            superseded_by=actor.user_id,
        )
    )
    for name, value in changes.items():
        setattr(row, name, value)
    row.recorded_at, row.recorded_by = now, actor.user_id
    session.flush()
    detail = {"columns": sorted(changes)}
    entry = audit.Entry("update", row.__tablename__, row.id, before, content_of(row), detail=detail)
    audit.record(session, actor, entry, now)
    return True


def known_at(session: Session, row: Any, at: datetime) -> Mapping[str, Any] | None:
    """Return the columns of a row as they were known at an instant, or None when it was not known yet.

    Dates come as text and figures as they are in canonical JSON; it is for showing, not for computing.
    """
    statement = (
        select(EntityRevisionRow)
        .where(EntityRevisionRow.kind == row.__tablename__, EntityRevisionRow.entity_id == row.id)
        .where(EntityRevisionRow.superseded_at > at)
        .order_by(EntityRevisionRow.superseded_at)
        .limit(1)
    )
    found = session.scalar(statement)
    if found is not None:
        return _columns(found.content) if found.recorded_at <= at else None
    return _columns(content_of(row)) if row.recorded_at <= at else None


def known_of_all(
    session: Session, rows: Sequence[Any], ids: Select[Any], at: datetime
) -> dict[str, Mapping[str, Any]]:
    """Return the columns of rows of one table as known at an instant, by id; unknown ones are left out.

    `ids` selects the ids of all of them, so that one question reads every state that held then.
    """
    if not rows:
        return {}
    kind = rows[0].__tablename__
    statement = (
        select(EntityRevisionRow)
        .where(EntityRevisionRow.kind == kind, EntityRevisionRow.superseded_at > at)
        .where(EntityRevisionRow.entity_id.in_(ids))
        .order_by(EntityRevisionRow.superseded_at.desc())
    )
    former = {one.entity_id: one for one in session.scalars(statement)}
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        one = former.get(row.id)
        if one is None and row.recorded_at <= at:
            found[row.id] = _columns(content_of(row))
        elif one is not None and one.recorded_at <= at:
            found[row.id] = _columns(one.content)
    return found


def _columns(content: str) -> dict[str, Any]:
    columns: dict[str, Any] = json.loads(content)
    return columns


def restored(row: Any, content: str) -> dict[str, Any]:
    """Return the columns of a kept state with the types of the row's table, for writing them back."""
    plain = json.loads(content)
    return {
        column.name: _typed(column.type, plain[column.name])
        for column in row.__table__.columns
        if column.name in plain
    }


def _typed(kind: object, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, UtcDateTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    return float(value["decimal"]) if isinstance(kind, Float) else value
