"""The list of enrolments (参与分配登记表).

Owns its columns and how a row becomes an enrolment. A row that names the same household, component and
first day as a known enrolment changes it; any other overlap is refused.
"""

from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import select

from registry.enrolment import Enrolment, EnrolmentRow, enrol
from registry.facts import as_record, known, overlaps
from registry.households import HouseholdRow
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.plans import Change, Claim, RowPlan, Values, future_problem, present_household
from registry.intake.steps import Desk, Step, recorded, replace_fact
from registry.secrets import KeyRing
from store.problem import Problem

SPEC = ListSpec(
    "enrolments",
    "参与分配登记表",
    (
        ColumnSpec(
            "village_code", "村代码", v.division_code, True, ("行政村代码", "所在村代码"), "520499100201"
        ),
        ColumnSpec("number", "户编号", v.household_number, True, ("编号",), "001"),
        ColumnSpec(
            "component", "分配项目", v.text, True, ("项目", "分配去向"), "奖励补助", "与分配方案中的写法一致"
        ),
        ColumnSpec(
            "weight", "份额", v.weight, False, ("权重", "股数", "折股数"), "1", "份额和固定金额填一个"
        ),
        ColumnSpec("amount_fen", "固定金额(元)", v.fen, False, ("金额", "每月金额"), ""),
        ColumnSpec("valid_from", "起始日期", v.day, True, ("开始日期",), "2026-01-01"),
        ColumnSpec("valid_to", "终止日期", v.day, False, ("结束日期", "截止日期"), "", "这一天起不再参与"),
        ColumnSpec("document", "依据", v.text, False, ("依据文件", "文号", "会议记录"), "村民代表大会决议"),
    ),
    ("每户每项一行；终止日期当天已不参与。先导入户信息表。",),
)


class EnrolmentList:
    """Rows of the list of enrolments."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A household in a component once on any day."""
        key = tuple(values[name] for name in ("village_code", "number", "component"))
        start, end = values["valid_from"], values.get("valid_to")
        assert isinstance(start, date)  # noqa: S101, the column is required and read as a day
        return (Claim(key, start, end if isinstance(end, date) else None),)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Enrol a household, or change an enrolment that begins on the same day."""
        label = f"{values['number']} {values['component']}"
        home = present_household(desk, values)
        if isinstance(home, Problem):
            return RowPlan(label, problems=(home,))
        given: dict[str, Any] = dict(values)
        problems = tuple(_problems(desk, given))
        if problems:
            return RowPlan(label, problems=problems)
        record = _record(given, home)
        others = _overlapping(desk, record)
        old = next((row for row in others if row.valid_from == record.valid_from), None)
        taken = [row for row in others if row is not old]
        if taken:
            return RowPlan(label, problems=(_taken(taken[0]),))
        if old is None:
            return RowPlan(label, is_new=True, act=lambda: _put(desk, None, record))
        if "document" not in given:
            record = _with_document(record, old.document)
        changes = _changes(as_record(Enrolment, old), record)
        if not changes:
            return RowPlan(label)
        return RowPlan(label, changes, act=lambda: _put(desk, old, record))


def _problems(desk: Desk, given: dict[str, Any]) -> list[Problem]:
    found = [future_problem(desk, "valid_from", given["valid_from"])]
    if ("weight" in given) == ("amount_fen" in given):
        found.append(
            Problem("weight", "份额和固定金额应当填一个，也只填一个", "按分配方案填份额，或填固定金额")
        )
    end: date | None = given.get("valid_to")
    if end is not None and end <= given["valid_from"]:
        found.append(Problem("valid_to", "终止日期不晚于起始日期", "改正日期"))
    return [problem for problem in found if problem is not None]


def _record(given: dict[str, Any], home: HouseholdRow) -> Enrolment:
    return Enrolment(
        home.id,
        home.village_code,
        given["component"],
        given["valid_from"],
        given.get("weight"),
        given.get("amount_fen"),
        given.get("valid_to"),
        document=given.get("document", ""),
    )


def _with_document(record: Enrolment, document: str) -> Enrolment:

    return replace(record, document=document)


def _overlapping(desk: Desk, record: Enrolment) -> list[EnrolmentRow]:
    statement = select(EnrolmentRow).where(
        EnrolmentRow.household_id == record.household_id,
        EnrolmentRow.component == record.component,
        known(EnrolmentRow),
        overlaps(EnrolmentRow, record.valid_from, record.valid_to),
    )
    return list(desk.session.scalars(statement.order_by(EnrolmentRow.valid_from)))


def _taken(row: EnrolmentRow) -> Problem:
    until = f"到 {row.valid_to}" if row.valid_to else "尚未终止"
    how = "先给原登记写终止日期，再登记新的一段"
    return Problem("valid_from", f"与 {row.valid_from} 起的登记重叠（{until}）", how)


def _changes(old: Enrolment, new: Enrolment) -> tuple[Change, ...]:
    compared = (
        ("份额", old.weight, new.weight),
        ("固定金额（分）", old.amount_fen, new.amount_fen),
        ("终止日期", old.valid_to, new.valid_to),
        ("依据", old.document, new.document),
    )
    return tuple(
        Change(
            title,
            "（空）" if before in {None, ""} else str(before),
            "（空）" if after is None else str(after),
        )
        for title, before, after in compared
        if before != after
    )


def _put(desk: Desk, old: EnrolmentRow | None, record: Enrolment) -> tuple[Step, ...]:
    steps = () if old is None else (replace_fact(desk, old),)
    made = enrol(desk.session, desk.actor, record, desk.now)
    return (*steps, recorded(EnrolmentRow, made))
