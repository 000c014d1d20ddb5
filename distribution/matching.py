"""Comparing a month's bills with the energy of the inverters, and freezing that energy.

Owns the join of stations, their devices' monthly energy and settlements. What counts as a difference and
what its cause may be is `settlement.reconciliation`'s.
"""

from datetime import datetime

from distribution.settlement.reads import settlements
from distribution.settlement.reconciliation import Measured, compare, record_discrepancies
from registry.actors import Actor
from registry.stations import Device, devices
from store.db import Database
from store.energy import EnergyQuestion, answer, freeze
from store.periods import Period, local_date
from store.series import SeriesStore


def match_month(
    database: Database, series: SeriesStore, actor: Actor, month: str, now: datetime
) -> tuple[str, ...]:
    """Compare every billed station of the actor's area with its inverters; returns the new discrepancies.

    The month's energy is frozen once the month is over; repeating the match records nothing twice.
    """
    period = Period.parse(month)
    with database.reading() as session:
        billed = settlements(session, actor, month=month)
        every = [one for one in devices(session, actor) if _worked_in(one, period)]
    rated = {one.id: one.rated_power_w for one in every}
    inverters = [one.id for one in every if one.kind == "inverter"]
    energies = answer(series, EnergyQuestion(inverters, (period,), rated_power_w=rated))
    measured: dict[str, Measured] = {}
    station_of = {one.id: one.station_id for one in every}
    for energy in energies:
        station = station_of[energy.device_id]
        measured[station] = measured.get(station, Measured()).plus(energy)
    with database.transaction() as session:
        if period.end <= local_date(now):
            freeze(session, energies, "generated_energy_wh", now)
        found = [one for bill in billed if (one := compare(bill, measured.get(bill.station_id))) is not None]
        return record_discrepancies(session, actor, found, now)


def _worked_in(device: Device, period: Period) -> bool:
    return device.installed_on < period.end and (
        device.removed_on is None or device.removed_on > period.start
    )
