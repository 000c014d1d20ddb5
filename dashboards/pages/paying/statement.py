"""A village's month: the sum that can be checked by hand, the purposes, the list, and the way back.

Owns the statement page, and the page of the entries behind a figure. Every amount comes from
`distribution.statement`; nothing is computed here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.filters import day, percent
from dashboards.month_work import chosen_month, month_choices
from dashboards.terms import Term
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from distribution.figures import FIGURE, figure_legs
from distribution.ledger.accounts import account_name
from distribution.ledger.journal import Journal, journals
from distribution.money import yuan
from distribution.statement.records import Figure, StatementLine, VillageStatement
from distribution.statement.village import village_statement
from registry.actors import Actor, Permission
from registry.divisions import division_name, villages
from store.periods import Period

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
_SOURCES = {
    "run": "分配批次",
    "receipt": "到账记录",
    "cost": "费用凭证",
    "settlement": "电费结算单",
    "remittance": "拨款凭证",
    "payout": "发放记录",
    "batch": "代发批次",
}


@dataclass(frozen=True, slots=True)
class PurseRow:
    """One purpose: what it got [fen] and its part of the whole."""

    label: str
    share: str
    amount_fen: int
    href: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line with the address of its entries, or of its run while it is not booked."""

    shown: StatementLine
    href: str


@dataclass(frozen=True, slots=True)
class FurtherRow:
    """One line of a top-up or correction, with its kind in words and the addresses of run and entries."""

    shown: StatementLine
    kind: str
    state: str
    run_id: str
    href: str


@dataclass(frozen=True, slots=True)
class ReceivableRow:
    """What has not arrived [fen], and the settlements by month that it is owed on."""

    label: str
    amount_fen: int
    months: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StatementView:
    """The page; `statement` is None before there is a run."""

    village_code: str
    village_name: str
    month: str
    months: tuple[str, ...]
    statement: VillageStatement | None
    terms: tuple[Term, ...] = ()
    purses: tuple[PurseRow, ...] = ()
    lines: Sequence[LineRow] = ()
    total_href: str = ""
    receivables: tuple[ReceivableRow, ...] = ()
    colophon: tuple[tuple[str, str], ...] = ()
    further: tuple[FurtherRow, ...] = ()


@router.get("/villages/{village_code}/statements/{month}")
def show_statement(
    request: Request, actor: Reader, session: Reading, village_code: str, month: str
) -> HTMLResponse:
    """Show a village's month; a village outside the actor's area is not found."""
    name = next((one.name for one in villages(session, actor) if one.code == village_code), "")
    now = services_of(request).clock()
    if not name or month not in month_choices(now):
        raise NotFoundError(village_code)
    found = village_statement(session, actor, village_code, month)
    view = StatementView(village_code, name, month, month_choices(now), found)
    if found is not None:
        view = StatementView(
            village_code,
            name,
            month,
            month_choices(now),
            found,
            _terms(found),
            _purses(found),
            tuple(LineRow(one, _href(found, one.entries, f"line-{one.line_no}")) for one in found.lines),
            _href(found, found.distributable.entries, "total"),
            _receivables(found),
            _colophon(found),
            _further(found),
        )
    title = f"{name}{Period.parse(month).label}收益账"
    return render(
        request,
        "paying/statement.html",
        title,
        crumbs=(Crumb("收益分配", f"/statements?month={month}"),),
        view=view,
    )


@router.get("/villages/{village_code}/statements")
def choose_month(
    request: Request, actor: Reader, session: Reading, village_code: str, month: str = ""
) -> HTMLResponse:
    """Show the month that the form of the page asks for."""
    chosen = chosen_month(month, services_of(request).clock())
    return show_statement(request, actor, session, village_code, chosen)


def entries_href(figure_entries: Iterable[str], figure: str = "") -> str:
    """Return the address of the entries (`book/seq`) behind a figure; empty when there are none yet.

    `figure` is its name in `distribution.figures`, by which the page marks the legs that it is the sum of.
    """
    listed = [entry.partition("/") for entry in figure_entries]
    if not listed:
        return ""
    numbers = ".".join(sorted({seq for _, _, seq in listed}, key=int))
    return f"/villages/{listed[0][0]}/entries?n={numbers}{f'&figure={figure}' if figure else ''}"


def _href(found: VillageStatement, entries: Sequence[str], figure: str) -> str:
    """Return where a figure comes from: its entries, or before it is booked its run."""
    return entries_href(entries, figure) or f"/runs/{found.run.id}"


def _further(found: VillageStatement) -> tuple[FurtherRow, ...]:
    return tuple(
        FurtherRow(
            line,
            f"{one.kind_name}第 {one.run.version} 版",
            one.run.state_name,
            one.run.id,
            entries_href(line.entries, f"line-{line.line_no}") or f"/runs/{one.run.id}",
        )
        for one in found.further
        for line in one.lines
    )


def _receivables(found: VillageStatement) -> tuple[ReceivableRow, ...]:
    """Return what is outstanding with the settlements of its months (`settlement:station:month:revision`)."""
    rows = []
    for one in found.receivables:
        months = sorted({source.split(":")[-2] for source in one.sources}, reverse=True)
        links = tuple((Period.parse(each).label, f"/settlements?month={each}") for each in months)
        rows.append(ReceivableRow(one.label, one.amount_fen, links))
    return tuple(rows)


def _terms(found: VillageStatement) -> tuple[Term, ...]:
    def term(operator: str, figure: Figure, name: str) -> Term:
        return Term(
            operator, figure.label, figure.amount_fen, _href(found, figure.entries, name), figure.clause
        )

    terms = [term("+" if number else "", figure, "received") for number, figure in enumerate(found.income)]
    if found.carried_in is not None:
        terms.append(term("+" if terms else "", found.carried_in, "carried"))
    terms += [term("−", one, f"deduction-{number}") for number, one in enumerate(found.deductions, 1)]
    result = found.distributable
    terms.append(
        Term("=", result.label, result.amount_fen, _href(found, result.entries, "total"), is_result=True)
    )
    return tuple(terms)


def _purses(found: VillageStatement) -> tuple[PurseRow, ...]:
    total = found.total_fen
    notes = {line.item: _purse_formula(line) for line in reversed(found.lines)}
    return tuple(
        PurseRow(
            one.label,
            percent(one.amount_fen / total) if total else "—",
            one.amount_fen,
            _href(found, one.entries, f"purse-{number}"),
            notes.get(one.label, ""),
        )
        for number, one in enumerate(found.purses, 1)
    )


def _purse_formula(line: StatementLine) -> str:
    """Return how a line's purpose came to its sum: a household's line goes on from there by one step."""
    steps = line.basis.split("；")
    return steps[0] if line.household_id and len(steps) > 1 else steps[-1]


def _colophon(found: VillageStatement) -> tuple[tuple[str, str], ...]:
    checkers = "、".join(dict.fromkeys(one.voter_name for one in found.votes if one.decision == "approve"))
    notice = found.notice
    pairs = (
        ("版本", f"第 {found.run.version} 版"),
        ("测算", f"{found.made_by} {day(found.run.made_at)}"),
        ("审核", checkers),
        ("公示", f"{day(notice.opens_on)}至{day(notice.closes_on)}" if notice else ""),
        ("校验码", found.fingerprint),
    )
    return tuple((name, value) for name, value in pairs if value)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One posting of an entry; exactly one of debit and credit [fen] is there."""

    number: str
    date: date
    text: str
    account: str
    debit_fen: int | None
    credit_fen: int | None
    source: str
    href: str
    is_reversal: bool
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class EntriesView:
    """The entries behind a figure, posting by posting."""

    lead: str
    rows: tuple[EntryRow, ...]
    asked: str = ""

    @property
    def debit_fen(self) -> int:
        """Sum of the debits [fen]."""
        return sum(row.debit_fen or 0 for row in self.rows)

    @property
    def credit_fen(self) -> int:
        """Sum of the credits [fen]."""
        return sum(row.credit_fen or 0 for row in self.rows)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the address of the entries page holds: their numbers, and the figure that was followed."""

    n: Annotated[str, Query(pattern=r"^[0-9.]+$", max_length=4000)]
    figure: Annotated[str, Query(pattern=FIGURE)] = ""


@router.get("/villages/{village_code}/entries")
def show_entries(
    request: Request,
    actor: Reader,
    session: Reading,
    village_code: str,
    asked: Annotated[_Wanted, Depends()],
) -> HTMLResponse:
    """Show entries of a village's or the county's book by their numbers, with the legs of a figure."""
    wanted = {int(number) for number in asked.n.split(".") if number}
    booked = journals(session, actor, book=village_code)
    is_village = any(one.code == village_code for one in villages(session, actor))
    if not is_village and not booked:
        raise NotFoundError(village_code)
    found = [one for one in booked if one.seq in wanted]
    chosen = figure_legs(session, actor, found, asked.figure) if asked.figure else frozenset()
    rows = tuple(row for one in found for row in _entry_rows(one, chosen))
    words = _sum_words(rows, carried=asked.figure == "carried")
    view = EntriesView(f"共 {len(found)} 张凭证，借贷两边相等。", rows, words)
    place = Crumb(division_name(session, village_code), f"/villages/{village_code}/statements")
    crumbs = (Crumb("收益分配", "/statements"), *((place,) if is_village else ()))
    return render(request, "entries.html", "记账凭证", crumbs=crumbs, view=view)


def _sum_words(rows: Iterable[EntryRow], *, carried: bool) -> str:
    """Return the figure asked for as the sum of its rows: `17,444.35 元 = 8,069.17 + 9,375.18`."""
    given = [(row.credit_fen or 0) - (row.debit_fen or 0) for row in rows if row.is_chosen]
    parts = [-amount if carried else amount for amount in given]
    if not parts:
        return ""
    whole = f"{yuan(sum(parts))} 元"
    if len(parts) == 1:
        return whole
    first, *rest = parts
    terms = "".join(f" {'−' if part < 0 else '+'} {yuan(abs(part))}" for part in rest)
    return f"{whole} = {yuan(first)}{terms}"


def _entry_rows(one: Journal, chosen: frozenset[tuple[int, int]]) -> list[EntryRow]:
    """Return an entry's legs, those of one account and side together; chosen legs apart from the others."""
    kind, _, _ = one.source.partition(":")
    sums: dict[tuple[str, bool, bool], int] = {}
    for place, leg in enumerate(one.postings):
        key = (leg.account, leg.amount_fen > 0, (one.seq, place) in chosen)
        sums[key] = sums.get(key, 0) + leg.amount_fen
    return [
        EntryRow(
            number=f"第 {one.seq} 号",
            date=one.business_date,
            text=one.text,
            account=account_name(account),
            debit_fen=amount if is_debit else None,
            credit_fen=None if is_debit else -amount,
            source=_SOURCES.get(kind, "其他记录"),
            href=f"/runs/{one.source}" if kind == "run" else "",
            is_reversal=one.reverses is not None,
            is_chosen=is_chosen,
        )
        for (account, is_debit, is_chosen), amount in sums.items()
    ]
