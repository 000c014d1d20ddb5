"""Primitive 2, cash basis with receivables: money that is owed but has not arrived stays visible.

The step moves no money. It lists what is accrued and unpaid beside the result, and warns when it is old.
"""

from typing import Literal

from distribution.money import yuan
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.income.typed_income import COMPONENT_LABELS
from distribution.types import Component, Receivable


class CashBasis(Step):
    """Show the receivables of `components`; warn about those older than `alarm_months`."""

    kind: Literal["receivables"]
    components: tuple[Component, ...] = (Component.ELECTRICITY, Component.SUBSIDY, Component.LOCAL_SUBSIDY)
    alarm_months: int | None = None

    def apply(self, book: Book) -> None:
        """Put the open receivables beside the result."""
        items = [item for item in book.inputs.receivables if item.component in self.components]
        book.receivables.extend(items)
        for component in self.components:
            total = sum(item.amount_fen for item in items if item.component is component)
            if total:
                book.warn(f"{COMPONENT_LABELS[component]}应收未到 {yuan(total)} 元，不参与本期分配")
        if self.alarm_months is not None:
            self._warn_about_old(items, book)

    def _warn_about_old(self, items: list[Receivable], book: Book) -> None:
        for item in items:
            age = months_between(item.month, book)
            if self.alarm_months is not None and age > self.alarm_months:
                book.warn(
                    f"{item.month} 的{COMPONENT_LABELS[item.component]} {yuan(item.amount_fen)} 元"
                    f"已拖欠 {age} 个月（{item.source}）"
                )


def months_between(month: str, book: Book) -> int:
    """Return how many months lie between a month `2026-03` and the end of the period."""
    if not month:
        return 0
    year, number = (int(part) for part in month.split("-")[:2])
    return (book.period.end.year - year) * 12 + book.period.end.month - number - 1
