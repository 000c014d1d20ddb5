"""Who takes part in what, from when to when, on which document; and the public-welfare posts.

Owns enrolments (one per household and component on any day), posts (公益岗位) with their attendance, and
the roster that the plans are fed with. It names no plan and no amount that was paid.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Select, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import facts
from registry.actors import CODE_LENGTH, Actor, Permission, scope
from registry.facts import Fact, as_columns, as_record, guard_facts, guard_no_overlap, known, overlaps
from registry.households import HouseholdClassRow, HouseholdMemberRow, HouseholdRow
from registry.masking import mask_name
from registry.roll.entitlement import continued_until
from registry.roll.measures import sums_of_period
from store.db import Base, new_id
from store.periods import Period
from store.problem import Problem, ProblemsError

Row = TypeVar("Row")


class EnrolmentRow(Fact, Base):
    """Table `enrolment`: a household's part in one component, by weight or by a fixed amount [fen]."""

    __tablename__ = "enrolment"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("weight IS NULL OR weight > 0", name="weight"),
        CheckConstraint("amount_fen IS NULL OR amount_fen >= 0", name="amount"),
        CheckConstraint("(weight IS NULL) <> (amount_fen IS NULL)", name="weight_or_amount"),
        CheckConstraint("length(village_code) = 12", name="village_code"),
        Index(None, "household_id", "component"),
        Index(None, "village_code", "component"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    component: Mapped[str]
    weight: Mapped[int | None] = mapped_column(BigInteger)
    amount_fen: Mapped[int | None] = mapped_column(BigInteger)
    post: Mapped[str]
    document: Mapped[str]


class PostRow(Fact, Base):
    """Table `post`: a public-welfare post of a village and who holds it, with its monthly rate [fen]."""

    __tablename__ = "post"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("monthly_rate_fen >= 0", name="rate"),
        CheckConstraint("length(village_code) = 12", name="village_code"),
        Index(None, "village_code"),
        Index(None, "household_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    kind: Mapped[str]
    monthly_rate_fen: Mapped[int] = mapped_column(BigInteger)
    document: Mapped[str]


class AttendanceRow(Fact, Base):
    """Table `attendance`: what was served on a post in a month, and how it was assessed.

    `units` are thousandths of a month served, `coefficient` thousandths of full performance: both are
    integers, so that a wage is exact.
    """

    __tablename__ = "attendance"
    __table_args__ = (
        CheckConstraint("units >= 0", name="units"),
        CheckConstraint("coefficient >= 0", name="coefficient"),
        CheckConstraint("valid_to IS NOT NULL AND valid_to > valid_from", name="dates"),
        Index(None, "post_id", "month"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    post_id: Mapped[str] = mapped_column(ForeignKey("post.id"))
    month: Mapped[str] = mapped_column(String(7))
    units: Mapped[int]
    coefficient: Mapped[int]
    document: Mapped[str]


guard_facts(EnrolmentRow.__table__)  # type: ignore[arg-type]
guard_facts(PostRow.__table__)  # type: ignore[arg-type]
guard_facts(AttendanceRow.__table__)  # type: ignore[arg-type]
guard_no_overlap(
    EnrolmentRow.__table__,  # type: ignore[arg-type]
    key=("household_id", "component"),
    what="a household is enrolled in a component once at a time",
)
guard_no_overlap(
    AttendanceRow.__table__,  # type: ignore[arg-type]
    key=("post_id", "month"),
    what="a post has one attendance record for a month",
)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A household's part in one component in [valid_from, valid_to): a weight, or an amount [fen].

    `component` is the purse or item of the plan (分红, 奖励补助 …); exactly one of `weight` and
    `amount_fen` is given; `document` is the decision it rests on.
    """

    household_id: str
    village_code: str
    component: str
    valid_from: date
    weight: int | None = 1
    amount_fen: int | None = None
    valid_to: date | None = None
    post: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """A public-welfare post held by a household, with its monthly rate [fen], in [valid_from, valid_to)."""

    id: str
    village_code: str
    household_id: str
    kind: str
    monthly_rate_fen: int
    valid_from: date
    valid_to: date | None = None
    document: str = ""


@dataclass(frozen=True, slots=True)
class Attendance:
    """What was served on a post in a month (`2026-10`): part of the month served, and the coefficient.

    Both are exact decimals with at most three places: `Decimal("0.5")` is half a month.
    """

    post_id: str
    month: str
    units: Decimal
    coefficient: Decimal = Decimal(1)
    document: str = ""


@dataclass(frozen=True, slots=True)
class RosterEnrolment:
    """An enrolment inside a period: its dates clipped to it, and the days that it holds there."""

    id: str
    component: str
    weight: int | None
    amount_fen: int | None
    valid_from: date
    valid_to: date
    days_valid: int
    document: str


@dataclass(frozen=True, slots=True)
class RosterClass:
    """A class of a household inside a period, with its dates clipped to it."""

    id: str
    name: str
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class RosterPost:
    """A post inside a period: rate [fen per month], months served, coefficient, and the evidence's ids.

    The wage is rate x months served x coefficient, exactly.

    Without an attendance record `months_served` is None: nothing is assumed about work.
    """

    id: str
    kind: str
    monthly_rate_fen: int
    months_served: Fraction | None
    coefficient: Fraction
    days_valid: int
    attendance_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One household of a village in a period, with all that a plan may ask about it.

    `name` is the full name and is for people's eyes only; a plan, a hash and an export get
    `household_id`, and what the public sees gets `masked_name`.
    `entitled_until` is the end of a continued entitlement, else the day on which the household left.
    """

    household_id: str
    number: str
    village_code: str
    village_group: str
    name: str
    masked_name: str
    persons: int
    registered_on: date
    left_on: date | None
    classes: tuple[RosterClass, ...]
    enrolments: tuple[RosterEnrolment, ...]
    posts: tuple[RosterPost, ...]
    measures: Mapping[str, Fraction] = field(default_factory=dict)
    entitled_until: date | None = None


def roster(session: Session, actor: Actor, village_code: str, period: Period) -> tuple[RosterEntry, ...]:
    """Return the households of a village that belong to a period, by number, as known now.

    A household belongs to it when it was registered before the period's end and had not left before its
    start, or is enrolled on some day of it (a continued entitlement). Empty outside the actor's area.
    """
    actor.require(Permission.VIEW_HOUSEHOLDS)
    if not actor.covers(village_code):
        return ()
    enrolled = _by_household(session, actor, EnrolmentRow, EnrolmentRow.village_code == village_code, period)
    statement = scope(select(HouseholdRow), actor, HouseholdRow.village_code).where(
        HouseholdRow.village_code == village_code,
        HouseholdRow.withdrawn_at.is_(None),
        HouseholdRow.registered_on < period.end,
    )
    rows = session.scalars(statement.order_by(HouseholdRow.number, HouseholdRow.id)).all()
    present = [row for row in rows if row.left_on is None or row.left_on > period.start or row.id in enrolled]
    of_village = HouseholdRow.village_code == village_code
    classes = _by_household(session, actor, HouseholdClassRow, of_village, period)
    posts = _by_household(session, actor, PostRow, PostRow.village_code == village_code, period)
    attendance = _attendance(session, village_code, period)
    persons = _persons(session, village_code, period)
    earned, until = (
        sums_of_period(session, actor, village_code, period),
        continued_until(session, village_code),
    )
    return tuple(
        RosterEntry(
            row.id,
            row.number,
            row.village_code,
            row.village_group,
            row.name,
            mask_name(row.name),
            persons.get(row.id, 1),
            row.registered_on,
            row.left_on,
            tuple(_roster_class(one, period) for one in classes.get(row.id, ())),
            tuple(_roster_enrolment(one, period) for one in enrolled.get(row.id, ())),
            tuple(_roster_post(one, period, attendance) for one in posts.get(row.id, ())),
            earned.get(row.id, {}),
            row.left_on and until.get(row.id, row.left_on),
        )
        for row in present
    )


def _by_household(
    session: Session, actor: Actor, table: type[Row], where: Any, period: Period
) -> dict[str, list[Row]]:
    mapped: Any = table
    statement: Select[Any] = select(mapped)
    if mapped is HouseholdClassRow:
        statement = statement.join(HouseholdRow)
        statement = scope(statement, actor, HouseholdRow.village_code)
    else:
        statement = scope(statement, actor, mapped.village_code)
    statement = statement.where(where, known(mapped), overlaps(mapped, period.start, period.end))
    found: dict[str, list[Row]] = defaultdict(list)
    for row in session.scalars(statement.order_by(mapped.valid_from, mapped.id)):
        found[row.household_id].append(row)
    return found


def _persons(session: Session, village_code: str, period: Period) -> dict[str, int]:
    statement = (
        select(HouseholdMemberRow.household_id, func.count())
        .join(HouseholdRow)
        .where(
            HouseholdRow.village_code == village_code,
            known(HouseholdMemberRow),
            overlaps(HouseholdMemberRow, period.start, period.end),
        )
        .group_by(HouseholdMemberRow.household_id)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def _attendance(session: Session, village_code: str, period: Period) -> dict[str, list[AttendanceRow]]:
    statement = (
        select(AttendanceRow)
        .join(PostRow)
        .where(PostRow.village_code == village_code, known(AttendanceRow))
        .where(overlaps(AttendanceRow, period.start, period.end))
        .order_by(AttendanceRow.month, AttendanceRow.id)
    )
    found: dict[str, list[AttendanceRow]] = defaultdict(list)
    for row in session.scalars(statement):
        found[row.post_id].append(row)
    return found


def _clip(row: Fact, period: Period) -> tuple[date, date]:
    return max(row.valid_from, period.start), min(row.valid_to or period.end, period.end)


def _roster_class(row: HouseholdClassRow, period: Period) -> RosterClass:
    return RosterClass(row.id, row.class_name, *_clip(row, period))


def _roster_enrolment(row: EnrolmentRow, period: Period) -> RosterEnrolment:
    start, end = _clip(row, period)
    days = (end - start).days
    return RosterEnrolment(row.id, row.component, row.weight, row.amount_fen, start, end, days, row.document)


def _roster_post(row: PostRow, period: Period, attendance: dict[str, list[AttendanceRow]]) -> RosterPost:
    start, end = _clip(row, period)
    records = attendance.get(row.id, [])
    units = sum(record.units for record in records)
    weighted = sum(record.units * record.coefficient for record in records)
    coefficient = Fraction(weighted, units * 1000) if units else Fraction(1)
    return RosterPost(
        row.id,
        row.kind,
        row.monthly_rate_fen,
        Fraction(units, 1000) if records else None,
        coefficient,
        (end - start).days,
        tuple(record.id for record in records),
    )


def enrolments(
    session: Session,
    actor: Actor,
    village_code: str | None = None,
    *,
    household_id: str | None = None,
    at: datetime | None = None,
) -> tuple[Enrolment, ...]:
    """Return the enrolments of the actor's area as known now, or as known `at` an instant."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(EnrolmentRow), actor, EnrolmentRow.village_code).where(known(EnrolmentRow, at))
    if village_code is not None:
        statement = statement.where(EnrolmentRow.village_code == village_code)
    if household_id is not None:
        statement = statement.where(EnrolmentRow.household_id == household_id)
    statement = statement.order_by(EnrolmentRow.household_id, EnrolmentRow.component, EnrolmentRow.valid_from)
    return tuple(as_record(Enrolment, row) for row in session.scalars(statement))


def posts(session: Session, actor: Actor, village_code: str | None = None) -> tuple[Post, ...]:
    """Return the posts of the actor's area, or of one village in it, as known now."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(PostRow), actor, PostRow.village_code).where(known(PostRow))
    if village_code is not None:
        statement = statement.where(PostRow.village_code == village_code)
    statement = statement.order_by(PostRow.village_code, PostRow.valid_from, PostRow.id)
    return tuple(as_record(Post, row) for row in session.scalars(statement))


def enrol(session: Session, actor: Actor, record: Enrolment, now: datetime) -> str:
    """Record an enrolment and return the fact's id.

    Raises ProblemsError when the household already takes part in the component on some of the days.
    """
    _require_household(session, actor, record.household_id, record.village_code)
    _refuse_overlap(session, record)
    row = EnrolmentRow(
        id=new_id("enrolment"), **as_columns(record), recorded_at=now, recorded_by=actor.user_id
    )
    session.add(row)
    session.flush()
    return row.id


def _refuse_overlap(session: Session, record: Enrolment) -> None:
    statement = select(EnrolmentRow).where(
        EnrolmentRow.household_id == record.household_id,
        EnrolmentRow.component == record.component,
        known(EnrolmentRow),
        overlaps(EnrolmentRow, record.valid_from, record.valid_to),
    )
    taken = session.scalars(statement.order_by(EnrolmentRow.valid_from)).all()
    if taken:
        raise ProblemsError([_overlap(record, row) for row in taken])


def _overlap(record: Enrolment, row: EnrolmentRow) -> Problem:
    until = f"{row.valid_to}（不含）" if row.valid_to else "至今"
    return Problem(
        f"户 {record.household_id} 的“{record.component}”",
        f"与已登记的 {row.valid_from} 至 {until} 重叠",
        "先写明原登记的终止日期，再登记新的一段",
    )


def end_enrolment(session: Session, actor: Actor, enrolment_id: str, end: date, now: datetime) -> str:
    """End an enrolment on a day: the open fact is superseded by a closed one, whose id is returned."""
    row = session.get(EnrolmentRow, enrolment_id)
    if row is None:
        raise LookupError(f"没有登记 {enrolment_id}")
    _require_household(session, actor, row.household_id, row.village_code)
    record = as_record(Enrolment, row)
    facts.supersede(row, actor, now)
    session.flush()
    columns = {**as_columns(record), "valid_to": end}
    closed = EnrolmentRow(id=new_id("enrolment"), **columns, recorded_at=now, recorded_by=actor.user_id)
    session.add(closed)
    session.flush()
    return closed.id


def withdraw_enrolment(session: Session, actor: Actor, enrolment_id: str, now: datetime) -> None:
    """Mark an enrolment as wrong from the start; what was known before stays readable."""
    row = session.get(EnrolmentRow, enrolment_id)
    if row is None:
        raise LookupError(f"没有登记 {enrolment_id}")
    _require_household(session, actor, row.household_id, row.village_code)
    facts.supersede(row, actor, now)
    session.flush()


def add_post(session: Session, actor: Actor, record: Post, now: datetime) -> None:
    """Record a post and its holder."""
    _require_household(session, actor, record.household_id, record.village_code)
    session.add(PostRow(**as_columns(record), recorded_at=now, recorded_by=actor.user_id))
    session.flush()


def record_attendance(
    session: Session, actor: Actor, records: Iterable[Attendance], now: datetime
) -> tuple[str, ...]:
    """Record what was served on posts, replacing what was known of the same months; return the ids."""
    actor.require(Permission.EDIT_REGISTRY)
    return tuple(_record_attendance(session, actor, record, now) for record in records)


def _record_attendance(session: Session, actor: Actor, record: Attendance, now: datetime) -> str:
    post = session.get(PostRow, record.post_id)
    if post is None or not actor.covers(post.village_code):
        raise LookupError(f"{actor.name} 的辖区内没有岗位 {record.post_id}")
    statement = select(AttendanceRow).where(
        AttendanceRow.post_id == record.post_id, AttendanceRow.month == record.month, known(AttendanceRow)
    )
    for row in session.scalars(statement):
        facts.supersede(row, actor, now)
    session.flush()
    month = Period.parse(record.month)
    units, coefficient = _thousandths((record.units, record.coefficient))
    row = AttendanceRow(
        id=new_id("attendance"),
        post_id=record.post_id,
        month=record.month,
        units=units,
        coefficient=coefficient,
        document=record.document,
        valid_from=month.start,
        valid_to=month.end,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    return row.id


def _thousandths(values: Sequence[Decimal]) -> list[int]:
    scaled = [value * 1000 for value in values]
    if any(value != value.to_integral_value() or value < 0 for value in scaled):
        raise ValueError("出勤和考核系数最多三位小数，且不能为负")
    return [int(value) for value in scaled]


def _require_household(session: Session, actor: Actor, household_id: str, village_code: str) -> None:
    actor.require(Permission.EDIT_REGISTRY)
    row = session.get(HouseholdRow, household_id)
    if row is None or row.village_code != village_code or not actor.covers(village_code):
        raise LookupError(f"{actor.name} 的辖区内，{village_code} 没有户 {household_id}")
