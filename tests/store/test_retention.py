"""Retention of the embedded engine: raw samples go, their 15-minute means and the energy stay."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from store.energy import device_energy
from store.engines.embedded.store import DuckDBStore
from store.periods import Period
from store.quality import Flag
from store.samples import Sample, samples_to_table
from store.series import RetiringSeries, open_series

START = datetime(2026, 9, 28, 16, 0, tzinfo=UTC)
LIMIT = datetime(2026, 10, 9, 16, 0, tzinfo=UTC)
COUNTER = "generated_energy_wh"
NAMES = ["active_power_w", COUNTER, "state"]


def sample(device: str, minute: int) -> Sample:
    time = START + timedelta(minutes=minute)
    values = {"active_power_w": float(minute % 1440), COUNTER: 1_000 + 10 * minute, "state": minute % 3}
    return Sample(device, time, time, values)


@pytest.fixture
def store(tmp_path) -> Iterator[DuckDBStore]:
    opened = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}?recent_rows=5000")
    for day in range(14):
        rows = [sample(device, 1440 * day + n * 5) for n in range(288) for device in ("a", "b")]
        opened.write(samples_to_table(rows))
    yield opened
    opened.close()


def quarters(store: DuckDBStore) -> list[dict]:
    methods = {"active_power_w": "mean", COUNTER: "last", "state": "last"}
    span = (START, START + timedelta(days=14))
    return store.downsample(["a", "b"], span, timedelta(minutes=15), methods).to_pylist()


def test_means_answer_as_the_samples_did_and_say_so(store):
    assert isinstance(store, RetiringSeries)
    before, rows = quarters(store), store.statistics().rows
    assert store.retired_before() is None
    gone = store.retire_before(LIMIT)
    assert gone == 2 * 288 * 11
    assert store.statistics().rows == rows - gone
    assert store.statistics().oldest == LIMIT
    assert store.retired_before() == LIMIT
    assert quarters(store) == before
    flags = store.read(["a"], START, START + timedelta(days=14), NAMES).column("flags").to_pylist()
    assert flags == [int(Flag.MEAN)] * 96 * 11 + [0] * 288 * 3
    assert store.latest()["a"].time == START + timedelta(minutes=14 * 1440 - 5)


def test_doing_it_again_changes_nothing(store):
    store.retire_before(LIMIT)
    once = quarters(store)
    assert store.retire_before(LIMIT) == 0
    assert quarters(store) == once


def test_energy_of_retired_days_stays(store):
    periods = [Period.parse("2026-10"), *(Period.parse(f"2026-10-{day:02}") for day in range(1, 12))]
    before = device_energy(store, ["a", "b"], periods)
    store.sum_up()
    store.retire_before(LIMIT)
    assert device_energy(store, ["a", "b"], periods) == before


def test_late_samples_before_and_after_are_weighed_in(tmp_path, store):
    whole = open_series(f"duckdb:///{tmp_path / 'whole.duckdb'}")
    rows = [sample("a", 5 * n) for n in range(600)]
    late = [row for n, row in enumerate(rows) if n % 7 == 3]
    early = [row for n, row in enumerate(rows) if n % 7 != 3]
    whole.write(samples_to_table(rows))
    whole.retire_before(LIMIT)
    parts = open_series(f"duckdb:///{tmp_path / 'parts.duckdb'}")
    parts.write(samples_to_table(early))
    parts.retire_before(LIMIT - timedelta(days=10))
    parts.write(samples_to_table(late))
    parts.retire_before(LIMIT)
    span = (START, LIMIT)
    for found, expected in zip(
        parts.read(["a"], *span, NAMES).to_pylist(), whole.read(["a"], *span, NAMES).to_pylist(), strict=True
    ):
        assert found["active_power_w"] == pytest.approx(expected["active_power_w"])
        assert {**found, "active_power_w": 0} == {**expected, "active_power_w": 0}
    whole.close()
    parts.close()


def test_what_was_retired_is_there_after_opening_again(tmp_path, store):
    store.retire_before(START + timedelta(days=40))
    before = quarters(store)
    assert store.statistics().rows == 0
    store.close()
    again = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    assert quarters(again) == before
    rows = again.boundary_readings(["a"], COUNTER, [LIMIT]).to_pylist()
    assert (rows[0]["before_value"], rows[0]["after_value"]) == (
        1_000 + 10 * (11 * 1440 - 5),
        1_000 + 10 * (11 * 1440 + 10),
    )
    assert again.write(samples_to_table([sample("a", 30_000)])).stored == 1
    again.close()


def test_coverage_of_retired_time_counts_the_samples_behind_the_means(store):
    store.retire_before(LIMIT)
    table = store.coverage(["a"], (START, START + timedelta(days=2)), timedelta(minutes=5))
    assert table.to_pylist() == [{"device_id": "a", "received": 576, "expected": 576}]
