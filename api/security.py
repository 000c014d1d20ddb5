"""What stands in front of every route and on every answer: identity, size limits, security headers.

Owns the order of these checks. Cookies are `dashboards.sessions`, passwords and session rules
`registry.users`; which permission a route needs stands at the route.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from api.errors import answer_for_status
from dashboards.assets import URL_PREFIX
from dashboards.sessions import identify, remember
from dashboards.web import Services, redirect

MAX_BODY_BYTES = 11 * 1024 * 1024
PASSWORD_PAGE = "/account/password"  # noqa: S105, the address of a page
FREE_WHILE_PASSWORD_IS_DUE = (PASSWORD_PAGE, "/logout", URL_PREFIX, "/display", "/healthz", "/control/")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=()",
}
HSTS = "max-age=31536000; includeSubDomains"
Next = Callable[[Request], Awaitable[Response]]


def _refused(request: Request) -> Response | None:
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return answer_for_status(request, 413)
    path = request.url.path
    if request.state.must_change_password and not path.startswith(FREE_WHILE_PASSWORD_IS_DUE):
        return answer_for_status(request, 403) if path.startswith("/api/") else redirect(PASSWORD_PAGE)
    return None


def install(application: FastAPI) -> None:
    """Put identification in front of every route and the headers behind it."""

    @application.middleware("http")
    async def guard(request: Request, call_next: Next) -> Response:
        services: Services = application.state.services
        identity = await run_in_threadpool(identify, request)
        response = _refused(request) or await call_next(request)
        remember(request, response, identity)
        response.headers.update(HEADERS)
        if services.secure_cookies:
            response.headers["Strict-Transport-Security"] = HSTS
        response.headers.setdefault("Cache-Control", "no-store")
        return response
