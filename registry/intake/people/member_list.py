"""The list of household members (家庭成员表).

Owns its columns and how a row becomes a member. A person is known by the ID number, and is a member of
one household at a time.
"""

from datetime import date
from typing import Any

from sqlalchemy import select

from registry.facts import known
from registry.households import HouseholdMemberRow, HouseholdRow, LabourClass, NewMember, add_member
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.household_list import LABOUR, born_problem
from registry.intake.plans import Change, Claim, RowPlan, Values, future_problem, present_household
from registry.intake.steps import Desk, Step, recorded, replace_fact
from registry.masking import mask_phone
from registry.secrets import KeyRing
from store.problem import Problem

RELATIONS = {
    "户主": "head",
    "配偶": "other",
    "子": "other",
    "女": "other",
    "子女": "other",
    "父母": "other",
    "父亲": "other",
    "母亲": "other",
    "孙子女": "other",
    "儿媳": "other",
    "女婿": "other",
    "其他": "other",
}

SPEC = ListSpec(
    "members",
    "家庭成员表",
    (
        ColumnSpec(
            "village_code", "村代码", v.division_code, True, ("行政村代码", "所在村代码"), "520499100201"
        ),
        ColumnSpec("number", "户编号", v.household_number, True, ("编号",), "001"),
        ColumnSpec("name", "姓名", v.name, True, ("成员姓名",), "王小三"),
        ColumnSpec(
            "id_number", "身份证号", v.id_number, True, ("身份证号码", "证件号码"), "", "文本格式，18 位"
        ),
        ColumnSpec(
            "relation", "与户主关系", v.choice(RELATIONS), True, ("关系",), "子女", "、".join(RELATIONS)
        ),
        ColumnSpec("labour_class", "劳动能力", v.choice(LABOUR), False, ("劳动力情况",), "有劳动力"),
        ColumnSpec("phone", "联系电话", v.phone, False, ("电话", "手机号"), ""),
        ColumnSpec("valid_from", "起始日期", v.day, False, ("纳入日期",), "2018-01-01", "不填则用户登记日期"),
    ),
    ("每人一行，按身份证号认；先导入户信息表。",),
)


class MemberList:
    """Rows of the list of members."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A person once, and a head once in a household."""
        person = Claim((values["id_number"],))
        if values["relation"] == "head":
            return (person, Claim(("head", values["village_code"], values["number"])))
        return (person,)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:
        """Add a member, or change name, labour class or phone of one who is known."""
        label = f"{values['number']} {values['name']}"
        home = present_household(desk, values)
        if isinstance(home, Problem):
            return RowPlan(label, problems=(home,))
        hashed = ring.lookup_hash("id_number", str(values["id_number"]))
        statement = select(HouseholdMemberRow).where(
            HouseholdMemberRow.id_number_hash == hashed,
            HouseholdMemberRow.valid_to.is_(None),
            known(HouseholdMemberRow),
        )
        found = desk.session.scalars(statement.order_by(HouseholdMemberRow.id)).all()
        old = next((row for row in found if row.household_id == home.id), None)
        problems = _problems(desk, values, home, elsewhere=any(row.household_id != home.id for row in found))
        if problems:
            return RowPlan(label, problems=problems)
        new = _new(ring, values, home, old)
        changes = () if old is None else _changes(ring, old, new)
        if old is not None and not changes:
            return RowPlan(label)
        return RowPlan(label, changes, old is None, act=lambda: _put(desk, ring, old, new))


def _problems(desk: Desk, values: Values, home: HouseholdRow, *, elsewhere: bool) -> tuple[Problem, ...]:
    found = [future_problem(desk, "valid_from", values.get("valid_from")), born_problem(desk, values)]
    if elsewhere:
        how = "核对户编号；确已迁入的，先在原户登记迁出"
        found.append(Problem("id_number", "这个人已登记在另一户", how))
    statement = select(HouseholdMemberRow).where(
        HouseholdMemberRow.household_id == home.id,
        HouseholdMemberRow.is_head,
        HouseholdMemberRow.valid_to.is_(None),
        known(HouseholdMemberRow),
    )
    head = desk.session.scalar(statement)
    if values["relation"] == "head" and head is not None and head.name != values["name"]:
        found.append(Problem("relation", f"这一户的户主已登记为 {head.name}", "核对户主；换户主在户页面办理"))
    return tuple(problem for problem in found if problem is not None)


def _new(ring: KeyRing, values: Values, home: HouseholdRow, old: HouseholdMemberRow | None) -> NewMember:
    given: dict[str, Any] = dict(values)
    start: date = given.get("valid_from", home.registered_on) if old is None else old.valid_from
    return NewMember(
        home.id,
        given["name"],
        given["id_number"],
        start,
        given.get("phone", "" if old is None else ring.decrypt("phone", old.phone_encrypted)),
        is_head=given["relation"] == "head",
        labour_class=given.get("labour_class", LabourClass.ABLE if old is None else old.labour_class),
    )


def _changes(ring: KeyRing, old: HouseholdMemberRow, new: NewMember) -> tuple[Change, ...]:
    words = {str(identifier): word for word, identifier in LABOUR.items()}
    phone = ring.decrypt("phone", old.phone_encrypted)
    compared = (
        ("姓名", old.name, new.name),
        ("劳动能力", words.get(old.labour_class, ""), words.get(new.labour_class, "")),
        ("联系电话", mask_phone(phone), mask_phone(new.phone)),
        ("与户主关系", "户主" if old.is_head else "其他", "户主" if new.is_head else "其他"),
    )
    differing = [one for one in compared if one[1] != one[2]]
    if phone != new.phone and not any(title == "联系电话" for title, _, _ in differing):
        differing.append(("联系电话", mask_phone(phone), mask_phone(new.phone)))
    return tuple(Change(title, before or "（空）", after) for title, before, after in differing)


def _put(desk: Desk, ring: KeyRing, old: HouseholdMemberRow | None, new: NewMember) -> tuple[Step, ...]:
    steps = () if old is None else (replace_fact(desk, old),)
    made = add_member(desk.session, desk.actor, ring, new, desk.now)
    return (*steps, recorded(HouseholdMemberRow, made))
