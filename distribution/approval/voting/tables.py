"""Tables beside votes: who votes for whom, and the votes cast in another's name.

All are append-only. The database refuses a delegate's vote for a maker, for somebody who has voted himself,
or without a delegation, and the vote of somebody whose delegate has voted.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from distribution.approval.tables import MAKERS, postgresql_guard, sqlite_guard
from store.db import Base, UtcDateTime, guard, guard_append_only

_GATES = "gate IN ('village', 'township', 'county')"


class VoteDelegationRow(Base):
    """Table `vote_delegation`: somebody lets another vote at a gate for him on the days [from, to)."""

    __tablename__ = "vote_delegation"
    __table_args__ = (
        CheckConstraint(_GATES, name="gate"),
        CheckConstraint("delegator_id <> delegate_id", name="another"),
        CheckConstraint("valid_to > valid_from", name="days"),
        CheckConstraint("document <> ''", name="document"),
        Index(None, "delegate_id"),
        Index(None, "delegator_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    gate: Mapped[str]
    delegator_id: Mapped[str]
    delegator_name: Mapped[str]
    delegator_area: Mapped[str]
    delegate_id: Mapped[str]
    delegate_name: Mapped[str]
    valid_from: Mapped[date]
    valid_to: Mapped[date]
    document: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[str]


class VoteDelegationEndRow(Base):
    """Table `vote_delegation_end`: a delegation that was taken back before its last day."""

    __tablename__ = "vote_delegation_end"

    delegation_id: Mapped[str] = mapped_column(ForeignKey("vote_delegation.id"), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_by: Mapped[str]


class VoteProxyRow(Base):
    """Table `vote_proxy`: a vote that was cast in another's name, under which delegation."""

    __tablename__ = "vote_proxy"
    __table_args__ = (
        UniqueConstraint("run_id", "delegator_id"),
        ForeignKeyConstraint(["run_id", "gate", "voter_id"], ["vote.run_id", "vote.gate", "vote.voter_id"]),
    )

    run_id: Mapped[str] = mapped_column(primary_key=True)
    voter_id: Mapped[str] = mapped_column(primary_key=True)
    gate: Mapped[str]
    delegator_id: Mapped[str]
    delegator_name: Mapped[str]
    delegation_id: Mapped[str] = mapped_column(ForeignKey("vote_delegation.id"))


for _row in (VoteDelegationRow, VoteDelegationEndRow, VoteProxyRow):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]

_GUARDS = {
    "vote_proxy_right": (
        "vote_proxy",
        "INSERT",
        (
            f"NEW.delegator_id IN {MAKERS.format(run='NEW.run_id')} "  # noqa: S608, names of our own tables
            "OR EXISTS (SELECT 1 FROM vote WHERE run_id = NEW.run_id AND voter_id = NEW.delegator_id) "
            "OR NOT EXISTS (SELECT 1 FROM vote_delegation AS given WHERE given.id = NEW.delegation_id "
            "AND given.delegator_id = NEW.delegator_id AND given.delegate_id = NEW.voter_id "
            "AND given.gate = NEW.gate)"
        ),
        "a delegate votes for somebody who may and has not",
    ),
    "vote_once_by_proxy": (
        "vote",
        "INSERT",
        "EXISTS (SELECT 1 FROM vote_proxy WHERE run_id = NEW.run_id AND delegator_id = NEW.voter_id)",
        "the delegate has voted already",
    ),
}


guard(
    VoteProxyRow.__table__,  # type: ignore[arg-type]
    sqlite=tuple(sqlite_guard(name, one) for name, one in _GUARDS.items()),
    postgresql=tuple(statement for name, one in _GUARDS.items() for statement in postgresql_guard(name, one)),
)
