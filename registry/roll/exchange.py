"""Comparing the roll with a list of another department: 低保, 残疾人, 死亡.

Owns the comparison and the proposals that come of it. People are found by the keyed hash of the ID number;
nothing changes by itself: each proposal is accepted or rejected by a person, on a document.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from documents.reading import read_sheets
from registry import audit
from registry.actors import Actor, Permission, in_area, scope
from registry.facts import as_record, known
from registry.households import HouseholdClassRow, HouseholdMemberRow, HouseholdRow
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec, ReadList, read_list
from registry.masking import mask_id_number
from registry.roll.lifecycle import Basis, record_death
from registry.roll.spans import end_fact, open_facts, put
from registry.roll.tables import ExchangeMatchRow, ExchangeRow
from registry.secrets import KeyRing
from store.db import new_id
from store.problem import Problem, ProblemsError

KIND_WORDS = {"dibao": "低保对象名单", "disabled": "残疾人名单", "death": "死亡人员名单"}
CLASS_OF = {"dibao": "低保", "disabled": "残疾人家庭"}
OUTCOME_WORDS = {
    "same": "相符",
    "name_differs": "姓名不符",
    "only_there": "只在对方名单",
    "only_here": "只在台账",
}
PROPOSAL_WORDS = {
    "add_class": "登记户类别",
    "end_class": "终止户类别",
    "death": "登记死亡",
    "check_name": "核对姓名",
    "": "不必处理",
}
_NUMBER = ColumnSpec(
    "id_number",
    "身份证号",
    v.id_number,
    True,
    ("身份证号码", "证件号码", "公民身份号码"),
    "",
    "文本格式，18 位",
)
_NAME = ColumnSpec("name", "姓名", v.name, True, ("对象姓名", "户主姓名", "死者姓名", "残疾人姓名"), "王小二")
_SINCE = ColumnSpec(
    "since", "日期", v.day, False, ("起始日期", "享受日期", "发证日期", "死亡日期", "去世日期"), "2026-01-01"
)
SPECS = {
    kind: ListSpec(kind, word, (_NAME, _NUMBER, _SINCE), ("每人一行，只需要姓名、身份证号和日期三列。",))
    for kind, word in KIND_WORDS.items()
}


@dataclass(frozen=True, slots=True)
class DepartmentList:
    """A file that another department sent: kind, department, the day it is true for, name and content."""

    kind: str
    department: str
    as_of: date
    file_name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A comparison that was made, with the count of each outcome and of open proposals."""

    id: str
    kind: str
    department: str
    as_of: date
    area: str
    file_name: str
    recorded_at: datetime
    recorded_by: str
    counts: Mapping[str, int]
    open_proposals: int

    @property
    def word(self) -> str:
        """What was compared, in Chinese."""
        return KIND_WORDS[self.kind]


@dataclass(frozen=True, slots=True)
class Match:
    """One person of a comparison, masked; a proposal is open while `decision` is empty."""

    id: str
    exchange_id: str
    outcome: str
    id_number_masked: str
    name_there: str
    name_here: str
    household_id: str
    member_id: str
    village_code: str
    since: date | None
    proposal: str
    decision: str
    decided_at: datetime | None
    decided_by: str
    document: str

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to decide."""
        return bool(self.proposal) and not self.decision


@dataclass(frozen=True, slots=True)
class _Person:
    row: HouseholdMemberRow
    village_code: str


def compare(session: Session, actor: Actor, ring: KeyRing, source: DepartmentList, now: datetime) -> str:
    """Compare a list with the roll of the actor's area and keep what was found; return the exchange's id.

    Raises ProblemsError, with the address of every wrong cell, when the list cannot be read whole.
    """
    actor.require(Permission.EDIT_REGISTRY)
    read = _read(source)
    people = _people(session, actor)
    exchange = ExchangeRow(
        id=new_id("exchange"),
        kind=source.kind,
        department=source.department,
        as_of=source.as_of,
        area=actor.area,
        file_name=source.file_name[:255],
        file_hash=hashlib.sha256(source.content).hexdigest(),
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(exchange)
    session.flush()
    holding = _holding(session, actor, source.kind)
    seen: set[str] = set()
    for row in read.rows:
        number = str(row.values["id_number"])
        hashed = ring.lookup_hash("id_number", number)
        seen.add(hashed)
        given = (str(row.values["name"]), mask_id_number(number), row.values.get("since"))
        session.add(_there(exchange, hashed, given, (people.get(hashed), holding)))
    if source.kind in CLASS_OF:
        _only_here(session, exchange, people, (holding, seen))
    session.flush()
    detail = {"file": exchange.file_hash, "rows": len(read.rows)}
    audit.record(session, actor, audit.Entry("compare", "exchange", exchange.id, detail=detail), now)
    return exchange.id


def _read(source: DepartmentList) -> ReadList:
    if source.kind not in SPECS:
        raise ProblemsError(
            [Problem("名单种类", "没有这种名单", f"只能是：{'、'.join(KIND_WORDS.values())}")]
        )
    read = read_list(SPECS[source.kind], read_sheets(source.content, source.file_name))
    problems = [*read.problems, *(one for row in read.rows for one in row.problems)]
    numbers: dict[object, int] = {}
    for row in read.rows:
        number = row.values.get("id_number")
        if number is not None and number in numbers:
            what = f"与第 {numbers[number]} 行是同一个人"
            problems.append(Problem(f"第 {row.row_no} 行", what, "只留一行"))
        numbers.setdefault(number, row.row_no)
    if problems:
        raise ProblemsError(problems)
    return read


def _people(session: Session, actor: Actor) -> dict[str, _Person]:
    statement = (
        select(HouseholdMemberRow, HouseholdRow.village_code)
        .join(HouseholdRow)
        .where(
            known(HouseholdMemberRow),
            HouseholdMemberRow.valid_to.is_(None),
            HouseholdRow.withdrawn_at.is_(None),
            HouseholdRow.left_on.is_(None),
            in_area(actor, HouseholdRow.village_code),
        )
    )
    return {
        row.id_number_hash: _Person(row, village)
        for row, village in session.execute(statement)
        if row.id_number_hash
    }


def _holding(session: Session, actor: Actor, kind: str) -> set[str]:
    """Return the households that have the class of a list; none for a list of deaths."""
    statement = (
        select(HouseholdClassRow.household_id)
        .join(HouseholdRow)
        .where(
            HouseholdClassRow.class_name == CLASS_OF.get(kind, ""),
            HouseholdClassRow.valid_to.is_(None),
            known(HouseholdClassRow),
            in_area(actor, HouseholdRow.village_code),
        )
    )
    return set(session.scalars(statement))


def _there(
    exchange: ExchangeRow,
    hashed: str,
    given: tuple[str, str, Any],
    here: tuple[_Person | None, set[str]],
) -> ExchangeMatchRow:
    name, masked, since = given
    person, holding = here
    if person is None:
        return _match(exchange, "only_there", hashed, {"name_there": name, "id_number_masked": masked})
    found = {
        "name_there": name,
        "id_number_masked": masked,
        "name_here": person.row.name,
        "household_id": person.row.household_id,
        "member_id": person.row.id,
        "village_code": person.village_code,
        "since": since,
    }
    if name != person.row.name:
        return _match(exchange, "name_differs", hashed, {**found, "proposal": "check_name"})
    wanted = "death" if exchange.kind == "death" else "add_class"
    has = wanted == "add_class" and person.row.household_id in holding
    return _match(exchange, "same", hashed, {**found, "proposal": "" if has else wanted})


def _only_here(
    session: Session,
    exchange: ExchangeRow,
    people: Mapping[str, _Person],
    sets: tuple[set[str], set[str]],
) -> None:
    """Note the households that have the class here while none of their members is on the list."""
    holding, seen = sets
    listed = {people[one].row.household_id for one in seen if one in people}
    for person in people.values():
        row = person.row
        if row.is_head and row.household_id in holding - listed:
            found = {
                "name_here": row.name,
                "household_id": row.household_id,
                "member_id": row.id,
                "village_code": person.village_code,
                "proposal": "end_class",
            }
            session.add(_match(exchange, "only_here", row.id_number_hash, found))


def _match(exchange: ExchangeRow, outcome: str, hashed: str, found: Mapping[str, Any]) -> ExchangeMatchRow:
    empty = {
        "id_number_masked": "",
        "name_there": "",
        "name_here": "",
        "household_id": "",
        "member_id": "",
        "village_code": "",
        "since": None,
        "proposal": "",
    }
    return ExchangeMatchRow(
        id=new_id("match"),
        exchange_id=exchange.id,
        outcome=outcome,
        id_number_hash=hashed,
        **{**empty, **found},
        decision="",
        decided_at=None,
        decided_by="",
        document="",
    )


def exchanges(session: Session, actor: Actor) -> tuple[Exchange, ...]:
    """Return the comparisons made in the actor's area, the latest first."""
    actor.require(Permission.EDIT_REGISTRY)
    rows = session.scalars(
        scope(select(ExchangeRow), actor, ExchangeRow.area).order_by(ExchangeRow.recorded_at.desc())
    ).all()
    return tuple(_exchange(session, row) for row in rows)


def exchange(session: Session, actor: Actor, exchange_id: str) -> Exchange | None:
    """Return a comparison made in the actor's area, or None."""
    actor.require(Permission.EDIT_REGISTRY)
    statement = scope(select(ExchangeRow), actor, ExchangeRow.area).where(ExchangeRow.id == exchange_id)
    row = session.scalar(statement)
    return None if row is None else _exchange(session, row)


def _exchange(session: Session, row: ExchangeRow) -> Exchange:
    counted = select(ExchangeMatchRow.outcome, func.count()).where(ExchangeMatchRow.exchange_id == row.id)
    counts = {str(row[0]): int(row[1]) for row in session.execute(counted.group_by(ExchangeMatchRow.outcome))}
    waiting = select(func.count()).where(
        ExchangeMatchRow.exchange_id == row.id,
        ExchangeMatchRow.proposal != "",
        ExchangeMatchRow.decision == "",
    )
    return Exchange(
        row.id, row.kind, row.department, row.as_of, row.area, row.file_name, row.recorded_at,
        row.recorded_by, {one: counts.get(one, 0) for one in OUTCOME_WORDS}, session.scalar(waiting) or 0,
    )  # fmt: skip


def matches(session: Session, actor: Actor, exchange_id: str) -> tuple[Match, ...]:
    """Return the persons of a comparison: open proposals first, then by outcome and name."""
    if exchange(session, actor, exchange_id) is None:
        return ()
    rows = session.scalars(select(ExchangeMatchRow).where(ExchangeMatchRow.exchange_id == exchange_id))
    found = [as_record(Match, row) for row in rows]
    order = list(OUTCOME_WORDS)
    return tuple(
        sorted(found, key=lambda one: (not one.is_open, order.index(one.outcome), one.name_here, one.id))
    )


def decide(session: Session, actor: Actor, match_id: str, basis: Basis, *, accept: bool) -> None:
    """Accept or reject a proposal on a document; what was accepted is done at once, as of `basis.on`.

    Raises ProblemsError for a proposal that was decided, or that does not fit what is known any more.
    """
    row = session.get(ExchangeMatchRow, match_id)
    if row is None or exchange(session, actor, row.exchange_id) is None:
        raise LookupError(f"{actor.name} 的辖区内没有比对结果 {match_id}")
    if row.decision or not row.proposal:
        raise ProblemsError([Problem(row.name_here or row.name_there, "已经处理，或不必处理", "刷新页面")])
    if accept:
        _carry_out(session, actor, row, basis)
    row.decision = "accepted" if accept else "rejected"
    row.decided_at, row.decided_by, row.document = basis.at, actor.user_id, basis.document
    session.flush()
    entry = audit.Entry(row.decision, "exchange_match", row.id, reason=basis.document)
    audit.record(session, actor, entry, basis.at)


def _carry_out(session: Session, actor: Actor, row: ExchangeMatchRow, basis: Basis) -> None:
    kind = session.get_one(ExchangeRow, row.exchange_id).kind
    if row.proposal == "death":
        _carry_out_death(session, actor, row, basis)
    elif row.proposal in {"add_class", "end_class"}:
        name = CLASS_OF[kind]
        present = [
            one
            for one in open_facts(session, HouseholdClassRow, row.household_id, basis.on)
            if one.class_name == name
        ]
        if (row.proposal == "add_class") == bool(present):
            what = "已经登记了" if present else "没有登记"
            raise ProblemsError([Problem(row.name_here, f"{what}“{name}”", "退回这一条建议")])
        for one in present:
            end_fact(session, actor, one, basis.on, basis.at)
        if not present:
            columns = {
                "household_id": row.household_id,
                "class_name": name,
                "valid_from": basis.on,
                "valid_to": None,
            }
            put(session, actor, HouseholdClassRow, columns, basis.at)


def _carry_out_death(session: Session, actor: Actor, row: ExchangeMatchRow, basis: Basis) -> None:
    others = [
        one
        for one in open_facts(session, HouseholdMemberRow, row.household_id, basis.on)
        if one.valid_to is None and one.id != row.member_id
    ]
    member = session.get_one(HouseholdMemberRow, row.member_id)
    if member.is_head and len(others) > 1:
        how = "在户卡页面登记死亡并指定新的户主，再退回这一条建议"
        raise ProblemsError([Problem(row.name_here, "是户主，户里还有几个成员", how)])
    new_head = others[0].id if member.is_head and others else ""
    record_death(session, actor, row.member_id, basis, new_head_id=new_head)
