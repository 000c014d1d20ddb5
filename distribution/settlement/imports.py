"""Importing grid statements: from read rows to settlements in revisions, with receivables by village.

Owns what a statement file changes. The same file again, or the same figures in another file, change
nothing; other figures for the same station and month are the next revision. A station and month with a
bad row is left out whole, kept among the rows left out and reported; the others go in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from distribution.settlement.checks import Check, Finding, check_rows
from distribution.settlement.intake.facts import FactBook, Known, Present
from distribution.settlement.intake.refused import LeftOut, keep_refused
from distribution.settlement.intake.writing import (
    Bill,
    BillLine,
    settlement_hash,
    settlement_totals,
    village_parts,
    write_bills,
)
from distribution.settlement.metering.readings import readings
from distribution.settlement.statements import StatementFile, StatementRow
from distribution.settlement.tables import StatementFileRow
from distribution.types import Component
from registry.actors import Actor, Permission
from registry.parameters import ValueBook
from registry.stations import Station, revenue_meters, stations
from store.problem import Problem

STATIONS_AT_ONCE = 200
_SIBLING = Problem("", "同站同月有别的行有错，整站未入库", "改好有错的行后重新导入")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or would do in a dry run.

    `added`, `revised` and `unchanged` name settlements (or receipts) by id; `problems` kept rows out;
    `warnings` did not. `accounts` names the account number by the place of a problem, as far as it is known.
    `entering` and `left_out` are the account and month of the station months that go in, and of those with
    a bad row, which stay out whole. `findings` are the problems and warnings by check.
    """

    file_name: str
    sha256: str
    dry_run: bool
    added: tuple[str, ...] = ()
    revised: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    entering: frozenset[tuple[str, str]] = frozenset()
    left_out: frozenset[tuple[str, str]] = frozenset()
    findings: tuple[Finding, ...] = ()


def import_statement(
    session: Session, actor: Actor, statement: StatementFile, now: datetime, *, dry_run: bool = False
) -> ImportResult:
    """Check and import a read statement for the actor's stations; `dry_run` only tells what it would do.

    Raises NotPermittedError without the permission.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    batch = _Batch(session, actor, statement)
    for bills in batch.pieces():
        if not dry_run:
            write_bills(session, actor, bills, now)
    if not dry_run:
        keep_refused(session, actor, (statement.name, statement.sha256), batch.refused(), now)
        remember_file(session, actor, _file_facts(statement), now)
    return batch.result(dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """An imported file: content hash, name, what it was read as, how many rows were usable, its layout."""

    sha256: str
    name: str
    kind: str
    row_count: int
    layout: str = ""


def _file_facts(statement: StatementFile) -> FileFacts:
    return FileFacts(statement.sha256, statement.name, "statement", len(statement.rows), statement.layout)


def remember_file(session: Session, actor: Actor, facts: FileFacts, now: datetime) -> None:
    """Record an imported file once for ever by its content hash and kind."""
    if session.get(StatementFileRow, (facts.sha256, facts.kind)) is None:
        session.add(
            StatementFileRow(
                sha256=facts.sha256,
                kind=facts.kind,
                name=facts.name,
                layout=facts.layout,
                row_count=facts.row_count,
                recorded_at=now,
                recorded_by=actor.user_id,
            )
        )
        session.flush()


def stations_by_account(session: Session, actor: Actor) -> dict[str, Station]:
    """Return the actor's stations by 户号."""
    return {one.account_number: one for one in stations(session, actor) if one.account_number}


def unknown_account(place: str, account_number: str) -> Problem:
    """Return the problem of an account number that no station of the actor's area has."""
    return Problem(
        place,
        f"户号“{account_number}”不在台账内，或不在您的辖区内",
        "请核对户号；新电站请先在台账登记户号",
    )


class _Batch:
    """One import in progress: what was decided, station by station."""

    def __init__(self, session: Session, actor: Actor, statement: StatementFile) -> None:
        self._session, self._statement = session, statement
        self._stations = stations_by_account(session, actor)
        hand = readings(session, actor)
        self._facts = FactBook(ValueBook(session), revenue_meters(session, actor), hand)
        self.added: list[str] = []
        self.revised: list[str] = []
        self.unchanged: list[str] = []
        self.findings: list[Finding] = []
        self.left_out: dict[tuple[str, str], list[StatementRow]] = {}
        self.entering: set[tuple[str, str]] = set()

    def pieces(self) -> Iterator[list[Bill]]:
        """Yield the bills that go in, for a bounded number of stations at a time."""
        grouped = self._grouped()
        accounts = sorted(grouped)
        for start in range(0, len(accounts), STATIONS_AT_ONCE):
            chosen = accounts[start : start + STATIONS_AT_ONCE]
            months = sorted({month for account in chosen for month in grouped[account]})
            ids = [self._stations[account].id for account in chosen]
            known = Known(self._session, ids, months)
            taken = (
                self._take(known, self._stations[account], (month, grouped[account][month]))
                for account in chosen
                for month in sorted(grouped[account])
            )
            yield [bill for bill in taken if bill is not None]

    def _grouped(self) -> dict[str, dict[str, list[StatementRow]]]:
        """Return the usable rows by account and month; unknown accounts become findings."""
        grouped: dict[str, dict[str, list[StatementRow]]] = defaultdict(lambda: defaultdict(list))
        for row in self._statement.rows:
            key = row.line.account_number, row.month
            if row.line.account_number not in self._stations:
                problem = unknown_account(row.places["account_number"], row.line.account_number)
                self.findings.append(Finding(Check.ACCOUNT, problem, row.row_number, row.line.account_number))
            elif key in self._statement.refused_accounts:
                self.left_out.setdefault(key, []).append(row)
            else:
                grouped[row.line.account_number][row.month].append(row)
        return grouped

    def _take(self, known: Known, station: Station, billed: tuple[str, list[StatementRow]]) -> Bill | None:
        """Check one station's month and return its bill unless something is wrong or nothing is new."""
        month, rows = billed
        present = known.present.get((station.id, month))
        lines = [row.line for row in rows]
        found = check_rows(rows, self._facts.of(station, month, rows, known.last_readings(station.id, month)))
        known.remember(station.id, month, rows)
        digest = settlement_hash(station.id, month, lines, [row.detail for row in rows])
        if present is not None and present.content_hash == digest:
            self.findings += [one for one in found if not one.blocks]
            self.unchanged.append(present.id)
            return None
        totals = settlement_totals(lines)
        found += _received_more(known, station, billed, totals)
        self.findings += found
        key = rows[0].line.account_number, month
        if any(one.blocks for one in found):
            self.left_out[key] = rows
            return None
        self.entering.add(key)
        bill = self._bill((station, month, present), (rows, digest, totals), known)
        (self.added if present is None else self.revised).append(bill.id)
        return bill

    def _bill(
        self,
        of: tuple[Station, str, Present | None],
        said: tuple[list[StatementRow], str, Mapping[Component, int]],
        known: Known,
    ) -> Bill:
        station, month, present = of
        rows, digest, totals = said
        parts = village_parts(known.owners(station, month), totals, known.parts_before(present))
        return Bill(
            station.id,
            month,
            1 if present is None else present.revision + 1,
            tuple(BillLine(row.line, row.detail, row.places["exported_energy"]) for row in rows),
            f"{self._statement.name} 第 {'、'.join(str(row.row_number) for row in rows)} 行",
            self._statement.sha256,
            parts,
            digest,
        )

    def refused(self) -> Iterable[LeftOut]:
        """Yield every row of the file that does not go in, with why."""
        named: set[int] = set()
        for bad in self._statement.refused:
            named.add(bad.row_number)
            yield LeftOut(bad.row_number, bad.account_number, bad.month, bad.problem)
        months = {row.row_number: row.month for row in self._statement.rows}
        for found in self.findings:
            if found.blocks:
                named.add(found.row_number)
                yield LeftOut(found.row_number, found.account_number, months[found.row_number], found.problem)
        for (account, month), rows in self.left_out.items():
            for row in rows:
                if row.row_number not in named:
                    where = row.places["account_number"]
                    problem = Problem(where, _SIBLING.what, _SIBLING.how_to_fix)
                    yield LeftOut(row.row_number, account, month, problem)

    def result(self, *, dry_run: bool) -> ImportResult:
        """Return what was decided."""
        blocking = [one for one in self.findings if one.blocks]
        warnings = [one.problem for one in self.findings if not one.blocks]
        accounts = dict(self._statement.accounts)
        accounts |= {one.problem.where: one.account_number for one in blocking}
        return ImportResult(
            self._statement.name,
            self._statement.sha256,
            dry_run,
            tuple(self.added),
            tuple(self.revised),
            tuple(self.unchanged),
            (*self._statement.problems, *(one.problem for one in blocking)),
            (*self._statement.warnings, *warnings),
            {where: account for where, account in accounts.items() if account},
            frozenset(self.entering),
            frozenset(self.left_out) | self._statement.refused_accounts,
            tuple(self.findings),
        )


def _received_more(
    known: Known,
    station: Station,
    billed: tuple[str, list[StatementRow]],
    totals: Mapping[Component, int],
) -> list[Finding]:
    """A revision may not fall below what was received already."""
    month, rows = billed
    return [
        Finding(
            Check.RECEIVED,
            Problem(
                rows[0].places["electricity"],
                f"{station.name} {month} 修订后的应收小于已经到账的金额",
                "请先更正到账记录，再导入修订的结算单",
            ),
            rows[0].row_number,
            rows[0].line.account_number,
        )
        for component, total in totals.items()
        if known.received_fen(station.id, month, component) > max(total, 0)
    ]
