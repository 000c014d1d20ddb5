"""Counters proved clean by their runs: the same answer as judging every reading, or none."""

import os
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import energy as energy_module
from store.energy import EnergyQuestion, answer
from store.engines.embedded.store import DuckDBStore
from store.periods import Period
from store.samples import Sample, samples_to_table
from store.series import CountedSeries, open_series

SEPTEMBER = datetime(2026, 9, 26, 16, 0, tzinfo=UTC)
OCTOBER = Period.parse("2026-10")
COUNT = 600 if os.environ.get("SUNLEDGER_SOAK") else 6
COUNTER = "generated_energy_wh"


class EveryReading:
    """The same store without the right to tell runs, so that every reading is judged."""

    def __init__(self, store: DuckDBStore) -> None:
        self.read = store.read
        self.boundary_readings = store.boundary_readings


def device(chance: random.Random) -> list[tuple[datetime, int]]:
    """Readings of one device over five weeks: steady or asleep at night, with pauses, jumps and falls."""
    minutes = chance.choice([5, 10, 15, 20, 34, 36, 50])
    rated = chance.choice([5_000, 60_000])
    value, time = chance.choice([0, 1, 90_000_000]), SEPTEMBER + timedelta(minutes=chance.randrange(600))
    end = SEPTEMBER + timedelta(days=chance.choice([3, 20, 38, 38, 38]))
    asleep, faulty = chance.random() < 0.5, chance.random() < 0.3
    readings = []
    while time < end:
        hour = (time + timedelta(hours=8)).hour
        if 7 <= hour < 18:
            value += chance.randrange(0, max(2, rated * minutes // 60))
        if faulty and chance.random() < 0.003:
            value += chance.choice([-500, 300_000, 1_500])
        if not (asleep and (hour < 6 or hour >= 20)):
            readings.append((time, 0 if faulty and chance.random() < 0.002 else max(0, value)))
        pause = chance.random() < 0.01
        time += timedelta(
            minutes=chance.choice([40, 300, 3000]) if pause else minutes, seconds=chance.randrange(9)
        )
    return readings


def ask(store, ids, **more) -> list:
    periods = [OCTOBER, *OCTOBER.days(), Period.parse("2026-Q4")]
    rated = {name: 5_000 if name.endswith("5") else 60_000 for name in ids if not name.endswith("0")}
    return answer(store, EnergyQuestion(ids, periods, COUNTER, rated, **more))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(COUNT))
def test_runs_give_what_every_reading_gives(tmp_path, seed):
    chance = random.Random(seed)
    store = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}?recent_rows={chance.choice([400, 60_000])}")
    assert isinstance(store, CountedSeries)
    ids = [f"device-{number}" for number in range(12)]
    samples = [Sample(name, t, t, {COUNTER: v}) for name in ids for t, v in device(chance)]
    if chance.random() < 0.5:
        chance.shuffle(samples)
    for begin in range(0, len(samples), 5000):
        store.write(samples_to_table(samples[begin : begin + 5000]))
        if chance.random() < 0.5:
            store.sum_up()
    until = chance.choice([None, SEPTEMBER + timedelta(days=20, minutes=17)])
    quick, slow = ask(store, ids, until=until), ask(EveryReading(store), ids, until=until)
    store.close()
    assert quick == slow


def test_most_ordinary_counters_need_no_reading_at_all(tmp_path, monkeypatch):
    store = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    times = [SEPTEMBER + n * timedelta(minutes=10) for n in range(38 * 144)]
    for name in ("a", "b"):
        store.write(
            samples_to_table([Sample(name, t, t, {COUNTER: 5 + 70 * n}) for n, t in enumerate(times)])
        )
    monkeypatch.setattr(
        energy_module, "_readings", lambda _store, ids, *_: [pytest.fail("read")] if ids else []
    )
    found = answer(store, EnergyQuestion(["a", "b"], [OCTOBER], COUNTER, {"a": 60_000, "b": 60_000}))
    assert [(one.energy_wh, one.method, one.completeness) for one in found] == [
        (31 * 144 * 70, "counter", 1.0)
    ] * 2
    store.close()


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    late=st.lists(st.integers(0, 38 * 24 - 1), min_size=1, max_size=20, unique=True), seed=st.integers(0, 999)
)
def test_late_readings_make_the_runs_of_their_day_anew(tmp_path_factory, late, seed):
    folder = tmp_path_factory.mktemp("late")
    store = open_series(f"duckdb:///{folder / 'series.duckdb'}?recent_rows=300")
    chance = random.Random(seed)
    every = [(SEPTEMBER + timedelta(hours=n), 10 + 900 * n) for n in range(38 * 24)]
    kept = [reading for n, reading in enumerate(every) if n not in late]
    rest = [every[n] for n in late]
    chance.shuffle(rest)
    for readings in (kept, rest):
        store.write(samples_to_table([Sample("a", t, t, {COUNTER: v}) for t, v in readings]))
        store.sum_up()
        assert ask(store, ["a"], gap=timedelta(hours=2)) == ask(
            EveryReading(store), ["a"], gap=timedelta(hours=2)
        )
    days = Period.day(date(2026, 10, 5))
    assert answer(store, EnergyQuestion(["a"], [days], gap=timedelta(hours=2)))[0].completeness == 1.0
    store.close()
