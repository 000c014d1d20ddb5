"""Primitive 22, eligibility with dates: entry, exit, yearly review, continued entitlement, proration.

Without this step a household counts when it belongs to the village on at least one day of the period.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from distribution.plans.primitives.base import Selection, Step
from distribution.plans.primitives.book import Book
from distribution.types import HouseholdInput

_SHOWN = 5


class Eligibility(Step, Selection):
    """Let only selected households be paid out of the purses `of`.

    `review_flag` names the flag of a passed review (as `reviewed_2026`). `continued_months` keeps a
    household entitled for so long after it left. `prorate` multiplies weights and amounts by the days.
    """

    kind: Literal["eligibility"]
    of: tuple[str, ...] = Field(min_length=1)
    review_flag: str = ""
    continued_months: int = Field(default=0, ge=0)
    prorate: bool = False

    def refers_to(self) -> Iterable[str]:
        """Return the purses that it guards."""
        return self.of

    def classes_used(self) -> Iterable[str]:
        """Return the classes that select households."""
        return (*self.classes, *self.without_classes)

    def apply(self, book: Book) -> None:
        """Set the bars and the proration of the purses."""
        if self.continued_months:
            book.extend_stay(self.continued_months)

        def outside(household: HouseholdInput) -> bool:
            return not self.selects(household, book.period)

        for purse in self.of:
            book.bars.setdefault(purse, []).append(outside)
            if self.review_flag:
                book.bars[purse].append(self._not_reviewed)
            if self.prorate:
                book.prorated[purse] = self
        missing = [
            item.id for item in book.inputs.households if self.review_flag and self._not_reviewed(item)
        ]
        if missing:
            shown = "、".join(missing[:_SHOWN])
            book.warn(f"{len(missing)} 户没有通过复核“{self.review_flag}”，本期不发：{shown}")

    def _not_reviewed(self, household: HouseholdInput) -> bool:
        return self.review_flag not in household.flags
