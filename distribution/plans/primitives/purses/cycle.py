"""Primitive 24, cycle mapping: monthly in, quarterly, half-yearly or yearly out.

In a period that does not close the cycle the purse is kept whole for the next one; in the closing period
the steps below find everything that was collected.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from distribution.plans.primitives.base import Step, closes
from distribution.plans.primitives.book import Book, Payment
from distribution.types import PayeeKind

if TYPE_CHECKING:
    from distribution.plans.document import Plan

_CYCLES = {"quarter": "季", "half_year": "半年", "year": "年"}


class Cycle(Step):
    """Keep `from` until the period that closes a `pays` cycle."""

    kind: Literal["cycle"]
    taken_from: str = Field(alias="from")
    pays: Literal["quarter", "half_year", "year"]

    def takes_from(self) -> Iterable[str]:
        """Return the purse that waits."""
        return (self.taken_from,)

    def faults(self, plan: "Plan") -> Iterable[tuple[str, str, str]]:
        """Yield a waiting purse that is not carried over."""
        if any(purse.name == self.taken_from and purse.rest != "carry_over" for purse in plan.purses):
            yield "from", "按周期发放的钱袋要能结转", '给这个钱袋写 rest = "carry_over"'

    def apply(self, book: Book) -> None:
        """Keep the purse, unless the period closes the cycle."""
        if closes(book.period, self.pays):
            return
        for division in book.divisions_with(self.taken_from):
            amount = book.holding(self.taken_from, division).balance_fen
            note = f"按{_CYCLES[self.pays]}发放，本期结存"
            trail = book.way_to(self.taken_from, division)
            kept = Payment(
                self.taken_from, division, PayeeKind.PURSE, self.taken_from, amount, 1, trail, note
            )
            kept.village_code = division
            book.pay([kept])
