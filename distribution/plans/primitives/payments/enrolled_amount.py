"""Primitive 14, amounts by roster: each household gets the amount that its enrolment names.

For decisions that name every amount, such as three care posts that share 14,500 yuan unequally. A total
of the decision is checked against the sum of the roster.
"""

from fractions import Fraction
from typing import Literal

from distribution.money import round_fen, yuan
from distribution.plans.notation.values import Money
from distribution.plans.primitives.base import Per, Selection, days_in, due_fen
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.payments.amounts import Due, FixedAmounts, pay_dues
from distribution.types import EnrolmentInput, HouseholdInput, StepInput


class EnrolledAmount(FixedAmounts, Selection):
    """Pay the amounts of the enrolments in the component `enrolment`; `total` is their decided sum.

    `per` says what length of time an amount is for. `prorate` counts the days of the enrolment.
    """

    kind: Literal["enrolled_amount"]
    enrolment: str
    total: Money | None = None
    per: Per = "period"
    prorate: bool = False

    def apply(self, book: Book) -> None:
        """Pay every named amount, after checking the sum."""
        for division in book.divisions_with(self.taken_from):
            dues = [
                self._due(household, entry, book)
                for household in book.candidates(self.taken_from, division, self)
                for entry in self._entries(household, book)
            ]
            asked = sum(round_fen(due.exact) for due in dues)
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

    def _due(self, household: HouseholdInput, entry: EnrolmentInput, book: Book) -> Due:
        named = entry.amount_fen or 0
        amount = due_fen(named, self.per, book.period)
        text = f"名单金额 {yuan(named)} 元" + (f" 折合本期 {yuan(amount)} 元" if amount != named else "")
        exact = Fraction(amount)
        if self.prorate or self.taken_from in book.prorated:
            days = book.entitled_days(household, book.rules_of(self.taken_from, self), (entry,))
            if days != book.period.day_count:
                exact *= Fraction(days, book.period.day_count)
                text += f" × {days} ÷ {book.period.day_count} 天"
        given = StepInput(self.enrolment, yuan(named), entry.source)
        return Due(household, exact, text, (given,), self.enrolment)
