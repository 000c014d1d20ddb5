"""Primitive 28, the negative list: uses and recipients that the rules forbid, found before money moves.

The words of the list are looked for in the use and the recipient kind of every planned spending.
"""

from typing import Literal

from pydantic import Field

from distribution.money import yuan
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book


class NegativeUse(Step):
    """Refuse, or warn about, spendings for `forbidden_uses` or to `forbidden_recipients`."""

    kind: Literal["negative_use"]
    forbidden_uses: tuple[str, ...] = Field(default=())
    forbidden_recipients: tuple[str, ...] = Field(default=())
    on_fail: Literal["block", "warn"] = "block"

    def apply(self, book: Book) -> None:
        """Compare every planned spending with the list."""
        found = []
        for item in book.inputs.spendings:
            use = next((word for word in self.forbidden_uses if word in item.use), "")
            recipient = next((word for word in self.forbidden_recipients if word in item.recipient_kind), "")
            if use or recipient:
                found.append(
                    f"支出 {item.id} {yuan(item.amount_fen)} 元（{item.use}）属于“{use or recipient}”"
                )
        if not found:
            return
        text = "负面清单：" + "；".join(found)
        if self.on_fail == "block":
            book.refuse(text, "从支出计划中去掉，改用于允许的用途")
        book.warn(text)
