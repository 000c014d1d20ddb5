"""Outages of plants whose stops are known: found, told apart, limited to one interval, none at night.

1 000 station years with SUNLEDGER_SOAK (`make soak`), two of them always.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

from monitoring.uptime.judging import Cause, Record, Setting, Track, hours_of, outages, partition
from monitoring.uptime.light import Evidence, LightRule, Place, light_track

from .truth import DAY, STEP, make

START = datetime(2026, 5, 31, 16, tzinfo=UTC).timestamp()
DAYS = 30
PLACE = Place(27.0, 106.0)
STATION_MONTHS = 12_000 if os.environ.get("SUNLEDGER_SOAK") else 24

pytestmark = pytest.mark.soak
NAMES = {Cause.FORCED: "forced", Cause.GRID: "grid"}


def _found(truth):
    evidence = Evidence(PLACE, neighbours=Track(truth.times, truth.neighbours))
    end = START + DAYS * DAY
    light = light_track(evidence, START, end, LightRule.AUTO)
    setting = Setting(START, end, 50_000.0, light, Track(truth.times, truth.neighbours), step_s=STEP)
    for machine, power in enumerate(truth.power):
        heard = truth.heard[machine]
        causes = np.where(truth.grid_dead[machine], Cause.GRID, Cause.RUNNING).astype(np.int8)
        record = Record(truth.times[heard], power[heard], truth.counter[machine][heard], causes[heard])
        yield machine, partition(record, setting)


def _matches(stop, machine, outage):
    """Same machine and cause, and both limits within one interval."""
    return (
        stop.machine == machine
        and stop.cause == NAMES.get(outage.cause)
        and abs(stop.start - outage.start.timestamp()) <= STEP
        and abs(stop.end - outage.end.timestamp()) <= STEP
    )


@dataclass(frozen=True)
class Month:
    """What was injected into one station month, and what was found in it."""

    stops: list
    found: list
    forced_h: dict


@pytest.fixture(scope="module")
def judged():
    print(f"{STATION_MONTHS} station months, seeds 0..{STATION_MONTHS - 1}")
    months = []
    for seed in range(STATION_MONTHS):
        truth = make(seed, start=START, days=DAYS)
        found, forced_h = [], {}
        for machine, segments in _found(truth):
            found += [(machine, outage) for outage in outages(segments)]
            forced_h[machine] = hours_of(segments).forced
        months.append(Month(truth.stops, found, forced_h))
    return months


def test_precision_and_recall_of_outages(judged):
    injected = sum(len(month.stops) for month in judged)
    found = sum(len(month.found) for month in judged)
    hit = sum(any(_matches(stop, *item) for item in month.found) for month in judged for stop in month.stops)
    right = sum(
        any(_matches(stop, *item) for stop in month.stops) for month in judged for item in month.found
    )
    print(f"injected {injected}, recall {hit / injected:.4f}, precision {right / found:.4f}")
    assert injected > 5 * STATION_MONTHS
    assert hit / injected >= 0.99
    assert right / found >= 0.99


def test_a_lost_link_is_never_a_stop(judged):
    for month in judged:
        for machine, forced_h in month.forced_h.items():
            stopped = sum(s.end - s.start for s in month.stops if (s.machine, s.cause) == (machine, "forced"))
            assert forced_h <= stopped / 3600 + DAYS * 0.02


def test_no_outage_begins_or_ends_in_the_night(judged):
    for month in judged:
        for _, outage in month.found:
            for moment in (outage.start, outage.end):
                assert 6 <= (moment.hour + 8) % 24 < 20
