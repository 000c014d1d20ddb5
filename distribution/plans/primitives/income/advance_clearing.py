"""Primitive 3, advance and clearing (垫付/归还): money lent to the village is paid back on arrival.

The advance itself enters as income of the component `advance`. The balance still owed stands in the
input's `opening` under the advance's name.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import round_fen, yuan
from distribution.plans.notation.values import Number, percent_text
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.types import Deduction, DeductionKind, StepInput
from distribution.types import Step as ExplanationStep


class AdvanceClearing(Step):
    """Pay back the advance called `advance` out of `from`, with at most `percent` of what is there."""

    kind: Literal["clear_advance"]
    name: str
    taken_from: str = Field(alias="from")
    advance: str
    percent: Number = Fraction(1)

    def takes_from(self) -> Iterable[str]:
        """Return the purse that pays the advance back."""
        return (self.taken_from,)

    def apply(self, book: Book) -> None:
        """Pay back what is owed, as far as the purse and the percentage allow."""
        owed = sum(entry.amount_fen for entry in book.inputs.opening if entry.purse == self.advance)
        division = book.inputs.village_code
        there = book.holding(self.taken_from, division).balance_fen
        paid = min(owed, round_fen(there * self.percent))
        if not owed:
            return
        label = self.label or "归还垫付款"
        head = Deduction(self.name, label, 0, self.clause, (), DeductionKind.ADVANCE, owed)
        book.deduct(
            self.taken_from, {division: paid}, head, lambda _, amount: self._explain(owed, there, amount)
        )

    def _explain(self, owed: int, there: int, paid: int) -> ExplanationStep:
        share = "" if self.percent == 1 else f" × {percent_text(self.percent)}"
        return ExplanationStep(
            label=self.label or "归还垫付款",
            formula=f"取小：未还 {yuan(owed)} 元，可用 {yuan(there)} 元{share}",
            inputs=(
                StepInput("期初未还", yuan(owed), self.advance),
                StepInput("本期归还", yuan(paid)),
                StepInput("期末未还", yuan(owed - paid)),
            ),
            exact=Fraction(paid),
            amount_fen=paid,
            clause=self.clause,
        )
