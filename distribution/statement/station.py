"""A station's money by month: what was billed, and what of it has arrived."""

from collections import defaultdict

from sqlalchemy.orm import Session

from distribution.settlement.reads import receipts, settlements
from distribution.statement.records import (
    StationMonth,
)
from distribution.types import Component
from registry.actors import Actor, Permission


def station_money(session: Session, actor: Actor, station_id: str) -> tuple[StationMonth, ...]:
    """Return a station's billed and received money by month, the latest first; empty outside the area."""
    actor.require(Permission.VIEW_MONEY)
    received: dict[tuple[str, Component], int] = defaultdict(int)
    for one in receipts(session, actor, station_id=station_id):
        received[(one.month, one.component)] += one.amount_fen
    subsidies = (Component.SUBSIDY, Component.LOCAL_SUBSIDY)
    return tuple(
        StationMonth(
            one.month,
            one.id,
            one.revision,
            one.exported_energy_wh,
            one.electricity_fen,
            one.subsidy_fen + one.local_subsidy_fen,
            received[(one.month, Component.ELECTRICITY)],
            sum(received[(one.month, component)] for component in subsidies),
        )
        for one in sorted(
            settlements(session, actor, station_id=station_id), key=lambda one: one.month, reverse=True
        )
    )
