"""Divisions: province, prefecture, county, township and village with their dated 12-digit codes.

Owns who lies where and what it is called. A code may change with a year's edition: the row of the old
code ends, a new one begins, and `id` stays the division's own name for ever.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.actors import CODE_LENGTH, Actor, Permission, scope
from registry.facts import Dated, Recorded, as_columns, as_record, holds_on
from store.db import Base

SIGNIFICANT_DIGITS = {"province": 2, "prefecture": 4, "county": 6, "township": 9, "village": 12}


class DivisionLevel(StrEnum):
    """The five levels of division."""

    PROVINCE = "province"
    PREFECTURE = "prefecture"
    COUNTY = "county"
    TOWNSHIP = "township"
    VILLAGE = "village"


class DivisionRow(Dated, Recorded, Base):
    """Table `division`: one code of one division in one span of days."""

    __tablename__ = "division"
    __table_args__ = (
        CheckConstraint("length(code) = 12", name="code_length"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("level IN ('province', 'prefecture', 'county', 'township', 'village')", name="level"),
        Index(None, "code", "valid_from", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    name: Mapped[str]
    level: Mapped[str]
    parent_code: Mapped[str]


@dataclass(frozen=True, slots=True)
class Division:
    """A division: its 12-digit code, its name, its level, and the code of the division above it."""

    id: str
    code: str
    name: str
    level: str
    parent_code: str
    valid_from: date
    valid_to: date | None = None


def add_division(session: Session, actor: Actor, division: Division, now: datetime) -> None:
    """Record a division; raises ValueError when its code does not fit its level or its parent."""
    actor.require(Permission.EDIT_REGISTRY)
    digits = SIGNIFICANT_DIGITS[division.level]
    if len(division.code) != CODE_LENGTH or not division.code.isdigit():
        raise ValueError(f"{division.code} 不是 12 位区划代码")
    if division.code[digits:].strip("0"):
        raise ValueError(f"{division.code} 不是 {division.level} 一级的区划代码")
    if division.parent_code and not division.code.startswith(division.parent_code.rstrip("0")):
        raise ValueError(f"{division.code} 不在上级区划 {division.parent_code} 之内")
    session.add(DivisionRow(**as_columns(division), recorded_at=now, recorded_by=actor.user_id))
    session.flush()


def divisions(
    session: Session, actor: Actor, level: DivisionLevel | None = None, *, on: date | None = None
) -> tuple[Division, ...]:
    """Return the divisions inside the actor's area, by code; `on` limits them to those that hold that day."""
    actor.require(Permission.VIEW_PUBLIC)
    statement = scope(select(DivisionRow), actor, DivisionRow.code).order_by(
        DivisionRow.code, DivisionRow.valid_from
    )
    if level is not None:
        statement = statement.where(DivisionRow.level == level)
    statement = statement.where(DivisionRow.valid_to.is_(None) if on is None else holds_on(DivisionRow, on))
    return tuple(as_record(Division, row) for row in session.scalars(statement))


def villages(session: Session, actor: Actor, *, on: date | None = None) -> tuple[Division, ...]:
    """Return the villages inside the actor's area, by code."""
    return divisions(session, actor, DivisionLevel.VILLAGE, on=on)


def townships(session: Session, actor: Actor, *, on: date | None = None) -> tuple[Division, ...]:
    """Return the townships inside the actor's area, by code."""
    return divisions(session, actor, DivisionLevel.TOWNSHIP, on=on)


def division_name(session: Session, code: str) -> str:
    """Return the latest name of a division code, or the code itself where it is unknown.

    Names of divisions are public, so no actor is asked for.
    """
    statement = select(DivisionRow.name).where(DivisionRow.code == code)
    return session.scalar(statement.order_by(DivisionRow.valid_from.desc()).limit(1)) or code


def division_names(session: Session) -> dict[str, str]:
    """Return the latest name of every division by its code; names are public."""
    statement = select(DivisionRow.code, DivisionRow.name).order_by(DivisionRow.valid_from)
    return {row.code: row.name for row in session.execute(statement)}
