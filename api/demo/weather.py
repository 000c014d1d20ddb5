"""The demo county's weather: one seeded sky that neighbours share.

Owns cloud transmission, air temperature, rain, snow and the dust that rain washes off, as pure functions of
(seed, day, place): any day can be computed by itself, in any order, on any machine, with the same result.
It knows no inverter and no clock.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import cos, pi

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import expit, ndtr, ndtri

Floats = NDArray[np.float64]

STEP_MINUTES = 5
NODES = 24 * 60 // STEP_MINUTES + 1
"""Nodes of a day: every five minutes from local midnight to the next, both included."""
HOURS: Floats = np.arange(NODES, dtype=np.float64) * STEP_MINUTES / 60.0
"""Local clock time of each node [h]."""

_PAD = 24
_MEMORY_DAYS = 6
_WET_BELOW = 0.25
_UNDER_CLOUD = 0.5
_SNOW_DAY = (1, 18)
_DUST_PER_DAY = 0.0017
_DUST_MAX_DAYS = 30


@dataclass(frozen=True, slots=True)
class Day:
    """The sky of one day over the whole county.

    `cover` is the share of time under cloud, `depth` what a cloud takes away (both 0..1), `haze` the
    transmission of the cloudless air, `mean_c` the day's mean temperature [°C], `swing_c` half the daily
    range [°C]; `wet` and `snow` say what fell.
    """

    cover: float
    depth: float
    haze: float
    mean_c: float
    swing_c: float
    wet: bool
    snow: bool


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the random generator that belongs to a key; the same key always gives the same numbers."""
    return np.random.default_rng([seed, *key])


@lru_cache(maxsize=4096)
def _draw(seed: int, stream: int, ordinal: int) -> float:
    return float(generator(seed, stream, ordinal).standard_normal())


def _latent(seed: int, stream: int, day: date) -> float:
    """Return a standard normal that changes slowly from day to day, without any state."""
    weights = [0.62**lag for lag in range(_MEMORY_DAYS)]
    scale = sum(weight * weight for weight in weights) ** 0.5
    ordinal = day.toordinal()
    return float(sum(w * _draw(seed, stream, ordinal - lag) for lag, w in enumerate(weights)) / scale)


def _season(day: date, peak_day: int) -> float:
    """Return 1 on the peak day of the year and -1 half a year away."""
    return cos(2 * pi * (day.timetuple().tm_yday - peak_day) / 365.25)


@lru_cache(maxsize=4096)
def day_weather(seed: int, day: date) -> Day:
    """Return the weather of one day: plum rain in June, clear autumns, haze and some snow in winter."""
    front = _latent(seed, 1, day)
    plum_rain = max(0.0, _season(day, 172)) ** 6
    u = float(ndtr(front - 0.12 - 0.55 * plum_rain + 0.22 * _season(day, 288)))
    planted_snow = (day.month, day.day) == _SNOW_DAY
    if planted_snow:
        u = 0.05
    mean = 15.8 + 11.8 * _season(day, 205) + 2.4 * _latent(seed, 2, day) + 2.0 * (u - 0.5)
    if planted_snow:
        mean = min(mean, -1.5)
    wet = u < _WET_BELOW
    haze = 0.97 - 0.06 * max(0.0, _season(day, 15)) * float(expit(_latent(seed, 3, day)))
    return Day(
        cover=float(np.interp(u, [0.0, 0.15, 0.35, 0.62, 0.75, 1.0], [1.0, 0.97, 0.85, 0.35, 0.08, 0.0])),
        depth=float(np.interp(u, [0.0, 0.15, 0.4, 1.0], [0.92, 0.8, 0.66, 0.55])),
        haze=haze,
        mean_c=mean,
        swing_c=2.2 + 4.2 * u,
        wet=wet,
        snow=wet and mean < 0.0,
    )


def dust_loss(seed: int, day: date, cleaned: int) -> float:
    """Return the share of light lost to dust on a morning: it grows on dry days, rain or a cleaning ends it.

    `cleaned` is the day of the month on which the keeper washes the modules.
    """
    for dry_days in range(_DUST_MAX_DAYS):
        earlier = day - timedelta(days=dry_days)
        if earlier.day == cleaned or day_weather(seed, earlier - timedelta(days=1)).wet:
            return _DUST_PER_DAY * dry_days
    return _DUST_PER_DAY * _DUST_MAX_DAYS


def snow_cover(seed: int, day: date) -> Floats:
    """Return the share of light that snow on the modules lets through at each node (1 = bare)."""
    open_share = np.ones(NODES)
    for age in range(4):
        fallen = day_weather(seed, day - timedelta(days=age))
        if not fallen.snow:
            continue
        warm = max(-2.0, day_weather(seed, day).mean_c)
        # Modules clear themselves in the sun: later the colder it is and the younger the snow.
        slides_at = 15.0 - 2.5 * age - 0.5 * warm if age else 30.0
        open_share = np.minimum(open_share, 0.04 + 0.96 * expit((HOURS - slides_at) / 0.35))
    return open_share


def air_temperature(seed: int, day: date, altitude_m: Floats) -> Floats:
    """Return the air temperature [°C] at each node and place, shape (nodes, places)."""
    today = day_weather(seed, day)
    tomorrow = day_weather(seed, day + timedelta(days=1))
    yesterday = day_weather(seed, day - timedelta(days=1))
    mean = np.interp(HOURS, [0, 12, 24], [
        (yesterday.mean_c + today.mean_c) / 2, today.mean_c, (today.mean_c + tomorrow.mean_c) / 2,
    ])  # fmt: skip
    # Half ranges meet at midnight too, so that a day's curve continues in the next one.
    swing = np.interp(HOURS, [0, 12, 24], [
        (yesterday.swing_c + today.swing_c) / 2, today.swing_c, (today.swing_c + tomorrow.swing_c) / 2,
    ])  # fmt: skip
    curve = mean + swing * np.cos(2 * pi * (HOURS - 14.6) / 24)
    return np.asarray(curve[:, None] - 0.0065 * (altitude_m[None, :] - 150.0), dtype=np.float64)


def _noise(rng: np.random.Generator, columns: int, minutes: float) -> Floats:
    """Return standard normal noise with a memory of `minutes`, shape (nodes + 2 pads, columns)."""
    memory = float(np.exp(-STEP_MINUTES / minutes))
    white = rng.standard_normal((NODES + 2 * _PAD, columns)) * (1 - memory**2) ** 0.5
    white[0] /= (1 - memory**2) ** 0.5
    return np.asarray(lfilter([1.0], [1.0, -memory], white, axis=0), dtype=np.float64)


def cloud_transmission(seed: int, day: date, wind_delay_min: Floats, township: NDArray[np.int64]) -> Floats:
    """Return the share of clear-sky light that reaches each place, shape (nodes, places).

    `wind_delay_min` is how long after the county's reference point a cloud reaches the place [min];
    `township` numbers the townships, which have some clouds of their own.
    """
    today = day_weather(seed, day)
    rng = generator(seed, 10, day.toordinal())
    common = 0.8 * _noise(rng, 1, 45.0)[:, 0] + 0.6 * _noise(rng, 1, 9.0)[:, 0]
    local = _noise(rng, int(township.max()) + 1, 25.0)[:, township]
    own = _noise(rng, len(township), 8.0)
    steps = np.arange(NODES)[:, None] + _PAD - np.clip(wind_delay_min / STEP_MINUTES, -_PAD, _PAD)[None, :]
    left = np.clip(np.floor(steps).astype(np.int64), 0, len(common) - 2)
    part = steps - left
    shared = common[left] * (1 - part) + common[left + 1] * part
    field = 0.86 * shared + 0.41 * local[_PAD : _PAD + NODES] + 0.3 * own[_PAD : _PAD + NODES]
    drift = float(rng.normal(0.0, 0.5)) * np.sin(pi * (HOURS - 9.0) / 12.0)[:, None]
    edge = float(ndtri(min(max(1.0 - today.cover, 0.004), 0.996)))
    covered = expit((field + drift - edge) / 0.28)
    thick = today.depth + 0.07 * field * (covered > _UNDER_CLOUD)
    # The bright rim of a nearby cloud lifts light above the clear sky for minutes.
    rim = 6.0 * today.cover * (1 - today.cover) * covered * (1 - covered) ** 3
    return np.asarray(today.haze * (1 - np.clip(thick, 0, 0.95) * covered) + rim, dtype=np.float64)
