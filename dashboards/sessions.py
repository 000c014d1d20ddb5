"""Who sits behind a browser: the cookies of sessions and of visitors.

Owns the cookies and what they prove; logins and sessions themselves are in `registry.users`. The
application calls `identify` before every request and `remember` on its response.
"""

import secrets
from dataclasses import dataclass

from fastapi import Request, Response

from dashboards.assets import URL_PREFIX
from dashboards.web import Services, services_of
from registry.actors import PUBLIC, Actor
from registry.users import (
    Credentials,
    LoginPolicy,
    NewSession,
    OpenSession,
    Refusal,
    actor_of_session,
    authenticate,
    open_session,
    touch_session,
)

_TOKEN_BYTES = 32
_MAX_COOKIE = 128
_DAY_SECONDS = 86_400
_FOR_PROGRAMS, _BEARER = ("/api/", "/metrics"), "bearer "


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request, the token that its forms must carry, and the visitor cookie to be set, if any."""

    actor: Actor
    csrf_token: str
    session_token: str = ""
    must_change_password: bool = False
    new_visitor_token: str = ""


def policy_of(services: Services) -> LoginPolicy:
    """Return the rules of login with the lengths of a session that are set for this installation."""
    return LoginPolicy(idle=services.session_idle, absolute=services.session_lifetime)


def session_cookie(services: Services) -> str:
    """Return the name of the session cookie; the prefix binds it to this host where HTTPS is used."""
    return "__Host-sunledger" if services.secure_cookies else "sunledger"


def _visitor_cookie(services: Services) -> str:
    return "__Host-sunledger-form" if services.secure_cookies else "sunledger_form"


def identify(request: Request) -> Identity:
    """Return who makes a request, and put it on `request.state`, field by field."""
    identity = _of_session(request) or _of_visitor(request)
    request.state.actor = identity.actor
    request.state.csrf_token = identity.csrf_token
    request.state.session_token = identity.session_token
    request.state.must_change_password = identity.must_change_password
    return identity


def session_token(request: Request) -> str:
    """Return the session token that a request carries: of its cookie, or, below /api/, as a bearer."""
    authorization = request.headers.get("authorization", "")
    if request.url.path.startswith(_FOR_PROGRAMS) and authorization.lower().startswith(_BEARER):
        return authorization[len(_BEARER) :].strip()[:_MAX_COOKIE]
    return request.cookies.get(session_cookie(services_of(request)), "")[:_MAX_COOKIE]


def _of_session(request: Request) -> Identity | None:
    token = session_token(request)
    opened = _look_up(services_of(request), token) if token else None
    if opened is None:
        return None
    return Identity(opened.actor, opened.csrf_token, token, opened.must_change_password)


def _look_up(services: Services, token: str) -> OpenSession | None:
    now = services.clock()
    with services.database.reading() as session:
        opened = actor_of_session(session, token, now, policy_of(services))
    if opened is not None and opened.stale:
        with services.database.transaction() as session:
            touch_session(session, token, now)
    return opened


def _of_visitor(request: Request) -> Identity:
    token = request.cookies.get(_visitor_cookie(services_of(request)), "")[:_MAX_COOKIE]
    if token:
        return Identity(PUBLIC, token)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    return Identity(PUBLIC, token, new_visitor_token=token)


def remember(request: Request, response: Response, identity: Identity) -> None:
    """Give a new visitor the cookie against which the login form is checked; only pages set it."""
    page = response.headers.get("content-type", "").startswith("text/html")
    if identity.new_visitor_token and page and not request.url.path.startswith(URL_PREFIX):
        services = services_of(request)
        response.set_cookie(
            _visitor_cookie(services),
            identity.new_visitor_token,
            max_age=_DAY_SECONDS,
            httponly=True,
            samesite="lax",
            secure=services.secure_cookies,
        )


def attempt_login(services: Services, credentials: Credentials) -> NewSession | Refusal:
    """Check a password and open a session with a fresh token, or say why not."""
    now, policy = services.clock(), policy_of(services)
    with services.database.transaction() as session:
        answer = authenticate(session, credentials, now, policy)
        return open_session(session, answer, now, policy) if isinstance(answer, Actor) else answer


def set_session(response: Response, services: Services, opened: NewSession) -> None:
    """Put the token of a session that was just opened into its cookie."""
    response.set_cookie(
        session_cookie(services),
        opened.token,
        max_age=int(services.session_lifetime.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=services.secure_cookies,
    )


def clear_session(response: Response, services: Services) -> None:
    """Take the session cookie away."""
    response.delete_cookie(
        session_cookie(services), httponly=True, samesite="lax", secure=services.secure_cookies
    )
