"""Primitive 23, a switch of rules inside a period: one part follows the old rule, the rest the new one.

Rules that begin on a period's first day need no step: the plan's dates, or a step's `valid_from` and
`valid_to`, are enough. This step divides a purse where the day lies inside the period.
"""

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import integer_weights, split, yuan
from distribution.plans.notation.values import number_text
from distribution.plans.primitives.base import Step, days_in
from distribution.plans.primitives.book import Book
from distribution.types import Step as ExplanationStep
from distribution.types import StepInput


class PeriodSwitch(Step):
    """Divide `from` into `before` and `after` the day `on`.

    `by` says how: by the calendar days, by when the income arrived, or by two measured quantities of the
    input, such as the energy up to that day and after it.
    """

    kind: Literal["switch"]
    taken_from: str = Field(alias="from")
    on: date
    before: str
    after: str
    by: Literal["days", "received", "quantity"] = "days"
    before_quantity: str = "before"
    after_quantity: str = "after"

    def takes_from(self) -> Iterable[str]:
        """Return the purse that is divided."""
        return (self.taken_from,)

    def gives_to(self) -> Iterable[str]:
        """Return the purses of the old and of the new rule."""
        return (self.before, self.after)

    def apply(self, book: Book) -> None:
        """Divide the purse in proportion to what lies before and after the day."""
        old, new = self._weights(book)
        if not old + new:
            book.refuse("换规则前后都是零，分不开", "检查 on 和所用的数量")
        weights = integer_weights([old, new])
        for division in book.divisions_with(self.taken_from):
            total = book.holding(self.taken_from, division).balance_fen
            amounts = split(total, weights, ["0", "1"])
            parts = []
            for purse, weight, amount in zip((self.before, self.after), (old, new), amounts, strict=True):
                formula = f"{yuan(total)} 元 × {number_text(weight)} ÷ {number_text(old + new)}"
                given = StepInput("分界日", str(self.on), self.by)
                exact = total * weight / (old + new)
                parts.append(
                    (purse, ExplanationStep(book.label(purse), formula, (given,), exact, amount, self.clause))
                )
            book.move(self.taken_from, division, parts)

    def _weights(self, book: Book) -> tuple[Fraction, Fraction]:
        if self.by == "quantity":
            return book.quantity(self.before_quantity), book.quantity(self.after_quantity)
        if self.by == "days":
            old = days_in(book.period, None, self.on)
            return Fraction(old), Fraction(book.period.day_count - old)
        old = sum(part.amount_fen for part in book.income if part.received_on < self.on)
        new = sum(part.amount_fen for part in book.income if part.received_on >= self.on)
        return Fraction(old), Fraction(new)
