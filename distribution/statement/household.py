"""A household's sheet of a month or a year: what it was given, by which rule, and whether it was paid."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from distribution.approval.runs import Run, allocation_of, lines_of_payee, runs
from distribution.closing.corrections import KIND_NAMES
from distribution.closing.runs import OVERPAID, REGULAR
from distribution.ledger.balances import Balance, balances
from distribution.ledger.journal import Journal, journals
from distribution.money import uppercase
from distribution.payout.payouts import Payout, PayoutFilter, payouts
from distribution.plans.explanation import render_explanation
from distribution.statement.entries import NETTING, Books, entry_ids, line_amounts
from distribution.statement.records import (
    HouseholdLine,
    HouseholdStatement,
)
from distribution.types import Allocation
from registry.actors import Actor, Permission
from registry.divisions import division_name
from registry.households import Household, household, households
from store.periods import Period


def household_statement(
    session: Session, actor: Actor, household_id: str, period: str
) -> HouseholdStatement | None:
    """Return a household's sheet for `2026` or `2026-10`; None outside the actor's area."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    person = household(session, actor, household_id)
    if person is None:
        return None
    paid = payouts(session, actor, PayoutFilter(household_id=household_id))
    owed = balances(session, actor, book=person.village_code, accounts=(OVERPAID,), holders=(household_id,))
    return _sheet(_Village(session, actor, person.village_code), person, period, (paid, owed))


def household_statements(
    session: Session, actor: Actor, village_code: str, period: str
) -> tuple[HouseholdStatement, ...]:
    """Return the sheets of every household of a village for `2026` or `2026-10`, in their order.

    Runs, payouts and balances are read once for all. Empty outside the actor's area.
    """
    actor.require(Permission.VIEW_HOUSEHOLDS)
    village = _Village(session, actor, village_code)
    paid: dict[str, list[Payout]] = defaultdict(list)
    for one in payouts(session, actor, PayoutFilter(book=village_code)):
        paid[one.household_id].append(one)
    owed: dict[str, list[Balance]] = defaultdict(list)
    for held in balances(session, actor, book=village_code, accounts=(OVERPAID,)):
        owed[held.holder].append(held)
    return tuple(
        _sheet(village, person, period, (paid[person.id], owed[person.id]))
        for person in households(session, actor, village_code)
    )


class _Village:
    """A village's runs with what they decided and what the ledger gave, each read once."""

    def __init__(self, session: Session, actor: Actor, village_code: str) -> None:
        self._session, self._actor = session, actor
        self.name = division_name(session, village_code)
        self.runs = runs(session, actor, book=village_code)
        self._results: dict[str, Allocation] = {}
        self._entries: dict[str, tuple[Journal, ...]] = {}
        self._amounts: dict[str, Mapping[int, int]] = {}

    def lines_of(self, household_id: str) -> dict[str, list[int]]:
        """Return the numbers of a household's lines by run."""
        found: dict[str, list[int]] = defaultdict(list)
        for run_id, line_no in lines_of_payee(self._session, self._actor, household_id):
            found[run_id].append(line_no)
        return found

    def result(self, run_id: str) -> Allocation:
        """Return what a run decided."""
        if run_id not in self._results:
            self._results[run_id] = allocation_of(self._session, self._actor, run_id)
        return self._results[run_id]

    def entries(self, run: Run) -> tuple[Journal, ...]:
        """Return the entries of a run, without what it kept back."""
        if run.id not in self._entries:
            found = journals(self._session, self._actor, book=run.book, sources=(run.id,))
            self._entries[run.id] = tuple(one for one in found if one.kind != NETTING)
        return self._entries[run.id]

    def amounts(self, run: Run) -> Mapping[int, int]:
        """Return what the ledger gave to each line of a run [fen]."""
        if run.id not in self._amounts:
            self._amounts[run.id] = line_amounts(Books(self.entries(run)))
        return self._amounts[run.id]


def _sheet(
    village: _Village,
    person: Household,
    period: str,
    money: tuple[Sequence[Payout], Sequence[Balance]],
) -> HouseholdStatement:
    span = Period.parse(period)
    numbers = village.lines_of(person.id)
    paid = {one.run_id: one for one in money[0]}
    lines: list[HouseholdLine] = []
    for one in village.runs:
        if one.id in numbers and span.contains(Period.parse(one.period).start):
            lines += _household_lines(village, (one, numbers[one.id]), paid.get(one.id))
    booked = [line.amount_fen for line in lines if line.is_booked]
    total, overpaid = sum(booked), -sum(amount for amount in booked if amount < 0)
    netted = sum(_netted(village.result(run_id), person.id) for run_id in _booked_runs(lines))
    settled = sum(
        one.amount_fen
        for one in paid.values()
        if one.state == "succeeded" and span.contains(Period.parse(one.period).start)
    )
    return HouseholdStatement(
        household=person,
        village_name=village.name,
        period=period,
        period_label=span.label,
        lines=tuple(lines),
        total_fen=total,
        total_uppercase=uppercase(total),
        paid_fen=settled,
        owed_fen=total + overpaid - netted - settled,
        pending_fen=sum(line.amount_fen for line in lines if not line.is_booked),
        overpaid_fen=overpaid,
        netted_fen=netted,
        recoverable_fen=sum(one.amount_fen for one in money[1]),
    )


def _booked_runs(lines: Sequence[HouseholdLine]) -> list[str]:
    return sorted({line.run_id for line in lines if line.is_booked})


def _netted(result: Allocation, household_id: str) -> int:
    """Return what a run kept back from a household [fen]."""
    return sum(one.amount_fen for one in result.nettings if one.household_id == household_id)


def _household_lines(
    village: _Village, which: tuple[Run, list[int]], payout: Payout | None
) -> list[HouseholdLine]:
    run, numbers = which
    result, entries = village.result(run.id), village.entries(run)
    booked = village.amounts(run)
    labels = {purse.purse: purse.label for purse in result.purses}
    kind = "" if run.kind == REGULAR else f"（{KIND_NAMES[run.kind]}）"
    return [
        HouseholdLine(
            period=run.period,
            run_id=run.id,
            line_no=line.line_no,
            item=labels[line.purse] + kind,
            amount_fen=booked[line.line_no] if entries else line.amount_fen,
            steps=tuple(render_explanation(step) for step in line.explanation),
            clause=line.explanation[-1].clause if line.explanation else "",
            entries=entry_ids(entries),
            is_booked=bool(entries),
            payout_state="" if payout is None else payout.state_name,
            payout_reason="" if payout is None else payout.reason,
        )
        for line in result.lines
        if line.line_no in numbers and line.amount_fen
    ]
