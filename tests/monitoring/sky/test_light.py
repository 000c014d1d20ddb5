"""Which time counts as usable: rules, trust in a sensor, and what stands in for it."""

from datetime import UTC, datetime

import numpy as np
import pytest

from monitoring.sky.light import Evidence, Place, habit, light
from monitoring.sky.rules import AUTO, Basis, LightRule
from monitoring.sky.tracks import NOTHING, Track, with_gaps
from store.problem import ProblemsError

PLACE = Place(27.0, 106.0)
QUARTER = 900.0
DAY_S = 86_400.0
NOON = datetime(2026, 6, 10, 4, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 6, 10, 16, tzinfo=UTC).timestamp()
START = datetime(2026, 6, 1, 16, tzinfo=UTC).timestamp()
SENSOR = LightRule.parse("irradiance:50")


def _at(track, moment):
    return track.at(np.array([moment + 1.0]))[0]


def _lit(evidence, moment, rule=AUTO, around=7200):
    return _at(light(evidence, (moment - around, moment + around), rule).track, moment)


def _bell(days, step=QUARTER):
    """Irradiance of clear days by plain arithmetic, from local midnight."""
    times = START + step * np.arange(days * DAY_S / step)
    hour = (times - START) % DAY_S / 3600
    return times, np.where(np.abs(hour - 12) < 6.5, 900 * np.cos(np.pi * (hour - 12) / 13), 0.0)


def test_without_other_evidence_the_suns_elevation_decides():
    assert _lit(Evidence(PLACE), NOON) == 1
    assert _lit(Evidence(PLACE), MIDNIGHT) == 0
    words = light(Evidence(PLACE), (NOON - 7200, NOON + 7200), AUTO).words
    assert words == "太阳高度角不低于 5°"


def test_a_sensor_decides_under_a_cloud():
    sensor = Track(NOON + QUARTER * np.arange(-8, 8), 40.0 + np.arange(16) % 2)
    assert _lit(Evidence(PLACE, irradiance=sensor), NOON) == 0
    assert _lit(Evidence(PLACE, irradiance=sensor), NOON, LightRule.parse("irradiance:30")) == 1


def test_a_dead_sensor_under_a_high_sun_is_not_believed():
    sensor = Track(NOON + QUARTER * np.arange(-8, 8), np.zeros(16))
    evidence = Evidence(PLACE, irradiance=sensor)
    assert _lit(evidence, NOON) == 1
    assert _lit(evidence, NOON, LightRule.parse("measured:50")) == 0


def test_whoever_asks_for_the_sensor_is_not_overruled_by_a_place_that_may_be_wrong():
    times, values = _bell(6)
    abroad = Evidence(Place(27.0, 30.0), irradiance=Track(times, values))
    seen = light(abroad, (times[0], times[-1] + QUARTER), SENSOR)
    lit = seen.track.at(times) == 1
    assert (lit == (values >= 50)).all()
    assert seen.words == "实测辐照度不低于 50 W/m²"


@pytest.mark.parametrize("dead", [0.0, 0.4, np.nan])
def test_a_sensor_that_dies_at_noon_is_known_by_its_other_days(dead):
    times, values = _bell(6)
    broken = (times >= START + 3 * DAY_S + 9 * 3600) & (times < START + 3 * DAY_S + 15 * 3600)
    told = np.where(broken, dead, values)
    evidence = Evidence(None, irradiance=Track(times[~np.isnan(told)], told[~np.isnan(told)]))
    seen = light(evidence, (times[0], times[-1] + QUARTER), SENSOR)
    assert ((seen.track.at(times) == 1) == (values >= 50)).all()
    assert 0 < seen.shares[Basis.HABIT] < 0.1
    assert "往日同一时刻" in seen.words


def test_a_dark_day_is_no_dead_sensor():
    times, values = _bell(6)
    stormy = (times >= START + 3 * DAY_S) & (times < START + 4 * DAY_S)
    told = np.where(stormy, values * 0.05, values)
    seen = light(Evidence(None, irradiance=Track(times, told)), (times[0], times[-1] + QUARTER), SENSOR)
    assert ((seen.track.at(times) == 1) == (told >= 50)).all()


def test_machines_that_produce_belie_a_dark_sensor():
    times, values = _bell(1)
    evidence = Evidence(None, Track(times, np.zeros(len(times))), output=Track(times, values / 1200))
    lit = light(evidence, (times[0], times[-1] + QUARTER), SENSOR).track.at(times) == 1
    assert lit[values > 200].all()
    assert not lit[values == 0].any()


def test_a_silent_sensor_tells_nothing_after_its_step():
    sensor = Track(NOON + QUARTER * np.array([0.0, 1.0, 2.0, 6.0, 7.0]), np.full(5, 800.0))
    track = with_gaps(sensor)
    assert _at(track, NOON + 2.5 * QUARTER) == 800
    assert np.isnan(_at(track, NOON + 3.5 * QUARTER))


def test_neighbours_decide_only_under_a_sun_that_is_up():
    times = np.arange(NOON - 7200, MIDNIGHT + 7200, QUARTER)
    evidence = Evidence(PLACE, expected=Track(times, np.where(times < NOON, 0.01, 0.5)))
    track = light(evidence, (float(times[0]), MIDNIGHT + 7200), AUTO).track
    assert _at(track, NOON - 3600) == 0
    assert _at(track, NOON + 3600) == 1
    assert _at(track, MIDNIGHT) == 0


def test_where_nothing_tells_there_is_no_answer():
    assert np.isnan(_lit(Evidence(None), NOON))


def test_a_habit_needs_three_days():
    times, values = _bell(2)
    assert np.isnan(habit(Track(times, values)).values).all()
    times, values = _bell(5)
    usual = habit(Track(times, values))
    assert usual.at(times) == pytest.approx(values, abs=1e-6)
    assert habit(NOTHING) is NOTHING


@pytest.mark.parametrize("text", ["", "sun", "irradiance:-3", "elevation:x", "auto:3", "habit"])
def test_a_rule_that_is_none_is_refused_with_what_may_be_written(text):
    with pytest.raises(ProblemsError) as refused:
        LightRule.parse(text)
    assert "irradiance:50" in str(refused.value.problems[0])


@pytest.mark.parametrize("text", ["auto", "irradiance:50", "measured:75", "expected:2.5", "elevation:0"])
def test_a_rule_reads_back_as_it_is_written(text):
    assert str(LightRule.parse(text)) == text
    assert LightRule.parse(text).label
