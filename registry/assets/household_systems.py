"""户用 groups: which households' roofs a station consists of.

Owns table `household_system`. It names households by id only.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.actors import Actor, Permission, in_area
from registry.assets.tables import HouseholdSystemRow
from registry.facts import as_columns, as_record, holds_on, known
from registry.stations import StationKind, StationRow, station
from store.db import new_id
from store.problem import Problem, ProblemsError


@dataclass(frozen=True, slots=True)
class HouseholdSystem:
    """A household's part of a 户用 group [W] in [valid_from, valid_to), with its own 户号."""

    station_id: str
    household_id: str
    village_code: str
    rated_power_w: int
    valid_from: date
    valid_to: date | None = None
    account_number: str = ""
    document: str = ""


def household_systems(
    session: Session, actor: Actor, station_id: str, *, on: date | None = None, at: datetime | None = None
) -> tuple[HouseholdSystem, ...]:
    """Return the household systems of a group in the actor's area, as known now or `at` an instant."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = select(HouseholdSystemRow).where(
        HouseholdSystemRow.station_id == station_id,
        known(HouseholdSystemRow, at),
        in_area(actor, HouseholdSystemRow.village_code),
    )
    if on is not None:
        statement = statement.where(holds_on(HouseholdSystemRow, on))
    rows = session.scalars(statement.order_by(HouseholdSystemRow.household_id, HouseholdSystemRow.valid_from))
    return tuple(as_record(HouseholdSystem, row) for row in rows)


def add_household_system(session: Session, actor: Actor, record: HouseholdSystem, now: datetime) -> str:
    """Record a household's system, return its id; raises ProblemsError for another kind of station."""
    actor.require(Permission.EDIT_REGISTRY)
    group = station(session, actor, record.station_id)
    if group is None or not actor.covers(record.village_code):
        raise LookupError(f"{actor.name} 的辖区内没有电站 {record.station_id}")
    if session.get_one(StationRow, record.station_id).kind != StationKind.HOUSEHOLD_GROUP:
        raise ProblemsError([Problem("电站", f"{group.name} 不是户用电站", "先把电站类型改为户用")])
    row = HouseholdSystemRow(
        id=new_id("system"), **as_columns(record), recorded_at=now, recorded_by=actor.user_id
    )
    session.add(row)
    session.flush()
    return row.id
