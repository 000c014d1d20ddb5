"""Login and logout.

Owns the form and its answers. A refused login is held back for as long as `registry.users` says, without
keeping a worker busy.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboards.sessions import attempt_login, clear_session, set_session
from dashboards.web import (
    SEE_OTHER,
    check_form,
    current_actor,
    local_path,
    open_to_all,
    redirect,
    render,
    services_of,
)
from registry.actors import PUBLIC
from registry.users import Credentials, Refusal, close_session

router = APIRouter(include_in_schema=False)
_ANYBODY = Depends(open_to_all("登录之前没有身份"))
_REFUSED, _LOCKED = 401, 429


@router.get("/login", dependencies=[_ANYBODY])
def show_login(request: Request, following: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Show the form, or go on where somebody is logged in already."""
    if current_actor(request) != PUBLIC:
        return RedirectResponse(local_path(following), status_code=SEE_OTHER)
    return _form(request, following)


def _form(request: Request, back: str, login: str = "", message: str = "") -> HTMLResponse:
    return render(request, "login.html", "登录", back=local_path(back), login=login, message=message)


@router.post("/login", dependencies=[_ANYBODY, Depends(check_form)])
async def log_in(
    request: Request,
    login: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=256)],
    back: Annotated[str, Form(max_length=512)] = "/",
) -> Response:
    """Check a password and open a session with a fresh token."""
    source = request.client.host if request.client else ""
    credentials = Credentials(login.strip().lower(), password, source)
    answer = await run_in_threadpool(attempt_login, services_of(request), credentials)
    if isinstance(answer, Refusal):
        await hold_back(answer.delay_seconds)
        response = _form(request, back, login, answer.message)
        response.status_code = _LOCKED if answer.retry_after_seconds else _REFUSED
        if answer.retry_after_seconds:
            response.headers["Retry-After"] = str(answer.retry_after_seconds)
        return response
    going_on = redirect(local_path(back))
    set_session(going_on, services_of(request), answer)
    return going_on


async def hold_back(seconds: int) -> None:
    """Wait before a refusal is given [s], so that guessing is slow."""
    await asyncio.sleep(seconds)


@router.post("/logout", dependencies=[_ANYBODY, Depends(check_form)])
def log_out(request: Request) -> RedirectResponse:
    """Close the session, here and in the database."""
    services = services_of(request)
    with services.database.transaction() as session:
        close_session(session, request.state.session_token)
    response = redirect("/login")
    clear_session(response, services)
    return response
