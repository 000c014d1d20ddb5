"""Which records the papers of distributed money are made of: ledger, county flow, ratios, wages, township.

Owns the gathering; the tables are `money_sheets`', their forms `papers`'.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.approval.runs import Run, allocation_of, inputs_of, runs
from distribution.closing.corrections import KIND_NAMES
from distribution.exports.money_sheets import (
    VillageFlow,
    VillageMonth,
    Wage,
    county_flow,
    pay_sheet,
    ratio_sheet,
    sub_ledger,
    township_book,
)
from distribution.exports.papers import Paper, PaperContent, PaperKind, sealed
from distribution.ledger.tables import JournalRow, PostingRow
from distribution.payout.payouts import PayoutFilter, payouts
from distribution.plans.explanation import render_short
from distribution.tracing import village_book
from distribution.types import Allocation, AllocationLine, PayeeKind
from registry.actors import Actor, Permission, in_area
from registry.divisions import division_name, division_names
from registry.households import households
from registry.stations import stations
from store.periods import Period

MONEY_KINDS = (
    PaperKind("ledger", "村级明细账", "一个村一个月的全部分录"),
    PaperKind("township", "乡镇账", "辖区各村从到账到到户"),
    PaperKind("flow", "县级收支表", "县专户代收、拨付和在途，逐村"),
    PaperKind("ratios", "比例测算表", "80%、60% 等比例要求，逐村"),
    PaperKind("wages", "人员工资表", "公益岗位工资，逐人"),
)


@dataclass(frozen=True, slots=True)
class MoneyPaper:
    """Which paper: its kind, the month, and the village of a sub-ledger."""

    kind: str
    month: str
    village_code: str = ""


def money_paper(session: Session, actor: Actor, wanted: MoneyPaper) -> Paper:
    """Gather a paper of the actor's area.

    Raises LookupError for a kind that does not exist, or a village outside the area.
    """
    actor.require(Permission.VIEW_MONEY)
    make = _MAKERS.get(wanted.kind)
    if make is None or (wanted.village_code and not actor.covers(wanted.village_code)):
        raise LookupError(f"没有“{wanted.kind}”这种表，或村不在辖区内")
    place = wanted.village_code or actor.area
    name = division_name(session, place) if place else "全部"
    content = make(session, actor, wanted, name)
    title = next(one.title for one in MONEY_KINDS if one.name == wanted.kind)
    return sealed(content, f"{name}_{Period.parse(wanted.month).label}_{title}")


def _ledger(session: Session, actor: Actor, wanted: MoneyPaper, name: str) -> PaperContent:
    if not wanted.village_code:
        raise LookupError("没有写明是哪个村")
    lines = village_book(session, actor, wanted.village_code, wanted.month)
    names = {one.id: one.name for one in stations(session, actor)}
    names |= {one.id: one.name for one in households(session, actor, wanted.village_code)}
    return sub_ledger((name, wanted.month), lines, names)


def _flow(session: Session, actor: Actor, wanted: MoneyPaper, name: str) -> PaperContent:
    """Sums over the county's postings by village, before the month and in it; then what the villages hold."""
    due = _sums(session, actor, "due_to_village", wanted.month)
    bank = _sums(session, actor, "bank", wanted.month, by_book=True)
    names = division_names(session)
    flows = [
        VillageFlow(
            village,
            names.get(village, village),
            -due["before", village],
            -due["credit", village],
            due["debit", village],
            sum(bank[part, village] for part in ("before", "debit", "credit")),
        )
        for village in sorted({village for _part, village in due if village})
    ]
    return county_flow(name, wanted.month, flows)


def _sums(
    session: Session, actor: Actor, account: str, month: str, *, by_book: bool = False
) -> dict[tuple[str, str], int]:
    """Return sums [fen] by (`before`, `debit` or `credit`, village) of the actor's area."""
    place = PostingRow.book if by_book else PostingRow.holder
    parts = {
        "before": JournalRow.period < month,
        "debit": (JournalRow.period == month) & (PostingRow.amount_fen > 0),
        "credit": (JournalRow.period == month) & (PostingRow.amount_fen < 0),
    }
    found: dict[tuple[str, str], int] = defaultdict(int)
    for part, condition in parts.items():
        statement = (
            select(place, func.sum(PostingRow.amount_fen))
            .join(JournalRow, (JournalRow.book == PostingRow.book) & (JournalRow.seq == PostingRow.seq))
            .where(PostingRow.account == account, condition, in_area(actor, place))
        )
        for village, total in session.execute(statement.group_by(place)):
            found[part, village] += int(total)
    return found


def _ratios(session: Session, actor: Actor, wanted: MoneyPaper, name: str) -> PaperContent:
    names = division_names(session)
    found = [
        (names.get(run.book, run.book), run.state_name, allocation_of(session, actor, run.id).tests)
        for run in _runs(session, actor, wanted)
        if run.kind == "regular"
    ]
    return ratio_sheet(name, wanted.month, found)


def _wages(session: Session, actor: Actor, wanted: MoneyPaper, name: str) -> PaperContent:
    names = division_names(session)
    wages: list[Wage] = []
    for run in _runs(session, actor, wanted):
        posts = {one.kind for one in inputs_of(session, actor, run.id).posts}
        lines = [one for one in allocation_of(session, actor, run.id).lines if one.component in posts]
        wages += _wages_of(session, actor, run, names.get(run.book, run.book), lines)
    return pay_sheet(name, wanted.month, wages)


def _wages_of(
    session: Session, actor: Actor, run: Run, village: str, lines: list[AllocationLine]
) -> list[Wage]:
    people = {one.id: one for one in households(session, actor, run.book)}
    paid = {one.household_id: one for one in payouts(session, actor, PayoutFilter(run_id=run.id))}
    wages = []
    for line in lines:
        if line.amount_fen:
            person, payout = people.get(line.payee_id), paid.get(line.payee_id)
            wages.append(
                Wage(
                    village,
                    "" if person is None else person.number,
                    line.payee_id if person is None else person.name,
                    "" if person is None else person.village_group,
                    line.component,
                    render_short(line).split("；")[-1],
                    line.amount_fen,
                    run.state_name if payout is None else payout.state_name,
                )
            )
    return wages


def _township(session: Session, actor: Actor, wanted: MoneyPaper, name: str) -> PaperContent:
    names = division_names(session)
    months = [
        _village_month(session, actor, run, names.get(run.book, run.book))
        for run in _runs(session, actor, wanted)
    ]
    return township_book(name, wanted.month, months)


def _village_month(session: Session, actor: Actor, run: Run, name: str) -> VillageMonth:
    result = allocation_of(session, actor, run.id)
    paid = payouts(session, actor, PayoutFilter(run_id=run.id))
    return VillageMonth(
        name,
        KIND_NAMES[run.kind],
        run.state_name,
        sum(one.amount_fen for one in result.income),
        sum(one.amount_fen for one in result.deductions),
        result.carried_in_fen,
        result.distributable_fen,
        run.household_count,
        _to_households(result),
        sum(one.amount_fen for one in paid if one.state == "succeeded"),
    )


def _to_households(result: Allocation) -> int:
    kinds = {PayeeKind.HOUSEHOLD, PayeeKind.PERSON}
    return sum(line.amount_fen for line in result.lines if line.payee_kind in kinds)


def _runs(session: Session, actor: Actor, wanted: MoneyPaper) -> list[Run]:
    found = runs(session, actor, period=wanted.month, book=wanted.village_code)
    return sorted(found, key=lambda one: (one.book, one.kind != "regular", one.kind, one.version))


_MAKERS: dict[str, Callable[[Session, Actor, MoneyPaper, str], PaperContent]] = {
    "ledger": _ledger,
    "township": _township,
    "flow": _flow,
    "ratios": _ratios,
    "wages": _wages,
}
