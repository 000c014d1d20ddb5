"""Availability of devices in the store: causes, outages, scope, and history of a foreign plant."""

from datetime import timedelta

import pytest

from monitoring.uptime.judging import Cause, availability
from monitoring.uptime.light import LightRule
from monitoring.uptime.planned import announce
from monitoring.uptime.evaluation import (
    Machine,
    Plant,
    UptimeQuestion,
    by_group,
    plant_uptime,
    station_uptimes,
    unregistered_plant,
)
from store.periods import Period, local_midnight
from store.samples import DeviceState, Sample

from tests.monitoring.conftest import CADRE, CLERK, NOON, bell, readings

DAY = Period.parse("2026-06-09")
MORNING = local_midnight(DAY.start)
EVENING = local_midnight(DAY.end)


def _uptimes(county, actor=CLERK, **options):
    with county.database.reading() as session:
        question = UptimeQuestion(DAY, **options)
        found = station_uptimes(session, county.series, actor, question, NOON)
    return {uptime.device_id: uptime for uptime in found}


def _broken(moment):
    stopped = MORNING + timedelta(hours=10) <= moment < MORNING + timedelta(hours=13)
    return 0.0 if stopped else bell(moment)


@pytest.fixture
def day(county):
    """One day: s1i1 runs, s1i2 stops from 10 to 13 o'clock, s2 loses its grid for two hours, s3 runs."""
    for device_id in ("s1i1", "s3i1", "s3i2"):
        county.write(readings(device_id, MORNING, EVENING))
    county.write(readings("s1i2", MORNING, EVENING, power=_broken))
    for device_id in ("s2i1", "s2i2"):
        samples = readings(device_id, MORNING, EVENING)
        dark = (MORNING + timedelta(hours=11), MORNING + timedelta(hours=13))
        county.write(
            [
                Sample(s.device_id, s.time, s.received_at, s.values | _dead)
                if dark[0] <= s.time < dark[1]
                else s
                for s in samples
            ]
        )
    return county


_dead = {"active_power_w": 0.0, "state": int(DeviceState.FAULT), "voltage_a_v": 0.0}


def test_a_stop_is_the_equipments_and_a_dead_grid_is_not(day):
    uptimes = _uptimes(day)
    assert uptimes["s1i1"].availability.equipment.value == 1.0
    assert uptimes["s1i2"].hours.forced == pytest.approx(3)
    (outage,) = uptimes["s1i2"].outages
    assert (outage.start, outage.end) == (
        MORNING + timedelta(hours=10), MORNING + timedelta(hours=13),
    )  # fmt: skip
    assert uptimes["s2i1"].hours.grid == pytest.approx(2)
    assert uptimes["s2i1"].outages[0].cause is Cause.GRID
    assert uptimes["s2i1"].availability.equipment.value == 1.0
    assert uptimes["s2i1"].availability.all_causes.value < 1.0


def test_no_outage_is_found_at_night(day):
    for uptime in _uptimes(day, outage_at_least_h=0.01).values():
        for outage in uptime.outages:
            assert MORNING + timedelta(hours=5) < outage.start < EVENING - timedelta(hours=5)


def test_stations_are_weighted_by_rated_power(day):
    uptimes = _uptimes(day)
    station = availability(by_group(uptimes.values())["s1"])
    parts = [uptimes[name].availability.equipment.value for name in ("s1i1", "s1i2")]
    assert station.equipment.value == pytest.approx(sum(parts) / 2)


def test_a_village_gets_its_own_station_only_and_the_rule_is_named(day):
    uptimes = _uptimes(day, CADRE, rule=LightRule.ELEVATION)
    assert set(uptimes) == {"s1i1", "s1i2"}
    assert {uptime.rule for uptime in uptimes.values()} == {LightRule.ELEVATION}


def test_announced_work_is_planned_and_not_a_fault(day):
    with day.database.transaction() as session:
        work = (MORNING + timedelta(hours=10), MORNING + timedelta(hours=13), "换风扇")
        announce(session, CLERK, "s1i2", work, MORNING - timedelta(days=1))
    hours = _uptimes(day)["s1i2"].hours
    assert (hours.planned, hours.forced) == (pytest.approx(3), 0)


def test_a_silent_device_is_unknown_until_its_counter_speaks(county):
    for device_id in ("s1i1", "s2i1", "s2i2", "s3i1", "s3i2"):
        county.write(readings(device_id, MORNING, EVENING))
    whole = readings("s1i2", MORNING, EVENING)
    gap = (MORNING + timedelta(hours=9), MORNING + timedelta(hours=12))
    county.write([s for s in whole if s.time < gap[0]])
    silent = _uptimes(county)["s1i2"]
    assert silent.hours.unknown > 5
    assert silent.availability.equipment.low < 0.5
    county.write([s for s in whole if s.time >= gap[1]])
    resolved = _uptimes(county)["s1i2"]
    assert (resolved.hours.unknown, resolved.hours.forced) == (0, 0)
    assert resolved.hours.resolved == pytest.approx(3)


def test_history_of_a_foreign_plant_is_judged_by_its_own_sensor(county):
    for number in range(4):
        county.write(readings(f"foreign-{number}", MORNING, EVENING, power=_broken if number == 3 else bell))
    sun = [
        Sample("foreign-sun", s.time, s.received_at, {"irradiance_w_m2": s.values["active_power_w"] / 50})
        for s in readings("x", MORNING, EVENING)
    ]
    county.write(sun)
    plant = unregistered_plant(county.series, {"s1i1"})
    assert plant.sensor_id == "foreign-sun"
    assert len(plant.machines) == 4
    question = UptimeQuestion(DAY, LightRule.IRRADIANCE)
    uptimes = {uptime.device_id: uptime for uptime in plant_uptime(county.series, plant, question)}
    assert uptimes["foreign-3"].hours.forced == pytest.approx(3)
    assert uptimes["foreign-0"].hours.forced == 0
    assert uptimes["foreign-0"].rule is LightRule.IRRADIANCE


def test_a_device_counts_only_while_it_stands_there(county):
    county.write(readings("s1i1", MORNING, EVENING))
    half = Machine("s1i1", "s1", 50_000, first=MORNING + timedelta(hours=12))
    (uptime,) = plant_uptime(county.series, Plant((half,)), UptimeQuestion(DAY))
    assert uptime.hours.dark + uptime.hours.use == pytest.approx(12)
