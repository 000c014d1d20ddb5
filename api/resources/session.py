"""Log in and out from a program: a bearer token with the rights and the life of a session."""

import asyncio
from datetime import datetime

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.errors import Answer, problem_json
from api.resources.problems import BEARER, problems
from dashboards.sessions import attempt_login
from dashboards.web import logged_in, open_to_all, services_of
from registry.users import Credentials, Refusal, close_session

router = APIRouter(prefix="/session", tags=["会话"])


class LoginIn(BaseModel):
    """A login and its password."""

    login: str = Field(max_length=64)
    password: str = Field(max_length=256)


class SessionOut(BaseModel):
    """The token to send as `Authorization: Bearer …`, and when it ends [UTC]."""

    token: str
    expires_at: datetime


@router.post(
    "",
    status_code=201,
    response_model=SessionOut,
    dependencies=[Depends(open_to_all("登录之前没有身份"))],
    responses=problems(401, 429),
)
async def open_one(given: LoginIn, request: Request) -> SessionOut | JSONResponse:
    """Open a session; a refusal is held back as long as at the login page."""
    source = request.client.host if request.client else ""
    credentials = Credentials(given.login.strip().lower(), given.password, source)
    answer = await run_in_threadpool(attempt_login, services_of(request), credentials)
    if isinstance(answer, Refusal):
        await asyncio.sleep(answer.delay_seconds)
        status = 429 if answer.retry_after_seconds else 401
        refused = problem_json(request, Answer(status, "没有登录", answer.message, ""))
        if answer.retry_after_seconds:
            refused.headers["Retry-After"] = str(answer.retry_after_seconds)
        return refused
    return SessionOut(token=answer.token, expires_at=answer.expires_at)


@router.delete(
    "",
    status_code=204,
    dependencies=[Depends(logged_in("只关闭自己的会话")), Depends(BEARER)],
    responses=problems(401, 403),
)
def close_one(request: Request) -> Response:
    """Close the session of the token."""
    services = services_of(request)
    with services.database.transaction() as session:
        close_session(session, request.state.session_token)
    return Response(status_code=204)
