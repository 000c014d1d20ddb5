"""The frozen input of a run, gathered from settlement, registry and ledger.

Owns the one place where records of other rooms become a `PlanInput`, for a month's first run, for late money
of a month (top-up) and for a month anew (correction), and the list of the records that were used, with their
hashes. It computes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.approval.nettings import spoken_for
from distribution.approval.runs import Run, RunInput, sources_of, used_sources
from distribution.approval.states import BOOKED
from distribution.approval.tables import RunRow
from distribution.ledger.balances import balances
from distribution.ledger.journal import by_key, reversal_of
from distribution.settlement.reads import (
    Cost,
    Receipt,
    billed_energy,
    costs,
    outstanding,
    receipts,
    uncorrected,
)
from distribution.types import (
    ClassInput,
    CostItem,
    EnrolmentInput,
    HouseholdInput,
    IncomePart,
    PlanInput,
    PostInput,
    PurseBalance,
    Recoverable,
    StationInput,
    StationShare,
    YearToDate,
)
from registry.actors import Actor
from registry.enrolment import RosterEntry, roster
from registry.parameters import Place, value_on
from registry.stations import shares, station, village_shares
from store.canonical import content_hash
from store.periods import Period, local_date


@dataclass(frozen=True, slots=True)
class Gathered:
    """A plan's input, and the records that it was gathered from."""

    inputs: PlanInput
    sources: tuple[RunInput, ...]


def gather(session: Session, actor: Actor, place: tuple[str, str], own_run: str, now: datetime) -> Gathered:
    """Return the input of a village's month, given as (village code, `2026-10`).

    Income is what has arrived until now for this or an earlier month and no other run has counted; where the
    county pays late money by top-ups, an earlier month only counts that was not distributed. `own_run` is the
    run whose own receipts count as free (its recomputation), or empty.
    """
    village, month = place
    own = _own_sources(session, own_run)
    today = local_date(now)
    apart = _distributed(session, village) if pays_late_money_apart(session, village, today) else frozenset()
    income = _income(_free_receipts(session, actor, place, own, today), village, apart - {month})
    entries = roster(session, actor, village, Period.parse(month))
    inputs = replace(
        _people(session, actor, place, entries),
        income=income,
        costs=_costs(session, actor, place, own),
        opening=_opening(session, actor, village),
        year_to_date=_year_to_date(session, place, own_run),
        received_until=_last(income),
        recoverables=_recoverables(session, actor, village, own_run),
    )
    return Gathered(inputs, _sources(inputs, entries))


def gather_top_up(
    session: Session, actor: Actor, place: tuple[str, str], own_run: str, now: datetime
) -> Gathered:
    """Return the input of late money of a village's month: its own plan days and roster, no costs, no purses.

    What was given to everybody in that month counts as earlier in the year.
    """
    village, month = place
    own = _own_sources(session, own_run)
    late = [one for one in _free_receipts(session, actor, place, own, local_date(now)) if one.month == month]
    income = _income(late, village, frozenset())
    entries = roster(session, actor, village, Period.parse(month))
    inputs = replace(
        _people(session, actor, place, entries),
        posts=(),
        income=income,
        year_to_date=_year_to_date(session, place, own_run, with_month=True),
        received_until=_last(income),
        recoverables=_recoverables(session, actor, village, own_run),
        top_up=True,
    )
    return Gathered(inputs, _sources(inputs, entries))


def gather_again(
    session: Session, actor: Actor, base: tuple[Run, PlanInput], corrections: Iterable[Run]
) -> Gathered:
    """Return the input of a booked run (given with what it froze) from the records as they are now.

    Its own receipts and costs, those of its `corrections`, and what replaces those that were taken back; the
    roster, posts and stations of its month, and the year before it; what it opened with stays.
    """
    run, frozen = base
    place = (run.book, run.period)
    own = _own_sources(session, run.id).union(*(_own_sources(session, one.id) for one in corrections))
    entries = roster(session, actor, run.book, Period.parse(run.period))
    people = _people(session, actor, place, entries)
    standing = _standing_receipts(session, actor, run, own)
    inputs = replace(
        frozen,
        income=_income(standing, run.book, frozenset()),
        costs=() if frozen.top_up else _standing_costs(session, actor, run, own),
        stations=people.stations,
        households=people.households,
        posts=() if frozen.top_up else people.posts,
        year_to_date=_year_to_date(session, place, run.id, with_month=frozen.top_up),
        received_until=frozen.received_until if standing else None,
    )
    return Gathered(inputs, _sources(inputs, entries))


def late_months(session: Session, actor: Actor, village: str, now: datetime) -> tuple[tuple[str, int], ...]:
    """Return the months of a village that were distributed and have money since [fen], for a top-up."""
    done = _distributed(session, village)
    used = used_sources(session, village, "receipt")
    every = receipts(session, actor, village_code=village)
    gone = _called_in(session, village, every, used)
    sums: dict[str, int] = {}
    for one in uncorrected(every):
        part = dict(one.shares).get(village, 0)
        if (
            part
            and _place_of(one) not in gone
            and one.month in done
            and one.id not in used
            and one.received_on <= local_date(now)
        ):
            sums[one.month] = sums.get(one.month, 0) + part
    return tuple(sorted(sums.items()))


def _people(
    session: Session, actor: Actor, place: tuple[str, str], entries: tuple[RosterEntry, ...]
) -> PlanInput:
    village, month = place
    return PlanInput(
        village_code=village,
        period=month,
        receivables=outstanding(session, actor, village, month),
        stations=_stations(session, actor, place),
        households=tuple(_household(entry) for entry in entries),
        posts=tuple(one for entry in entries for one in _posts(entry)),
    )


def _last(income: tuple[IncomePart, ...]) -> date | None:
    return max((part.received_on for part in income), default=None)


def pays_late_money_apart(session: Session, village: str, today: date) -> bool:
    """Tell whether late money of distributed months is paid by top-ups, not with later months."""
    return value_on("late_money_by_top_up", today, Place(village), session=session).value > 0


def _distributed(session: Session, village: str) -> frozenset[str]:
    """Return the months of a village whose first run is booked."""
    statement = select(RunRow.period).where(
        RunRow.book == village,
        RunRow.kind == "regular",
        RunRow.state.in_([state.value for state in BOOKED]),
    )
    return frozenset(session.scalars(statement))


def _recoverables(session: Session, actor: Actor, village: str, own_run: str) -> tuple[Recoverable, ...]:
    """Return what households still owe of earlier overpayments, less what other runs are to net."""
    sums: dict[str, int] = {}
    for one in balances(session, actor, book=village, accounts=("recoverable_household",)):
        sums[one.holder] = sums.get(one.holder, 0) + one.amount_fen
    for household, amount in spoken_for(session, village, but=own_run).items():
        sums[household] = sums.get(household, 0) - amount
    return tuple(Recoverable(household, amount) for household, amount in sorted(sums.items()) if amount > 0)


def _own_sources(session: Session, own_run: str) -> frozenset[tuple[str, str]]:
    if not own_run:
        return frozenset()
    return frozenset((one.source_table, one.source_id) for one in sources_of(session, own_run))


def _free_receipts(
    session: Session, actor: Actor, place: tuple[str, str], own: frozenset[tuple[str, str]], today: date
) -> list[Receipt]:
    """Return the receipts of a village until a month and a day that no other run counts."""
    village, month = place
    used = used_sources(session, village, "receipt")
    every = receipts(session, actor, village_code=village)
    gone = _called_in(session, village, every, used)
    return [
        one
        for one in uncorrected(every)
        if one.month <= month
        and _place_of(one) not in gone
        and one.received_on <= today
        and (one.id not in used or ("receipt", one.id) in own)
    ]


def _income(found: Iterable[Receipt], village: str, apart: frozenset[str]) -> tuple[IncomePart, ...]:
    return tuple(
        IncomePart(one.component, part, one.received_on, one.id, one.station_id)
        for one in found
        for owner, part in one.shares
        if owner == village and one.month not in apart
    )


def _costs(
    session: Session, actor: Actor, place: tuple[str, str], own: frozenset[tuple[str, str]]
) -> tuple[CostItem, ...]:
    village, month = place
    used = used_sources(session, village, "cost")
    return tuple(
        CostItem(one.kind, one.amount_fen, one.id)
        for one in uncorrected(costs(session, actor, village_code=village, until=month))
        if one.id not in used or ("cost", one.id) in own
    )


def _standing_receipts(
    session: Session, actor: Actor, run: Run, own: frozenset[tuple[str, str]]
) -> list[Receipt]:
    """Return a run's receipts that still stand, and what replaces those that were taken back."""
    every = receipts(session, actor, village_code=run.book)
    used = used_sources(session, run.book, "receipt")
    mine = frozenset(key for table, key in own if table == "receipt")
    gone = _called_in(session, run.book, every, mine)
    return [
        one for one in uncorrected(every) if one.id in mine or (one.id not in used and _place_of(one) in gone)
    ]


def _place_of(one: Receipt) -> tuple[str, str, str]:
    return one.station_id, one.component.value, one.month


def _called_in(
    session: Session, village: str, every: Iterable[Receipt], counted: frozenset[str]
) -> set[tuple[str, str, str]]:
    """Return for which (station, component, month) counted money was taken back and is not yet called in.

    What replaces it belongs to the correction that calls it in, not to another run.
    """
    gone = {one.corrects for one in every if one.corrects} & counted
    pending = set()
    for one in every:
        entry = by_key(session, f"{one.id}:{village}") if one.id in gone else None
        if entry is not None and reversal_of(session, entry) is None:
            pending.add(_place_of(one))
    return pending


def _standing_costs(
    session: Session, actor: Actor, run: Run, own: frozenset[tuple[str, str]]
) -> tuple[CostItem, ...]:
    """Return a run's costs that still stand, and what replaces those that were taken back."""
    every = costs(session, actor, village_code=run.book)
    stand: tuple[Cost, ...] = uncorrected(every)
    kept = {one.id for one in stand}
    gone = {(one.month, one.kind) for one in every if ("cost", one.id) in own and one.id not in kept}
    used = used_sources(session, run.book, "cost")
    return tuple(
        CostItem(one.kind, one.amount_fen, one.id)
        for one in stand
        if ("cost", one.id) in own or (one.id not in used and (one.month, one.kind) in gone)
    )


def _stations(session: Session, actor: Actor, place: tuple[str, str]) -> tuple[StationInput, ...]:
    village, month = place
    first = Period.parse(month).start
    mine = {one.station_id for one in village_shares(session, actor, village, first)}
    energy = billed_energy(session, mine, month)
    return tuple(
        StationInput(
            one.id,
            one.rated_power_w,
            tuple(
                StationShare(part.village_code, Fraction(part.weight))
                for part in shares(session, one.id, first)
            ),
            energy.get(one.id),
            one.subsidy_list_status,
        )
        for one in (station(session, actor, station_id) for station_id in sorted(mine))
        if one is not None
    )


def _household(entry: RosterEntry) -> HouseholdInput:
    return HouseholdInput(
        id=entry.household_id,
        village_code=entry.village_code,
        persons=entry.persons,
        classes=tuple(
            ClassInput(one.name, None, one.valid_from, one.valid_to, one.id) for one in entry.classes
        ),
        enrolments=tuple(
            EnrolmentInput(
                one.component,
                Fraction(1 if one.weight is None else one.weight),
                one.amount_fen,
                one.valid_from,
                one.valid_to,
                one.id,
            )
            for one in entry.enrolments
        ),
        valid_from=entry.registered_on,
        measures=entry.measures,
        valid_to=entry.entitled_until,
    )


def _posts(entry: RosterEntry) -> tuple[PostInput, ...]:
    return tuple(
        PostInput(
            id=one.id,
            household_id=entry.household_id,
            kind=one.kind,
            rate_fen=one.monthly_rate_fen,
            units=one.months_served,
            coefficient=one.coefficient,
            evidence="、".join(one.attendance_ids),
            village_code=entry.village_code,
        )
        for one in entry.posts
        if one.months_served
    )


def _opening(session: Session, actor: Actor, village: str) -> tuple[PurseBalance, ...]:
    sums: dict[str, int] = {}
    for one in balances(session, actor, book=village, accounts=("purse", "reserve")):
        sums[one.holder] = sums.get(one.holder, 0) - one.amount_fen
    return tuple(PurseBalance(name, amount) for name, amount in sorted(sums.items()) if amount > 0)


def _year_to_date(
    session: Session, place: tuple[str, str], own_run: str, *, with_month: bool = False
) -> tuple[YearToDate, ...]:
    """Add up what the booked runs of the year before this month gave, by plan name and household.

    `with_month` counts the month's own booked runs too, those before a top-up.
    """
    village, month = place
    before = RunRow.period <= month if with_month else RunRow.period < month
    statement = select(RunRow.content).where(
        RunRow.book == village,
        RunRow.period >= f"{month[:4]}-01",
        before,
        RunRow.id != own_run,
        RunRow.state.in_(("posted", "batched", "settled", "closed")),
    )
    sums: dict[tuple[str, str], int] = {}
    for text in session.scalars(statement.order_by(RunRow.period)):
        # Fen fit 64 bits; the exact fractions beside them may not, and are not read here.
        content = orjson.loads(text)
        for part in content["income"]:
            _add(sums, ("income", ""), part["amount_fen"])
            _add(sums, (part["component"], ""), part["amount_fen"])
        for one in content["deductions"]:
            _add(sums, (one["name"], ""), one["amount_fen"])
        for line in content["lines"]:
            if line["payee_kind"] != "purse":
                _add(sums, (line["purse"], ""), line["amount_fen"])
            if line["payee_kind"] in {"household", "person"}:
                _add(sums, (line["purse"], line["payee_id"]), line["amount_fen"])
    return tuple(
        YearToDate(name, amount, household) for (name, household), amount in sorted(sums.items()) if amount
    )


def _add(sums: dict[tuple[str, str], int], key: tuple[str, str], amount_fen: int) -> None:
    sums[key] = sums.get(key, 0) + amount_fen


def _sources(inputs: PlanInput, entries: tuple[RosterEntry, ...]) -> tuple[RunInput, ...]:
    found = {("receipt", part.source): content_hash(part) for part in inputs.income}
    found |= {("cost", one.source): content_hash(one) for one in inputs.costs}
    found |= {("receivable", one.source): "" for one in inputs.receivables}
    for entry in entries:
        for enrolment in entry.enrolments:
            found[("enrolment", enrolment.id)] = content_hash(enrolment)
    return tuple(RunInput(table, key, digest) for (table, key), digest in sorted(found.items()))
