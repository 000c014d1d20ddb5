"""The outbox: news goes in with the transaction of its alarm and comes out in messages, twice before never.

Owns queueing, composing, claiming and settling. A message that cannot be delivered for a day is given up,
which is an event that people see.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from monitoring.alarms.kinds import AlarmAction, AlarmSeverity
from monitoring.alarms.lifecycle import AlarmChange
from monitoring.alarms.reads import Alarm, AlarmFilter, alarms
from monitoring.notifications.digest import Digest, News, digest
from monitoring.notifications.policy import LEASE, PAUSE, due, is_quiet, next_try
from monitoring.notifications.subscriptions import CHANNEL_WORDS, Channel, Subscription, as_subscription
from monitoring.notifications.tables import MessageRow, NewsRow, SubscriptionRow
from registry.actors import Actor, Permission, area_prefix
from registry.divisions import division_names
from registry.users import acting_as
from store.db import new_id
from store.events import Event, EventKind, Severity, record

TOLD_ACTIONS = frozenset({AlarmAction.OPEN, AlarmAction.RELEASE, AlarmAction.ESCALATE, AlarmAction.CLOSE})
_AT_ONCE = 400

Worth = Callable[[Session, Actor, Sequence[Alarm], datetime], Mapping[str, int | None]]
"""Values the energy that alarms cost [fen], by alarm id, for a reader who may see money."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is to be sent: its id for ever, the channel and its target, the words."""

    id: str
    channel: Channel
    target: str
    subject: str
    text: str
    alarms: int
    attempts: int


def _active(session: Session) -> list[Subscription]:
    statement = select(SubscriptionRow).where(SubscriptionRow.ended_at.is_(None)).order_by(SubscriptionRow.id)
    return [as_subscription(row) for row in session.scalars(statement)]


def queue(session: Session, changes: Sequence[AlarmChange]) -> int:
    """Put changes of alarms on their way to everybody who wants to hear of them; returns how many pieces.

    Belongs into the transaction that changed the alarms. Who may see what is decided when it is told.
    """
    wanted = [change for change in changes if change.action in TOLD_ACTIONS]
    listed = _active(session) if wanted else []
    if not listed:
        return 0
    closing = {change.alarm_id for change in wanted if change.action is AlarmAction.CLOSE}
    heard = _heard(session, closing)
    rows = [
        {
            "subscription_id": one.id,
            "alarm_id": change.alarm_id,
            "seq": change.seq,
            "action": str(change.action),
            "due_at": _due(one, change),
            "message_id": None,
            "dropped": "",
        }
        for one in listed
        for change in wanted
        if _concerns(one, change, heard)
    ]
    if rows:
        session.execute(insert(NewsRow), rows)
    return len(rows)


def _heard(session: Session, alarm_ids: Iterable[str]) -> set[tuple[str, str]]:
    """Return which subscriptions have been told, or are to be told, of alarms, as (subscription, alarm)."""
    listed = sorted(alarm_ids)
    found: set[tuple[str, str]] = set()
    for begin in range(0, len(listed), _AT_ONCE):
        some = listed[begin : begin + _AT_ONCE]
        statement = select(NewsRow.subscription_id, NewsRow.alarm_id).where(
            NewsRow.alarm_id.in_(some), NewsRow.dropped == ""
        )
        found.update((row[0], row[1]) for row in session.execute(statement))
    return found


def _concerns(one: Subscription, change: AlarmChange, heard: set[tuple[str, str]]) -> bool:
    inside = change.division_code.startswith(area_prefix(one.wish.area))
    around = bool(one.wish.area) and one.wish.area.startswith(area_prefix(change.division_code))
    if not (inside or around) or not one.hears(change.severity, change.level):
        return False
    if change.action is AlarmAction.CLOSE:
        return one.wish.closings and (one.id, change.alarm_id) in heard
    return True


def _due(one: Subscription, change: AlarmChange) -> datetime:
    urgent = one.wish.urgent_always and change.severity is AlarmSeverity.CRITICAL
    opens = change.action is not AlarmAction.CLOSE
    return due(change.at, one.wish.digest_minutes, None if urgent and opens else one.wish.quiet)


def compose(session: Session, worth: Worth, site_name: str, now: datetime) -> int:
    """Make one message of all the news that is due, for each subscription; returns how many messages."""
    statement = select(NewsRow.subscription_id).where(
        NewsRow.message_id.is_(None), NewsRow.dropped == "", NewsRow.due_at <= now
    )
    ids = sorted(set(session.scalars(statement)))
    made = 0
    for subscription_id in ids:
        row = session.get(SubscriptionRow, subscription_id)
        last = session.scalar(
            select(func.max(MessageRow.created_at)).where(MessageRow.subscription_id == subscription_id)
        )
        if row is None or (last is not None and now - last < PAUSE):
            continue
        made += _compose_one(session, row, worth, (site_name, now))
    return made


def _compose_one(session: Session, row: SubscriptionRow, worth: Worth, about: tuple[str, datetime]) -> int:
    site_name, now = about
    one = as_subscription(row)
    statement = select(NewsRow).where(
        NewsRow.subscription_id == one.id, NewsRow.message_id.is_(None), NewsRow.dropped == ""
    )
    # In quiet hours only what breaks them is told; otherwise what is not due yet comes along.
    if is_quiet(now, one.wish.quiet):
        statement = statement.where(NewsRow.due_at <= now)
    news = list(session.scalars(statement.order_by(NewsRow.alarm_id, NewsRow.seq).with_for_update()))
    person = acting_as(session, one.user_id)
    if row.ended_at is not None or person is None or not person.may(Permission.VIEW_STATIONS):
        _drop(news, "订阅已停用")
        return 0
    told = _told(session, person, news, closings=one.wish.closings)
    if not told:
        return 0
    listed = [piece.alarm for piece in told]
    money = worth(session, person, listed, now) if person.may(Permission.VIEW_MONEY) else {}
    words = digest(told, money, division_names(session), now, site_name)
    _keep(session, one, words, (news, len(told)), now)
    return 1


def _told(session: Session, person: Actor, news: Sequence[NewsRow], *, closings: bool) -> list[News]:
    """Return what is told, one piece an alarm; drops what the person may not see and what has passed."""
    grouped: dict[str, list[NewsRow]] = {}
    for row in news:
        grouped.setdefault(row.alarm_id, []).append(row)
    seen = {one.id: one for one in alarms(session, person, AlarmFilter(grouped=True, ids=tuple(grouped)))}
    told: list[News] = []
    for alarm_id, rows in grouped.items():
        found = seen.get(alarm_id)
        actions = {row.action for row in rows}
        if found is None:
            _drop(rows, "不在接收人的辖区内")
        elif found.parent_id:
            _drop(rows, "已并入更大范围的告警")
        elif not found.open and (AlarmAction.CLOSE not in actions or not closings):
            _drop(rows, "通知之前已经恢复")
        else:
            raised = AlarmAction.ESCALATE in actions
            told.append(News(found, AlarmAction.ESCALATE if raised else AlarmAction(rows[-1].action)))
    return told


def _drop(news: Iterable[NewsRow], why: str) -> None:
    for row in news:
        row.dropped = why


def _keep(
    session: Session,
    one: Subscription,
    words: Digest,
    what: tuple[Sequence[NewsRow], int],
    now: datetime,
) -> None:
    news, count = what
    message = MessageRow(
        id=new_id("message"),
        subscription_id=one.id,
        created_at=now,
        subject=words.subject,
        text=words.text,
        alarms=count,
        state="waiting",
        attempts=0,
        next_at=now,
        sent_at=None,
        error="",
    )
    session.add(message)
    session.flush()
    for row in news:
        if not row.dropped:
            row.message_id = message.id
    session.flush()


def claim(session: Session, now: datetime, limit: int = 50) -> list[Message]:
    """Take messages that are due; each is kept from others for the lease, its attempt already counted."""
    statement = (
        select(MessageRow, SubscriptionRow)
        .join(SubscriptionRow, SubscriptionRow.id == MessageRow.subscription_id)
        .where(MessageRow.state == "waiting", MessageRow.next_at <= now)
        .order_by(MessageRow.next_at, MessageRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=MessageRow)
    )
    taken = []
    for row, to in session.execute(statement):
        row.attempts += 1
        row.next_at = now + LEASE
        taken.append(
            Message(row.id, Channel(to.channel), to.target, row.subject, row.text, row.alarms, row.attempts)
        )
    session.flush()
    return taken


def sent(session: Session, message: Message, now: datetime) -> None:
    """Note that a message has arrived."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == message.id, MessageRow.state != "sent")
        .values(state="sent", sent_at=now, error="")
    )


def failed(session: Session, message: Message, why: str, now: datetime) -> None:
    """Note that a message did not arrive: it is tried again later, or given up, which is an event.

    `why` are a few Chinese words without any address.
    """
    again = next_try(message.attempts, now)
    values: dict[str, object] = {"error": why} | (
        {"state": "given_up"} if again is None else {"next_at": again}
    )
    session.execute(
        update(MessageRow).where(MessageRow.id == message.id, MessageRow.state == "waiting").values(**values)
    )
    if again is None:
        words = f"一条{CHANNEL_WORDS[message.channel]}通知（{message.alarms} 条告警）送不出去，已放弃：{why}"
        record(
            session,
            Event(
                now,
                EventKind.SERVICE,
                Severity.ERROR,
                "notification",
                message.id,
                words,
                detail={"attempts": message.attempts},
                id=f"{message.id}-given-up-{now:%Y%m%dT%H%M}",
            ),
        )


def put_off(session: Session, message: Message, until: datetime) -> None:
    """Give a claimed message back untried: its server did not answer for another."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == message.id, MessageRow.state == "waiting")
        .values(next_at=until, attempts=MessageRow.attempts - 1)
    )


def try_again(session: Session, now: datetime) -> int:
    """Put every message that was given up on its way again; returns how many."""
    result = session.execute(
        update(MessageRow)
        .where(MessageRow.state == "given_up")
        .values(state="waiting", attempts=0, next_at=now)
    )
    return int(getattr(result, "rowcount", 0))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the outbox stands: news that waits, messages by state, and the oldest that waits [UTC]."""

    news: int
    waiting: int
    sent: int
    given_up: int
    oldest: datetime | None


def standing(session: Session) -> Standing:
    """Return how the outbox stands."""
    statement = select(MessageRow.state, func.count()).group_by(MessageRow.state)
    counts = {state: int(count) for state, count in session.execute(statement)}
    news = session.scalar(
        select(func.count()).select_from(NewsRow).where(NewsRow.message_id.is_(None), NewsRow.dropped == "")
    )
    oldest = session.scalar(select(func.min(MessageRow.created_at)).where(MessageRow.state == "waiting"))
    return Standing(
        news or 0, counts.get("waiting", 0), counts.get("sent", 0), counts.get("given_up", 0), oldest
    )
