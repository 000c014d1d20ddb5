"""Primitive 7, debt service for historical periods: early schemes repaid loans out of the revenue.

The instalment is a fixed amount or the vouchers of the period. After `until` nothing is deducted; from
the day `forbidden_from`, which the plan takes from the rule in force, a deduction is refused.
"""

from datetime import date
from fractions import Fraction
from typing import Literal, Self

from pydantic import model_validator

from distribution.money import yuan
from distribution.plans.notation.values import Money
from distribution.plans.primitives.base import Per, due_fen
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.deductions.waterfall import DeductionStep, limited, spread
from distribution.types import Deduction, DeductionKind, StepInput
from distribution.types import Step as ExplanationStep


class DebtService(DeductionStep):
    """Deduct the instalment `amount` per `per`, or the vouchers of the kinds `costs`."""

    kind: Literal["debt_service"]
    amount: Money | None = None
    per: Per = "month"
    costs: tuple[str, ...] = ()
    until: date | None = None
    forbidden_from: date | None = None

    @model_validator(mode="after")
    def _one_base(self) -> Self:
        if (self.amount is None) == (not self.costs):
            raise ValueError("amount 和 costs 写且只写一个")
        return self

    def apply(self, book: Book) -> None:
        """Deduct the instalment while the debt runs."""
        if self.until is not None and book.period.start >= self.until:
            return
        asked, formula = self._asked(book)
        if not asked:
            return
        if self.forbidden_from is not None and book.period.start >= self.forbidden_from:
            book.refuse(
                f"{self.label or self.name} {yuan(asked)} 元：自 {self.forbidden_from} 起不得用收益还债",
                "从方案中去掉这一步，或核对期间",
            )
        amount = limited(self, book, asked)
        label = self.label or "还本付息"

        def explain(_division: str, part: int) -> ExplanationStep:
            inputs = (StepInput("应还", yuan(asked), self.name),)
            return ExplanationStep(label, formula, inputs, Fraction(part), part, self.clause)

        head = Deduction(self.name, label, 0, self.clause, (), DeductionKind.DEBT, asked)
        book.deduct(self.taken_from, spread(self.taken_from, amount, book), head, explain)

    def _asked(self, book: Book) -> tuple[int, str]:
        if self.amount is not None:
            return due_fen(self.amount, self.per, book.period), f"每期应还 {yuan(self.amount)} 元"
        items = [item for item in book.inputs.costs if item.kind in self.costs]
        text = " + ".join(f"{item.source} {yuan(item.amount_fen)} 元" for item in items)
        return sum(item.amount_fen for item in items), text
