"""Logins made, reset and closed by an operator."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.operations.users import add_user, close_user, list_users, reset_user
from dashboards.web import Services
from registry.actors import Actor
from registry.users import Credentials, Refusal, authenticate
from store.db import Database
from store.problem import ProblemsError

NOW = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    return Services(database=database, series=None, clock=lambda: NOW, data_dir=tmp_path)


def log_in(services: Services, login: str, password: str) -> Actor | Refusal:
    with services.database.transaction() as session:
        return authenticate(session, Credentials(login, password, "127.0.0.1"), NOW)


def test_a_login_is_made_with_a_password_that_works(services: Services) -> None:
    (made,) = add_user(services, login="zhang", name="张三", role="village", area="349921100201").rows
    actor = log_in(services, "zhang", made["password"])
    assert isinstance(actor, Actor)
    assert (actor.name, actor.area) == ("张三", "349921100201")
    assert [row["login"] for row in list_users(services).rows] == ["zhang"]


def test_a_reset_gives_another_password_and_ends_the_lock(services: Services) -> None:
    (made,) = add_user(services, login="zhang", name="张三", role="county").rows
    for _ in range(6):
        log_in(services, "zhang", "wrong")
    assert isinstance(log_in(services, "zhang", made["password"]), Refusal)
    (fresh,) = reset_user(services, login="zhang").rows
    assert fresh["password"] != made["password"]
    assert isinstance(log_in(services, "zhang", fresh["password"]), Actor)


def test_a_closed_login_is_refused_until_it_is_opened_again(services: Services) -> None:
    add_user(services, login="admin", name="管理员", role="county")
    (made,) = add_user(services, login="zhang", name="张三", role="finance").rows
    close_user(services, login="zhang")
    assert isinstance(log_in(services, "zhang", made["password"]), Refusal)
    close_user(services, login="zhang", again=True)
    assert isinstance(log_in(services, "zhang", made["password"]), Actor)


def test_the_last_administrator_stays(services: Services) -> None:
    add_user(services, login="admin", name="管理员", role="county")
    with pytest.raises(ProblemsError, match="最后一个管理员"):
        close_user(services, login="admin")


@pytest.mark.parametrize(("login", "role"), [("zhang", "boss"), ("张三", "county"), ("zhang", "system")])
def test_a_login_that_cannot_be_is_refused(services: Services, login: str, role: str) -> None:
    with pytest.raises(ProblemsError):
        add_user(services, login=login, name="张三", role=role)


def test_an_unknown_login_is_named(services: Services) -> None:
    with pytest.raises(ProblemsError, match="没有 nobody"):
        reset_user(services, login="nobody")
