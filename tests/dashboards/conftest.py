"""A real site: the whole application over a real SQLite database and a real DuckDB store."""

import asyncio
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from api.app import create_app
from dashboards.web import Services
from registry.actors import Actor, Role
from registry.divisions import Division, add_division
from registry.users import NewUser, create_user
from store.db import Base, Database, open_database
from store.series import SeriesStore, open_series
from tests.conftest import load_tables

NOW = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
COUNTY, TOWNSHIP, VILLAGE, OTHER_VILLAGE = "520499000000", "520499101000", "520499101201", "520499101202"
ADMINISTRATOR = Actor("setup", "安装", Role.COUNTY)
PASSWORD = "Lan-tian-7-bai-yun"
LOGINS = {
    "county": NewUser("county", "周明", Role.COUNTY, COUNTY),
    "township": NewUser("township", "王芳", Role.TOWNSHIP, TOWNSHIP),
    "village": NewUser("village", "李强", Role.VILLAGE, VILLAGE),
    "neighbour": NewUser("neighbour", "赵兰", Role.VILLAGE, OTHER_VILLAGE),
    "finance": NewUser("finance", "孙静", Role.FINANCE, COUNTY),
    "maintenance": NewUser("maintenance", "吴军", Role.MAINTENANCE, COUNTY),
    "auditor": NewUser("auditor", "郑洁", Role.AUDITOR, COUNTY),
}
DIVISIONS = (
    Division("d-county", COUNTY, "云岭县", "county", "", date(2020, 1, 1)),
    Division("d-town", TOWNSHIP, "石坝乡", "township", COUNTY, date(2020, 1, 1)),
    Division("d-village", VILLAGE, "石坝村", "village", TOWNSHIP, date(2020, 1, 1)),
    Division("d-other", OTHER_VILLAGE, "青杠村", "village", TOWNSHIP, date(2020, 1, 1)),
)


@dataclass
class Site:
    services: Services
    application: FastAPI
    clock: list[datetime]

    @property
    def database(self) -> Database:
        return self.services.database


class Browser:
    """Keeps cookies and asks the application directly, one request after the other."""

    def __init__(self, application: FastAPI, loop: asyncio.AbstractEventLoop) -> None:
        transport = ASGITransport(application, raise_app_exceptions=False)
        self._client = AsyncClient(transport=transport, base_url="http://localhost")
        self._loop = loop
        self.cookies = self._client.cookies

    def get(self, path: str, **options) -> Response:
        return self._loop.run_until_complete(self._client.get(path, **options))

    def post(self, path: str, **options) -> Response:
        return self._loop.run_until_complete(self._client.post(path, **options))


class Visitor:
    """A person at a browser: sends forms with the token of the page they stand on."""

    def __init__(self, application: FastAPI, loop: asyncio.AbstractEventLoop) -> None:
        self.client = Browser(application, loop)

    def get(self, path: str) -> Response:
        return self.client.get(path)

    def token_of(self, path: str) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(path).text)
        assert found, f"no form on {path}"
        return found[1]

    def post(self, path: str, page: str | None = None, files=None, **fields: str):
        fields["csrf_token"] = self.token_of(page or path)
        return self.client.post(path, data=fields, files=files)

    def log_in(self, login: str, password: str = PASSWORD) -> "Visitor":
        answer = self.post("/login", login=login, password=password)
        assert answer.status_code == 303, answer.text
        return self


@pytest.fixture
def series(tmp_path: Path) -> Iterator[SeriesStore]:
    opened = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the divisions and one login of each role, made once: hashing passwords is slow."""
    load_tables()
    path = tmp_path_factory.mktemp("site") / "filled.sqlite3"
    opened = open_database(f"sqlite:///{path}")
    Base.metadata.create_all(opened.engine)
    with opened.transaction() as session:
        for division in DIVISIONS:
            add_division(session, ADMINISTRATOR, division, NOW)
        for new in LOGINS.values():
            create_user(session, ADMINISTRATOR, new, NOW, PASSWORD)
        session.connection().exec_driver_sql('UPDATE "user" SET must_change_password = 0')
    opened.close()
    return path


@pytest.fixture
def database(filled_file: Path, tmp_path: Path) -> Iterator[Database]:
    copied = tmp_path / "site.sqlite3"
    shutil.copyfile(filled_file, copied)
    opened = open_database(f"sqlite:///{copied}")
    yield opened
    opened.close()


@pytest.fixture
def site(database: Database, series: SeriesStore, tmp_path: Path) -> Site:
    clock = [NOW]
    services = Services(
        database=database,
        series=series,
        clock=lambda: clock[0],
        data_dir=tmp_path,
        watermark="演示数据",
        organizer="云岭县农业农村局",
    )
    return Site(services, create_app(services), clock)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    opened = asyncio.new_event_loop()
    yield opened
    opened.run_until_complete(opened.shutdown_default_executor())
    opened.close()


@pytest.fixture
def visitor(site: Site, loop: asyncio.AbstractEventLoop) -> Visitor:
    return Visitor(site.application, loop)


@pytest.fixture
def as_user(site: Site, loop: asyncio.AbstractEventLoop) -> Callable[[str], Visitor]:
    return lambda login: Visitor(site.application, loop).log_in(login)


@pytest.fixture(scope="session")
def visitor_class() -> type[Visitor]:
    return Visitor
