"""What every page and resource of the web edge shares.

Owns the services handed to routes, the present actor, the permission rule of a route, the check against
forged forms, and the rendering of templates. It opens no session and sets no security header: the
application (`api.app`) puts `actor` and `csrf_token` on `request.state` before a route runs.
"""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from fastapi import Form, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from sqlalchemy.orm import Session

from dashboards.assets import asset_url
from dashboards.filters import FILTERS
from dashboards.navigation import NavigationItem, group_tabs, navigation
from registry.actors import PUBLIC, Actor, NotPermittedError, Permission
from store.db import Database
from store.periods import Clock

LARGE_TYPE_COOKIE = "sunledger_large_type"
_TEMPLATES = Path(__file__).resolve().parent / "templates"
SEE_OTHER = 303
RowNumber = Annotated[int, InPath(ge=1, le=2**31 - 1)]
"""A number in an address: a version, line or entry; larger ones are refused before a database sees them."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the application hands to every route.

    `series` is the time-series store, passed on to `monitoring` and `distribution` as it is: pages must
    not read it, so its type is not known here. `robots` are the names of the configured webhooks.
    """

    database: Database
    series: Any
    clock: Clock
    data_dir: Path
    site_name: str = "光伏帮扶电站收益账本"
    organizer: str = ""
    watermark: str = ""
    secure_cookies: bool = False
    session_idle: timedelta = timedelta(minutes=15)
    session_lifetime: timedelta = timedelta(hours=8)
    raw_sample_days: int = 0
    robots: tuple[str, ...] = ()


class LoginRequiredError(PermissionError):
    """Nobody is logged in, and what was asked is not public."""


class ForgedRequestError(PermissionError):
    """A form came without the token of its session, or from another site."""


class NotFoundError(LookupError):
    """There is no such thing, or it lies outside the actor's area: both look the same from outside."""


def services_of(request: Request) -> Services:
    """Return the services of the application that serves a request."""
    services: Services = request.app.state.services
    return services


def current_actor(request: Request) -> Actor:
    """Return who makes a request; the public when nobody is logged in."""
    actor: Actor = getattr(request.state, "actor", PUBLIC)
    return actor


def csrf_token(request: Request) -> str:
    """Return the token that a form of this session must carry; empty when there is no session."""
    token: str = getattr(request.state, "csrf_token", "")
    return token


@dataclass(frozen=True, slots=True)
class requires:  # noqa: N801, reads as a phrase in a route's signature
    """The permission rule of a route: `Depends(requires(Permission.X))` gives the actor.

    Raises LoginRequiredError or NotPermittedError when the rule is not met.
    """

    permission: Permission

    def __call__(self, request: Request) -> Actor:
        """Return the actor who may do what the route does."""
        actor = current_actor(request)
        if not actor.may(self.permission):
            if actor == PUBLIC:
                raise LoginRequiredError(str(request.url.path))
            raise NotPermittedError(f"{actor.name} 无权执行 {self.permission}")
        return actor


@dataclass(frozen=True, slots=True)
class open_to_all:  # noqa: N801, reads as a phrase in a route's signature
    """The rule of a route that anybody may ask, with the reason why that is right."""

    reason: str

    def __call__(self, request: Request) -> Actor:
        """Return whoever asks."""
        return current_actor(request)


@dataclass(frozen=True, slots=True)
class logged_in:  # noqa: N801, reads as a phrase in a route's signature
    """The rule of a route that any login may ask, whatever its role."""

    reason: str

    def __call__(self, request: Request) -> Actor:
        """Return the login; raises LoginRequiredError for the public."""
        actor = current_actor(request)
        if actor == PUBLIC:
            raise LoginRequiredError(str(request.url.path))
        return actor


AccessRule = requires | open_to_all | logged_in


def check_form(request: Request, csrf_token: Annotated[str, Form()] = "") -> None:
    """Refuse a form that was not made by a page of this session; raises ForgedRequestError."""
    expected: str = getattr(request.state, "csrf_token", "")
    if not expected or not hmac.compare_digest(expected.encode(), csrf_token.encode()):
        raise ForgedRequestError("the form does not carry the token of its session")
    origin = request.headers.get("origin")
    if origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise ForgedRequestError(f"the form was sent from {origin}")


def access_rules(route: APIRoute) -> list[AccessRule]:
    """Return the access rules of a route, its dependencies' included: a route without one is a mistake."""

    def walk(dependant: Any) -> Iterator[AccessRule]:
        if isinstance(dependant.call, requires | open_to_all | logged_in):
            yield dependant.call
        for child in dependant.dependencies:
            yield from walk(child)

    return list(walk(route.dependant))


def checks_forms(route: APIRoute) -> bool:
    """Tell whether a route checks the token of its forms."""

    def walk(dependant: Any) -> bool:
        return dependant.call is check_form or any(walk(child) for child in dependant.dependencies)

    return walk(route.dependant)


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the way back: a label and its address."""

    label: str
    href: str


@dataclass(frozen=True, slots=True)
class PageContext:
    """What the frame around every page shows."""

    title: str
    actor: Actor
    services: Services
    csrf_token: str
    now: datetime
    path: str
    address: str
    large_type: bool
    navigation: tuple[NavigationItem, ...]
    tabs: tuple[NavigationItem, ...] = ()
    crumbs: tuple[Crumb, ...] = ()

    @property
    def is_logged_in(self) -> bool:
        """Whether somebody is logged in."""
        return self.actor != PUBLIC


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals |= {"asset_url": asset_url, "query": _query, "svg": Markup}
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": False}
    return environment


def _query(path: str, **parameters: object) -> str:
    kept = {name: value for name, value in parameters.items() if value not in {None, ""}}
    return f"{path}?{urlencode(kept)}" if kept else path


_ENVIRONMENT = _environment()


def _address(request: Request) -> str:
    """Return the page to come back to: a page that answered a form cannot be asked for again."""
    if request.method != "GET":
        return "/"
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def render(
    request: Request, template: str, title: str, *, crumbs: tuple[Crumb, ...] = (), **content: object
) -> HTMLResponse:
    """Return a page: `template` of this package in the common frame, with its content by name."""
    actor = current_actor(request)
    page = PageContext(
        title=title,
        actor=actor,
        services=services_of(request),
        csrf_token=csrf_token(request),
        now=services_of(request).clock(),
        path=request.url.path,
        address=_address(request),
        large_type=request.cookies.get(LARGE_TYPE_COOKIE) == "1",
        navigation=navigation(actor, request.url.path),
        tabs=group_tabs(actor, request.url.path),
        crumbs=crumbs,
    )
    text = _ENVIRONMENT.get_template(template).render(page=page, **content)
    return HTMLResponse(text, headers={"Cache-Control": "no-store"})


def error_page(request: Request, *, status: int, title: str, what: str, how_to_fix: str) -> HTMLResponse:
    """Return the page of an error: what happened, and what the reader can do."""
    response = render(request, "error.html", title, what=what, how_to_fix=how_to_fix)
    response.status_code = status
    return response


def redirect(path: str, **parameters: object) -> RedirectResponse:
    """Return the answer after a form was accepted: look at `path`, so that reloading repeats nothing."""
    return RedirectResponse(_query(path, **parameters), status_code=SEE_OTHER)


def local_path(path: str, fallback: str = "/") -> str:
    """Return `path` if it names a page of this site, else `fallback`: no redirect leads elsewhere."""
    parts = urlsplit(path)
    plain = not parts.scheme and not parts.netloc and path.startswith("/") and "\\" not in path
    return path if plain and not path.startswith("//") else fallback


def reading(request: Request) -> Iterator[Session]:
    """Dependency: a consistent read-only session for one page."""
    with services_of(request).database.reading() as session:
        yield session


Render = Callable[..., HTMLResponse]
