"""What alarms cost in money: monitoring's lost energy at the tariff in force of the station.

Owns the join of the two siblings for messages and lists.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from distribution.settlement.valuation import lost_fen, tariffs_in_force
from monitoring.alarms.reads import Alarm
from registry.actors import Actor, Permission
from store.periods import local_date


def alarms_worth(
    session: Session, actor: Actor, listed: Sequence[Alarm], now: datetime
) -> Mapping[str, int | None]:
    """Return what alarms cost so far [fen] by id, None where unknown; nothing for who may not see money.

    The alarm of a whole division has no tariff of its own and stays without money.
    """
    if not actor.may(Permission.VIEW_MONEY) or not any(one.lost_energy_wh for one in listed):
        return {}
    tariffs = tariffs_in_force(session, actor, local_date(now))
    return {one.id: lost_fen(tariffs, one.station_id, one.lost_energy_wh) for one in listed}
