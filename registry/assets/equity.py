"""Who a station belongs to in the end: holdings looked through (股权穿透) down to divisions.

Owns table `equity_holding` and its arithmetic, which is exact. What comes out can be written down as the
shares of the station (`registry.stations.set_shares`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from math import lcm

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.actors import CODE_LENGTH, Actor, Permission
from registry.assets.tables import HoldingRow
from registry.facts import as_columns, as_record, holds_on, known, supersede
from registry.stations import StationShare, set_shares, station
from store.db import new_id
from store.problem import Problem, ProblemsError

_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Holding:
    """An owner's integer weight in a station or body, in [valid_from, valid_to), on a document."""

    owner: str
    held: str
    weight: int
    valid_from: date
    valid_to: date | None = None
    document: str = ""


def is_division(owner: str) -> bool:
    """Tell whether an owner is a division (12 digits) and not the name of a body."""
    return len(owner) == CODE_LENGTH and owner.isdigit()


def holdings(
    session: Session, actor: Actor, station_id: str, on: date, *, at: datetime | None = None
) -> tuple[Holding, ...]:
    """Return every holding on the way from a station to its last owners, on a day; empty outside the area."""
    actor.require(Permission.VIEW_STATIONS)
    if station(session, actor, station_id) is None:
        return ()
    found: dict[tuple[str, str], Holding] = {}
    wanted = {station_id}
    for _level in range(_DEEPEST):
        statement = select(HoldingRow).where(
            HoldingRow.held.in_(wanted), known(HoldingRow, at), holds_on(HoldingRow, on)
        )
        rows = session.scalars(statement.order_by(HoldingRow.held, HoldingRow.owner)).all()
        fresh = {(row.held, row.owner): as_record(Holding, row) for row in rows}
        wanted = {one.owner for key, one in fresh.items() if key not in found and not is_division(one.owner)}
        found |= fresh
        if not wanted:
            break
    return tuple(found.values())


def look_through(parts: Collection[Holding], held: str) -> Mapping[str, Fraction]:
    """Return each division's exact part of `held`; the parts sum to 1. Pure.

    Raises ProblemsError for a circle of holdings, and for a body that nobody holds.
    """
    return _parts(parts, held, ())


def _parts(parts: Collection[Holding], held: str, way: tuple[str, ...]) -> dict[str, Fraction]:
    if held in way:
        circle = " → ".join((*way[way.index(held) :], held))
        raise ProblemsError([Problem("股权", f"互相持股成了一圈：{circle}", "核对持股登记，去掉其中一条")])
    own = [one for one in parts if one.held == held]
    total = sum(one.weight for one in own)
    if not total:
        raise ProblemsError([Problem("股权", f"“{held}”没有登记持有人", "登记它的持有人，直到村为止")])
    found: dict[str, Fraction] = {}
    for one in own:
        part = Fraction(one.weight, total)
        below = {one.owner: Fraction(1)} if is_division(one.owner) else _parts(parts, one.owner, (*way, held))
        for code, share in below.items():
            found[code] = found.get(code, Fraction(0)) + part * share
    return found


def set_holdings(
    session: Session, actor: Actor, held: str, parts: Collection[Holding], now: datetime
) -> None:
    """Replace what is known of who holds a station or body; earlier knowledge stays readable.

    Only somebody of the whole county may, since a body may hold stations anywhere.
    """
    actor.require(Permission.EDIT_REGISTRY)
    for row in session.scalars(select(HoldingRow).where(HoldingRow.held == held, known(HoldingRow))).all():
        supersede(row, actor, now)
    session.flush()
    for part in parts:
        row = HoldingRow(id=new_id("holding"), **as_columns(part), recorded_at=now, recorded_by=actor.user_id)
        session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("record", "equity_holding", held), now)


def share_by_equity(
    session: Session, actor: Actor, station_id: str, on: date, now: datetime
) -> tuple[StationShare, ...]:
    """Write the looked-through parts of a station down as its shares from a day on; return them.

    Raises ProblemsError where a last owner is no village, or the holdings do not reach the villages.
    """
    parts = look_through(holdings(session, actor, station_id, on), station_id)
    above = sorted(code for code in parts if code.endswith("000"))
    if above:
        raise ProblemsError([Problem("股权", f"{above[0]} 不是村", "把它的份额登记到村，再写入电站份额")])
    scale = lcm(*(part.denominator for part in parts.values()))
    shares = tuple(
        StationShare(station_id, code, int(part * scale), on) for code, part in sorted(parts.items())
    )
    set_shares(session, actor, station_id, shares, now)
    return shares
