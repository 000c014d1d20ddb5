"""Primitive 5, aggregate cap: several costs together may not exceed a share of named income.

What is above the cap goes back into the purse; the cost named last gives way first. A yearly cap counts
what was deducted and received earlier in the year.
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from distribution.money import FEN_PER_YUAN, yuan
from distribution.plans.notation.values import Money, Number, number_text, percent_text
from distribution.plans.primitives.base import Step, due_fen
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.deductions.actual_cost import own_watts
from distribution.plans.primitives.deductions.waterfall import Base, base_of, spread
from distribution.types import Component, StepInput
from distribution.types import Step as ExplanationStep


class AggregateCap(Step):
    """Keep the deductions `over` together at or below a limit, per period or per year.

    The limit is `percent` of `of`, `per_watt_year` [yuan per W and year] of the stations' power, or `amount`.
    """

    kind: Literal["aggregate_cap"]
    over: tuple[str, ...] = Field(min_length=1)
    percent: Number | None = None
    of: Base | tuple[Component, ...] = (Component.ELECTRICITY,)
    per_watt_year: Number | None = None
    amount: Money | None = None
    per: Literal["period", "year"] = "year"

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if sum(limit is not None for limit in (self.percent, self.per_watt_year, self.amount)) != 1:
            raise ValueError("percent、per_watt_year、amount 三者写且只写一个")
        if self.percent is not None and self.percent > 1:
            raise ValueError(f"合计上限 {percent_text(self.percent)} 超过 100%")
        return self

    def refers_to(self) -> Iterable[str]:
        """Return the deductions that are capped together."""
        return self.over

    def apply(self, book: Book) -> None:
        """Give what is above the cap back to the purses that it came from."""
        done = [item for item in book.deductions if item.name in self.over]
        earlier = sum(book.year_to_date(name) for name in self.over) if self.per == "year" else 0
        total = earlier + sum(item.amount_fen for item in done)
        cap, text = self._limit(book)
        excess = total - cap
        if excess <= 0 or not done:
            return
        costs = "、".join(item.label for item in done)
        book.warn(f"{costs}合计 {yuan(total)} 元，超出上限 {text}，超出的 {yuan(excess)} 元不得列支")
        for item_name in reversed(self.over):
            excess -= self._give_back(book, item_name, excess, text)

    def _limit(self, book: Book) -> tuple[int, str]:
        """Return the limit [fen] and how it comes about."""
        if self.amount is not None:
            return self.amount, f"{'每年' if self.per == 'year' else '每期'} {yuan(self.amount)} 元"
        if self.per_watt_year is not None:
            watts = own_watts(book)
            whole = int(watts * self.per_watt_year * FEN_PER_YUAN)
            cap = whole if self.per == "year" else due_fen(whole, "year", book.period)
            text = f"{number_text(watts)} 瓦 × {number_text(self.per_watt_year)} 元/瓦·年"
            return cap, f"{text}{'' if cap == whole else ' 折合本期'} = {yuan(cap)} 元"
        base, name = self._base(book)
        percent = self.percent or Fraction(0)
        cap = int(base * percent)
        return cap, f"{name} {yuan(base)} 元 × {percent_text(percent)} = {yuan(cap)} 元"

    def _base(self, book: Book) -> tuple[int, str]:
        purse = book.deducted_from.get(self.over[0], "")
        base, name = base_of(self.of, purse, book)
        if self.per == "year":
            names = ("income",) if isinstance(self.of, str) else self.of
            base += sum(book.year_to_date(component) for component in names)
            name = f"本年{name}"
        return base, name

    def _give_back(self, book: Book, name: str, excess: int, cap_text: str) -> int:
        for index, item in enumerate(book.deductions):
            back = min(item.amount_fen, excess)
            if item.name != name or not back:
                continue
            purse = book.deducted_from[name]
            step = ExplanationStep(
                label=self.label or "成本合计超限退回",
                formula=f"{item.label} {yuan(item.amount_fen)} 元，合计上限 {cap_text}，退回",
                inputs=(StepInput(item.label, yuan(item.amount_fen), name),),
                exact=Fraction(back),
                amount_fen=back,
                clause=self.clause,
            )
            book.deductions[index] = replace(
                item, amount_fen=item.amount_fen - back, explanation=(*item.explanation, step)
            )
            for division, amount in spread(purse, back, book).items():
                book.put(purse, division, amount, (step,))
            return back
        return 0
