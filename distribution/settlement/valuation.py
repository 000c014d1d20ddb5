"""What energy that was not generated would have been paid: the tariff in force of each station.

Owns the price per kWh of a station on a day: electricity and subsidy as its newest bill paid them, or, for
a station without a bill, the fixed price of its zone and day of grid connection. It values an estimate of
energy; nothing that it returns is ever booked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from sqlalchemy.orm import Session

from distribution.money import round_fen
from distribution.settlement.reads import settlements
from distribution.types import Settlement
from registry.actors import Actor, Permission
from registry.parameters import NoValueError, Place, value_on
from registry.stations import Station, stations
from store.periods import Period

BILLS_BACK_MONTHS = 6
_FEN_PER_YUAN, _WH_PER_KWH = 100, 1_000


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a kWh of a station is paid [yuan/kWh], subsidy included, and where that is written."""

    station_id: str
    price: Fraction
    source: str

    def value_fen(self, energy_wh: int) -> int:
        """Return what some energy [Wh] is worth [fen], rounded once."""
        return round_fen(self.price * energy_wh * _FEN_PER_YUAN / _WH_PER_KWH)


def tariffs_in_force(session: Session, actor: Actor, on: date) -> dict[str, Tariff]:
    """Return the tariff in force on a day of each of the actor's stations; one without any is absent."""
    actor.require(Permission.VIEW_MONEY)
    missing = {place.id: place for place in stations(session, actor)}
    found: dict[str, Tariff] = {}
    month = Period.month_of(on)
    for _ in range(BILLS_BACK_MONTHS):
        if not missing:
            break
        for bill in settlements(session, actor, month=str(month)):
            tariff = _of_bill(bill)
            if tariff is not None and missing.pop(bill.station_id, None) is not None:
                found[bill.station_id] = tariff
        month = month.previous()
    fixed = (_fixed(session, place) for place in missing.values())
    return found | {tariff.station_id: tariff for tariff in fixed if tariff is not None}


def _of_bill(bill: Settlement) -> Tariff | None:
    energy_wh = sum(line.exported_energy_wh for line in bill.lines)
    if energy_wh <= 0:
        return None
    paid = sum(
        (
            Fraction(line.electricity_price + line.subsidy_price) * line.exported_energy_wh
            for line in bill.lines
        ),
        Fraction(0),
    )
    return Tariff(bill.station_id, paid / energy_wh, f"{Period.parse(bill.month).label}电费结算单")


def _fixed(session: Session, place: Station) -> Tariff | None:
    if place.grid_connected_on is None:
        return None
    where = Place(place.division_code, place.tariff_zone)
    try:
        value = value_on("fixed_price", place.grid_connected_on, where, session=session)
    except NoValueError:
        return None
    return Tariff(place.id, Fraction(Decimal(value.value)), value.source)


def lost_fen(tariffs: Mapping[str, Tariff], station_id: str, lost_wh: float | None) -> int | None:
    """Return what lost energy [Wh] of a station would have been paid [fen], None where either is unknown."""
    tariff = tariffs.get(station_id)
    return None if tariff is None or lost_wh is None else tariff.value_fen(int(lost_wh))
