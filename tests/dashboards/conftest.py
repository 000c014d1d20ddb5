"""A real site: the whole application over a real SQLite database and a real DuckDB store."""

import asyncio
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import sync_playwright
from sqlalchemy.orm import Session

from api.app import create_app
from api.demo.county import CountySize
from api.demo.seeding import seed
from api.schema import all_tables
from dashboards.web import Services
from distribution.approval.runs import Run, runs
from registry.actors import SYSTEM, Actor, Role
from registry.divisions import Division, add_division, villages
from registry.households import households
from registry.stations import stations
from registry.users import LoginPolicy, NewUser, create_user, open_session
from store.db import Base, Database, open_database
from store.series import SeriesStore, open_series

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
    all_tables()
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


NOON = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)
SIZE = CountySize(villages=4, joint_stations=1, households=24, months=2)
ROLES = {
    "county": Role.COUNTY,
    "township": Role.TOWNSHIP,
    "second": Role.TOWNSHIP,
    "village": Role.VILLAGE,
    "maintenance": Role.MAINTENANCE,
    "finance": Role.FINANCE,
    "auditor": Role.AUDITOR,
}


class County:
    """A seeded county in a folder of its own, with one open session for each role."""

    def __init__(self, folder: Path) -> None:
        self.clock = [NOON]
        self.database = open_database(f"sqlite:///{folder / 'site.sqlite3'}")
        self.series = open_series(f"duckdb:///{folder / 'series.duckdb'}")
        self.services = Services(
            self.database,
            self.series,
            lambda: self.clock[0],
            folder,
            watermark="演示数据",
            session_idle=timedelta(days=400),
            session_lifetime=timedelta(days=400),
        )
        self.application = create_app(self.services)
        with self.database.transaction() as session:
            self.villages = [one.code for one in villages(session, SYSTEM)]
            self.stations = stations(session, SYSTEM)
            self.runs = runs(session, SYSTEM)
            self.households = households(session, SYSTEM)
            self.cookies = {name: self._open(session, name, role) for name, role in ROLES.items()}

    def _open(self, session: Session, name: str, role: Role) -> str:
        first = self.villages[0]
        areas = {"village": first, "township": first[:9] + "000", "second": self.villages[-1][:9] + "000"}
        area = areas.get(name, first[:6] + "0" * 6)
        creator = Actor("setup", "安装", Role.COUNTY, first[:6] + "0" * 6)
        create_user(session, creator, NewUser(f"page-{name}", "李强", role, area), NOON, "x")
        connection = session.connection()
        found = connection.exec_driver_sql('SELECT id FROM "user" WHERE login = ?', (f"page-{name}",))
        actor = Actor(found.scalar(), "李强", role, area)
        connection.exec_driver_sql('UPDATE "user" SET must_change_password = 0')
        return open_session(session, actor, NOON, LoginPolicy(absolute=timedelta(days=400))).token

    def run(self, village: str, period: str) -> Run:
        return next(one for one in self.runs if one.book == village and one.period == period)

    def close(self) -> None:
        self.series.close()
        self.database.close()


@pytest.fixture(scope="session")
def seeded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The county's files, made once: two played months take seconds."""
    all_tables()
    folder = tmp_path_factory.mktemp("seeded")
    database = open_database(f"sqlite:///{folder / 'site.sqlite3'}")
    Base.metadata.create_all(database.engine)
    series = open_series(f"duckdb:///{folder / 'series.duckdb'}")
    seed(database, series, folder, NOON, seed=7, size=SIZE, progress=lambda *_: None)
    series.close()
    database.close()
    return folder


@pytest.fixture(scope="module")
def county(seeded_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    folder = tmp_path_factory.mktemp("county") / "site"
    shutil.copytree(seeded_folder, folder)
    opened = County(folder)
    yield opened
    opened.close()


@pytest.fixture
def browse(county: County, loop: asyncio.AbstractEventLoop) -> Callable[[str], Visitor]:
    def as_role(role: str) -> Visitor:
        browser = Visitor(county.application, loop)
        if role != "public":
            browser.client.cookies.set("sunledger", county.cookies[role])
        return browser

    return as_role


@pytest.fixture(scope="module")
def address(county) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(county.application, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    path = shutil.which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=path, args=[*sandbox, "--disable-gpu"])
        yield opened
        opened.close()
