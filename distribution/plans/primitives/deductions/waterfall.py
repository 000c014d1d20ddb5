"""Primitive 4, the ordered deduction waterfall: each step takes its part before the next one.

The base of a percentage is the gross income of the purse, what remains at this point, or named
components; a fixed amount is for a length of time; a unit rate multiplies a measured quantity.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from distribution.money import round_fen, split, yuan
from distribution.plans.notation.values import Money, Number, Rate, number_text, percent_text, rate_text
from distribution.plans.primitives.base import Per, Step, due_fen
from distribution.plans.primitives.book import Book, cost_deduction
from distribution.plans.primitives.income.typed_income import COMPONENT_LABELS
from distribution.types import Component, StepInput
from distribution.types import Step as ExplanationStep

Base = Literal["gross", "remaining"]


class DeductionStep(Step):
    """What every deduction has: a name, the purse it is taken from, and what to do when money is short."""

    name: str
    taken_from: str = Field(alias="from")
    when_short: Literal["reduce", "refuse"] = "reduce"

    def takes_from(self) -> Iterable[str]:
        """Return the purse that the deduction comes out of."""
        return (self.taken_from,)


class Waterfall(DeductionStep):
    """Deduct `percent` of `of`, or `amount` per `per`, or `rate` x `quantity`; `at_most` [yuan] a period."""

    kind: Literal["deduct"]
    percent: Number | None = None
    of: Base | tuple[Component, ...] = "gross"
    amount: Money | None = None
    rate: Rate | None = None
    quantity: str = ""
    per: Per = "period"
    at_most: Money | None = None

    @model_validator(mode="after")
    def _one_base(self) -> Self:
        given = [self.percent is not None, self.amount is not None, self.rate is not None]
        if sum(given) != 1 or (self.rate is not None) != bool(self.quantity):
            raise ValueError("percent、amount、rate（和 quantity）三者写且只写一种")
        if self.percent is not None and self.percent > 1:
            raise ValueError(f"扣除 {percent_text(self.percent)} 超过 100%")
        return self

    def apply(self, book: Book) -> None:
        """Take the deduction, reduced or refused where the purse has not enough."""
        exact, formula, inputs = self._asked(book)
        if self.at_most is not None and exact > self.at_most:
            exact, formula = Fraction(self.at_most), f"{formula}，最多 {yuan(self.at_most)} 元"
        take_deduction(self, book, (exact, formula, inputs))

    def _asked(self, book: Book) -> tuple[Fraction, str, tuple[StepInput, ...]]:
        if self.percent is not None:
            base, name = base_of(self.of, self.taken_from, book)
            formula = f"{name} {yuan(base)} 元 × {percent_text(self.percent)}"
            return base * self.percent, formula, (StepInput(name, yuan(base)),)
        if self.amount is not None:
            due = due_fen(self.amount, self.per, book.period)
            text = "固定额" if self.per == "period" else f"固定额 {yuan(self.amount)} 元按期折算"
            return Fraction(due), text, ()
        quantity, rate = book.quantity(self.quantity), self.rate or Fraction(0)
        formula = f"{rate_text(rate)} 元 × {number_text(quantity)} {self.quantity}"
        inputs = (StepInput(self.quantity, number_text(quantity), "quantities"),)
        if self.per == "period":
            return rate * quantity, formula, inputs
        due = due_fen(round_fen(rate * quantity), self.per, book.period)
        return Fraction(due), f"{formula}，按期折算", inputs


def base_of(of: Base | tuple[Component, ...], purse: str, book: Book) -> tuple[int, str]:
    """Return the base of a percentage [fen] and its Chinese name."""
    if of == "gross":
        return book.gross(purse), "收入"
    if of == "remaining":
        return book.balance(purse), "余额"
    total = sum(part.amount_fen for part in book.income if part.component in of)
    return total, "、".join(
        COMPONENT_LABELS[component] for component in of if isinstance(component, Component)
    )


def take_deduction(
    step: DeductionStep, book: Book, asked: tuple[Fraction, str, tuple[StepInput, ...]]
) -> int:
    """Take an asked amount (exact fen, formula, inputs) out of the step's purse, and return what was taken.

    Where several divisions share the purse, each bears its part in proportion to what it holds.
    """
    exact, formula, inputs = asked
    amount = limited(step, book, round_fen(exact))
    label = step.label or step.name
    short = "" if amount == round_fen(exact) else f"，余额不足，只扣 {yuan(amount)} 元"

    def explain(_division: str, part: int) -> ExplanationStep:
        whole = exact if part == amount else Fraction(part)
        return ExplanationStep(label, formula + short, inputs, whole, part, step.clause)

    head = cost_deduction(step.name, label, step.clause, round_fen(exact))
    book.deduct(step.taken_from, spread(step.taken_from, amount, book), head, explain)
    return amount


def limited(step: DeductionStep, book: Book, asked_fen: int) -> int:
    """Return the asked amount, cut to what the purse has, or refuse, as the step says [fen]."""
    there = book.balance(step.taken_from)
    if asked_fen <= there:
        return asked_fen
    label = step.label or step.name
    if step.when_short == "refuse":
        book.refuse(
            f"{label}要扣 {yuan(asked_fen)} 元，“{book.label(step.taken_from)}”只有 {yuan(there)} 元",
            '核对金额，或写 when_short = "reduce"',
        )
    book.warn(f"{label}应扣 {yuan(asked_fen)} 元，余额不足，少扣 {yuan(asked_fen - there)} 元")
    return there


def spread(purse: str, amount_fen: int, book: Book) -> dict[str, int]:
    """Return how an amount falls on the divisions of a purse, in proportion to what they hold [fen]."""
    divisions = book.divisions_with(purse) or [book.inputs.village_code]
    if len(divisions) == 1:
        return {divisions[0]: amount_fen}
    weights = [book.holding(purse, division).balance_fen for division in divisions]
    return dict(zip(divisions, split(amount_fen, weights, divisions), strict=True))
