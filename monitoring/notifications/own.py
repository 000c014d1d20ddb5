"""What a person sees of the own notifications: how the latest of each subscription fared, and a test of it.

A test goes the way of every message: into the outbox, and from there with whatever sends.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from monitoring.notifications.subscriptions import CHANNEL_WORDS, Channel
from monitoring.notifications.tables import MessageRow, SubscriptionRow
from registry import audit
from registry.actors import Actor, Permission
from store.db import new_id
from store.problem import Problem, ProblemsError

TEST_PAUSE = timedelta(minutes=1)
_ID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Fared:
    """How a message fared: made and sent when [UTC], whether given up, the last failure in Chinese."""

    created_at: datetime
    subject: str
    sent_at: datetime | None
    given_up: bool
    attempts: int
    error: str


def queue_test(session: Session, actor: Actor, subscription_id: str, site_name: str, now: datetime) -> str:
    """Put a test on its way over an own subscription and return the message's id.

    Raises LookupError for another's subscription, ProblemsError when the last message is not a minute old.
    """
    actor.require(Permission.VIEW_STATIONS)
    row = session.get(SubscriptionRow, subscription_id)
    if row is None or row.user_id != actor.user_id or row.ended_at is not None:
        raise LookupError(f"没有订阅 {subscription_id}")
    latest = session.scalar(
        select(func.max(MessageRow.created_at)).where(MessageRow.subscription_id == subscription_id)
    )
    if latest is not None and now - latest < TEST_PAUSE:
        raise ProblemsError([Problem("测试", "一分钟内刚发过", "等一分钟再试")])
    channel = CHANNEL_WORDS[Channel(row.channel)]
    words = f"这是 {actor.name} 发的测试通知。收到它，说明{channel}已经接通，有告警时会照订阅发到这里。"
    message = _message(new_id("message"), subscription_id, (f"【{site_name}】测试通知", words), now)
    session.add(message)
    session.flush()
    what = audit.Entry("test", "notification_subscription", subscription_id)
    audit.record(session, actor, what, now)
    return message.id


def queue_note(session: Session, user_id: str, note: tuple[str, str, str], now: datetime) -> int:
    """Put a note, given as (key, subject, text), on its way over every subscription of a user, once per key.

    Returns how many messages were made.
    """
    key, subject, text = note
    live = select(SubscriptionRow.id).where(
        SubscriptionRow.user_id == user_id, SubscriptionRow.ended_at.is_(None)
    )
    made = 0
    for subscription_id in session.scalars(live.order_by(SubscriptionRow.id)).all():
        message_id = f"{key}-{subscription_id}"[:_ID_LENGTH]
        if session.get(MessageRow, message_id) is None:
            session.add(_message(message_id, subscription_id, (subject, text), now))
            made += 1
    session.flush()
    return made


def _message(message_id: str, subscription_id: str, words: tuple[str, str], now: datetime) -> MessageRow:
    return MessageRow(
        id=message_id,
        subscription_id=subscription_id,
        created_at=now,
        subject=words[0],
        text=words[1],
        alarms=0,
        state="waiting",
        attempts=0,
        next_at=now,
        sent_at=None,
        error="",
    )


def latest_messages(session: Session, subscription_ids: Collection[str]) -> dict[str, Fared]:
    """Return the latest message of each subscription that was ever told of anything, by its id."""
    newest = (
        select(MessageRow.subscription_id, func.max(MessageRow.created_at).label("created_at"))
        .where(MessageRow.subscription_id.in_(subscription_ids))
        .group_by(MessageRow.subscription_id)
        .subquery()
    )
    statement = select(MessageRow).join(
        newest,
        (MessageRow.subscription_id == newest.c.subscription_id)
        & (MessageRow.created_at == newest.c.created_at),
    )
    return {
        row.subscription_id: Fared(
            row.created_at, row.subject, row.sent_at, row.state == "given_up", row.attempts, row.error
        )
        for row in session.scalars(statement.order_by(MessageRow.id))
    }
