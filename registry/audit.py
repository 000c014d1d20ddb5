"""The append-only, hash-chained record of who did what.

Owns table `audit_event`. Each event carries the hash of the one before it, so that an edited, removed or
inserted row is found by `verify`. It holds hashes of what was before and after, never personal data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, String, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.actors import Actor, Permission
from store.canonical import canonical_json, content_hash
from store.db import Base, UtcDateTime, guard, guard_append_only
from store.problem import Problem

GENESIS = "0" * 64
_LOCK_KEY = 5_208_001
_BATCH = 1_000


class AuditEventRow(Base):
    """Table `audit_event`."""

    __tablename__ = "audit_event"
    __table_args__ = (
        CheckConstraint("seq >= 1", name="seq"),
        CheckConstraint("length(hash) = 64 AND length(previous_hash) = 64", name="hash"),
        Index(None, "object_kind", "object_id"),
        Index(None, "hash", unique=True),
        Index(None, "previous_hash", unique=True),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[str]
    action: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[str]
    before_hash: Mapped[str] = mapped_column(String(64))
    after_hash: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str]
    detail: Mapped[str]
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


guard_append_only(AuditEventRow.__table__)  # type: ignore[arg-type]
guard(
    AuditEventRow.__table__,  # type: ignore[arg-type]
    sqlite=(
        (
            "CREATE TRIGGER audit_event_chained BEFORE INSERT ON audit_event WHEN NEW.seq <> "  # noqa: S608, a constant
            "(SELECT coalesce(max(seq), 0) + 1 FROM audit_event) OR NEW.previous_hash <> coalesce("
            f"(SELECT hash FROM audit_event WHERE seq = NEW.seq - 1), '{GENESIS}') "
            "BEGIN SELECT RAISE(ABORT, 'audit_event is a chain'); END"
        ),
    ),
    postgresql=(
        (
            "CREATE OR REPLACE FUNCTION audit_event_chained() RETURNS trigger AS $$ BEGIN "  # noqa: S608, a constant
            "IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit_event) OR NEW.previous_hash <> "
            f"coalesce((SELECT hash FROM audit_event WHERE seq = NEW.seq - 1), '{GENESIS}') "
            "THEN RAISE EXCEPTION 'audit_event is a chain'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        (
            "CREATE TRIGGER audit_event_chained BEFORE INSERT ON audit_event "
            "FOR EACH ROW EXECUTE FUNCTION audit_event_chained()"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded: the action, its object, what was before and after, and why.

    `before` and `after` are any records with a canonical form; only their hashes are kept. `detail`
    holds plain facts for the reader, and no personal data.
    """

    action: str
    object_kind: str
    object_id: str
    before: object = None
    after: object = None
    reason: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event of the chain as it stands."""

    seq: int
    at: datetime
    actor_id: str
    action: str
    object_kind: str
    object_id: str
    before_hash: str
    after_hash: str
    reason: str
    detail: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of the chain: kept outside the database, it shows when the tail was cut off."""

    seq: int
    hash: str


def _hash_of(row: AuditEventRow) -> str:
    names = [column.name for column in AuditEventRow.__table__.columns if column.name != "hash"]
    return content_hash({name: getattr(row, name) for name in names})


def record(session: Session, actor: Actor, entry: Entry, now: datetime) -> None:
    """Append an event to the chain, in the caller's transaction: it stands exactly if the act stands."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    last = head(session)
    row = AuditEventRow(
        seq=last.seq + 1,
        at=now,
        actor_id=actor.user_id,
        action=entry.action,
        object_kind=entry.object_kind,
        object_id=entry.object_id,
        before_hash="" if entry.before is None else content_hash(entry.before),
        after_hash="" if entry.after is None else content_hash(entry.after),
        reason=entry.reason,
        detail=canonical_json(entry.detail),
        previous_hash=last.hash,
    )
    row.hash = _hash_of(row)
    session.add(row)
    session.flush()


def head(session: Session) -> Head:
    """Return the last event's number and hash; an empty chain has number 0."""
    statement = select(AuditEventRow.seq, AuditEventRow.hash).order_by(AuditEventRow.seq.desc()).limit(1)
    found = session.execute(statement).first()
    return Head(0, GENESIS) if found is None else Head(found.seq, found.hash)


def events(
    session: Session, actor: Actor, *, object_kind: str = "", object_id: str = "", limit: int = 200
) -> tuple[AuditEvent, ...]:
    """Return the latest events, newest first, of one object or of all; for auditors only."""
    actor.require(Permission.VIEW_AUDIT)
    statement = select(AuditEventRow).order_by(AuditEventRow.seq.desc()).limit(limit)
    if object_kind:
        statement = statement.where(AuditEventRow.object_kind == object_kind)
    if object_id:
        statement = statement.where(AuditEventRow.object_id == object_id)
    names = [column.name for column in AuditEventRow.__table__.columns]
    return tuple(
        AuditEvent(**{name: getattr(row, name) for name in names}) for row in session.scalars(statement)
    )


def verify(session: Session, kept: Head | None = None) -> list[Problem]:
    """Return what is wrong with the chain: gaps, broken links, altered events, a tail that was cut off.

    `kept` is a head that was noted outside the database at some time; the chain must still contain it.
    """
    problems: list[Problem] = []
    expected_seq, previous_hash = 1, GENESIS
    for row in _rows(session):
        where = f"审计记录第 {row.seq} 条"
        if row.seq != expected_seq:
            problems.append(_broken(where, f"前面缺少第 {expected_seq} 条"))
        if row.previous_hash != previous_hash:
            problems.append(_broken(where, "与上一条的哈希对不上"))
        if row.hash != _hash_of(row):
            problems.append(_broken(where, "内容被改动过"))
        if kept is not None and row.seq == kept.seq and row.hash != kept.hash:
            problems.append(_broken(where, "与另行保存的哈希对不上"))
        expected_seq, previous_hash = row.seq + 1, row.hash
    if kept is not None and expected_seq <= kept.seq:
        problems.append(_broken(f"审计记录第 {expected_seq} 条起", f"末尾缺失，应至少有 {kept.seq} 条"))
    return problems


def _rows(session: Session) -> Iterator[AuditEventRow]:
    last = 0
    count = session.scalar(select(func.count()).select_from(AuditEventRow)) or 0
    for _ in range(0, count, _BATCH):
        statement = select(AuditEventRow).where(AuditEventRow.seq > last).order_by(AuditEventRow.seq)
        batch = session.scalars(statement.limit(_BATCH).execution_options(populate_existing=True)).all()
        yield from batch
        last = batch[-1].seq if batch else last


def _broken(where: str, what: str) -> Problem:
    return Problem(where, what, "请停止操作，保留现场，与备份比对并报告审计人员")
