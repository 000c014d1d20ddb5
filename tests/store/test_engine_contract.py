"""The contract of every time-series engine: examples, and a stateful model against plain dictionaries.

A new engine adds one `Engine` to ENGINES. The reference below is written apart from the engines and shares
no code with them.
"""

import itertools
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from store.problem import ProblemsError
from store.samples import Sample, samples_to_table
from store.series import SeriesStore, open_series, prepare_series
from tests.store.conftest import INFLUX_TOKEN

# In the past: a server may refuse samples from the future.
START = datetime(2025, 9, 28, 16, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
COUNTER = "generated_energy_wh"


@dataclass(frozen=True)
class Engine:
    """How the suite gets an empty store: `serve` starts what is needed once and gives a maker of addresses.

    `deletes` says whether the engine deletes by time itself, or leaves that to its server's retention.
    """

    name: str
    serve: Callable[[Path, pytest.FixtureRequest], AbstractContextManager[Callable[[], str]]]
    deletes: bool = True


@contextmanager
def embedded(folder: Path, request) -> Iterator[Callable[[], str]]:
    numbers = itertools.count()
    yield lambda: f"duckdb:///{folder / f'{next(numbers)}.duckdb'}?memory_limit=200MB"


@contextmanager
def victoria_metrics(folder: Path, request) -> Iterator[Callable[[], str]]:
    """A real server of its own; every store gets series names of its own in it."""
    with request.getfixturevalue("start_victoria_metrics")(folder) as (port, _):
        numbers = itertools.count()
        yield lambda: f"victoriametrics://127.0.0.1:{port}?measurement=m{next(numbers)}"


@contextmanager
def influxdb(folder: Path, request) -> Iterator[Callable[[], str]]:
    """A real server of its own, or the one that the environment names; every store gets its own bucket."""
    with ExitStack() as stack:
        root = os.environ.get("SUNLEDGER_TEST_INFLUXDB_URL", "")
        if not root:
            port, _ = stack.enter_context(request.getfixturevalue("start_influx")(folder))
            root = f"influxdb://:{INFLUX_TOKEN}@127.0.0.1:{port}/county"
        run = secrets.token_hex(4)
        numbers = itertools.count()

        def fresh() -> str:
            url = f"{root}/test-{run}-{next(numbers)}"
            prepare_series(url)
            return url

        yield fresh


ENGINES = [
    Engine("duckdb", embedded),
    Engine("victoriametrics", victoria_metrics, deletes=False),
    Engine("influxdb", influxdb),
]


def _marked(engine: Engine):
    return pytest.param(
        engine, id=engine.name, marks=[pytest.mark.influx] if engine.name == "influxdb" else []
    )


@pytest.fixture(scope="module", params=[_marked(engine) for engine in ENGINES])
def engine(request) -> Engine:
    return request.param


@pytest.fixture(scope="module")
def new_address(engine: Engine, tmp_path_factory, request) -> Iterator[Callable[[], str]]:
    with engine.serve(tmp_path_factory.mktemp(engine.name), request) as maker:
        yield maker


@pytest.fixture
def store(new_address: Callable[[], str]) -> Iterator[SeriesStore]:
    opened = open_series(new_address())
    yield opened
    opened.close()


def at(quarters: int) -> datetime:
    return START + quarters * QUARTER


def sample(device: str, quarters: int, flags: int = 0, **values: float) -> Sample:
    return Sample(device, at(quarters), at(quarters) + timedelta(seconds=2), values, flags)


def write(store: SeriesStore, *samples: Sample):
    return store.write(samples_to_table(samples))


# Examples


def test_a_sample_comes_back_as_it_was_written(store):
    given = sample("inverter-1", 3, 5, active_power_w=1234.5, generated_energy_wh=2**40 + 1, state=3)
    assert write(store, given).stored == 1
    assert dict(store.latest()) == {"inverter-1": given}


def test_an_empty_batch_changes_nothing(store):
    assert write(store).stored == 0
    assert store.statistics().rows == 0
    assert store.statistics().oldest is None
    assert dict(store.latest()) == {}


def test_missing_stays_missing_and_zero_stays_zero(store):
    write(store, sample("a", 0, active_power_w=0.0), sample("a", 1, state=1))
    table = store.read(["a"], at(0), at(2), ["active_power_w", "state", "frequency_hz"])
    assert table.column("active_power_w").to_pylist() == [0.0, None]
    assert table.column("state").to_pylist() == [None, 1]
    assert table.column("frequency_hz").to_pylist() == [None, None]


def test_the_same_batch_again_is_no_new_row(store):
    batch = [sample("a", n, generated_energy_wh=n * 10) for n in range(20)]
    assert write(store, *batch).stored == 20
    again = write(store, *batch)
    assert (again.stored, again.duplicates, again.conflicts) == (0, 20, ())
    assert store.statistics().rows == 20


def test_the_same_sample_twice_in_one_batch_is_one_row(store):
    once = sample("a", 0, generated_energy_wh=7)
    result = write(store, once, once, once)
    assert (result.stored, result.duplicates) == (1, 2)
    assert store.statistics().rows == 1


@pytest.mark.parametrize("together", [True, False])
def test_a_different_counter_for_a_stored_key_is_a_conflict(store, together):
    first, second = sample("a", 0, generated_energy_wh=100), sample("a", 0, generated_energy_wh=101)
    conflicts = write(store, first, second).conflicts if together else ()
    if not together:
        write(store, first)
        conflicts = write(store, second).conflicts
    assert [(c.device_id, c.time, c.quantity, c.stored, c.offered) for c in conflicts] == [
        ("a", at(0), COUNTER, 100, 101)
    ]
    assert store.statistics().rows == 1
    assert store.latest()["a"].values[COUNTER] in {100, 101}


def test_a_second_sample_adds_the_quantities_that_the_first_lacked(store):
    write(store, sample("a", 0, active_power_w=5.0), sample("b", 9, state=1))
    result = write(store, sample("a", 0, generated_energy_wh=12))
    assert (result.stored, result.duplicates, result.conflicts) == (0, 1, ())
    assert store.latest()["a"].values == {"active_power_w": 5.0, COUNTER: 12}
    assert store.statistics().rows == 2


def test_a_late_sample_is_stored_but_is_not_the_latest(store):
    write(store, sample("a", 5000, active_power_w=2.0))
    assert write(store, sample("a", 10, active_power_w=1.0)).stored == 1
    assert store.latest(["a"])["a"].time == at(5000)
    assert store.read(["a"], at(0), at(6000), []).num_rows == 2


def test_latest_knows_only_the_devices_that_were_asked_for(store):
    write(store, sample("a", 0, state=1), sample("b", 1, state=1))
    assert set(store.latest(["b", "nobody"])) == {"b"}
    assert set(store.latest([])) == set()


def test_reading_is_half_open_and_ordered_by_device_and_time(store):
    write(store, *(sample(device, n, active_power_w=float(n)) for n in (3, 1, 2) for device in ("b", "a")))
    table = store.read(["b", "a", "nobody"], at(1), at(3), ["active_power_w"])
    rows = [(row["device_id"], row["time"], row["active_power_w"]) for row in table.to_pylist()]
    assert rows == [("a", at(1), 1.0), ("a", at(2), 2.0), ("b", at(1), 1.0), ("b", at(2), 2.0)]


def test_an_unknown_quantity_is_refused(store):
    with pytest.raises(KeyError):
        store.read(["a"], at(0), at(1), ["happiness"])


def test_down_sampling_aligns_days_to_midnight_in_shanghai(store):
    write(store, *(sample("a", n, active_power_w=float(n), generated_energy_wh=n) for n in range(200)))
    table = store.downsample(
        ["a"], (at(0), at(200)), timedelta(days=1), {"active_power_w": "mean", COUNTER: "last"}
    )
    assert table.column("time").to_pylist() == [at(0), at(96), at(192)]
    assert table.column("active_power_w").to_pylist() == [47.5, 143.5, 195.5]
    assert table.column(COUNTER).to_pylist() == [95, 191, 199]


def test_boundary_readings_look_as_far_as_there_is_data(store):
    write(store, sample("a", 0, generated_energy_wh=10), sample("a", 9000, generated_energy_wh=20))
    write(store, sample("a", 4000, active_power_w=1.0))
    rows = store.boundary_readings(["a"], COUNTER, [at(0), at(4500)]).to_pylist()
    assert [(row["before_value"], row["after_value"]) for row in rows] == [(None, 10), (10, 20)]
    assert (rows[1]["before_time"], rows[1]["after_time"]) == (at(0), at(9000))


def test_only_the_wanted_neighbour_of_a_boundary_is_looked_for(store):
    write(store, sample("a", 0, generated_energy_wh=10), sample("a", 9, generated_energy_wh=20))
    for side, expected in (("before", (10, None)), ("after", (None, 20))):
        row = store.boundary_readings(["a"], COUNTER, [at(5)], side).to_pylist()[0]
        assert (row["before_value"], row["after_value"]) == expected


def test_coverage_counts_steps_not_samples(store):
    write(store, *(sample("a", n, state=1) for n in (0, 1, 2, 8)))
    rows = store.coverage(["a", "nobody"], (at(0), at(10)), timedelta(hours=1)).to_pylist()
    assert [(row["device_id"], row["received"], row["expected"]) for row in rows] == [
        ("a", 2, 3),
        ("nobody", 0, 3),
    ]


def test_an_engine_that_cannot_delete_by_time_says_what_does(engine, store):
    if not engine.deletes:
        with pytest.raises(ProblemsError, match="retentionPeriod"):
            store.delete_before(at(0))


@pytest.fixture
def deleting(engine, tmp_path, request) -> Iterator[SeriesStore]:
    """The engine at hand where it deletes by time, else the embedded one."""
    with (engine if engine.deletes else ENGINES[0]).serve(tmp_path, request) as maker:
        opened = open_series(maker())
        yield opened
        opened.close()


def test_retention_deletes_only_what_is_older(deleting):
    store = deleting
    write(store, *(sample("a", n, state=1) for n in range(0, 6000, 100)))
    assert store.delete_before(at(3500)) == 35
    statistics = store.statistics()
    assert (statistics.rows, statistics.oldest) == (25, at(3500))
    assert store.delete_before(at(3500)) == 0


def test_a_device_whose_samples_were_all_deleted_can_come_back(deleting):
    store = deleting
    write(store, sample("a", 0, state=1))
    store.delete_before(at(1))
    assert dict(store.latest()) == {}
    assert write(store, sample("a", 0, state=2)).stored == 1
    assert store.latest()["a"].values == {"state": 2}


def test_names_with_quotes_and_chinese_are_only_names(store):
    names = ["一号'逆变器", 'a"b; DROP TABLE device', "空 格,=\\"]
    write(store, *(sample(name, 0, state=n) for n, name in enumerate(names)))
    assert {name: store.latest([name])[name].values["state"] for name in names} == dict(
        zip(names, range(3), strict=True)
    )
    assert store.read(names, at(0), at(1), ["state"]).num_rows == 3


def test_statistics_tell_rows_and_age(store):
    write(store, sample("a", 0, state=1), sample("b", 70, state=1))
    found = store.statistics()
    assert (found.rows, found.oldest, found.newest) == (2, at(0), at(70))
    assert found.size_bytes >= 0


# The model


@dataclass
class Reference:
    """Samples in a dictionary; the slowest and plainest store there is."""

    rows: dict[tuple[str, datetime], dict[str, float | int]] = field(default_factory=dict)

    def write(self, samples: list[Sample]) -> tuple[int, int, list[tuple[str, datetime, str, int, int]]]:
        stored, conflicts = 0, []
        for given in samples:
            key = (given.device_id, given.time)
            if key not in self.rows:
                self.rows[key] = dict(given.values)
                stored += 1
                continue
            for name, value in given.values.items():
                old = self.rows[key].setdefault(name, value)
                if name == COUNTER and old != value:
                    conflicts.append((*key, name, old, value))
        return stored, len(samples) - stored, sorted(conflicts)

    def of(self, device: str) -> list[tuple[datetime, dict[str, float | int]]]:
        return sorted((time, values) for (owner, time), values in self.rows.items() if owner == device)


DEVICES = ["a", "b", "c"]
QUARTERS = st.one_of(st.integers(0, 40), st.integers(0, 6800))


def values_at(device: str, quarters: int, kinds: int, version: int) -> Mapping[str, float | int]:
    values: dict[str, float | int] = {}
    if kinds & 1:
        values["active_power_w"] = float(quarters % 97)
    if kinds & 2:
        values[COUNTER] = quarters * 10 + DEVICES.index(device) + version
    if kinds & 4:
        values["state"] = quarters % 5
    return values


GIVEN = st.builds(
    lambda device, quarters, kinds, version: Sample(
        device, at(quarters), at(quarters), values_at(device, quarters, kinds, version)
    ),
    st.sampled_from(DEVICES),
    QUARTERS,
    st.integers(1, 7),
    st.sampled_from([0, 0, 0, 0, 0, 1]),
)


class StoreModel(RuleBasedStateMachine):
    """Whatever is done in whatever order, the engine answers as the dictionary does."""

    engine: Engine
    new_address: Callable[[], str]

    @initialize()
    def begin(self) -> None:
        self.reference = Reference()
        self.written: list[list[Sample]] = []
        self.address = type(self).new_address()
        self.store = open_series(self.address)

    @rule(samples=st.lists(GIVEN, min_size=1, max_size=30))
    def write_samples(self, samples: list[Sample]) -> None:
        self.check_write(samples)
        self.written.append(samples)

    @rule(data=st.data())
    def write_again(self, data: st.DataObject) -> None:
        if self.written:
            self.check_write(data.draw(st.sampled_from(self.written)))

    def check_write(self, samples: list[Sample]) -> None:
        result = self.store.write(samples_to_table(samples))
        found = sorted((c.device_id, c.time, c.quantity, c.stored, c.offered) for c in result.conflicts)
        assert (result.stored, result.duplicates, found) == self.reference.write(samples)

    @rule(low=QUARTERS, length=st.integers(0, 4000))
    def read_range(self, low: int, length: int) -> None:
        start, end = at(low), at(low + length)
        names = ["state", COUNTER, "active_power_w"]
        table = self.store.read([*DEVICES, "nobody"], start, end, names)
        assert [
            (row["device_id"], row["time"], {name: row[name] for name in names if row[name] is not None})
            for row in table.to_pylist()
        ] == [
            (d, time, values) for d in DEVICES for time, values in self.reference.of(d) if start <= time < end
        ]

    @rule(boundaries=st.lists(QUARTERS, min_size=1, max_size=3))
    def look_around_boundaries(self, boundaries: list[int]) -> None:
        rows = self.store.boundary_readings(DEVICES, COUNTER, [at(b) for b in boundaries]).to_pylist()
        expected = []
        for boundary in (at(b) for b in boundaries):
            for device in DEVICES:
                counted = [(t, v[COUNTER]) for t, v in self.reference.of(device) if COUNTER in v]
                before = [pair for pair in counted if pair[0] < boundary][-1:] or [(None, None)]
                after = [pair for pair in counted if pair[0] >= boundary][:1] or [(None, None)]
                expected.append((device, boundary, *before[0], *after[0]))
        assert [tuple(row.values()) for row in rows] == expected

    @rule(low=QUARTERS, length=st.integers(1, 400), hours=st.sampled_from([1, 6, 24]))
    def aggregate(self, low: int, length: int, hours: int) -> None:
        step = timedelta(hours=hours)
        interval = (at(low), at(low + length))
        methods = {"active_power_w": "mean", COUNTER: "last", "state": "first"}
        table = self.store.downsample(DEVICES, interval, step, methods)
        buckets: dict[tuple[str, datetime], list[Mapping[str, float | int]]] = {}
        for device in DEVICES:
            for moment, values in self.reference.of(device):
                if interval[0] <= moment < interval[1]:
                    midnight = START - timedelta(days=400)
                    begin = midnight + (moment - midnight) // step * step
                    buckets.setdefault((device, begin), []).append(values)
        expected = []
        for (device, begin), rows in buckets.items():
            power = [row["active_power_w"] for row in rows if "active_power_w" in row]
            counters = [row[COUNTER] for row in rows if COUNTER in row] or [None]
            states = [row["state"] for row in rows if "state" in row] or [None]
            mean = pytest.approx(sum(power) / len(power)) if power else None
            expected.append((device, begin, mean, counters[-1], states[0]))
        assert [tuple(row.values()) for row in table.to_pylist()] == expected

    @rule(low=QUARTERS, length=st.integers(1, 400))
    def count_coverage(self, low: int, length: int) -> None:
        step = timedelta(hours=1)
        table = self.store.coverage(DEVICES, (at(low), at(low + length)), step)
        expected = []
        for device in DEVICES:
            inside = [t for t, _ in self.reference.of(device) if at(low) <= t < at(low + length)]
            expected.append((device, len({(t - at(low)) // step for t in inside}), (length + 3) // 4))
        assert [tuple(row.values()) for row in table.to_pylist()] == expected

    @precondition(lambda self: self.engine.deletes)
    @rule(limit=QUARTERS)
    def delete(self, limit: int) -> None:
        gone = [key for key in self.reference.rows if key[1] < at(limit)]
        assert self.store.delete_before(at(limit)) == len(gone)
        for key in gone:
            del self.reference.rows[key]

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = open_series(self.address)

    @invariant()
    def latest_and_size_agree(self) -> None:
        latest = self.store.latest()
        rows = [(device, self.reference.of(device)) for device in DEVICES]
        assert {d: (s.time, s.values) for d, s in latest.items()} == {d: own[-1] for d, own in rows if own}
        statistics = self.store.statistics()
        times = [time for _, time in self.reference.rows]
        assert (statistics.rows, statistics.oldest, statistics.newest) == (
            len(times),
            min(times, default=None),
            max(times, default=None),
        )

    def teardown(self) -> None:
        self.store.close()


def test_the_engine_behaves_as_a_dictionary_would(engine, new_address):
    model = type("Model", (StoreModel,), {"engine": engine, "new_address": staticmethod(new_address)})
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            # A failing sequence is shown as it was found: shrinking real files takes minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
