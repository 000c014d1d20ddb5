"""A county of three stations with a day and a half of samples, made by plain arithmetic."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from registry.actors import Actor, Role
from registry.divisions import Division, add_division
from registry.stations import Device, Station, add_device, add_station
from store.db import Database
from store.samples import DeviceState, Sample, samples_to_table
from store.series import SeriesStore, open_series

COUNTY = "529901000000"
TOWNSHIP = "529901101000"
OTHER_TOWNSHIP = "529901102000"
VILLAGES = {"529901101201": "石坝村", "529901101202": "大湾村", "529901102201": "水口村"}
SINCE = date(2026, 1, 1)
NOON = datetime(2026, 6, 10, 4, 0, tzinfo=UTC)
CLERK = Actor("u1", "县里的人", Role.COUNTY, COUNTY)
CADRE = Actor("u2", "石坝村干部", Role.VILLAGE, "529901101201")


@dataclass(frozen=True)
class County:
    database: Database
    series: SeriesStore

    def write(self, samples):
        self.series.write(samples_to_table(samples))


def _register(session):
    rows = [
        ("c", COUNTY, "某县", "county", ""),
        ("t1", TOWNSHIP, "城关镇", "township", COUNTY),
        ("t2", OTHER_TOWNSHIP, "河口乡", "township", COUNTY),
        *((code, code, name, "village", code[:9] + "000") for code, name in VILLAGES.items()),
    ]
    for identifier, code, name, level, parent in rows:
        add_division(session, CLERK, Division(identifier, code, name, level, parent, SINCE), NOON)
    for number, code in enumerate(VILLAGES, start=1):
        place = Station(f"s{number}", f"{VILLAGES[code]}电站", "village", code, 100_000, 27.0, 120.0)
        add_station(session, CLERK, place, NOON)
        for slot in (1, 2):
            add_device(
                session,
                CLERK,
                Device(
                    f"s{number}i{slot}", f"s{number}", "inverter", f"{slot}号逆变器", "sungrow_sg_string",
                    SINCE, host="127.0.0.1", cycle_seconds=900, rated_power_w=50_000, position=slot,
                ),
                NOON,
            )  # fmt: skip


def bell(moment):
    """Power [W] of a 50 kW inverter on a clear day: a half sine from 05:00 to 19:00 Beijing time."""
    hour = (moment.hour + 8 + moment.minute / 60) % 24
    return 40_000 * math.sin(math.pi * (hour - 5) / 14) if 5 < hour < 19 else 0.0


STEP = timedelta(minutes=15)


def readings(device_id, start, end, *, counter=1_000_000, power=bell):
    """Samples of a device in [start, end] with a counter that follows its power."""
    samples, moment = [], start
    while moment <= end:
        watts = power(moment)
        values = {
            "active_power_w": watts,
            "generated_energy_wh": round(counter),
            "state": int(DeviceState.RUNNING if watts > 0 else DeviceState.STANDBY),
            "voltage_a_v": 230.0,
        }
        samples.append(Sample(device_id, moment, moment, values))
        counter += watts * (STEP / timedelta(hours=1))
        moment += STEP
    return samples


@pytest.fixture
def county(database: Database, tmp_path: Path):
    series = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    with database.transaction() as session:
        _register(session)
    yield County(database, series)
    series.close()


@pytest.fixture
def running(county: County):
    """The county with everything running from two days before noon until noon."""
    for number in (1, 2, 3):
        for slot in (1, 2):
            county.write(readings(f"s{number}i{slot}", NOON - timedelta(days=2), NOON))
    return county
