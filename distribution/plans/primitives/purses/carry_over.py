"""Primitive 25, carry-over with an age limit: unspent money is watched, and moved on when it is too old.

A purse with `rest = "carry_over"` gets its opening balance back at the start. This step raises the alarm
about old money, and may send it to another purse (for example to the collective).
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from distribution.money import yuan
from distribution.plans.primitives.base import Step, closes
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.income.cash_basis import months_between
from distribution.types import PurseBalance, StepInput
from distribution.types import Step as ExplanationStep


class CarryOver(Step):
    """Warn about money in `purse` older than `alarm_months`; after `after_months` move it to `then_into`.

    With `closing`, the step stands after those that pay, and what is left in the last period of the
    quarter, half-year or year goes to `then_into`.
    """

    kind: Literal["carry_over"]
    purse: str
    alarm_months: int | None = None
    after_months: int | None = None
    closing: Literal["", "quarter", "half_year", "year"] = ""
    then_into: str = ""

    def takes_from(self) -> Iterable[str]:
        """Return the watched purse, where money may leave it."""
        return (self.purse,) if self.then_into else ()

    def gives_to(self) -> Iterable[str]:
        """Return the purse for money that is too old."""
        return (self.then_into,) if self.then_into else ()

    def refers_to(self) -> Iterable[str]:
        """Return the watched purse."""
        return (self.purse,)

    def faults(self, _plan: object) -> Iterable[tuple[str, str, str]]:
        """Yield an age limit without a purse, or the other way round."""
        if (self.after_months is None and not self.closing) != (not self.then_into):
            yield "then_into", "after_months 或 closing 要和 then_into 一起写", "写明什么时候转到哪个钱袋"

    def apply(self, book: Book) -> None:
        """Look at every opening balance of the purse."""
        for entry in book.inputs.opening:
            if entry.purse == self.purse and entry.amount_fen:
                self._look(book, entry)
        if self.closing and closes(book.period, self.closing):
            for division in book.divisions_with(self.purse):
                self._close(book, division)

    def _close(self, book: Book, division: str) -> None:
        amount = book.holding(self.purse, division).balance_fen
        step = ExplanationStep(
            label=self.label or f"{book.label(self.purse)}期末余额",
            formula=f"期末没有发完，转入{book.label(self.then_into)}",
            inputs=(StepInput(book.label(self.purse), yuan(amount)),),
            exact=Fraction(amount),
            amount_fen=amount,
            clause=self.clause,
        )
        book.move(self.purse, division, [(self.then_into, step)])

    def _look(self, book: Book, entry: PurseBalance) -> None:
        age = months_between(entry.since, book)
        label = book.label(self.purse)
        if self.alarm_months is not None and age > self.alarm_months:
            book.warn(
                f"“{label}”有 {yuan(entry.amount_fen)} 元自 {entry.since} 起滞留 {age} 个月，应尽快发放"
            )
        if self.after_months is None or age <= self.after_months:
            return
        division = entry.division_code or book.inputs.village_code
        amount = min(entry.amount_fen, book.holding(self.purse, division).balance_fen)
        target = book.label(self.then_into)
        step = ExplanationStep(
            label=self.label or f"{label}逾期结转",
            formula=f"自 {entry.since} 起结存 {age} 个月，超过 {self.after_months} 个月，转入{target}",
            inputs=(StepInput(label, yuan(entry.amount_fen), f"opening.{self.purse}"),),
            exact=Fraction(amount),
            amount_fen=amount,
            clause=self.clause,
        )
        book.move(self.purse, division, [(self.then_into, step)])
