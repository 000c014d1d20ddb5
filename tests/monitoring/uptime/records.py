"""Records of one device for tests: samples pressed into runs as the reader does it."""

import numpy as np

from monitoring.sky.tracks import NOTHING, Track
from monitoring.uptime.judging.setting import Setting
from monitoring.uptime.runs import Batch, joined, pressed, runs_of
from monitoring.uptime.told import Told

DAY = 1_781_049_600.0  # 2026-06-10 00:00 UTC
RATED = 50_000.0
QUARTER = 900.0


def codes(power):
    """What a device without state words says: it feeds in, or not."""
    return np.where(np.asarray(power, float) > 250.0, Told.PRODUCING, Told.IDLE).astype(np.int8)


def runs(times, said, counter, interval, **more):
    """The runs of one device from its samples."""
    count = len(times)
    batch = Batch(
        np.array([0, count]), np.array([0]), np.array([more.get("cycle_s", 0.0)]), np.asarray(times, float),
        np.asarray(said, np.int8), np.asarray(counter, float),
    )  # fmt: skip
    return runs_of(joined([pressed(batch)]), interval, **more)


def record(power, *, step=QUARTER, keep=None, said=None, **more):
    """The runs of a device whose counter follows its power, every step from DAY; `keep` leaves some out."""
    power = np.asarray(power, float)
    times = DAY + step * np.arange(len(power))
    counter = np.concatenate([[0], np.cumsum(power[:-1]) * step / 3600])
    said = codes(power) if said is None else said
    chosen = np.ones(len(power), bool) if keep is None else np.asarray(keep, bool)
    interval = (DAY, DAY + step * len(power))
    return runs(times[chosen], said[chosen], counter[chosen], interval, **more)


def setting(hours, *, expected=0.5, light=None, **more):
    """A setting in full light in which comparable devices give `expected` of rated power."""
    lit = Track(np.array([DAY]), np.array([1.0])) if light is None else light
    guess = NOTHING if expected is None else Track(np.array([DAY]), np.array([expected]))
    return Setting(DAY, DAY + hours * 3600, RATED, lit, guess, **more)
