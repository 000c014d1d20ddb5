"""What happens to a household: leaving, death, a new head, splitting, merging.

Owns table `household_event` and the order in which one event changes members, classes, enrolments and posts.
Each event rests on a document and is one transaction of the caller; what was known before stays readable.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.actors import Actor, Permission, scope
from registry.enrolment import EnrolmentRow, PostRow
from registry.facts import as_record, known
from registry.households import (
    Household,
    HouseholdClassRow,
    HouseholdMemberRow,
    HouseholdRow,
    NewMember,
    add_household,
    add_member,
    find_by_id_number,
    leave,
)
from registry.revisions import revise
from registry.roll.posts import end_post
from registry.roll.spans import columns_of, end_fact, open_facts, put
from registry.roll.tables import HouseholdEventRow
from registry.secrets import KeyRing
from store.db import new_id
from store.problem import Problem, ProblemsError

EVENT_WORDS = {
    "exit": "退出",
    "return": "重新纳入",
    "split": "分户",
    "merge": "并户",
    "death": "死亡",
    "birth": "新增成员",
    "head": "变更户主",
}


@dataclass(frozen=True, slots=True)
class Basis:
    """When something happened, on which document, recorded when; raises ProblemsError without a document."""

    on: date
    document: str
    at: datetime
    note: str = ""

    def __post_init__(self) -> None:
        if not self.document.strip():
            raise ProblemsError([Problem("依据", "没有写依据", "写上文件、证明或会议记录的名称和日期")])


@dataclass(frozen=True, slots=True)
class Split:
    """Who moves out into which new household, and which part of each component's weight goes along."""

    household_id: str
    number: str
    member_ids: tuple[str, ...]
    weights: Mapping[str, int] = field(default_factory=dict)
    village_group: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Joining:
    """A member who was born into a household or joins it, with plain ID number and phone; never printed."""

    household_id: str
    name: str
    id_number: str
    labour_class: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class HouseholdEvent:
    """One event, in the order of days."""

    id: str
    household_id: str
    village_code: str
    kind: str
    happened_on: date
    other_household_id: str | None
    member_id: str
    continued_until: date | None
    document: str
    note: str
    recorded_at: datetime
    recorded_by: str

    @property
    def word(self) -> str:
        """What happened, in Chinese."""
        return EVENT_WORDS[self.kind]


def household_events(
    session: Session, actor: Actor, household_id: str = "", *, at: datetime | None = None
) -> tuple[HouseholdEvent, ...]:
    """Return the events of the actor's area or of one household, as known now or `at` an instant."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(HouseholdEventRow), actor, HouseholdEventRow.village_code)
    if household_id:
        mine = HouseholdEventRow.household_id == household_id
        statement = statement.where(mine | (HouseholdEventRow.other_household_id == household_id))
    if at is not None:
        statement = statement.where(HouseholdEventRow.recorded_at <= at)
    statement = statement.order_by(HouseholdEventRow.happened_on, HouseholdEventRow.recorded_at)
    return tuple(as_record(HouseholdEvent, row) for row in session.scalars(statement))


def record_exit(
    session: Session,
    actor: Actor,
    household_id: str,
    basis: Basis,
    *,
    continued_until: date | None = None,
) -> str:
    """Record that a household leaves; with `continued_until` its enrolments go on until that day.

    Posts end on the day itself: a post is work. Returns the event's id.
    """
    home = _home(session, actor, household_id)
    if home.left_on is not None:
        raise _refused(home, f"已于 {home.left_on} 退出", "核对户编号")
    if basis.on < home.registered_on:
        raise _refused(home, f"退出日期早于登记日期 {home.registered_on}", "核对日期")
    if continued_until is not None and continued_until < basis.on:
        raise _refused(home, "延续享受的截止日期早于退出日期", "核对日期")
    leave(session, actor, household_id, basis.on, basis.at)
    _end_all(session, actor, EnrolmentRow, household_id, (continued_until or basis.on, basis.at))
    _end_all(session, actor, PostRow, household_id, (basis.on, basis.at))
    return _keep(session, actor, home, basis, _What("exit", continued_until=continued_until))


def record_return(session: Session, actor: Actor, household_id: str, basis: Basis) -> str:
    """Take a household that had left back onto the roll; what it takes part in is enrolled anew."""
    home = _home(session, actor, household_id)
    if home.left_on is None:
        raise _refused(home, "没有退出，不必重新纳入", "核对户编号")
    revise(session, actor, home, {"left_on": None}, basis.at)
    return _keep(session, actor, home, basis, _What("return"))


def record_death(
    session: Session, actor: Actor, member_id: str, basis: Basis, *, new_head_id: str = ""
) -> str:
    """Record a member's death; the last member's ends the household, a head's needs a new head."""
    member = _member(session, actor, member_id)
    home = _home(session, actor, member.household_id)
    others = [one for one in _members(session, home.id, basis.on) if one.id != member_id]
    if member.is_head and others and not new_head_id:
        raise _refused(home, f"{member.name} 是户主", "同时指定新的户主")
    end_fact(session, actor, member, basis.on, basis.at)
    if member.is_head and others:
        _put_head(session, actor, home, new_head_id, basis)
    event = _keep(session, actor, home, basis, _What("death", member_id=member_id))
    if not others and home.left_on is None:
        record_exit(session, actor, home.id, basis)
    return event


def change_head(session: Session, actor: Actor, household_id: str, new_head_id: str, basis: Basis) -> str:
    """Make another member the head from a day on."""
    home = _home(session, actor, household_id)
    for one in _members(session, home.id, basis.on):
        if one.is_head and one.id != new_head_id:
            columns = columns_of(one)
            end_fact(session, actor, one, basis.on, basis.at)
            start = max(basis.on, one.valid_from)
            put(
                session,
                actor,
                HouseholdMemberRow,
                {**columns, "is_head": False, "valid_from": start},
                basis.at,
            )
    _put_head(session, actor, home, new_head_id, basis)
    return _keep(session, actor, home, basis, _What("head", member_id=new_head_id))


def record_birth(session: Session, actor: Actor, ring: KeyRing, new: Joining, basis: Basis) -> str:
    """Record a member who was born into a household, or joined it, from the day of the basis; return the id.

    Raises ProblemsError for a household that left, a number that is already in the roll, or a day before
    the birth that the number tells.
    """
    home = _home(session, actor, new.household_id)
    if home.left_on is not None:
        raise _refused(home, "已经退出，不能新增成员", "先登记重新纳入")
    if not new.name.strip():
        raise _refused(home, "没有写姓名", "写上新成员的姓名")
    if new.id_number[6:14] > f"{basis.on:%Y%m%d}":
        raise _refused(home, f"{basis.on} 早于身份证号里的出生日期", "改正日期或号码")
    if find_by_id_number(session, actor, ring, new.id_number):
        raise _refused(home, "这个身份证号已登记在册", "核对号码；从别户迁入的，先在原户办理")
    member = NewMember(home.id, new.name, new.id_number, basis.on, new.phone, labour_class=new.labour_class)
    made = add_member(session, actor, ring, member, basis.at)
    _keep(session, actor, home, basis, _What("birth", member_id=made))
    return made


def split_household(session: Session, actor: Actor, split: Split, basis: Basis) -> str:
    """Split members off into a new household; the first named becomes its head. Return its id.

    The weight that goes along in a component is taken from the old household, so that the village's sum
    stays the same. Payee account and posts stay with the old household.
    """
    home = _home(session, actor, split.household_id)
    present = {one.id: one for one in _members(session, home.id, basis.on)}
    moving = [present[one] for one in split.member_ids if one in present]
    if not moving or len(moving) != len(split.member_ids):
        raise _refused(home, "分出的成员不在这一户", "刷新页面后重新选择")
    if any(one.is_head for one in moving):
        raise _refused(home, "户主不能分出", "先变更户主")
    new = Household(
        new_id("household"),
        home.village_code,
        split.number,
        moving[0].name,
        basis.on,
        split.village_group or home.village_group,
    )
    _refuse_taken_number(session, new)
    add_household(session, actor, new, basis.at)
    for place, one in enumerate(moving):
        _move(session, actor, one, (new.id, place == 0), (basis.on, basis.at))
    for one in open_facts(session, HouseholdClassRow, home.id, basis.on):
        columns = {**columns_of(one), "household_id": new.id, "valid_from": max(one.valid_from, basis.on)}
        put(session, actor, HouseholdClassRow, columns, basis.at)
    for component, weight in split.weights.items():
        _share_weight(session, actor, (home, new.id, component), weight, basis)
    _keep(session, actor, home, basis, _What("split", other=new.id))
    return new.id


def merge_households(session: Session, actor: Actor, pair: tuple[str, str], basis: Basis) -> str:
    """Merge household (leaving, staying): members and weights move to the one that stays; return the event.

    A fixed amount is not added up: it ends with the household that leaves. Raises ProblemsError for
    households of different villages.
    """
    leaving, staying = (_home(session, actor, one) for one in pair)
    if leaving.id == staying.id or leaving.village_code != staying.village_code:
        raise _refused(leaving, "只能并入同村的另一户", "核对两户的户编号")
    if leaving.left_on is not None or staying.left_on is not None:
        raise _refused(leaving, "有一户已经退出", "核对两户的户编号")
    for one in _members(session, leaving.id, basis.on):
        _move(session, actor, one, (staying.id, False), (basis.on, basis.at))
    moved = [
        (one.component, one.weight)
        for one in open_facts(session, EnrolmentRow, leaving.id, basis.on)
        if one.weight is not None
    ]
    event = _keep(session, actor, leaving, basis, _What("merge", other=staying.id))
    leave(session, actor, leaving.id, basis.on, basis.at)
    _end_all(session, actor, EnrolmentRow, leaving.id, (basis.on, basis.at))
    _end_all(session, actor, PostRow, leaving.id, (basis.on, basis.at))
    for component, weight in moved:
        _add_weight(session, actor, (staying, component), weight, basis)
    return event


def _home(session: Session, actor: Actor, household_id: str) -> HouseholdRow:
    actor.require(Permission.EDIT_REGISTRY)
    row = session.get(HouseholdRow, household_id)
    if row is None or row.withdrawn_at is not None or not actor.covers(row.village_code):
        raise LookupError(f"{actor.name} 的辖区内没有户 {household_id}")
    return row


def _member(session: Session, actor: Actor, member_id: str) -> HouseholdMemberRow:
    row = session.get(HouseholdMemberRow, member_id)
    if row is None or row.superseded_at is not None or row.valid_to is not None:
        raise LookupError(f"{actor.name} 的辖区内没有成员 {member_id}")
    return row


def _members(session: Session, household_id: str, on: date) -> Collection[HouseholdMemberRow]:
    found = open_facts(session, HouseholdMemberRow, household_id, on)
    return [one for one in found if one.valid_to is None]


def _end_all(
    session: Session,
    actor: Actor,
    table: type[EnrolmentRow] | type[PostRow],
    household_id: str,
    when: tuple[date, datetime],
) -> None:
    for row in open_facts(session, table, household_id, when[0]):
        (end_post if isinstance(row, PostRow) else end_fact)(session, actor, row, *when)


def _move(
    session: Session,
    actor: Actor,
    row: HouseholdMemberRow,
    target: tuple[str, bool],
    when: tuple[date, datetime],
) -> None:
    on, now = when
    columns = {
        **columns_of(row),
        "household_id": target[0],
        "is_head": target[1],
        "valid_from": max(on, row.valid_from),
    }
    end_fact(session, actor, row, on, now)
    put(session, actor, HouseholdMemberRow, columns, now)


def _put_head(session: Session, actor: Actor, home: HouseholdRow, member_id: str, basis: Basis) -> None:
    row = session.get(HouseholdMemberRow, member_id)
    if (
        row is None
        or row.household_id != home.id
        or row.superseded_at is not None
        or row.valid_to is not None
    ):
        raise _refused(home, "新的户主不是这一户的成员", "刷新页面后重新选择")
    columns = {**columns_of(row), "is_head": True, "valid_from": max(basis.on, row.valid_from)}
    end_fact(session, actor, row, basis.on, basis.at)
    put(session, actor, HouseholdMemberRow, columns, basis.at)
    revise(session, actor, home, {"name": row.name}, basis.at)


def _refuse_taken_number(session: Session, new: Household) -> None:
    statement = select(HouseholdRow.id).where(
        HouseholdRow.village_code == new.village_code, HouseholdRow.number == new.number
    )
    if not new.number.strip() or session.scalar(statement) is not None:
        wrong = Problem("新户编号", f"{new.number or '（空）'} 已有一户，或没有填写", "换一个没有用过的编号")
        raise ProblemsError([wrong])


def _weighted(session: Session, household_id: str, component: str) -> EnrolmentRow | None:
    statement = select(EnrolmentRow).where(
        EnrolmentRow.household_id == household_id,
        EnrolmentRow.component == component,
        EnrolmentRow.weight.is_not(None),
        EnrolmentRow.valid_to.is_(None),
        known(EnrolmentRow),
    )
    return session.scalar(statement)


def _share_weight(
    session: Session,
    actor: Actor,
    place: tuple[HouseholdRow, str, str],
    weight: int,
    basis: Basis,
) -> None:
    home, new_id_, component = place
    old = _weighted(session, home.id, component)
    if old is None or old.weight is None or not 0 < weight <= old.weight:
        have = 0 if old is None else old.weight
        raise _refused(home, f"“{component}”现有份额 {have}，不能分出 {weight}", "核对分出的份额")
    start = max(basis.on, old.valid_from)
    columns = {**columns_of(old), "valid_from": start, "document": basis.document}
    rest = old.weight - weight
    end_fact(session, actor, old, basis.on, basis.at)
    if rest:
        put(session, actor, EnrolmentRow, {**columns, "weight": rest}, basis.at)
    put(session, actor, EnrolmentRow, {**columns, "household_id": new_id_, "weight": weight}, basis.at)


def _add_weight(
    session: Session,
    actor: Actor,
    place: tuple[HouseholdRow, str],
    weight: int,
    basis: Basis,
) -> None:
    home, component = place
    old = _weighted(session, home.id, component)
    columns = {
        "household_id": home.id,
        "village_code": home.village_code,
        "component": component,
        "weight": weight + (0 if old is None or old.weight is None else old.weight),
        "amount_fen": None,
        "post": "",
        "document": basis.document,
        "valid_from": basis.on if old is None else max(basis.on, old.valid_from),
        "valid_to": None,
    }
    if old is not None:
        end_fact(session, actor, old, basis.on, basis.at)
    put(session, actor, EnrolmentRow, columns, basis.at)


@dataclass(frozen=True, slots=True)
class _What:
    kind: str
    other: str | None = None
    member_id: str = ""
    continued_until: date | None = None


def _keep(session: Session, actor: Actor, home: HouseholdRow, basis: Basis, what: _What) -> str:
    row = HouseholdEventRow(
        id=new_id("event"),
        household_id=home.id,
        village_code=home.village_code,
        kind=what.kind,
        happened_on=basis.on,
        other_household_id=what.other,
        member_id=what.member_id,
        continued_until=what.continued_until,
        document=basis.document.strip(),
        note=basis.note.strip(),
        recorded_at=basis.at,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    entry = audit.Entry(what.kind, "household", home.id, reason=basis.document)
    audit.record(session, actor, entry, basis.at)
    return row.id


def _refused(home: HouseholdRow, what: str, how: str) -> ProblemsError:
    return ProblemsError([Problem(f"户 {home.number} {home.name}", what, how)])
