"""Votes at the gates of a run: who decided what about which content.

Owns the casting of votes and the passing of gates. The database itself refuses a maker's vote, a second
vote of one person at any gate, and a vote on another content.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
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
from distribution.approval.tables import AllocationLineRow, RunEventRow, RunRow, VoteRow
from distribution.approval.voting.delegations import Delegation, delegation_for
from distribution.approval.voting.tables import VoteProxyRow
from registry.actors import Actor, NotPermittedError, Permission
from registry.users import holders
from store.periods import local_date

_APPROVAL_FIRST = '{"approval":'
_DECODER = json.JSONDecoder()


class MakerIsCheckerError(ApprovalError):
    """Who computed or submitted a run may not vote on it."""


class VotedAlreadyError(ApprovalError):
    """The person has voted on this run at another gate, or otherwise."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """A decision (`approve`, `return`, `reject`) on a content; `evidence` are SHA-256 of attachments.

    `for_user` names whose delegate the voter is, where he votes in another's name.
    """

    content_hash: str
    decision: str = "approve"
    reason: str = ""
    evidence: tuple[str, ...] = ()
    for_user: str = ""


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
    delegator_id: str = ""

    @property
    def gate_name(self) -> str:
        """The gate in Chinese."""
        return GATE_NAMES[self.gate]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many have agreed at the gate where a run waits, and how many must."""

    gate: str
    cast: int
    needed: int


def gates_of(row: RunRow) -> tuple[str, ...]:
    """Return the gates of a run, as its frozen allocation names them."""
    return tuple(_terms(row)["gates"])


def _terms(row: RunRow) -> dict[str, Any]:
    content = row.content
    if content.startswith(_APPROVAL_FIRST):
        # The keys of a frozen allocation are sorted: its terms of approval stand first, before every line.
        terms, _end = _DECODER.raw_decode(content, len(_APPROVAL_FIRST))
    else:
        terms = json.loads(content)["approval"]
    found: dict[str, Any] = terms
    return found


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

    Who lacks the gate's right votes under a delegation, in the delegator's name. The same vote again returns
    the run as it is. Raises StaleVersionError, WrongStateError, MakerIsCheckerError, VotedAlreadyError, and
    NotPermittedError for another gate's right.
    """
    row = own_row(session, actor, run_id, lock=True)
    earlier = session.scalar(
        select(VoteRow).where(VoteRow.run_id == run_id, VoteRow.voter_id == actor.user_id)
    )
    if earlier is not None:
        return _again(session, row, earlier, ballot)
    require_content(row, ballot.content_hash)
    gate = next_gate(gates_of(row), RunState(row.state))
    if gate is None or gate not in GATE_PERMISSIONS:
        raise WrongStateError(
            f"{row.book} {row.period} 现为“{STATE_NAMES[RunState(row.state)]}”，这一步没有待办的审批"
        )
    given = _delegation(session, actor, (row, gate, ballot), now)
    _require_checker(session, actor, row, given)
    if ballot.decision != "approve" and not ballot.reason.strip():
        raise ApprovalError("退回或否决须写明原因")
    _write(session, actor, (row, gate, ballot), given, now)
    _pass_gate(session, actor, row, gate, now)
    return as_run(row)


def _delegation(
    session: Session, actor: Actor, what: tuple[RunRow, str, Ballot], now: datetime
) -> Delegation | None:
    """Return under which delegation the actor votes, or None where the right is his own."""
    row, gate, ballot = what
    if not ballot.for_user and actor.may(GATE_PERMISSIONS[gate]):
        return None
    given = delegation_for(session, actor, (gate, row.book), local_date(now), ballot.for_user)
    if given is None:
        actor.require(GATE_PERMISSIONS[gate])
        raise NotPermittedError(f"{actor.name} 没有在用的“{GATE_NAMES[gate]}”委托，不能代别人审批")
    return given


def _again(session: Session, row: RunRow, earlier: VoteRow, ballot: Ballot) -> Run:
    proxy = session.get(VoteProxyRow, (row.id, earlier.voter_id))
    named = ballot.for_user in {"", "" if proxy is None else proxy.delegator_id}
    if named and (earlier.decision, earlier.content_hash) == (ballot.decision, ballot.content_hash):
        return as_run(row)
    raise VotedAlreadyError(
        f"{earlier.voter_name} 已在“{GATE_NAMES[earlier.gate]}”作过决定，同一批次不能再次表决"
    )


def _require_checker(session: Session, actor: Actor, row: RunRow, given: Delegation | None) -> None:
    if given is not None:
        _require_free(session, row, given)
    else:
        by_delegate = select(VoteProxyRow).where(
            VoteProxyRow.run_id == row.id, VoteProxyRow.delegator_id == actor.user_id
        )
        if session.scalar(by_delegate) is not None:
            raise VotedAlreadyError(f"{actor.name} 的受托人已代为表决，同一批次不能再次表决")
    if actor.user_id in makers_of(session, row):
        raise MakerIsCheckerError(f"{actor.name} 是本批次的测算人或提交人，须由他人审核")


def _require_free(session: Session, row: RunRow, given: Delegation) -> None:
    """Refuse a vote in the name of a maker, or of somebody who has voted himself or by another delegate."""
    if given.delegator_id in makers_of(session, row):
        raise MakerIsCheckerError(f"{given.delegator_name} 是本批次的测算人或提交人，不能委托别人审核")
    own = select(VoteRow.voter_id).where(VoteRow.run_id == row.id, VoteRow.voter_id == given.delegator_id)
    proxy = select(VoteProxyRow.voter_id).where(
        VoteProxyRow.run_id == row.id, VoteProxyRow.delegator_id == given.delegator_id
    )
    if session.scalar(own) is not None or session.scalar(proxy) is not None:
        raise VotedAlreadyError(f"{given.delegator_name} 已对本批次作过决定，不能再委托别人表决")


def makers_of(session: Session, row: RunRow) -> set[str]:
    """Return who computed or submitted a run: none of them votes on it or judges objections to it."""
    submitters = session.scalars(
        select(RunEventRow.changed_by).where(
            RunEventRow.run_id == row.id, RunEventRow.state == RunState.VILLAGE_SUBMITTED.value
        )
    )
    return {row.made_by, *submitters}


def _write(
    session: Session,
    actor: Actor,
    what: tuple[RunRow, str, Ballot],
    given: Delegation | None,
    now: datetime,
) -> None:
    row, gate, ballot = what
    name = actor.name if given is None else f"{given.delegator_name}（{actor.name}代）"
    session.add(
        VoteRow(
            run_id=row.id,
            gate=gate,
            voter_id=actor.user_id,
            voter_name=name,
            decision=ballot.decision,
            content_hash=ballot.content_hash,
            reason=ballot.reason,
            evidence=",".join(ballot.evidence),
            at=now,
        )
    )
    session.flush()
    if given is not None:
        session.add(
            VoteProxyRow(
                run_id=row.id,
                voter_id=actor.user_id,
                gate=gate,
                delegator_id=given.delegator_id,
                delegator_name=given.delegator_name,
                delegation_id=given.id,
            )
        )
        session.flush()


def _pass_gate(session: Session, actor: Actor, row: RunRow, gate: str, now: datetime) -> None:
    cast = session.scalars(select(VoteRow).where(VoteRow.run_id == row.id, VoteRow.gate == gate)).all()
    against = [one for one in cast if one.decision != "approve"]
    if against:
        state = RunState.REJECTED if against[0].decision == "reject" else RunState.REVISION_REQUESTED
        move(session, actor, row.id, Change(state, against[0].reason), now)
    elif len(cast) >= votes_needed(session, row, gate):
        evidence = ",".join(one.evidence for one in cast if one.evidence)
        move(session, actor, row.id, Change(GATE_STATES[gate], "", evidence), now)


def votes_needed(session: Session, row: RunRow, gate: str) -> int:
    """Return how many people must agree at a gate, as the run's own terms say for its total.

    Where everybody must, that is who holds the right over the village now and is no maker and no voter of
    another gate; at least one.
    """
    total = _total_fen(session, row)
    rules = [one for one in _terms(row).get("votes", ()) if one["gate"] == gate and one["from_fen"] <= total]
    if not rules:
        return 1
    if all(rule["needed"] for rule in rules):
        return max(int(rule["needed"]) for rule in rules)
    elsewhere = select(VoteRow.voter_id).where(VoteRow.run_id == row.id, VoteRow.gate != gate)
    spoken_for = select(VoteProxyRow.delegator_id).where(
        VoteProxyRow.run_id == row.id, VoteProxyRow.gate != gate
    )
    barred = {*makers_of(session, row), *session.scalars(elsewhere), *session.scalars(spoken_for)}
    everybody = holders(session, GATE_PERMISSIONS[gate], row.book) - barred
    return max([len(everybody), 1, *(int(rule["needed"]) for rule in rules)])


def _total_fen(session: Session, row: RunRow) -> int:
    """Return what a run moves [fen]: of a correction, the larger of what it adds and what it takes."""
    amount = AllocationLineRow.amount_fen
    added, taken = session.execute(
        select(
            func.coalesce(func.sum(case((amount > 0, amount), else_=0)), 0),
            func.coalesce(func.sum(case((amount < 0, -amount), else_=0)), 0),
        ).where(AllocationLineRow.run_id == row.id)
    ).one()
    return max(int(added), int(taken))


def tally_of(session: Session, actor: Actor, run_id: str) -> Tally | None:
    """Return how far the gate is at which a run waits for votes; None where it waits for none."""
    actor.require(Permission.VIEW_MONEY)
    row = own_row(session, actor, run_id)
    gate = next_gate(gates_of(row), RunState(row.state))
    if gate not in GATE_PERMISSIONS or gate is None:
        return None
    cast = select(func.count()).where(VoteRow.run_id == run_id, VoteRow.gate == gate)
    return Tally(gate, int(session.scalar(cast) or 0), votes_needed(session, row, gate))


def votes_of(session: Session, actor: Actor, run_id: str) -> tuple[Vote, ...]:
    """Return the votes on a run in the order in which they were cast."""
    actor.require(Permission.VIEW_MONEY)
    own_row(session, actor, run_id)
    statement = (
        select(VoteRow, VoteProxyRow.delegator_id)
        .outerjoin(
            VoteProxyRow,
            (VoteProxyRow.run_id == VoteRow.run_id) & (VoteProxyRow.voter_id == VoteRow.voter_id),
        )
        .where(VoteRow.run_id == run_id)
        .order_by(VoteRow.at, VoteRow.gate)
    )
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
            delegator or "",
        )
        for row, delegator in session.execute(statement)
    )
