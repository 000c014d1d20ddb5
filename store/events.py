"""Operational events: what happened to data and links that a person should see.

Owns the append-only table `operational_event`. It decides nothing: an event is recorded where it happens
and shown on the pages of its area.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import orjson
from sqlalchemy import CheckConstraint, Index, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from store.canonical import canonical_json
from store.db import Base, UtcDateTime, guard_append_only, new_id


class EventKind(StrEnum):
    """What kind of thing happened."""

    COMMUNICATION = "communication"
    QUARANTINE = "quarantine"
    DROP = "drop"
    CONFLICT = "conflict"
    QUALITY = "quality"
    CLOCK = "clock"
    IMPORT = "import"
    JOB = "job"
    STORE = "store"
    SERVICE = "service"


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


EVENT_LABELS: Mapping[EventKind, str] = {
    EventKind.COMMUNICATION: "通信",
    EventKind.QUARANTINE: "隔离",
    EventKind.DROP: "丢弃",
    EventKind.CONFLICT: "数据冲突",
    EventKind.QUALITY: "数据质量",
    EventKind.CLOCK: "时钟",
    EventKind.IMPORT: "导入",
    EventKind.JOB: "任务",
    EventKind.STORE: "存储",
    EventKind.SERVICE: "服务",
}
SEVERITY_LABELS: Mapping[Severity, str] = {
    Severity.INFO: "提示",
    Severity.WARNING: "警告",
    Severity.ERROR: "错误",
}


class OperationalEvent(Base):
    """One event; never changed, never deleted."""

    __tablename__ = "operational_event"
    __table_args__ = (
        CheckConstraint("severity IN ('info', 'warning', 'error')", name="severity"),
        CheckConstraint("length(message) > 0", name="message"),
        Index(None, "at"),
        Index(None, "subject_kind", "subject_id", "at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(32))
    severity: Mapped[str] = mapped_column(String(16))
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(128))
    division_code: Mapped[str] = mapped_column(String(12), default="")
    message: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text, default="{}")


guard_append_only(Base.metadata.tables["operational_event"])


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `at` [UTC] to a subject (device, station, file, job …).

    `message` is one Chinese sentence. `division_code` is the 12-digit code of the subject's village, or
    empty for the whole installation. An event with a given `id` is recorded once, however often it is told.
    """

    at: datetime
    kind: EventKind
    severity: Severity
    subject_kind: str
    subject_id: str
    message: str
    division_code: str = ""
    detail: Mapping[str, str | int | bool | None] = field(default_factory=dict)
    id: str = ""


def record(session: Session, event: Event) -> str:
    """Record an event and return its id; an id that is known already is left as it is."""
    identifier = event.id or new_id("event")
    if event.id and session.get(OperationalEvent, identifier) is not None:
        return identifier
    session.add(
        OperationalEvent(
            id=identifier,
            at=event.at,
            kind=event.kind,
            severity=event.severity,
            subject_kind=event.subject_kind,
            subject_id=event.subject_id,
            division_code=event.division_code,
            message=event.message,
            detail=canonical_json(event.detail),
        )
    )
    session.flush()
    return identifier


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to show; an empty field lets everything pass.

    `area_prefix` is the leading digits of a division code: an event without a division passes only where
    the prefix is empty.
    """

    kinds: Sequence[EventKind] = ()
    severities: Sequence[Severity] = ()
    subject: tuple[str, str] | None = None
    area_prefix: str = ""
    since: datetime | None = None


EVERYTHING = EventFilter()


def recent(session: Session, limit: int = 100, only: EventFilter = EVERYTHING) -> list[Event]:
    """Return at most `limit` events that pass the filter, newest first."""
    statement = (
        select(OperationalEvent).order_by(OperationalEvent.at.desc(), OperationalEvent.id).limit(limit)
    )
    if only.kinds:
        statement = statement.where(OperationalEvent.kind.in_([str(kind) for kind in only.kinds]))
    if only.severities:
        statement = statement.where(OperationalEvent.severity.in_([str(item) for item in only.severities]))
    if only.subject is not None:
        statement = statement.where(
            OperationalEvent.subject_kind == only.subject[0], OperationalEvent.subject_id == only.subject[1]
        )
    if only.area_prefix:
        statement = statement.where(
            OperationalEvent.division_code.startswith(only.area_prefix, autoescape=True)
        )
    if only.since is not None:
        statement = statement.where(OperationalEvent.at >= only.since)
    return [_event(row) for row in session.scalars(statement)]


def _event(row: OperationalEvent) -> Event:
    return Event(
        at=row.at,
        kind=EventKind(row.kind),
        severity=Severity(row.severity),
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        message=row.message,
        division_code=row.division_code,
        detail=orjson.loads(row.detail),
        id=row.id,
    )
