"""What a village, a household and a station are shown: figures from the ledger, each with its way back.

Owns the statements as frozen records for pages, API and exports. Every amount carries the journal entries
it comes from; once a run is booked the amounts are read from the ledger alone, and the sum is proved
against the run. Nothing is written here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from distribution.approval.notices import Notice, Objection, notice_of, objections
from distribution.approval.runs import Run, allocation_of, events_of, lines_of_payee, live_run, runs
from distribution.approval.runs import run as find_run
from distribution.approval.states import BOOKED
from distribution.approval.votes import Vote, votes_of
from distribution.bookings import COMPONENT_NAMES
from distribution.ledger.journal import Head, Journal, head, journals
from distribution.money import uppercase
from distribution.payout.payouts import Payout, PayoutFilter, payouts
from distribution.plans.explanation import render_explanation, render_short
from distribution.plans.tables import plan_version
from distribution.settlement.reads import billed_energy, outstanding, receipts, settlements
from distribution.types import Allocation, AllocationLine, Component, PayeeKind
from registry.actors import Actor, Permission
from registry.divisions import division_name
from registry.households import Household, household, households
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


@dataclass(frozen=True, slots=True)
class Figure:
    """An amount [fen] with its name, its rule's clause, and the entries (`book/seq`) it is the sum of.

    `sources` are the records behind the entries (`receipt:…`, `cost:…`, a run); `is_correction` marks a
    reversal, which is shown in red with a minus sign.
    """

    label: str
    amount_fen: int
    entries: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    clause: str = ""
    formula: str = ""
    is_correction: bool = False


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of a village's list: whom, for what, how much [fen], on what basis, and whether it is paid.

    `household_id` is empty for a line that pays no household; `payout_state` is its Chinese word.
    """

    line_no: int
    purse: str
    item: str
    household_id: str
    name: str
    village_group: str
    amount_fen: int
    basis: str
    clause: str
    entries: tuple[str, ...]
    payout_state: str = ""


@dataclass(frozen=True, slots=True)
class VillageStatement:
    """A village's month: income - deductions + carried in = distributable = sum of lines, to the fen.

    `difference_fen` is 0 unless something is wrong. `is_booked` tells whether the amounts are the
    ledger's, or still a computed run's. `head` is the end of the book's chain.
    """

    village_code: str
    village_name: str
    period: str
    period_label: str
    run: Run
    is_booked: bool
    plan_title: str
    plan_source: str
    income: tuple[Figure, ...]
    deductions: tuple[Figure, ...]
    carried_in: Figure | None
    distributable: Figure
    purses: tuple[Figure, ...]
    lines: tuple[StatementLine, ...]
    total_fen: int
    total_uppercase: str
    household_total_fen: int
    difference_fen: int
    receivables: tuple[Figure, ...]
    exported_energy_wh: int | None
    tests: tuple[str, ...]
    warnings: tuple[str, ...]
    votes: tuple[Vote, ...]
    notice: Notice | None
    objections: tuple[Objection, ...]
    made_by: str
    head: Head

    @property
    def income_fen(self) -> int:
        """Sum of the income [fen]."""
        return sum(figure.amount_fen for figure in self.income)

    @property
    def deductions_fen(self) -> int:
        """Sum of the deductions [fen]."""
        return sum(figure.amount_fen for figure in self.deductions)

    @property
    def fingerprint(self) -> str:
        """The first 8 characters of the run's content hash."""
        return self.run.content_hash[:8]


@dataclass(frozen=True, slots=True)
class HouseholdLine:
    """One amount of a household [fen]: month, item, the steps in Chinese, its entries and its payment."""

    period: str
    run_id: str
    line_no: int
    item: str
    amount_fen: int
    steps: tuple[str, ...]
    clause: str
    entries: tuple[str, ...]
    is_booked: bool
    payout_state: str
    payout_reason: str = ""


@dataclass(frozen=True, slots=True)
class HouseholdStatement:
    """A household's sheet of a span [fen]: total = paid + owed = booked lines; pending ones stay apart."""

    household: Household
    village_name: str
    period: str
    period_label: str
    lines: tuple[HouseholdLine, ...]
    total_fen: int
    total_uppercase: str
    paid_fen: int
    owed_fen: int
    pending_fen: int

    @property
    def booked(self) -> tuple[HouseholdLine, ...]:
        """The lines that the ledger holds."""
        return tuple(line for line in self.lines if line.is_booked)


@dataclass(frozen=True, slots=True)
class StationMonth:
    """A station's money of one month [fen]: billed and received by component, and what is outstanding."""

    month: str
    settlement_id: str
    revision: int
    exported_energy_wh: int
    electricity_fen: int
    subsidy_fen: int
    electricity_received_fen: int
    subsidy_received_fen: int

    @property
    def outstanding_fen(self) -> int:
        """What the grid company still owes of the month [fen]."""
        billed = self.electricity_fen + self.subsidy_fen
        return billed - self.electricity_received_fen - self.subsidy_received_fen


@dataclass(frozen=True, slots=True)
class _Books:
    """The entries behind a run: its own, and by source those of its receipts."""

    own: tuple[Journal, ...]
    by_source: Mapping[str, tuple[Journal, ...]] = field(default_factory=dict)


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
    books = _books(session, actor, run, result)
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
        distributable=Figure("可分配", received - spent + brought, _ids(books.own), (run.id,)),
        purses=_purses(run, result, lines),
        lines=lines,
        total_fen=posted_lines,
        total_uppercase=uppercase(posted_lines),
        household_total_fen=sum(line.amount_fen for line in lines if line.household_id),
        difference_fen=received - spent + brought - posted_lines + _ledger_gap(result, books),
        receivables=_receivables(session, actor, village_code, month),
        exported_energy_wh=_energy(session, actor, village_code, month),
        tests=tuple(test.text for test in result.tests),
        warnings=result.warnings,
        votes=votes_of(session, actor, run.id),
        notice=None if notice is None else notice[0],
        objections=objections(session, actor, run.id),
        made_by=events_of(session, actor, run.id)[0].by_name,
        head=head(session, village_code),
    )


def _books(session: Session, actor: Actor, run: Run, result: Allocation) -> _Books:
    sources = [part.source for part in result.income]
    found: dict[str, list[Journal]] = defaultdict(list)
    for entry in journals(session, actor, book=run.book, sources=[run.id, *sources]):
        found[entry.source].append(entry)
    by_source = {source: tuple(entries) for source, entries in found.items()}
    return _Books(by_source.get(run.id, ()), by_source)


def _ids(entries: Sequence[Journal]) -> tuple[str, ...]:
    return tuple(entry.id for entry in entries)


def _income(session: Session, actor: Actor, result: Allocation, books: _Books) -> tuple[Figure, ...]:
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
        figures.append(Figure(label, amount, _ids(entries), tuple(sources)))
    return tuple(figures)


def _deductions(run: Run, result: Allocation, books: _Books) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            one.label,
            one.amount_fen,
            _ids(books.own),
            (run.id,),
            one.clause,
            one.explanation[-1].formula if one.explanation else "",
        )
        for one in result.deductions
        if one.amount_fen
    )


def _carried_in(result: Allocation, books: _Books) -> Figure | None:
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
    return Figure("上期结转", amount, _ids(books.own))


def _line_amounts(books: _Books) -> dict[int, int]:
    amounts: dict[int, int] = defaultdict(int)
    for entry in books.own:
        for leg in entry.postings:
            if leg.line_no is not None:
                amounts[leg.line_no] -= leg.amount_fen
    return amounts


def _ledger_gap(result: Allocation, books: _Books) -> int:
    """What the entry gave to deductions, less what the run says; 0 unless the books were touched."""
    if not books.own:
        return 0
    without_line = -sum(
        leg.amount_fen
        for entry in books.own
        for leg in entry.postings
        if leg.line_no is None and leg.amount_fen < 0
    )
    return without_line - sum(one.amount_fen for one in result.deductions)


def _lines(
    session: Session, actor: Actor, run: Run, result: Allocation, books: _Books
) -> tuple[StatementLine, ...]:
    people = {one.id: one for one in households(session, actor, run.book)}
    paid = {one.household_id: one for one in payouts(session, actor, PayoutFilter(run_id=run.id))}
    labels = {purse.purse: purse.label for purse in result.purses}
    booked = _line_amounts(books)
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
    books: _Books,
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
        entries=_ids(books.own),
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
    total = sum(line.amount_fen for line in lines if line.is_booked)
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
        owed_fen=total - settled,
        pending_fen=sum(line.amount_fen for line in lines if not line.is_booked),
    )


def _household_lines(
    session: Session, actor: Actor, which: tuple[Run, list[int]], payout: Payout | None
) -> list[HouseholdLine]:
    run, numbers = which
    result = allocation_of(session, actor, run.id)
    entries = journals(session, actor, book=run.book, sources=(run.id,))
    booked = _line_amounts(_Books(entries))
    labels = {purse.purse: purse.label for purse in result.purses}
    return [
        HouseholdLine(
            period=run.period,
            run_id=run.id,
            line_no=line.line_no,
            item=labels[line.purse],
            amount_fen=booked[line.line_no] if entries else line.amount_fen,
            steps=tuple(render_explanation(step) for step in line.explanation),
            clause=line.explanation[-1].clause if line.explanation else "",
            entries=_ids(entries),
            is_booked=bool(entries),
            payout_state="" if payout is None else payout.state_name,
            payout_reason="" if payout is None else payout.reason,
        )
        for line in result.lines
        if line.line_no in numbers and line.amount_fen
    ]


def station_money(session: Session, actor: Actor, station_id: str) -> tuple[StationMonth, ...]:
    """Return a station's billed and received money by month, the latest first; empty outside the area."""
    actor.require(Permission.VIEW_MONEY)
    received: dict[tuple[str, Component], int] = defaultdict(int)
    for one in receipts(session, actor, station_id=station_id):
        received[(one.month, one.component)] += one.amount_fen
    subsidies = (Component.SUBSIDY, Component.LOCAL_SUBSIDY)
    return tuple(
        StationMonth(
            one.month,
            one.id,
            one.revision,
            one.exported_energy_wh,
            one.electricity_fen,
            one.subsidy_fen + one.local_subsidy_fen,
            received[(one.month, Component.ELECTRICITY)],
            sum(received[(one.month, component)] for component in subsidies),
        )
        for one in sorted(
            settlements(session, actor, station_id=station_id), key=lambda one: one.month, reverse=True
        )
    )


def statement_months(session: Session, actor: Actor, village_code: str) -> tuple[str, ...]:
    """Return the months for which a village has a run, the latest first."""
    return tuple(sorted({one.period for one in runs(session, actor, book=village_code)}, reverse=True))
