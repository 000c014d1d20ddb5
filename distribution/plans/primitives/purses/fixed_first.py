"""Primitive 9, a fixed amount first, the remainder elsewhere; and a set-aside for every village.

The amount is filled before anything else is given: `min(what is there, amount - already given)`.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import yuan
from distribution.plans.notation.values import Money
from distribution.plans.primitives.base import Step, due_fen, months_of
from distribution.plans.primitives.book import Book, level_of, prefix_of
from distribution.types import Step as ExplanationStep
from distribution.types import StepInput


class FixedFirst(Step):
    """Move `amount` from `from` to `into` first; what remains goes to `rest_into` or stays.

    With `per = "year"` the amount is for the calendar year, so what went to `into` earlier in the year
    counts. `for_each = "village"` means the amount once for each village under the division.
    """

    kind: Literal["fixed_first"]
    taken_from: str = Field(alias="from")
    into: str
    amount: Money
    per: Literal["period", "month", "quarter", "half_year", "year"] = "year"
    for_each: Literal["", "village"] = ""
    rest_into: str = ""

    def takes_from(self) -> Iterable[str]:
        """Return the purse that gives."""
        return (self.taken_from,)

    def gives_to(self) -> Iterable[str]:
        """Return the purses that receive."""
        return (self.into, *((self.rest_into,) if self.rest_into else ()))

    def apply(self, book: Book) -> None:
        """Fill the fixed amount, then send the remainder on."""
        for division in book.divisions_with(self.taken_from):
            there = book.holding(self.taken_from, division).balance_fen
            wanted, text = self._wanted(book, division)
            given = min(there, wanted)
            parts = [(self.into, self._explain(book, (there, given), text, self.into))]
            if self.rest_into:
                rest = f"{book.label(self.taken_from)} {yuan(there)} 元 − {yuan(given)} 元"
                parts.append(
                    (self.rest_into, self._explain(book, (there, there - given), rest, self.rest_into))
                )
            book.move(self.taken_from, division, parts)

    def _wanted(self, book: Book, division: str) -> tuple[int, str]:
        count = self._villages(book, division) if self.for_each else 1
        amount = due_fen(self.amount * count, "period" if self.per == "year" else self.per, book.period)
        text = f"{yuan(self.amount)} 元" + (f" × {count} 村" if self.for_each else "")
        if self.per == "month":
            text += f" × {months_of(book.period)} 月"
        elif amount != self.amount * count:
            text += f" 按期折算 {yuan(amount)} 元"
        if self.per == "year":
            earlier = book.year_to_date(self.into, division=division)
            amount = max(0, amount - earlier)
            text += f" − 本年已提 {yuan(earlier)} 元" if earlier else ""
        there = yuan(book.holding(self.taken_from, division).balance_fen)
        return amount, f"取小：{book.label(self.taken_from)} {there} 元，{text}"

    def _villages(self, book: Book, division: str) -> int:
        prefix = prefix_of(division)
        villages = [item for item in book.inputs.divisions if level_of(item.code) == "village"]
        return sum(1 for item in villages if item.code.startswith(prefix)) or 1

    def _explain(self, book: Book, amounts: tuple[int, int], text: str, target: str) -> ExplanationStep:
        there, given = amounts
        inputs = (StepInput(book.label(self.taken_from), yuan(there)), StepInput("定额", yuan(self.amount)))
        return ExplanationStep(book.label(target), text, inputs, Fraction(given), given, self.clause)
