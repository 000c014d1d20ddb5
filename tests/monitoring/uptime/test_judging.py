"""The partition of time into causes and states, gaps resolved by the counter, stops."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.sky.tracks import NOTHING, Track
from monitoring.states import StationState
from monitoring.uptime.causes import Cause, added, availability
from monitoring.uptime.evaluation import state_intervals
from monitoring.uptime.judging.partition import hours_of, partition
from monitoring.uptime.judging.reasons import Reason, reason_words, state_of
from monitoring.uptime.judging.setting import Setting, Span
from monitoring.uptime.judging.stops import stops
from monitoring.uptime.runs import Reading
from monitoring.uptime.told import Told

from .records import DAY, QUARTER, RATED, codes, record, runs, setting

FULL = np.full(40, 25_000.0)


def _without(*gone, count=40):
    keep = np.ones(count, bool)
    for low, high in gone:
        keep[low:high] = False
    return keep


def test_the_published_vector_comes_out_of_samples_too():
    """Two inverters of 50 kW, 40 usable quarters each: forced, grid, resolved and unresolved gaps."""
    first = FULL.copy()
    first[4:8] = 0
    one = partition(record(first, keep=_without((20, 26))), setting(10))
    second = FULL.copy()
    second[10:14] = 0
    said = codes(second)
    said[10:14] = Told.GRID_FAULT
    two = partition(record(second, keep=_without((37, 40)), said=said), setting(10))
    hours = added([hours_of(one), hours_of(two)])
    assert (hours.forced, hours.grid, hours.resolved) == pytest.approx((1, 1, 1.5))
    assert hours.unknown == pytest.approx(0.75)
    result = availability(hours)
    assert 100 * result.equipment.value == pytest.approx(94.52, abs=0.005)
    assert 100 * result.all_causes.value == pytest.approx(89.61, abs=0.005)
    assert 100 * result.data == pytest.approx(88.75, abs=0.005)


def test_a_period_without_any_data_is_unknown_and_has_no_availability():
    nothing = runs([], [], [], (DAY, DAY + 5 * 3600))
    segments = partition(nothing, setting(5))
    assert availability(hours_of(segments)).equipment.value is None
    (interval,) = state_intervals("d", segments)
    assert (interval.state, interval.reason) == (StationState.UNKNOWN, "从未收到数据")


powers = st.lists(st.sampled_from([0.0, 10_000.0, 40_000.0]), min_size=8, max_size=60)


@given(power=powers, data=st.data())
@settings(deadline=None)
def test_states_partition_the_time(power, data):
    keep = data.draw(st.lists(st.booleans(), min_size=len(power), max_size=len(power)))
    limits = data.draw(st.lists(st.floats(0, len(power) / 4), min_size=2, max_size=2, unique=True))
    low, high = sorted(limits)
    dark = Track(DAY + 3600 * np.array([0, low, high]), np.array([1.0, 0.0, 1.0]))
    segments = partition(record(power, keep=keep, cycle_s=QUARTER), setting(len(power) / 4, light=dark))
    hours = hours_of(segments)
    assert hours.dark + hours.use == pytest.approx(len(power) / 4)
    assert (segments.lengths > 0).all()
    intervals = state_intervals("d", segments)
    assert intervals[0].start.timestamp() == DAY
    assert intervals[-1].end.timestamp() == DAY + len(power) * QUARTER
    for before, after in itertools.pairwise(intervals):
        assert before.end == after.start
    assert all(interval.reason for interval in intervals)


@given(power=powers, data=st.data())
@settings(deadline=None)
def test_bounds_enclose_the_truth_when_samples_are_lost(power, data):
    """Every sample that is lost leaves its quarter open; what the counter decides is decided rightly."""
    whole = setting(len(power) / 4, expected=None)
    truth = availability(hours_of(partition(record(power, cycle_s=QUARTER), whole))).equipment.value
    keep = [True] * 5 + data.draw(st.lists(st.booleans(), min_size=len(power) - 5, max_size=len(power) - 5))
    mute = Setting(whole.start, whole.end, RATED, whole.light, finest_wh=1e9)
    bounds = availability(hours_of(partition(record(power, keep=keep, cycle_s=QUARTER), mute))).equipment
    if bounds.low is not None:
        assert bounds.low - 1e-9 <= truth <= bounds.high + 1e-9


@given(data=st.data(), seed=st.integers(0, 2**20))
@settings(deadline=None)
def test_a_gap_of_production_lowers_nothing_and_an_unresolved_one_only_widens(data, seed):
    rng = np.random.default_rng(seed)
    power = 25_000 * rng.uniform(0.9, 1.1, 48)
    low = data.draw(st.integers(1, 40))
    high = data.draw(st.integers(low + 1, 47))
    stop = data.draw(st.integers(0, 10))
    power[:stop] = 0 if stop < low else power[:stop]
    before = availability(hours_of(partition(record(power, cycle_s=QUARTER), setting(12)))).equipment
    silent = record(power, keep=_without((low, high), count=48), cycle_s=QUARTER)
    resolved = availability(hours_of(partition(silent, setting(12)))).equipment
    assert resolved.value == pytest.approx(before.value)
    blind = Setting(DAY, DAY + 12 * 3600, RATED, setting(12).light, finest_wh=1e9)
    unresolved = availability(hours_of(partition(silent, blind))).equipment
    assert unresolved.low <= before.low + 1e-9
    assert unresolved.high >= before.high - 1e-9


@given(
    stretches=st.lists(
        st.tuples(st.sampled_from([0.0, 30_000.0]), st.integers(1, 8)), min_size=2, max_size=10
    ),
    fine=st.sampled_from([60.0, 300.0]),
)
@settings(deadline=None)
def test_the_sampling_step_changes_nothing(stretches, fine):
    coarse = np.concatenate([np.full(count, power) for power, count in stretches])
    if len(coarse) < 3:
        return
    dense = np.repeat(coarse, int(QUARTER / fine))
    hours = len(coarse) / 4
    one = partition(record(coarse), setting(hours))
    other = partition(record(dense, step=fine), setting(hours))
    assert hours_of(one).running == pytest.approx(hours_of(other).running)
    assert hours_of(one).forced == pytest.approx(hours_of(other).forced)
    assert [(s.start, s.end) for s in stops(one)] == [(s.start, s.end) for s in stops(other)]


def test_a_gap_in_which_the_counter_stood_is_a_stop():
    power = FULL.copy()
    power[9:20] = 0
    hours = hours_of(partition(record(power, keep=_without((10, 20))), setting(10)))
    assert hours.forced == pytest.approx(2.75)
    assert hours.resolved_forced == pytest.approx(2.5)


@pytest.mark.parametrize("cloud", [0.3, 0.5, 0.7])
def test_a_short_gap_under_a_cloud_is_no_stop(cloud):
    """One lost quarter between two that ran, all of them with less than was expected."""
    power = FULL.copy()
    power[10:13] *= cloud
    assert hours_of(partition(record(power, keep=_without((11, 12))), setting(10))).forced == 0


def test_a_stop_that_begins_with_the_lost_link_is_told_by_what_was_made_right_before():
    power = FULL.copy()
    power[10:13] = 0
    silent = record(power, keep=_without((10, 13)))
    output = Track(DAY + QUARTER * np.arange(40), power / RATED)
    hours = hours_of(partition(silent, setting(10, output=output)))
    assert (hours.forced, hours.unknown) == (pytest.approx(0.75), 0)
    assert hours_of(partition(silent, setting(10))).unknown == pytest.approx(0.75)


def test_a_counter_that_never_moves_accuses_nobody():
    times = DAY + QUARTER * np.arange(40)
    keep = _without((10, 20))
    dead = runs(times[keep], codes(FULL)[keep], np.full(30, 7.0), (DAY, DAY + 36_000))
    hours = hours_of(partition(dead, setting(10, finest_wh=np.inf)))
    assert (hours.forced, hours.unknown) == (0, pytest.approx(2.5))


def test_a_gap_with_half_of_the_production_stays_open():
    power = FULL.copy()
    power[10:20] = 0
    hours = hours_of(partition(record(power, keep=_without((5, 20))), setting(10)))
    assert (hours.forced, hours.unknown) == (0, pytest.approx(3.75))


def test_a_coarse_counter_does_not_make_a_stop_of_a_short_gap():
    power = np.full(40, 300.0)
    coarse = Setting(DAY, DAY + 36_000, RATED, setting(10).light, setting(10, expected=0.006).expected,
                     finest_wh=1000.0)  # fmt: skip
    times = DAY + QUARTER * np.arange(40)
    flat = runs(times[_without((10, 13))], codes(power)[:37], np.zeros(37), (DAY, DAY + 36_000))
    assert hours_of(partition(flat, coarse)).forced == 0


def test_a_link_that_is_still_down_is_decided_by_the_first_reading_after():
    keep = _without((30, 40))
    open_ended = hours_of(partition(record(FULL, keep=keep), setting(10)))
    assert open_ended.unknown == pytest.approx(2.5)
    later = Reading(DAY + 36_000, 40 * 25_000 / 4)
    assert hours_of(partition(record(FULL, keep=keep, after=later), setting(10))).resolved == pytest.approx(
        2.5
    )


def test_a_gap_that_nothing_explains_only_widens_the_bounds():
    result = availability(hours_of(partition(record(FULL, keep=_without((30, 40))), setting(10))))
    assert result.equipment.value == result.equipment.high == 1.0
    assert result.equipment.low < 0.8


def test_lost_polls_within_a_state_are_not_data_but_no_interruption():
    keep = np.ones(120, bool)
    keep[[20, 50, 51, 90]] = False
    segments = partition(record(np.full(120, 25_000.0), step=60.0, keep=keep), setting(2))
    (interval,) = state_intervals("d", segments)
    assert interval.state is StationState.NORMAL
    assert availability(hours_of(segments)).data == pytest.approx(116 / 120)


def test_announced_work_and_the_grid_are_not_the_equipment():
    power = FULL.copy()
    power[10:20] = 0
    planned = (Span(DAY + 10 * QUARTER, DAY + 20 * QUARTER, "换风扇"),)
    segments = partition(record(power), setting(10, planned=planned))
    hours = hours_of(segments)
    assert (hours.planned, hours.forced) == (pytest.approx(2.5), 0)
    assert "计划检修：换风扇" in [one.reason for one in state_intervals("d", segments)]
    assert hours_of(partition(record(FULL), setting(10, planned=planned))).planned == 0


def test_an_order_excuses_a_stop_but_not_a_fault_that_the_device_reports():
    power = FULL.copy()
    power[10:20] = 0
    ordered = (Span(DAY + 10 * QUARTER, DAY + 24 * QUARTER, "停机令 调〔2026〕7号"),)
    segments = partition(record(power), setting(10, ordered=ordered))
    assert hours_of(segments).ordered == pytest.approx(2.5)
    states = {one.state for one in state_intervals("d", segments)}
    assert states == {StationState.NORMAL, StationState.CURTAILED}
    said = codes(power)
    said[10:20] = Told.FAULT
    assert hours_of(partition(record(power, said=said), setting(10, ordered=ordered))).forced == 2.5


def test_a_stop_by_hand_without_a_record_is_the_equipments():
    power = np.zeros(40)
    said = np.full(40, Told.STOPPED, np.int8)
    assert hours_of(partition(record(power, said=said), setting(10))).forced == 10


def test_an_outage_goes_on_through_the_night():
    light = Track(DAY + 3600 * np.array([0.0, 10.0, 20.0]), np.array([1.0, 0.0, 1.0]))
    power = np.full(120, 25_000.0)
    power[32:100] = 0
    segments = partition(record(power), Setting(DAY, DAY + 30 * 3600, RATED, light, NOTHING))
    (stop,) = stops(segments)
    assert (stop.cause, stop.start, stop.end) == (Cause.FORCED, DAY + 8 * 3600, DAY + 25 * 3600)
    assert stop.light_h == pytest.approx(7)
    states = [one.state for one in state_intervals("d", segments)]
    assert states == [StationState.NORMAL, StationState.FAULT, StationState.NIGHT, StationState.FAULT,
                      StationState.NORMAL]  # fmt: skip


def test_a_lost_link_stays_lost_in_the_night_and_a_sleeping_device_sleeps():
    light = Track(DAY + 3600 * np.array([0.0, 10.0, 20.0]), np.array([1.0, 0.0, 1.0]))
    power = np.full(120, 25_000.0)
    power[40:80] = 0
    whole = Setting(DAY, DAY + 30 * 3600, RATED, light, NOTHING)
    lost = state_intervals("d", partition(record(power, keep=_without((36, 80), count=120)), whole))
    assert StationState.NIGHT not in {one.state for one in lost}
    asleep = state_intervals("d", partition(record(power, keep=_without((40, 80), count=120)), whole))
    assert [one.state for one in asleep] == [StationState.NORMAL, StationState.NIGHT, StationState.NORMAL]


def test_a_stop_shorter_than_the_limit_is_no_outage():
    power = FULL.copy()
    power[10] = 0
    segments = partition(record(power), setting(10))
    assert stops(segments) == []
    assert len(stops(segments, at_least_h=0.25)) == 1


def test_what_a_stop_cost_is_what_was_expected():
    power = FULL.copy()
    power[10:20] = 0
    (stop,) = stops(partition(record(power), setting(10)))
    assert stop.lost_wh == pytest.approx(2.5 * 25_000)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words_and_a_state(reason):
    assert reason_words(reason, "注")
    assert state_of(reason) in StationState
