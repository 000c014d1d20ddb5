"""From a figure back to its sources, and from a meter reading on to everybody who was paid of it.

Owns the way from one yuan to the meter reading (line, rule, entry, receipts, bills, readings), the same
way in the other direction, and the sub-ledger of a book in words. It reads only.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.approval.runs import Run, allocation_of
from distribution.approval.runs import run as find_run
from distribution.approval.states import ENDED
from distribution.approval.tables import RunInputRow
from distribution.bookings import COMPONENT_NAMES
from distribution.ledger.accounts import account_name
from distribution.ledger.journal import Journal, journal, journals
from distribution.money import yuan
from distribution.payout.payouts import PayoutFilter, payouts
from distribution.plans.explanation import render_explanation, render_short
from distribution.settlement.reads import Receipt, receipts, settlements
from distribution.types import Component, Settlement, SettlementLine
from registry.actors import Actor, Permission
from registry.divisions import division_name
from registry.stations import station

_RECORD = re.compile(r"cost:[0-9a-f]{8,}")


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One step on the way from a yuan to the meter: what it is, in Chinese, and the record's name."""

    kind: str
    title: str
    text: str
    reference: str = ""
    amount_fen: int | None = None


def trace_line(session: Session, actor: Actor, run_id: str, line_no: int) -> tuple[TraceStep, ...]:
    """Return the way from one line of a run back to the meter: rule, entry, receipts, bills, readings.

    Empty when the run lies outside the actor's area or has no such line.
    """
    actor.require(Permission.VIEW_MONEY)
    run = find_run(session, actor, run_id)
    if run is None:
        return ()
    result = allocation_of(session, actor, run_id)
    line = next((one for one in result.lines if one.line_no == line_no), None)
    if line is None:
        return ()
    label = next(purse.label for purse in result.purses if purse.purse == line.purse)
    steps = [TraceStep("line", f"{label}第 {line_no} 行", render_short(line), run_id, line.amount_fen)]
    steps += [
        TraceStep("rule", step.label, _RECORD.sub("费用凭证", render_explanation(step)), "", step.amount_fen)
        for step in line.explanation
    ]
    for entry in journals(session, actor, book=run.book, sources=(run_id,)):
        steps.append(TraceStep("entry", f"记账凭证第 {entry.seq} 号", entry.text, entry.id))
    ids = [part.source for part in result.income]
    for receipt in receipts(session, actor, ids=ids or ["-"]):
        steps += _receipt_steps(session, actor, receipt, run.book)
    return tuple(steps)


def _receipt_steps(session: Session, actor: Actor, receipt: Receipt, village: str) -> list[TraceStep]:
    place = station(session, actor, receipt.station_id)
    name = receipt.station_id if place is None else place.name
    part = dict(receipt.shares).get(village, 0)
    steps = [
        TraceStep(
            "receipt",
            f"{name} {COMPONENT_NAMES[receipt.component]}到账",
            f"{receipt.received_on} 流水号 {receipt.bank_reference}（{receipt.source}）",
            receipt.id,
            part,
        )
    ]
    for bill in settlements(session, actor, month=receipt.month, station_id=receipt.station_id):
        for line in bill.lines:
            reading, _billed = _reading_steps(bill, line)
            is_subsidy = receipt.component is Component.SUBSIDY
            price = line.subsidy_price if is_subsidy else line.electricity_price
            fee = line.subsidy_fen if is_subsidy else line.electricity_fen
            energy = f"{line.exported_energy_wh // 1000} 千瓦时 × {price} 元"
            steps.append(
                TraceStep("settlement", f"{bill.month} 结算单第 {bill.revision} 版", energy, bill.id, fee)
            )
            steps.append(reading)
    return steps


def settlement_of(session: Session, actor: Actor, settlement_id: str) -> Settlement | None:
    """Return a bill by its id, or None; a revised one is shown as it counts now."""
    _, _, rest = settlement_id.partition(":")
    station_id, _, month = rest.rpartition(":")[0].rpartition(":")
    found = settlements(session, actor, month=month, station_id=station_id) if station_id and month else ()
    return next(iter(found), None)


def runs_of_source(session: Session, actor: Actor, source_id: str) -> tuple[Run, ...]:
    """Return the live runs of the actor's area that distribute a record, by period and village."""
    actor.require(Permission.VIEW_MONEY)
    ids = select(RunInputRow.run_id).where(RunInputRow.source_id == source_id).distinct()
    found = (find_run(session, actor, run_id) for run_id in session.scalars(ids).all())
    live = [one for one in found if one is not None and one.state not in ENDED]
    return tuple(sorted(live, key=lambda one: (one.period, one.book, one.kind, one.version)))


def trace_settlement(session: Session, actor: Actor, settlement_id: str) -> tuple[TraceStep, ...]:
    """Return the way from a bill's meter readings on: entries, receipts, runs, lines and their payments.

    `settlement_id` is `settlement:station:month:revision`. Only villages of the actor's area are followed;
    empty when the bill lies outside it.
    """
    bill = settlement_of(session, actor, settlement_id)
    if bill is None:
        return ()
    steps = [step for line in bill.lines for step in _reading_steps(bill, line)]
    steps += _entry_steps(session, actor, bill.id)
    for receipt in receipts(session, actor, station_id=bill.station_id, month=bill.month):
        what = f"{COMPONENT_NAMES[receipt.component]}到账"
        text = f"{receipt.received_on} 流水号 {receipt.bank_reference}（{receipt.source}）"
        steps.append(TraceStep("receipt", what, text, receipt.id, receipt.amount_fen))
        steps += _entry_steps(session, actor, receipt.id)
        for run in runs_of_source(session, actor, receipt.id):
            steps += _run_steps(session, actor, run, receipt.id)
    return tuple(steps)


def _reading_steps(bill: Settlement, line: SettlementLine) -> tuple[TraceStep, ...]:
    energy = line.exported_energy_wh // 1000
    reading = (
        f"电表 {line.meter_number}：（{line.current_reading} − {line.previous_reading}）"
        f"× 倍率 {line.meter_multiplier} = {energy} 千瓦时"
    )
    money = f"{energy} 千瓦时 × {line.electricity_price} 元，补贴 {yuan(line.subsidy_fen)} 元"
    title = f"{bill.month} 结算单第 {bill.revision} 版"
    return (
        TraceStep("reading", "电表示数", reading, bill.source),
        TraceStep("settlement", title, money, bill.id, line.electricity_fen),
    )


def _entry_steps(session: Session, actor: Actor, source: str) -> list[TraceStep]:
    return [
        TraceStep("entry", f"记账凭证第 {entry.seq} 号", f"{entry.book} {entry.text}", entry.id)
        for entry in journals(session, actor, sources=(source,))
    ]


def _run_steps(session: Session, actor: Actor, run: Run, receipt_id: str) -> list[TraceStep]:
    """Return a run with the part of the receipt that it distributes, and each line with its payment."""
    result = allocation_of(session, actor, run.id)
    part = sum(one.amount_fen for one in result.income if one.source == receipt_id)
    title = f"{division_name(session, run.book)} {run.period} 分配第 {run.version} 版"
    steps = [TraceStep("run", title, run.state_name, run.id, part)]
    labels = {purse.purse: purse.label for purse in result.purses}
    paid = {one.household_id: one for one in payouts(session, actor, PayoutFilter(run_id=run.id))}
    for line in result.lines:
        if line.amount_fen:
            payout = paid.get(line.payee_id)
            words = render_short(line) if payout is None else f"{render_short(line)}。{payout.state_name}"
            title = f"{labels[line.purse]}第 {line.line_no} 行"
            steps.append(TraceStep("line", title, words, f"{run.id}/{line.line_no}", line.amount_fen))
    return steps


def entry_of(session: Session, actor: Actor, entry_id: str) -> Journal | None:
    """Return the journal entry behind a figure by its name `book/seq`, or None."""
    book, _, number = entry_id.partition("/")
    return journal(session, actor, book, int(number)) if number.isdigit() else None


@dataclass(frozen=True, slots=True)
class BookLine:
    """One posting of a book for a sub-ledger page: entry, day, text, account name, amount [fen]."""

    entry: str
    business_date: date
    recorded_at: datetime
    text: str
    account: str
    holder: str
    amount_fen: int
    is_correction: bool


def village_book(session: Session, actor: Actor, village_code: str, month: str = "") -> tuple[BookLine, ...]:
    """Return a village's sub-ledger: every posting of its book in order, or of one accounting month."""
    return tuple(
        BookLine(
            entry.id,
            entry.business_date,
            entry.recorded_at,
            entry.text,
            account_name(leg.account),
            leg.holder,
            leg.amount_fen,
            entry.reverses is not None,
        )
        for entry in journals(session, actor, book=village_code, period=month)
        for leg in entry.postings
    )
