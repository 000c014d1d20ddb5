"""Primitive 30, traceable postings: every fen to a village sub-ledger, an account and a use.

Each line gets the ledger account and the words for the pay file (一卡通) and the national system. A line
without an account is refused, so that the traces add up to the lines.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from distribution.plans.primitives.base import Step, Strict
from distribution.plans.primitives.book import Book
from distribution.types import AllocationLine, Trace


class Account(Strict):
    """Where the lines of a purse are booked, and what the pay file calls them."""

    account: str = Field(min_length=1)
    use: str = Field(min_length=1)


class Posting(Step):
    """Book the lines of each purse in `accounts`; what names no purse there is refused."""

    kind: Literal["posting"]
    accounts: Mapping[str, Account] = Field(min_length=1)

    def refers_to(self) -> Iterable[str]:
        """Return the purses that have an account."""
        return self.accounts

    def apply(self, book: Book) -> None:
        """Trace every line once they are numbered, and refuse purses that pay without an account."""
        book.tracers.append(self._trace)
        index = book.step_index

        def complete() -> None:
            book.step_index = index
            missing = sorted({payment.purse for payment in book.payments} - set(self.accounts))
            if missing:
                names = "、".join(book.label(purse) for purse in missing)
                book.refuse(
                    f"{names} 有支出，却没有科目和用途", "在 accounts 中给每个钱袋写上 account 和 use"
                )

        book.after.append(complete)

    def _trace(self, line: AllocationLine) -> Trace:
        entry = self.accounts[line.purse]
        return Trace(
            line.line_no, line.division_code, entry.account, entry.use, line.payee_id, line.amount_fen
        )
