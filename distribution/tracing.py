"""From a figure back to its sources: the line, its rule, its entry, the receipts, the bills, the meter.

Owns the way from one yuan to the meter reading, and the sub-ledger of a book in words. It reads only.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from distribution.approval.runs import allocation_of
from distribution.approval.runs import run as find_run
from distribution.bookings import COMPONENT_NAMES
from distribution.ledger.accounts import account_name
from distribution.ledger.journal import Journal, journal, journals
from distribution.plans.explanation import render_explanation, render_short
from distribution.settlement.reads import Receipt, receipts, settlements
from distribution.types import Component
from registry.actors import Actor, Permission
from registry.stations import station


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
        TraceStep("rule", step.label, f"{render_explanation(step)}。依据：{step.clause}", "", step.amount_fen)
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
            is_subsidy = receipt.component is Component.SUBSIDY
            price = line.subsidy_price if is_subsidy else line.electricity_price
            fee = line.subsidy_fen if is_subsidy else line.electricity_fen
            energy = f"{line.exported_energy_wh // 1000} 千瓦时 × {price} 元"
            steps.append(
                TraceStep("settlement", f"{bill.month} 结算单第 {bill.revision} 版", energy, bill.id, fee)
            )
            reading = (
                f"电表 {line.meter_number}：（{line.current_reading} − {line.previous_reading}）"
                f"× 倍率 {line.meter_multiplier} = {line.exported_energy_wh // 1000} 千瓦时"
            )
            steps.append(TraceStep("reading", "电表示数", reading, bill.source))
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
