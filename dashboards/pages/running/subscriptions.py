"""What I want to be told of: a person's own subscriptions, made, changed, tried and ended.

Owns the page and its forms. The rules of a subscription are `monitoring.notifications`'.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.web import NotFoundError, check_form, reading, redirect, render, requires, services_of
from monitoring.alarms.kinds import SEVERITY_WORDS, AlarmSeverity
from monitoring.notifications.own import Fared, latest_messages, queue_test
from monitoring.notifications.policy import Quiet
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
from registry.actors import Actor, Permission
from registry.divisions import Division, division_names, townships, villages
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Me = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
PATH = "/account/notifications"
_REFUSED = 409
DIGESTS = ((0, "发生就发"), (15, "每 15 分钟汇总"), (60, "每小时汇总"), (1440, "每天早上 8 点汇总"))
LEVELS = ((0, "一发生就通知"), (1, "升级到县里才通知"), (2, "升级到县领导才通知"))
_DONE = {
    "add": "已添加。可以发一条测试，看能不能收到。",
    "change": "已修改。",
    "end": "已停用，不再通知。",
    "test": "测试已经发出，半分钟内应能收到；结果看“最近一条”。",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One subscription in words, and how its latest message fared."""

    id: str
    channel: str
    target: str
    facts: tuple[tuple[str, str], ...]
    fared: str
    tone: str


@dataclass(frozen=True, slots=True)
class SubscriptionsView:
    """What the page shows besides the frame; `asked` stands in the form, `replaces` is what it changes."""

    lines: tuple[Line, ...]
    asked: Wish
    replaces: str
    areas: Sequence[Division]
    robots: Sequence[str]
    channels: tuple[tuple[str, str], ...]
    severities: tuple[tuple[str, str], ...]
    digests: tuple[tuple[int, str], ...]
    levels: tuple[tuple[int, str], ...]
    quiet: tuple[str, str]
    problems: Sequence[Problem] = ()
    message: str = ""


def _fared(found: Fared | None, now: datetime) -> tuple[str, str]:
    if found is None:
        return "还没有发过", "soft"
    if found.sent_at is not None:
        return "已送出", "good"
    if found.given_up:
        return f"没有送到，已放弃：{found.error}", "bad"
    if found.error:
        return f"还没有送到，会再试：{found.error}", "bad"
    return "正在发送" if found.created_at <= now else "等待发送", "soft"


def _line(one: Subscription, names: dict[str, str], found: Fared | None, now: datetime) -> Line:
    wish = one.wish
    quiet = quiet_words(wish.quiet)
    urgent = "，紧急的除外" if wish.urgent_always else ""
    facts = (
        ("范围", names.get(wish.area, wish.area) if wish.area else "本人辖区"),
        ("级别", _severity_words(wish.severity)),
        ("升级", dict(LEVELS)[wish.level]),
        ("汇总", dict(DIGESTS).get(wish.digest_minutes, f"每 {wish.digest_minutes} 分钟汇总")),
        ("免打扰", f"{quiet.replace('-', ' 至 ')}{urgent}" if quiet else "没有"),
        ("恢复时", "也通知" if wish.closings else "不通知"),
    )
    words, tone = _fared(found, now)
    return Line(one.id, CHANNEL_WORDS[wish.channel], wish.target, facts, words, tone)


def _severity_words(severity: AlarmSeverity) -> str:
    word = SEVERITY_WORDS[severity]
    return f"只要{word}的" if severity is AlarmSeverity.CRITICAL else f"{word}和更重的"


def _areas(session: Session, actor: Actor) -> Sequence[Division]:
    """Return the divisions inside the person's own area."""
    within = (*townships(session, actor), *villages(session, actor))
    return [one for one in within if one.code != actor.area]


@dataclass(frozen=True, slots=True)
class _Given:
    """What the form holds."""

    channel: Annotated[Channel, Form()]
    target: Annotated[str, Form(max_length=254)]
    area: Annotated[str, Form(max_length=12)] = ""
    severity: Annotated[AlarmSeverity, Form()] = AlarmSeverity.MAJOR
    level: Annotated[int, Form(ge=0, le=9)] = 0
    digest: Annotated[int, Form(ge=0, le=1440)] = 15
    quiet_from: Annotated[str, Form(max_length=5)] = ""
    quiet_until: Annotated[str, Form(max_length=5)] = ""
    urgent: Annotated[str, Form(max_length=3)] = ""
    closings: Annotated[str, Form(max_length=3)] = ""
    replaces: Annotated[str, Form(max_length=64)] = ""

    def quiet(self) -> Quiet | None:
        """Return the quiet hours; raises ProblemsError for such that are none."""
        limits = (self.quiet_from, self.quiet_until)
        return quiet_of("-".join(limits)) if any(limits) else None

    def wish(self, quiet: Quiet | None = None) -> Wish:
        """Return the wish with quiet hours."""
        return Wish(
            self.channel,
            self.target.strip(),
            self.area,
            self.severity,
            self.level,
            self.digest,
            quiet,
            bool(self.urgent),
            bool(self.closings),
        )


def _page(
    request: Request,
    session: Session,
    actor: Actor,
    form: tuple[Wish, str],
    told: tuple[Sequence[Problem], str] = ((), ""),
) -> HTMLResponse:
    services = services_of(request)
    mine = subscriptions(session, actor, actor.user_id)
    names, fared = division_names(session), latest_messages(session, [one.id for one in mine])
    asked, replaces = form
    usable = [one for one in Channel if one is Channel.EMAIL or services.robots]
    view = SubscriptionsView(
        lines=tuple(_line(one, names, fared.get(one.id), services.clock()) for one in mine),
        asked=asked,
        replaces=replaces,
        areas=_areas(session, actor),
        robots=services.robots,
        channels=tuple((str(one), CHANNEL_WORDS[one]) for one in usable),
        severities=tuple((str(one), _severity_words(one)) for one in AlarmSeverity),
        digests=DIGESTS,
        levels=LEVELS,
        quiet=_limits(asked),
        problems=told[0],
        message=told[1],
    )
    return render(request, "running/subscriptions.html", "我的通知", view=view)


def _limits(wish: Wish) -> tuple[str, str]:
    begin, _, end = quiet_words(wish.quiet).partition("-")
    return begin, end


_USUAL = Wish(Channel.EMAIL, "", quiet=quiet_of("22:00-07:00"))


@router.get(PATH)
def show_subscriptions(
    request: Request, actor: Me, session: Reading, done: str = "", change: str = ""
) -> HTMLResponse:
    """Show the person's own subscriptions, and the form for another or for a change of one."""
    changed = [one for one in subscriptions(session, actor, actor.user_id) if one.id == change]
    if change and not changed:
        raise NotFoundError(change)
    form = (changed[0].wish, change) if changed else (_USUAL, "")
    return _page(request, session, actor, form, ((), _DONE.get(done, "")))


@router.post(PATH, dependencies=[Depends(check_form)])
def keep_subscription(request: Request, actor: Me, given: Annotated[_Given, Depends()]) -> Response:
    """Add a subscription, or put it in the place of another."""
    services = services_of(request)
    wish = given.wish()
    try:
        wish = given.wish(given.quiet())
        with services.database.transaction() as session:
            if given.replaces:
                _end(session, actor, given.replaces, services.clock())
            subscribe(session, actor, actor.user_id, wish, services.clock())
    except LookupError as error:
        raise NotFoundError(str(error)) from error
    except ProblemsError as refused:
        with services.database.reading() as session:
            response = _page(request, session, actor, (wish, given.replaces), (refused.problems, ""))
        response.status_code = _REFUSED
        return response
    return redirect(PATH, done="change" if given.replaces else "add")


def _end(session: Session, actor: Actor, subscription_id: str, now: datetime) -> None:
    if subscription_id not in {one.id for one in subscriptions(session, actor, actor.user_id)}:
        raise LookupError(f"没有订阅 {subscription_id}")
    unsubscribe(session, actor, subscription_id, now)


def _do(request: Request, actor: Actor, done: str, act: Callable[[Session, datetime], object]) -> Response:
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            act(session, services.clock())
    except LookupError as error:
        raise NotFoundError(str(error)) from error
    except ProblemsError as refused:
        with services.database.reading() as session:
            response = _page(request, session, actor, (_USUAL, ""), (refused.problems, ""))
        response.status_code = _REFUSED
        return response
    return redirect(PATH, done=done)


@router.post(f"{PATH}/{{subscription_id}}/end", dependencies=[Depends(check_form)])
def end_subscription(request: Request, actor: Me, subscription_id: str) -> Response:
    """End one of the person's own subscriptions."""
    return _do(request, actor, "end", lambda session, now: _end(session, actor, subscription_id, now))


@router.post(f"{PATH}/{{subscription_id}}/test", dependencies=[Depends(check_form)])
def try_subscription(request: Request, actor: Me, subscription_id: str) -> Response:
    """Send a test over one of the person's own subscriptions."""
    site = services_of(request).site_name
    return _do(
        request, actor, "test", lambda session, now: queue_test(session, actor, subscription_id, site, now)
    )
