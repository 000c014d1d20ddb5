"""Tables of notifications: what people want to be told, what is on its way, and the messages.

Owns subscriptions, the outbox of single news (written in the transaction of the alarm) and the messages made
of them. News is never deleted: it is told in a message, or dropped with a reason.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from monitoring.alarms.kinds import HIGHEST_LEVEL, AlarmSeverity
from store.db import Base, UtcDateTime

_SEVERITIES = ", ".join(f"'{one.value}'" for one in AlarmSeverity)


class SubscriptionRow(Base):
    """Table `notification_subscription`: one person's wish to be told, over one channel, of one area.

    `target` is a mail address, or the name of a configured webhook. Times of day are minutes after midnight
    in Asia/Shanghai; None without quiet hours.
    """

    __tablename__ = "notification_subscription"
    __table_args__ = (
        CheckConstraint("channel IN ('email', 'webhook')", name="channel"),
        CheckConstraint("target <> ''", name="target"),
        CheckConstraint("area = '' OR length(area) = 12", name="area"),
        CheckConstraint(f"severity IN ({_SEVERITIES})", name="severity"),
        CheckConstraint(f"level >= 0 AND level <= {HIGHEST_LEVEL}", name="level"),
        CheckConstraint("digest_minutes >= 0 AND digest_minutes <= 1440", name="digest"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet"),
        Index(None, "user_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"))
    channel: Mapped[str] = mapped_column(String(16))
    target: Mapped[str] = mapped_column(String(254))
    area: Mapped[str] = mapped_column(String(12))
    severity: Mapped[str] = mapped_column(String(16))
    level: Mapped[int]
    digest_minutes: Mapped[int]
    quiet_from: Mapped[int | None]
    quiet_until: Mapped[int | None]
    urgent_always: Mapped[bool]
    closings: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class MessageRow(Base):
    """Table `notification_message`: one message on its way to one subscription.

    `next_at` is when it is tried next; whoever tries it moves that forward first, so that a sender that dies
    leaves it to be sent again under the same id.
    """

    __tablename__ = "notification_message"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'given_up')", name="state"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index(None, "state", "next_at"),
        Index(None, "subscription_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    subscription_id: Mapped[str] = mapped_column(ForeignKey("notification_subscription.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    alarms: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(Text)


class NewsRow(Base):
    """Table `notification_news`: one change of one alarm that one subscription is to hear of.

    `due_at` is the end of its digest or of the quiet hours. It ends in a message, or `dropped` says why not.
    """

    __tablename__ = "notification_news"
    __table_args__ = (
        CheckConstraint("message_id IS NULL OR dropped = ''", name="ended_once"),
        ForeignKeyConstraint(["alarm_id", "seq"], ["alarm_event.alarm_id", "alarm_event.seq"]),
        Index(None, "message_id"),
        Index(None, "due_at"),
        Index(None, "alarm_id"),
    )

    subscription_id: Mapped[str] = mapped_column(ForeignKey("notification_subscription.id"), primary_key=True)
    alarm_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    action: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    message_id: Mapped[str | None] = mapped_column(ForeignKey("notification_message.id"))
    dropped: Mapped[str] = mapped_column(Text, default="")
