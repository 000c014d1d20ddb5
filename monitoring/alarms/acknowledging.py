"""What a person does with an alarm: take note of it, in words.

Owns the acknowledgement and its permission. Opening, escalating and closing happen by themselves (`watch`).
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitoring.alarms.kinds import HIGHEST_LEVEL, AlarmAction, AlarmSeverity
from monitoring.alarms.reads import alarm
from monitoring.alarms.rules import rule_book
from monitoring.alarms.tables import AlarmEventRow, AlarmRow
from registry import audit
from registry.actors import Actor, Permission
from store.periods import SHANGHAI, local_date

NOTE_CHARACTERS = 500


class AlarmError(ValueError):
    """An alarm cannot be acknowledged so; the Chinese text says why."""


def acknowledge(session: Session, actor: Actor, alarm_id: str, note: str, now: datetime) -> None:
    """Record that a person has taken note of an alarm of the actor's area, with what the person says.

    The deadline becomes that of the repair. Raises AlarmError when somebody has done so already or the
    note is too long, LookupError for an alarm outside the actor's area.
    """
    actor.require(Permission.ACKNOWLEDGE_EVENTS)
    if alarm(session, actor, alarm_id) is None:
        raise LookupError(f"{actor.name} 的辖区内没有告警 {alarm_id}")
    row = session.scalars(
        select(AlarmRow)
        .where(AlarmRow.id == alarm_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if row.acknowledged_at is not None:
        when = f"{row.acknowledged_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        raise AlarmError(f"这条告警已由 {row.acknowledged_name} 于 {when} 确认")
    words = note.strip()
    if len(words) > NOTE_CHARACTERS:
        raise AlarmError(f"说明太长，不超过 {NOTE_CHARACTERS} 字")
    seq = row.event_seq + 1
    session.add(
        AlarmEventRow(
            alarm_id=row.id,
            seq=seq,
            at=now,
            action=AlarmAction.ACKNOWLEDGE,
            by_id=actor.user_id,
            by_name=actor.name,
            note=words,
        )
    )
    session.flush()
    row.event_seq = seq
    row.acknowledged_at, row.acknowledged_by = now, actor.user_id
    row.acknowledged_name, row.acknowledged_note = actor.name, words
    if row.closed_at is None and row.level < HIGHEST_LEVEL:
        rules = rule_book(session, local_date(now)).of(row.division_code)
        hours = rules.resolve_hours(AlarmSeverity(row.severity))
        row.deadline = now + timedelta(hours=hours)
    session.flush()
    audit.record(session, actor, audit.Entry("acknowledge", "alarm", row.id, reason=words), now)
