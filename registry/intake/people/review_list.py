"""The list of review findings (核查结果表): what a village's review found, household by household.

Owns its columns and how a row becomes a finding of the open review. A finding changes no enrolment by
itself: a second person carries it out on the page of the review.
"""

from typing import Any

from registry.actors import area_prefix
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.common import DOCUMENT, WHO, changed, home_of, key_of, refused
from registry.intake.plans import Claim, RowPlan, Values
from registry.intake.steps import Desk, kept
from registry.roll.reviews import (
    OUTCOME_WORDS,
    NewFinding,
    Review,
    check_finding,
    finding_of,
    record_finding,
    reviews,
)
from registry.roll.tables import FindingRow
from registry.secrets import KeyRing
from store.problem import Problem, ProblemsError

SPEC = ListSpec(
    "findings",
    "核查结果表",
    (
        ColumnSpec("period", "核查期", v.text, True, ("期间", "年度"), "2026-H1", "年度写 2026"),
        *WHO,
        ColumnSpec(
            "outcome",
            "核查结果",
            v.choice({word: key for key, word in OUTCOME_WORDS.items()}),
            True,
            ("结果", "处理意见"),
            "不变",
            "、".join(OUTCOME_WORDS.values()),
        ),
        ColumnSpec("component", "分配项目", v.text, False, ("项目",), "", "有变动时填"),
        ColumnSpec("weight", "份额", v.weight, False, ("权重",), "", "纳入或调整时填"),
        ColumnSpec("effective_on", "生效日期", v.day, False, ("起始日期",), "", "有变动时填"),
        DOCUMENT,
        ColumnSpec("note", "说明", v.text, False, ("备注",), ""),
    ),
    (
        "先在“核查”页面开一次核查。每户一行；同一户再导入，以后一次为准。",
        "变动由另一人在核查页面逐户执行；已签结的村不能再导入。",
    ),
)


class ReviewList:
    """Rows of the list of findings."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A household once in a review."""
        return (Claim(key_of(values, "period")),)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record a finding, or replace the one that was not carried out."""
        given: dict[str, Any] = dict(values)
        label = f"{given['number']} {OUTCOME_WORDS[given['outcome']]}"
        home = home_of(desk, values)
        if isinstance(home, RowPlan):
            return home
        found = _review_of(desk, given["period"], home.village_code)
        if found is None:
            how = "先在“核查”页面开这一次核查，或改正核查期"
            wrong = Problem("period", f"没有覆盖这个村的 {given['period']} 核查", how)
            return RowPlan(label, problems=(wrong,))
        new = _finding(found.id, home.id, given)
        try:
            check_finding(desk.session, desk.actor, new)
        except ProblemsError as error:
            return refused(label, error, "outcome")
        old = finding_of(desk.session, desk.actor, found.id, home.id)
        changes = None
        if old is not None:
            compared = (
                ("核查结果", old.word, OUTCOME_WORDS[new.outcome]),
                ("分配项目", old.component, new.component),
                ("份额", old.weight, new.weight),
                ("生效日期", old.effective_on, new.effective_on),
                ("依据", old.document, new.document or old.document),
                ("说明", old.note, new.note or old.note),
            )
            changes = changed(compared)
        if changes == ():
            return RowPlan(label)
        return RowPlan(
            label,
            changes or (),
            changes is None,
            act=lambda: (kept(FindingRow, record_finding(desk.session, desk.actor, new, desk.now)),),
        )


def _review_of(desk: Desk, period: str, village_code: str) -> Review | None:
    """Return the review of a period that covers a village; of several, the one of the smallest area."""
    found = [
        one
        for one in reviews(desk.session, desk.actor)
        if one.period == period and village_code.startswith(area_prefix(one.area))
    ]
    return max(found, key=lambda one: len(area_prefix(one.area)), default=None)


def _finding(review_id: str, household_id: str, given: dict[str, Any]) -> NewFinding:
    if given["outcome"] == "keep":
        return NewFinding(
            review_id, household_id, "keep", document=given.get("document", ""), note=given.get("note", "")
        )
    return NewFinding(
        review_id,
        household_id,
        given["outcome"],
        given.get("component", ""),
        given.get("weight") if given["outcome"] != "end" else None,
        given.get("effective_on"),
        given.get("document", ""),
        given.get("note", ""),
    )
