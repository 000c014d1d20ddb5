"""What a sample speaks for: steps, gaps, seams between slices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.uptime.runs import Batch, Reading, finest_step_wh, joined, pressed, runs_of, steps_of
from monitoring.uptime.told import Told

from .records import DAY, codes


def _batch(times, power=None, counter=None, cycle=0.0):
    count = len(times)
    power = np.full(count, 20_000.0) if power is None else power
    counter = np.arange(count, dtype=float) if counter is None else np.asarray(counter, float)
    return Batch(
        np.array([0, count]),
        np.array([0]),
        np.array([cycle]),
        np.asarray(times, float),
        codes(power),
        counter,
    )


def _missing(times, hours, **more):
    found = runs_of(joined([pressed(_batch(times, **more))]), (DAY, DAY + hours * 3600))
    gaps = found.told == Told.MISSING
    return float(np.diff(found.edges)[gaps].sum())


@pytest.mark.parametrize("step", [60.0, 300.0, 900.0])
def test_an_even_step_is_found_and_lost_rows_are_gaps(step):
    times = DAY + step * np.arange(48)
    assert steps_of(_batch(times)) == ([step], [1.5 * step])
    assert _missing(times, 48 * step / 3600) == 0
    assert _missing(np.delete(times, [10, 20, 21]), 48 * step / 3600) == pytest.approx(3 * step)


def test_half_of_the_rows_lost_are_gaps_and_no_slower_step():
    rng = np.random.default_rng(1)
    times = DAY + 300.0 * np.flatnonzero(rng.random(400) < 0.6)
    (step,), _hold = steps_of(_batch(times))
    assert step == 300


def test_uneven_stamps_are_no_gaps():
    rng = np.random.default_rng(2)
    times = DAY + np.cumsum(rng.uniform(150, 700, 200))
    missing = _missing(times, (times[-1] - DAY) / 3600)
    assert missing < 0.03 * (times[-1] - DAY)


def test_a_cycle_counts_only_where_it_is_kept():
    (step,), _hold = steps_of(_batch(DAY + 900.0 * np.arange(40), cycle=60.0))
    assert step == 900
    lossy = DAY + 60.0 * np.array([0, 1, 4, 7, 9, 12, 15, 18, 22, 25, 27])
    (step,), _hold = steps_of(_batch(lossy, cycle=60.0))
    assert step == 60


def test_a_device_may_change_its_cycle():
    slow = DAY + 900.0 * np.arange(24)
    fast = DAY + 6 * 3600 + 60.0 * np.arange(360)
    stretches = joined([pressed(_batch(slow)), pressed(_batch(fast))])
    found = runs_of(stretches, (DAY, DAY + 12 * 3600))
    assert Told.MISSING not in found.told


@given(cut=st.integers(1, 99), lost=st.sets(st.integers(0, 99), max_size=30))
@settings(deadline=None)
def test_where_slices_are_cut_changes_nothing(cut, lost):
    kept = np.array([n not in lost for n in range(100)])
    kept[[0, 1, 2, 3, 4, 95, 96, 97, 98, 99]] = True
    times = (DAY + 900.0 * np.arange(100))[kept]
    power = np.where(np.arange(100) // 7 % 2 == 0, 20_000.0, 0.0)[kept]
    whole = runs_of(joined([pressed(_batch(times, power))]), (DAY, DAY + 25 * 3600), cycle_s=900.0)
    position = int(np.searchsorted(times, DAY + 900.0 * cut))
    parts = [
        pressed(_batch(times[:position], power[:position], cycle=900.0)),
        pressed(_batch(times[position:], power[position:], cycle=900.0)),
    ]
    sliced = runs_of(joined(parts), (DAY, DAY + 25 * 3600), cycle_s=900.0)
    moments = DAY + 60.0 + 450.0 * np.arange(199)
    said = [run.told[np.searchsorted(run.edges, moments, side="right") - 1] for run in (whole, sliced)]
    assert said[0].tolist() == said[1].tolist()


def test_a_gap_knows_the_counter_on_both_sides():
    times = DAY + 900.0 * np.array([0, 1, 2, 3, 4, 5, 20, 21, 22, 23])
    counter = [100, 110, 120, 130, 140, np.nan, np.nan, 900, 910, 920]
    found = runs_of(joined([pressed(_batch(times, counter=counter))]), (DAY, DAY + 6 * 3600))
    gap = int(np.flatnonzero(found.told == Told.MISSING)[0])
    assert (found.first_wh[gap], found.last_wh[gap]) == (140, 140)
    before, after = Reading(DAY - 900, 90.0), Reading(DAY + 9 * 3600, 2_000.0)
    open_ended = runs_of(
        joined([pressed(_batch(times[2:], counter=counter[2:]))]), (DAY, DAY + 8 * 3600),
        before=before, after=after,
    )  # fmt: skip
    assert (open_ended.told[0], open_ended.first_wh[0], open_ended.last_wh[0]) == (Told.MISSING, 90, 120)
    assert (open_ended.told[-1], open_ended.last_wh[-1]) == (Told.MISSING, 2_000)


def test_the_finest_step_of_a_counter():
    times = DAY + 900.0 * np.arange(6)
    assert finest_step_wh(_batch(times, counter=[0, 0, 100, 300, 300, 400])) == [100]
    assert np.isinf(finest_step_wh(_batch(times, counter=[7] * 6)))[0]


def test_no_samples_are_one_gap():
    found = runs_of(joined([]), (DAY, DAY + 3600))
    assert found.told.tolist() == [Told.MISSING]
    assert found.edges.tolist() == [DAY, DAY + 3600]


def test_history_of_a_slower_rhythm_is_no_lossy_record_of_a_faster_one():
    """Days that were taken over at a quarter of an hour, then days of five minutes, in one slice."""
    midnight = DAY - DAY % 86_400 + 16 * 3600
    slow = midnight + 900.0 * np.arange(3 * 96)
    whole = np.concatenate([slow, slow[-1] + 900 + 300.0 * np.arange(3 * 288)])

    def missing(times):
        found = runs_of(joined([pressed(_batch(times, cycle=300.0))]), (midnight, times[-1]))
        return float(np.diff(found.edges)[found.told == Told.MISSING].sum())

    assert missing(whole) == 0
    assert missing(whole[:-250]) == 0
    lost = np.delete(whole, [*range(30, 40), *range(500, 512)])
    assert missing(lost) == pytest.approx(10 * 900 + 12 * 300)


def test_a_day_with_few_rows_says_nothing_of_its_own():
    times = DAY + 900.0 * np.arange(4 * 96)
    lost = np.delete(times, range(100, 180))
    assert _missing(lost, 96, cycle=900.0) == pytest.approx(80 * 900)
