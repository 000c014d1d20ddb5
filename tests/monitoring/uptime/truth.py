"""A made-up station whose every stop is known, written apart from the code that must find them.

It uses plain numpy and its own coarse sun, and imports nothing of the product. A month holds outages,
losses of the grid, curtailment, lost links, a clock that runs wrong, snow and cloud.
"""

from dataclasses import dataclass, field

import numpy as np

STEP = 300
DAY = 86_400
LONGITUDE, LATITUDE = 106.0, 27.0
RATED_W = 50_000.0
STANDBY, RUNNING, DERATED, FAULT, GRID_FAULT = 1, 3, 4, 6, 7
IDLE_SHARE = 0.006
BRIGHT_SHARE = 0.09


@dataclass(frozen=True)
class Stop:
    """A stop of one machine: cause (`forced`, `grid`, `ordered`), first and end [s since 1970]."""

    machine: int
    cause: str
    start: float
    end: float


@dataclass
class Truth:
    """A station month, step by step: what each machine did, and what was heard of it.

    `power` [W], `counter` [Wh], `state` and `heard` have the shape (machines, steps); `clock_s` is what is
    added to the time that a machine writes on its samples; `irradiance` [W/m²] is (steps,), `neighbours` is
    the output (others, steps) of other stations as a fraction of rated power; `bright` (steps,) is where
    nobody would doubt the light; `orders` are what dispatch wrote down: (first, end) [s since 1970].
    """

    times: np.ndarray
    power: np.ndarray
    counter: np.ndarray
    state: np.ndarray
    heard: np.ndarray
    clock_s: np.ndarray
    irradiance: np.ndarray
    neighbours: np.ndarray
    bright: np.ndarray
    stops: list[Stop] = field(default_factory=list)
    orders: list[tuple[float, float]] = field(default_factory=list)
    gaps: list[tuple[int, float, float]] = field(default_factory=list)


def clear_sky(times):
    """Sine of the sun's height over the place, 0 at night; declination by Cooper's formula."""
    day_of_year = np.floor((times / DAY + 0.3) % 365.2425)
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + day_of_year) / 365)
    hour = (times % DAY) / 3600 + LONGITUDE / 15
    angle = np.pi / 12 * (hour - 12)
    place = np.radians(LATITUDE)
    height = np.sin(place) * np.sin(declination) + np.cos(place) * np.cos(declination) * np.cos(angle)
    return np.clip(height, 0, None)


def sky(rng, count):
    """A slow random cloud factor 0.15..1 for every step, the same over the whole county."""
    steps = rng.normal(0, 0.03, count)
    walk = np.empty(count)
    level = rng.uniform(0.3, 1.0)
    for index in range(count):
        level = min(1.0, max(0.15, level + steps[index]))
        walk[index] = level
    return walk


def output(light):
    """What a machine gives of its rated power in a light 0..1: nothing below a threshold, then its share."""
    fraction = np.clip(light * 1.05 - 0.012, 0, 1)
    fraction[fraction < IDLE_SHARE] = 0
    return fraction


def _span(rng, midnight, shortest_h, longest_h):
    """A stretch of whole steps in the brighter part of a day."""
    hours = rng.uniform(shortest_h, longest_h)
    first = rng.uniform(8.5, 15.5 - min(hours, 6.5))
    start = midnight + STEP * round(first * 3600 / STEP)
    return start, start + STEP * max(1, round(hours * 3600 / STEP))


def _stop(truth, machines, span, cause, state):
    chosen = (truth.times >= span[0]) & (truth.times < span[1])
    for machine in machines:
        truth.power[machine, chosen] = 0
        truth.state[machine, chosen] = state
        truth.stops.append(Stop(machine, cause, float(span[0]), float(span[1])))


def _mishap(rng, truth, midnight):
    """At most one thing a day goes wrong."""
    machine = int(rng.integers(len(truth.power)))
    kinds = ["none", "forced", "night", "grid", "order", "gap", "brief", "long gap"]
    kind = rng.choice(kinds, p=[0.5, 0.17, 0.03, 0.07, 0.07, 0.08, 0.05, 0.03])
    everyone = range(len(truth.power))
    if kind == "forced":
        state = FAULT if rng.random() < 0.5 else STANDBY
        _stop(truth, [machine], _span(rng, midnight, 0.5, 5.0), "forced", state)
    elif kind == "night":
        start, _end = _span(rng, midnight, 2.0, 3.0)
        end = start + DAY * int(rng.integers(1, 3))
        if end < truth.times[-1]:
            _stop(truth, [machine], (start, end), "forced", FAULT)
    elif kind == "brief":
        _stop(truth, [machine], _span(rng, midnight, 0.1, 0.35), "forced", STANDBY)
    elif kind == "grid":
        _stop(truth, everyone, _span(rng, midnight, 0.5, 4.0), "grid", GRID_FAULT)
    elif kind == "order":
        span = _span(rng, midnight, 0.75, 4.0)
        _stop(truth, everyone, span, "ordered", STANDBY)
        truth.orders.append(span)
    elif kind != "none":
        span = _span(rng, midnight, 0.2, 5.0)
        if kind == "long gap":
            span = (span[0], span[0] + DAY + (span[1] - span[0]))
        truth.gaps.append((machine, *span))
        truth.heard[machine, (truth.times >= span[0]) & (truth.times < span[1])] = False


def _weather(rng, truth, fractions, days, start):
    """Curtailed afternoons and snowy mornings, the same for the whole county."""
    for day in range(days):
        midnight = start + day * DAY
        chance = rng.random()
        if chance < 0.05:
            chosen = (truth.times >= midnight + 11 * 3600) & (truth.times < midnight + 14 * 3600)
            limit = rng.uniform(0.2, 0.4)
            held = fractions[:, chosen] > limit
            truth.state[:, chosen] = np.where(held, DERATED, truth.state[:, chosen])
            fractions[:, chosen] = np.minimum(fractions[:, chosen], limit)
        elif chance < 0.08:
            cover = (truth.times >= midnight) & (truth.times < midnight + 10.5 * 3600)
            fractions[:, cover] = 0
            truth.neighbours[:, cover] = 0
            truth.bright[cover] = False


def make(seed, *, start, days, machines=3, others=5):
    """Return a station of `machines` over `days` from a local midnight `start` [s since 1970]."""
    rng = np.random.default_rng(seed)
    steps = days * DAY // STEP
    times = start + STEP * np.arange(steps, dtype=float)
    light = clear_sky(times) * sky(rng, steps)
    shape = (machines, steps)
    spread = rng.uniform(0.9, 1.05, machines)[:, None] * rng.normal(1, 0.02, shape)
    fractions = np.clip(output(light) * spread, 0, 1)
    local = np.clip(rng.normal(1, 0.05, (others, steps)), 0.7, 1.3) * rng.uniform(0.9, 1.05, others)[:, None]
    truth = Truth(
        times, np.zeros(shape), np.zeros(shape), np.zeros(shape, int), np.ones(shape, bool),
        np.zeros(machines), 1000 * light, np.clip(output(light) * local, 0, 1), output(light) >= BRIGHT_SHARE,
    )  # fmt: skip
    truth.state[:] = np.where(fractions > 0, RUNNING, STANDBY)
    _weather(rng, truth, fractions, days, start)
    truth.power[:] = RATED_W * fractions
    truth.state[truth.power == 0] = STANDBY
    for day in range(days - 1):
        _mishap(rng, truth, start + day * DAY)
    if rng.random() < 0.2:
        truth.clock_s[int(rng.integers(machines))] = rng.choice([-240.0, -120.0, 60.0, 180.0])
    truth.heard &= rng.random(shape) > 0.003
    first = rng.uniform(1e6, 9e7, machines)[:, None]
    truth.counter[:] = first
    truth.counter[:, 1:] += np.cumsum(truth.power[:, :-1] * STEP / 3600, axis=1)
    truth.counter[:] = np.floor(truth.counter / 100) * 100
    return truth
