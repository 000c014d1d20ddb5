"""Primitive 28, the equal-split detector: simple sharing among everybody is what the rules forbid.

It looks at what the households of a village get out of some purses together: when nearly all of them get
the same to the fen, the distribution is an equal split, whatever its steps are called.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import yuan
from distribution.plans.notation.values import Number, percent_text
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.types import PayeeKind


class EqualSplit(Step):
    """Warn or refuse when at least `share` of all households get the same out of `of`, give or take 1 fen."""

    kind: Literal["equal_split"]
    of: tuple[str, ...] = Field(min_length=1)
    share: Number = Fraction(9, 10)
    at_least_households: int = Field(default=3, ge=2)
    on_fail: Literal["block", "warn"] = "warn"

    def refers_to(self) -> Iterable[str]:
        """Return the purses that are looked at."""
        return self.of

    def apply(self, book: Book) -> None:
        """Leave the look for the end, when everybody has been paid."""
        index = book.step_index
        book.after.append(lambda: self._look(book, index))

    def _look(self, book: Book, index: int) -> None:
        book.step_index = index
        sums: dict[str, int] = {}
        for payment in book.payments:
            if payment.purse in self.of and payment.payee_kind is PayeeKind.HOUSEHOLD:
                sums[payment.payee_id] = sums.get(payment.payee_id, 0) + payment.amount_fen
        everybody = len(book.inputs.households)
        if len(sums) < self.at_least_households or len(sums) < self.share * everybody:
            return
        amounts = sorted(sums.values())
        middle = amounts[len(amounts) // 2]
        same = sum(1 for amount in amounts if abs(amount - middle) <= 1)
        if same < self.share * everybody:
            return
        ratio = percent_text(Fraction(same, everybody))
        text = (
            f"疑似平均分配：{everybody} 户中 {same} 户（{ratio}）都得 {yuan(middle)} 元左右，不得简单平均发钱"
        )
        if self.on_fail == "block":
            book.refuse(text, "按劳动、积分或困难程度分档")
        book.warn(text)
