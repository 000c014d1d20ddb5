"""Primitive 27, an override window with its reason and document: a test is waived or a step is skipped.

The window is the step's `valid_from` and `valid_to`. Without a reason and a document there is none.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book

if TYPE_CHECKING:
    from distribution.plans.document import Plan


class Override(Step):
    """Waive the tests, or skip the steps, named in `of` during the window."""

    kind: Literal["override"]
    of: tuple[str, ...] = Field(min_length=1)
    effect: Literal["waive", "skip"] = "waive"
    reason: str = Field(min_length=1)
    document: str = Field(min_length=1)

    def refers_to(self) -> Iterable[str]:
        """Return the tests or steps that are overridden."""
        return self.of

    def faults(self, _plan: "Plan") -> Iterable[tuple[str, str, str]]:
        """Yield a window without an end."""
        if self.valid_from is None or self.valid_to is None:
            yield "valid_from", "豁免没有起止日期", "写上 valid_from 和 valid_to"

    def apply(self, book: Book) -> None:
        """Waive or skip, and say so."""
        reason = f"{self.reason}（{self.document}）"
        for name in self.of:
            if self.effect == "waive":
                book.waived[name] = reason
            else:
                book.skipped.add(name)
        what = "豁免" if self.effect == "waive" else "停用"
        book.warn(f"{what}{'、'.join(self.of)}：{reason}，{self.valid_from} 至 {self.valid_to} 止")
