"""Delegation of votes: who may vote at which gate for whom, from when to when, on which document.

Owns the giving, taking back and finding of delegations. A delegate votes in the delegator's name and is
himself a voter: never a maker, never at two gates of a run; the votes are `votes`'.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.approval.runs import ApprovalError
from distribution.approval.states import GATE_NAMES, GATE_PERMISSIONS
from distribution.approval.voting.tables import VoteDelegationEndRow, VoteDelegationRow
from registry import audit
from registry.actors import Actor, Permission
from registry.users import acting_as, holders
from store.db import new_id
from store.periods import local_date


@dataclass(frozen=True, slots=True)
class DelegationOrder:
    """A delegation to be made: at which gate, who for whom, on which days [from, to), on which document."""

    gate: str
    delegator_id: str
    delegate_id: str
    valid_from: date
    valid_to: date
    document: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """A delegation; `ended_at` is set when it was taken back before its last day."""

    id: str
    gate: str
    delegator_id: str
    delegator_name: str
    delegator_area: str
    delegate_id: str
    delegate_name: str
    valid_from: date
    valid_to: date
    document: str
    made_at: datetime
    ended_at: datetime | None = None

    @property
    def gate_name(self) -> str:
        """The gate in Chinese."""
        return GATE_NAMES[self.gate]

    def holds_on(self, day: date) -> bool:
        """Tell whether the delegate may vote on a day."""
        return self.ended_at is None and self.valid_from <= day < self.valid_to


def delegate(session: Session, actor: Actor, order: DelegationOrder, now: datetime) -> Delegation:
    """Record a delegation, by the delegator himself or by an administrator of his area.

    Raises ApprovalError when the delegator has no such right, the delegate cannot see the area, the days
    are none, or no document allows it.
    """
    giver = actor if order.delegator_id == actor.user_id else _managed(session, actor, order.delegator_id)
    taker = acting_as(session, order.delegate_id)
    if order.gate not in GATE_PERMISSIONS or not giver.may(GATE_PERMISSIONS[order.gate]):
        raise ApprovalError(f"{giver.name} 没有这一步的审批权限，不能委托别人")
    if taker is None or taker.user_id == giver.user_id or not taker.covers(giver.area):
        raise ApprovalError("受托人须是另一位在用的用户，辖区要管得到委托人的辖区")
    if not taker.may(Permission.VIEW_MONEY):
        raise ApprovalError(f"{taker.name} 不能查看资金，不能受托审批")
    if order.valid_to <= order.valid_from or order.valid_to <= local_date(now):
        raise ApprovalError("委托的止日须晚于起日和今天")
    if not order.document.strip():
        raise ApprovalError("请写明委托依据（文号或委托书）")
    row = VoteDelegationRow(
        id=new_id("delegation"),
        gate=order.gate,
        delegator_id=giver.user_id,
        delegator_name=giver.name,
        delegator_area=giver.area,
        delegate_id=taker.user_id,
        delegate_name=taker.name,
        valid_from=order.valid_from,
        valid_to=order.valid_to,
        document=order.document.strip(),
        made_at=now,
        made_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("delegate", "vote_delegation", row.id, after=order), now)
    return _record(row, None)


def _managed(session: Session, actor: Actor, user_id: str) -> Actor:
    actor.require(Permission.MANAGE_USERS)
    found = acting_as(session, user_id)
    if found is None or not actor.covers(found.area):
        raise ApprovalError("辖区内没有这位委托人")
    return found


def colleagues(session: Session, actor: Actor) -> tuple[tuple[str, str], ...]:
    """Return (id, name and role) of the users whom the actor may name as his delegate, by name."""
    if not actor.area:
        return ()
    able = holders(session, Permission.VIEW_MONEY, actor.area) - {actor.user_id}
    people = [one for user_id in able if (one := acting_as(session, user_id)) is not None]
    return tuple(
        (one.user_id, f"{one.name}（{one.role.word}）") for one in sorted(people, key=lambda one: one.name)
    )


def end_delegation(session: Session, actor: Actor, delegation_id: str, now: datetime) -> Delegation:
    """Take a delegation back, by either of the two or an administrator; again changes nothing.

    Raises LookupError for an unknown one, PermissionError for anybody else.
    """
    row = session.get(VoteDelegationRow, delegation_id)
    if row is None:
        raise LookupError(f"没有委托 {delegation_id}")
    if actor.user_id not in {row.delegator_id, row.delegate_id} and not (
        actor.may(Permission.MANAGE_USERS) and actor.covers(row.delegator_area)
    ):
        raise PermissionError(f"{actor.name} 不能收回别人的委托")
    end = session.get(VoteDelegationEndRow, delegation_id)
    if end is None:
        end = VoteDelegationEndRow(delegation_id=delegation_id, ended_at=now, ended_by=actor.user_id)
        session.add(end)
        session.flush()
        audit.record(session, actor, audit.Entry("end", "vote_delegation", delegation_id), now)
    return _record(row, end)


def delegations(session: Session, actor: Actor) -> tuple[Delegation, ...]:
    """Return the delegations that concern the actor, and those of his area for an administrator."""
    statement = (
        select(VoteDelegationRow, VoteDelegationEndRow)
        .outerjoin(VoteDelegationEndRow, VoteDelegationEndRow.delegation_id == VoteDelegationRow.id)
        .order_by(VoteDelegationRow.valid_from.desc(), VoteDelegationRow.id)
    )
    every = (_record(row, end) for row, end in session.execute(statement))
    manages = actor.may(Permission.MANAGE_USERS)
    return tuple(
        one
        for one in every
        if actor.user_id in {one.delegator_id, one.delegate_id}
        or (manages and actor.covers(one.delegator_area))
    )


def delegation_for(
    session: Session, actor: Actor, what: tuple[str, str], day: date, delegator_id: str = ""
) -> Delegation | None:
    """Return the delegation under which the actor may vote on a day, given (gate, book); None without.

    The delegator must still hold the gate's right over the book. Of several, the one of `delegator_id`, else
    the oldest.
    """
    gate, book = what
    statement = (
        select(VoteDelegationRow, VoteDelegationEndRow)
        .outerjoin(VoteDelegationEndRow, VoteDelegationEndRow.delegation_id == VoteDelegationRow.id)
        .where(VoteDelegationRow.delegate_id == actor.user_id, VoteDelegationRow.gate == gate)
        .order_by(VoteDelegationRow.made_at, VoteDelegationRow.id)
    )
    for row, end in session.execute(statement):
        found = _record(row, end)
        if not found.holds_on(day) or (delegator_id and found.delegator_id != delegator_id):
            continue
        if _still_holds(session, row, book):
            return found
    return None


def delegates_of(session: Session, gate: str, givers: Collection[str], day: date) -> frozenset[str]:
    """Return who may vote at a gate on a day for any of some users; unscoped."""
    statement = (
        select(VoteDelegationRow, VoteDelegationEndRow)
        .outerjoin(VoteDelegationEndRow, VoteDelegationEndRow.delegation_id == VoteDelegationRow.id)
        .where(VoteDelegationRow.gate == gate)
    )
    every = (_record(row, end) for row, end in session.execute(statement))
    return frozenset(one.delegate_id for one in every if one.delegator_id in givers and one.holds_on(day))


def _still_holds(session: Session, row: VoteDelegationRow, book: str) -> bool:
    present = acting_as(session, row.delegator_id)
    return present is not None and present.may(GATE_PERMISSIONS[row.gate]) and present.covers(book)


def _record(row: VoteDelegationRow, end: VoteDelegationEndRow | None) -> Delegation:
    return Delegation(
        row.id,
        row.gate,
        row.delegator_id,
        row.delegator_name,
        row.delegator_area,
        row.delegate_id,
        row.delegate_name,
        row.valid_from,
        row.valid_to,
        row.document,
        row.made_at,
        None if end is None else end.ended_at,
    )
