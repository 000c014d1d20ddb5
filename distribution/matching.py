"""Matching a month: inverter, grid meter, bill and receipt of every station, and what differs.

Owns the gathering of the evidence and the one run over a month. What counts as a difference and what its
cause may be is `settlement.matching`'s.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.ledger.journal import journal
from distribution.measuring import Plant, days_around, energy_within, measured_month
from distribution.settlement.bank.tables import BankDifferenceRow
from distribution.settlement.checks import CHECKS, Finding, check_warnings
from distribution.settlement.columns import Heading, Places
from distribution.settlement.intake.facts import FactBook, Present, last_readings, present_bills
from distribution.settlement.matching.causes import CAUSE_LABELS, Cause
from distribution.settlement.matching.evidence import (
    PPM,
    Evidence,
    Loss,
    Measured,
    Metered,
    Money,
    Tolerances,
)
from distribution.settlement.matching.judging import EXCEPTED, WAITING, Difference, Verdict, judge
from distribution.settlement.matching.losses import agreed_losses, learnt
from distribution.settlement.matching.results import Owner, newest_results, write_results
from distribution.settlement.metering.readings import metered_energy, readings
from distribution.settlement.reads import settlements
from distribution.settlement.reconciliation import Resolution, discrepancies, resolve_discrepancy
from distribution.settlement.statements import StatementRow
from distribution.settlement.tables import ReceiptRow
from distribution.settlement.tariffs.prices import place_of
from distribution.types import Component, Settlement
from registry.actors import Actor, Permission
from registry.parameters import ValueBook
from registry.stations import Station, devices, revenue_meters, stations
from store.db import Database
from store.periods import Period, local_date
from store.series import SeriesStore

DEFAULT_OWNER = "县财务"
_NO_READINGS: Mapping[str, Decimal] = {}
_HAND_READ = "人工抄表"
_STATIONS_AT_ONCE = 5_000
_CHECK_KIND = "check_"
_COMPONENTS = [one.value for one in (Component.ELECTRICITY, Component.SUBSIDY, Component.LOCAL_SUBSIDY)]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What operation adds, by station: orders to curtail in [start, end), and wrong clocks."""

    orders: Mapping[str, Sequence[tuple[datetime, datetime]]]
    wrong_clocks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What the database knows of a month before anything is compared."""

    stations: tuple[Station, ...]
    plant: Plant
    bills: Mapping[str, Settlement]
    money: Mapping[tuple[str, str], int]
    losses: Mapping[str, Loss]
    tolerances: Mapping[str, Tolerances]
    by_hand: Mapping[str, Metered]
    multipliers: Mapping[str, int]
    curtailed: Mapping[str, int]
    checks: Mapping[str, tuple[Difference, ...]]
    owner: Owner
    off_before: Mapping[str, int]
    off_after: Mapping[str, int]


def match_month(  # noqa: PLR0913, the circumstances may be left out
    database: Database,
    series: SeriesStore | None,
    actor: Actor,
    month: str,
    now: datetime,
    *,
    circumstances: Circumstances | None = None,
) -> tuple[str, ...]:
    """Match every station of the actor's area for a month; returns the new differences.

    The month's energy is frozen once the month is over; repeating the match records nothing twice. Without
    `circumstances` those of the last match hold. The month before is judged again where an energy of it is
    open, because this month's bill may tell what was behind it.
    """
    new = _match(database, series, actor, (month, now), circumstances)
    before = str(Period.parse(month).previous())
    with database.reading() as session:
        doubtful = discrepancies(session, actor, month=before, open_only=True)
    again = frozenset(one.station_id for one in doubtful if one.unit == "Wh")
    if again:
        new += _match(database, series, actor, (before, now), None, again)
    return new


def _match(  # noqa: PLR0913, PLR0917, a month as it is given to `match_month`
    database: Database,
    series: SeriesStore | None,
    actor: Actor,
    when: tuple[str, datetime],
    circumstances: Circumstances | None,
    only: frozenset[str] | None = None,
) -> tuple[str, ...]:
    """Match every station of the area, or only those named."""
    month, now = when
    period = Period.parse(month)
    with database.reading() as session:
        gathered = _gather(session, actor, (period, now), only)
        wrong = _wrong_clocks(session, actor, month) if circumstances is None else circumstances.wrong_clocks
    measured, metered = measured_month(database, series, gathered.plant, period, now)
    curtailed = gathered.curtailed
    if circumstances is not None and series is not None:
        curtailed = energy_within(series, gathered.plant, circumstances.orders)
    found = [
        _evidence(gathered, place, (month, now), (measured, {**gathered.by_hand, **metered}), curtailed)
        for place in gathered.stations
    ]
    found = [replace(one, clock_is_wrong=one.station_id in wrong) for one in found]
    judged = [(one, judge(one)) for one in found]
    if series is not None:
        judged = _with_days(series, gathered.plant, judged, period)
    complete = [
        (one, _with_checks(verdict, gathered.checks.get(one.station_id, ()))) for one, verdict in judged
    ]
    with database.transaction() as session:
        return write_results(session, actor, complete, gathered.owner, now)


def _wrong_clocks(session: Session, actor: Actor, month: str) -> frozenset[str]:
    """Return the stations whose clock the last match of a month found to be behind a difference."""
    found = discrepancies(session, actor, month=month)
    return frozenset(one.station_id for one in found if one.cause_name == CAUSE_LABELS[Cause.CLOCK])


def _gather(
    session: Session, actor: Actor, when: tuple[Period, datetime], only: frozenset[str] | None
) -> _Gathered:
    actor.require(Permission.VIEW_MONEY)
    period, now = when
    month = str(period)
    places = tuple(one for one in stations(session, actor) if only is None or one.id in only)
    ids = [one.id for one in places]
    chosen = set(ids)
    meters = [one for one in revenue_meters(session, actor) if one.station_id in chosen]
    bills = {one.station_id: one for one in settlements(session, actor, month=month, station_ids=only)}
    book = ValueBook(session)
    shares = agreed_losses(session, ids, month)
    multipliers = {one.station_id: one.meter_multiplier for one in meters if one.removed_on is None}
    last = newest_results(session, ids, month)
    days = book.on("exception_days", local_date(now), place_of(places[0])) if places else None
    return _Gathered(
        places,
        Plant.of((one for one in devices(session, actor) if one.station_id in chosen), meters, period),
        bills,
        _received(session, month),
        {one.id: learnt(shares.get(one.id, ()), _default_loss(book, one, period)) for one in places},
        {one.id: _tolerances(book, one, period) for one in places},
        _by_hand(session, actor, month),
        multipliers,
        {station_id: row.curtailed_wh for station_id, row in last.items()},
        _checked(
            session,
            FactBook(book, meters, readings(session, actor)),
            [one for one in places if one.id in bills],
            bills,
        ),
        Owner(DEFAULT_OWNER, local_date(now) + timedelta(days=0 if days is None else int(days.value))),
        _off(session, ids, str(period.previous())),
        _off(session, ids, str(period.next())),
    )


def _off(session: Session, ids: Sequence[str], month: str) -> dict[str, int]:
    """Return what the bills of a month have more than its inverters lead to expect [Wh], by station."""
    return {
        station_id: row.billed_wh - row.inverter_wh * (PPM - row.loss_ppm) // PPM
        for station_id, row in newest_results(session, ids, month).items()
        if row.billed_wh is not None and row.inverter_wh is not None
    }


def _received(session: Session, month: str) -> dict[tuple[str, str], int]:
    """Return what arrived or was booked off [fen] of a month, by station and component; unscoped."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    received = (ReceiptRow.station_id, ReceiptRow.component)
    arrived = select(*received, func.sum(ReceiptRow.amount_fen)).where(ReceiptRow.month == month)
    booked = (BankDifferenceRow.station_id, BankDifferenceRow.component)
    short = select(*booked, func.sum(BankDifferenceRow.amount_fen)).where(
        BankDifferenceRow.month == month, BankDifferenceRow.kind == "shortfall"
    )
    for statement in (arrived.group_by(*received), short.group_by(*booked)):
        for station_id, component, amount in session.execute(statement):
            found[station_id, component] += int(amount or 0)
    return found


def _default_loss(book: ValueBook, place: Station, period: Period) -> Fraction:
    found = book.on("line_loss_default", period.start, place_of(place))
    return Fraction(0) if found is None else Fraction(found.value)


def _tolerances(book: ValueBook, place: Station, period: Period) -> Tolerances:
    share, floor, amount, due = (
        book.on(name, period.start, place_of(place))
        for name in (
            "match_energy_tolerance",
            "match_energy_floor",
            "match_amount_tolerance",
            "receipt_due_days",
        )
    )
    return Tolerances(
        Fraction(0) if share is None else Fraction(share.value),
        0 if floor is None else int(floor.value * 1_000),
        0 if amount is None else int(amount.value * 100),
        period.end + timedelta(days=0 if due is None else int(due.value)),
    )


def _by_hand(session: Session, actor: Actor, month: str) -> dict[str, Metered]:
    """Return what people read off the meters of a month, by station."""
    sums: dict[str, tuple[int, int]] = {}
    for one in metered_energy(session, actor, month):
        energy, off = sums.get(one.station_id, (0, 0))
        sums[one.station_id] = (energy + one.energy_wh, max(off, one.days_off))
    return {station: Metered(energy, _HAND_READ, off == 0) for station, (energy, off) in sums.items()}


def _checked(
    session: Session, facts: FactBook, places: Sequence[Station], bills: Mapping[str, Settlement]
) -> dict[str, tuple[Difference, ...]]:
    """Return what the checks that only warn find in the bills of a month, by station."""
    found: dict[str, tuple[Difference, ...]] = {}
    for start in range(0, len(places), _STATIONS_AT_ONCE):
        some = places[start : start + _STATIONS_AT_ONCE]
        month = bills[some[0].id].month
        before = str(Period.parse(month).previous())
        present: dict[tuple[str, str], Present] = present_bills(session, [one.id for one in some], [before])
        readings = last_readings(session, present)
        for place in some:
            rows = _rows(bills[place.id])
            known = facts.of(place, month, rows, readings.get((place.id, before), _NO_READINGS))
            warned = [one for one in check_warnings(rows, known) if not one.blocks]
            if warned:
                found[place.id] = tuple(_check_difference(place, month, one) for one in warned)
    return found


def _rows(bill: Settlement) -> list[StatementRow]:
    heading = Heading(0, {})
    return [
        StatementRow(bill.month, line, number, Places(bill.source, heading, number), detail)
        for number, (line, detail) in enumerate(zip(bill.lines, bill.details, strict=True), start=1)
    ]


def _check_difference(place: Station, month: str, found: Finding) -> Difference:
    kind, label = f"{_CHECK_KIND}{found.check.value}", CHECKS[found.check].label
    cause = f"{label}：{found.problem.how_to_fix}"
    return Difference(place.id, month, kind, 0, 0, found.problem.what, cause, Cause.BILL, "")


def _evidence(
    gathered: _Gathered,
    place: Station,
    when: tuple[str, datetime],
    energies: tuple[Mapping[str, Measured], Mapping[str, Metered]],
    curtailed: Mapping[str, int],
) -> Evidence:
    month, now = when
    bill = gathered.bills.get(place.id)
    electricity, *subsidies = (gathered.money.get((place.id, one), 0) for one in _COMPONENTS)
    return Evidence(
        place.id,
        month,
        local_date(now),
        energies[0].get(place.id, Measured()),
        gathered.losses[place.id],
        gathered.tolerances[place.id],
        bill,
        energies[1].get(place.id),
        Money(
            0 if bill is None else bill.electricity_fen,
            electricity,
            0 if bill is None else bill.subsidy_fen + bill.local_subsidy_fen,
            sum(subsidies),
        ),
        multiplier=gathered.multipliers.get(place.id, 1),
        is_self_use=place.on_grid_mode == "surplus",
        curtailed_wh=curtailed.get(place.id, 0),
        off_before_wh=gathered.off_before.get(place.id),
        off_after_wh=gathered.off_after.get(place.id),
    )


def _with_days(
    series: SeriesStore, plant: Plant, judged: list[tuple[Evidence, Verdict]], period: Period
) -> list[tuple[Evidence, Verdict]]:
    """Judge those with an energy difference again, now with the inverters' energy day by day."""
    asked = {
        one.station_id
        for one, verdict in judged
        if any(difference.unit == "Wh" for difference in verdict.differences)
    }
    if not asked:
        return judged
    days = days_around(series, plant, asked, period)
    found = []
    for one, verdict in judged:
        if one.station_id in asked:
            more = replace(one, by_day=days.get(one.station_id, {}))
            found.append((more, judge(more)))
        else:
            found.append((one, verdict))
    return found


def _with_checks(verdict: Verdict, warned: tuple[Difference, ...]) -> Verdict:
    if not warned or verdict.state == WAITING:
        return verdict
    return Verdict(EXCEPTED, (*verdict.differences, *warned))


def resolve(
    session: Session, actor: Actor, discrepancy_id: str, resolution: Resolution, now: datetime
) -> bool:
    """Resolve a difference; an entry that it names, as `村代码:凭证号`, must be in the books.

    Raises LookupError for a difference or an entry that is not the actor's, ValueError without a reason.
    """
    if resolution.journal:
        book, _, number = resolution.journal.partition(":")
        if not number.isdecimal() or journal(session, actor, book, int(number)) is None:
            raise LookupError(f"账上没有凭证“{resolution.journal}”")
    return resolve_discrepancy(session, actor, discrepancy_id, resolution, now)
