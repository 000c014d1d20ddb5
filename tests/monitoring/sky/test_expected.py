"""What comparable devices gave: no row is its own witness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.sky.expected import grouped_means, median_of, medians_of_others, usual_ratio

cells = st.one_of(st.just(np.nan), st.floats(0, 1))


@given(
    st.integers(1, 9).flatmap(
        lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=4, max_size=4)
    )
)
def test_the_median_of_the_others_is_that_of_each_column_without_the_row(columns):
    outputs = np.array(columns).T
    found = medians_of_others(outputs)
    for row in range(len(outputs)):
        others = np.delete(outputs, row, axis=0)
        for slot in range(outputs.shape[1]):
            known = others[:, slot][~np.isnan(others[:, slot])]
            expected = np.median(known) if len(known) >= 3 else np.nan
            assert found[row, slot] == pytest.approx(expected, nan_ok=True)


def test_the_median_leaves_out_who_is_silent():
    outputs = np.array([[0.1, np.nan, np.nan], [0.3, 0.5, np.nan]])
    assert median_of(outputs) == pytest.approx([0.2, 0.5, np.nan], nan_ok=True)


def test_a_station_is_the_mean_of_what_reports_of_it_weighted_by_rated_power():
    outputs = np.array([[0.2, 0.2], [0.8, np.nan], [0.5, 0.5]])
    means = grouped_means(outputs, [[0, 1], [2]], np.array([10.0, 30.0, 5.0]))
    assert means == pytest.approx(np.array([[0.65, 0.2], [0.5, 0.5]]))


def test_the_usual_ratio_leaves_stops_out():
    expected = np.full(100, 0.5)
    output = np.full(100, 0.45)
    output[:30] = 0
    assert usual_ratio(output, expected) == pytest.approx(0.9)
    assert usual_ratio(np.full(100, np.nan), expected) == 1.0
