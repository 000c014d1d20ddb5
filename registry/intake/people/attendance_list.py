"""The list of attendance and assessment (考勤考核表): what was served on a post in a month.

Owns its columns and how a row becomes an attendance record.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import select

from registry.enrolment import Attendance, AttendanceRow, record_attendance
from registry.facts import known
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.common import DOCUMENT, WHO, changed, fact_plan, home_of, key_of
from registry.intake.plans import Claim, RowPlan, Values
from registry.intake.steps import Desk
from registry.roll.posts import find_post
from registry.secrets import KeyRing
from store.periods import Period
from store.problem import Problem

_THOUSAND = 1000

SPEC = ListSpec(
    "attendance",
    "考勤考核表",
    (
        *WHO,
        ColumnSpec("kind", "岗位", v.text, True, ("岗位名称", "岗位类型"), "保洁员"),
        ColumnSpec("month", "月份", v.month, True, ("考勤月份",), "2026-10"),
        ColumnSpec("units", "出勤(月)", v.figure, True, ("出勤", "出勤月数"), "1", "满月写 1，半月写 0.5"),
        ColumnSpec("coefficient", "考核系数", v.figure, False, ("系数", "考核"), "1", "不填按 1"),
        DOCUMENT,
    ),
    ("每岗每月一行；同一个月再导入，以后一次为准，先前的仍可查。",),
)


class AttendanceList:
    """Rows of the list of attendance."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A post once in a month."""
        return (Claim(key_of(values, "kind", "month")),)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record what was served, or correct what was recorded for the month."""
        label = f"{values['number']} {values['kind']} {values['month']}"
        home = home_of(desk, values)
        if isinstance(home, RowPlan):
            return home
        given: dict[str, Any] = dict(values)
        month = Period.parse(given["month"])
        post = None
        for on in (month.start, *(one.start for one in month.days())):
            post = post or find_post(desk.session, home.id, given["kind"], on)
        if post is None:
            wrong = Problem("kind", f"这一户 {month.label} 没有“{given['kind']}”这个岗位", "先导入公益岗位表")
            return RowPlan(label, problems=(wrong,))
        if given["units"] > 1 or month.start > desk.now.date():
            wrong = Problem("units", "一个月最多记 1，也不能记还没到的月份", "核对出勤和月份")
            return RowPlan(label, problems=(wrong,))
        coefficient = given.get("coefficient", Decimal(1))
        record = Attendance(post.id, given["month"], given["units"], coefficient, given.get("document", ""))
        old = desk.session.scalar(
            select(AttendanceRow).where(
                AttendanceRow.post_id == post.id, AttendanceRow.month == record.month, known(AttendanceRow)
            )
        )
        changes = None
        if old is not None:
            compared = (
                ("出勤（千分之月）", old.units, int(record.units * _THOUSAND)),
                ("考核系数（千分）", old.coefficient, int(record.coefficient * _THOUSAND)),
                ("依据", old.document, record.document or old.document),
            )
            changes = changed(compared)
        return fact_plan(
            desk, label, changes, lambda: record_attendance(desk.session, desk.actor, [record], desk.now)
        )
