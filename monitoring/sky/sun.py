"""Where the sun stands.

Owns the sun's elevation over a station, which decides between night and fault. It knows no weather.

Source: pvlib's analytical solar position (Spencer 1971 for declination and equation of time), good to a
few tenths of a degree, which is far below what the light rules need.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from pvlib import solarposition

Floats = NDArray[np.float64]


def elevations(latitudes: Sequence[float], longitudes: Sequence[float], at: datetime) -> list[float]:
    """Return the sun's elevation [degrees] over several places [degrees] at one aware instant."""
    moments = np.array([at.astimezone(UTC).timestamp()])
    grid = _elevation(np.array(latitudes)[:, None], np.array(longitudes)[:, None], moments[None, :])
    return [float(value) for value in grid[:, 0]]


def elevation_series(latitude: float, longitude: float, times: Sequence[datetime]) -> list[float]:
    """Return the sun's elevation [degrees] over one place at several aware instants."""
    moments = np.array([time.timestamp() for time in times])
    return [float(value) for value in _elevation(np.array(latitude), np.array(longitude), moments)]


def elevation_pairs(
    latitudes: Sequence[float], longitudes: Sequence[float], times: Sequence[datetime]
) -> list[float]:
    """Return the sun's elevation [degrees] over several places, each at its own aware instant."""
    moments = np.array([time.timestamp() for time in times])
    return [float(value) for value in _elevation(np.array(latitudes), np.array(longitudes), moments)]


def elevation_of_epochs(latitude: float, longitude: float, epochs_s: Floats) -> Floats:
    """Return the sun's elevation [degrees] over one place at instants in seconds since 1970."""
    return _elevation(np.array(latitude), np.array(longitude), epochs_s)


def _elevation(latitude: Floats, longitude: Floats, epochs_s: Floats) -> Floats:
    days = np.floor(epochs_s / 86_400)
    years = (days.astype("datetime64[D]").astype("datetime64[Y]")).astype("datetime64[D]").astype(np.int64)
    day_of_year = days - years + 1
    hours = (epochs_s - days * 86_400) / 3600
    # The formulas take a day's number; with the hour in it the declination does not jump at midnight.
    moment = day_of_year + hours / 24 - 0.5
    declination = solarposition.declination_spencer71(moment)
    equation_minutes = solarposition.equation_of_time_spencer71(moment)
    hour_angle = np.radians(15 * (hours - 12) + longitude + equation_minutes / 4)
    zenith = solarposition.solar_zenith_analytical(np.radians(latitude), hour_angle, declination)
    return np.asarray(90 - np.degrees(zenith), dtype=np.float64)
