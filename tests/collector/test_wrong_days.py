"""Days of devices that lie: the day's energy is right, or something is said about it; never silently wrong.

The generator makes the truth and what a device sends of it, and imports nothing of the code that it judges.
Messages take the way of all messages: mapping, clock watch, quality flags, store, energy of the day.
"""

import json
import math
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.routes import Incoming, Listener, RouteTable
from store.energy import DeviceEnergy, EnergyQuestion, answer
from store.periods import Period
from store.quality import Flag
from store.samples import Sample, samples_to_table
from store.series import open_series
from tests.collector.plants import link

WEEKS = 1430 if os.environ.get("SUNLEDGER_SOAK") else 15
AT_ONCE = 143
DAYS, STEP = 7, timedelta(minutes=15)
MIDNIGHT = datetime(2026, 10, 4, 16, 0, tzinfo=UTC)
EIGHT_HOURS = 8 * 3600


@dataclass
class Message:
    """What a device sends at `sent` [s since the first midnight]: its time, and its counters."""

    sent: int
    time: int
    counter: int
    today: int


@dataclass
class Week:
    """What a device really produced by day [Wh], and what it sent."""

    rated_w: int
    produced: list[int]
    messages: list[Message]
    fault: str = ""
    chance: random.Random = field(default_factory=random.Random)

    def moment(self) -> int:
        """A random message of the middle of the week."""
        return self.chance.randrange(96, len(self.messages) - 96)


def honest(seed: int) -> Week:
    chance = random.Random(seed)
    rated = chance.choice([5_000, 33_000, 60_000, 110_000])
    counter, today = chance.choice([0, 12_345_678, 987_654_321]), 0
    # Devices do not measure on the minute: each has a second of its own.
    offset = chance.randrange(900)
    messages, produced = [], [0] * DAYS
    for day in range(DAYS):
        sky, today = chance.choice([0.05, 0.3, 0.6, 0.9, 1.0]), 0
        for quarter in range(96):
            second = day * 86_400 + quarter * 900
            hour = quarter / 4
            sun = max(0.0, math.sin(math.pi * (hour - 6.5) / 12)) if 6.5 < hour < 18.5 else 0.0
            energy = int(rated / 4 * sun * sky * chance.uniform(0.7, 1.0) * 0.98)
            messages.append(Message(second + offset, second + offset, counter, today))
            counter, today = counter + energy, today + energy
            produced[day] += energy
    return Week(rated, produced, messages, chance=chance)


def no_fault(week: Week) -> None:
    """The device is honest."""
    assert week.messages


def counter_reset(week: Week) -> None:
    start = week.moment()
    base = week.messages[start].counter
    for message in week.messages[start:]:
        message.counter -= base


def rollover(week: Week) -> None:
    """A counter of 16 or 32 bits in units of 100 or 1 Wh wraps in the middle of the week."""
    modulus = week.chance.choice([65_536 * 100, 2**32])
    base = modulus - week.messages[week.moment()].counter
    for message in week.messages:
        message.counter = (message.counter + base) % modulus


def replaced(week: Week) -> None:
    start, other = week.moment(), week.chance.choice([0, 55_000, 7_654_321, 2_000_000_000])
    base = week.messages[start].counter
    for message in week.messages[start:]:
        message.counter += other - base


def clock_behind(week: Week) -> None:
    for message in week.messages[week.chance.choice([0, week.moment()]) :]:
        message.time -= EIGHT_HOURS


def clock_ahead(week: Week) -> None:
    for message in week.messages[week.chance.choice([0, week.moment()]) :]:
        message.time += EIGHT_HOURS


def clock_behind_for_a_day(week: Week) -> None:
    start = week.moment()
    for message in week.messages[start : start + 96]:
        message.time -= EIGHT_HOURS


def day_counter_resets_at_the_wrong_time(week: Week) -> None:
    """The day's own counter starts anew at eight in the morning, or never."""
    shift, last, base = week.chance.choice([8, 12, 1000]), -1, 0
    for message in week.messages:
        day = (message.sent - shift * 3600) // 86_400
        if day != last:
            last, base = day, message.counter
        message.today = message.counter - base


def scale_wrong_by_ten(week: Week) -> None:
    start = week.moment()
    for message in week.messages[start : start + week.chance.choice([1, 4, 40])]:
        message.counter *= 10


def late_history(week: Week) -> None:
    """The gateway was cut off for up to half a day and sends all of it afterwards, mixed with live."""
    start, length = week.moment(), week.chance.choice([8, 24, 48])
    back = week.messages[start + length].sent
    for index, message in enumerate(week.messages[start : start + length]):
        message.sent = back + index * 20


FAULTS: tuple[Callable[[Week], None], ...] = (
    no_fault,
    counter_reset,
    rollover,
    replaced,
    clock_behind,
    clock_ahead,
    clock_behind_for_a_day,
    day_counter_resets_at_the_wrong_time,
    scale_wrong_by_ten,
    late_history,
)


def spoiled(seed: int) -> Week:
    week = honest(seed)
    fault = FAULTS[seed % len(FAULTS)]
    fault(week)
    week.fault = fault.__name__
    week.messages.sort(key=lambda message: message.sent)
    return week


def received(weeks: dict[str, Week]) -> list[Sample]:
    """Send every message through the ingest's reading."""
    links = [
        link(name, 0, transport="mqtt", topic=name, profile="sunledger", rated_power_w=week.rated_w)
        for name, week in weeks.items()
    ]
    listener, samples = Listener(RouteTable(links), {}), []
    for name, week in weeks.items():
        for message in week.messages:
            stamp = round(MIDNIGHT.timestamp() + message.time) * 1000
            body = {
                "time": stamp,
                "generated_energy_wh": message.counter,
                "generated_energy_today_wh": message.today,
            }
            incoming = Incoming(name, json.dumps(body).encode(), 0, 1, retained=False, generation=1)
            samples += listener.read(incoming, MIDNIGHT + timedelta(seconds=message.sent + 2)).samples
    return samples


def measured(folder: Path, weeks: dict[str, Week]) -> list[DeviceEnergy]:
    store = open_series(f"duckdb:///{folder / 'series.duckdb'}")
    samples = received(weeks)
    for start in range(0, len(samples), 20_000):
        store.write(samples_to_table(samples[start : start + 20_000]))
    days = [Period.parse(f"2026-10-{5 + number:02}") for number in range(DAYS)]
    rated = {name: week.rated_w for name, week in weeks.items()}
    found = answer(store, EnergyQuestion(list(weeks), days, rated_power_w=rated))
    store.close()
    return found


def silently_wrong(week: Week, day: int, energy: DeviceEnergy) -> bool:
    """Wrong by more than half a percent and half an hour at rated power, with nothing said about it."""
    if energy.energy_wh is None:
        return False
    truth = week.produced[day]
    allowed = max(truth // 200, week.rated_w // 2) + 4 * energy.estimated_wh
    told = energy.flags & (Flag.RESET | Flag.UNSUPPORTED | Flag.ROLLOVER) or energy.method == "partial"
    return abs(energy.energy_wh - truth) > allowed and not told


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(0, WEEKS, AT_ONCE))
def test_no_day_is_silently_wrong(tmp_path: Path, batch: int) -> None:
    weeks = {f"week-{seed}": spoiled(seed) for seed in range(batch, min(batch + AT_ONCE, WEEKS))}
    found = measured(tmp_path, weeks)
    assert len(found) == len(weeks) * DAYS
    wrong = [
        (weeks[energy.device_id].fault, weeks[energy.device_id].produced[number % DAYS], energy)
        for number, energy in enumerate(found)
        if silently_wrong(weeks[energy.device_id], number % DAYS, energy)
    ]
    print(f"seeds {batch} to {batch + len(weeks) - 1}: {len(found)} days, {len(wrong)} silently wrong")
    assert wrong == []


def test_faults_are_flagged_where_they_are(tmp_path: Path) -> None:
    weeks = {f"week-{seed}": spoiled(seed) for seed in range(30)}
    samples, flags = received(weeks), {}
    for sample in samples:
        flags[sample.device_id] = flags.get(sample.device_id, 0) | sample.flags
    days: dict[str, int] = {}
    for energy in measured(tmp_path, weeks):
        days[energy.device_id] = days.get(energy.device_id, 0) | energy.flags
    for name, week in weeks.items():
        assert bool(flags[name] & Flag.CLOCK) == week.fault.startswith("clock"), (name, week.fault)
        if week.fault == "counter_reset":
            assert days[name] & Flag.RESET, name
        if week.fault in {"no_fault", "late_history", "day_counter_resets_at_the_wrong_time"}:
            assert days[name] == 0, (name, week.fault)
