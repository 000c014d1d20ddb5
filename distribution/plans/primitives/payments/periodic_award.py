"""Primitive 18, periodic fixed awards: the same amount per quarter (or other cycle) to who qualifies."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from distribution.money import yuan
from distribution.plans.notation.values import Money
from distribution.plans.primitives.base import Selection, closes, months_of
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.payments.amounts import Due, FixedAmounts, pay_dues
from distribution.types import HouseholdInput, StepInput

_LENGTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
_NAMES = {"month": "月", "quarter": "季", "half_year": "半年", "year": "年"}


class PeriodicAward(FixedAmounts, Selection):
    """Pay `amount` per `every` to the selected households, in the period that closes the cycle."""

    kind: Literal["award"]
    amount: Money
    every: Literal["month", "quarter", "half_year", "year"] = "quarter"
    each: Literal["person", "household"] = "household"

    def classes_used(self) -> Iterable[str]:
        """Return the classes that select households."""
        return (*self.classes, *self.without_classes)

    def apply(self, book: Book) -> None:
        """Pay the award for every cycle that the period closes."""
        if not closes(book.period, self.every):
            return
        cycles = max(1, months_of(book.period) // _LENGTHS[self.every])
        for division in book.divisions_with(self.taken_from):
            households = book.candidates(self.taken_from, division, self)
            pay_dues(self, book, division, [self._due(household, cycles) for household in households])

    def _due(self, household: HouseholdInput, cycles: int) -> Due:
        exact = Fraction(self.amount * cycles)
        text = f"{yuan(self.amount)} 元/{_NAMES[self.every]}"
        if cycles != 1:
            text += f" × {cycles}"
        if self.each == "person":
            exact, text = exact * household.persons, f"{text} × {household.persons} 人"
        facts = ("、".join((*self.flags, *self.classes)) or "符合条件", household.id)
        return Due(household, exact, text, (StepInput("条件", *facts),))
