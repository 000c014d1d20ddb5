"""The sun's elevation against pvlib's full algorithm."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from pvlib import solarposition

from monitoring.sky.sun import elevation_series, elevations


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(27.0, 106.0), (41.8, 123.4), (18.3, 109.5), (47.3, 88.1)]
)
def test_elevation_agrees_with_the_full_algorithm_within_half_a_degree(latitude, longitude):
    times = [datetime(2026, 1, 3, tzinfo=UTC) + timedelta(hours=11 * n) for n in range(800)]
    full = solarposition.get_solarposition(pd.DatetimeIndex(times), latitude, longitude)["elevation"]
    ours = elevation_series(latitude, longitude, times)
    assert max(abs(a - b) for a, b in zip(ours, full, strict=True)) < 0.5


def test_many_places_at_once_are_the_places_one_by_one():
    moment = datetime(2026, 6, 10, 4, tzinfo=UTC)
    together = elevations([27.0, 41.8], [106.0, 123.4], moment)
    assert together == pytest.approx(
        [elevation_series(27.0, 106.0, [moment])[0], elevation_series(41.8, 123.4, [moment])[0]]
    )
    assert together[0] > 60
