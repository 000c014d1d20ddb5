"""Primitive 8, percentage or ratio split: a purse is divided into named purses (60/40, 3:2, 6:3:1).

Parts are all percentages of the whole, or all whole-number ratios. Percentages below 100 % leave the
rest in the purse, or send it to `rest_into`; above 100 % they are refused.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from distribution.money import split, yuan
from distribution.plans.notation.values import exact_parts, number_text, percent_text
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.types import Step as ExplanationStep
from distribution.types import StepInput


class RatioSplit(Step):
    """Divide `from` into the purses of `parts`."""

    kind: Literal["split"]
    taken_from: str = Field(alias="from")
    parts: Mapping[str, int | str] = Field(min_length=1)
    rest_into: str = ""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        exact_parts(self.parts)
        return self

    def takes_from(self) -> Iterable[str]:
        """Return the purse that is divided."""
        return (self.taken_from,)

    def gives_to(self) -> Iterable[str]:
        """Return the purses that it is divided into."""
        return (*self.parts, *((self.rest_into,) if self.rest_into else ()))

    def shares(self) -> dict[str, Fraction]:
        """Return each part as a share of the whole."""
        numbers, are_shares = exact_parts(self.parts)
        whole = Fraction(1) if are_shares else sum(numbers.values(), Fraction(0))
        return {name: number / whole if whole else Fraction(0) for name, number in numbers.items()}

    def faults(self, _plan: object) -> Iterable[tuple[str, str, str]]:
        """Yield shares that exceed the whole, with the sum."""
        shares = self.shares()
        total = sum(shares.values(), Fraction(0))
        sum_text = " + ".join(str(part) for part in self.parts.values())
        if total > 1:
            yield (
                "parts",
                f"比例合计超过 100%：{sum_text} = {percent_text(total)}，多出 {percent_text(total - 1)}",
                "调低比例，使合计不超过 100%",
            )
        if total == 0:
            yield "parts", "各部分都是零，没有人可分", "至少一部分要大于零"

    def apply(self, book: Book) -> None:
        """Divide the purse, division by division, to the fen."""
        shares = self.shares()
        names = [*shares, self.rest_into]
        weights = [*shares.values(), 1 - sum(shares.values(), Fraction(0))]
        for division in book.divisions_with(self.taken_from):
            total = book.holding(self.taken_from, division).balance_fen
            amounts = split(total, weights, names)
            book.move(
                self.taken_from,
                division,
                [
                    (name, self._explain(book, total, (name, weight, amount)))
                    for name, weight, amount in zip(names, weights, amounts, strict=True)
                    if name
                ],
            )

    def _explain(self, book: Book, total: int, part_given: tuple[str, Fraction, int]) -> ExplanationStep:
        name, share, amount = part_given
        part = self.parts.get(name)
        numbers, are_shares = exact_parts(self.parts)
        text = percent_text(share)
        if part is not None and not are_shares:
            text = f"{part} ÷ {number_text(sum(numbers.values(), Fraction(0)))}"
        source = book.label(self.taken_from)
        return ExplanationStep(
            label=book.label(name),
            formula=f"{source} {yuan(total)} 元 × {text}",
            inputs=(StepInput(source, yuan(total)), StepInput("比例", text, self.clause)),
            exact=total * share,
            amount_fen=amount,
            clause=self.clause,
        )
