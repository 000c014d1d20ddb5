"""Until when a household that left goes on taking part: the continued entitlement of its exit.

Owns one read. A later return makes an earlier exit void.
"""

from collections.abc import Mapping
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.roll.tables import HouseholdEventRow


def continued_until(session: Session, village_code: str) -> Mapping[str, date]:
    """Return the day until which each household of a village that left with an entitlement takes part."""
    statement = select(HouseholdEventRow).where(
        HouseholdEventRow.village_code == village_code, HouseholdEventRow.kind.in_(("exit", "return"))
    )
    found: dict[str, date] = {}
    order = (HouseholdEventRow.happened_on, HouseholdEventRow.recorded_at)
    for row in session.scalars(statement.order_by(*order)):
        found.pop(row.household_id, None)
        if row.kind == "exit" and row.continued_until is not None:
            found[row.household_id] = row.continued_until
    return found
