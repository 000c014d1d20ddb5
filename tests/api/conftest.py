"""A small demo county behind the whole application, asked as a program would ask it."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from api.app import create_app
from api.demo.county import SMALL
from api.demo.seeding import seed
from api.schema import migrate
from collector.connections import links
from collector.runtime import Collector
from collector.spool import Spool
from dashboards.web import Services
from distribution.approval.runs import Run, runs
from monitoring.alarms.reads import AlarmFilter, alarms
from monitoring.work_orders.reads import work_orders
from registry.actors import PUBLIC, SYSTEM, Actor, Role
from registry.divisions import villages
from registry.stations import Station, stations
from registry.users import LoginPolicy, NewUser, create_user, open_session
from store.db import Database, open_database
from store.periods import local_date
from store.series import SeriesStore, open_series

NOON = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)
MONTH, BOOKED_MONTH = "2026-10", "2026-09"
V1 = "/api/v1"
PASSWORD = "Lan-tian-7-bai-yun"
ADMINISTRATOR = Actor("setup", "安装", Role.COUNTY)
FOREVER = timedelta(days=400)


class Program:
    """Asks the application over HTTP, in process, one request after the other, with a bearer token."""

    def __init__(self, application: FastAPI, loop: asyncio.AbstractEventLoop, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = ASGITransport(application, raise_app_exceptions=False)
        self.client = AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
        self._loop = loop

    def ask(self, method: str, path: str, **options: Any) -> Response:
        return self._loop.run_until_complete(self.client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> Response:
        return self.ask("GET", path, **options)

    def json(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()


@dataclass
class County:
    """The seeded county: its stores, its application, and a program for each role."""

    folder: Path
    database: Database
    series: SeriesStore
    services: Services
    application: FastAPI
    programs: dict[str, Program]
    actors: dict[str, Actor]
    villages: tuple[str, ...]
    stations: tuple[Station, ...]
    runs: tuple[Run, ...]

    def __getitem__(self, role: str) -> Program:
        return self.programs[role]

    def run(self, village: str, month: str = BOOKED_MONTH) -> Run:
        return next(one for one in self.runs if (one.village_code, one.period) == (village, month))


@pytest.fixture(scope="session")
def api_loop() -> Iterator[asyncio.AbstractEventLoop]:
    opened = asyncio.new_event_loop()
    yield opened
    opened.run_until_complete(opened.shutdown_default_executor())
    opened.close()


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Database, SeriesStore]]:
    folder = tmp_path_factory.mktemp("api-county")
    database = open_database(f"sqlite:///{folder / 'sunledger.sqlite3'}")
    migrate(database)
    series = open_series(f"duckdb:///{folder / 'series.duckdb'}")
    seed(database, series, folder, NOON, size=SMALL, progress=lambda *_: None)
    yield folder, database, series
    series.close()
    database.close()


def people(codes: tuple[str, ...]) -> tuple[NewUser, ...]:
    county = f"{codes[0][:6]}000000"
    return (
        NewUser("a-county", "周明", Role.COUNTY, county),
        NewUser("a-township", "王芳", Role.TOWNSHIP, f"{codes[0][:9]}000"),
        NewUser("a-village", "李强", Role.VILLAGE, codes[0]),
        NewUser("a-finance", "孙静", Role.FINANCE, county),
        NewUser("a-maintenance", "吴军", Role.MAINTENANCE, county),
        NewUser("a-auditor", "郑洁", Role.AUDITOR, county),
    )


def things_of(
    county: County, village_code: str, station_ids: Collection[str] | None = None
) -> dict[str, str]:
    """Return an alarm and a work order of a village, or of some stations, by what addresses call them."""

    def mine(one: Any) -> bool:
        return one.division_code == village_code if station_ids is None else one.station_id in station_ids

    with county.database.reading() as session:
        return {
            "alarm_id": next(
                one.id for one in alarms(session, SYSTEM, AlarmFilter(grouped=True)) if mine(one)
            ),
            "order_id": next(one.id for one in work_orders(session, SYSTEM) if mine(one)),
        }


@pytest.fixture(scope="session")
def county(
    stores: tuple[Path, Database, SeriesStore], api_loop: asyncio.AbstractEventLoop
) -> Iterator[County]:
    folder, database, series = stores
    policy = LoginPolicy(idle=FOREVER, absolute=FOREVER)
    services = Services(
        database, series, lambda: NOON, folder, session_idle=FOREVER, session_lifetime=FOREVER
    )
    tokens, actors = {}, {"public": PUBLIC}
    with database.transaction() as session:
        codes = tuple(one.code for one in villages(session, SYSTEM))
        for new in people(codes):
            create_user(session, ADMINISTRATOR, new, NOON, PASSWORD)
        session.connection().exec_driver_sql(
            "UPDATE \"user\" SET must_change_password = 0 WHERE login LIKE 'a-%'"
        )
        rows = session.connection().exec_driver_sql('SELECT login, id, name, role, area FROM "user"').all()
        for login, *facts in rows:
            actor = Actor(facts[0], facts[1], Role(facts[2]), facts[3])
            if login.startswith("a-"):
                actors[actor.role.value] = actor
                tokens[actor.role.value] = open_session(session, actor, NOON, policy).token
        found, made = stations(session, SYSTEM), runs(session, SYSTEM)
        connected = links(session, SYSTEM, on=local_date(NOON))
    spool = Spool(folder / "spool.sqlite3", 16_000_000)
    collector = Collector(connected, spool=spool, series=series, clock=lambda: NOON, on_event=lambda *_: None)
    application = create_app(services, collector=collector)
    programs = {role: Program(application, api_loop, token) for role, token in tokens.items()}
    programs["public"] = Program(application, api_loop)
    yield County(folder, database, series, services, application, programs, actors, codes, tuple(found), made)
    spool.close()


@pytest.fixture
def services(county: County, tmp_path: Path) -> Iterator[Services]:
    """The seeded county with a database of its own, so that it may be changed."""
    copy = tmp_path / "copy.sqlite3"
    with (
        closing(sqlite3.connect(county.folder / "sunledger.sqlite3")) as source,
        closing(sqlite3.connect(copy)) as to,
    ):
        source.backup(to)
    database = open_database(f"sqlite:///{copy}")
    yield replace(county.services, database=database)
    database.close()


@pytest.fixture
def programs(services: Services, county: County, api_loop) -> dict[str, Program]:
    """The application over the copied database, asked with the token of each role."""
    application = create_app(services)
    with services.database.transaction() as session:
        tokens = {
            role: open_session(session, actor, services.clock()).token
            for role, actor in county.actors.items()
            if role != "public"
        }
    return {role: Program(application, api_loop, token) for role, token in tokens.items()} | {
        "public": Program(application, api_loop)
    }


@pytest.fixture
def http(programs: dict[str, Program]) -> Callable[..., Response]:
    """Ask the resources of that application: role, method, path."""
    return lambda role, method, path, **more: programs[role].ask(method, V1 + path, **more)
