"""What stays in doubt of a gap that the counter decided: it opens the bounds and changes no figure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.sky.tracks import Track
from monitoring.uptime.causes import availability
from monitoring.uptime.judging.partition import hours_of, partition

from .records import DAY, QUARTER, RATED, record, setting

FULL = np.full(40, 25_000.0)
GAP = (5, 20)


def _silent(power, gap=GAP, **more):
    keep = np.ones(len(power), bool)
    keep[gap[0] : gap[1]] = False
    return hours_of(partition(record(power, keep=keep), setting(len(power) / 4, **more)))


def test_a_gap_whose_counter_rose_in_full_leaves_nothing_in_doubt():
    hours = _silent(FULL)
    assert (hours.resolved, hours.doubtful_running) == (pytest.approx(3.75), 0)
    share = availability(hours).equipment
    assert share.low == share.value == share.high == 1.0


def test_a_short_stop_in_a_long_gap_changes_no_figure_and_opens_the_lower_bound():
    power = FULL.copy()
    power[10:12] = 0
    hours = _silent(power)
    assert (hours.forced, hours.doubtful_running) == (0, pytest.approx(0.5))
    result = availability(hours)
    for share in (result.equipment, result.all_causes):
        assert share.value == share.high == 1.0
        assert share.low == pytest.approx(1 - 0.5 / 10)


def test_what_is_missing_is_looked_for_in_the_weakest_hours_of_the_gap():
    """Ten per cent of the energy may be missing in two of five hours."""
    shape = np.full(40, 0.5)
    shape[5:13] = 0.1
    expected = Track(DAY + QUARTER * np.arange(40), shape)
    power = RATED * shape
    power[18] = 0.3 * RATED
    hours = hours_of(
        partition(record(power, keep=~np.isin(np.arange(40), range(5, 20))), setting(10, expected=None))
    )
    assert hours.doubtful_running > 2
    whole = setting(10)
    told = type(whole)(whole.start, whole.end, RATED, whole.light, expected)
    hours = hours_of(partition(record(power, keep=~np.isin(np.arange(40), range(5, 20))), told))
    assert hours.doubtful_running == pytest.approx(0.2 * RATED / 4 / (0.1 * RATED))


def test_the_little_that_was_gained_in_a_stop_opens_the_upper_bound():
    power = FULL.copy()
    power[5:20] = 0
    power[12] = 12_500
    hours = _silent(power)
    assert (hours.forced, hours.doubtful_forced) == (pytest.approx(3.75), pytest.approx(0.125))
    share = availability(hours).equipment
    assert share.low == share.value
    assert share.high == pytest.approx(1 - (3.75 - 0.125) / 10)


def test_without_comparison_only_the_hours_at_full_power_are_beyond_doubt():
    """The counter gained four hours at half power since the last sample, a quarter before the gap."""
    hours = _silent(FULL, expected=None)
    assert (hours.unknown, hours.forced) == (0, 0)
    assert hours.doubtful_running == pytest.approx(3.75 - 4 / 2)


@given(
    stops=st.lists(st.booleans(), min_size=40, max_size=40),
    first=st.integers(1, 30),
    length=st.integers(4, 30),
    shape=st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.9]), min_size=40, max_size=40),
)
@settings(deadline=None, max_examples=300)
def test_bounds_enclose_the_truth_whatever_the_counter_decides(stops, first, length, shape):
    gap = slice(first, min(first + length, 39))
    power = RATED * np.array(shape)
    inside = np.zeros(40, bool)
    inside[gap] = True
    power[np.array(stops) & inside] = 0
    expected = Track(DAY + QUARTER * np.arange(40), np.array(shape))
    base = setting(10)
    told = type(base)(base.start, base.end, RATED, base.light, expected)
    found = availability(hours_of(partition(record(power, keep=~inside), told)))
    truth = 1 - (power == 0).mean()
    for share in (found.equipment, found.all_causes):
        assert share.low - 1e-9 <= truth <= share.high + 1e-9
        assert share.low <= share.value <= share.high
