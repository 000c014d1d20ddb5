"""A made-up plant with stops that are known, written apart from the code that must find them.

It uses plain numpy and its own coarse sun, and imports nothing of the product.
"""

from dataclasses import dataclass, field

import numpy as np

STEP = 300
DAY = 86_400
DAYTIME_FROM, DAYTIME_TO = 8, 16


@dataclass(frozen=True)
class Stop:
    """A stop of one machine: cause (`forced`, `grid`), first and end [s since 1970]."""

    machine: int
    cause: str
    start: float
    end: float


@dataclass
class Truth:
    times: np.ndarray
    power: np.ndarray
    counter: np.ndarray
    grid_dead: np.ndarray
    heard: np.ndarray
    neighbours: np.ndarray
    stops: list[Stop] = field(default_factory=list)


def sun(times, longitude):
    """A coarse clear-sky output of a midsummer day, 0..1: a half sine of 13 hours about solar noon."""
    hour = (times % DAY) / 3600 + longitude / 15
    distance = np.abs((hour % 24) - 12)
    return np.where(distance < 6.5, np.cos(np.pi * distance / 13), 0.0)


def sky(rng, count):
    """A slow random cloud factor 0.15..1 for every step."""
    walk = np.empty(count)
    level = rng.uniform(0.3, 1.0)
    for index in range(count):
        level = np.clip(level + rng.normal(0, 0.03), 0.15, 1.0)
        walk[index] = level
    return walk


def _inject(rng, truth, machine, midnight, cause):
    hours = rng.uniform(0.75, 4.0)
    first = rng.uniform(DAYTIME_FROM, DAYTIME_TO - hours)
    start = midnight + STEP * round(first * 3600 / STEP)
    end = start + STEP * max(8, round(hours * 3600 / STEP))
    chosen = (truth.times >= start) & (truth.times < end)
    if cause == "gap":
        truth.heard[machine, chosen] = False
        return
    machines = range(len(truth.power)) if cause == "grid" else (machine,)
    for one in machines:
        truth.power[one, chosen] = 0
        if cause == "grid":
            truth.grid_dead[one, chosen] = True
        truth.stops.append(Stop(one, cause, float(start), float(end)))


LONGITUDE = 106.0


def make(seed, *, start, days, machines=3, rated=50_000.0):
    """Return a plant of `machines` over `days` with at most one mishap a day."""
    rng = np.random.default_rng(seed)
    times = start + STEP * np.arange(days * DAY // STEP, dtype=float)
    clear, clouds = sun(times, LONGITUDE), sky(rng, days * DAY // STEP)
    base = clear * clouds
    spread = rng.uniform(0.9, 1.05, machines)[:, None]
    power = rated * np.clip(base * spread * rng.normal(1, 0.02, (machines, len(times))), 0, 1)
    power[power < 0.006 * rated] = 0
    elsewhere = clear * np.clip(clouds + rng.normal(0, 0.03, len(times)), 0.1, 1)
    truth = Truth(
        times, power, np.zeros_like(power), np.zeros(power.shape, bool), np.ones(power.shape, bool), elsewhere
    )
    for day in range(days):
        cause = rng.choice(["none", "forced", "grid", "gap"], p=[0.55, 0.25, 0.1, 0.1])
        if cause != "none":
            local_midnight = start + day * DAY
            _inject(rng, truth, int(rng.integers(machines)), local_midnight, cause)
    steps = truth.power[:, :-1] * STEP / 3600
    truth.counter[:, 1:] = np.cumsum(steps, axis=1)
    return truth
