"""Primitive 6, the reserve fund: a part is put aside with its own balance, up to a target if there is one."""

from fractions import Fraction
from typing import Literal, Self

from pydantic import model_validator

from distribution.money import round_fen, yuan
from distribution.plans.notation.values import Money, Number, percent_text
from distribution.plans.primitives.base import Per, due_fen
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.deductions.waterfall import Base, DeductionStep, base_of, limited, spread
from distribution.types import Component, Deduction, DeductionKind, StepInput
from distribution.types import Step as ExplanationStep


class Reserve(DeductionStep):
    """Put `percent` of `of`, or `amount` per `per`, into the reserve; stop at the balance `until`.

    The reserve's balance at the start stands in the input's `opening` under the step's name.
    """

    kind: Literal["reserve"]
    percent: Number | None = None
    of: Base | tuple[Component, ...] = "gross"
    amount: Money | None = None
    per: Per = "period"
    until: Money | None = None

    @model_validator(mode="after")
    def _one_base(self) -> Self:
        if (self.percent is None) == (self.amount is None):
            raise ValueError("percent 和 amount 写且只写一个")
        if self.percent is not None and self.percent > 1:
            raise ValueError(f"提取 {percent_text(self.percent)} 超过 100%")
        return self

    def apply(self, book: Book) -> None:
        """Put the part aside and show the reserve's new balance."""
        opening = sum(entry.amount_fen for entry in book.inputs.opening if entry.purse == self.name)
        exact, formula = self._asked(book)
        if self.until is not None and exact > max(0, self.until - opening):
            exact = Fraction(max(0, self.until - opening))
            formula += f"，提满 {yuan(self.until)} 元为止（已有 {yuan(opening)} 元）"
        amount = limited(self, book, round_fen(exact))
        label = self.label or self.name

        def explain(_division: str, part: int) -> ExplanationStep:
            balances = (StepInput("期初余额", yuan(opening)), StepInput("期末余额", yuan(opening + amount)))
            return ExplanationStep(
                label,
                formula,
                balances,
                exact if part == round_fen(exact) else Fraction(part),
                part,
                self.clause,
            )

        head = Deduction(self.name, label, 0, self.clause, (), DeductionKind.RESERVE, round_fen(exact))
        book.deduct(self.taken_from, spread(self.taken_from, amount, book), head, explain)

    def _asked(self, book: Book) -> tuple[Fraction, str]:
        if self.percent is not None:
            base, name = base_of(self.of, self.taken_from, book)
            return base * self.percent, f"{name} {yuan(base)} 元 × {percent_text(self.percent)}"
        due = due_fen(self.amount or 0, self.per, book.period)
        return Fraction(due), "固定额"
