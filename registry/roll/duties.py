"""A village's month of work and conduct: attendance on every post, one measure of every household.

Owns the two sheets that a village's page shows and takes in whole. What a single attendance or figure is
stands in `registry.enrolment` and `registry.roll.measures`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.actors import Actor, Permission
from registry.enrolment import Attendance, AttendanceRow, PostRow, record_attendance
from registry.facts import known, overlaps
from registry.households import HouseholdRow
from registry.roll.measures import MEASURES, Measure, measures, record_measure
from store.periods import Period, local_date
from store.problem import Problem, ProblemsError

_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Duty:
    """A post in a month: who holds it, its rate [fen per month], what was served, and on which evidence.

    `units` is None where nothing is recorded; nothing is assumed about work.
    """

    post_id: str
    household_id: str
    number: str
    name: str
    kind: str
    monthly_rate_fen: int
    valid_from: date
    valid_to: date | None
    units: Decimal | None
    coefficient: Decimal
    document: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A household's figure of a measure in a month; None where nothing is recorded."""

    household_id: str
    number: str
    name: str
    value: Decimal | None
    document: str


def duty_sheet(session: Session, actor: Actor, village_code: str, month: str) -> tuple[Duty, ...]:
    """Return the posts of a village in a month, by household number; empty outside the actor's area."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    if not actor.covers(village_code):
        return ()
    period = Period.parse(month)
    statement = (
        select(PostRow, HouseholdRow)
        .join(HouseholdRow, HouseholdRow.id == PostRow.household_id)
        .where(PostRow.village_code == village_code, known(PostRow))
        .where(overlaps(PostRow, period.start, period.end))
        .order_by(HouseholdRow.number, PostRow.kind, PostRow.valid_from)
    )
    served = select(AttendanceRow).where(AttendanceRow.month == month, known(AttendanceRow))
    of_village = select(PostRow.id).where(PostRow.village_code == village_code)
    rows = session.scalars(served.where(AttendanceRow.post_id.in_(of_village)))
    attendance = {row.post_id: row for row in rows}
    return tuple(_duty(post, home, attendance.get(post.id)) for post, home in session.execute(statement))


def _duty(post: PostRow, home: HouseholdRow, served: AttendanceRow | None) -> Duty:
    return Duty(
        post.id,
        home.id,
        home.number,
        home.name,
        post.kind,
        post.monthly_rate_fen,
        post.valid_from,
        post.valid_to,
        None if served is None else Decimal(served.units) / _THOUSAND,
        Decimal(1) if served is None else Decimal(served.coefficient) / _THOUSAND,
        "" if served is None else served.document,
    )


def record_duties(
    session: Session,
    actor: Actor,
    place: tuple[str, str],
    entries: Mapping[str, tuple[Decimal | None, Decimal]],
    basis: tuple[str, datetime],
) -> int:
    """Record the attendance of a village's month (code, month) by post: months served and coefficient.

    What is as it was, and what is None, is left alone. Returns how many were recorded. Raises ProblemsError
    naming every row that cannot be, and then records none.
    """
    actor.require(Permission.EDIT_REGISTRY)
    month, (document, now) = place[1], basis
    sheet = {one.post_id: one for one in duty_sheet(session, actor, *place)}
    if set(entries) - set(sheet):
        raise LookupError(f"{actor.name} 的辖区内没有这些岗位")
    changed = {
        post_id: (units, coefficient)
        for post_id, (units, coefficient) in entries.items()
        if units is not None and (units, coefficient) != (sheet[post_id].units, sheet[post_id].coefficient)
    }
    problems = [*_basis_problems(document, month, now)] if changed else []
    for post_id, (units, coefficient) in changed.items():
        where = f"{sheet[post_id].number} {sheet[post_id].name} {sheet[post_id].kind}"
        problems += _figure_problems(where, units, Decimal(1), "一个月最多记 1，半月写 0.5")
        problems += _figure_problems(where, coefficient, Decimal(10), "考核系数写 0 到 10 之间的数")
    if problems:
        raise ProblemsError(problems)
    records = [Attendance(post_id, month, *figures, document) for post_id, figures in changed.items()]
    return len(record_attendance(session, actor, records, now))


def measure_sheet(session: Session, actor: Actor, place: tuple[str, str], measure: str) -> tuple[Figure, ...]:
    """Return a measure of every household of a village in a month (code, month), by number."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    village_code, month = place
    if not actor.covers(village_code):
        return ()
    period = Period.parse(month)
    homes = select(HouseholdRow).where(
        HouseholdRow.village_code == village_code,
        HouseholdRow.withdrawn_at.is_(None),
        HouseholdRow.registered_on < period.end,
        HouseholdRow.left_on.is_(None) | (HouseholdRow.left_on > period.start),
    )
    found = {
        one.household_id: one
        for one in measures(session, actor, village_code)
        if (one.measure, one.period) == (measure, month)
    }
    return tuple(
        Figure(
            home.id,
            home.number,
            home.name,
            found[home.id].value if home.id in found else None,
            found[home.id].document if home.id in found else "",
        )
        for home in session.scalars(homes.order_by(HouseholdRow.number, HouseholdRow.id))
    )


def record_figures(
    session: Session,
    actor: Actor,
    what: tuple[str, str, str],
    entries: Mapping[str, Decimal | None],
    basis: tuple[str, datetime],
) -> int:
    """Record a measure of a village's month (code, month, measure) by household; as `record_duties` does."""
    actor.require(Permission.EDIT_REGISTRY)
    (village_code, month, measure), (document, now) = what, basis
    if measure not in MEASURES:
        raise ProblemsError([Problem("指标", f"没有“{measure}”", f"选 {'、'.join(MEASURES.values())}")])
    sheet = {one.household_id: one for one in measure_sheet(session, actor, (village_code, month), measure)}
    if set(entries) - set(sheet):
        raise LookupError(f"{actor.name} 的辖区内没有这些户")
    changed = {
        home: value for home, value in entries.items() if value is not None and value != sheet[home].value
    }
    problems = [*_basis_problems(document, month, now)] if changed else []
    for home, value in changed.items():
        where = f"{sheet[home].number} {sheet[home].name}"
        problems += _figure_problems(where, value, Decimal(10**9), "写不小于 0、最多三位小数的数")
    if problems:
        raise ProblemsError(problems)
    for home, value in changed.items():
        record_measure(session, actor, Measure(home, village_code, measure, month, value, document), now)
    return len(changed)


def _basis_problems(document: str, month: str, now: datetime) -> list[Problem]:
    found = []
    if not document.strip():
        found.append(Problem("依据", "没有写依据", "写上考勤表、评定会议等的名称和日期"))
    if Period.parse(month).start > local_date(now):
        found.append(Problem("月份", f"{month} 还没到", "选已经开始的月份"))
    return found


def _figure_problems(where: str, value: Decimal, most: Decimal, how: str) -> list[Problem]:
    scaled = value * _THOUSAND
    if 0 <= value <= most and scaled == scaled.to_integral_value():
        return []
    return [Problem(where, f"“{value}”不合适", how)]
