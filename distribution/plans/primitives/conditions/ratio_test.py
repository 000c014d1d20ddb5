"""Primitive 10, constraint tests: a share must be at least, or at most, so much; no money moves.

The numerator is what some purses pay, the denominator the income after the deductions that are named.
A yearly test adds what was booked earlier in the year, and can only block in the year's last period.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from distribution.money import yuan
from distribution.plans.notation.values import Number, percent_text, rounded_percent_text
from distribution.plans.primitives.base import Step, closes
from distribution.plans.primitives.book import Book
from distribution.types import Component, PayeeKind, TestResult


class RatioTest(Step):
    """Test that paid(`numerator`) / (income - deductions `minus`) is `at_least` or `at_most` a share.

    `denominator` is `income`, or `distributable` (income after every deduction), or a list of purses,
    deductions and income components.
    """

    kind: Literal["test"]
    name: str
    numerator: tuple[str, ...] = Field(min_length=1)
    denominator: Literal["income", "distributable"] | tuple[str, ...] = "income"
    minus: tuple[str, ...] = ()
    at_least: Number | None = None
    at_most: Number | None = None
    per: Literal["period", "year"] = "year"
    on_fail: Literal["warn", "block"] = "warn"

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("at_least 和 at_most 写且只写一个")
        return self

    def refers_to(self) -> Iterable[str]:
        """Return the purses and deductions in the ratio."""
        listed = () if isinstance(self.denominator, str) else self.denominator
        return (name for name in (*self.numerator, *self.minus, *listed) if name not in set(Component))

    def apply(self, book: Book) -> None:
        """Leave the test for the end, when everybody has been paid."""
        index = book.step_index
        book.after.append(lambda: self._run(book, index))

    def _run(self, book: Book, index: int) -> None:
        book.step_index = index
        top = sum(self._paid(name, book) for name in self.numerator)
        bottom = self._bottom(book)
        passed = self._passes(top, bottom)
        blocks = self.on_fail == "block" and (self.per == "period" or closes(book.period, "year"))
        reason = book.waived.get(self.name, "")
        text = self._text(top, bottom, passed=passed) + (f"；已豁免：{reason}" if reason else "")
        book.tests.append(
            TestResult(
                name=self.name,
                label=self.label or self.name,
                numerator_fen=top,
                denominator_fen=bottom,
                threshold=self.at_least if self.at_least is not None else self.at_most or Fraction(0),
                passed=passed,
                blocks=blocks and not reason,
                text=text,
            )
        )
        if not passed and blocks and not reason:
            book.refuse(text, "调整用途或金额后重算；确有政策依据的，写 override 豁免")
        if not passed:
            book.warn(text)

    def _passes(self, top: int, bottom: int) -> bool:
        if self.at_least is not None:
            return top >= self.at_least * bottom
        return self.at_most is not None and top <= self.at_most * bottom

    def _paid(self, name: str, book: Book) -> int:
        earlier = book.year_to_date(name) if self.per == "year" else 0
        now = sum(
            payment.amount_fen
            for payment in book.payments
            if payment.purse == name and payment.payee_kind is not PayeeKind.PURSE
        )
        now += sum(item.amount_fen for item in book.deductions if item.name == name)
        return earlier + now + sum(part.amount_fen for part in book.income if part.component == name)

    def _bottom(self, book: Book) -> int:
        if not isinstance(self.denominator, str):
            return sum(self._paid(name, book) for name in self.denominator)
        earlier = book.year_to_date("income") if self.per == "year" else 0
        total = earlier + sum(part.amount_fen for part in book.income)
        names = self.minus
        if self.denominator == "distributable":
            names = tuple(item.name for item in book.deductions)
        return total - sum(self._paid(name, book) for name in names)

    def _text(self, top: int, bottom: int, *, passed: bool) -> str:
        bound = f"不低于 {percent_text(self.at_least)}" if self.at_least is not None else ""
        if self.at_most is not None:
            bound = f"不高于 {percent_text(self.at_most)}"
        ratio = rounded_percent_text(Fraction(top, bottom)) if bottom else "无法计算"
        span = "本年累计" if self.per == "year" else "本期"
        return (
            f"{self.label or self.name}：{span} {yuan(top)} 元 ÷ {yuan(bottom)} 元 = {ratio}，"
            f"要求{bound}，{'达到' if passed else '没有达到'}"
        )
