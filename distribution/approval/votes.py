"""Votes at the gates of a run: who decided what about which content.

Owns the casting of votes and the passing of gates. The database itself refuses a maker's vote, a second
vote of one person at any gate, and a vote on another content.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.approval.runs import (
    ApprovalError,
    Change,
    Run,
    WrongStateError,
    as_run,
    move,
    own_row,
    require_content,
)
from distribution.approval.states import (
    GATE_NAMES,
    GATE_PERMISSIONS,
    GATE_STATES,
    STATE_NAMES,
    RunState,
    next_gate,
    route,
)
from distribution.approval.tables import RunEventRow, RunRow, VoteRow
from registry.actors import Actor, Permission

_APPROVAL_FIRST = '{"approval":'
_DECODER = json.JSONDecoder()
VOTES_NEEDED = {"village": 1, "township": 1, "county": 1}


class MakerIsCheckerError(ApprovalError):
    """Who computed or submitted a run may not vote on it."""


class VotedAlreadyError(ApprovalError):
    """The person has voted on this run at another gate, or otherwise."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """A decision (`approve`, `return`, `reject`) on a content; `evidence` are SHA-256 of attachments."""

    content_hash: str
    decision: str = "approve"
    reason: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote that was cast."""

    run_id: str
    gate: str
    voter_id: str
    voter_name: str
    decision: str
    content_hash: str
    reason: str
    evidence: str
    at: datetime

    @property
    def gate_name(self) -> str:
        """The gate in Chinese."""
        return GATE_NAMES[self.gate]


def gates_of(row: RunRow) -> tuple[str, ...]:
    """Return the gates of a run, as its frozen allocation names them."""
    content = row.content
    if content.startswith(_APPROVAL_FIRST):
        # The keys of a frozen allocation are sorted: its terms of approval stand first, before every line.
        terms, _end = _DECODER.raw_decode(content, len(_APPROVAL_FIRST))
    else:
        terms = json.loads(content)["approval"]
    return tuple(terms["gates"])


def waiting_gate(session: Session, actor: Actor, run_id: str) -> str | None:
    """Return the gate that a run waits at, `submit` before the first, or None when there is none left."""
    row = own_row(session, actor, run_id)
    state = RunState(row.state)
    return "submit" if state is RunState.COMPUTED else next_gate(gates_of(row), state)


def route_of(session: Session, actor: Actor, run_id: str) -> tuple[str, ...]:
    """Return the gates of a run in order, the notice among them."""
    return route(gates_of(own_row(session, actor, run_id)))


def vote(session: Session, actor: Actor, run_id: str, ballot: Ballot, now: datetime) -> Run:
    """Cast the actor's vote at the gate where a run stands, and pass the gate when votes suffice.

    The same vote again returns the run as it is. Raises StaleVersionError, WrongStateError,
    MakerIsCheckerError, VotedAlreadyError, and NotPermittedError for another gate's right.
    """
    row = own_row(session, actor, run_id, lock=True)
    earlier = session.scalar(
        select(VoteRow).where(VoteRow.run_id == run_id, VoteRow.voter_id == actor.user_id)
    )
    if earlier is not None:
        return _again(row, earlier, ballot)
    require_content(row, ballot.content_hash)
    gate = next_gate(gates_of(row), RunState(row.state))
    if gate is None or gate not in GATE_PERMISSIONS:
        raise WrongStateError(
            f"{row.book} {row.period} 现为“{STATE_NAMES[RunState(row.state)]}”，这一步没有待办的审批"
        )
    actor.require(GATE_PERMISSIONS[gate])
    _require_checker(session, actor, row)
    if ballot.decision != "approve" and not ballot.reason.strip():
        raise ApprovalError("退回或否决须写明原因")
    _write(session, actor, (row, gate, ballot), now)
    _pass_gate(session, actor, row, gate, now)
    return as_run(row)


def _again(row: RunRow, earlier: VoteRow, ballot: Ballot) -> Run:
    if earlier.decision == ballot.decision and earlier.content_hash == ballot.content_hash:
        return as_run(row)
    raise VotedAlreadyError(
        f"{earlier.voter_name} 已在“{GATE_NAMES[earlier.gate]}”作过决定，同一批次不能再次表决"
    )


def _require_checker(session: Session, actor: Actor, row: RunRow) -> None:
    submitters = session.scalars(
        select(RunEventRow.changed_by).where(
            RunEventRow.run_id == row.id, RunEventRow.state == RunState.VILLAGE_SUBMITTED.value
        )
    )
    if actor.user_id in {row.made_by, *submitters}:
        raise MakerIsCheckerError(f"{actor.name} 是本批次的测算人或提交人，须由他人审核")


def _write(session: Session, actor: Actor, what: tuple[RunRow, str, Ballot], now: datetime) -> None:
    row, gate, ballot = what
    session.add(
        VoteRow(
            run_id=row.id,
            gate=gate,
            voter_id=actor.user_id,
            voter_name=actor.name,
            decision=ballot.decision,
            content_hash=ballot.content_hash,
            reason=ballot.reason,
            evidence=",".join(ballot.evidence),
            at=now,
        )
    )
    session.flush()


def _pass_gate(session: Session, actor: Actor, row: RunRow, gate: str, now: datetime) -> None:
    cast = session.scalars(select(VoteRow).where(VoteRow.run_id == row.id, VoteRow.gate == gate)).all()
    against = [one for one in cast if one.decision != "approve"]
    if against:
        state = RunState.REJECTED if against[0].decision == "reject" else RunState.REVISION_REQUESTED
        move(session, actor, row.id, Change(state, against[0].reason), now)
    elif len(cast) >= VOTES_NEEDED[gate]:
        evidence = ",".join(one.evidence for one in cast if one.evidence)
        move(session, actor, row.id, Change(GATE_STATES[gate], "", evidence), now)


def votes_of(session: Session, actor: Actor, run_id: str) -> tuple[Vote, ...]:
    """Return the votes on a run in the order in which they were cast."""
    actor.require(Permission.VIEW_MONEY)
    own_row(session, actor, run_id)
    rows = session.scalars(select(VoteRow).where(VoteRow.run_id == run_id).order_by(VoteRow.at, VoteRow.gate))
    return tuple(
        Vote(
            row.run_id,
            row.gate,
            row.voter_id,
            row.voter_name,
            row.decision,
            row.content_hash,
            row.reason,
            row.evidence,
            row.at,
        )
        for row in rows
    )
