"""How much light there was: the rule by which time counts as usable.

Pure. Owns the three rules and their order: measured irradiance where it can be trusted, else the output of
independent neighbours, else the sun's elevation. A sensor that shows darkness under a high sun is not
trusted, so that a stop of the whole plant that also kills the sensor does not vanish.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from monitoring.uptime.judging import HOLD_AT_LEAST_S, HOLD_STEPS, Floats, Track
from monitoring.uptime.sun import elevation_of_epochs

IRRADIANCE_W_M2 = 50.0
ELEVATION_DEG = 5.0
NEIGHBOURS_FRACTION = 0.05
TRUST_ELEVATION_DEG = 10.0
TRUST_FRACTION = 0.02
STEP_S = 300.0
SOLAR_CONSTANT_W_M2 = 1361.0
REFERENCE_W_M2 = 1000.0
NOTHING = Track(np.empty(0), np.empty(0))


class LightRule(StrEnum):
    """Which evidence decides whether there was enough light; AUTO takes the best that can be trusted."""

    AUTO = "auto"
    IRRADIANCE = "irradiance"
    NEIGHBOURS = "neighbours"
    ELEVATION = "elevation"


RULE_LABELS = {
    LightRule.IRRADIANCE: "实测辐照度不低于 50 W/m²",
    LightRule.NEIGHBOURS: "其他电站同时出力的中位数不低于额定的 5 %，且太阳高度角不低于 5°",
    LightRule.ELEVATION: "太阳高度角不低于 5°",
    LightRule.AUTO: "依次采用：可信的实测辐照度、其他电站出力、太阳高度角",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Latitude and longitude [degrees]."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the light: the place (None when unknown), irradiance [W/m²], neighbours' output.

    `neighbours` is the median output of other stations as a fraction of rated power, NaN where too few
    reported.
    """

    place: Place | None
    irradiance: Track = NOTHING
    neighbours: Track = NOTHING


def with_gaps(track: Track) -> Track:
    """Return the track with NaN where its source was silent.

    A value speaks until the next one, but over a pause longer than a step and a half (and a quarter of an
    hour) only for its own usual step.
    """
    if len(track.times) < 2:  # noqa: PLR2004, a step needs two samples
        return track
    steps = np.diff(track.times)
    usual = float(np.median(steps))
    silent = np.flatnonzero(steps > max(HOLD_AT_LEAST_S, HOLD_STEPS * usual))
    ends = np.append(track.times[silent], track.times[-1]) + usual
    times = np.concatenate([track.times, ends])
    values = np.concatenate([track.values, np.full(len(ends), np.nan)])
    order = np.argsort(times, kind="stable")
    return Track(times[order], values[order])


def _untrusted(irradiance: Floats, elevation: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell where a sensor shows less than the darkest cloud lets through under a high sun."""
    clear = SOLAR_CONSTANT_W_M2 * np.sin(np.radians(np.clip(elevation, 0, None)))
    doubtful: np.ndarray[tuple[int], np.dtype[np.bool_]] = (elevation > TRUST_ELEVATION_DEG) & (
        irradiance < TRUST_FRACTION * clear
    )
    return doubtful


def _by_irradiance(evidence: Evidence, times: Floats, elevation: Floats | None) -> Floats:
    """Return 1, 0 or NaN (not known, or not trusted) at times."""
    values = evidence.irradiance.at(times)
    lit = np.where(np.isnan(values), np.nan, (values >= IRRADIANCE_W_M2).astype(np.float64))
    if elevation is not None:
        lit = np.where(_untrusted(values, elevation), np.nan, lit)
    return lit


def _by_neighbours(evidence: Evidence, times: Floats) -> Floats:
    values = evidence.neighbours.at(times)
    return np.where(np.isnan(values), np.nan, (values >= NEIGHBOURS_FRACTION).astype(np.float64))


def _grid(evidence: Evidence, start: float, end: float) -> Floats:
    times = [np.arange(start, end, STEP_S), evidence.irradiance.times, evidence.neighbours.times]
    edges = np.unique(np.concatenate(times))
    kept: Floats = edges[(edges >= start) & (edges < end)]
    return kept


def light_track(evidence: Evidence, start: float, end: float, rule: LightRule = LightRule.AUTO) -> Track:
    """Return where [start, end) [s since 1970] had enough light: 1, 0, or NaN where nothing can tell.

    IRRADIANCE is the sensor's word alone. Under AUTO a sensor that cannot be trusted is left out, and the
    sun's elevation decides where neither sensor nor neighbours can, as it does under the other rules.
    """
    known = Evidence(evidence.place, with_gaps(evidence.irradiance), with_gaps(evidence.neighbours))
    times = _grid(known, start, end)
    if rule is LightRule.IRRADIANCE:
        return Track(times, _by_irradiance(known, times, None))
    elevation = None
    if known.place is not None:
        elevation = elevation_of_epochs(known.place.latitude, known.place.longitude, times + STEP_S / 2)
    lit = np.full(len(times), np.nan)
    if rule is LightRule.AUTO:
        lit = _by_irradiance(known, times, elevation)
    high = None if elevation is None else (elevation >= ELEVATION_DEG).astype(np.float64)
    if rule in {LightRule.AUTO, LightRule.NEIGHBOURS}:
        near = _by_neighbours(known, times)
        # A low sun reaches one valley and not the next: neighbours count only under a sun that is up.
        lit = np.where(np.isnan(lit), near if high is None else np.where(high == 1, near, 0.0), lit)
    if high is not None:
        lit = np.where(np.isnan(lit), high, lit)
    return Track(times, lit)


def rule_used(evidence: Evidence, rule: LightRule) -> LightRule:
    """Return which rule mainly decides: the asked one, or under AUTO the best that has evidence."""
    if rule is not LightRule.AUTO:
        return rule
    if len(evidence.irradiance.times):
        return LightRule.IRRADIANCE
    return LightRule.NEIGHBOURS if len(evidence.neighbours.times) else LightRule.ELEVATION


def expected_from_irradiance(irradiance: Track, performance: float = 0.75) -> Track:
    """Return the expected output as a fraction of rated power from measured irradiance [W/m²]."""
    return Track(irradiance.times, np.clip(irradiance.values / REFERENCE_W_M2 * performance, 0, 1))
