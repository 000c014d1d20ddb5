"""Primitive 14, amounts by roster: each household gets the amount that its enrolment names.

For decisions that name every amount, such as three care posts that share 14,500 yuan unequally. A total
of the decision is checked against the sum of the roster.
"""

from fractions import Fraction
from typing import Literal

from distribution.money import yuan
from distribution.plans.notation.values import Money
from distribution.plans.primitives.base import Selection, days_in
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.payments.amounts import Due, FixedAmounts, pay_dues
from distribution.types import EnrolmentInput, HouseholdInput, StepInput


class EnrolledAmount(FixedAmounts, Selection):
    """Pay the amounts of the enrolments in the component `enrolment`; `total` is their decided sum."""

    kind: Literal["enrolled_amount"]
    enrolment: str
    total: Money | None = None

    def apply(self, book: Book) -> None:
        """Pay every named amount, after checking the sum."""
        for division in book.divisions_with(self.taken_from):
            dues = [
                self._due(household, entry)
                for household in book.candidates(self.taken_from, division, self)
                for entry in self._entries(household, book)
            ]
            asked = sum(int(due.exact) for due in dues)
            if self.total is not None and asked != self.total:
                name = self.label or self.enrolment
                book.refuse(
                    f"{name}名单合计 {yuan(asked)} 元，决议总额 {yuan(self.total)} 元，"
                    f"差 {yuan(self.total - asked)} 元",
                    "核对每户金额，使合计等于决议总额",
                )
            pay_dues(self, book, division, dues)

    def _entries(self, household: HouseholdInput, book: Book) -> list[EnrolmentInput]:
        return [
            entry
            for entry in household.enrolments
            if entry.component == self.enrolment
            and entry.amount_fen
            and days_in(book.period, entry.valid_from, entry.valid_to)
        ]

    def _due(self, household: HouseholdInput, entry: EnrolmentInput) -> Due:
        amount = entry.amount_fen or 0
        given = StepInput(self.enrolment, yuan(amount), entry.source)
        return Due(household, Fraction(amount), f"名单金额 {yuan(amount)} 元", (given,), self.enrolment)
