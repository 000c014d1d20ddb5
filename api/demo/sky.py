"""Light and heat on the modules of each station.

Owns the way from the sun to the module: solar position and clear sky by pvlib for each station's own
coordinates, horizon, clouds, snow and dust, transposition to the tilted plane, module temperature.
"""

import warnings
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from api.demo.weather import (
    HOURS,
    NODES,
    Floats,
    air_temperature,
    cloud_transmission,
    dust_loss,
    snow_cover,
)

_COARSE = 3
"""Sun and clear sky are computed at every third node and interpolated: they are smooth."""
_SHANGHAI_MERIDIAN_DEG = 120.0
_ZENITH_LIMIT_DEG = 89.5


@dataclass(frozen=True, slots=True)
class Site:
    """Where a station stands and how its modules look at the sky.

    Angles in degrees (azimuth clockwise from north), altitude in m. `township` numbers the townships,
    `wind_delay_min` is when a cloud arrives after the county's reference point, `cleaning_day` the day of
    the month on which the keeper washes the modules.
    """

    station_id: str
    latitude: float
    longitude: float
    altitude_m: float
    township: int
    wind_delay_min: float
    tilt_deg: float
    azimuth_deg: float
    horizon_deg: tuple[float, float]
    cleaning_day: int


@dataclass(frozen=True, slots=True)
class _Places:
    """The sites' figures as arrays of shape (1, sites)."""

    latitude: Floats
    longitude: Floats
    altitude: Floats
    tilt: Floats
    azimuth: Floats
    horizon: tuple[Floats, Floats]
    delay: Floats
    township: NDArray[np.int64]


@lru_cache(maxsize=8)
def _places(sites: tuple[Site, ...]) -> _Places:
    def row(values: list[float]) -> Floats:
        return np.array([values], dtype=np.float64)

    return _Places(
        latitude=row([site.latitude for site in sites]),
        longitude=row([site.longitude for site in sites]),
        altitude=row([site.altitude_m for site in sites]),
        tilt=row([site.tilt_deg for site in sites]),
        azimuth=row([site.azimuth_deg for site in sites]),
        horizon=(row([site.horizon_deg[0] for site in sites]), row([site.horizon_deg[1] for site in sites])),
        delay=np.array([site.wind_delay_min for site in sites]),
        township=np.array([site.township for site in sites], dtype=np.int64),
    )


def _clear_plane(day: date, places: _Places) -> tuple[Floats, Floats]:
    """Return clear-sky light in the module plane and on the level [W/m²], shape (coarse nodes, sites)."""
    from pvlib import atmosphere, clearsky, irradiance, solarposition

    ordinal = day.timetuple().tm_yday
    hours = HOURS[::_COARSE, None]
    declination = solarposition.declination_spencer71(ordinal)
    equation = solarposition.equation_of_time_spencer71(ordinal)
    clock = 15.0 * (hours - 12.0) + (places.longitude - _SHANGHAI_MERIDIAN_DEG) + equation / 4.0
    hour_angle, latitude = np.radians(clock), np.radians(places.latitude)
    zenith = solarposition.solar_zenith_analytical(latitude, hour_angle, declination)
    azimuth = np.degrees(solarposition.solar_azimuth_analytical(latitude, hour_angle, declination, zenith))
    zenith = np.degrees(zenith)
    up = np.minimum(zenith, _ZENITH_LIMIT_DEG)
    turbidity = 3.6 + 0.9 * np.sin(2 * np.pi * (ordinal - 80) / 365.25)
    with warnings.catch_warnings():
        # The model divides by a term that vanishes for some low suns; its result there is finite.
        warnings.simplefilter("ignore", RuntimeWarning)
        clear = clearsky.ineichen(
            up, atmosphere.get_relative_airmass(up), turbidity, altitude=places.altitude
        )
    behind = np.where(azimuth < 180.0, places.horizon[0], places.horizon[1]) > 90.0 - zenith  # noqa: PLR2004
    below = zenith >= _ZENITH_LIMIT_DEG
    beam = np.where(behind | below, 0.0, clear["dni"])
    diffuse = np.where(below, 0.0, clear["dhi"])
    total = irradiance.get_total_irradiance(
        places.tilt, places.azimuth, zenith, azimuth, beam, np.where(below, 0.0, clear["ghi"]), diffuse
    )
    return np.nan_to_num(total["poa_global"]), np.nan_to_num(total["poa_sky_diffuse"])


def _fine(coarse: Floats) -> Floats:
    """Interpolate coarse nodes linearly to all nodes."""
    fine = np.repeat(coarse[:-1], _COARSE, axis=0)
    step = np.repeat(np.diff(coarse, axis=0), _COARSE, axis=0)
    part = np.tile(np.arange(_COARSE) / _COARSE, len(coarse) - 1)[:, None]
    return np.vstack([fine + step * part, coarse[-1:]])


def plane_irradiance(seed: int, day: date, sites: tuple[Site, ...]) -> Floats:
    """Return the light that reaches the cells [W/m²], shape (nodes, sites): after clouds, snow and dust."""
    places = _places(sites)
    clear = _fine(_clear_plane(day, places)[0])
    clouds = cloud_transmission(seed, day, places.delay, places.township)
    dust = np.array([dust_loss(seed, day, site.cleaning_day) for site in sites])
    light = clear * clouds * (1 - dust)[None, :] * snow_cover(seed, day)[:, None]
    if light.shape != (NODES, len(sites)):
        raise AssertionError("one value per node and site")
    return np.asarray(light, dtype=np.float64)


def module_temperature(seed: int, day: date, sites: tuple[Site, ...], plane: Floats) -> Floats:
    """Return the cell temperature [°C], shape (nodes, sites), in a light breeze."""
    from pvlib import temperature

    air = air_temperature(seed, day, np.array([site.altitude_m for site in sites]))
    return np.asarray(temperature.faiman(plane, air, 2.2), dtype=np.float64)
