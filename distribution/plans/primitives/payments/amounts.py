"""Amounts that are fixed per household: paying a list of them, and what happens when money is short.

Owns what the class table, awards, points and enrolled amounts share. It selects nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import round_fen, split, yuan
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book, Payment
from distribution.types import HouseholdInput, PayeeKind, StepInput
from distribution.types import Step as ExplanationStep

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Due:
    """What a household is to get: the exact amount [fen], and the arithmetic behind it."""

    household: HouseholdInput
    exact: Fraction
    formula: str
    inputs: tuple[StepInput, ...] = ()
    component: str = ""


class FixedAmounts(Step):
    """What every step has that pays fixed amounts out of a purse."""

    taken_from: str = Field(alias="from")
    when_short: Literal["refuse", "pro_rata"] = "refuse"

    def takes_from(self) -> Iterable[str]:
        """Return the purse that pays."""
        return (self.taken_from,)

    def pays_from(self) -> Iterable[str]:
        """Return the purse that pays."""
        return (self.taken_from,)


def pay_dues(step: FixedAmounts, book: Book, division: str, dues: Sequence[Due]) -> None:
    """Pay each due out of the step's purse; when it is too small, refuse or pay all in proportion."""
    purse = step.taken_from
    amounts = [round_fen(due.exact) for due in dues]
    pool = book.holding(purse, division).balance_fen
    asked = sum(amounts)
    keys = [""] * len(dues)
    if asked > pool:
        _short(step, book, dues, (asked, pool))
        keys = _keys([book.tie_break(purse, due.household.id) for due in dues])
        amounts = split(pool, amounts, keys)
    trail = book.way_to(purse, division) if dues else ()
    book.pay(
        Payment(
            purse=purse,
            division=division,
            payee_kind=PayeeKind.HOUSEHOLD,
            payee_id=due.household.id,
            amount_fen=amount,
            weight=round_fen(due.exact),
            trail=(*trail, _step(step, book, due, (amount, asked))),
            component=due.component or step.name or purse,
            tie_break=key,
            village_code=due.household.village_code,
        )
        for due, amount, key in zip(dues, amounts, keys, strict=True)
        if amount
    )


def _keys(keys: list[str]) -> list[str]:
    """Return the keys, told apart where one household has two amounts in the list."""
    counts: dict[str, int] = {}
    told = []
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
        told.append(key if counts[key] == 1 else f"{key}-{counts[key]}")
    return told


def _short(step: FixedAmounts, book: Book, dues: Sequence[Due], sums: tuple[int, int]) -> None:
    asked, pool = sums
    examples = "；".join(f"{due.household.id}：{due.formula}" for due in dues[:_SHOWN])
    label = step.label or book.label(step.taken_from)
    text = (
        f"{label}共 {len(dues)} 户要 {yuan(asked)} 元（{examples}），"
        f"“{book.label(step.taken_from)}”只有 {yuan(pool)} 元，差 {yuan(asked - pool)} 元"
    )
    if step.when_short == "refuse":
        book.refuse(text, '降低标准或人数，或写 when_short = "pro_rata" 按比例减发')
    book.warn(text + "，按比例减发")


def _step(step: FixedAmounts, book: Book, due: Due, values: tuple[int, int]) -> ExplanationStep:
    amount, asked = values
    exact, formula = due.exact, due.formula
    if amount != round_fen(exact):
        formula += f"，应发合计 {yuan(asked)} 元超出钱袋，按比例减发"
        exact = Fraction(amount)
    label = step.label or book.label(step.taken_from)
    return ExplanationStep(label, formula, due.inputs, exact, amount, step.clause)
