"""What the registry knows of counters, as energy wants to be asked: rated power, and known exchanges.

Owns the translation of exchanged devices into the epochs of `store.energy`; energy itself is computed there.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.actors import Actor, Permission
from registry.assets.tables import ReplacementRow
from registry.stations import Device, StationRow, station_in_area
from store.energy import CounterEpoch, EnergyQuestion
from store.periods import Period, local_midnight

_WH = 1000


def counter_epochs(session: Session, actor: Actor) -> tuple[CounterEpoch, ...]:
    """Return the ends and beginnings of counters that exchanges in the actor's area wrote down.

    An exchange knows only its day: what the old device counted belongs to it to the day's end, what the new
    one counted from the day's beginning.
    """
    actor.require(Permission.VIEW_STATIONS)
    statement = (
        select(ReplacementRow)
        .join(StationRow)
        .where(station_in_area(actor), ReplacementRow.kind == "device")
        .order_by(ReplacementRow.replaced_on, ReplacementRow.id)
    )
    return tuple(one for row in session.scalars(statement) for one in _epochs(row))


def _epochs(row: ReplacementRow) -> Iterator[CounterEpoch]:
    opening, closing = _wh(row.opening_reading), _wh(row.closing_reading)
    morning = local_midnight(row.replaced_on)
    yield CounterEpoch(row.old_id, morning + timedelta(days=1), opening, closing)
    yield CounterEpoch(row.new_id, morning, opening)


def _wh(reading: str) -> int:
    """Return a displayed reading [kWh] in whole Wh."""
    return int(Decimal(reading) * _WH)


def energy_question(
    session: Session,
    actor: Actor,
    of: tuple[Sequence[Device], Sequence[Period]],
    quantity: str = "generated_energy_wh",
    until: datetime | None = None,
) -> EnergyQuestion:
    """Return the question for the energy `of` (devices, periods), with what the registry knows of them."""
    listed, periods = of
    ids = [device.id for device in listed]
    rated = {device.id: device.rated_power_w for device in listed if device.rated_power_w}
    own = set(ids)
    epochs = tuple(one for one in counter_epochs(session, actor) if one.device_id in own)
    return EnergyQuestion(ids, periods, quantity, rated, epochs=epochs, until=until)
