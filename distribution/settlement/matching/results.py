"""Match results as they are kept: written in revisions, read within the actor's area, and line by line.

Owns the records of what a match came to, and the proof that every line of every bill ended matched,
excepted or ignored with a reason. What a match comes to is `judging`'s.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Table, func, insert, select
from sqlalchemy.orm import Session

from distribution.settlement.matching.evidence import PPM, Evidence
from distribution.settlement.matching.judging import MATCHED, WAITING, Difference, Verdict
from distribution.settlement.matching.tables import DiscrepancyEventRow, MatchFindingRow, MatchResultRow
from distribution.settlement.tables import (
    DiscrepancyResolutionRow,
    DiscrepancyRow,
    SettlementLineRow,
    SettlementRow,
)
from registry.actors import Actor, Permission
from registry.stations import StationRow, station_in_area
from store.canonical import content_hash
from store.db import new_id

FATES = {"matched": "相符", "excepted": "有差异", "ignored": "不再处理", "waiting": "未比对"}
_IDS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class MatchResult:
    """A station's month from inverter to bank; energies [Wh] and amounts [fen], None is not known."""

    id: str
    station_id: str
    month: str
    revision: int
    state: str
    settlement_id: str | None
    inverter_wh: int | None
    completeness_ppm: int
    estimated_wh: int
    meter_wh: int | None
    meter_source: str
    billed_wh: int | None
    billed_fen: int
    received_fen: int
    loss_ppm: int
    loss_months: int
    curtailed_wh: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class LineFate:
    """What became of one line of a bill, as `FATES` names it, and why."""

    settlement_id: str
    station_id: str
    line_no: int
    account_number: str
    fate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Who looks after new differences, and until when."""

    name: str
    due_on: date


@dataclass(frozen=True, slots=True)
class Newest:
    """What the next match must know of the last one of a station and month."""

    station_id: str
    id: str
    revision: int
    state: str
    settlement_id: str | None
    inverter_wh: int | None
    billed_wh: int | None
    loss_ppm: int
    curtailed_wh: int
    basis_hash: str


def newest_results(session: Session, station_ids: Collection[str], month: str) -> dict[str, Newest]:
    """Return the newest revision of each station's match of a month; unscoped, for the rooms' own use."""
    found: dict[str, Newest] = {}
    ids = list(station_ids)
    columns = [getattr(MatchResultRow, one.name) for one in fields(Newest)]
    for start in range(0, len(ids), _IDS_AT_ONCE):
        statement = select(*columns).where(
            MatchResultRow.month == month,
            MatchResultRow.station_id.in_(ids[start : start + _IDS_AT_ONCE]),
        )
        for row in session.execute(statement.order_by(MatchResultRow.revision)):
            found[row[0]] = Newest(*row)
    return found


def write_results(
    session: Session,
    actor: Actor,
    judged: Sequence[tuple[Evidence, Verdict]],
    owner: Owner,
    now: datetime,
) -> tuple[str, ...]:
    """Keep the results of one month that are new; returns the ids of the differences that are.

    A result whose figures and differences are those of the newest revision writes nothing.
    """
    if not judged:
        return ()
    month = judged[0][0].month
    ids = [evidence.station_id for evidence, _ in judged]
    before = newest_results(session, ids, month)
    known = _Known(session, ids, month)
    written = _Written(actor, owner, now)
    for evidence, verdict in judged:
        last = before.get(evidence.station_id)
        values = _values(evidence, verdict)
        if last is not None and last.basis_hash == values["basis_hash"]:
            continue
        if last is None and verdict.state == WAITING and evidence.measured.energy_wh is None:
            continue
        written.add(values, 1 if last is None else last.revision + 1, verdict.differences, known)
    written.store(session)
    return tuple(one["id"] for one in written.differences)


class _Known:
    """The differences of a month that are recorded already."""

    def __init__(self, session: Session, station_ids: Sequence[str], month: str) -> None:
        self._same: dict[tuple[str, str, str], str] = {}
        self._resolved: dict[tuple[str, str, tuple[str, ...]], str] = {}
        wanted = set(station_ids)
        statement = (
            select(DiscrepancyRow, DiscrepancyResolutionRow.outcome)
            .outerjoin(DiscrepancyResolutionRow, DiscrepancyResolutionRow.discrepancy_id == DiscrepancyRow.id)
            .where(DiscrepancyRow.month == month)
        )
        for row, outcome in session.execute(statement):
            if row.station_id not in wanted:
                continue
            self._same[row.station_id, row.kind, row.basis_hash] = row.id
            if outcome is not None:
                figures = (f"{row.expected}", f"{row.found}") if row.unit else (row.text,)
                self._resolved[row.station_id, row.kind, figures] = row.id

    def of(self, one: Difference) -> str | None:
        """Return the recorded difference: settled by a person with these figures, or the very same."""
        settled = self._resolved.get((one.station_id, one.kind, one.figures))
        return settled or self._same.get((one.station_id, one.kind, one.basis))


class _Written:
    """Rows of one month's results on their way into the database."""

    def __init__(self, actor: Actor, owner: Owner, now: datetime) -> None:
        self._stamp = {"recorded_at": now, "recorded_by": actor.user_id}
        self._owner = owner
        self.results: list[dict[str, Any]] = []
        self.findings: list[dict[str, Any]] = []
        self.differences: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def add(
        self,
        values: dict[str, Any],
        revision: int,
        differences: Sequence[Difference],
        known: _Known,
    ) -> None:
        """Take one result with its differences; a difference that is known is only linked."""
        result_id = f"match:{values['station_id']}:{values['month']}:{revision}"
        self.results.append(values | {"id": result_id, "revision": revision} | self._stamp)
        for one in differences:
            found = known.of(one) or self._new(one)
            self.findings.append({"match_id": result_id, "discrepancy_id": found})

    def _new(self, one: Difference) -> str:
        discrepancy_id = new_id("discrepancy")
        self.differences.append(
            {
                "id": discrepancy_id,
                "station_id": one.station_id,
                "month": one.month,
                "kind": one.kind,
                "expected": one.expected,
                "found": one.found,
                "unit": one.unit,
                "text": one.text,
                "cause": one.cause,
                "basis_hash": one.basis,
            }
            | self._stamp
        )
        event = {"discrepancy_id": discrepancy_id, "seq": 1, "owner": self._owner.name}
        self.events.append(event | {"due_on": self._owner.due_on, "note": ""} | self._stamp)
        return discrepancy_id

    def store(self, session: Session) -> None:
        """Insert everything."""
        for table, values in (
            (MatchResultRow, self.results),
            (DiscrepancyRow, self.differences),
            (MatchFindingRow, self.findings),
            (DiscrepancyEventRow, self.events),
        ):
            if values:
                session.execute(insert(cast(Table, table.__table__)), values)


def _values(evidence: Evidence, verdict: Verdict) -> dict[str, Any]:
    measured, bill = evidence.measured, evidence.bill
    values: dict[str, Any] = {
        "station_id": evidence.station_id,
        "month": evidence.month,
        "state": verdict.state,
        "settlement_id": None if bill is None else bill.id,
        "inverter_wh": measured.energy_wh,
        "completeness_ppm": measured.completeness_ppm if measured.energy_wh is not None else 0,
        "estimated_wh": measured.estimated_wh,
        "meter_wh": None if evidence.metered is None else evidence.metered.energy_wh,
        "meter_source": "" if evidence.metered is None else evidence.metered.source,
        "billed_wh": None if bill is None else bill.exported_energy_wh,
        "billed_fen": evidence.money.billed_fen,
        "received_fen": evidence.money.received_fen,
        "loss_ppm": int(evidence.loss.share * PPM),
        "loss_months": evidence.loss.months,
        "curtailed_wh": evidence.curtailed_wh,
    }
    said = sorted([one.kind, one.basis] for one in verdict.differences)
    return values | {"basis_hash": content_hash([values, said])}


def match_results(
    session: Session, actor: Actor, *, month: str = "", station_id: str = ""
) -> tuple[MatchResult, ...]:
    """Return the newest match of each of the actor's stations and months, by month and station."""
    actor.require(Permission.VIEW_MONEY)
    newest = (
        select(
            MatchResultRow.station_id, MatchResultRow.month, func.max(MatchResultRow.revision).label("last")
        )
        .group_by(MatchResultRow.station_id, MatchResultRow.month)
        .subquery()
    )
    statement = (
        select(MatchResultRow)
        .join(StationRow, StationRow.id == MatchResultRow.station_id)
        .join(
            newest,
            (newest.c.station_id == MatchResultRow.station_id)
            & (newest.c.month == MatchResultRow.month)
            & (newest.c.last == MatchResultRow.revision),
        )
        .where(station_in_area(actor))
        .order_by(MatchResultRow.month, MatchResultRow.station_id)
    )
    if month:
        statement = statement.where(MatchResultRow.month == month)
    if station_id:
        statement = statement.where(MatchResultRow.station_id == station_id)
    return tuple(_result(row) for row in session.scalars(statement))


def _result(row: MatchResultRow) -> MatchResult:
    return MatchResult(**{name: getattr(row, name) for name in MatchResult.__slots__})


def line_fates(session: Session, actor: Actor, month: str) -> tuple[LineFate, ...]:
    """Return what became of every line of every bill of a month, within the actor's area."""
    actor.require(Permission.VIEW_MONEY)
    newest = (
        select(SettlementRow.station_id, func.max(SettlementRow.revision).label("last"))
        .where(SettlementRow.month == month)
        .group_by(SettlementRow.station_id)
        .subquery()
    )
    statement = (
        select(SettlementLineRow, SettlementRow.station_id)
        .join(SettlementRow, SettlementRow.id == SettlementLineRow.settlement_id)
        .join(StationRow, StationRow.id == SettlementRow.station_id)
        .join(
            newest,
            (newest.c.station_id == SettlementRow.station_id) & (newest.c.last == SettlementRow.revision),
        )
        .where(SettlementRow.month == month, station_in_area(actor))
        .order_by(SettlementLineRow.settlement_id, SettlementLineRow.line_no)
    )
    rows = session.execute(statement).all()
    results = newest_results(session, {row[1] for row in rows}, month)
    outcomes = _outcomes(session, month)
    return tuple(
        LineFate(
            line.settlement_id,
            station_id,
            line.line_no,
            line.account_number,
            *_fate(results.get(station_id), line.settlement_id, outcomes),
        )
        for line, station_id in rows
    )


def _outcomes(session: Session, month: str) -> Mapping[str, list[tuple[str, str]]]:
    """Return the outcome and reason of each difference of a month's results; empty while it is open."""
    statement = (
        select(
            MatchFindingRow.match_id,
            DiscrepancyResolutionRow.outcome,
            DiscrepancyResolutionRow.reason,
            DiscrepancyRow.text,
        )
        .join(MatchResultRow, MatchResultRow.id == MatchFindingRow.match_id)
        .join(DiscrepancyRow, DiscrepancyRow.id == MatchFindingRow.discrepancy_id)
        .outerjoin(DiscrepancyResolutionRow, DiscrepancyResolutionRow.discrepancy_id == DiscrepancyRow.id)
        .where(MatchResultRow.month == month)
    )
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for match_id, outcome, reason, text in session.execute(statement):
        found[match_id].append((outcome or "", reason or text))
    return found


def _fate(
    result: Newest | None, settlement_id: str, outcomes: Mapping[str, list[tuple[str, str]]]
) -> tuple[str, str]:
    """Return a line's fate and reason; a match of an earlier revision says nothing of this one."""
    if result is None or result.settlement_id != settlement_id:
        return "waiting", "这张结算单还没有比对"
    if result.state == WAITING:
        return "waiting", "月份还没有结束"
    found = outcomes.get(result.id, [])
    open_ones = [reason for outcome, reason in found if not outcome]
    if open_ones:
        return "excepted", "；".join(open_ones)
    reasons = "；".join(reason for _, reason in found)
    if any(outcome == "ignored" for outcome, _ in found):
        return "ignored", reasons
    return MATCHED, reasons
