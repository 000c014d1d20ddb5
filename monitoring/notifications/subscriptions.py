"""What a person wants to be told of: made, listed and ended by the person or an administrator.

Owns the rules of a subscription: a mail address or the name of a webhook, an area inside the person's own,
severities, digest, quiet hours. Where a webhook points is configured by the operator, never by a person.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitoring.alarms.kinds import HIGHEST_LEVEL, SEVERITY_ORDER, AlarmSeverity
from monitoring.notifications.policy import DAY_MINUTES, Quiet
from monitoring.notifications.tables import SubscriptionRow
from registry import audit
from registry.actors import CODE_LENGTH, Actor, Permission
from registry.users import acting_as, managed_user
from store.db import new_id
from store.problem import Problem, ProblemsError

_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ADDRESS_CHARACTERS = 254
PER_PERSON = 20


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    WEBHOOK = "webhook"


CHANNEL_WORDS = {Channel.EMAIL: "电子邮件", Channel.WEBHOOK: "群机器人"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted: told over `channel` to `target` of alarms in `area` (empty: the person's own area).

    `severity` is the least grave that is told, `level` the escalation from which on. `digest_minutes` is 0
    for at once or divides a day; `quiet` are the quiet hours, in which `urgent_always` lets the gravest
    through. `closings` also tells what is over.
    """

    channel: Channel
    target: str
    area: str = ""
    severity: AlarmSeverity = AlarmSeverity.MAJOR
    level: int = 0
    digest_minutes: int = 15
    quiet: Quiet | None = None
    urgent_always: bool = True
    closings: bool = True


@dataclass(frozen=True, slots=True)
class Subscription:
    """A wish as it stands, whose it is, and since when."""

    id: str
    user_id: str
    wish: Wish
    created_at: datetime

    def hears(self, severity: AlarmSeverity, level: int) -> bool:
        """Tell whether alarms so grave and so far escalated are wanted."""
        return SEVERITY_ORDER[severity] <= SEVERITY_ORDER[self.wish.severity] and level >= self.wish.level


def _problems(actor: Actor, wish: Wish) -> Iterator[Problem]:
    if wish.channel is Channel.EMAIL and (
        not _ADDRESS.fullmatch(wish.target) or len(wish.target) > _ADDRESS_CHARACTERS
    ):
        yield Problem("邮箱", "不是邮箱地址", "写成 名称@域名")
    if wish.channel is Channel.WEBHOOK and not _NAME.fullmatch(wish.target):
        yield Problem("机器人", f"“{wish.target}” 不是机器人的名称", "用管理员在 webhooks.toml 中起的名称")
    if wish.area and (
        len(wish.area) != CODE_LENGTH or not wish.area.isdigit() or not actor.covers(wish.area)
    ):
        yield Problem("范围", f"{wish.area} 不在本人辖区内", "写 12 位区划代码，或留空表示本人辖区")
    if not 0 <= wish.level <= HIGHEST_LEVEL:
        yield Problem("升级", f"没有第 {wish.level} 级", f"写 0 到 {HIGHEST_LEVEL}")
    if wish.digest_minutes and (wish.digest_minutes < 0 or DAY_MINUTES % wish.digest_minutes):
        yield Problem(
            "汇总", f"{wish.digest_minutes} 分钟不能整分一天", "写 0（立即）、15、60 或 1440（每天 8 点）"
        )
    if wish.quiet is not None and not all(0 <= minute < DAY_MINUTES for minute in wish.quiet):
        yield Problem("免打扰", "不是一天中的时间", "写成 22:00-07:00")


def subscribe(session: Session, actor: Actor, user_id: str, wish: Wish, now: datetime) -> str:
    """Record that a person wants to be told; for oneself, or as administrator. Returns the subscription's id.

    Raises ProblemsError when the wish is not possible, PermissionError or LookupError for another's login.
    """
    person = _person(session, actor, user_id)
    problems = list(_problems(person, wish))
    if len(subscriptions(session, actor, user_id)) >= PER_PERSON:
        problems.append(Problem("订阅", f"一人不超过 {PER_PERSON} 条", "先停用不需要的"))
    if problems:
        raise ProblemsError(problems)
    row = SubscriptionRow(
        id=new_id("subscription"),
        user_id=user_id,
        channel=wish.channel,
        target=wish.target,
        area=wish.area,
        severity=wish.severity,
        level=wish.level,
        digest_minutes=wish.digest_minutes,
        quiet_from=wish.quiet[0] if wish.quiet else None,
        quiet_until=wish.quiet[1] if wish.quiet else None,
        urgent_always=wish.urgent_always,
        closings=wish.closings,
        created_at=now,
        ended_at=None,
    )
    session.add(row)
    session.flush()
    audit.record(
        session, actor, audit.Entry("subscribe", "notification_subscription", row.id, after=wish), now
    )
    return row.id


def _person(session: Session, actor: Actor, user_id: str) -> Actor:
    actor.require(Permission.VIEW_STATIONS)
    if user_id != actor.user_id:
        managed_user(session, actor, user_id)
    person = acting_as(session, user_id)
    if person is None:
        raise LookupError(f"没有可用的登录 {user_id}")
    person.require(Permission.VIEW_STATIONS)
    return person


def unsubscribe(session: Session, actor: Actor, subscription_id: str, now: datetime) -> None:
    """End a subscription: one's own, or another's as administrator; raises LookupError for none."""
    actor.require(Permission.VIEW_STATIONS)
    row = session.get(SubscriptionRow, subscription_id)
    if row is None or row.ended_at is not None:
        raise LookupError(f"没有订阅 {subscription_id}")
    if row.user_id != actor.user_id:
        managed_user(session, actor, row.user_id)
    row.ended_at = now
    session.flush()
    audit.record(session, actor, audit.Entry("unsubscribe", "notification_subscription", row.id), now)


def subscriptions(session: Session, actor: Actor, user_id: str) -> tuple[Subscription, ...]:
    """Return a person's subscriptions, oldest first: one's own, or another's as administrator."""
    actor.require(Permission.VIEW_STATIONS)
    if user_id != actor.user_id:
        managed_user(session, actor, user_id)
    return tuple(
        as_subscription(row)
        for row in session.scalars(
            select(SubscriptionRow)
            .where(SubscriptionRow.user_id == user_id, SubscriptionRow.ended_at.is_(None))
            .order_by(SubscriptionRow.created_at, SubscriptionRow.id)
        )
    )


def as_subscription(row: SubscriptionRow) -> Subscription:
    """Return a row as a record."""
    quiet = None if row.quiet_from is None or row.quiet_until is None else (row.quiet_from, row.quiet_until)
    wish = Wish(
        Channel(row.channel),
        row.target,
        row.area,
        AlarmSeverity(row.severity),
        row.level,
        row.digest_minutes,
        quiet,
        row.urgent_always,
        row.closings,
    )
    return Subscription(row.id, row.user_id, wish, row.created_at)


def quiet_of(text: str) -> Quiet | None:
    """Read quiet hours as 22:00-07:00, None from an empty text; raises ProblemsError for anything else."""
    if not text.strip():
        return None
    found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])", text.strip())
    if found is None:
        raise ProblemsError([Problem("免打扰", f"“{text}” 不是时段", "写成 22:00-07:00")])
    hours = [int(part) for part in found.groups()]
    return hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]


def quiet_words(quiet: Quiet | None) -> str:
    """Return quiet hours as 22:00-07:00, empty where there are none."""
    return "" if quiet is None else "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in quiet)
