"""The frozen input of a run, gathered from settlement, registry and ledger.

Owns the one place where records of other rooms become a `PlanInput`, and the list of the records that
were used, with their hashes. It computes nothing.
"""

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.approval.runs import RunInput, sources_of, used_sources
from distribution.approval.tables import RunRow
from distribution.ledger.balances import balances
from distribution.settlement.reads import billed_energy, costs, outstanding, receipts
from distribution.types import (
    ClassInput,
    CostItem,
    EnrolmentInput,
    HouseholdInput,
    IncomePart,
    PlanInput,
    PostInput,
    PurseBalance,
    StationInput,
    StationShare,
    YearToDate,
)
from registry.actors import Actor
from registry.enrolment import RosterEntry, roster
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

    Income is what has arrived until now for this or an earlier month and no other run has counted;
    `own_run` is the run whose own receipts count as free (its recomputation), or empty.
    """
    village, month = place
    own = _own_sources(session, own_run)
    income = _income(session, actor, place, own, local_date(now))
    spent = _costs(session, actor, place, own)
    period = Period.parse(month)
    entries = roster(session, actor, village, period)
    inputs = PlanInput(
        village_code=village,
        period=month,
        income=income,
        receivables=outstanding(session, actor, village, month),
        costs=spent,
        stations=_stations(session, actor, place),
        households=tuple(_household(entry) for entry in entries),
        posts=tuple(one for entry in entries for one in _posts(entry)),
        opening=_opening(session, actor, village),
        year_to_date=_year_to_date(session, place, own_run),
        received_until=max((part.received_on for part in income), default=None),
    )
    return Gathered(inputs, _sources(inputs, entries))


def _own_sources(session: Session, own_run: str) -> frozenset[tuple[str, str]]:
    if not own_run:
        return frozenset()
    return frozenset((one.source_table, one.source_id) for one in sources_of(session, own_run))


def _income(
    session: Session,
    actor: Actor,
    place: tuple[str, str],
    own: frozenset[tuple[str, str]],
    today: date,
) -> tuple[IncomePart, ...]:
    village, month = place
    used = used_sources(session, village, "receipt")
    return tuple(
        IncomePart(one.component, part, one.received_on, one.id, one.station_id)
        for one in receipts(session, actor, village_code=village)
        for owner, part in one.shares
        if owner == village
        and one.month <= month
        and one.received_on <= today
        and (one.id not in used or ("receipt", one.id) in own)
    )


def _costs(
    session: Session, actor: Actor, place: tuple[str, str], own: frozenset[tuple[str, str]]
) -> tuple[CostItem, ...]:
    village, month = place
    used = used_sources(session, village, "cost")
    return tuple(
        CostItem(one.kind, one.amount_fen, one.id)
        for one in costs(session, actor, village_code=village, until=month)
        if one.id not in used or ("cost", one.id) in own
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


def _year_to_date(session: Session, place: tuple[str, str], own_run: str) -> tuple[YearToDate, ...]:
    """Add up what the booked runs of the year before this month gave, by plan name and household."""
    village, month = place
    statement = select(RunRow.content).where(
        RunRow.book == village,
        RunRow.period >= f"{month[:4]}-01",
        RunRow.period < month,
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
