"""Primitive 31, netting of what was overpaid: how much of a payment may be kept back against it.

A correction may find that a household was paid too much. That stays owed until it is given back, or until a
rule of an approved plan keeps back a part of later payments: this one. Without the step nothing is kept back.
"""

from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import RoundingPolicy, round_fen, yuan
from distribution.plans.notation.values import Money, Number
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.types import Netting, PayeeKind


class NetOverpaid(Step):
    """Keep back at most `percent` of a household's payment, and at most `cap` in a period."""

    kind: Literal["net_overpaid"]
    percent: Number = Field(gt=0, le=1)
    cap: Money | None = Field(default=None, description="at most this much per household and period")
    clause: str = Field(min_length=1, description="the decision that allows it")

    def apply(self, book: Book) -> None:
        """Net when everybody's payment is known."""
        book.after.append(lambda: self._net(book))

    def _net(self, book: Book) -> None:
        paid: dict[str, int] = {}
        for payment in book.payments:
            if payment.payee_kind in {PayeeKind.HOUSEHOLD, PayeeKind.PERSON}:
                paid[payment.payee_id] = paid.get(payment.payee_id, 0) + payment.amount_fen
        for one in sorted(book.inputs.recoverables, key=lambda one: one.household_id):
            share = round_fen(Fraction(paid.get(one.household_id, 0)) * self.percent, RoundingPolicy.DOWN)
            amount = min(one.amount_fen, share, share if self.cap is None else self.cap)
            if amount > 0:
                book.nettings.append(Netting(one.household_id, amount, one.amount_fen, self.clause))
        total = sum(one.amount_fen for one in book.nettings)
        if total:
            book.warn(f"{len(book.nettings)} 户冲抵以前多发的款 {yuan(total)} 元（{self.clause}）")
