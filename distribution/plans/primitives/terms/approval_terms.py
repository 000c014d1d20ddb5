"""Primitive 29, the terms of approval: which gates in which order, the notice, objections, filing.

The step moves no money. It hands the terms to the approval room, which keeps the states.
"""

from typing import Annotated, Literal

from pydantic import Field

from distribution.plans.notation.values import Money
from distribution.plans.primitives.base import Step, Strict
from distribution.plans.primitives.book import Book
from distribution.types import ApprovalTerms as Terms
from distribution.types import GateVotes

Gate = Literal[
    "village_draft", "village_assembly", "village", "township", "county", "filing", "notice", "result_notice"
]


class VoteRule(Strict):
    """How many different people must agree at a gate; `all` means everybody who holds its right.

    With `from`, the rule holds from that total of the run on; of several that hold, the highest counts.
    """

    gate: Literal["village", "village_assembly", "township", "county"]
    needed: Annotated[int, Field(ge=1)] | Literal["all", "any"] = "any"
    amount_from: Money = Field(default=0, alias="from")

    def terms(self) -> GateVotes:
        """Return the rule as the approval room reads it."""
        number = {"all": 0, "any": 1}[self.needed] if isinstance(self.needed, str) else self.needed
        gate = "village" if self.gate == "village_assembly" else self.gate
        return GateVotes(gate, number, self.amount_from)


class ApprovalTerms(Step):
    """State a run's gates, the notice's length [working days] and places, and what an objection holds."""

    kind: Literal["approval"]
    gates: tuple[Gate, ...] = Field(default=("village", "township", "county"), min_length=1)
    notice_working_days: int = Field(default=0, ge=0)
    notice_places: tuple[str, ...] = ()
    objection_holds: Literal["line", "run"] = "line"
    result_notice: bool = False
    votes: tuple[VoteRule, ...] = ()

    def apply(self, book: Book) -> None:
        """Hand the terms on with the allocation."""
        book.approval = Terms(
            gates=self.gates,
            notice_working_days=self.notice_working_days,
            notice_places=self.notice_places,
            objection_holds=self.objection_holds,
            result_notice=self.result_notice,
            clause=self.clause,
            votes=tuple(rule.terms() for rule in self.votes),
        )
