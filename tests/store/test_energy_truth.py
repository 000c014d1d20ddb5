"""Energy against the truth: simulated device-months with injected faults, none silently wrong.

The generator below makes the truth and then spoils the readings. It imports nothing of the code that it
judges; only the judging functions at the end know both. `SUNLEDGER_SOAK=1` runs 10 000 device-months.
"""

import math
import os
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from store.counters import CounterEpoch
from store.energy import EnergyQuestion, answer
from store.periods import Period
from store.quality import Flag
from store.series import open_series

MIDNIGHT = datetime(2026, 9, 26, 16, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
DAYS = 38
MONTH_FROM, MONTH_UNTIL = 4 * 96, 35 * 96
MODULUS = 10_000_000


@dataclass
class Truth:
    """One device: what it really produced, and what was received of it as (quarter, reading)."""

    rated_w: int
    produced: list[int]
    readings: list[tuple[int, int]]
    faults: list[str] = field(default_factory=list)
    replaced: tuple[int, int, int] | None = None
    wraps: bool = False

    @property
    def month_wh(self) -> int:
        return sum(self.produced[MONTH_FROM:MONTH_UNTIL])


def honest(chance: random.Random) -> Truth:
    """A device that measures and reports perfectly every quarter of an hour."""
    rated = chance.choice([5_000, 33_000, 60_000, 110_000])
    produced = []
    for _ in range(DAYS):
        sky = chance.choice([0.05, 0.3, 0.6, 0.9, 1.0])
        for quarter in range(96):
            hour = quarter / 4
            sun = max(0.0, math.sin(math.pi * (hour - 6.5) / 12)) if 6.5 < hour < 18.5 else 0.0
            produced.append(int(rated / 4 * sun * sky * chance.uniform(0.7, 1.0) * 0.98))
    total = chance.choice([0, 12_345_678, 987_654_321])
    readings = [(0, total)]
    for quarter, energy in enumerate(produced):
        total += energy
        readings.append((quarter + 1, total))
    return Truth(rated, produced, readings)


def lose_some(truth: Truth, chance: random.Random) -> None:
    truth.readings = [reading for reading in truth.readings if chance.random() > 0.1]


def lose_hours(truth: Truth, chance: random.Random) -> None:
    start = chance.randrange(0, DAYS * 96)
    length = chance.choice([8, 40, 96, 300])
    truth.readings = [r for r in truth.readings if not start <= r[0] < start + length]


def lose_month_end(truth: Truth, chance: random.Random) -> None:
    start, end = MONTH_UNTIL - chance.randrange(1, 200), MONTH_UNTIL + chance.randrange(1, 200)
    truth.readings = [r for r in truth.readings if not start <= r[0] < end]


def answer_zero(truth: Truth, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 6)):
        start, length = chance.randrange(len(truth.readings)), chance.choice([1, 1, 3, 20])
        for index in range(start, min(start + length, len(truth.readings))):
            truth.readings[index] = (truth.readings[index][0], 0)


def spike(truth: Truth, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 8)):
        start, length = chance.randrange(len(truth.readings)), chance.choice([1, 1, 2, 5])
        offset = chance.choice([-1, 1]) * chance.choice([50, 5_000, 79_000, 65_536_000, 2**31])
        for index in range(start, min(start + length, len(truth.readings))):
            quarter, value = truth.readings[index]
            truth.readings[index] = (quarter, max(1, value + offset))


def wrong_scale_for_a_while(truth: Truth, chance: random.Random) -> None:
    start, length = chance.randrange(100, len(truth.readings) - 500), chance.choice([4, 50, 200])
    factor = chance.choice([10, 1000])
    for index in range(start, start + length):
        quarter, value = truth.readings[index]
        truth.readings[index] = (quarter, value * factor + 1)


def restart(truth: Truth, chance: random.Random) -> None:
    start = chance.randrange(MONTH_FROM + 50, MONTH_UNTIL - 50)
    base = dict(truth.readings).get(start, truth.readings[0][1])
    truth.readings = [(q, v if q < start else max(0, v - base)) for q, v in truth.readings]


def replaced_and_written_down(truth: Truth, chance: random.Random) -> None:
    start = chance.randrange(MONTH_FROM + 50, MONTH_UNTIL - 50)
    old, first = dict(truth.readings)[start], chance.choice([0, 777_000])
    truth.readings = [(q, v if q < start else v - old + first) for q, v in truth.readings]
    truth.replaced = (start, first, old)


def wrap(truth: Truth, chance: random.Random) -> None:
    base = MODULUS - chance.randrange(1, 2_000_000)
    first = truth.readings[0][1]
    truth.readings = [(q, (v - first + base) % MODULUS) for q, v in truth.readings]
    truth.wraps = True


def stale_clock(truth: Truth, chance: random.Random) -> None:
    """Rows written again under an old time: the value is newer than its label."""
    for _ in range(chance.randrange(1, 4)):
        index = chance.randrange(50, len(truth.readings))
        quarter = truth.readings[index - chance.randrange(1, 50)][0]
        truth.readings[index] = (quarter, truth.readings[index][1])


def shared_address(truth: Truth, chance: random.Random) -> None:
    """Now and then another device answers."""
    other = chance.choice([3_000_000, 50_000_000, 400_000_000])
    start = chance.randrange(0, len(truth.readings) - 400)
    for index in range(start, start + 400):
        if chance.random() < 0.2:
            quarter, _ = truth.readings[index]
            truth.readings[index] = (quarter, other + quarter * 100)


def jump_at_night(truth: Truth, chance: random.Random) -> None:
    start = chance.randrange(6, 30) * 96 + 4
    amount = truth.rated_w * 2 + 50_000
    truth.readings = [(q, v if q < start else v + amount) for q, v in truth.readings]


HARMLESS = [lose_some, answer_zero, spike, wrong_scale_for_a_while, stale_clock, shared_address, lose_hours]
BREAKING = [restart, replaced_and_written_down, wrap, jump_at_night, lose_month_end]


def spoiled(seed: int) -> Truth:
    chance = random.Random(seed)
    truth = honest(chance)
    chosen = chance.sample(BREAKING, chance.choice([0, 0, 1]))
    chosen += chance.sample(HARMLESS, chance.choice([0, 1, 1, 2, 3]))
    for fault in chosen:
        fault(truth, chance)
        truth.faults.append(fault.__name__)
    seen: dict[int, int] = {}
    for quarter, value in truth.readings:
        seen.setdefault(quarter, value)
    truth.readings = list(seen.items())
    chance.shuffle(truth.readings)
    return truth


# Judging


COUNT = 10_000 if os.environ.get("SUNLEDGER_SOAK") else 150
AT_ONCE = 100
OCTOBER = Period.parse("2026-10")


def measured(folder, truths: dict[str, Truth], periods):
    store = open_series(f"duckdb:///{folder / 'series.duckdb'}")
    rows = [(name, quarter, value) for name, truth in truths.items() for quarter, value in truth.readings]
    times = pa.array([MIDNIGHT + quarter * QUARTER for _, quarter, _ in rows], pa.timestamp("us", tz="UTC"))
    columns = {
        "device_id": pa.array([name for name, _, _ in rows]),
        "time": times,
        "received_at": times,
        "flags": pa.array([0] * len(rows), pa.int32()),
        "generated_energy_wh": pa.array([value for _, _, value in rows], pa.int64()),
    }
    store.write(pa.table(columns))
    question = EnergyQuestion(
        list(truths),
        periods,
        rated_power_w={name: truth.rated_w for name, truth in truths.items()},
        moduli={name: MODULUS for name, truth in truths.items() if truth.wraps},
        epochs=[
            CounterEpoch(name, MIDNIGHT + truth.replaced[0] * QUARTER, truth.replaced[1], truth.replaced[2])
            for name, truth in truths.items()
            if truth.replaced
        ],
    )
    result = answer(store, question)
    store.close()
    return result


def silently_wrong(truth: Truth, energy) -> bool:
    """Wrong by more than half a percent and half an hour at rated power, with nothing said about it."""
    if energy.energy_wh is None:
        return False
    error = abs(energy.energy_wh - truth.month_wh)
    # Days of a gap had their own weather, so the part before a month end is known to a few times itself.
    allowed = max(truth.month_wh // 200, truth.rated_w // 2) + 4 * energy.estimated_wh
    told = energy.flags & (Flag.RESET | Flag.UNSUPPORTED) or energy.method == "partial"
    # A jump that falls into a gap looks like energy that arrived over the gap; the gap is told.
    hidden = "jump_at_night" in truth.faults and energy.flags & Flag.GAP
    return error > allowed and not told and not hidden


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(0, COUNT, AT_ONCE))
def test_no_month_is_silently_wrong_and_its_days_add_up(tmp_path, batch):
    truths = {f"device-{seed}": spoiled(seed) for seed in range(batch, min(batch + AT_ONCE, COUNT))}
    found = measured(tmp_path, truths, [OCTOBER, *OCTOBER.days()])
    months = {energy.device_id: energy for energy in found if energy.period == "2026-10"}
    wrong = [
        (name, truth.faults, truth.month_wh, months[name])
        for name, truth in truths.items()
        if silently_wrong(truth, months[name])
    ]
    assert wrong == []
    for name, month in months.items():
        days = [energy for energy in found if energy.device_id == name and energy is not month]
        assert sum(day.energy_wh or 0 for day in days) == (month.energy_wh or 0)


def test_a_perfect_device_is_measured_to_the_watt_hour(tmp_path):
    truths = {f"device-{seed}": honest(random.Random(seed)) for seed in range(20)}
    for energy in measured(tmp_path, truths, [OCTOBER]):
        assert energy.energy_wh == truths[energy.device_id].month_wh
        assert (energy.method, energy.completeness, energy.estimated_wh, energy.flags) == (
            "counter",
            1.0,
            0,
            0,
        )
