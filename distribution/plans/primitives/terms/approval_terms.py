"""Primitive 29, the terms of approval: which gates in which order, the notice, objections, filing.

The step moves no money. It hands the terms to the approval room, which keeps the states.
"""

from typing import Literal

from pydantic import Field

from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.types import ApprovalTerms as Terms

Gate = Literal[
    "village_draft", "village_assembly", "village", "township", "county", "filing", "notice", "result_notice"
]


class ApprovalTerms(Step):
    """State a run's gates, the notice's length [working days] and places, and what an objection holds."""

    kind: Literal["approval"]
    gates: tuple[Gate, ...] = Field(default=("village", "township", "county"), min_length=1)
    notice_working_days: int = Field(default=0, ge=0)
    notice_places: tuple[str, ...] = ()
    objection_holds: Literal["line", "run"] = "line"
    result_notice: bool = False

    def apply(self, book: Book) -> None:
        """Hand the terms on with the allocation."""
        book.approval = Terms(
            gates=self.gates,
            notice_working_days=self.notice_working_days,
            notice_places=self.notice_places,
            objection_holds=self.objection_holds,
            result_notice=self.result_notice,
            clause=self.clause,
        )
