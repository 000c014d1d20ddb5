"""The list of points, stars and work points (积分工分星级表).

Owns its columns and how a row becomes a figure of a month.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import select

from registry.facts import known
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.common import DOCUMENT, WHO, changed, fact_plan, home_of, key_of
from registry.intake.plans import Claim, RowPlan, Values
from registry.intake.steps import Desk
from registry.roll.measures import MEASURES, Measure, record_measure
from registry.roll.tables import MeasureRow
from registry.secrets import KeyRing

SPEC = ListSpec(
    "measures",
    "积分工分星级表",
    (
        *WHO,
        ColumnSpec(
            "measure",
            "指标",
            v.choice({word: name for name, word in MEASURES.items()}),
            True,
            ("项目", "类型"),
            "积分",
            "、".join(MEASURES.values()),
        ),
        ColumnSpec("month", "月份", v.month, True, ("评定月份",), "2026-10"),
        ColumnSpec("value", "数值", v.figure, True, ("得分", "分值", "数量"), "12"),
        DOCUMENT,
    ),
    ("每户每项每月一行；同一个月再导入，以后一次为准。",),
)


class MeasureList:
    """Rows of the list of measures."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A figure once for a household and month."""
        return (Claim(key_of(values, "measure", "month")),)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record a figure, or correct the one of the month."""
        label = f"{values['number']} {MEASURES[str(values['measure'])]} {values['month']}"
        home = home_of(desk, values)
        if isinstance(home, RowPlan):
            return home
        given: dict[str, Any] = dict(values)
        record = Measure(
            home.id,
            home.village_code,
            given["measure"],
            given["month"],
            given["value"],
            given.get("document", ""),
        )
        old = desk.session.scalar(
            select(MeasureRow).where(
                MeasureRow.household_id == home.id,
                MeasureRow.measure == record.measure,
                MeasureRow.period == record.period,
                known(MeasureRow),
            )
        )
        changes = None
        if old is not None:
            before = Decimal(old.thousandths) / 1000
            changes = changed(
                (
                    ("数值", f"{before:f}", f"{record.value:f}") if before != record.value else ("", 0, 0),
                    ("依据", old.document, record.document or old.document),
                )
            )
        return fact_plan(
            desk, label, changes, lambda: record_measure(desk.session, desk.actor, record, desk.now)
        )
