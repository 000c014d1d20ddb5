"""The queue of differences: who looks after each until when, and how it was settled.

Owns the reads of recorded differences, their assignment and their resolution, each once and append-only.
What is compared and why figures differ is `matching`'s. Revenue follows the grid's meter; measured energy
is evidence, never the source of an amount.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from distribution.settlement.matching.tables import DiscrepancyEventRow, MatchFindingRow, MatchResultRow
from distribution.settlement.tables import DiscrepancyResolutionRow, DiscrepancyRow
from registry import audit
from registry.actors import Actor, Permission
from registry.stations import StationRow, station_in_area

OUTCOMES = {"explained": "已说明", "corrected": "已更正", "ignored": "不再处理"}
FEN_PER_KWH = 60
"""What a kWh counts for when energy and money are put in one order, the worst first."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A recorded difference; `outcome` is empty while nobody has resolved it.

    `journal` names the entry where money moved; `is_past` says that later figures no longer show it.
    """

    id: str
    station_id: str
    month: str
    kind: str
    expected: int
    found: int
    unit: str
    text: str
    cause: str
    recorded_at: datetime
    outcome: str = ""
    reason: str = ""
    journal: str = ""
    owner: str = ""
    due_on: date | None = None
    is_past: bool = False

    @property
    def weight_fen(self) -> int:
        """How much it weighs in the order of the list [fen]; an energy counts at a nominal price."""
        off = abs(self.found - self.expected)
        return off * FEN_PER_KWH // 1_000 if self.unit == "Wh" else off

    @property
    def cause_name(self) -> str:
        """The cause in a word or two."""
        return self.cause.partition("：")[0]


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a difference is settled: `explained`, `corrected` or `ignored`, why, and the entry if any."""

    outcome: str
    reason: str
    journal: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who looks after a difference, until when, and what was said."""

    owner: str
    due_on: date
    note: str = ""


@dataclass(frozen=True, slots=True)
class DiscrepancyEvent:
    """One entry of a difference's history."""

    seq: int
    owner: str
    due_on: date
    note: str
    recorded_at: datetime
    recorded_by: str


def discrepancies(  # noqa: PLR0913, each filter may be left out
    session: Session,
    actor: Actor,
    *,
    month: str = "",
    station_id: str = "",
    open_only: bool = False,
    with_past: bool = False,
) -> tuple[Discrepancy, ...]:
    """Return recorded differences of the actor's stations, the largest first.

    Those that the newest match no longer finds are left out unless `with_past`.
    """
    actor.require(Permission.VIEW_MONEY)
    statement = _rows(actor)
    if month:
        statement = statement.where(DiscrepancyRow.month == month)
    if station_id:
        statement = statement.where(DiscrepancyRow.station_id == station_id)
    if open_only:
        statement = statement.where(DiscrepancyResolutionRow.discrepancy_id.is_(None))
    found = _discrepancies(session, statement)
    shown = [one for one in found if with_past or not one.is_past]
    return tuple(sorted(shown, key=lambda one: (bool(one.outcome), -one.weight_fen, one.id)))


def discrepancy(session: Session, actor: Actor, discrepancy_id: str) -> Discrepancy | None:
    """Return one recorded difference of the actor's stations, or None."""
    actor.require(Permission.VIEW_MONEY)
    found = _discrepancies(session, _rows(actor).where(DiscrepancyRow.id == discrepancy_id))
    return found[0] if found else None


def _rows(actor: Actor) -> Select[DiscrepancyRow, DiscrepancyResolutionRow]:
    return (
        select(DiscrepancyRow, DiscrepancyResolutionRow)
        .join(StationRow, StationRow.id == DiscrepancyRow.station_id)
        .outerjoin(DiscrepancyResolutionRow, DiscrepancyResolutionRow.discrepancy_id == DiscrepancyRow.id)
        .where(station_in_area(actor))
        .order_by(DiscrepancyRow.id)
    )


def _discrepancies(
    session: Session, statement: Select[DiscrepancyRow, DiscrepancyResolutionRow]
) -> list[Discrepancy]:
    rows = session.execute(statement).all()
    months = {row[0].month for row in rows}
    held = _still_found(session, months)
    owners = _owners(session, months)
    found = []
    for row, resolution in rows:
        owner, due_on = owners.get(row.id, ("", None))
        current = held.get((row.station_id, row.month))
        found.append(
            Discrepancy(
                row.id,
                row.station_id,
                row.month,
                row.kind,
                row.expected,
                row.found,
                row.unit,
                row.text,
                row.cause,
                row.recorded_at,
                "" if resolution is None else resolution.outcome,
                "" if resolution is None else resolution.reason,
                "" if resolution is None else resolution.source,
                owner,
                due_on,
                current is not None and row.id not in current,
            )
        )
    return found


def _still_found(session: Session, months: set[str]) -> dict[tuple[str, str], set[str]]:
    """Return the differences that the newest match of each station and month finds."""
    last: dict[tuple[str, str], str] = {}
    columns = (MatchResultRow.station_id, MatchResultRow.month, MatchResultRow.id)
    statement = select(*columns).where(MatchResultRow.month.in_(months))
    for station_id, month, result_id in session.execute(statement.order_by(MatchResultRow.revision)):
        last[station_id, month] = result_id
    found: dict[str, set[str]] = {result_id: set() for result_id in last.values()}
    linked = (
        select(MatchFindingRow.match_id, MatchFindingRow.discrepancy_id)
        .join(MatchResultRow, MatchResultRow.id == MatchFindingRow.match_id)
        .where(MatchResultRow.month.in_(months))
    )
    for match_id, discrepancy_id in session.execute(linked):
        if match_id in found:
            found[match_id].add(discrepancy_id)
    return {key: found[result_id] for key, result_id in last.items()}


def _owners(session: Session, months: set[str]) -> dict[str, tuple[str, date]]:
    statement = (
        select(DiscrepancyEventRow.discrepancy_id, DiscrepancyEventRow.owner, DiscrepancyEventRow.due_on)
        .join(DiscrepancyRow, DiscrepancyRow.id == DiscrepancyEventRow.discrepancy_id)
        .where(DiscrepancyRow.month.in_(months))
        .order_by(DiscrepancyEventRow.seq)
    )
    return {row[0]: (row[1], row[2]) for row in session.execute(statement)}


def discrepancy_events(session: Session, actor: Actor, discrepancy_id: str) -> tuple[DiscrepancyEvent, ...]:
    """Return who looked after a difference of the actor's stations, in order."""
    if discrepancy(session, actor, discrepancy_id) is None:
        return ()
    statement = select(DiscrepancyEventRow).where(DiscrepancyEventRow.discrepancy_id == discrepancy_id)
    return tuple(
        DiscrepancyEvent(row.seq, row.owner, row.due_on, row.note, row.recorded_at, row.recorded_by)
        for row in session.scalars(statement.order_by(DiscrepancyEventRow.seq))
    )


def _require(session: Session, actor: Actor, discrepancy_id: str) -> None:
    actor.require(Permission.IMPORT_SETTLEMENT)
    statement = (
        select(DiscrepancyRow.id)
        .join(StationRow, StationRow.id == DiscrepancyRow.station_id)
        .where(DiscrepancyRow.id == discrepancy_id, station_in_area(actor))
    )
    if session.scalar(statement) is None:
        raise LookupError(f"辖区内没有差异 {discrepancy_id}")


def assign_discrepancy(
    session: Session, actor: Actor, discrepancy_id: str, assignment: Assignment, now: datetime
) -> int:
    """Give a difference to somebody with a day; returns the number of the entry.

    Raises LookupError outside the area, ValueError without an owner.
    """
    _require(session, actor, discrepancy_id)
    if not assignment.owner.strip():
        raise ValueError("须写明由谁处理")
    last = select(func.max(DiscrepancyEventRow.seq)).where(
        DiscrepancyEventRow.discrepancy_id == discrepancy_id
    )
    seq = (session.scalar(last) or 0) + 1
    row = DiscrepancyEventRow(
        discrepancy_id=discrepancy_id,
        seq=seq,
        owner=assignment.owner.strip(),
        due_on=assignment.due_on,
        note=assignment.note.strip(),
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    return seq


def resolve_discrepancy(
    session: Session, actor: Actor, discrepancy_id: str, resolution: Resolution, now: datetime
) -> bool:
    """Resolve a difference once; tell whether this was the resolution that counts.

    Raises LookupError outside the area, ValueError without a reason or for an unknown outcome.
    """
    _require(session, actor, discrepancy_id)
    if not resolution.reason.strip():
        raise ValueError("处理差异须写明原因")
    if resolution.outcome not in OUTCOMES:
        raise ValueError(f"没有“{resolution.outcome}”这种处理结果")
    if session.get(DiscrepancyResolutionRow, discrepancy_id) is not None:
        return False
    row = DiscrepancyResolutionRow(
        discrepancy_id=discrepancy_id,
        outcome=resolution.outcome,
        reason=resolution.reason.strip(),
        source=resolution.journal,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("resolve", "discrepancy", discrepancy_id, after=resolution), now)
    return True
