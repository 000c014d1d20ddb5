"""A month of each village as the national system asks for it, gathered from settlement and registry."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy.orm import Session

from distribution.exports.settlement_sheets import VillageEntry
from distribution.money import split
from distribution.settlement.reads import costs, receipts, remittances, settlements, uncorrected
from distribution.settlement.receivables.owed import MonthOwed, by_month, owed_items
from distribution.settlement.spending.spendings import spendings
from distribution.types import Component
from registry.actors import Actor
from registry.divisions import villages
from registry.stations import shares
from store.periods import Period

MAINTENANCE = "maintenance"
_Sums = dict[tuple[str, str], int]


def village_entries(session: Session, actor: Actor, month: str) -> tuple[VillageEntry, ...]:
    """Return every village of the actor's area that has figures in a month, by code.

    What is owed counts by the month it was earned in; what arrived, was passed on or spent by the month in
    which that happened.
    """
    energy = _energies(session, actor, month)
    moved = _moved(session, actor, month)
    found = []
    for place in villages(session, actor):
        code = place.code
        owed = by_month(owed_items(session, replace(actor, area=code), month=month))
        mine = owed[0] if owed else MonthOwed(month, 0, 0, 0, 0, 0)
        entry = VillageEntry(
            *(code, place.name, energy[code], mine.electricity_fen, mine.subsidy_fen),
            *(moved[(code, "electricity")], moved[(code, "subsidy")], moved[(code, "maintenance")]),
            *(moved[(code, "other_cost")], moved[(code, "remitted")], moved[(code, "spent")]),
        )
        if any((energy[code], mine.owed_fen, *(moved[(code, name)] for name in _NAMES))):
            found.append(entry)
    return tuple(found)


_NAMES = ("electricity", "subsidy", "maintenance", "other_cost", "remitted", "spent")


def _energies(session: Session, actor: Actor, month: str) -> dict[str, int]:
    """Return each village's part of the exported energy [Wh]: that of a joint station by its share."""
    found: dict[str, int] = defaultdict(int)
    for bill in settlements(session, actor, month=month):
        owners = shares(session, bill.station_id, Period.parse(month).start)
        codes = [one.village_code for one in owners]
        parts = split(bill.exported_energy_wh, [one.weight for one in owners], codes)
        for code, part in zip(codes, parts, strict=True):
            found[code] += part
    return found


def _moved(session: Session, actor: Actor, month: str) -> _Sums:
    sums: _Sums = defaultdict(int)
    for code, name, amount in _movements(session, actor, month):
        sums[(code, name)] += amount
    return sums


def _movements(session: Session, actor: Actor, month: str) -> Iterable[tuple[str, str, int]]:
    for receipt in uncorrected(receipts(session, actor)):
        if f"{receipt.received_on:%Y-%m}" == month:
            name = "electricity" if receipt.component is Component.ELECTRICITY else "subsidy"
            yield from ((code, name, amount) for code, amount in receipt.shares)
    for cost in costs(session, actor, month=month):
        name = "maintenance" if cost.kind == MAINTENANCE else "other_cost"
        yield cost.village_code, name, cost.amount_fen
    for sent in remittances(session, actor):
        if f"{sent.remitted_on:%Y-%m}" == month:
            yield sent.village_code, "remitted", sent.amount_fen
    for spent in spendings(session, actor):
        if f"{spent.fact.spent_on:%Y-%m}" == month:
            yield spent.fact.village_code, "spent", spent.fact.amount_fen
