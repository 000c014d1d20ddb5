"""Tables of approval, and the guards that keep votes, notices and runs honest whoever writes.

Owns runs with their frozen lines, inputs and nettings, votes, notices and objections. Only a run's state ever
changes, along the allowed transitions, and each change leaves an event; everything else is append-only.
"""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from distribution.approval.states import TRANSITIONS, RunState
from store.db import Base, UtcDateTime, guard, guard_append_only
from store.seals import put_under_seal

_STATES = ", ".join(f"'{state.value}'" for state in RunState)
_LIVE_REGULAR = text("kind = 'regular' AND state NOT IN ('superseded', 'rejected')")
_LIVE_OTHER = text(
    "kind <> 'regular' AND state NOT IN ('superseded', 'rejected', 'posted', 'batched', 'settled', 'closed')"
)


class RunRow(Base):
    """Table `run`: one version of one distribution; `content` is the frozen allocation."""

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint("kind IN ('regular', 'top_up', 'correction')", name="kind"),
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint("version > 0", name="version"),
        UniqueConstraint("book", "period", "kind", "version"),
        Index(
            "uq_run_live",
            "book",
            "period",
            unique=True,
            sqlite_where=_LIVE_REGULAR,
            postgresql_where=_LIVE_REGULAR,
        ),
        Index(
            "uq_run_live_other",
            "book",
            "period",
            "kind",
            unique=True,
            sqlite_where=_LIVE_OTHER,
            postgresql_where=_LIVE_OTHER,
        ),
        Index(None, "period", "state"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    book: Mapped[str] = mapped_column(String(12))
    village_code: Mapped[str] = mapped_column(String(12))
    period: Mapped[str]
    kind: Mapped[str]
    version: Mapped[int]
    supersedes: Mapped[str | None] = mapped_column(ForeignKey("run.id"))
    plan_id: Mapped[str]
    plan_version: Mapped[int]
    plan_hash: Mapped[str] = mapped_column(String(64))
    input_hash: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))
    inputs: Mapped[str] = mapped_column(Text, deferred=True)
    content: Mapped[str] = mapped_column(Text, deferred=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    household_count: Mapped[int]
    state: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[str]


class RunEventRow(Base):
    """Table `run_event`: each change of a run's state, by whom and why."""

    __tablename__ = "run_event"

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str]
    changed_name: Mapped[str]
    reason: Mapped[str]
    evidence: Mapped[str]


class RunInputRow(Base):
    """Table `run_input`: one record that a run was computed from, with its hash at that time."""

    __tablename__ = "run_input"
    __table_args__ = (Index(None, "source_table", "source_id"),)

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), primary_key=True)
    source_table: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(primary_key=True)
    source_hash: Mapped[str] = mapped_column(String(64))


class AllocationLineRow(Base):
    """Table `allocation_line`: one line of a run's allocation, for queries; the whole is `run.content`."""

    __tablename__ = "allocation_line"
    __table_args__ = (Index(None, "payee_id"),)

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purse: Mapped[str]
    payee_kind: Mapped[str]
    payee_id: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    weight: Mapped[str]


class LineExplanationRow(Base):
    """Table `line_explanation`: one step of the way to a line's amount."""

    __tablename__ = "line_explanation"
    __table_args__ = (
        ForeignKeyConstraint(["run_id", "line_no"], ["allocation_line.run_id", "allocation_line.line_no"]),
    )

    run_id: Mapped[str] = mapped_column(primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str]
    formula: Mapped[str]
    inputs: Mapped[str] = mapped_column(Text)
    exact: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    clause: Mapped[str]


class VoteRow(Base):
    """Table `vote`: one person's decision at one gate, bound to the content hash; nobody votes twice."""

    __tablename__ = "vote"
    __table_args__ = (
        CheckConstraint("decision IN ('approve', 'return', 'reject')", name="decision"),
        CheckConstraint("decision = 'approve' OR reason <> ''", name="reason"),
        UniqueConstraint("run_id", "voter_id"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), primary_key=True)
    gate: Mapped[str] = mapped_column(primary_key=True)
    voter_id: Mapped[str] = mapped_column(primary_key=True)
    voter_name: Mapped[str]
    decision: Mapped[str]
    content_hash: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str]
    evidence: Mapped[str]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class PublicNoticeRow(Base):
    """Table `public_notice`: an opened notice: its list's hash, its days, and the photo of the board."""

    __tablename__ = "public_notice"
    __table_args__ = (
        UniqueConstraint("run_id"),
        UniqueConstraint("number"),
        CheckConstraint("closes_on >= opens_on", name="days"),
        CheckConstraint("evidence <> '[]'", name="evidence"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"))
    number: Mapped[str]
    content_hash: Mapped[str] = mapped_column(String(64))
    list_hash: Mapped[str] = mapped_column(String(64))
    list_json: Mapped[str] = mapped_column(Text)
    ledger_seq: Mapped[int] = mapped_column(BigInteger)
    ledger_hash: Mapped[str] = mapped_column(String(64))
    opens_on: Mapped[date]
    closes_on: Mapped[date]
    evidence: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_by: Mapped[str]


class NoticeClosureRow(Base):
    """Table `notice_closure`: the end of a notice."""

    __tablename__ = "notice_closure"

    notice_id: Mapped[str] = mapped_column(ForeignKey("public_notice.id"), primary_key=True)
    closed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_by: Mapped[str]


class ObjectionRow(Base):
    """Table `objection`: somebody objects to a line, or to the whole list."""

    __tablename__ = "objection"
    __table_args__ = (
        CheckConstraint("holds IN ('line', 'run')", name="holds"),
        CheckConstraint("holds = 'run' OR line_no IS NOT NULL", name="line"),
        CheckConstraint("text <> ''", name="text"),
        Index(None, "notice_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    notice_id: Mapped[str] = mapped_column(ForeignKey("public_notice.id"))
    line_no: Mapped[int | None]
    claimant: Mapped[str]
    channel: Mapped[str]
    text: Mapped[str]
    holds: Mapped[str]
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    raised_by: Mapped[str]


class ObjectionDecisionRow(Base):
    """Table `objection_decision`: how an objection was decided, by someone who did not make the run."""

    __tablename__ = "objection_decision"
    __table_args__ = (
        CheckConstraint("outcome IN ('upheld', 'rejected', 'partly')", name="outcome"),
        CheckConstraint("reason <> ''", name="reason"),
    )

    objection_id: Mapped[str] = mapped_column(ForeignKey("objection.id"), primary_key=True)
    outcome: Mapped[str]
    reason: Mapped[str]
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str]


_PAIRS = ", ".join(sorted(f"'{before.value}>{after.value}'" for before, after in TRANSITIONS))
MAKERS = (
    "(SELECT made_by FROM run WHERE id = {run} UNION "
    "SELECT changed_by FROM run_event WHERE run_id = {run} AND state = 'village_submitted')"
)
_NOTICE_RUN = (
    "(SELECT notice.run_id FROM objection JOIN public_notice AS notice ON notice.id = objection.notice_id "
    "WHERE objection.id = NEW.objection_id)"
)
_FIXED = tuple(column.name for column in RunRow.__table__.columns if column.name != "state")
_CHANGED = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in _FIXED)
_NO_NOTICE = (
    "NOT EXISTS (SELECT 1 FROM public_notice "
    "JOIN notice_closure ON notice_closure.notice_id = public_notice.id "
    "WHERE public_notice.run_id = NEW.id AND public_notice.content_hash = NEW.content_hash)"
)
_OPEN_OBJECTION = (
    "EXISTS (SELECT 1 FROM objection JOIN public_notice ON public_notice.id = objection.notice_id "
    "WHERE public_notice.run_id = NEW.id AND objection.holds = 'run' AND NOT EXISTS "
    "(SELECT 1 FROM objection_decision WHERE objection_decision.objection_id = objection.id))"
)
_NO_VOTE = (
    "NOT EXISTS (SELECT 1 FROM vote WHERE vote.run_id = NEW.id AND vote.decision = 'approve' "
    "AND vote.content_hash = NEW.content_hash)"
)
GUARDS: dict[str, tuple[str, str, str, str]] = {
    "run_content": ("run", "UPDATE", _CHANGED, "a run is frozen, only its state moves"),
    "run_transition": (
        "run",
        "UPDATE",
        f"NEW.state <> OLD.state AND OLD.state || '>' || NEW.state NOT IN ({_PAIRS})",
        "a run cannot move so",
    ),
    "run_posted": (
        "run",
        "UPDATE",
        f"NEW.state = 'posted' AND ({_NO_NOTICE} OR {_OPEN_OBJECTION} OR {_NO_VOTE})",
        "a run is posted after votes and a closed notice without open objection",
    ),
    "vote_maker": (
        "vote",
        "INSERT",
        f"NEW.voter_id IN {MAKERS.format(run='NEW.run_id')}",
        "a maker is never a checker",
    ),
    "vote_content": (
        "vote",
        "INSERT",
        "NEW.content_hash <> (SELECT content_hash FROM run WHERE id = NEW.run_id)",
        "a vote is about the present content",
    ),
    "notice_content": (
        "public_notice",
        "INSERT",
        "NEW.content_hash <> (SELECT content_hash FROM run WHERE id = NEW.run_id)",
        "a notice shows the present content",
    ),
    "objection_judge": (
        "objection_decision",
        "INSERT",
        (
            f"NEW.decided_by IN {MAKERS.format(run=_NOTICE_RUN)} OR NEW.decided_by = "  # noqa: S608, names of our own tables
            "(SELECT raised_by FROM objection WHERE id = NEW.objection_id)"
        ),
        "nobody judges an objection to what he made",
    ),
}
"""What the database refuses: name -> (table, verb, condition, message)."""


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


for _row in (
    RunEventRow,
    RunNettingRow,
    RunInputRow,
    AllocationLineRow,
    LineExplanationRow,
    VoteRow,
    PublicNoticeRow,
    NoticeClosureRow,
    ObjectionRow,
    ObjectionDecisionRow,
):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]

put_under_seal(RunRow.__table__, "分配批次", group="id", since="made_at", free=("inputs", "content"))
put_under_seal(RunEventRow.__table__, "批次经过", group="run_id", since="changed_at")
put_under_seal(VoteRow.__table__, "表决", group="run_id", since="at")
put_under_seal(PublicNoticeRow.__table__, "公示", group="run_id", since="opened_at")
put_under_seal(NoticeClosureRow.__table__, "公示结束", group="notice_id", since="closed_at")
put_under_seal(ObjectionRow.__table__, "异议", group="notice_id", since="raised_at")
put_under_seal(ObjectionDecisionRow.__table__, "异议处理", group="objection_id", since="decided_at")


Guard = tuple[str, str, str, str]
"""A trigger that refuses: its table, the verb, the condition, and what it says."""


def sqlite_guard(name: str, refusal: Guard) -> str:
    """Return the statement that makes a refusing trigger on SQLite."""
    table, verb, condition, message = refusal
    condition = condition.replace("IS DISTINCT FROM", "IS NOT")
    return (
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def postgresql_guard(name: str, refusal: Guard) -> tuple[str, str]:
    """Return the statements that make a refusing trigger on PostgreSQL."""
    table, verb, condition, message = refusal
    return (
        (
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$ BEGIN IF {condition} THEN "
            f"RAISE EXCEPTION '{message}'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    )


guard(
    ObjectionDecisionRow.__table__,  # type: ignore[arg-type]
    sqlite=(
        *(sqlite_guard(name, one) for name, one in GUARDS.items()),
        (
            "CREATE TRIGGER run_kept BEFORE DELETE ON run "
            "BEGIN SELECT RAISE(ABORT, 'a run is never deleted'); END"
        ),
    ),
    postgresql=(
        *(statement for name, one in GUARDS.items() for statement in postgresql_guard(name, one)),
        (
            "CREATE OR REPLACE FUNCTION run_kept() RETURNS trigger AS $$ BEGIN "
            "RAISE EXCEPTION 'a run is never deleted'; END $$ LANGUAGE plpgsql"
        ),
        "CREATE TRIGGER run_kept BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION run_kept()",
    ),
)
