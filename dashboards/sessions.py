"""The session cookie: its name, its life, and how it is set and taken away.

Owns what the login page and the application must agree on. Who a token stands for is `registry.users`.
"""

from fastapi import Response

from dashboards.web import Services
from registry.users import LoginPolicy, NewSession


def policy_of(services: Services) -> LoginPolicy:
    """Return the rules of login with the lengths of a session that are set for this installation."""
    return LoginPolicy(idle=services.session_idle, absolute=services.session_lifetime)


def session_cookie(services: Services) -> str:
    """Return the name of the session cookie; the prefix binds it to this host where HTTPS is used."""
    return "__Host-sunledger" if services.secure_cookies else "sunledger"


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
