"""One's own login: who I am, what I may see, and a new password.

Owns the two pages of the account. The rules of passwords are `registry.passwords`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dashboards.sessions import policy_of, set_session
from dashboards.web import check_form, logged_in, redirect, render, services_of
from registry.actors import Actor
from registry.divisions import division_name
from registry.passwords import change_password
from registry.users import open_session
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Me = Annotated[Actor, Depends(logged_in("每个人只看到、只改动自己的账号"))]
PASSWORD_PATH = "/account/password"  # noqa: S105, the address of a page


@dataclass(frozen=True, slots=True)
class AccountView:
    """What the page shows besides the frame: the area in words, and what became of the last try."""

    area: str
    problems: Sequence[Problem] = ()
    message: str = ""
    message_tone: str = "good"


def _page(
    request: Request, actor: Actor, problems: Sequence[Problem] = (), message: tuple[str, str] = ("", "good")
) -> HTMLResponse:
    with services_of(request).database.reading() as session:
        area = division_name(session, actor.area) if actor.area else "全部"
    return render(request, "account.html", "我的账号", view=AccountView(area, problems, *message))


@router.get("/account")
def show_account(request: Request, actor: Me, done: str = "") -> HTMLResponse:
    """Show the login."""
    return _page(request, actor, message=("口令已修改，其他地方的登录都已退出。" if done else "", "good"))


@router.get(PASSWORD_PATH)
def show_password(request: Request, actor: Me) -> HTMLResponse:
    """Show the form; asked for outright when a one-time or old password must be replaced."""
    due = getattr(request.state, "must_change_password", False)
    words = "这是一次性口令，或口令已用了 90 天。请先换成自己的口令。" if due else ""
    return _page(request, actor, message=(words, "warn"))


@router.post(PASSWORD_PATH, dependencies=[Depends(check_form)])
def set_password(
    request: Request,
    actor: Me,
    current: Annotated[str, Form(max_length=256)],
    fresh: Annotated[str, Form(max_length=256)],
    again: Annotated[str, Form(max_length=256)],
) -> Response:
    """Replace the password, end every other session, and go on in a new one."""
    if fresh != again:
        return _page(request, actor, [Problem("新口令", "两遍不一样", "重新输入两遍")])
    services = services_of(request)
    now, policy = services.clock(), policy_of(services)
    try:
        with services.database.transaction() as session:
            change_password(session, actor, (current, fresh), now, policy)
            opened = open_session(session, actor, now, policy)
    except ProblemsError as error:
        return _page(request, actor, error.problems)
    response: RedirectResponse = redirect("/account", done="1")
    set_session(response, services, opened)
    return response
