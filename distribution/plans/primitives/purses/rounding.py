"""Primitive 26, rounding per line with a named purse for the remainder, so that totals close.

Each line is rounded from its exact value by the policy; what that frees, or needs, comes out of the
purse `residual_into`, whose name stands on the result.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import RoundingPolicy, round_fen, yuan
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book, Payment
from distribution.types import PayeeKind
from distribution.types import Step as ExplanationStep

_UNITS = {"fen": 1, "jiao": 10, "yuan": 100, "ten_yuan": 1000}
_NAMES = {"fen": "分", "jiao": "角", "yuan": "元", "ten_yuan": "十元"}
_POLICIES = {
    RoundingPolicy.HALF_UP: "四舍五入",
    RoundingPolicy.HALF_EVEN: "银行家舍入",
    RoundingPolicy.DOWN: "舍去",
    RoundingPolicy.UP: "进一",
}


class Rounding(Step):
    """Round every household line of the purses `of` to whole `to`; the difference goes to `residual_into`."""

    kind: Literal["round"]
    of: tuple[str, ...] = Field(min_length=1)
    to: Literal["fen", "jiao", "yuan", "ten_yuan"] = "fen"
    policy: RoundingPolicy = RoundingPolicy.HALF_UP
    residual_into: str

    def gives_to(self) -> Iterable[str]:
        """Return the purse that takes the remainder."""
        return (self.residual_into,)

    def refers_to(self) -> Iterable[str]:
        """Return the purses whose lines are rounded."""
        return self.of

    def apply(self, book: Book) -> None:
        """Round the lines, division by division, and settle the difference with the residual purse."""
        for division in sorted({payment.division for payment in book.payments if payment.purse in self.of}):
            payments = [
                payment
                for payment in book.payments
                if payment.purse in self.of
                and payment.division == division
                and payment.payee_kind in {PayeeKind.HOUSEHOLD, PayeeKind.PERSON}
            ]
            before = sum(payment.amount_fen for payment in payments)
            for payment in payments:
                self._round(payment)
            self._settle(book, division, before, sum(payment.amount_fen for payment in payments))

    def _round(self, payment: Payment) -> None:
        unit = _UNITS[self.to]
        exact = payment.trail[-1].exact
        payment.amount_fen = round_fen(exact / unit, self.policy) * unit
        step = ExplanationStep(
            label=self.label or "取整",
            formula=f"{_POLICIES[self.policy]}到{_NAMES[self.to]}",
            inputs=(),
            exact=Fraction(payment.amount_fen),
            amount_fen=payment.amount_fen,
            clause=self.clause,
        )
        payment.trail = (*payment.trail, step)
        payment.tie_break = ""

    def _settle(self, book: Book, division: str, before: int, after: int) -> None:
        freed = before - after
        label = book.label(self.residual_into)
        if freed < 0:
            there = book.holding(self.residual_into, division).balance_fen
            if there + freed < 0:
                book.refuse(
                    f"取整后多出 {yuan(-freed)} 元，尾差钱袋“{label}”只有 {yuan(there)} 元",
                    '改用 policy = "down"，或先给尾差钱袋放钱',
                )
            book.take(self.residual_into, division, -freed)
            return
        if freed:
            formula = f"各户取整前 {yuan(before)} 元 − 取整后 {yuan(after)} 元"
            step = ExplanationStep(f"{label}（尾差）", formula, (), Fraction(freed), freed, self.clause)
            book.put(self.residual_into, division, freed, (step,))
