"""The list of households (户信息表): the household, its head, its classes and its payee account.

Owns its columns and how a row becomes registry facts. It never ends a class and never changes a payee
account that is known: both are said, and done by a person.
"""

from datetime import date
from typing import Any

from sqlalchemy import select

from registry.facts import known
from registry.households import (
    HOUSEHOLD_CLASSES,
    Household,
    HouseholdClass,
    HouseholdClassRow,
    HouseholdMemberRow,
    HouseholdRow,
    LabourClass,
    NewMember,
    NewPayeeAccount,
    PayeeAccountRow,
    add_class,
    add_household,
    add_member,
    add_payee_account,
)
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.plans import (
    Change,
    Claim,
    RowPlan,
    Values,
    find_household,
    future_problem,
    village_problem,
)
from registry.intake.steps import Desk, Step, added, change, recorded, replace_fact
from registry.masking import mask_account, mask_id_number, mask_phone
from registry.secrets import KeyRing
from store.db import new_id
from store.problem import Problem

LABOUR = {"有劳动力": LabourClass.ABLE, "弱劳动力": LabourClass.WEAK, "无劳动能力": LabourClass.UNABLE}

SPEC = ListSpec(
    "households",
    "户信息表",
    (
        ColumnSpec(
            "village_code",
            "村代码",
            v.division_code,
            True,
            ("行政村代码", "所在村代码"),
            "520499100201",
            "12 位",
        ),
        ColumnSpec("number", "户编号", v.household_number, True, ("编号", "户号码"), "001", "村内唯一"),
        ColumnSpec("name", "户主姓名", v.name, True, ("姓名", "户主"), "王小二"),
        ColumnSpec("village_group", "村民小组", v.text, False, ("组别", "小组", "组"), "一组"),
        ColumnSpec(
            "registered_on", "登记日期", v.day, False, ("纳入日期", "识别日期"), "2018-01-01", "新户必填"
        ),
        ColumnSpec(
            "id_number",
            "户主身份证号",
            v.id_number,
            False,
            ("身份证号", "身份证号码", "证件号码"),
            "",
            "文本格式，18 位",
        ),
        ColumnSpec("phone", "联系电话", v.phone, False, ("电话", "手机号"), ""),
        ColumnSpec(
            "labour_class",
            "劳动能力",
            v.choice(LABOUR),
            False,
            ("劳动力情况",),
            "有劳动力",
            "、".join(LABOUR),
        ),
        ColumnSpec(
            "classes", "户类别", v.words_list, False, ("类别", "农户类型"), "脱贫户", "多个用顿号隔开"
        ),
        ColumnSpec("class_from", "类别起始日期", v.day, False, (), "2018-01-01", "不填则用登记日期"),
        ColumnSpec("bank", "开户行", v.text, False, ("开户银行", "银行"), "农村信用社"),
        ColumnSpec(
            "account", "银行账号", v.account, False, ("银行卡号", "账号", "一卡通账号"), "", "文本格式"
        ),
        ColumnSpec("holder", "账户名", v.name, False, ("开户人", "收款人"), "", "不填则用户主姓名"),
    ),
    (
        "每户一行，按村代码和户编号认；空着的格子不改动已登记的内容。",
        "已登记的收款账户不能由导入更换；未列出的户类别不会被取消。",
    ),
)


class HouseholdList:
    """Rows of the list of households."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A number once in a village, and a head once in a file."""
        home = Claim((values["village_code"], values["number"]))
        return (home, Claim(("person", values["id_number"]))) if "id_number" in values else (home,)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:
        """Add a household, or change those of its columns that the file fills."""
        row = find_household(desk, values)
        is_new = row is None or row.withdrawn_at is not None
        label = f"{values['number']} {values['name']}"
        problems = (*_problems(desk, values, is_new=is_new), *_head_elsewhere(desk, ring, values, row))
        if problems:
            return RowPlan(label, problems=problems)
        draft = _Draft(desk, ring, values, row)
        draft.household()
        draft.head()
        draft.classes()
        draft.account()
        changes = () if is_new else tuple(draft.changes)
        return RowPlan(label, changes, is_new, (), tuple(draft.warnings), draft.act)


def _problems(desk: Desk, values: Values, *, is_new: bool) -> tuple[Problem, ...]:
    found = [village_problem(desk, str(values["village_code"]))]
    if is_new and "registered_on" not in values:
        found.append(Problem("registered_on", "新户没有写登记日期", "填上纳入的日期，如 2018-01-01"))
    found += [future_problem(desk, field, values.get(field)) for field in ("registered_on", "class_from")]
    found.append(born_problem(desk, values))
    unknown = [name for name in _classes_of(values) if name not in HOUSEHOLD_CLASSES]
    if unknown:
        how = f"只能填：{'、'.join(HOUSEHOLD_CLASSES)}"
        found.append(Problem("classes", f"没有“{'、'.join(unknown)}”这种户类别", how))
    if "account" in values and "bank" not in values:
        found.append(Problem("account", "有银行账号，没有开户行", "填上开户行"))
    return tuple(problem for problem in found if problem is not None)


def _head_elsewhere(
    desk: Desk, ring: KeyRing, values: Values, row: HouseholdRow | None
) -> tuple[Problem, ...]:
    if "id_number" not in values:
        return ()
    statement = select(HouseholdMemberRow.household_id).where(
        HouseholdMemberRow.id_number_hash == ring.lookup_hash("id_number", str(values["id_number"])),
        HouseholdMemberRow.valid_to.is_(None),
        known(HouseholdMemberRow),
    )
    homes = set(desk.session.scalars(statement)) - {row.id if row is not None else ""}
    if not homes:
        return ()
    return (Problem("id_number", "这个人已登记在另一户", "核对户编号；确已迁入的，先在原户登记迁出"),)


def born_problem(desk: Desk, values: Values) -> Problem | None:
    """Return what is wrong with an ID number whose date of birth has not come yet."""
    number = values.get("id_number")
    if isinstance(number, str) and number[6:14] > f"{desk.now:%Y%m%d}":
        return Problem("id_number", "身份证号里的出生日期还没到", "对照证件核对第 7 到 14 位")
    return None


def _classes_of(values: Values) -> tuple[str, ...]:
    found = values.get("classes", ())
    return found if isinstance(found, tuple) else ()


class _Draft:
    """Collects what a row changes, and the acts that do it, in their order."""

    def __init__(self, desk: Desk, ring: KeyRing, values: Values, row: HouseholdRow | None) -> None:
        self.desk, self.ring, self.row = desk, ring, row
        self.values: dict[str, Any] = dict(values)
        self.id = new_id("household") if row is None else row.id
        self.changes: list[Change] = []
        self.warnings: list[str] = []
        self._acts: list[Any] = []

    def act(self) -> tuple[Step, ...]:
        return tuple(step for act in self._acts for step in act())

    def _changed(self, title: str, before: str, after: str) -> None:
        self.changes.append(Change(title, before or "（空）", after))

    @property
    def _from(self) -> date:
        given: date | None = self.values.get("registered_on")
        if given is None and self.row is not None:
            return self.row.registered_on
        return given or self.desk.now.date()

    def household(self) -> None:
        titles = {"name": "户主姓名", "village_group": "村民小组", "registered_on": "登记日期"}
        given = {name: self.values[name] for name in titles if name in self.values}
        row = self.row
        if row is None:
            record = Household(self.id, self.values["village_code"], self.values["number"], **given)
            self._acts.append(lambda: self._add(record))
            return
        for name, value in given.items():
            if getattr(row, name) != value:
                self._changed(titles[name], str(getattr(row, name)), str(value))
        if self.changes or row.withdrawn_at is not None:
            columns = {**given, "withdrawn_at": None}
            self._acts.append(lambda: (change(self.desk, row, columns),))

    def _add(self, record: Household) -> tuple[Step, ...]:
        add_household(self.desk.session, self.desk.actor, record, self.desk.now)
        return (added(self.desk.session.get_one(HouseholdRow, record.id)),)

    def head(self) -> None:
        if "id_number" not in self.values:
            return
        old = None if self.row is None else self._present_head()
        new = self._new_head(old)
        if old is not None:
            before = len(self.changes)
            self._compare_head(old, new)
            if len(self.changes) == before:
                return
        self._acts.append(lambda: self._put_head(old, new))

    def _present_head(self) -> HouseholdMemberRow | None:
        statement = select(HouseholdMemberRow).where(
            HouseholdMemberRow.household_id == self.id,
            HouseholdMemberRow.is_head,
            HouseholdMemberRow.valid_to.is_(None),
            known(HouseholdMemberRow),
        )
        return self.desk.session.scalar(statement)

    def _new_head(self, old: HouseholdMemberRow | None) -> NewMember:
        former_phone = "" if old is None else self.ring.decrypt("phone", old.phone_encrypted)
        former_class = LabourClass.ABLE if old is None else old.labour_class
        return NewMember(
            self.id,
            self.values["name"],
            self.values["id_number"],
            self._from if old is None else old.valid_from,
            self.values.get("phone", former_phone),
            is_head=True,
            labour_class=self.values.get("labour_class", former_class),
        )

    def _compare_head(self, old: HouseholdMemberRow, new: NewMember) -> None:
        id_number = self.ring.decrypt("id_number", old.id_number_encrypted)
        phone = self.ring.decrypt("phone", old.phone_encrypted)
        if id_number != new.id_number:
            self._changed("户主身份证号", mask_id_number(id_number), mask_id_number(new.id_number))
        if phone != new.phone:
            self._changed("联系电话", mask_phone(phone), mask_phone(new.phone))
        if old.name != new.name:
            self._changed("户主（成员表）", old.name, new.name)
        if old.labour_class != new.labour_class:
            words = {identifier: word for word, identifier in LABOUR.items()}
            former = words.get(LabourClass(old.labour_class), "") if old.labour_class else ""
            self._changed("劳动能力", former, words[LabourClass(new.labour_class)])

    def _put_head(self, old: HouseholdMemberRow | None, new: NewMember) -> tuple[Step, ...]:
        steps = () if old is None else (replace_fact(self.desk, old),)
        made = add_member(self.desk.session, self.desk.actor, self.ring, new, self.desk.now)
        return (*steps, recorded(HouseholdMemberRow, made))

    def classes(self) -> None:
        given = _classes_of(self.values)
        present = self._present_classes() if given and self.row is not None else set()
        for name in given:
            if name not in present:
                self._changed("户类别", "", name)
                record = HouseholdClass(self.id, name, self.values.get("class_from", self._from))
                self._acts.append(lambda record=record: self._put_class(record))
        for name in sorted(present - set(given)):
            self.warnings.append(f"已登记的户类别“{name}”不在表中，没有取消")

    def _present_classes(self) -> set[str]:
        statement = select(HouseholdClassRow.class_name).where(
            HouseholdClassRow.household_id == self.id,
            HouseholdClassRow.valid_to.is_(None),
            known(HouseholdClassRow),
        )
        return set(self.desk.session.scalars(statement))

    def _put_class(self, record: HouseholdClass) -> tuple[Step, ...]:
        made = add_class(self.desk.session, self.desk.actor, record, self.desk.now)
        return (recorded(HouseholdClassRow, made),)

    def account(self) -> None:
        if "account" not in self.values:
            return
        number = self.values["account"]
        if not v.luhn_holds(number):
            self.warnings.append("银行账号不符合银行卡校验规则，存折号可忽略，银行卡请核对")
        statement = select(PayeeAccountRow).where(
            PayeeAccountRow.household_id == self.id,
            PayeeAccountRow.valid_to.is_(None),
            known(PayeeAccountRow),
        )
        old = None if self.row is None else self.desk.session.scalar(statement)
        if old is not None:
            if old.account_hash != self.ring.lookup_hash("account", number):
                self.warnings.append(
                    f"收款账户与已登记的不同（{mask_account(old.account_last4)}），没有更换；请办理账户变更"
                )
            return
        self._changed("收款账户", "", mask_account(number))
        holder = self.values.get("holder", self.values["name"])
        record = NewPayeeAccount(self.id, holder, self.values["bank"], number, self._from)
        self._acts.append(lambda: self._put_account(record))

    def _put_account(self, record: NewPayeeAccount) -> tuple[Step, ...]:
        made = add_payee_account(self.desk.session, self.desk.actor, self.ring, record, self.desk.now)
        return (recorded(PayeeAccountRow, made),)
