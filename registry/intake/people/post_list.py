"""The list of public-welfare posts (公益岗位表).

Owns its columns and how a row becomes a post. The same holder and kind from a later day on is a change of
the rate: the earlier post ends there.
"""

from typing import Any

from registry.enrolment import Post
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.common import (
    DOCUMENT,
    WHO,
    changed,
    fact_plan,
    home_of,
    key_of,
    order_problem,
    span_claim,
)
from registry.intake.plans import Claim, RowPlan, Values, future_problem
from registry.intake.steps import Desk
from registry.roll.posts import find_post, put_post
from registry.secrets import KeyRing
from store.db import new_id

SPEC = ListSpec(
    "posts",
    "公益岗位表",
    (
        *WHO,
        ColumnSpec("kind", "岗位", v.text, True, ("岗位名称", "岗位类型"), "保洁员"),
        ColumnSpec("rate", "月标准(元)", v.fen, True, ("岗位工资", "月工资", "补助标准"), "600"),
        ColumnSpec("valid_from", "起始日期", v.day, True, ("上岗日期", "聘用日期"), "2026-01-01"),
        ColumnSpec("valid_to", "终止日期", v.day, False, ("离岗日期",), "", "这一天起不再在岗"),
        DOCUMENT,
    ),
    ("每户每岗一行；调整标准的，写新的标准和从哪一天起，原来的一段自动截止。",),
)


class PostList:
    """Rows of the list of posts."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A household in a kind of post once on any day."""
        return span_claim(values, *key_of(values, "kind"))

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record a post, or change its rate or end."""
        label = f"{values['number']} {values['kind']}"
        home = home_of(desk, values)
        if isinstance(home, RowPlan):
            return home
        found = (order_problem(values), future_problem(desk, "valid_from", values["valid_from"]))
        problems = tuple(one for one in found if one is not None)
        if problems:
            return RowPlan(label, problems=problems)
        given: dict[str, Any] = dict(values)
        record = Post(
            new_id("post"),
            home.village_code,
            home.id,
            given["kind"],
            given["rate"],
            given["valid_from"],
            given.get("valid_to"),
            given.get("document", ""),
        )
        old = find_post(desk.session, home.id, record.kind, record.valid_from)
        changes = None
        if old is not None:
            compared = (
                ("月标准（分）", old.monthly_rate_fen, record.monthly_rate_fen),
                ("终止日期", old.valid_to, record.valid_to),
                ("依据", old.document, record.document or old.document),
            )
            changes = changed(compared)
        return fact_plan(desk, label, changes, lambda: put_post(desk.session, desk.actor, record, desk.now))
