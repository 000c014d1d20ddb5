"""Alarms, subscriptions and the outbox, for operators."""

from collections.abc import Mapping
from typing import Any

from api.notifications.worth import alarms_worth
from api.operations.people import OPERATOR
from api.outcome import Exit, Outcome
from dashboards.web import Services
from monitoring.alarms.kinds import KIND_WORDS, LEVEL_WORDS, SEVERITY_WORDS, AlarmKind, AlarmSeverity
from monitoring.alarms.reads import AlarmFilter, alarms, count_alarms
from monitoring.alarms.telling import sentence
from monitoring.notifications.outbox import standing, try_again
from monitoring.notifications.subscriptions import (
    CHANNEL_WORDS,
    Channel,
    Subscription,
    Wish,
    quiet_of,
    quiet_words,
    subscribe,
    subscriptions,
    unsubscribe,
)
from registry.users import users
from store.periods import SHANGHAI
from store.problem import Problem, ProblemsError

COLUMNS = {
    "severity_word": "程度",
    "sentence": "告警",
    "since": "开始",
    "standing": "情况",
    "level_word": "升级",
    "cause": "原因",
}
SUBSCRIPTION_COLUMNS = {
    "id": "编号",
    "channel_word": "方式",
    "target": "发往",
    "area": "范围",
    "severity_word": "最轻",
    "digest_minutes": "汇总（分钟）",
    "quiet": "免打扰",
}
_AT_MOST = 500


def list_alarms(services: Services, **asked: Any) -> Outcome:
    """Return the alarms that pass the filters, gravest first; those that are open count as found.

    Raises ProblemsError for a kind or severity that does not exist.
    """
    only = AlarmFilter(
        kinds=[_one(AlarmKind, KIND_WORDS, name) for name in asked.get("kind", ())],
        severities=[_one(AlarmSeverity, SEVERITY_WORDS, name) for name in asked.get("severity", ())],
        open_only=not asked.get("closed", False),
        unacknowledged=asked.get("unacknowledged", False),
        area=asked.get("area", ""),
        station_id=asked.get("station_id", ""),
        grouped=asked.get("grouped", False),
    )
    now = services.clock()
    with services.database.reading() as session:
        found = alarms(session, OPERATOR, only, limit=_AT_MOST)
        count = count_alarms(session, OPERATOR, only)
        worth = alarms_worth(session, OPERATOR, found, now)
    rows = tuple(
        {
            "id": one.id,
            "kind": str(one.kind),
            "severity": str(one.severity),
            "severity_word": SEVERITY_WORDS[one.severity],
            "sentence": sentence(one, now, worth.get(one.id)),
            "station_id": one.station_id,
            "device_id": one.device_id,
            "division_code": one.division_code,
            "since": f"{one.opened_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
            "opened_at": one.opened_at.isoformat(),
            "closed_at": one.closed_at.isoformat() if one.closed_at else None,
            "acknowledged_at": one.acknowledged_at.isoformat() if one.acknowledged_at else None,
            "standing": "已恢复" if not one.open else "已确认" if one.acknowledged else "未确认",
            "level": one.level,
            "level_word": LEVEL_WORDS[one.level] if one.level else "",
            "cause": one.cause,
            "lost_energy_wh": one.lost_energy_wh,
            "lost_fen": worth.get(one.id),
        }
        for one in found
    )
    more = f"，只列前 {_AT_MOST} 条" if count > _AT_MOST else ""
    open_ones = any(one.open for one in found)
    return Outcome(f"{count} 条告警{more}", COLUMNS, rows, (), Exit.FOUND if open_ones else Exit.DONE)


def _one(kind: Any, words: Mapping[Any, str], name: str) -> Any:
    for one in kind:
        if name in {str(one), words[one]}:
            return one
    raise ProblemsError(
        [Problem(name, "没有这一类", f"可以是：{'、'.join(f'{one}（{words[one]}）' for one in kind)}")]
    )


def outbox(services: Services) -> Outcome:
    """Return how the outbox stands; messages that were given up count as found."""
    with services.database.reading() as session:
        now = standing(session)
    row = {
        "news": now.news,
        "waiting": now.waiting,
        "sent": now.sent,
        "given_up": now.given_up,
        "oldest": f"{now.oldest.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if now.oldest else None,
    }
    columns = {
        "news": "待成文（条）",
        "waiting": "待发",
        "sent": "已发",
        "given_up": "已放弃",
        "oldest": "最早待发",
    }
    summary = "有通知已放弃，修好后运行 sunledger notify retry" if now.given_up else "没有放弃的通知"
    return Outcome(summary, columns, (row,), (), Exit.FOUND if now.given_up else Exit.DONE)


def retry(services: Services) -> Outcome:
    """Put every message that was given up on its way again."""
    with services.database.transaction() as session:
        count = try_again(session, services.clock())
    return Outcome(f"{count} 条通知重新发送", {})


def _user_id(session: Any, login: str) -> str:
    for user in users(session, OPERATOR):
        if user.login == login:
            return user.id
    raise ProblemsError([Problem("登录名", f"没有 {login}", "用 sunledger user list 查看")])


def list_subscriptions(services: Services, *, login: str) -> Outcome:
    """Return the subscriptions of a login."""
    with services.database.reading() as session:
        found = subscriptions(session, OPERATOR, _user_id(session, login))
    return Outcome(f"{login} 有 {len(found)} 条订阅", SUBSCRIPTION_COLUMNS, tuple(map(_row, found)))


def _row(one: Subscription) -> dict[str, Any]:
    wish = one.wish
    return {
        "id": one.id,
        "channel": str(wish.channel),
        "channel_word": CHANNEL_WORDS[wish.channel],
        "target": wish.target,
        "area": wish.area or "本人辖区",
        "severity": str(wish.severity),
        "severity_word": SEVERITY_WORDS[wish.severity],
        "level": wish.level,
        "digest_minutes": wish.digest_minutes,
        "quiet": quiet_words(wish.quiet),
        "closings": wish.closings,
    }


def add_subscription(services: Services, *, login: str, quiet: str = "", **wish: Any) -> Outcome:
    """Make a subscription for a login; raises ProblemsError when it is not possible."""
    wish["severity"] = _one(AlarmSeverity, SEVERITY_WORDS, wish.get("severity", "major"))
    wish["channel"] = Channel.EMAIL if "@" in wish["target"] else Channel.WEBHOOK
    with services.database.transaction() as session:
        user_id = _user_id(session, login)
        subscribe(session, OPERATOR, user_id, Wish(**wish, quiet=quiet_of(quiet)), services.clock())
        found = subscriptions(session, OPERATOR, user_id)
    return Outcome(f"{login} 有 {len(found)} 条订阅", SUBSCRIPTION_COLUMNS, tuple(map(_row, found)))


def end_subscription(services: Services, *, subscription_id: str) -> Outcome:
    """End a subscription; raises ProblemsError where there is none."""
    try:
        with services.database.transaction() as session:
            unsubscribe(session, OPERATOR, subscription_id, services.clock())
    except LookupError as error:
        problem = Problem("订阅", str(error), "用 sunledger notify list 登录名 查看")
        raise ProblemsError([problem]) from error
    return Outcome("订阅已停用", {})
