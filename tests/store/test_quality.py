"""Quality flags: each check marks what it should, and changes no value."""

from datetime import UTC, datetime, timedelta

import pytest

from store.quality import Flag, check, clock_suspect, flag_labels, gaps, out_of_range, stuck
from store.samples import Sample

NOW = datetime(2026, 10, 5, 4, 0, tzinfo=UTC)


def sample(ahead: timedelta = timedelta(0), flags: int = 0, **values) -> Sample:
    return Sample("a", NOW + ahead, NOW, values, flags)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"active_power_w": 100_000.0}, ()),
        ({"active_power_w": 110_000.0}, ()),
        ({"active_power_w": 110_001.0}, ("active_power_w",)),
        ({"frequency_hz": 0.0}, ("frequency_hz",)),
        ({"power_factor": 1.2, "voltage_a_v": 230.0}, ("power_factor",)),
        ({"dc_voltage_1_v": 6553.5}, ("dc_voltage_1_v",)),
        ({"generated_energy_wh": -1}, ("generated_energy_wh",)),
        ({"state_raw": -1, "current_a_a": 4.0}, ()),
    ],
)
def test_values_outside_the_possible_are_named(values, wrong):
    assert out_of_range(sample(**values), 100_000) == wrong


def test_power_is_not_judged_without_a_rated_power():
    assert out_of_range(sample(active_power_w=1e9), 0) == ()


@pytest.mark.parametrize(
    ("given", "suspect"),
    [
        (sample(timedelta(minutes=5)), False),
        (sample(timedelta(minutes=5, seconds=1)), True),
        (sample(timedelta(days=-40)), False),
        (sample(clock_skew_s=-3600.0), True),
        (sample(clock_skew_s=12.0), False),
    ],
)
def test_a_clock_is_suspect_when_it_is_ahead_or_says_so(given, suspect):
    assert clock_suspect(given) is suspect


def test_flags_add_up_and_have_words():
    flags = check(sample(timedelta(hours=1), Flag.STUCK, frequency_hz=99.0))
    assert flags == Flag.STUCK | Flag.RANGE | Flag.CLOCK
    assert flag_labels(flags) == ("超出合理范围", "数值卡死", "时钟可疑")


def test_gaps_are_found_between_neighbours():
    times = [NOW, NOW + timedelta(minutes=10), NOW + timedelta(hours=2)]
    found = gaps(times, timedelta(minutes=30))
    assert [(gap.start, gap.end, gap.flag) for gap in found] == [(times[1], times[2], Flag.GAP)]


def test_a_value_that_repeats_for_too_long_is_stuck_but_zero_is_night():
    readings = [(NOW + n * timedelta(minutes=10), value) for n, value in enumerate([5, 5, 5, 7, 0, 0, 0, 0])]
    found = stuck(readings, timedelta(minutes=15))
    assert [(item.start, item.end) for item in found] == [(readings[0][0], readings[2][0])]
