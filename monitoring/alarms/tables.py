"""Tables of alarms, and the guards that keep them honest whoever writes.

Owns alarms with their append-only history, and what is being watched but has not lasted long enough. At most
one open alarm exists per cause, a closed one stays closed, an acknowledgement stays, and every change of
standing leaves an entry of the history.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from monitoring.alarms.kinds import HIGHEST_LEVEL, AlarmAction, AlarmKind, AlarmSeverity, SubjectKind
from registry.actors import CODE_LENGTH
from store.db import Base, UtcDateTime, guard_append_only, guard_refusal

_KINDS = ", ".join(f"'{one.value}'" for one in AlarmKind)
_SEVERITIES = ", ".join(f"'{one.value}'" for one in AlarmSeverity)
_SUBJECTS = ", ".join(f"'{one.value}'" for one in SubjectKind)
_ACTIONS = ", ".join(f"'{one.value}'" for one in AlarmAction)
_OPEN = text("closed_at IS NULL")


class AlarmRow(Base):
    """Table `alarm`: one cause from its beginning to its end.

    `cause_key` names the cause (as `standstill:device:NAME`); `opened_at` is when it began, `detected_at`
    when it had lasted long enough to be told. `parent_id` is the wider alarm that explains this one now.
    `deadline` is the instant at which it is escalated next, None when it is closed or can rise no further.
    """

    __tablename__ = "alarm"
    __table_args__ = (
        CheckConstraint(f"kind IN ({_KINDS})", name="kind"),
        CheckConstraint(f"severity IN ({_SEVERITIES})", name="severity"),
        CheckConstraint(f"subject_kind IN ({_SUBJECTS})", name="subject_kind"),
        CheckConstraint("detected_at >= opened_at", name="detected"),
        CheckConstraint("closed_at IS NULL OR closed_at >= opened_at", name="closed"),
        CheckConstraint("length(cause) > 0", name="cause"),
        CheckConstraint("length(division_code) = 12", name="division_code"),
        CheckConstraint("(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged"),
        CheckConstraint(f"level >= 0 AND level <= {HIGHEST_LEVEL}", name="level"),
        CheckConstraint("lost_energy_wh IS NULL OR lost_energy_wh >= 0", name="lost_energy"),
        CheckConstraint("event_seq >= 1", name="event_seq"),
        CheckConstraint("parent_id IS NULL OR parent_id <> id", name="parent"),
        Index("uq_alarm_open_cause", "cause_key", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index(None, "cause_key", "opened_at"),
        Index(None, "station_id", "opened_at"),
        Index(None, "division_code", "opened_at"),
        Index(None, "closed_at"),
        Index(None, "parent_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    cause_key: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(32))
    severity: Mapped[str] = mapped_column(String(16))
    subject_kind: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str] = mapped_column(String(128))
    station_id: Mapped[str | None] = mapped_column(ForeignKey("station.id"))
    device_id: Mapped[str | None] = mapped_column(ForeignKey("device.id"))
    division_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    detected_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cause: Mapped[str] = mapped_column(Text)
    evidence: Mapped[str] = mapped_column(Text)
    affected_power_w: Mapped[int] = mapped_column(BigInteger)
    lost_energy_wh: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[str | None] = mapped_column(String(128))
    acknowledged_name: Mapped[str] = mapped_column(default="")
    acknowledged_note: Mapped[str] = mapped_column(Text, default="")
    level: Mapped[int] = mapped_column(default=0)
    deadline: Mapped[datetime | None] = mapped_column(UtcDateTime)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("alarm.id"))
    event_seq: Mapped[int]


class AlarmEventRow(Base):
    """Table `alarm_event`: the history of an alarm, without a gap; `by_id` is empty where nobody did it."""

    __tablename__ = "alarm_event"
    __table_args__ = (CheckConstraint(f"action IN ({_ACTIONS})", name="action"), Index(None, "at"))

    alarm_id: Mapped[str] = mapped_column(ForeignKey("alarm.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    action: Mapped[str] = mapped_column(String(16))
    by_id: Mapped[str] = mapped_column(String(128))
    by_name: Mapped[str]
    note: Mapped[str] = mapped_column(Text)


class AlarmWatchRow(Base):
    """Table `alarm_watch`: a condition on its way to an alarm, or an alarm on its way to its end.

    `active_since` is when the condition began to hold without a break; `covered_at` when a wider cause last
    explained it; `clear_since` when the condition of an open alarm ceased. It is a memory of the present only
    and may be lost without harm.
    """

    __tablename__ = "alarm_watch"

    cause_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    active_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    covered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    clear_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


_KEPT = ("id", "cause_key", "kind", "subject_kind", "subject_id", "division_code", "opened_at", "detected_at")
_CHANGED = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _KEPT)
_STANDING = ("closed_at", "acknowledged_at", "parent_id", "level")
_MOVED = " OR ".join(
    f"coalesce(CAST(NEW.{name} AS varchar), '') <> coalesce(CAST(OLD.{name} AS varchar), '')"
    for name in _STANDING
)
_STAYS = " OR ".join(
    f"(OLD.{name} IS NOT NULL AND (NEW.{name} IS NULL OR NEW.{name} <> OLD.{name}))"
    for name in ("closed_at", "acknowledged_at", "acknowledged_by")
)
_UNTOLD = "NOT EXISTS (SELECT 1 FROM alarm_event WHERE alarm_id = NEW.id AND seq = NEW.event_seq)"
_GUARDS = {
    "alarm_standing": (
        "alarm",
        "UPDATE",
        (
            f"{_CHANGED} OR {_STAYS} OR NEW.level < OLD.level OR NEW.event_seq < OLD.event_seq OR "
            f"(({_MOVED}) AND (NEW.event_seq <= OLD.event_seq OR {_UNTOLD}))"
        ),
        "an alarm keeps its cause, its end and its acknowledgement, and changes only with its history",
    ),
    "alarm_stays": ("alarm", "DELETE", "1 = 1", "an alarm is never deleted"),
    "alarm_event_in_order": (
        "alarm_event",
        "INSERT",
        "NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM alarm_event WHERE alarm_id = NEW.alarm_id)",
        "the history of an alarm has no gap",
    ),
}

guard_append_only(AlarmEventRow.__table__)  # type: ignore[arg-type]
for _name, (_table, _verb, *_refused) in _GUARDS.items():
    guard_refusal(Base.metadata.tables[_table], _name, _verb, (_refused[0], _refused[1]))
