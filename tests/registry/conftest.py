"""A small made-up world: two counties with townships, villages, stations and households."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from registry import account_changes, divisions, enrolment, households, secrets, stations, users
from registry.actors import Actor, Role
from store.db import Base, Database, open_database

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
START = date(2020, 1, 1)
CLERK = Actor("clerk", "县经办", Role.COUNTY)
COUNTIES = ("520491000000", "520492000000")
TOWNSHIPS = tuple(f"{county[:6]}10{n}000" for county in COUNTIES for n in range(2))
VILLAGES = tuple(f"{township[:9]}20{n}" for township in TOWNSHIPS for n in range(2))


@dataclass(frozen=True)
class World:
    database: Database
    ring: secrets.KeyRing
    households: tuple[str, ...]
    members: tuple[str, ...]
    stations: tuple[str, ...]
    village_of: dict[str, str]
    id_number_of: dict[str, str]
    account_of: dict[str, str]


def check_digit(body: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(a) * b for a, b in zip(body, weights, strict=True)) % 11]


def made_up_id(number: int) -> str:
    body = f"5204911960010{number % 10}{number:03d}"
    return body + check_digit(body)


def division(code: str, level: str, name: str) -> divisions.Division:
    parent = {"county": "", "township": code[:6].ljust(12, "0"), "village": code[:9].ljust(12, "0")}[level]
    return divisions.Division(f"d{code}", code, name, level, parent, START)


def fill(database: Database, *, everything: bool = False) -> World:
    ring = secrets.new_key_ring()
    village_of, ids, accounts, members = {}, {}, {}, []
    with database.transaction() as session:
        for level, codes in (("county", COUNTIES), ("township", TOWNSHIPS), ("village", VILLAGES)):
            for code in codes:
                divisions.add_division(session, CLERK, division(code, level, f"{level}{code[6:]}"), NOW)
        for index, code in enumerate(VILLAGES):
            station = stations.Station(
                f"s{index}",
                f"{index}号站",
                "village",
                code,
                300_000,
                26.2,
                106.1,
                account_number=f"0520{index}",
            )
            stations.add_station(session, CLERK, station, NOW)
            device = stations.Device(
                f"inv{index}", f"s{index}", "inverter", "1号", "sungrow_sg_string", START
            )
            stations.add_device(session, CLERK, device, NOW)
            meter = stations.RevenueMeter(f"m{index}", f"s{index}", f"M{index}", 40, START)
            stations.add_revenue_meter(session, CLERK, meter, NOW)
            village_of[f"s{index}"] = code
            for number in range(1, 4):
                home = f"h{index}-{number}"
                village_of[home] = code
                record = households.Household(
                    home, code, f"{number:03d}", f"张{'小大中'[number - 1]}明", START
                )
                households.add_household(session, CLERK, record, NOW)
                ids[home], accounts[home] = (
                    made_up_id(index * 10 + number),
                    f"62170000{index:02d}{number:04d}",
                )
                member = households.NewMember(
                    home, record.name, ids[home], START, "13800001234", is_head=True
                )
                members.append(households.add_member(session, CLERK, ring, member, NOW))
                households.add_class(session, CLERK, households.HouseholdClass(home, "脱贫户", START), NOW)
                account = households.NewPayeeAccount(home, record.name, "农信社", accounts[home], START)
                households.add_payee_account(session, CLERK, ring, account, NOW)
                enrolment.enrol(session, CLERK, enrolment.Enrolment(home, code, "分红", START), NOW)
            post = enrolment.Post(f"p{index}", code, f"h{index}-1", "保洁", 60_000, START)
            enrolment.add_post(session, CLERK, post, NOW)
            if everything:
                wanted = account_changes.WantedAccount(f"h{index}-2", "张大明", "邮储", "6210000000009999")
                why = households.Disclosure("换卡", NOW)
                account_changes.request_change(session, CLERK, ring, wanted, why)
                users.create_user(
                    session, CLERK, users.NewUser(f"cadre{index}", "村干部", Role.VILLAGE, code), NOW
                )
        joint = [stations.StationShare("s0", VILLAGES[n], 100 + n, START) for n in (0, 3, 5)]
        stations.set_shares(session, CLERK, "s0", joint, NOW)
    return World(
        database,
        ring,
        tuple(key for key in village_of if key.startswith("h")),
        tuple(members),
        tuple(key for key in village_of if key.startswith("s")),
        village_of,
        ids,
        accounts,
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Filled once and only read."""
    database = _fresh(tmp_path_factory.mktemp("world"))
    yield fill(database, everything=True)
    database.close()


def _fresh(directory: Path) -> Database:
    for module in ("registry.audit", "registry.intake", "registry.parameters"):
        importlib.import_module(module)
    database = open_database(f"sqlite:///{directory / 'world.sqlite3'}")
    Base.metadata.create_all(database.engine)
    return database


@pytest.fixture
def filled(database: Database) -> World:
    """Filled for one test, which may write."""
    return fill(database)


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest) -> Database:
    """The same test on SQLite and on a real PostgreSQL."""
    return request.getfixturevalue("database" if request.param == "sqlite" else "postgres")


@pytest.fixture
def filled_both(both: Database) -> World:
    """Filled for one test, on SQLite and on a real PostgreSQL."""
    return fill(both)


@pytest.fixture(scope="session")
def id_number() -> Callable[[int], str]:
    return made_up_id
