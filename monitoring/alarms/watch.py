"""What the scheduler asks for: look at the present, look at the closed days, estimate the losses.

Owns the three turns. Each is one transaction in which what was found, the alarms and what is to be told of
them are written together; a turn that was killed left nothing, and a turn that is done again changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson
from sqlalchemy.orm import Session

from monitoring.alarms.conditions import days
from monitoring.alarms.conditions.findings import Finding, Standing
from monitoring.alarms.conditions.grouping import StationFindings, Surroundings, rolled_up
from monitoring.alarms.conditions.momentary import (
    GRID,
    STANDSTILL,
    VENDOR,
    WIDE_KINDS,
    Explain,
    Look,
    detail_findings,
    looks,
    no_vendor_texts,
    standing_findings,
)
from monitoring.alarms.kinds import AlarmKind
from monitoring.alarms.lifecycle import AlarmChange, Beginnings, Pass, as_found
from monitoring.alarms.losses import estimates, keep_estimates
from monitoring.alarms.rules import rule_book
from monitoring.uptime.present import Present, present, with_beginnings, working_inverters
from registry.actors import SYSTEM
from registry.divisions import division_names
from registry.stations import Device, Station, devices, revenue_meters, stations
from store.db import Database
from store.periods import local_date
from store.series import SeriesStore

Tell = Callable[[Session, Sequence[AlarmChange]], int]
"""Puts what happened on its way to people in the same transaction, and returns how many pieces of news."""

DAILY_KINDS = frozenset(
    {AlarmKind.LOW_YIELD, AlarmKind.STRING_IMBALANCE, AlarmKind.METER_MISMATCH, AlarmKind.COUNTER}
)
MOMENTARY_KINDS = frozenset(AlarmKind) - DAILY_KINDS


def tell_nobody(_session: Session, _changes: Sequence[AlarmChange]) -> int:
    """Tell nobody of what happened."""
    return 0


@dataclass(frozen=True, slots=True)
class Manner:
    """How a turn is done: what the vendors' alarm words mean, and who is told."""

    explain: Explain = no_vendor_texts
    tell: Tell = tell_nobody


QUIETLY = Manner()
"""Without the vendors' texts, telling nobody."""


def watch_present(
    database: Database, series: SeriesStore, now: datetime, manner: Manner = QUIETLY
) -> tuple[AlarmChange, ...]:
    """Look at every inverter as it stands at `now` [UTC] and bring the alarms up to it."""
    with database.reading() as session:
        places = {place.id: place for place in stations(session, SYSTEM)}
        standing = present(session, series, tuple(places.values()), now)
    with database.transaction() as session:
        return watch_standing(session, places, standing, manner, _Beginnings(series, standing))


def watch_standing(
    session: Session,
    places: Mapping[str, Station],
    standing: Present,
    manner: Manner = QUIETLY,
    beginnings: Beginnings = as_found,
) -> tuple[AlarmChange, ...]:
    """Bring the alarms up to how the inverters of all stations (by id) stand; reads no series."""
    book = rule_book(session, local_date(standing.now))
    turn = Pass(session, book, standing.now, MOMENTARY_KINDS).read()
    turn.beginnings = beginnings
    rules = {station_id: book.of(place.division_code) for station_id, place in places.items()}
    around = Surroundings(book, division_names(session), turn.open.keys(), turn.alone())
    found = _findings(list(looks(standing, places, rules, manner.explain)), turn.wanted(), around)
    changes = turn.apply(found)
    manner.tell(session, changes)
    return changes


def _findings(seen: Sequence[Look], wanted: set[str], around: Surroundings) -> list[Finding]:
    vendor_wanted: dict[str, list[str]] = {}
    for key in wanted:
        if key.startswith(f"{VENDOR}:"):
            vendor_wanted.setdefault(key.rpartition(":")[0], []).append(key)
    found: list[Finding] = []
    by_family: dict[str, dict[str, tuple[Station, list[Finding]]]] = {family: {} for family in WIDE_KINDS}
    for look in seen:
        for family, one in zip(WIDE_KINDS, standing_findings(look), strict=True):
            _place, parts = by_family[family].setdefault(look.place.id, (look.place, []))
            parts.append(one)
        own = vendor_wanted.get(look.subject.key(VENDOR), ())
        found += detail_findings(look, wanted, own)
    for family, grouped in by_family.items():
        listed = [StationFindings(place, tuple(parts)) for place, parts in grouped.values()]
        found += rolled_up(family, listed, around)
    return [one for one in found if one.standing is Standing.ON or one.key in wanted]


class _Beginnings:
    """Finds since when devices stand still, from the samples: only for those about to become an alarm."""

    def __init__(self, series: SeriesStore, standing: Present) -> None:
        self._series = series
        self._standing = standing

    def __call__(self, ripe: Sequence[Finding]) -> Mapping[str, datetime]:
        families = (f"{STANDSTILL}:", f"{GRID}:")
        stopped = [one for one in ripe if one.key.startswith(families) and one.subject.station_id]
        if not stopped:
            return {}
        wanted = {one.subject.station_id for one in stopped}
        groups = {key: group for key, group in self._standing.inverters.items() if key in wanted}
        opinions = with_beginnings(self._series, replace(self._standing, inverters=groups))
        found: dict[str, datetime] = {}
        for one in stopped:
            members = groups.get(one.subject.station_id, ())
            chosen = [item for item in members if one.subject.device_id in {"", item.id}]
            begins = [since for item in chosen if (since := opinions[item.id].since) is not None]
            if begins:
                found[one.key] = max(begins)
        return found


def _fleet(session: Session, now: datetime) -> days.Fleet:
    on = local_date(now)
    return days.Fleet(
        now,
        {place.id: place for place in stations(session, SYSTEM)},
        working_inverters(session, SYSTEM, on),
        days.metered(devices(session, SYSTEM, on=on)),
        revenue_meters(session, SYSTEM),
        rule_book(session, on),
    )


def watch_days(
    database: Database, series: SeriesStore, now: datetime, manner: Manner = QUIETLY
) -> tuple[AlarmChange, ...]:
    """Look at the closed days before `now` [UTC] and bring the alarms that they decide up to it."""
    with database.reading() as session:
        fleet = _fleet(session, now)
    inputs = days.daily_inputs(series, fleet, _with_inputs(series, fleet))
    with database.transaction() as session:
        turn = Pass(session, fleet.book, now, DAILY_KINDS).read()
        energies, excused = days.fleet_days(session, fleet), days.excused_days(session, fleet)
        found = [
            *days.low_yield(fleet, energies, excused),
            *days.strings(fleet, inputs, _usual(turn), excused),
            *days.meter_mismatch(fleet, energies),
            *days.counters(session, fleet, (*fleet.inverters, *fleet.meters)),
        ]
        wanted = turn.wanted()
        changes = turn.apply([one for one in found if one.standing is Standing.ON or one.key in wanted])
        manner.tell(session, changes)
    return changes


def _with_inputs(series: SeriesStore, fleet: days.Fleet) -> list[Device]:
    """Return the inverters whose newest sample has the current of at least two DC inputs."""
    latest = series.latest([one.id for one in fleet.inverters])
    return [
        one
        for one in fleet.inverters
        if (sample := latest.get(one.id)) is not None
        and sum(f"dc_current_{number}_a" in sample.values for number in days.INPUTS) > 1
    ]


def _usual(turn: Pass) -> dict[str, float]:
    """Return the usual shares [%] with which the open alarms of strings were opened, by cause key."""
    found: dict[str, float] = {}
    for key, row in turn.open.items():
        if row.kind == AlarmKind.STRING_IMBALANCE:
            told = orjson.loads(row.evidence).get(days.USUAL_LABEL)
            if told:
                found[key] = float(told)
    return found


def estimate_losses(database: Database, series: SeriesStore, now: datetime) -> int:
    """Estimate anew what alarms that stop the output have cost by `now` [UTC]; returns how many changed."""
    with database.reading() as session:
        estimated = estimates(session, series, now)
    with database.transaction() as session:
        return keep_estimates(session, estimated)
