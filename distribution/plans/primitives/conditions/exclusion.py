"""Primitive 21, mutual exclusion: one household in one mode only, in the village and across stations.

The mode that pays first counts, in the order of the plan's steps; the others pass the household by. Or a
household in two modes is refused. Support from elsewhere keeps a household out altogether.
"""

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import model_validator

from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Bar, Book
from distribution.types import HouseholdInput, PayeeKind

_SHOWN = 5


class Exclusion(Step):
    """Let a household be paid out of one of the purses `among` only; `support` bars who has it elsewhere."""

    kind: Literal["exclude"]
    among: tuple[str, ...] = ()
    on_conflict: Literal["first", "refuse"] = "first"
    support: tuple[str, ...] = ()
    of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.among and not (self.support and self.of):
            raise ValueError("写 among（互斥的钱袋），或写 support 和 of（外部帮扶和受限的钱袋）")
        return self

    def refers_to(self) -> Iterable[str]:
        """Return the purses that exclude each other, and those that are barred."""
        return (*self.among, *self.of)

    def apply(self, book: Book) -> None:
        """Set the bars; the payments below obey them."""
        for purse in self.of:
            book.bars.setdefault(purse, []).append(self._supported)
        if self.on_conflict == "refuse":
            index = book.step_index
            book.after.append(lambda: self._refuse_doubles(book, index))
            return
        for purse in self.among:
            book.bars.setdefault(purse, []).append(self._bar_of(purse, book))

    def _bar_of(self, purse: str, book: Book) -> Bar:
        others = [name for name in self.among if name != purse]
        return lambda household: any(household.id in book.paid[name] for name in others)

    def _supported(self, household: HouseholdInput) -> bool:
        return bool(set(self.support) & set(household.support))

    def _refuse_doubles(self, book: Book, index: int) -> None:
        book.step_index = index
        modes: dict[str, set[str]] = {}
        for payment in book.payments:
            if payment.purse in self.among and payment.payee_kind is PayeeKind.HOUSEHOLD:
                modes.setdefault(payment.payee_id, set()).add(payment.purse)
        doubles = [household for household, purses in modes.items() if len(purses) > 1]
        if doubles:
            names = "、".join(book.label(purse) for purse in self.among)
            shown = "、".join(sorted(doubles)[:_SHOWN])
            book.refuse(
                f"{len(doubles)} 户同时享受 {names} 中的两种：{shown}",
                '每户只留一种，或写 on_conflict = "first"',
            )
