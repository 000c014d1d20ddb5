"""The list of divisions (行政区划表): counties, townships and villages with their 12-digit codes.

Owns its columns and how a row becomes a division. A code that exists keeps its history: a new name is
recorded as a correction of the row that holds today.
"""

from dataclasses import replace
from datetime import date

from sqlalchemy import select

from registry.divisions import SIGNIFICANT_DIGITS, Division, DivisionLevel, DivisionRow, add_division
from registry.facts import as_columns, as_record
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.plans import Change, Claim, RowPlan, Values
from registry.intake.steps import Desk, Step, added, change
from registry.secrets import KeyRing
from store.db import new_id
from store.problem import Problem

LEVELS = {
    "省": DivisionLevel.PROVINCE,
    "市": DivisionLevel.PREFECTURE,
    "县": DivisionLevel.COUNTY,
    "乡镇": DivisionLevel.TOWNSHIP,
    "村": DivisionLevel.VILLAGE,
}
UPWARDS = (12, 9, 6, 4, 2)
SINCE_EVER = date(2000, 1, 1)

SPEC = ListSpec(
    "divisions",
    "行政区划表",
    (
        ColumnSpec("code", "区划代码", v.division_code, True, ("代码", "村代码"), "520499100201", "12 位"),
        ColumnSpec("name", "名称", v.text, True, ("区划名称", "村名"), "上寨村"),
        ColumnSpec("level", "级别", v.choice(LEVELS), True, ("层级",), "村", "省、市、县、乡镇、村"),
        ColumnSpec("valid_from", "启用日期", v.day, False, ("起始日期",), "2020-01-01", "不填则一直有效"),
    ),
    ("上级在前、下级在后；代码按统计用区划代码填写。",),
)


class DivisionList:
    """Rows of the list of divisions."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A code once."""
        return (Claim((values["code"],)),)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Add a division, or correct the name of one that exists."""
        code, label = str(values["code"]), str(values["name"])
        level = DivisionLevel(str(values["level"]))
        digits = SIGNIFICANT_DIGITS[level]
        problems = []
        if not desk.actor.covers(code):
            problems.append(Problem("code", f"{code} 不在您的辖区内", "删去这一行，或请上级导入"))
        above = max((length for length in UPWARDS if length < digits), default=0)
        if code[digits:].strip("0") or not code[above:digits].strip("0"):
            problems.append(Problem("code", f"{code} 不是这一级的代码", "核对级别和 12 位代码"))
        row = desk.session.scalar(
            select(DivisionRow).where(DivisionRow.code == code, DivisionRow.valid_to.is_(None))
        )
        if row is not None and row.level != level:
            problems.append(Problem("level", "这个代码已登记为另一级", "核对代码"))
        if problems:
            return RowPlan(label, problems=tuple(problems))
        if row is None:
            return RowPlan(label, is_new=True, act=lambda: _add(desk, values))
        before = as_record(Division, row)
        after = replace(before, name=label)
        changes = (Change("名称", before.name, label),) if before.name != label else ()
        act = lambda: (change(desk, row, as_columns(after)),)  # noqa: E731, one act
        return RowPlan(label, changes, act=act)


def _parent(desk: Desk, code: str, digits: int) -> str:
    for shorter in UPWARDS:
        candidate = code[:shorter].ljust(len(code), "0")
        if shorter < digits and desk.session.scalar(
            select(DivisionRow.code).where(DivisionRow.code == candidate, DivisionRow.valid_to.is_(None))
        ):
            return candidate
    return ""


def _add(desk: Desk, values: Values) -> tuple[Step, ...]:
    code, level = str(values["code"]), str(values["level"])
    since = values.get("valid_from") or SINCE_EVER
    if not isinstance(since, date):
        raise TypeError("启用日期")
    parent = _parent(desk, code, SIGNIFICANT_DIGITS[level])
    division = Division(new_id("division"), code, str(values["name"]), level, parent, since)
    add_division(desk.session, desk.actor, division, desk.now)
    desk.villages.pop(code, None)
    return (added(desk.session.get_one(DivisionRow, division.id)),)
