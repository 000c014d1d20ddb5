"""Outages of stations whose stops are known: found, told apart, limited to one interval, none at night.

1 000 station years with SUNLEDGER_SOAK (`make soak`), ten of them always. The samples go through the same
steps as those of the store: pressed into runs, light from the neighbours, gaps by the counter.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest

from monitoring.sky.expected import median_of, usual_ratio
from monitoring.sky.light import Evidence, Place, light
from monitoring.sky.rules import AUTO
from monitoring.sky.tracks import Track
from monitoring.uptime.causes import Cause, availability
from monitoring.uptime.judging.partition import hours_of, partition
from monitoring.uptime.judging.setting import Setting, Span
from monitoring.uptime.judging.stops import stops
from monitoring.uptime.runs import Batch, finest_step_wh, joined, pressed, runs_of
from monitoring.uptime.told import Rows, idle_power_w, told

from .truth import DAY, LATITUDE, LONGITUDE, RATED_W, STEP, make

DAYS = 30
SLOTS = 900
PLACE = Place(LATITUDE, LONGITUDE)
STATION_MONTHS = 12_000 if os.environ.get("SUNLEDGER_SOAK") else 120
NAMES = {Cause.FORCED: "forced", Cause.GRID: "grid", Cause.ORDERED: "ordered"}
AT_LEAST_H = 0.5
NIGHT = {*range(20, 24), *range(6)}

pytestmark = pytest.mark.soak


def _start(seed):
    """Months begin on any day of a year, at midnight in Asia/Shanghai."""
    return datetime(2026, 1, 1, 16, tzinfo=UTC).timestamp() + (seed * 37 % 330) * DAY


def _slots(times, values):
    """Means of a quarter of an hour, as the store gives them."""
    count = len(times) // (SLOTS // STEP)
    means = values[..., : count * (SLOTS // STEP)].reshape(*values.shape[:-1], count, -1).mean(axis=-1)
    return times[:: SLOTS // STEP][:count], means


def _runs(truth, machine):
    heard = truth.heard[machine]
    times = truth.times[heard] + truth.clock_s[machine]
    said = told(
        Rows(truth.power[machine][heard], truth.state[machine][heard].astype(float), idle_power_w(RATED_W))
    )
    batch = Batch(
        np.array([0, len(times)]), np.array([0]), np.array([float(STEP)]), times, said,
        truth.counter[machine][heard],
    )  # fmt: skip
    interval = (truth.times[0], truth.times[0] + DAYS * DAY)
    return runs_of(joined([pressed(batch)]), interval, cycle_s=STEP), float(finest_step_wh(batch)[0])


def _judged(truth):
    slots, others = _slots(truth.times, truth.neighbours)
    expected = Track(slots, median_of(others))
    interval = (float(truth.times[0]), float(truth.times[0]) + DAYS * DAY)
    seen = light(Evidence(PLACE, expected=expected), interval, AUTO)
    ordered = [Span(first, end, "停机令") for first, end in truth.orders]
    for machine in range(len(truth.power)):
        runs, finest = _runs(truth, machine)
        _times, own = _slots(truth.times, truth.power[machine] / RATED_W)
        mine = Track(slots, expected.values * usual_ratio(own, expected.values))
        heard = np.where(truth.heard[machine], truth.power[machine] / RATED_W, np.nan)
        setting = Setting(
            *interval,
            RATED_W,
            seen.track,
            mine,
            ordered=ordered,
            finest_wh=finest,
            output=Track(*_slots(truth.times, heard)),
        )
        yield machine, partition(runs, setting)


def _open(truth, stop):
    """Tell whether a lost link, or a stop of another cause, hides a stop or one of its limits."""
    gaps = [(low, high) for machine, low, high in truth.gaps if machine == stop.machine]
    others = [(o.start, o.end) for o in truth.stops if o.machine == stop.machine and o is not stop]
    near = STEP * 3
    return any(low - near < stop.end and stop.start < high + near for low, high in (*gaps, *others))


def _matches(truth, stop, machine, found):
    """Same machine and cause, and both limits within one interval (and the machine's wrong clock).

    What happens in the dark counts for nobody: a limit may be seen as late, or as early, as the light allows.
    """
    slack = STEP + abs(truth.clock_s[machine])
    inside = truth.bright & (truth.times >= stop.start) & (truth.times < stop.end)
    seen = truth.times[inside]
    first, last = (seen[0], seen[-1] + STEP) if len(seen) else (stop.end, stop.start)
    return (
        stop.machine == machine
        and stop.cause == NAMES.get(found.cause)
        and stop.start - slack <= found.start <= first + slack
        and last - slack <= found.end <= stop.end + slack
    )


@dataclass
class Tally:
    """What was injected, found and matched over all months."""

    injected: int = 0
    recalled: int = 0
    found: int = 0
    right: int = 0
    at_night: int = 0
    missed: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    outside: list = field(default_factory=list)
    widths: list = field(default_factory=list)
    accused: list = field(default_factory=list)


def _lit_hours(segments, stop):
    inside = (segments.edges[:-1] >= stop.start - STEP) & (segments.edges[1:] <= stop.end + STEP)
    return segments.lengths[inside & (segments.causes != Cause.DARK)].sum() / 3600


def _count(tally, seed, truth, machine, segments):
    listed = stops(segments, AT_LEAST_H)
    mine = [stop for stop in truth.stops if stop.machine == machine and not _open(truth, stop)]
    for stop in mine:
        if (stop.end - stop.start) / 3600 < AT_LEAST_H or _lit_hours(segments, stop) < AT_LEAST_H:
            continue
        tally.injected += 1
        hit = any(_matches(truth, stop, machine, one) for one in listed)
        tally.recalled += hit
        if not hit:
            tally.missed.append((seed, stop))
    hidden = [stop for stop in truth.stops if stop.machine == machine and _open(truth, stop)]
    for one in listed:
        if any(low.start - DAY / 24 <= one.end and one.start <= low.end + DAY / 24 for low in hidden):
            continue
        tally.found += 1
        right = any(_matches(truth, stop, machine, one) for stop in mine)
        tally.right += right
        if not right:
            tally.wrong.append((seed, machine, one))
        local = datetime.fromtimestamp(one.start, UTC).hour
        tally.at_night += (local + 8) % 24 in NIGHT


@pytest.fixture(scope="module")
def tally():
    print(f"{STATION_MONTHS} station months, seeds 0..{STATION_MONTHS - 1}")
    tally = Tally()
    for seed in range(STATION_MONTHS):
        truth = make(seed, start=_start(seed), days=DAYS)
        for machine, segments in _judged(truth):
            _count(tally, seed, truth, machine, segments)
            _bounds(tally, seed, truth, machine, segments)
    return tally


def _bounds(tally, seed, truth, machine, segments):
    """Compare both availabilities with what they were in truth, in the same light."""
    middles = truth.times + STEP / 2
    place = np.clip(np.searchsorted(segments.edges, middles, side="right") - 1, 0, len(segments.causes) - 1)
    lit = segments.causes[place] != Cause.DARK
    down, excused = np.zeros(len(middles), bool), np.zeros(len(middles), bool)
    for stop in truth.stops:
        inside = (middles >= stop.start) & (middles < stop.end) & (stop.machine == machine)
        down |= inside & (stop.cause == "forced")
        excused |= inside & (stop.cause != "forced")
    base, use = STEP * (lit & ~excused).sum(), STEP * lit.sum()
    found = availability(hours_of(segments))
    if base <= 0 or found.equipment.low is None:
        return
    slack = (len(truth.stops) + 1) * 2 * (STEP + abs(truth.clock_s[machine])) / base + 0.003
    stood = STEP * (lit & down & ~excused).sum(), STEP * (lit & (down | excused)).sum()
    in_truth = (1 - stood[0] / base, 1 - stood[1] / use)
    for share, bounds in zip(in_truth, (found.equipment, found.all_causes), strict=True):
        tally.widths.append(bounds.high - bounds.low)
        if not bounds.low - slack <= share <= bounds.high + slack:
            tally.outside.append((seed, machine, share, bounds))
    if not truth.stops and found.equipment.value < 1 - slack:
        tally.accused.append((seed, machine, found))


def test_recall_of_outages_of_half_an_hour_and_more(tally):
    share = tally.recalled / tally.injected
    print(f"injected {tally.injected}, recall {share:.4f}, missed {tally.missed[:5]}")
    assert tally.injected > 5 * STATION_MONTHS
    assert share >= 0.99


def test_precision_of_outages_of_half_an_hour_and_more(tally):
    share = tally.right / tally.found
    print(f"found {tally.found}, precision {share:.4f}, wrong {tally.wrong[:5]}")
    assert share >= 0.99


def test_no_outage_begins_in_the_night(tally):
    assert tally.at_night == 0


def test_bounds_enclose_the_true_availability(tally):
    print(f"outside the bounds: {len(tally.outside)} of {len(tally.widths)}, {tally.outside[:3]}")
    print(f"distance of the bounds: mean {np.mean(tally.widths):.4f}, median {np.median(tally.widths):.4f}")
    assert tally.outside == []
    assert np.median(tally.widths) < 0.02


def test_nobody_is_accused_who_never_stopped(tally):
    assert tally.accused == []
