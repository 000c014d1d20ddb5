"""Runs: versions of a distribution, frozen from the moment they are computed.

Owns the creation of versions, the change of states, and the reads of runs. It computes nothing: it is
handed an allocation with the inputs that it came from, and freezes both by their hashes.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, insert, select, text
from sqlalchemy.orm import Session

from distribution.approval.frozen import thaw
from distribution.approval.nettings import write_nettings
from distribution.approval.states import BOOKED, ENDED, STATE_NAMES, TRANSITIONS, RunState
from distribution.approval.tables import (
    AllocationLineRow,
    LineExplanationRow,
    RunEventRow,
    RunInputRow,
    RunRow,
)
from distribution.types import Allocation, AllocationLine, PayeeKind, PlanInput
from registry.actors import Actor, Permission, in_area
from store.canonical import canonical_json, joined, text_hash

# What every step of every run asks. Made once: to build such a statement takes longer than to run it.
_ENDED = [state.value for state in ENDED]
_LIVE = (
    select(RunRow)
    .where(
        RunRow.book == bindparam("book"),
        RunRow.period == bindparam("period"),
        RunRow.kind == bindparam("kind"),
        RunRow.state.not_in(_ENDED),
    )
    .order_by(RunRow.version.desc())
    .limit(1)
)
_USED = (
    select(RunInputRow.source_id)
    .join(RunRow, RunRow.id == RunInputRow.run_id)
    .where(
        RunRow.book == bindparam("book"),
        RunInputRow.source_table == bindparam("source_table"),
        RunRow.state.not_in(_ENDED),
    )
)
_LAST_EVENT = select(func.max(RunEventRow.seq)).where(RunEventRow.run_id == bindparam("run_id"))
_INSERT_EVENT = insert(RunEventRow)


class ApprovalError(ValueError):
    """A step of approval cannot be taken as asked."""


class StaleVersionError(ApprovalError):
    """The decision was about another content than the run now has."""


class WrongStateError(ApprovalError):
    """The run stands where this step cannot be taken."""


@dataclass(frozen=True, slots=True)
class RunInput:
    """One record that a run is computed from: its table, id, and hash at that time."""

    source_table: str
    source_id: str
    source_hash: str = ""


@dataclass(frozen=True, slots=True)
class RunDraft:
    """A computed distribution that is to become a version of a run."""

    book: str
    period: str
    kind: str
    plan_hash: str
    inputs: PlanInput
    allocation: Allocation
    sources: tuple[RunInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A version of a distribution as lists show it; `amount_fen` is the sum of its lines."""

    id: str
    book: str
    village_code: str
    period: str
    kind: str
    version: int
    supersedes: str | None
    plan_id: str
    plan_version: int
    plan_hash: str
    input_hash: str
    content_hash: str
    amount_fen: int
    household_count: int
    state: RunState
    made_at: datetime
    made_by: str

    @property
    def state_name(self) -> str:
        """The state in Chinese."""
        return STATE_NAMES[self.state]


@dataclass(frozen=True, slots=True)
class Change:
    """A state to move to, why, and the documents (SHA-256 of attachments, comma-separated) that prove it."""

    state: RunState
    reason: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class RunEvent:
    """A change of state: when, by whom, why, and with which documents (SHA-256 of attachments)."""

    state: RunState
    at: datetime
    by: str
    by_name: str
    reason: str
    evidence: str


def frozen_hashes(head: tuple[str, str, str, str], inputs: str, allocation: str) -> tuple[str, str]:
    """Return the input hash and the content hash of a run that is kept as canonical JSON texts.

    `head` is (book, period, kind, plan hash). The content hash is what votes and notices bind to: allocation,
    inputs and plan together. It is taken of the texts as they are kept, so that what an older program froze
    keeps its hash, whatever a newer one would write.
    """
    input_hash = text_hash(inputs)
    parts = [canonical_json(part) for part in (*head, input_hash)]
    return input_hash, text_hash(joined([*parts, allocation]))


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A draft as it is kept: the canonical texts, each made once, and their hashes."""

    inputs: str
    allocation: str
    input_hash: str
    content_hash: str

    @classmethod
    def of(cls, draft: RunDraft) -> "_Frozen":
        inputs, allocation = canonical_json(draft.inputs), canonical_json(draft.allocation)
        head = (draft.book, draft.period, draft.kind, draft.plan_hash)
        return cls(inputs, allocation, *frozen_hashes(head, inputs, allocation))


def content_hash_of(draft: RunDraft) -> str:
    """Return the content hash that a draft would be frozen with."""
    return _Frozen.of(draft).content_hash


def compute_run(session: Session, actor: Actor, draft: RunDraft, now: datetime) -> Run:
    """Freeze a distribution as the next version and return it; the same content again is the same run.

    The version before is superseded. Raises WrongStateError when that one is booked already.
    """
    actor.require(Permission.COMPUTE_RUN)
    _require_area(actor, draft.book)
    _lock(session, f"run|{draft.book}|{draft.period}|{draft.kind}")
    present = live_run(session, draft.book, draft.period, draft.kind)
    if present is not None and present.state in BOOKED and draft.kind != "regular":
        # Of top-ups and corrections a month may have several, one after the other.
        present = None
    frozen = _Frozen.of(draft)
    if present is not None and present.content_hash == frozen.content_hash:
        return present
    if present is not None and present.state in BOOKED:
        raise WrongStateError(f"{draft.book} {draft.period} 已记账，更正请另建更正批次")
    if present is not None:
        superseded = Change(RunState.SUPERSEDED, "测算有变化，已生成新版本")
        move(session, actor, present.id, superseded, now)
    last = select(func.max(RunRow.version)).where(
        RunRow.book == draft.book, RunRow.period == draft.period, RunRow.kind == draft.kind
    )
    version = (session.scalar(last) or 0) + 1
    row = _row(draft, version, frozen)
    row.supersedes = present.id if present is not None else None
    row.made_at, row.made_by = now, actor.user_id
    session.add(row)
    session.flush()
    _write_parts(session, row.id, draft)
    write_nettings(session, row.id, draft.allocation.nettings)
    _add_event(session, actor, row.id, Change(RunState.COMPUTED), now)
    return _record(row)


def _row(draft: RunDraft, version: int, frozen: _Frozen) -> RunRow:
    lines = draft.allocation.lines
    return RunRow(
        id=f"run:{draft.book}:{draft.period}:{draft.kind}:{version}",
        book=draft.book,
        village_code=draft.allocation.village_code,
        period=draft.period,
        kind=draft.kind,
        version=version,
        plan_id=draft.allocation.plan_id,
        plan_version=draft.allocation.plan_version,
        plan_hash=draft.plan_hash,
        input_hash=frozen.input_hash,
        content_hash=frozen.content_hash,
        inputs=frozen.inputs,
        content=frozen.allocation,
        amount_fen=sum(line.amount_fen for line in lines),
        household_count=len(
            {
                line.payee_id
                for line in lines
                if line.payee_kind in {PayeeKind.HOUSEHOLD, PayeeKind.PERSON} and line.amount_fen
            }
        ),
        state=RunState.COMPUTED.value,
    )


def _write_parts(session: Session, run_id: str, draft: RunDraft) -> None:
    lines = draft.allocation.lines
    values = [_line_values(run_id, line) for line in lines]
    steps = [
        {
            "run_id": run_id,
            "line_no": line.line_no,
            "step_no": number,
            "label": step.label,
            "formula": step.formula,
            "inputs": canonical_json(step.inputs),
            "exact": str(step.exact),
            "amount_fen": step.amount_fen,
            "clause": step.clause,
        }
        for line in lines
        for number, step in enumerate(line.explanation, start=1)
    ]
    sources = [
        {
            "run_id": run_id,
            "source_table": one.source_table,
            "source_id": one.source_id,
            "source_hash": one.source_hash,
        }
        for one in draft.sources
    ]
    for table, rows in ((AllocationLineRow, values), (LineExplanationRow, steps), (RunInputRow, sources)):
        if rows:
            session.connection().execute(insert(table.__table__), rows)  # type: ignore[arg-type]


def _line_values(run_id: str, line: AllocationLine) -> dict[str, object]:
    return {
        "run_id": run_id,
        "line_no": line.line_no,
        "purse": line.purse,
        "payee_kind": line.payee_kind.value,
        "payee_id": line.payee_id,
        "amount_fen": line.amount_fen,
        "weight": str(line.weight),
    }


def move(session: Session, actor: Actor, run_id: str, change: Change, now: datetime) -> None:
    """Move a run to a state and record who did it; moving it to where it is changes nothing.

    Raises WrongStateError for a transition that does not exist.
    """
    row = _own(session, actor, run_id, lock=True)
    present = RunState(row.state)
    if present is change.state:
        return
    if (present, change.state) not in TRANSITIONS:
        raise WrongStateError(
            f"{row.book} {row.period} 现为“{STATE_NAMES[present]}”，不能改为“{STATE_NAMES[change.state]}”"
        )
    row.state = change.state.value
    session.flush()
    _add_event(session, actor, run_id, change, now)


def submit(session: Session, actor: Actor, run_id: str, digest: str, now: datetime) -> Run:
    """Submit a computed run for the village: who does this is a maker, and votes at no gate.

    Raises StaleVersionError when `digest` is not the run's content hash.
    """
    if not actor.may(Permission.VOTE_VILLAGE):
        actor.require(Permission.COMPUTE_RUN)
    row = _own(session, actor, run_id, lock=True)
    require_content(row, digest)
    move(session, actor, run_id, Change(RunState.VILLAGE_SUBMITTED), now)
    return _record(row)


def require_content(row: RunRow, digest: str) -> None:
    """Raise StaleVersionError unless a decision is about the run's present content."""
    if row.content_hash != digest:
        raise StaleVersionError(
            f"{row.book} {row.period} 第 {row.version} 版内容已不是您看到的那一份，请刷新页面后重新核对"
        )


def run(session: Session, actor: Actor, run_id: str) -> Run | None:
    """Return a run of the actor's area, or None."""
    actor.require(Permission.VIEW_MONEY)
    row = session.get(RunRow, run_id)
    return _record(row) if row is not None and actor.covers(row.book) else None


def runs(
    session: Session, actor: Actor, *, period: str = "", book: str = "", live_only: bool = True
) -> tuple[Run, ...]:
    """Return runs of the actor's area by period, village and version; ended versions only when asked."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(RunRow).where(in_area(actor, RunRow.book))
    if period:
        statement = statement.where(RunRow.period == period)
    if book:
        statement = statement.where(RunRow.book == book)
    if live_only:
        statement = statement.where(RunRow.state.not_in([state.value for state in ENDED]))
    order = (RunRow.period, RunRow.book, RunRow.kind, RunRow.version)
    return tuple(_record(row) for row in session.scalars(statement.order_by(*order)))


def live_run(session: Session, book: str, period: str, kind: str = "regular") -> Run | None:
    """Return the version that counts, or None; unscoped, for the conductor's own use."""
    row = session.scalar(_LIVE, {"book": book, "period": period, "kind": kind})
    return None if row is None else _record(row)


def allocation_of(session: Session, actor: Actor, run_id: str) -> Allocation:
    """Return the frozen allocation of a run; raises LookupError outside the actor's area."""
    actor.require(Permission.VIEW_MONEY)
    return thaw(_own(session, actor, run_id).content, Allocation)


def inputs_of(session: Session, actor: Actor, run_id: str) -> PlanInput:
    """Return the frozen inputs of a run; raises LookupError outside the actor's area."""
    actor.require(Permission.VIEW_MONEY)
    return thaw(_own(session, actor, run_id).inputs, PlanInput)


def sources_of(session: Session, run_id: str) -> tuple[RunInput, ...]:
    """Return the records that a run was computed from."""
    statement = select(RunInputRow).where(RunInputRow.run_id == run_id)
    rows = session.scalars(statement.order_by(RunInputRow.source_table, RunInputRow.source_id))
    return tuple(RunInput(row.source_table, row.source_id, row.source_hash) for row in rows)


def events_of(session: Session, actor: Actor, run_id: str) -> tuple[RunEvent, ...]:
    """Return what happened to a run, in order."""
    _own(session, actor, run_id)
    rows = session.scalars(select(RunEventRow).where(RunEventRow.run_id == run_id).order_by(RunEventRow.seq))
    return tuple(
        RunEvent(
            RunState(row.state), row.changed_at, row.changed_by, row.changed_name, row.reason, row.evidence
        )
        for row in rows
    )


def used_sources(session: Session, book: str, table: str) -> frozenset[str]:
    """Return the ids of records of a table that a live run of a book counts already; unscoped."""
    return frozenset(session.scalars(_USED, {"book": book, "source_table": table}))


def lines_of_payee(session: Session, actor: Actor, payee_id: str) -> tuple[tuple[str, int], ...]:
    """Return (run id, line number) of every line that pays somebody, in live runs of the actor's area."""
    statement = (
        select(AllocationLineRow.run_id, AllocationLineRow.line_no)
        .join(RunRow, RunRow.id == AllocationLineRow.run_id)
        .where(
            AllocationLineRow.payee_id == payee_id,
            in_area(actor, RunRow.book),
            RunRow.state.not_in([state.value for state in ENDED]),
        )
        .order_by(RunRow.period, RunRow.version, AllocationLineRow.line_no)
    )
    return tuple((row[0], row[1]) for row in session.execute(statement))


def _own(session: Session, actor: Actor, run_id: str, *, lock: bool = False) -> RunRow:
    on_server = session.get_bind().dialect.name == "postgresql"
    row = session.get(
        RunRow, run_id, with_for_update=lock and on_server, populate_existing=lock and on_server
    )
    if row is None or not actor.covers(row.book):
        raise LookupError(f"{actor.name} 的辖区内没有分配批次 {run_id}")
    return row


def _require_area(actor: Actor, book: str) -> None:
    if not actor.covers(book):
        raise PermissionError(f"{book} 不在 {actor.name} 的辖区内")


def _lock(session: Session, name: str) -> None:
    """Let one transaction at a time decide about a name; on SQLite every writer already waits."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": name})


def _add_event(session: Session, actor: Actor, run_id: str, change: Change, now: datetime) -> None:
    last = session.scalar(_LAST_EVENT, {"run_id": run_id})
    values = {
        "run_id": run_id,
        "seq": (last or 0) + 1,
        "state": change.state.value,
        "changed_at": now,
        "changed_by": actor.user_id,
        "changed_name": actor.name,
        "reason": change.reason,
        "evidence": change.evidence,
    }
    session.execute(_INSERT_EVENT, values)


def _record(row: RunRow) -> Run:
    return Run(
        row.id,
        row.book,
        row.village_code,
        row.period,
        row.kind,
        row.version,
        row.supersedes,
        row.plan_id,
        row.plan_version,
        row.plan_hash,
        row.input_hash,
        row.content_hash,
        row.amount_fen,
        row.household_count,
        RunState(row.state),
        row.made_at,
        row.made_by,
    )


def own_row(session: Session, actor: Actor, run_id: str, *, lock: bool = False) -> RunRow:
    """Return a run's row, locked where it is to be changed, for the other modules of this room.

    Raises LookupError outside the actor's area.
    """
    return _own(session, actor, run_id, lock=lock)


def as_run(row: RunRow) -> Run:
    """Return the record of a row, for the other modules of this room."""
    return _record(row)
