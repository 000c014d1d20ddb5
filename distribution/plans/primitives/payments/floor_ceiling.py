"""Primitive 16, floor and ceiling per household and year, and who gives way when money is short.

A floor tops up those below it out of the purses that give way, in the given order; when these are not
enough, it is refused with the arithmetic, or everybody's top-up is cut. A ceiling sends what is above it
to a named purse.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import split, yuan
from distribution.plans.notation.values import Money
from distribution.plans.primitives.base import Selection, Step, closes
from distribution.plans.primitives.book import Book, Payment
from distribution.types import HouseholdInput, PayeeKind, StepInput
from distribution.types import Step as ExplanationStep


class Bound(Step):
    """What floor and ceiling share: the purses whose payments count, the amount, and its span."""

    of: tuple[str, ...] = Field(min_length=1)
    amount: Money
    per: Literal["period", "year"] = "year"

    def refers_to(self) -> Iterable[str]:
        """Return the purses whose payments count."""
        return self.of

    def had(self, household_id: str, paid: dict[str, int], book: Book) -> int:
        """Return what a household has had out of the purses in the span [fen]."""
        earlier = sum(book.year_to_date(name, household_id) for name in self.of) if self.per == "year" else 0
        return earlier + paid.get(household_id, 0)

    def paid(self, book: Book) -> dict[str, int]:
        """Return what this period pays each household out of the purses [fen]."""
        sums: dict[str, int] = {}
        for payment in book.payments:
            if payment.purse in self.of and payment.payee_kind is PayeeKind.HOUSEHOLD:
                sums[payment.payee_id] = sums.get(payment.payee_id, 0) + payment.amount_fen
        return sums


class Floor(Bound, Selection):
    """Top up every selected household to `amount` out of the purses `gives_way`.

    A yearly floor is tested in the year's last period. The top-up is booked under the first purse of `of`.
    """

    kind: Literal["floor"]
    gives_way: tuple[str, ...] = ()
    when_short: Literal["refuse", "pro_rata"] = "refuse"

    def takes_from(self) -> Iterable[str]:
        """Return the purses that give way."""
        return self.gives_way

    def classes_used(self) -> Iterable[str]:
        """Return the classes that select households."""
        return (*self.classes, *self.without_classes)

    def apply(self, book: Book) -> None:
        """Find who is below the floor and top them up."""
        if self.per == "year" and not closes(book.period, "year"):
            return
        paid = self.paid(book)
        held = {payment.division for payment in book.payments if payment.purse in self.of}
        for division in sorted(
            held | {code for purse in self.gives_way for code in book.divisions_with(purse)}
        ):
            households = book.candidates(self.of[0], division, self)
            needs = {item.id: self.amount - self.had(item.id, paid, book) for item in households}
            below = [item for item in households if needs[item.id] > 0]
            if below:
                self._top_up(book, division, below, needs)

    def _top_up(self, book: Book, division: str, below: list[HouseholdInput], needs: dict[str, int]) -> None:
        needed = sum(needs[item.id] for item in below)
        there = {purse: book.holding(purse, division).balance_fen for purse in self.gives_way}
        available = sum(there.values())
        amounts = [needs[item.id] for item in below]
        if needed > available:
            self._short(book, below, (needed, available))
            keys = [book.tie_break(self.of[0], item.id) for item in below]
            amounts = split(available, amounts, keys) if available else [0] * len(below)
        left = sum(amounts)
        trail: tuple[ExplanationStep, ...] = ()
        for purse, balance in there.items():
            part = min(left, balance)
            trail = (*trail, *book.way_to(purse, division)) if part else trail
            book.take(purse, division, part)
            book.put(self.of[0], division, part, ())
            left -= part
        book.pay(
            self._payment(division, (item, amount, needs[item.id]), trail)
            for item, amount in zip(below, amounts, strict=True)
            if amount
        )

    def _short(self, book: Book, below: list[HouseholdInput], sums: tuple[int, int]) -> None:
        needed, available = sums
        purses = "、".join(book.label(purse) for purse in self.gives_way) or "没有写由谁让"
        text = (
            f"保底每户 {yuan(self.amount)} 元，{len(below)} 户还差 {yuan(needed)} 元，"
            f"让出的钱袋（{purses}）只有 {yuan(available)} 元，不够 {yuan(needed - available)} 元"
        )
        if self.when_short == "refuse":
            book.refuse(text, '降低保底，增加 gives_way，或写 when_short = "pro_rata"')
        book.warn(text + "，按比例补")

    def _payment(
        self,
        division: str,
        row: tuple[HouseholdInput, int, int],
        trail: tuple[ExplanationStep, ...],
    ) -> Payment:
        household, amount, need = row
        had = self.amount - need
        formula = f"保底 {yuan(self.amount)} 元 − 已得 {yuan(had)} 元"
        if amount != need:
            formula += f" = {yuan(need)} 元，按比例补"
        inputs = (StepInput("保底", yuan(self.amount)), StepInput("已得", yuan(had), household.id))
        own = ExplanationStep(
            self.label or "保底补足", formula, inputs, Fraction(amount), amount, self.clause
        )
        payment = Payment(
            self.of[0], division, PayeeKind.HOUSEHOLD, household.id, amount, need, (*trail, own), "保底补足"
        )
        payment.component = self.name or "floor"
        payment.village_code = household.village_code
        return payment


class Ceiling(Bound, Selection):
    """Cut every selected household's payments out of `of` at `amount`; the excess goes to `excess_into`."""

    kind: Literal["ceiling"]
    excess_into: str

    def gives_to(self) -> Iterable[str]:
        """Return the purse that takes what is above the ceiling."""
        return (self.excess_into,)

    def classes_used(self) -> Iterable[str]:
        """Return the classes that select households."""
        return (*self.classes, *self.without_classes)

    def apply(self, book: Book) -> None:
        """Cut the later payments of a household first."""
        paid = self.paid(book)
        if not self.takes_all:
            meant = {one.id for one in book.inputs.households if self.selects(one, book.period)}
            paid = {household: fen for household, fen in paid.items() if household in meant}
        over = {
            household: excess
            for household in paid
            if (excess := self.had(household, paid, book) - self.amount) > 0
        }
        for payment in reversed(book.payments):
            excess = over.get(payment.payee_id, 0)
            if payment.purse in self.of and payment.payee_kind is PayeeKind.HOUSEHOLD and excess:
                cut = min(excess, payment.amount_fen)
                self._cut(book, payment, cut)
                over[payment.payee_id] = excess - cut
        book.payments = [payment for payment in book.payments if payment.amount_fen]

    def _cut(self, book: Book, payment: Payment, cut: int) -> None:
        left = payment.amount_fen - cut
        span = "每年" if self.per == "year" else "每期"
        earlier = self.had(payment.payee_id, {}, book)
        had = f"，本年此前已得 {yuan(earlier)} 元" if earlier else ""
        formula = f"{yuan(payment.amount_fen)} 元，{span}封顶 {yuan(self.amount)} 元{had}，减 {yuan(cut)} 元"
        own = ExplanationStep(self.label or "封顶", formula, (), Fraction(left), left, self.clause)
        payment.amount_fen = left
        payment.tie_break = ""
        payment.trail = (*payment.trail, own)
        given = ExplanationStep(
            f"{self.label or '封顶'}超出部分", f"{payment.payee_id} 超出", (), Fraction(cut), cut, self.clause
        )
        book.put(self.excess_into, payment.division, cut, (given,))
