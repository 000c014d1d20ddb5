"""The list of household classes with their dates (户类别表): the one list that also ends a class.

Owns its columns and how a row becomes a class.
"""

from typing import Any

from sqlalchemy import select

from registry.facts import known, overlaps
from registry.households import HOUSEHOLD_CLASSES, HouseholdClass, HouseholdClassRow, add_class
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.common import WHO, changed, fact_plan, home_of, key_of, order_problem, span_claim
from registry.intake.plans import Claim, RowPlan, Values, future_problem
from registry.intake.steps import Desk
from registry.roll.spans import end_fact
from registry.secrets import KeyRing

SPEC = ListSpec(
    "classes",
    "户类别表",
    (
        *WHO,
        ColumnSpec(
            "class_name",
            "户类别",
            v.choice({word: word for word in HOUSEHOLD_CLASSES}),
            True,
            ("类别", "农户类型"),
            "低保",
            "、".join(HOUSEHOLD_CLASSES),
        ),
        ColumnSpec("valid_from", "起始日期", v.day, True, ("开始日期",), "2026-01-01"),
        ColumnSpec("valid_to", "终止日期", v.day, False, ("结束日期",), "", "这一天起不再属于"),
    ),
    ("每户每类一行；要终止一个类别，起始日期照原来写，再写上终止日期。",),
)


class ClassList:
    """Rows of the list of classes."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A household in a class once on any day."""
        return span_claim(values, *key_of(values, "class_name"))

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record a class, or give one that is known its end."""
        label = f"{values['number']} {values['class_name']}"
        home = home_of(desk, values)
        if isinstance(home, RowPlan):
            return home
        found = (order_problem(values), future_problem(desk, "valid_from", values["valid_from"]))
        problems = tuple(one for one in found if one is not None)
        if problems:
            return RowPlan(label, problems=problems)
        given: dict[str, Any] = dict(values)
        record = HouseholdClass(home.id, given["class_name"], given["valid_from"], given.get("valid_to"))
        old = desk.session.scalars(_known(record)).first()
        if old is None:
            return fact_plan(desk, label, None, lambda: add_class(desk.session, desk.actor, record, desk.now))
        changes = changed(
            (
                ("起始日期", old.valid_from, record.valid_from),
                ("终止日期", old.valid_to, record.valid_to or old.valid_to),
            )
        )

        def act() -> None:
            end_fact(desk.session, desk.actor, old, min(old.valid_from, record.valid_from), desk.now)
            add_class(desk.session, desk.actor, record, desk.now)

        return fact_plan(desk, label, changes, act)


def _known(record: HouseholdClass) -> Any:
    return select(HouseholdClassRow).where(
        HouseholdClassRow.household_id == record.household_id,
        HouseholdClassRow.class_name == record.class_name,
        known(HouseholdClassRow),
        overlaps(HouseholdClassRow, record.valid_from, record.valid_to),
    )
