"""Primitive 13, look-through of an equity stake: only our part of a company's dividend is ours.

The stake is looked through level by level (for example 25 % of a company that owns 80 % of the plant)
before anything is split among villages. The rest never was ours and leaves as such.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import prod
from typing import Literal

from pydantic import Field

from distribution.money import split, yuan
from distribution.plans.notation.values import Number, percent_text
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.types import Deduction, DeductionKind, StepInput
from distribution.types import Step as ExplanationStep


class EquityStake(Step):
    """Keep in `from` the product of `stakes`; the rest belongs to the other owners."""

    kind: Literal["equity_stake"]
    name: str = "equity_stake"
    taken_from: str = Field(alias="from")
    stakes: tuple[Number, ...] = Field(min_length=1)

    def takes_from(self) -> Iterable[str]:
        """Return the purse that holds the company's dividend."""
        return (self.taken_from,)

    def faults(self, _plan: object) -> Iterable[tuple[str, str, str]]:
        """Yield a stake above the whole."""
        for stake in self.stakes:
            if stake > 1:
                yield "stakes", f"持股 {percent_text(stake)} 超过 100%", "改成不超过 100% 的比例"

    def apply(self, book: Book) -> None:
        """Take the other owners' part out of the purse."""
        stake = prod(self.stakes, start=Fraction(1))
        dividends = {
            division: book.holding(self.taken_from, division).balance_fen
            for division in book.divisions_with(self.taken_from)
        }
        theirs = {
            division: split(dividend, [stake, 1 - stake], ["0", "1"])[1]
            for division, dividend in dividends.items()
        }
        head = Deduction(self.name, self.label or "其他股东所有", 0, self.clause, (), DeductionKind.NOT_OURS)
        book.deduct(
            self.taken_from,
            theirs,
            head,
            lambda division, amount: self._explain(dividends[division], stake, amount),
        )
        book.gross_fen[self.taken_from] = book.gross(self.taken_from) - sum(theirs.values())

    def _explain(self, dividend: int, stake: Fraction, theirs: int) -> ExplanationStep:
        chain = " × ".join(percent_text(part) for part in self.stakes)
        return ExplanationStep(
            label=self.label or "其他股东所有",
            formula=f"{yuan(dividend)} 元 ×（1 − {chain}）",
            inputs=(StepInput("公司分红", yuan(dividend)), StepInput("我方持股", percent_text(stake))),
            exact=dividend * (1 - stake),
            amount_fen=theirs,
            clause=self.clause,
        )
