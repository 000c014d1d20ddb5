"""A household's sheet of a month or a year: what it was given, by which rule, and whether it was paid."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy.orm import Session

from distribution.approval.runs import Run, allocation_of, lines_of_payee, runs
from distribution.closing.corrections import KIND_NAMES
from distribution.closing.runs import OVERPAID, REGULAR
from distribution.ledger.balances import balances
from distribution.ledger.journal import journals
from distribution.money import uppercase
from distribution.payout.payouts import Payout, PayoutFilter, payouts
from distribution.plans.explanation import render_explanation
from distribution.statement.entries import NETTING, Books, entry_ids, line_amounts
from distribution.statement.records import (
    HouseholdLine,
    HouseholdStatement,
)
from registry.actors import Actor, Permission
from registry.divisions import division_name
from registry.households import household
from store.periods import Period


def household_statement(
    session: Session, actor: Actor, household_id: str, period: str
) -> HouseholdStatement | None:
    """Return a household's sheet for `2026` or `2026-10`; None outside the actor's area."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    person = household(session, actor, household_id)
    if person is None:
        return None
    span = Period.parse(period)
    found: dict[str, list[int]] = defaultdict(list)
    for run_id, line_no in lines_of_payee(session, actor, household_id):
        found[run_id].append(line_no)
    paid = {one.run_id: one for one in payouts(session, actor, PayoutFilter(household_id=household_id))}
    lines: list[HouseholdLine] = []
    for one in runs(session, actor, book=person.village_code):
        if one.id in found and span.contains(Period.parse(one.period).start):
            lines += _household_lines(session, actor, (one, found[one.id]), paid.get(one.id))
    booked = [line.amount_fen for line in lines if line.is_booked]
    total, overpaid = sum(booked), -sum(amount for amount in booked if amount < 0)
    netted = sum(_netted(session, actor, run_id, household_id) for run_id in _booked_runs(lines))
    settled = sum(
        one.amount_fen
        for one in paid.values()
        if one.state == "succeeded" and span.contains(Period.parse(one.period).start)
    )
    return HouseholdStatement(
        household=person,
        village_name=division_name(session, person.village_code),
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
        recoverable_fen=sum(
            one.amount_fen
            for one in balances(
                session, actor, book=person.village_code, accounts=(OVERPAID,), holders=(household_id,)
            )
        ),
    )


def _booked_runs(lines: Sequence[HouseholdLine]) -> list[str]:
    return sorted({line.run_id for line in lines if line.is_booked})


def _netted(session: Session, actor: Actor, run_id: str, household_id: str) -> int:
    """Return what a run kept back from a household [fen]."""
    nettings = allocation_of(session, actor, run_id).nettings
    return sum(one.amount_fen for one in nettings if one.household_id == household_id)


def _household_lines(
    session: Session, actor: Actor, which: tuple[Run, list[int]], payout: Payout | None
) -> list[HouseholdLine]:
    run, numbers = which
    result = allocation_of(session, actor, run.id)
    entries = journals(session, actor, book=run.book, sources=(run.id,))
    entries = tuple(one for one in entries if one.kind != NETTING)
    booked = line_amounts(Books(entries))
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
