"""Primitive 17 and 28, planned spendings: works, labour, relief, paid out of a purse one by one.

Each spending of the input names its use, its recipient and its evidence. Which uses are forbidden is for
the negative list.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import yuan
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book, Payment, prefix_of
from distribution.types import PayeeKind, SpendingInput, StepInput
from distribution.types import Step as ExplanationStep

_KINDS = {
    "household": PayeeKind.HOUSEHOLD,
    "person": PayeeKind.PERSON,
    "village_collective": PayeeKind.VILLAGE_COLLECTIVE,
}


class Spending(Step):
    """Pay the spendings of the input that name the purse `from`; `uses` limits them to some uses."""

    kind: Literal["spend"]
    taken_from: str = Field(alias="from")
    uses: tuple[str, ...] = ()
    evidence: bool = False

    def takes_from(self) -> Iterable[str]:
        """Return the purse that pays."""
        return (self.taken_from,)

    def pays_from(self) -> Iterable[str]:
        """Return the purse that pays."""
        return (self.taken_from,)

    def apply(self, book: Book) -> None:
        """Pay every spending of the purse, in the order of their ids."""
        items = sorted(
            (item for item in book.inputs.spendings if item.purse == self.taken_from),
            key=lambda item: item.id,
        )
        for item in items:
            if f"spending {item.id}" in book.settled or (self.uses and item.use not in self.uses):
                continue
            if self.evidence and not item.evidence:
                book.warn(f"支出 {item.id}（{item.use}）没有凭据，本期不付")
                continue
            self._pay(book, item)

    def _pay(self, book: Book, item: SpendingInput) -> None:
        book.settled.add(f"spending {item.id}")
        division = self._division(book, item)
        trail = book.way_to(self.taken_from, division)
        own = ExplanationStep(
            label=self.label or item.use,
            formula=f"{item.use} {yuan(item.amount_fen)} 元",
            inputs=(StepInput(item.use, yuan(item.amount_fen), item.evidence or item.id),),
            exact=Fraction(item.amount_fen),
            amount_fen=item.amount_fen,
            clause=self.clause,
        )
        kind = _KINDS.get(item.recipient_kind, PayeeKind.SUPPLIER)
        payment = Payment(
            self.taken_from, division, kind, item.recipient_id, item.amount_fen, 1, (*trail, own)
        )
        payment.component = f"{item.use}/{item.id}"
        payment.village_code = item.village_code or division
        book.pay([payment])

    def _division(self, book: Book, item: SpendingInput) -> str:
        code = item.village_code or book.inputs.village_code
        held = book.divisions_with(self.taken_from)
        return next((division for division in held if code.startswith(prefix_of(division))), code)
