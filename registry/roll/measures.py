"""What households earn by conduct and work: points (积分), stars (星级), work points (工分), duties.

Owns table `household_measure`: one figure of one measure for one month. A plan asks for it by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.actors import Actor, Permission, scope
from registry.facts import known, overlaps, supersede
from registry.households import HouseholdRow
from registry.roll.tables import MeasureRow
from store.db import new_id
from store.periods import Period
from store.problem import Problem, ProblemsError

MEASURES = {
    "work_points": "工分",
    "points": "积分",
    "stars": "星级",
    "red_flags": "流动红旗",
    "work_days": "出工天数",
    "labour_days": "义务工天数",
    "home_duties": "门前三包次数",
    "attendance": "参会次数",
}
"""The measures by the name that a plan asks for, with their Chinese words."""
_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Measure:
    """A household's figure of a measure in a month (`2026-10`): an exact decimal of at most three places."""

    household_id: str
    village_code: str
    measure: str
    period: str
    value: Decimal
    document: str = ""


def record_measure(session: Session, actor: Actor, record: Measure, now: datetime) -> str:
    """Record a figure, replacing what was known for the same month; return the fact's id."""
    actor.require(Permission.EDIT_REGISTRY)
    home = session.get(HouseholdRow, record.household_id)
    if home is None or home.village_code != record.village_code or not actor.covers(record.village_code):
        raise LookupError(f"{actor.name} 的辖区内没有户 {record.household_id}")
    scaled = record.value * _THOUSAND
    if record.measure not in MEASURES or scaled < 0 or scaled != scaled.to_integral_value():
        raise ProblemsError([Problem("数值", f"{record.value} 不合适", "写不小于 0、最多三位小数的数")])
    month = Period.parse(record.period)
    old = select(MeasureRow).where(
        MeasureRow.household_id == record.household_id,
        MeasureRow.measure == record.measure,
        MeasureRow.period == record.period,
        known(MeasureRow),
    )
    for row in session.scalars(old).all():
        supersede(row, actor, now)
    session.flush()
    row = MeasureRow(
        id=new_id("measure"),
        household_id=record.household_id,
        village_code=record.village_code,
        measure=record.measure,
        period=record.period,
        thousandths=int(scaled),
        document=record.document,
        valid_from=month.start,
        valid_to=month.end,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    return row.id


def measures(
    session: Session,
    actor: Actor,
    village_code: str = "",
    *,
    household_id: str = "",
    at: datetime | None = None,
) -> tuple[Measure, ...]:
    """Return figures of the actor's area, as known now or `at` an instant, the latest month first."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(MeasureRow), actor, MeasureRow.village_code).where(known(MeasureRow, at))
    if village_code:
        statement = statement.where(MeasureRow.village_code == village_code)
    if household_id:
        statement = statement.where(MeasureRow.household_id == household_id)
    rows = session.scalars(
        statement.order_by(MeasureRow.period.desc(), MeasureRow.household_id, MeasureRow.measure)
    )
    return tuple(
        Measure(
            row.household_id,
            row.village_code,
            row.measure,
            row.period,
            Decimal(row.thousandths) / _THOUSAND,
            row.document,
        )
        for row in rows
    )


def sums_of_period(
    session: Session, actor: Actor, village_code: str, period: Period
) -> Mapping[str, Mapping[str, Fraction]]:
    """Return the exact sum of each measure in a period by household, as known now."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    total = func.sum(MeasureRow.thousandths)
    wanted: Any = select(MeasureRow.household_id, MeasureRow.measure, total)
    statement = (
        scope(wanted, actor, MeasureRow.village_code)
        .where(
            MeasureRow.village_code == village_code,
            known(MeasureRow),
            overlaps(MeasureRow, period.start, period.end),
        )
        .group_by(MeasureRow.household_id, MeasureRow.measure)
    )
    found: dict[str, dict[str, Fraction]] = {}
    for household_id, measure, thousandths in session.execute(statement):
        found.setdefault(household_id, {})[measure] = Fraction(int(thousandths), _THOUSAND)
    return found
