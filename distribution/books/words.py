"""What the components of enrolments are called: the labels of the plan in force.

Owns the look-up. A component that no plan names is called as the registry writes it.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from sqlalchemy.orm import Session

from distribution.plans.tables import NoPlanPublishedError, plan_for


def component_words(
    session: Session, village_code: str, on: date, components: Iterable[str]
) -> Mapping[str, str]:
    """Return the Chinese word of each component in a village on a day."""
    wanted = tuple(dict.fromkeys(components))
    try:
        plan = plan_for(session, village_code, on)
    except NoPlanPublishedError:
        return {one: one for one in wanted}
    return {one: plan.purse_label(one) for one in wanted}
