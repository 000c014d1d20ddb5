"""A village's statement of a month: figures from the ledger, each with its way back.

Once a run is booked the amounts are read from the ledger alone, and the sum is proved against the run.
Nothing is written here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from distribution.approval.noticing.notices import notice_of, objections
from distribution.approval.runs import Run, allocation_of, events_of, live_run, runs
from distribution.approval.runs import run as find_run
from distribution.approval.states import BOOKED
from distribution.approval.voting.votes import votes_of
from distribution.bookings import COMPONENT_NAMES
from distribution.closing.corrections import KIND_NAMES
from distribution.closing.runs import OVERPAID, REGULAR
from distribution.ledger.balances import balances
from distribution.ledger.journal import head
from distribution.money import uppercase
from distribution.payout.payouts import Payout, PayoutFilter, payouts
from distribution.plans.explanation import render_short
from distribution.plans.tables import plan_version
from distribution.settlement.reads import billed_energy, outstanding, receipts
from distribution.statement.entries import Books, books_of, entry_ids, ledger_gap, line_amounts
from distribution.statement.records import (
    Figure,
    FurtherRun,
    StatementLine,
    VillageStatement,
)
from distribution.types import Allocation, AllocationLine, Component, PayeeKind
from registry.actors import Actor, Permission
from registry.divisions import division_name
from registry.households import Household, households
from registry.stations import village_shares
from store.periods import Period

_HOUSEHOLD_KINDS = frozenset({PayeeKind.HOUSEHOLD, PayeeKind.PERSON})
_KIND_NAMES = {
    PayeeKind.VILLAGE_COLLECTIVE: "村集体",
    PayeeKind.PURSE: "结转下期",
    PayeeKind.RESERVE: "储备金",
    PayeeKind.DIVISION: "上级统筹",
    PayeeKind.SUPPLIER: "供应商",
}


def village_statement(
    session: Session, actor: Actor, village_code: str, month: str, run_id: str = ""
) -> VillageStatement | None:
    """Return a village's statement of a month, of its counting run or of a given version.

    None when there is no run yet, or the village lies outside the actor's area.
    """
    actor.require(Permission.VIEW_MONEY)
    if not actor.covers(village_code):
        return None
    run = find_run(session, actor, run_id) if run_id else live_run(session, village_code, month)
    if run is None or run.book != village_code:
        return None
    result = allocation_of(session, actor, run.id)
    books = books_of(session, actor, run, result)
    lines = _lines(session, actor, run, result, books)
    income = _income(session, actor, result, books)
    deductions = _deductions(run, result, books)
    carried_in = _carried_in(result, books)
    posted_lines = sum(line.amount_fen for line in lines)
    received = sum(figure.amount_fen for figure in income)
    spent = sum(figure.amount_fen for figure in deductions)
    brought = 0 if carried_in is None else carried_in.amount_fen
    notice = notice_of(session, actor, run.id)
    plan = plan_version(session, run.plan_id, run.plan_version)
    return VillageStatement(
        village_code=village_code,
        village_name=division_name(session, village_code),
        period=month,
        period_label=Period.parse(month).label,
        run=run,
        is_booked=run.state in BOOKED,
        plan_title=plan.title,
        plan_source=plan.source,
        income=income,
        deductions=deductions,
        carried_in=carried_in,
        distributable=Figure("可分配", received - spent + brought, entry_ids(books.own), (run.id,)),
        purses=_purses(run, result, lines),
        lines=lines,
        total_fen=posted_lines,
        total_uppercase=uppercase(posted_lines),
        household_total_fen=sum(line.amount_fen for line in lines if line.household_id),
        difference_fen=received - spent + brought - posted_lines + ledger_gap(result, books),
        receivables=_receivables(session, actor, village_code, month),
        exported_energy_wh=_energy(session, actor, village_code, month),
        tests=tuple(test.text for test in result.tests),
        warnings=result.warnings,
        votes=votes_of(session, actor, run.id),
        notice=None if notice is None else notice[0],
        objections=objections(session, actor, run.id),
        made_by=events_of(session, actor, run.id)[0].by_name,
        head=head(session, village_code),
        further=() if run_id else _further(session, actor, village_code, month),
        recoverable_fen=sum(
            one.amount_fen for one in balances(session, actor, book=village_code, accounts=(OVERPAID,))
        ),
    )


def _further(session: Session, actor: Actor, village: str, month: str) -> tuple[FurtherRun, ...]:
    """The month's top-ups and corrections; what none of them gives to anybody is left out."""
    found = []
    for run in runs(session, actor, period=month, book=village):
        if run.kind != REGULAR:
            result = allocation_of(session, actor, run.id)
            books = books_of(session, actor, run, result)
            lines = _lines(session, actor, run, result, books)
            kind = KIND_NAMES[run.kind]
            found.append(FurtherRun(run, kind, run.state in BOOKED, lines, entry_ids(books.own)))
    return tuple(one for one in found if one.lines)


def _income(session: Session, actor: Actor, result: Allocation, books: Books) -> tuple[Figure, ...]:
    """Income by month and component, each the sum of its receipts' entries on the distributable account."""
    of_receipt = {
        one.id: one for one in receipts(session, actor, ids=[part.source for part in result.income] or ["-"])
    }
    groups: dict[tuple[str, Component], list[str]] = defaultdict(list)
    for part in result.income:
        receipt = of_receipt.get(part.source)
        groups[("" if receipt is None else receipt.month, part.component)].append(part.source)
    figures = []
    for (month, component), sources in sorted(groups.items()):
        entries = [entry for source in sources for entry in books.by_source.get(source, ())]
        amount = -sum(
            leg.amount_fen for entry in entries for leg in entry.postings if leg.account == "distributable"
        )
        label = f"{Period.parse(month).label if month else ''}{COMPONENT_NAMES[component]}到账"
        figures.append(Figure(label, amount, entry_ids(entries), tuple(sources)))
    return tuple(figures)


def _deductions(run: Run, result: Allocation, books: Books) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            one.label,
            one.amount_fen,
            entry_ids(books.own),
            (run.id,),
            one.clause,
            one.explanation[-1].formula if one.explanation else "",
        )
        for one in result.deductions
        if one.amount_fen
    )


def _carried_in(result: Allocation, books: Books) -> Figure | None:
    if not result.carried_in_fen:
        return None
    amount = result.carried_in_fen
    if books.own:
        amount = sum(
            leg.amount_fen
            for entry in books.own
            for leg in entry.postings
            if leg.account == "purse" and leg.amount_fen > 0
        )
    return Figure("上期结转", amount, entry_ids(books.own))


def _lines(
    session: Session, actor: Actor, run: Run, result: Allocation, books: Books
) -> tuple[StatementLine, ...]:
    people = {one.id: one for one in households(session, actor, run.book)}
    paid = {one.household_id: one for one in payouts(session, actor, PayoutFilter(run_id=run.id))}
    labels = {purse.purse: purse.label for purse in result.purses}
    booked = line_amounts(books)
    return tuple(
        _line(line, labels[line.purse], people.get(line.payee_id), paid.get(line.payee_id), books, booked)
        for line in result.lines
        if line.amount_fen
    )


def _line(  # noqa: PLR0913, PLR0917, one line from all that is known of it
    line: AllocationLine,
    label: str,
    person: Household | None,
    payout: Payout | None,
    books: Books,
    booked: Mapping[int, int],
) -> StatementLine:
    is_household = line.payee_kind in _HOUSEHOLD_KINDS
    name = "" if person is None else person.name
    return StatementLine(
        line_no=line.line_no,
        purse=line.purse,
        item=label,
        household_id=line.payee_id if is_household else "",
        name=name if is_household else _KIND_NAMES[line.payee_kind],
        village_group="" if person is None else person.village_group,
        amount_fen=booked[line.line_no] if books.own else line.amount_fen,
        basis=render_short(line),
        clause=line.explanation[-1].clause if line.explanation else "",
        entries=entry_ids(books.own),
        payout_state="" if payout is None or not is_household else payout.state_name,
    )


def _purses(run: Run, result: Allocation, lines: Sequence[StatementLine]) -> tuple[Figure, ...]:
    sums: dict[str, int] = defaultdict(int)
    entries: dict[str, tuple[str, ...]] = {}
    for line in lines:
        sums[line.purse] += line.amount_fen
        entries[line.purse] = line.entries
    return tuple(
        Figure(purse.label, sums[purse.purse], entries.get(purse.purse, ()), (run.id,))
        for purse in result.purses
    )


def _receivables(session: Session, actor: Actor, village: str, month: str) -> tuple[Figure, ...]:
    sums: dict[Component, int] = defaultdict(int)
    sources: dict[Component, list[str]] = defaultdict(list)
    for one in outstanding(session, actor, village, month):
        sums[one.component] += one.amount_fen
        sources[one.component].append(one.source)
    return tuple(
        Figure(f"待到账{COMPONENT_NAMES[component]}", sums[component], (), tuple(sources[component]))
        for component in Component
        if sums[component]
    )


def _energy(session: Session, actor: Actor, village: str, month: str) -> int | None:
    """The exported energy [Wh] of the stations that the village has a part in, or None without a bill."""
    mine = {one.station_id for one in village_shares(session, actor, village, Period.parse(month).start)}
    found = billed_energy(session, mine, month)
    return sum(found.values()) if found else None


def statement_months(session: Session, actor: Actor, village_code: str) -> tuple[str, ...]:
    """Return the months for which a village has a run, the latest first."""
    return tuple(sorted({one.period for one in runs(session, actor, book=village_code)}, reverse=True))
