"""Availability: the published vector, the partition of time, gaps, light and outages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.uptime.judging import (
    Cause,
    Hours,
    Record,
    Setting,
    Track,
    added,
    availability,
    availability_sentence,
    hours_of,
    outages,
    partition,
)
from monitoring.uptime.light import NOTHING, Evidence, LightRule, Place, light_track, rule_used, with_gaps

DAY = datetime(2026, 6, 10, tzinfo=UTC).timestamp()
RATED = 50_000.0
QUARTER = 900.0


def _record(power, *, step=QUARTER, start=DAY, keep=None, cause=Cause.RUNNING):
    """A record whose counter follows its power, every step; `keep` leaves samples out."""
    power = np.asarray(power, float)
    times = start + step * np.arange(len(power))
    counter = np.concatenate([[0], np.cumsum(power[:-1]) * step / 3600])
    causes = np.full(len(power), cause, np.int8)
    chosen = np.ones(len(power), bool) if keep is None else np.asarray(keep, bool)
    return Record(times[chosen], power[chosen], counter[chosen], causes[chosen])


def _setting(hours, *, expected=0.5, **more):
    light = Track(np.array([DAY]), np.array([1.0]))
    guess = NOTHING if expected is None else Track(np.array([DAY]), np.array([expected]))
    return Setting(DAY, DAY + hours * 3600, RATED, light, guess, **more)


# Formulas


def test_the_published_vector():
    hours = Hours(running=69, forced=4, grid=4, unknown=3, resolved=6)
    result = availability(hours)
    assert hours.use == 80
    assert 100 * result.equipment.value == pytest.approx(94.52, abs=0.005)
    assert 100 * result.equipment.low == pytest.approx(90.79, abs=0.005)
    assert 100 * result.equipment.high == pytest.approx(94.74, abs=0.005)
    assert 100 * result.all_causes.value == pytest.approx(89.61, abs=0.005)
    assert 100 * result.data == pytest.approx(88.75, abs=0.005)


def test_the_vector_comes_out_of_records_too():
    """Two inverters of 50 kW, 40 usable quarters each: forced, grid, resolved and unresolved gaps."""
    full = np.full(40, 25_000.0)
    first = full.copy()
    first[4:8] = 0
    keep_first = np.ones(40, bool)
    keep_first[20:26] = False
    one = partition(_record(first, keep=keep_first), _setting(10))
    second = full.copy()
    second[10:14] = 0
    keep_second = np.ones(40, bool)
    keep_second[37:40] = False
    record = _record(second, keep=keep_second)
    cause = record.cause.copy()
    cause[10:14] = Cause.GRID
    two = partition(Record(record.times, record.power, record.counter, cause), _setting(10))
    hours = added([hours_of(one), hours_of(two)])
    assert (hours.forced, hours.grid, hours.resolved) == pytest.approx((1, 1, 1.5))
    assert hours.unknown == pytest.approx(0.75)
    assert 100 * availability(hours).equipment.value == pytest.approx(94.52, abs=0.005)
    assert 100 * availability(hours).all_causes.value == pytest.approx(89.61, abs=0.005)
    assert 100 * availability(hours).data == pytest.approx(88.75, abs=0.005)


def test_a_period_without_any_data_has_no_availability():
    nothing = Record(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int8))
    result = availability(hours_of(partition(nothing, _setting(5))))
    assert (result.equipment.value, result.all_causes.value, result.data) == (None, None, 0.0)
    assert availability(Hours(dark=24)).data is None


def test_all_causes_counts_what_equipment_does_not():
    result = availability(Hours(running=8, planned=1, grid=1))
    assert result.equipment.value == 1.0
    assert result.all_causes.value == pytest.approx(0.8)


def test_the_figure_is_said_with_its_causes():
    words = availability_sentence(Hours(running=69 / 4, forced=1, grid=1, unknown=0.75, resolved=1.5))
    assert words == (
        "设备可用率 94.5 %（电网原因 1.0 台时，未知 0.8 台时，界限 90.8 %～94.7 %），数据完整率 88.8 %"
    )
    assert "没有数据" in availability_sentence(Hours(unknown=5))


# Partition


powers = st.lists(st.sampled_from([0.0, 10_000.0, 40_000.0]), min_size=8, max_size=60)


@given(power=powers, data=st.data())
@settings(deadline=None)
def test_states_partition_the_time(power, data):
    keep = data.draw(st.lists(st.booleans(), min_size=len(power), max_size=len(power)))
    segments = partition(_record(power, keep=keep), _setting(len(power) / 4))
    hours = hours_of(segments)
    assert hours.dark + hours.use == pytest.approx(len(power) / 4)
    assert (segments.lengths > 0).all()


@given(power=powers, data=st.data())
@settings(deadline=None)
def test_bounds_enclose_the_truth_when_samples_are_lost(power, data):
    setting = _setting(len(power) / 4, expected=None, step_s=QUARTER)
    truth = availability(hours_of(partition(_record(power), setting))).equipment.value
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(power), max_size=len(power))))
    lossy = partition(_record(power, keep=keep), setting)
    unresolved = np.where(lossy.received, lossy.causes, np.int8(Cause.UNKNOWN))
    bounds = availability(hours_of(replace(lossy, causes=unresolved))).equipment
    if bounds.low is not None:
        assert bounds.low - 1e-9 <= truth <= bounds.high + 1e-9


@given(
    runs=st.lists(st.tuples(st.sampled_from([0.0, 30_000.0]), st.integers(1, 8)), min_size=2, max_size=10),
    fine=st.sampled_from([60.0, 300.0]),
)
@settings(deadline=None)
def test_the_sampling_step_changes_nothing(runs, fine):
    coarse = np.concatenate([np.full(count, power) for power, count in runs])
    if len(coarse) < 3:
        return
    dense = np.repeat(coarse, int(QUARTER / fine))
    hours = len(coarse) / 4
    one = hours_of(partition(_record(coarse), _setting(hours)))
    other = hours_of(partition(_record(dense, step=fine), _setting(hours)))
    assert one.running == pytest.approx(other.running)
    assert one.forced == pytest.approx(other.forced)


def test_a_gap_that_the_counter_shows_as_production_lowers_nothing():
    power = np.full(40, 25_000.0)
    keep = np.ones(40, bool)
    keep[10:20] = False
    hours = hours_of(partition(_record(power, keep=keep), _setting(10)))
    assert (hours.forced, hours.unknown) == (0, 0)
    assert hours.resolved == pytest.approx(2.5)
    result = availability(hours)
    assert result.equipment.low == 1.0
    assert result.data == pytest.approx(0.75)


def test_a_gap_in_which_the_counter_stood_is_a_stop():
    power = np.full(40, 25_000.0)
    power[9:20] = 0
    keep = np.ones(40, bool)
    keep[10:20] = False
    hours = hours_of(partition(_record(power, keep=keep), _setting(10)))
    assert hours.forced == pytest.approx(2.75)


def test_a_gap_that_nothing_explains_only_widens_the_bounds():
    power = np.full(40, 25_000.0)
    keep = np.ones(40, bool)
    keep[30:] = False
    result = availability(hours_of(partition(_record(power, keep=keep), _setting(10))))
    assert result.equipment.value == result.equipment.high == 1.0
    assert result.equipment.low < 0.8


def test_announced_work_and_the_grid_are_not_the_equipment():
    power = np.full(40, 25_000.0)
    power[10:20] = 0
    planned = ((DAY + 10 * QUARTER, DAY + 20 * QUARTER),)
    hours = hours_of(partition(_record(power), _setting(10, planned=planned)))
    assert (hours.planned, hours.forced) == (pytest.approx(2.5), 0)
    running = hours_of(partition(_record(np.full(40, 25_000.0)), _setting(10, planned=planned)))
    assert running.planned == 0


# Outages


def test_an_outage_goes_on_through_the_night():
    lit = np.array([1.0, 0.0, 1.0])
    light = Track(DAY + 3600 * np.array([0.0, 10.0, 20.0]), lit)
    power = np.full(120, 25_000.0)
    power[32:100] = 0
    setting = Setting(DAY, DAY + 30 * 3600, RATED, light, NOTHING)
    (outage,) = outages(partition(_record(power), setting))
    assert outage.cause is Cause.FORCED
    assert outage.start == datetime.fromtimestamp(DAY + 8 * 3600, UTC)
    assert outage.end == datetime.fromtimestamp(DAY + 25 * 3600, UTC)
    assert outage.light_h == pytest.approx(7)


def test_a_stop_shorter_than_the_limit_is_no_outage():
    power = np.full(40, 25_000.0)
    power[10] = 0
    segments = partition(_record(power), _setting(10))
    assert outages(segments) == []
    assert len(outages(segments, at_least_h=0.25)) == 1


# Light


PLACE = Place(27.0, 106.0)
NOON = datetime(2026, 6, 10, 4, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 6, 10, 16, tzinfo=UTC).timestamp()


def _at(track, moment):
    return track.at(np.array([moment + 1.0]))[0]


def test_without_evidence_the_suns_elevation_decides():
    track = light_track(Evidence(PLACE), NOON - 43_200, NOON + 43_200)
    assert _at(track, NOON) == 1
    assert _at(track, MIDNIGHT) == 0
    assert rule_used(Evidence(PLACE), LightRule.AUTO) is LightRule.ELEVATION


def test_a_sensor_decides_under_a_cloud():
    sensor = Track(NOON + QUARTER * np.arange(-8, 8), np.full(16, 40.0))
    evidence = Evidence(PLACE, irradiance=sensor)
    assert _at(light_track(evidence, NOON - 7200, NOON + 7200), NOON) == 0


def test_a_dead_sensor_under_a_high_sun_is_not_believed():
    """A stop of the whole plant that also kills the sensor must not vanish."""
    sensor = Track(NOON + QUARTER * np.arange(-8, 8), np.zeros(16))
    assert _at(light_track(Evidence(PLACE, irradiance=sensor), NOON - 7200, NOON + 7200), NOON) == 1
    strict = light_track(Evidence(PLACE, irradiance=sensor), NOON - 7200, NOON + 7200, LightRule.IRRADIANCE)
    assert _at(strict, NOON) == 0


def test_a_silent_sensor_tells_nothing_after_its_step():
    sensor = Track(NOON + QUARTER * np.array([0.0, 1.0, 2.0, 6.0, 7.0]), np.full(5, 800.0))
    track = with_gaps(sensor)
    assert _at(track, NOON + 2.5 * QUARTER) == 800
    assert np.isnan(_at(track, NOON + 3.5 * QUARTER))


def test_neighbours_decide_only_under_a_sun_that_is_up():
    neighbours = Track(np.array([NOON - 7200, MIDNIGHT - 900, MIDNIGHT]), np.array([0.01, 0.5, 0.5]))
    evidence = Evidence(PLACE, neighbours=neighbours)
    track = light_track(evidence, NOON - 7200, MIDNIGHT + 900)
    assert _at(track, NOON - 7100) == 0
    assert _at(track, MIDNIGHT) == 0
    assert rule_used(evidence, LightRule.AUTO) is LightRule.NEIGHBOURS


def test_hours_can_be_weighted_and_added():
    total = added([Hours(running=2, forced=1).weighted(50), Hours(running=3).weighted(100)])
    assert (total.running, total.forced) == (400, 50)
    assert timedelta(hours=total.use) == timedelta(hours=450)
