"""Availability of devices in the store: causes, outages, scope, and history of a foreign plant."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from monitoring.calendar.dispatch import DispatchKind, DispatchRecord, record_dispatch
from monitoring.calendar.planned import announce
from monitoring.sky.rules import LightRule
from monitoring.states import StationState
from monitoring.uptime.causes import Cause, availability
from monitoring.uptime.evaluation import Question, areas, evaluate, evaluate_foreign, evaluate_plants
from monitoring.uptime.plants import FOREIGN_GROUP, Machine, Plant
from monitoring.uptime.results import Level
from store.periods import Period, local_midnight
from store.samples import DeviceState, Sample
from tests.monitoring.conftest import CADRE, CLERK, COUNTY, NOON, TOWNSHIP, bell, readings

DAY = Period.parse("2026-06-09")
MORNING = local_midnight(DAY.start)
EVENING = local_midnight(DAY.end)


def _evaluated(county, actor=CLERK, **options):
    with county.database.reading() as session:
        return evaluate(session, county.series, actor, Question(MORNING, EVENING, **options), NOON)


def _uptimes(county, actor=CLERK, **options):
    return {uptime.device_id: uptime for uptime in _evaluated(county, actor, **options).devices}


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


def test_stations_and_areas_are_weighted_by_rated_power(day):
    evaluation = _evaluated(day)
    uptimes = {uptime.device_id: uptime for uptime in evaluation.devices}
    with day.database.reading() as session:
        found = {level: areas(session, evaluation, level) for level in Level if level is not Level.DEVICE}
    station = next(one for one in found[Level.STATION] if one.key == "s1")
    parts = [uptimes[name].availability.equipment.value for name in ("s1i1", "s1i2")]
    assert station.availability.equipment.value == pytest.approx(sum(parts) / 2)
    assert next(one.key for one in found[Level.TOWNSHIP]) == TOWNSHIP
    (county,) = found[Level.COUNTY]
    assert (county.key, county.name, county.devices) == (COUNTY, "某县", 6)
    assert county.hours.forced == pytest.approx(3)
    assert county.hours.grid == pytest.approx(4)
    assert availability(county.weighted) == county.availability


def test_a_village_gets_its_own_station_only_and_the_rule_is_named(day):
    uptimes = _uptimes(day, CADRE, rule=LightRule.parse("elevation"))
    assert set(uptimes) == {"s1i1", "s1i2"}
    assert {uptime.rule for uptime in uptimes.values()} == {"太阳高度角不低于 5°"}


def test_every_moment_has_a_state_and_a_reason(day):
    for uptime in _uptimes(day, intervals=True).values():
        assert uptime.intervals[0].start == MORNING
        assert uptime.intervals[-1].end == EVENING
        for before, after in itertools.pairwise(uptime.intervals):
            assert before.end == after.start
    stopped = _uptimes(day, intervals=True)["s1i2"].intervals
    assert [state for state, _group in itertools.groupby(one.state for one in stopped)] == [
        StationState.NIGHT, StationState.NORMAL, StationState.FAULT, StationState.NORMAL, StationState.NIGHT,
    ]  # fmt: skip
    assert any("不发电" in one.reason for one in stopped)


def test_lost_energy_is_what_the_others_made_meanwhile(day):
    uptimes = _uptimes(day)
    made = sum(bell(MORNING + timedelta(hours=10, minutes=15 * n)) / 4 for n in range(12))
    lost = uptimes["s1i2"].energy.lost_wh[Cause.FORCED]
    assert uptimes["s1i2"].energy.modelled
    assert lost == pytest.approx(made, rel=0.05)
    (outage,) = uptimes["s1i2"].outages
    assert outage.lost_wh == pytest.approx(lost)
    energy = uptimes["s1i2"].energy
    assert energy.availability == pytest.approx(energy.generated_wh / (energy.generated_wh + lost))
    assert uptimes["s2i1"].energy.availability == 1.0
    assert uptimes["s2i1"].energy.availability_all_causes < 1.0


def test_a_dispatch_record_explains_a_stop(day):
    order = DispatchRecord("s1", DispatchKind.STOP, MORNING, EVENING, "调〔2026〕7号")
    with day.database.transaction() as session:
        record_dispatch(session, CLERK, order, NOON)
    uptime = _uptimes(day, intervals=True)["s1i2"]
    assert (uptime.hours.ordered, uptime.hours.forced) == (pytest.approx(3), 0)
    assert "调〔2026〕7号" in uptime.outages[0].reason


def test_a_county_without_grid_does_not_vanish(county):
    """Nobody is a witness of the light any more: the sun decides, and the time stays usable."""
    for number in (1, 2, 3):
        for slot in (1, 2):
            samples = readings(f"s{number}i{slot}", MORNING, EVENING)
            dark = (MORNING + timedelta(hours=9), MORNING + timedelta(hours=15))
            county.write([
                replace(s, values=s.values | _dead) if dark[0] <= s.time < dark[1] else s for s in samples
            ])  # fmt: skip
    for uptime in _uptimes(county).values():
        assert uptime.hours.grid == pytest.approx(6)
        assert uptime.availability.all_causes.value < 0.6


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


def _foreign(county, days=1, sensor=lambda watts: watts / 50):
    end = MORNING + timedelta(days=days)
    for number in range(4):
        county.write(readings(f"foreign-{number}", MORNING, end, power=_broken if number == 3 else bell))
    county.write([
        Sample("foreign-sun", s.time, s.received_at, {"irradiance_w_m2": sensor(s.values["active_power_w"])})
        for s in readings("x", MORNING, end)
    ])  # fmt: skip


def _foreign_uptimes(county, days=1, rule="irradiance:50"):
    question = Question(MORNING, MORNING + timedelta(days=days), LightRule.parse(rule))
    with county.database.reading() as session:
        evaluation = evaluate_foreign(session, county.series, question)
    return {uptime.device_id: uptime for uptime in evaluation.devices}


def test_history_of_a_foreign_plant_is_judged_by_its_own_sensor(county):
    _foreign(county)
    uptimes = _foreign_uptimes(county)
    assert set(uptimes) == {f"foreign-{number}" for number in range(4)}
    assert {uptime.group for uptime in uptimes.values()} == {FOREIGN_GROUP}
    assert uptimes["foreign-3"].hours.forced == pytest.approx(3)
    assert uptimes["foreign-0"].hours.forced == 0
    bright = sum(bell(MORNING + timedelta(minutes=15 * n)) / 50 >= 50 for n in range(96)) / 4
    assert uptimes["foreign-0"].hours.use == pytest.approx(bright)
    assert uptimes["foreign-0"].rule == "实测辐照度不低于 50 W/m²"


@pytest.mark.parametrize("rule", ["auto", "irradiance:50", "expected:5", "elevation:5"])
@pytest.mark.parametrize("sensor", ["missing", "stuck at zero", "stuck high"])
def test_a_broken_sensor_makes_no_nonsense(county, rule, sensor):
    """Five days of a plant of unknown place: whatever the sensor does, a stop of three hours is one."""
    days = 5
    values = {"stuck at zero": lambda _watts: 0.0, "stuck high": lambda _watts: 412.5}
    if sensor in values:
        _foreign(county, days, values[sensor])
    else:
        for number in range(4):
            power = _broken if number == 3 else bell
            county.write(readings(f"foreign-{number}", MORNING, MORNING + timedelta(days=days), power=power))
    uptimes = _foreign_uptimes(county, days, rule)
    assert uptimes["foreign-0"].hours.forced == pytest.approx(0, abs=0.5)
    assert 10 * days < uptimes["foreign-0"].hours.use < 15 * days
    (outage,) = uptimes["foreign-3"].outages
    assert (outage.start, outage.end) == (MORNING + timedelta(hours=10), MORNING + timedelta(hours=13))


def test_a_stop_of_the_whole_plant_that_kills_the_sensor_does_not_vanish(county):
    days = 6
    end = MORNING + timedelta(days=days)
    dark = (MORNING + timedelta(days=3, hours=9), MORNING + timedelta(days=3, hours=14))

    def dead(moment):
        return 0.0 if dark[0] <= moment < dark[1] else bell(moment)

    for number in range(3):
        county.write(readings(f"foreign-{number}", MORNING, end, power=dead))
    county.write([
        Sample("foreign-sun", s.time, s.received_at, {"irradiance_w_m2": s.values["active_power_w"] / 50})
        for s in readings("x", MORNING, end, power=dead)
    ])  # fmt: skip
    for uptime in _foreign_uptimes(county, days).values():
        (outage,) = uptime.outages
        assert (outage.start, outage.end) == dark
        assert "往日同一时刻" in uptime.rule


def test_a_device_known_by_its_counter_alone_is_judged_by_what_it_gains(county):
    for number in range(4):
        samples = readings(f"foreign-{number}", MORNING, EVENING, power=_broken if number == 3 else bell)
        county.write([
            replace(s, values={"generated_energy_wh": s.values["generated_energy_wh"]}) for s in samples
        ])  # fmt: skip
    uptimes = _foreign_uptimes(county, rule="expected:5")
    assert uptimes["foreign-3"].hours.forced == pytest.approx(3)
    assert uptimes["foreign-0"].hours.forced == 0


def test_a_device_counts_only_while_it_stands_there(county):
    county.write(readings("s1i1", MORNING, EVENING))
    half = Machine("s1i1", "s1", 50_000, first=MORNING + timedelta(hours=12))
    (uptime,) = evaluate_plants(county.series, [Plant((half,))], Question(MORNING, EVENING)).devices
    assert uptime.hours.dark + uptime.hours.use == pytest.approx(12)


def test_nothing_is_said_of_a_period_without_devices(county):
    with county.database.reading() as session:
        question = Question(MORNING, EVENING)
        assert evaluate_foreign(session, county.series, question).devices == ()
