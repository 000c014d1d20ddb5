"""Rows of statements that did not go in: kept with their place until they are settled.

Owns that no row of a file is forgotten. A row counts as settled when its station's month was billed later,
or when somebody says why it may be left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session

from distribution.settlement.intake.tables import RefusedLineResolutionRow, RefusedLineRow
from distribution.settlement.tables import SettlementRow
from registry import audit
from registry.actors import Actor, Permission, in_area
from registry.stations import StationRow
from store.canonical import content_hash
from store.problem import Problem


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that does not go in: its number, account and month as far as they are known, and why."""

    row_number: int
    account_number: str
    month: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A kept row; `fate` is `excepted`, `corrected` (billed since) or `ignored` with a reason."""

    id: str
    file_name: str
    place: str
    row_number: int
    account_number: str
    month: str
    what: str
    how_to_fix: str
    recorded_at: datetime
    fate: str
    reason: str


def keep_refused(
    session: Session, actor: Actor, file: tuple[str, str], rows: Iterable[LeftOut], now: datetime
) -> None:
    """Keep the rows that a file, given as (name, SHA-256), could not bring in; each once."""
    values = {}
    for one in rows:
        key = content_hash([file[1], one.row_number, one.problem.what])[:32]
        values[f"refused:{key}"] = {
            "id": f"refused:{key}",
            "sha256": file[1],
            "file_name": file[0],
            "place": one.problem.where,
            "row_number": one.row_number,
            "account_number": one.account_number,
            "month": one.month,
            "what": one.problem.what,
            "how_to_fix": one.problem.how_to_fix,
            "area": actor.area,
            "recorded_at": now,
            "recorded_by": actor.user_id,
        }
    kept = set(session.scalars(select(RefusedLineRow.id).where(RefusedLineRow.sha256 == file[1])))
    new = [value for key, value in values.items() if key not in kept]
    if new:
        session.execute(insert(RefusedLineRow), new)


def refused_lines(
    session: Session, actor: Actor, *, month: str = "", open_only: bool = False
) -> tuple[RefusedLine, ...]:
    """Return kept rows of the actor's area by file and row; rows of an unreadable month count to all."""
    actor.require(Permission.VIEW_MONEY)
    billed_since = exists().where(
        StationRow.account_number == RefusedLineRow.account_number,
        SettlementRow.station_id == StationRow.id,
        SettlementRow.month == RefusedLineRow.month,
        SettlementRow.recorded_at > RefusedLineRow.recorded_at,
    )
    statement = (
        select(RefusedLineRow, RefusedLineResolutionRow.reason, billed_since)
        .outerjoin(RefusedLineResolutionRow, RefusedLineResolutionRow.refused_line_id == RefusedLineRow.id)
        .where(in_area(actor, RefusedLineRow.area))
    )
    if month:
        statement = statement.where(RefusedLineRow.month.in_((month, "")))
    order = (RefusedLineRow.recorded_at, RefusedLineRow.row_number, RefusedLineRow.id)
    found = tuple(
        _line(row, reason or "", billed=bool(billed))
        for row, reason, billed in session.execute(statement.order_by(*order))
    )
    return tuple(one for one in found if one.fate == "excepted") if open_only else found


def _line(row: RefusedLineRow, reason: str, *, billed: bool) -> RefusedLine:
    fate = "ignored" if reason else "corrected" if billed else "excepted"
    return RefusedLine(
        row.id,
        row.file_name,
        row.place,
        row.row_number,
        row.account_number,
        row.month,
        row.what,
        row.how_to_fix,
        row.recorded_at,
        fate,
        reason,
    )


def ignore_refused(session: Session, actor: Actor, line_id: str, reason: str, now: datetime) -> None:
    """Say once why a row may be left out.

    Raises LookupError outside the area, ValueError without a reason.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    statement = select(RefusedLineRow.id).where(
        RefusedLineRow.id == line_id, in_area(actor, RefusedLineRow.area)
    )
    if session.scalar(statement) is None:
        raise LookupError(f"辖区内没有未入库的行 {line_id}")
    if not reason.strip():
        raise ValueError("不再处理须写明原因")
    if session.get(RefusedLineResolutionRow, line_id) is not None:
        return
    session.add(
        RefusedLineResolutionRow(
            refused_line_id=line_id, reason=reason.strip(), recorded_at=now, recorded_by=actor.user_id
        )
    )
    session.flush()
    audit.record(session, actor, audit.Entry("ignore", "refused_line", line_id, after=reason), now)
