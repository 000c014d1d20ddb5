"""The lists with which anyone can recompute a posted notice, purse by purse.

Owns finding them for a notice. A posted notice is public, and so are they; what stands in them, and how it
is recomputed, is `distribution.plans.published`'s.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from distribution.approval.noticing.notices import Notice
from distribution.approval.runs import allocation_of
from distribution.plans.published import published_csv
from registry.actors import SYSTEM


@dataclass(frozen=True, slots=True)
class PublishedList:
    """One purse's list: its name and label, how many shares it has, and the CSV."""

    purse: str
    label: str
    shares: int
    text: str


def published_lists(session: Session, notice: Notice) -> tuple[PublishedList, ...]:
    """Return the list of every purse of a posted notice that was divided among households."""
    allocation = allocation_of(session, SYSTEM, notice.run_id)
    found = []
    for purse in allocation.purses:
        text = published_csv(allocation, purse.purse, allocation.village_code)
        shares = text.count("\n") - 1
        if shares:
            found.append(PublishedList(purse.purse, purse.label, shares, text))
    return tuple(found)
