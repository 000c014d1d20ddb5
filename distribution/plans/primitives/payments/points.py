"""Primitive 19, points, stars and red flags turned into money, out of a purse with a limit.

A point has a price, or a number of stars has an amount. When the sum is above the purse (or above
`cap`), everybody's part is cut in proportion.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from distribution.money import round_fen, split, yuan
from distribution.plans.notation.values import Money, Rate, number_text, rate_text
from distribution.plans.primitives.base import Selection
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.payments.amounts import Due, FixedAmounts, pay_dues
from distribution.types import HouseholdInput, StepInput


class Points(FixedAmounts, Selection):
    """Pay `per_point` for each point of `measure`, or the amount of the tier that the measure reaches.

    `tiers` maps a number of points (stars) to yuan; the highest tier that is reached counts. `cap` limits
    the sum of all households in a period. `unit` is the word for one point in the explanation.
    """

    kind: Literal["points"]
    measure: str
    per_point: Rate | None = None
    unit: str = "分"
    tiers: Mapping[str, Money] = Field(default_factory=dict)
    cap: Money | None = None
    when_short: Literal["refuse", "pro_rata"] = "pro_rata"

    @model_validator(mode="after")
    def _one_scale(self) -> Self:
        if (self.per_point is None) == (not self.tiers):
            raise ValueError("per_point 和 tiers 写且只写一个")
        if any(not tier.isdigit() for tier in self.tiers):
            raise ValueError('tiers 的键写整数分（星）数，例如 "5" = "200"')
        return self

    def classes_used(self) -> Iterable[str]:
        """Return the classes that select households."""
        return (*self.classes, *self.without_classes)

    def apply(self, book: Book) -> None:
        """Pay the points of every selected household."""
        for division in book.divisions_with(self.taken_from):
            households = book.candidates(self.taken_from, division, self)
            dues = [due for household in households if (due := self._due(household)).exact]
            pay_dues(self, book, division, self._capped(dues, book))

    def _due(self, household: HouseholdInput) -> Due:
        points = household.measures.get(self.measure, Fraction(0))
        text = number_text(points)
        given = (StepInput(self.measure, text, household.id),)
        if self.per_point is not None:
            return Due(
                household,
                points * self.per_point,
                f"{text} {self.unit} × {rate_text(self.per_point)} 元",
                given,
            )
        unit = self.unit if "unit" in self.model_fields_set else "分（星）"
        reached = [int(tier) for tier in self.tiers if int(tier) <= points]
        amount = self.tiers[str(max(reached))] if reached else 0
        return Due(household, Fraction(amount), f"{text} {unit}对应 {yuan(amount)} 元", given)

    def _capped(self, dues: list[Due], book: Book) -> list[Due]:
        asked = sum(round_fen(due.exact) for due in dues)
        if self.cap is None or asked <= self.cap:
            return dues
        book.warn(
            f"{self.label or self.measure}应发 {yuan(asked)} 元，超出上限 {yuan(self.cap)} 元，按比例减发"
        )
        keys = [book.tie_break(self.taken_from, due.household.id) for due in dues]
        cut = split(self.cap, [due.exact for due in dues], keys)
        return [
            Due(due.household, Fraction(amount), f"{due.formula}，按上限 {yuan(self.cap)} 元折减", due.inputs)
            for due, amount in zip(dues, cut, strict=True)
        ]
