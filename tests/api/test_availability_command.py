"""`sunledger availability` on a plant that is known from imported files alone, as a stranger would use it."""

import csv
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from api.operations.availability import availability
from api.operations.dispatch import dispatch_add, dispatch_end, dispatch_list
from api.operations.energy import telemetry
from api.schema import migrate
from dashboards.web import Services
from registry.actors import Actor, Role
from registry.stations import Station, add_station
from store.db import open_database
from store.problem import ProblemsError
from store.series import open_series
from tests.api.executable import sunledger

ZONE = ZoneInfo("Asia/Kolkata")
FIRST = datetime(2026, 5, 3, tzinfo=ZONE)
NOW = datetime(2026, 7, 1, tzinfo=UTC)
DAYS = 6
MACHINES = 4
MAPPING = """
format = "sunledger-telemetry/1"
[time]
column = "when"
format = "%Y-%m-%d %H:%M"
zone = "Asia/Kolkata"
[device]
column = "who"
"""
POWER = """
[[quantity]]
column = "kw"
name = "active_power_w"
unit = "kW"
[[quantity]]
column = "kwh"
name = "generated_energy_wh"
unit = "kWh"
"""
SUN = """
[[quantity]]
column = "sun"
name = "irradiance_w_m2"
unit = "kW/m2"
"""


class Foreign:
    """A plant made by plain arithmetic: clear days, one stop of two hours, one lost link that ran on."""

    def __init__(self, step_minutes):
        self.step = step_minutes
        steps = DAYS * 24 * 60 // step_minutes
        self.times = [FIRST + timedelta(minutes=step_minutes * n) for n in range(steps)]
        hour = np.array([t.hour + t.minute / 60 for t in self.times])
        self.sun = np.where(np.abs(hour - 12.25) < 6.25, np.cos(np.pi * (hour - 12.25) / 12.5), 0.0) * 0.95
        self.power = np.tile(np.maximum(self.sun * 900 - 4, 0), (MACHINES, 1))
        self.stop = (FIRST + timedelta(days=2, hours=11), FIRST + timedelta(days=2, hours=13))
        self.lost = (FIRST + timedelta(days=3, hours=9), FIRST + timedelta(days=3, hours=10, minutes=30))
        self.power[1, self.inside(self.stop)] = 0

    def inside(self, span):
        return np.array([span[0] <= moment < span[1] for moment in self.times])

    def hours(self, chosen):
        return float(np.count_nonzero(chosen)) * self.step / 60

    def write(self, folder):
        counter = np.cumsum(self.power, axis=1) * self.step / 60
        counter = 5000 + np.hstack([np.zeros((MACHINES, 1)), counter[:, :-1]])
        silent = self.inside(self.lost)
        with (folder / "power.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["when", "who", "kw", "kwh"])
            for machine in range(MACHINES):
                for number, moment in enumerate(self.times):
                    if machine == 2 and silent[number]:
                        continue
                    values = (self.power[machine, number], counter[machine, number])
                    out.writerow([f"{moment:%Y-%m-%d %H:%M}", f"inv{machine}", *(f"{v:.3f}" for v in values)])
        with (folder / "sun.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["when", "who", "sun"])
            for moment, sun in zip(self.times, self.sun, strict=True):
                out.writerow([f"{moment:%Y-%m-%d %H:%M}", "pyranometer", f"{sun:.5f}"])
        (folder / "power.toml").write_text(MAPPING + POWER)
        (folder / "sun.toml").write_text(MAPPING + SUN)


@pytest.fixture
def services(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'sunledger.sqlite3'}")
    migrate(database)
    series = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    yield Services(database, series, lambda: NOW, tmp_path)
    series.close()
    database.close()


def _loaded(services, plant):
    folder = services.data_dir
    plant.write(folder)
    for name in ("power", "sun"):
        telemetry(services, file=str(folder / f"{name}.csv"), mapping=str(folder / f"{name}.toml"))


def _asked(services, **more):
    last = FIRST + timedelta(days=DAYS)
    limits = {"since": FIRST.date().isoformat(), "until": last.date().isoformat(), "zone": "Asia/Kolkata"}
    return availability(services, **limits, **more)


@pytest.mark.parametrize("step_minutes", [5, 15])
def test_hours_are_exact_under_a_measured_rule_and_outages_within_one_interval(services, step_minutes):
    plant = Foreign(step_minutes)
    _loaded(services, plant)
    answer = _asked(services, level="device", rule="irradiance:50")
    assert "实测辐照度不低于 50 W/m²" in answer.summary
    rows = {row["key"]: row for row in answer.rows}
    assert set(rows) == {"inv0", "inv1", "inv2", "inv3"}
    lit = plant.sun >= 0.05
    for name, machine in (("inv0", 0), ("inv1", 1), ("inv3", 3)):
        running = plant.hours(lit & (plant.power[machine] > 0))
        assert rows[name]["running_h"] == pytest.approx(running)
        assert rows[name]["forced_h"] == pytest.approx(plant.hours(lit) - running)
        assert rows[name]["dark_h"] == pytest.approx(plant.hours(~lit))
        assert rows[name]["unknown_h"] == 0
    stopped = rows["inv1"]
    expected = 100 * (1 - stopped["forced_h"] / plant.hours(lit))
    assert stopped["equipment_percent"] == pytest.approx(expected, abs=1e-3)
    lost = plant.hours(plant.inside(plant.lost))
    assert rows["inv2"]["resolved_running_h"] == pytest.approx(lost)
    assert rows["inv2"]["equipment_percent"] == 100.0
    assert rows["inv2"]["data_percent"] == pytest.approx(100 * (1 - lost / plant.hours(lit)), abs=1e-3)
    (outage,) = _asked(services, level="device", rule="irradiance:50", outages=True).rows
    assert outage["device_id"] == "inv1"
    assert datetime.fromisoformat(outage["start"]) == plant.stop[0]
    assert datetime.fromisoformat(outage["end"]) == plant.stop[1]
    assert (outage["start_local"], outage["light_h"]) == ("2026-05-05 11:00", 2.0)
    assert outage["lost_kwh"] == pytest.approx(2 * 0.95 * 900, rel=0.06)


def test_every_level_and_rule_answers(services):
    _loaded(services, Foreign(15))
    for level in ("device", "station", "township", "county"):
        assert len(_asked(services, level=level).rows) == (MACHINES if level == "device" else 1)
    for rule in ("auto", "irradiance", "measured:50", "expected:5", "elevation:5"):
        (row,) = _asked(services, rule=rule, place="21.0,79.0").rows
        assert 2.0 <= row["forced_h"] < 8, rule
        assert 10 * DAYS * MACHINES < row["use_h"] < 13.5 * DAYS * MACHINES


def test_an_adopted_file_has_its_sensor_as_a_sensor(services):
    clerk = Actor("u1", "县里的人", Role.COUNTY)
    with services.database.transaction() as session:
        place = Station("s9", "外来电站", "village", "529901101201", 3_600_000, 21.0, 79.0)
        add_station(session, clerk, place, NOW)
    plant = Foreign(15)
    plant.write(services.data_dir)
    for name in ("power", "sun"):
        paths = {
            key: str(services.data_dir / f"{name}.{end}")
            for key, end in (("file", "csv"), ("mapping", "toml"))
        }
        telemetry(services, **paths, station_id="s9")
    (row,) = _asked(services, rule="irradiance:50", station_id="s9").rows
    assert (row["key"], row["name"], row["devices"]) == ("s9", "外来电站", MACHINES)
    assert row["rule_used"] == "实测辐照度不低于 50 W/m²"
    assert row["unknown_h"] == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"until": "2026-05-01"}, "不晚于 --from"),
        ({"since": "May"}, "“May” 不是时刻"),
        ({"rule": "moon"}, "“moon” 不是日照规则"),
        ({"level": "planet"}, "没有“planet”这一级"),
        ({"zone": "Moon/Sea"}, "不认识时区 Moon/Sea"),
        ({"place": "north"}, "“north” 不是经纬度"),
        ({"station_id": "none"}, "没有电站 none"),
        ({"minutes": -1}, "不在 0 到 7 天之间"),
        ({}, "没有可以评价的逆变器"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(services, words, why):
    with pytest.raises(ProblemsError) as refused:
        availability(services, **{"since": "2026-05-01", "until": "2026-06-01", **words})
    assert why in " ".join(map(str, refused.value.problems))


def test_dispatch_is_recorded_listed_and_withdrawn(services):
    order = {"kind": "stop", "start": "2026-05-05T11:00", "document": "调〔2026〕7号"}
    with pytest.raises(ProblemsError, match="没有 nothing"):
        dispatch_add(services, subject_id="nothing", **order)
    (made,) = dispatch_add(services, subject_id="529901000000", **order).rows
    (listed,) = dispatch_list(services).rows
    assert (listed["id"], listed["kind_label"], listed["end"]) == (made["id"], "停机令", "")
    with pytest.raises(ProblemsError, match="要写结束时刻"):
        dispatch_end(services, record_id=made["id"])
    dispatch_end(services, record_id=made["id"], never=True)
    assert dispatch_list(services).rows == ()


def test_the_command_prints_for_people(services, tmp_path):
    _loaded(services, Foreign(15))
    services.series.close()
    shown = sunledger("availability", "--from", "2026-05", "--to", "2026-06", "--data", tmp_path)
    assert shown.code == 0
    assert "设备可用率 %" in shown.out
    assert "计时规则" in shown.out
