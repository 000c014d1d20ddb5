"""A county with one station of each of two companies, and the people who handle its work orders."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from monitoring.work_orders.orders import NewOrder, open_order
from registry.actors import Actor, Role
from registry.divisions import Division, add_division
from registry.stations import Device, Station, add_device, add_station
from store.db import Database

NOW = datetime(2026, 11, 25, 4, tzinfo=UTC)
COUNTY, TOWNSHIP, VILLAGE = "520499000000", "520499101000", "520499101201"
OFFICER = Actor("officer", "县里 周明", Role.COUNTY, COUNTY)
LEADER = Actor("leader", "县里 李红", Role.COUNTY, COUNTY)
CLERK = Actor("clerk", "镇里 王芳", Role.TOWNSHIP, TOWNSHIP)
WORKER = Actor("worker", "运维 吴军", Role.MAINTENANCE, COUNTY, "阳光运维公司")
STRANGER = Actor("stranger", "别家 钱进", Role.MAINTENANCE, COUNTY, "另一家运维公司")
CADRE = Actor("cadre", "村里 李强", Role.VILLAGE, VILLAGE)
SINCE = date(2026, 1, 1)


def register(database: Database) -> None:
    with database.transaction() as session:
        for identifier, code, name, level, parent in (
            ("c", COUNTY, "云岭县", "county", ""),
            ("t", TOWNSHIP, "石坝乡", "township", COUNTY),
            ("v", VILLAGE, "石坝村", "village", TOWNSHIP),
        ):
            add_division(session, OFFICER, Division(identifier, code, name, level, parent, SINCE), NOW)
        for number, company in ((1, WORKER.company), (2, STRANGER.company)):
            place = Station(
                f"s{number}", f"石坝村{number}号电站", "village", VILLAGE, 100_000, 26.0, 106.0,
                maintenance_company=company,
            )  # fmt: skip
            add_station(session, OFFICER, place, NOW)
            add_device(
                session,
                OFFICER,
                Device(f"s{number}i1", f"s{number}", "inverter", "1号逆变器", "x", SINCE),
                NOW,
            )


@dataclass(frozen=True)
class Orders:
    database: Database

    def open(self, station="s1", title="1号逆变器停机，到场检查", by=OFFICER, now=NOW, **fields) -> str:
        new = NewOrder(station, title, fields.pop("due_at", now + timedelta(hours=72)), **fields)
        with self.database.transaction() as session:
            return open_order(session, by, new, now)


@pytest.fixture
def orders(database: Database) -> Orders:
    register(database)
    return Orders(database)
