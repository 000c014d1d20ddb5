"""Primitive 20, work before pay: without evidence of work a household gets nothing out of some purses.

The evidence is a measure that reaches a number (days attended, tasks done) or a fact that holds. The
step stands before the steps that pay.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from distribution.plans.notation.values import Number, number_text
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.types import HouseholdInput


class WorkGate(Step):
    """Pay out of the purses `of` only whose `measure` is `at_least` so much, or who has the `flag`."""

    kind: Literal["work_gate"]
    of: tuple[str, ...] = Field(min_length=1)
    measure: str = ""
    at_least: Number | None = None
    flag: str = ""

    @model_validator(mode="after")
    def _one_evidence(self) -> Self:
        if bool(self.measure) == bool(self.flag) or bool(self.measure) != (self.at_least is not None):
            raise ValueError("写 measure 和 at_least，或者写 flag")
        return self

    def refers_to(self) -> Iterable[str]:
        """Return the guarded purses."""
        return self.of

    def apply(self, book: Book) -> None:
        """Bar those without evidence, and say how many they are."""
        for purse in self.of:
            book.bars.setdefault(purse, []).append(self._fails)
        failing = [household.id for household in book.inputs.households if self._fails(household)]
        if failing:
            condition = self.flag or f"{self.measure} 不少于 {number_text(self.at_least or Fraction(0))}"
            names = "、".join(book.label(purse) for purse in self.of)
            book.warn(f"先劳后酬：{len(failing)} 户没有达到“{condition}”，本期不发{names}")

    def _fails(self, household: HouseholdInput) -> bool:
        if self.flag:
            return self.flag not in household.flags
        return self.at_least is not None and household.measures.get(self.measure, 0) < self.at_least
