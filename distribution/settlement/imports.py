"""Importing grid statements: from read rows to settlements in revisions, with receivables by village.

Owns what a statement file changes. The same file again, or the same figures in another file, change
nothing; other figures for the same station and month are the next revision. A station and month with a
bad row is left out whole and reported; the others go in.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from distribution.money import split
from distribution.settlement.checks import (
    StationFacts,
    check_continuity,
    check_fees,
    check_hours,
    check_readings,
)
from distribution.settlement.reads import effective_settlement
from distribution.settlement.statements import StatementFile, StatementRow
from distribution.settlement.tables import (
    ReceiptRow,
    ReceivableRow,
    SettlementLineRow,
    SettlementRow,
    StatementFileRow,
)
from distribution.types import Component, SettlementLine
from registry.actors import Actor, Permission
from registry.stations import Station, revenue_meters, shares, stations
from store.canonical import content_hash
from store.periods import Period
from store.problem import Problem


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or would do in a dry run.

    `added`, `revised` and `unchanged` name settlements (or receipts) by id; `problems` kept rows out;
    `warnings` did not. `accounts` names the account number by the place of a problem, as far as it is known.
    `entering` and `left_out` are the account and month of the station months that go in, and of those with
    a bad row, which stay out whole.
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


def import_statement(
    session: Session, actor: Actor, statement: StatementFile, now: datetime, *, dry_run: bool = False
) -> ImportResult:
    """Check and import a read statement for the actor's stations; `dry_run` only tells what it would do.

    Raises NotPermittedError without the permission.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    batch = _Batch(session, actor, statement, now)
    for station, month, rows in batch.groups():
        batch.take(station, month, rows, dry_run=dry_run)
    if not dry_run:
        remember_file(session, actor, _file_facts(statement), now)
    problems = (*statement.problems, *batch.problems)
    accounts = {one.where: statement.accounts.get(one.where, "") for one in problems}
    return ImportResult(
        statement.name,
        statement.sha256,
        dry_run,
        tuple(batch.added),
        tuple(batch.revised),
        tuple(batch.unchanged),
        problems,
        tuple(batch.warnings),
        {where: account for where, account in accounts.items() if account},
        frozenset(batch.entering),
        frozenset(batch.left_out),
    )


@dataclass(frozen=True, slots=True)
class FileFacts:
    """An imported file: content hash, name, what it was read as, and how many rows were usable."""

    sha256: str
    name: str
    kind: str
    row_count: int


def _file_facts(statement: StatementFile) -> FileFacts:
    return FileFacts(statement.sha256, statement.name, "statement", len(statement.rows))


def remember_file(session: Session, actor: Actor, facts: FileFacts, now: datetime) -> None:
    """Record an imported file once for ever by its content hash and kind."""
    if session.get(StatementFileRow, (facts.sha256, facts.kind)) is None:
        session.add(
            StatementFileRow(
                sha256=facts.sha256,
                kind=facts.kind,
                name=facts.name,
                layout="",
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

    def __init__(self, session: Session, actor: Actor, statement: StatementFile, now: datetime) -> None:
        self._session, self._actor, self._statement, self._now = session, actor, statement, now
        self._stations = stations_by_account(session, actor)
        self._multipliers: dict[str, dict[str, int]] = defaultdict(dict)
        for meter in revenue_meters(session, actor):
            self._multipliers[meter.station_id][meter.meter_number] = meter.meter_multiplier
        self.added: list[str] = []
        self.revised: list[str] = []
        self.unchanged: list[str] = []
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.entering: set[tuple[str, str]] = set()
        self.left_out: set[tuple[str, str]] = set()

    def groups(self) -> Iterable[tuple[Station, str, list[StatementRow]]]:
        """Yield the usable rows by station and month; unknown accounts become problems."""
        grouped: dict[tuple[str, str], list[StatementRow]] = defaultdict(list)
        for row in self._statement.rows:
            grouped[(row.line.account_number, row.month)].append(row)
        for (account, month), rows in sorted(grouped.items()):
            station = self._stations.get(account)
            if station is None:
                self.problems += [unknown_account(one.places["account_number"], account) for one in rows]
            elif (account, month) in self._statement.refused_accounts:
                self.left_out.add((account, month))
            else:
                yield station, month, rows

    def take(self, station: Station, month: str, rows: list[StatementRow], *, dry_run: bool) -> None:
        """Check one station's month and import it unless something is wrong."""
        present = effective_settlement(self._session, station.id, month)
        facts = self._facts(station, month)
        wrong = _duplicates(rows) + check_hours(rows, facts)
        for row in rows:
            wrong += check_fees(row) + check_readings(row, facts)
            self.warnings += check_continuity(row, facts)
        lines = tuple(row.line for row in rows)
        digest = content_hash([station.id, month, lines])
        if present is not None and present.content_hash == digest:
            self.unchanged.append(present.id)
            return
        revision = 1 if present is None else present.revision + 1
        settlement_id = f"settlement:{station.id}:{month}:{revision}"
        totals = settlement_totals(lines)
        parts = _village_parts(self._session, station, month, totals)
        wrong += self._received_more(station, month, rows[0], totals)
        if wrong:
            self.problems += wrong
            self.left_out.add((rows[0].line.account_number, month))
            return
        self.entering.add((rows[0].line.account_number, month))
        (self.added if present is None else self.revised).append(settlement_id)
        if not dry_run:
            self._write((settlement_id, revision, digest), station, rows, parts)

    def _facts(self, station: Station, month: str) -> StationFacts:
        earlier = str(Period.parse(month).previous())
        last = effective_settlement(self._session, station.id, earlier)
        readings: dict[str, Decimal] = {}
        if last is not None:
            statement = select(SettlementLineRow).where(SettlementLineRow.settlement_id == last.id)
            for line in self._session.scalars(statement.order_by(SettlementLineRow.line_no)):
                readings[line.meter_number] = Decimal(line.current_reading)
        return StationFacts(station.name, station.rated_power_w, self._multipliers[station.id], readings)

    def _received_more(
        self, station: Station, month: str, row: StatementRow, totals: dict[Component, int]
    ) -> list[Problem]:
        """A revision may not fall below what was received already."""
        problems = []
        for component, total in totals.items():
            received = func.coalesce(func.sum(ReceiptRow.amount_fen), 0)
            statement = select(received).where(
                ReceiptRow.station_id == station.id,
                ReceiptRow.month == month,
                ReceiptRow.component == component.value,
            )
            if (self._session.scalar(statement) or 0) > max(total, 0):
                problems.append(
                    Problem(
                        row.places["electricity"],
                        f"{station.name} {month} 修订后的应收小于已经到账的金额",
                        "请先更正到账记录，再导入修订的结算单",
                    )
                )
        return problems

    def _write(
        self,
        name: tuple[str, int, str],
        station: Station,
        rows: list[StatementRow],
        parts: dict[Component, dict[str, int]],
    ) -> None:
        settlement_id, revision, digest = name
        totals = settlement_totals([row.line for row in rows])
        self._session.add(
            SettlementRow(
                id=settlement_id,
                station_id=station.id,
                month=rows[0].month,
                revision=revision,
                exported_energy_wh=sum(row.line.exported_energy_wh for row in rows),
                electricity_fen=totals[Component.ELECTRICITY],
                subsidy_fen=totals[Component.SUBSIDY],
                local_subsidy_fen=totals[Component.LOCAL_SUBSIDY],
                source=f"{self._statement.name} 第 {'、'.join(str(row.row_number) for row in rows)} 行",
                file_sha256=self._statement.sha256,
                content_hash=digest,
                recorded_at=self._now,
                recorded_by=self._actor.user_id,
            )
        )
        self._session.flush()
        self._session.execute(
            insert(SettlementLineRow), [_line_values(settlement_id, n, row) for n, row in enumerate(rows, 1)]
        )
        values = [
            {
                "settlement_id": settlement_id,
                "component": component.value,
                "village_code": village,
                "amount_fen": amount,
            }
            for component, amounts in parts.items()
            for village, amount in amounts.items()
        ]
        if values:
            self._session.execute(insert(ReceivableRow), values)


def settlement_totals(lines: Iterable[SettlementLine]) -> dict[Component, int]:
    """Return what the grid owes by component [fen]: electricity with adjustments and less withheld tax."""
    every = tuple(lines)
    return {
        Component.ELECTRICITY: sum(
            line.electricity_fen + line.adjustment_fen - line.tax_fen for line in every
        ),
        Component.SUBSIDY: sum(line.subsidy_fen for line in every),
        Component.LOCAL_SUBSIDY: sum(line.local_subsidy_fen for line in every),
    }


def _village_parts(
    session: Session, station: Station, month: str, totals: dict[Component, int]
) -> dict[Component, dict[str, int]]:
    """Split each component over the villages that own the station on the month's first day."""
    owners = shares(session, station.id, Period.parse(month).start)
    villages = [share.village_code for share in owners]
    weights = [share.weight for share in owners]
    return {
        component: dict(zip(villages, split(total, weights, villages), strict=True))
        for component, total in totals.items()
        if total
    }


def _duplicates(rows: list[StatementRow]) -> list[Problem]:
    seen: dict[tuple[str, str, Decimal], int] = {}
    problems = []
    for row in rows:
        key = (row.line.meter_number, row.line.tariff_window, row.line.previous_reading)
        if key in seen:
            problems.append(
                Problem(
                    row.places["account_number"],
                    f"与第 {seen[key]} 行重复（同一户号、月份、电表和时段）",
                    "请删去重复的一行",
                )
            )
        seen.setdefault(key, row.row_number)
    return problems


def _line_values(settlement_id: str, number: int, row: StatementRow) -> dict[str, object]:
    values: dict[str, object] = {one.name: getattr(row.line, one.name) for one in fields(row.line)}
    for name in ("previous_reading", "current_reading", "electricity_price", "subsidy_price"):
        values[name] = f"{values[name]:f}"
    place = row.places["exported_energy"]
    return values | {"settlement_id": settlement_id, "line_no": number, "place": place}
