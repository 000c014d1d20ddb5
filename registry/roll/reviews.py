"""Yearly and half-yearly reviews (年度、半年核查): a task for every village, a finding for every household.

Owns the reviews, their task list and deadlines, and the way from a finding to a changed enrolment, which
takes a document and a second person.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from registry import audit
from registry.actors import Actor, Permission, area_prefix, scope
from registry.divisions import villages
from registry.enrolment import Enrolment, EnrolmentRow, enrol
from registry.facts import as_record, known, overlaps
from registry.households import HouseholdRow
from registry.roll.spans import end_fact
from registry.roll.tables import FindingRow, ReviewRow, ReviewSignatureRow
from store.db import new_id
from store.problem import Problem, ProblemsError

OUTCOME_WORDS = {"keep": "不变", "enrol": "纳入", "end": "退出", "change": "调整份额"}
KIND_WORDS = {"yearly": "年度核查", "half_yearly": "半年核查"}


@dataclass(frozen=True, slots=True)
class Review:
    """A review of an area: `2026` or `2026-H1`, on a document, from a day to its deadline."""

    id: str
    kind: str
    period: str
    area: str
    title: str
    document: str
    opened_on: date
    due_on: date

    @property
    def kind_word(self) -> str:
        """年度核查 or 半年核查."""
        return KIND_WORDS[self.kind]


@dataclass(frozen=True, slots=True)
class VillageTask:
    """How far a village is with a review: households looked at, of how many; signed when; late or not."""

    review_id: str
    village_code: str
    village_name: str
    households: int
    looked_at: int
    changes: int
    waiting: int
    due_on: date
    signed_at: datetime | None
    signed_document: str

    def late(self, today: date) -> bool:
        """Tell whether the deadline is over and the village has not signed."""
        return self.signed_at is None and today > self.due_on


@dataclass(frozen=True, slots=True)
class Finding:
    """What a review found of a household; `applied_at` is set once an enrolment was changed by it."""

    id: str
    review_id: str
    household_id: str
    village_code: str
    outcome: str
    component: str
    weight: int | None
    effective_on: date | None
    document: str
    note: str
    recorded_at: datetime
    recorded_by: str
    applied_at: datetime | None
    applied_by: str

    @property
    def word(self) -> str:
        """What was found, in Chinese."""
        return OUTCOME_WORDS[self.outcome]


@dataclass(frozen=True, slots=True)
class NewFinding:
    """A finding to be recorded: keep, or enrol, end or change a component from a day on a document."""

    review_id: str
    household_id: str
    outcome: str
    component: str = ""
    weight: int | None = None
    effective_on: date | None = None
    document: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One household of a village's task: what it takes part in now, and what was found."""

    household_id: str
    number: str
    name: str
    village_group: str
    enrolments: tuple[Enrolment, ...]
    finding: Finding | None


def open_review(session: Session, actor: Actor, review: Review, now: datetime) -> None:
    """Open a review for an area of the actor's; raises ProblemsError when there is one for the period."""
    actor.require(Permission.EDIT_REGISTRY)
    if not actor.covers(review.area) or not review.document.strip() or review.due_on < review.opened_on:
        raise ProblemsError(
            [Problem("核查", "区域、依据或期限不对", "选辖区内的区域，写依据，期限不早于开始")]
        )
    taken = select(ReviewRow.id).where(ReviewRow.area == review.area, ReviewRow.period == review.period)
    if session.scalar(taken) is not None:
        raise ProblemsError([Problem("核查", f"{review.period} 的核查已经开过", "在列表里打开它")])
    row = ReviewRow(
        id=review.id,
        kind=review.kind,
        period=review.period,
        area=review.area,
        title=review.title,
        document=review.document,
        opened_on=review.opened_on,
        due_on=review.due_on,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("open", "household_review", review.id), now)


def reviews(session: Session, actor: Actor) -> tuple[Review, ...]:
    """Return the reviews that touch the actor's area, the latest first."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    rows = session.scalars(select(ReviewRow).order_by(ReviewRow.opened_on.desc(), ReviewRow.id)).all()
    return tuple(as_record(Review, row) for row in rows if _touches(actor, row.area))


def _touches(actor: Actor, area: str) -> bool:
    return area.startswith(actor.area_prefix) or (actor.area or "").startswith(area_prefix(area))


def review(session: Session, actor: Actor, review_id: str) -> Review | None:
    """Return a review that touches the actor's area, or None."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    row = session.get(ReviewRow, review_id)
    return as_record(Review, row) if row is not None and _touches(actor, row.area) else None


def village_tasks(session: Session, actor: Actor, review_id: str) -> tuple[VillageTask, ...]:
    """Return the task list of a review: the actor's villages inside its area, by code."""
    found = review(session, actor, review_id)
    if found is None:
        return ()
    prefix = area_prefix(found.area)
    homes = _counts(session, actor, found.opened_on)
    latest = _latest(session, actor, review_id)
    signed = {
        row.village_code: row
        for row in session.scalars(
            select(ReviewSignatureRow).where(ReviewSignatureRow.review_id == review_id)
        )
    }
    tasks = []
    for village in villages(session, actor):
        if not village.code.startswith(prefix):
            continue
        own = [one for one in latest.values() if one.village_code == village.code]
        changes = [one for one in own if one.outcome != "keep"]
        signature = signed.get(village.code)
        tasks.append(
            VillageTask(
                review_id,
                village.code,
                village.name,
                homes.get(village.code, 0),
                len(own),
                len(changes),
                sum(one.applied_at is None for one in changes),
                found.due_on,
                None if signature is None else signature.recorded_at,
                "" if signature is None else signature.document,
            )
        )
    return tuple(tasks)


def _on_roll(on: date) -> ColumnElement[bool]:
    return and_(
        HouseholdRow.withdrawn_at.is_(None),
        HouseholdRow.registered_on <= on,
        HouseholdRow.left_on.is_(None) | (HouseholdRow.left_on > on),
    )


def _counts(session: Session, actor: Actor, on: date) -> dict[str, int]:
    statement: Any = select(HouseholdRow.village_code, func.count()).where(_on_roll(on))
    statement = scope(statement, actor, HouseholdRow.village_code).group_by(HouseholdRow.village_code)
    return {row[0]: row[1] for row in session.execute(statement)}


def _latest(session: Session, actor: Actor, review_id: str, village_code: str = "") -> dict[str, Finding]:
    statement = scope(select(FindingRow), actor, FindingRow.village_code)
    statement = statement.where(FindingRow.review_id == review_id)
    if village_code:
        statement = statement.where(FindingRow.village_code == village_code)
    rows = session.scalars(statement.order_by(FindingRow.recorded_at, FindingRow.id))
    return {row.household_id: as_record(Finding, row) for row in rows}


def review_items(session: Session, actor: Actor, review_id: str, village_code: str) -> tuple[ReviewItem, ...]:
    """Return a village's households in a review, by number; empty outside the actor's area."""
    found = review(session, actor, review_id)
    if found is None or not actor.covers(village_code):
        return ()
    statement = select(HouseholdRow).where(
        HouseholdRow.village_code == village_code, _on_roll(found.opened_on)
    )
    latest = _latest(session, actor, review_id, village_code)
    enrolled = select(EnrolmentRow).where(
        EnrolmentRow.village_code == village_code,
        known(EnrolmentRow),
        overlaps(EnrolmentRow, found.opened_on, None),
    )
    mine: dict[str, list[Enrolment]] = {}
    for row in session.scalars(enrolled.order_by(EnrolmentRow.component, EnrolmentRow.valid_from)):
        mine.setdefault(row.household_id, []).append(as_record(Enrolment, row))
    homes = session.scalars(statement.order_by(HouseholdRow.number, HouseholdRow.id))
    return tuple(
        ReviewItem(
            home.id, home.number, home.name, home.village_group,
            tuple(mine.get(home.id, ())), latest.get(home.id),
        )
        for home in homes
    )  # fmt: skip


def record_finding(session: Session, actor: Actor, new: NewFinding, now: datetime) -> str:
    """Record what was found of a household; a later finding of it replaces this one. Return its id.

    A village, a township or the county may find; whoever finds cannot apply it.
    """
    home, found = check_finding(session, actor, new)
    row = FindingRow(
        id=new_id("finding"),
        review_id=found.id,
        household_id=home.id,
        village_code=home.village_code,
        outcome=new.outcome,
        component=new.component if new.outcome != "keep" else "",
        weight=new.weight if new.outcome in {"enrol", "change"} else None,
        effective_on=new.effective_on if new.outcome != "keep" else None,
        document=new.document,
        note=new.note,
        recorded_at=now,
        recorded_by=actor.user_id,
        applied_at=None,
        applied_by="",
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("find", "household_finding", row.id), now)
    return row.id


def check_finding(session: Session, actor: Actor, new: NewFinding) -> tuple[HouseholdRow, Review]:
    """Return the household and the review of a finding that may be recorded.

    Raises LookupError outside the actor's area, ProblemsError for a signed village or an incomplete finding.
    """
    home, found = _place(session, actor, new.review_id, new.household_id)
    if _signed(session, new.review_id, home.village_code):
        raise ProblemsError([Problem("核查", "本村已经签结", "由县里另开一次核查")])
    problems = _finding_problems(new)
    if problems:
        raise ProblemsError(problems)
    return home, found


def finding_of(session: Session, actor: Actor, review_id: str, household_id: str) -> Finding | None:
    """Return the latest finding of a household in a review, or None."""
    statement = scope(select(FindingRow), actor, FindingRow.village_code).where(
        FindingRow.review_id == review_id, FindingRow.household_id == household_id
    )
    row = session.scalars(statement.order_by(FindingRow.recorded_at.desc(), FindingRow.id.desc())).first()
    return None if row is None else as_record(Finding, row)


def _place(session: Session, actor: Actor, review_id: str, household_id: str) -> tuple[HouseholdRow, Review]:
    if not (actor.may(Permission.EDIT_REGISTRY) or actor.may(Permission.VOTE_VILLAGE)):
        actor.require(Permission.APPROVE_TOWNSHIP)
    found = review(session, actor, review_id)
    home = session.get(HouseholdRow, household_id)
    if found is None or home is None or not actor.covers(home.village_code):
        raise LookupError(f"{actor.name} 的辖区内没有户 {household_id}")
    return home, found


def _finding_problems(new: NewFinding) -> list[Problem]:
    if new.outcome == "keep":
        return []
    wrong = []
    if not new.component.strip():
        wrong.append(Problem("分配项目", "没有选分配项目", "选要调整的项目"))
    if not new.document.strip():
        wrong.append(Problem("依据", "没有写依据", "写上会议记录或文件名称"))
    if new.effective_on is None:
        wrong.append(Problem("生效日期", "没有写生效日期", "写上从哪一天起"))
    if new.outcome in {"enrol", "change"} and (new.weight is None or new.weight < 1):
        wrong.append(Problem("份额", "份额应是不小于 1 的整数", "按会议决定填写"))
    return wrong


def _signed(session: Session, review_id: str, village_code: str) -> bool:
    return session.get(ReviewSignatureRow, (review_id, village_code)) is not None


def sign_village(
    session: Session, actor: Actor, place: tuple[str, str], document: str, now: datetime
) -> None:
    """Sign a village's part of a review (review id, village code); refused while a household is missing."""
    review_id, village_code = place
    if not (actor.may(Permission.EDIT_REGISTRY) or actor.may(Permission.VOTE_VILLAGE)):
        actor.require(Permission.APPROVE_TOWNSHIP)
    items = review_items(session, actor, review_id, village_code)
    if not items:
        raise LookupError(f"{actor.name} 的辖区内没有村 {village_code}")
    missing = [one for one in items if one.finding is None]
    if missing:
        how = "逐户写明结果；其余都不变的，可以一次记为不变"
        what = f"还有 {len(missing)} 户没有核查结果，如 {missing[0].number} {missing[0].name}"
        raise ProblemsError([Problem("核查", what, how)])
    if not document.strip() or _signed(session, review_id, village_code):
        raise ProblemsError([Problem("核查", "没有写会议记录，或已经签结", "写上会议记录的名称和日期")])
    row = ReviewSignatureRow(
        review_id=review_id,
        village_code=village_code,
        document=document.strip(),
        households=len(items),
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    detail = {"village": village_code, "households": len(items)}
    audit.record(session, actor, audit.Entry("sign", "household_review", review_id, detail=detail), now)


def keep_the_rest(session: Session, actor: Actor, place: tuple[str, str], note: str, now: datetime) -> int:
    """Record “不变” for every household of a village that has no finding yet; return how many."""
    review_id, village_code = place
    rest = [one for one in review_items(session, actor, review_id, village_code) if one.finding is None]
    for one in rest:
        record_finding(session, actor, NewFinding(review_id, one.household_id, "keep", note=note), now)
    return len(rest)


def apply_finding(session: Session, actor: Actor, finding_id: str, now: datetime) -> None:
    """Change the enrolment as a finding says, on its document.

    Raises ProblemsError for one's own finding, one that was replaced or applied, or an enrolment that does
    not fit any more.
    """
    actor.require(Permission.EDIT_REGISTRY)
    row = session.get(FindingRow, finding_id)
    if row is None or not actor.covers(row.village_code):
        raise LookupError(f"{actor.name} 的辖区内没有核查结果 {finding_id}")
    latest = _latest(session, actor, row.review_id, row.village_code).get(row.household_id)
    where = f"户 {session.get_one(HouseholdRow, row.household_id).number}"
    if row.applied_at is not None or row.outcome == "keep" or latest is None or latest.id != row.id:
        raise ProblemsError([Problem(where, "这个结果已经执行、已被替换，或没有变化", "刷新页面")])
    if row.recorded_by == actor.user_id:
        raise ProblemsError([Problem(where, "填写人不能执行自己的核查结果", "请另一位经办人执行")])
    _change_enrolment(session, actor, row, where, now)
    row.applied_at, row.applied_by = now, actor.user_id
    session.flush()
    audit.record(session, actor, audit.Entry("apply", "household_finding", row.id, reason=row.document), now)


def _change_enrolment(session: Session, actor: Actor, row: FindingRow, where: str, now: datetime) -> None:
    on = row.effective_on
    assert on is not None  # noqa: S101, the table says so of every outcome but keep
    statement = select(EnrolmentRow).where(
        EnrolmentRow.household_id == row.household_id,
        EnrolmentRow.component == row.component,
        known(EnrolmentRow),
        overlaps(EnrolmentRow, on, None),
    )
    present = session.scalars(statement).all()
    if (row.outcome == "enrol") == bool(present):
        what = "已经参与" if present else "没有参与"
        raise ProblemsError([Problem(where, f"{on} 起{what}“{row.component}”", "重新填写核查结果")])
    for one in present:
        end_fact(session, actor, one, on, now)
    if row.outcome != "end":
        fresh = Enrolment(
            row.household_id, row.village_code, row.component, on, row.weight, document=row.document
        )
        enrol(session, actor, fresh, now)
