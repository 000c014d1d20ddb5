"""Tables beside a run: who votes for whom, what is netted, and what was filed.

Owns delegations of votes with their ends, the votes cast under them, nettings by household, records of
filing, and counties' own working days. All are append-only. The database refuses a delegate's vote for a
maker, for somebody who has voted himself, or without a delegation, and the vote of somebody whose delegate
has voted.
"""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from distribution.approval.tables import MAKERS
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


class RunNettingRow(Base):
    """Table `run_netting`: what a run keeps back of a household's payment against an overpayment [fen]."""

    __tablename__ = "run_netting"
    __table_args__ = (
        CheckConstraint("amount_fen > 0 AND amount_fen <= owed_fen", name="amount"),
        Index(None, "household_id"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), primary_key=True)
    household_id: Mapped[str] = mapped_column(primary_key=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    owed_fen: Mapped[int] = mapped_column(BigInteger)
    clause: Mapped[str]


class RunFilingRow(Base):
    """Table `run_filing`: a run that was filed with an office (备案), or whose result was announced."""

    __tablename__ = "run_filing"
    __table_args__ = (
        CheckConstraint("kind IN ('filing', 'result_notice')", name="kind"),
        CheckConstraint("document <> '' OR evidence <> ''", name="proof"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    filed_on: Mapped[date]
    office: Mapped[str]
    document: Mapped[str]
    evidence: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class WorkingDayRow(Base):
    """Table `working_day`: a county's word on whether a day is worked; the latest word of a place holds."""

    __tablename__ = "working_day"
    __table_args__ = (
        CheckConstraint("length(division_code) = 12", name="division_code"),
        CheckConstraint("document <> ''", name="document"),
    )

    division_code: Mapped[str] = mapped_column(String(12), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    is_working: Mapped[bool]
    document: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


for _row in (
    VoteDelegationRow,
    VoteDelegationEndRow,
    VoteProxyRow,
    RunNettingRow,
    RunFilingRow,
    WorkingDayRow,
):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]

_GUARDS = {
    "vote_proxy_right": (
        "vote_proxy",
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
        "EXISTS (SELECT 1 FROM vote_proxy WHERE run_id = NEW.run_id AND delegator_id = NEW.voter_id)",
        "the delegate has voted already",
    ),
}


def _sqlite(name: str) -> str:
    table, condition, message = _GUARDS[name]
    return (
        f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _postgresql(name: str) -> tuple[str, str]:
    table, condition, message = _GUARDS[name]
    return (
        (
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$ BEGIN IF {condition} THEN "
            f"RAISE EXCEPTION '{message}'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    )


guard(
    VoteProxyRow.__table__,  # type: ignore[arg-type]
    sqlite=tuple(_sqlite(name) for name in _GUARDS),
    postgresql=tuple(statement for name in _GUARDS for statement in _postgresql(name)),
)
