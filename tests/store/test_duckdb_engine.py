# ruff: noqa: S608, the tables of an old file are written by hand
"""What only the embedded engine promises: one owner, kill -9, bounded memory, readers beside a writer."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import rule, run_state_machine_as_test

from store.engines.embedded.file import registered
from store.engines.embedded.log import BatchLog
from store.problem import ProblemsError
from store.samples import SAMPLE_SCHEMA, Sample, samples_to_table
from store.series import SeriesUnavailableError, open_series
from tests.store.test_engine_contract import ENGINES, StoreModel

START = datetime(2026, 10, 1, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from store.samples import Sample, samples_to_table
from store.series import open_series

store = open_series(sys.argv[1])
start = datetime(2026, 10, 1, tzinfo=UTC)
batch = int(sys.argv[2])
while True:
    time = start + batch * timedelta(seconds=10)
    samples = [Sample(f"d{n}", time, time, {"generated_energy_wh": batch}) for n in range(50)]
    store.write(samples_to_table(samples))
    print(batch, flush=True)
    batch += 1
"""


def address(folder: Path, options: str = "") -> str:
    return f"duckdb:///{folder / 'series.duckdb'}{options}"


ROUNDS = 200 if os.environ.get("SUNLEDGER_SOAK") else 6


@pytest.mark.soak
@pytest.mark.parametrize("recent_rows", [60_000, 300], ids=["in the log", "being filed"])
def test_kill_9_loses_no_acknowledged_batch_and_leaves_no_part_of_one(tmp_path, recent_rows):
    acknowledged, chance = -1, random.Random(recent_rows)
    url = address(tmp_path, f"?recent_rows={recent_rows}")
    for _ in range(ROUNDS // 2):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(acknowledged + 1)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with process, process.stdout as lines:
            for _ in range(chance.randrange(1, 60)):
                line = lines.readline()
                acknowledged = int(line)
            time.sleep(chance.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            rest = lines.read().split("\n")
            acknowledged = max([acknowledged, *(int(text) for text in rest[:-1] if text)])
        began = time.monotonic()
        store = open_series(url)
        assert time.monotonic() - began < 5
        rows = store.statistics().rows
        store.close()
        # A batch may be stored whose acknowledgement never reached us, but never a part of one.
        assert rows % 50 == 0
        assert rows in {50 * (acknowledged + 1), 50 * (acknowledged + 2)}
    print(f"{ROUNDS // 2} kills, recent_rows={recent_rows}, {acknowledged + 1} batches, 0 lost, 0 torn")


def test_a_second_process_is_told_that_the_file_is_taken(tmp_path):
    store = open_series(address(tmp_path))
    code = "import sys; from store.series import open_series; open_series(sys.argv[1])"
    process = subprocess.run(
        [sys.executable, "-c", code, address(tmp_path)], capture_output=True, text=True, check=False
    )
    store.close()
    assert process.returncode != 0
    assert "时序库已被另一个进程打开" in process.stderr


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("duckdb:///", "没有文件路径"),
        ("duckdb:///x?colour=red", "参数不对"),
        ("duckdb:///x?threads=many", "参数不对"),
        ("parquet:///x", "不是时序库地址"),
    ],
)
def test_a_wrong_address_is_refused_with_the_name_of_its_setting(url, words):
    with pytest.raises(ProblemsError) as caught:
        open_series(url)
    assert caught.value.problems[0].where == "SUNLEDGER_SERIES_URL"
    assert words in caught.value.problems[0].what


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "series.duckdb").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(ProblemsError, match="时序库打不开"):
        open_series(address(tmp_path))


def test_a_file_of_a_newer_program_is_refused(tmp_path):
    open_series(address(tmp_path)).close()
    with duckdb.connect(str(tmp_path / "series.duckdb")) as connection:
        connection.execute("UPDATE layout SET version = 99")
    with pytest.raises(ProblemsError, match="比程序新"):
        open_series(address(tmp_path))


def test_a_file_of_an_older_program_gets_the_quantities_that_it_lacks(tmp_path):
    store = open_series(address(tmp_path))
    store.write(samples_to_table([Sample("a", START, START, {"state": 1, "active_power_w": 2.0})]))
    store.close()
    with duckdb.connect(str(tmp_path / "series.duckdb")) as connection:
        connection.execute("ALTER TABLE samples_202610 DROP COLUMN frequency_hz")
        connection.execute("ALTER TABLE samples_202610 DROP COLUMN reactive_power_var")
    store = open_series(address(tmp_path))
    later = START + timedelta(minutes=1)
    store.write(samples_to_table([Sample("a", later, later, {"frequency_hz": 50.0})]))
    found = store.read(["a"], START, START + timedelta(hours=1), ["frequency_hz", "active_power_w"])
    store.close()
    assert found.column("frequency_hz").to_pylist() == [None, 50.0]
    assert found.column("active_power_w").to_pylist() == [2.0, None]


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    store = open_series(address(tmp_path))
    store.write(samples_to_table([Sample("a", START, START, {"state": 1})]))
    store._writer.execute(f"ALTER TABLE {store._present.table} DROP COLUMN state")
    november = START + timedelta(days=40)
    rows = [Sample("b", START, START, {"state": 1}), Sample("b", november, november, {"state": 2})]
    with pytest.raises(SeriesUnavailableError):
        store.write(samples_to_table(rows))
    assert store.statistics().rows == 1
    assert dict(store.latest(["b"])) == {}
    store._writer.execute(f"ALTER TABLE {store._present.table} ADD COLUMN state INTEGER")
    assert store.write(samples_to_table(rows)).stored == 2
    assert store.latest()["b"].values == {"state": 2}
    store.close()


def big_batch(minute: int, devices: int) -> pa.Table:
    count = devices * 60
    times = np.repeat(np.arange(60) * 60_000_000, devices) + minute * 3_600_000_000
    generator = np.random.default_rng(minute)
    columns = {
        "device_id": pa.array([f"d{n}" for n in range(devices)] * 60),
        "time": pa.array(times + 1_790_000_000_000_000, pa.timestamp("us", tz="UTC")),
        "received_at": pa.array(times + 1_790_000_000_000_000, pa.timestamp("us", tz="UTC")),
        "flags": pa.array(np.zeros(count), pa.int32()),
        "active_power_w": pa.array(generator.normal(5e4, 1e4, count).round()),
        "generated_energy_wh": pa.array(times // 1_000_000, pa.int64()),
    }
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in SAMPLE_SCHEMA]
    return pa.table(arrays, schema=SAMPLE_SCHEMA)


def test_readers_go_on_beside_a_writer_and_memory_stays_bounded(tmp_path):
    store = open_series(address(tmp_path, "?memory_limit=150MB"))
    stop = threading.Event()
    failures: list[Exception] = []

    def read() -> None:
        try:
            while not stop.is_set():
                statistics = store.statistics()
                if statistics.newest is not None:
                    interval = (statistics.newest - timedelta(hours=6), statistics.newest)
                    store.downsample(["d1", "d2"], interval, timedelta(minutes=5), {"active_power_w": "mean"})
                store.latest(["d3"])
        except Exception as error:  # noqa: BLE001, whatever a reader meets is shown by the assertion
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    before = psutil.Process(os.getpid()).memory_info().rss
    for hour in range(40):
        assert store.write(big_batch(hour, 200)).stored == 12_000
    stop.set()
    for reader in readers:
        reader.join()
    grown = psutil.Process(os.getpid()).memory_info().rss - before
    assert failures == []
    assert store.statistics().rows == 40 * 12_000
    assert grown < 400_000_000
    store.close()


FULL_DISK = """
import resource, signal, sys
from datetime import UTC, datetime, timedelta
from store.samples import Sample, samples_to_table
from store.series import SeriesUnavailableError, open_series

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_series(sys.argv[1])
store._filer.execute(f"SET checkpoint_threshold='{sys.argv[2]}'")
start = datetime(2026, 10, 1, tzinfo=UTC)

def batch(number):
    time = start + number * timedelta(minutes=1)
    values = lambda n: {"active_power_w": n * 1.7 * number, "generated_energy_wh": n * number}
    return samples_to_table([Sample(f"d{n}", time, time, values(n)) for n in range(500)])

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
stored = refused = 0
for number in range(400):
    try:
        stored += store.write(batch(number)).stored
    except SeriesUnavailableError:
        refused += 1
    if refused == 5:
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
stored += store.write(batch(number + 1)).stored
print(refused, stored, store.statistics().rows)
store.close()
"""


@pytest.mark.parametrize(("checkpoint", "recent_rows"), [("100MB", 60_000), ("100MB", 2_000), ("1MB", 2_000)])
def test_a_full_disk_refuses_batches_and_resumes_by_itself_with_nothing_lost(
    tmp_path, checkpoint, recent_rows
):
    """A file size limit stands for the full disk: the log meets it, or filing, or the checkpoint."""
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK, address(tmp_path, f"?recent_rows={recent_rows}"), checkpoint],
        capture_output=True,
        text=True,
        check=True,
    )
    refused, stored, rows = map(int, process.stdout.split())
    assert refused == 5
    assert stored == rows
    store = open_series(address(tmp_path))
    assert store.statistics().rows == rows
    store.close()


class FilingModel(StoreModel):
    """The model of the contract on a store that files a table of a few rows at a time, and sums up."""

    @rule()
    def sum_up(self) -> None:
        self.store.sum_up()


def test_rows_are_found_once_wherever_they_are(tmp_path):
    numbers = itertools.count()
    engine = next(engine for engine in ENGINES if engine.name == "duckdb")

    def new_address() -> str:
        return f"duckdb:///{tmp_path / f'{next(numbers)}.duckdb'}?recent_rows=25"

    model = type("Model", (FilingModel,), {"engine": engine, "new_address": staticmethod(new_address)})
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_rows_count_once_while_they_are_filed_beside_readers(tmp_path):
    store = open_series(address(tmp_path, "?recent_rows=500"))
    stop, seen = threading.Event(), [0]

    def count() -> None:
        while not stop.is_set():
            seen.append(store.read(["a"], START, START + timedelta(days=60), []).num_rows)

    reader = threading.Thread(target=count)
    reader.start()
    for batch in range(200):
        times = [START + timedelta(minutes=30 * batch + n) for n in range(30)]
        store.write(samples_to_table([Sample("a", time, time, {"state": 1}) for time in times]))
    stop.set()
    reader.join()
    assert seen == sorted(seen)
    assert store.statistics().rows == 6000
    assert all(rows % 30 == 0 for rows in seen)
    store.close()


def test_a_table_that_is_filed_between_the_look_and_the_question_is_asked_for_again(tmp_path, monkeypatch):
    store = open_series(address(tmp_path, "?recent_rows=40"))
    rows = [
        Sample("a", START + timedelta(minutes=n), START, {"generated_energy_wh": n + 1}) for n in range(39)
    ]
    store.write(samples_to_table(rows))
    stale = store._sources()
    store.sum_up()
    assert store._sources() != stale
    told, present = [stale], store._sources
    monkeypatch.setattr(store, "_sources", lambda: told.pop() if told else present())
    runs = store.counter_runs(["a"], "generated_energy_wh", START, START + timedelta(days=1))
    assert (runs.first.tolist(), runs.last.tolist(), told) == ([1], [39], [])
    told.append(stale)
    again = store.write(samples_to_table(rows))
    assert (again.stored, again.duplicates, told) == (0, 39, [])
    store.close()


def old_file(path: Path) -> None:
    """A file as the first released version wrote it."""
    with duckdb.connect(str(path)) as connection:
        types = {pa.float64(): "DOUBLE", pa.int64(): "BIGINT", pa.int32(): "INTEGER"}
        names = [f"{item.name} {types[item.type]}" for item in list(SAMPLE_SCHEMA)[3:]]
        connection.execute("CREATE TABLE layout (version INTEGER)")
        connection.execute("INSERT INTO layout VALUES (1)")
        connection.execute("CREATE TABLE device (number INTEGER, device_id VARCHAR)")
        connection.execute("INSERT INTO device VALUES (0, 'a'), (1, 'b')")
        for month in ("202610", "202611"):
            columns = f"device INTEGER NOT NULL, time TIMESTAMP, received_at TIMESTAMP, {', '.join(names)}"
            connection.execute(f"CREATE TABLE samples_{month} ({columns})")
            connection.execute(
                f"INSERT INTO samples_{month} (device, time, received_at, flags, generated_energy_wh) "
                f"SELECT n % 2, make_timestamp(2026, {month[-2:]}, 5, n // 60, n % 60, 0), "
                "make_timestamp(2026, 11, 5, 0, 0, 0), 0, n FROM range(600) t(n)"
            )


def test_a_file_of_the_first_released_version_is_opened_and_upgraded_without_loss(tmp_path):
    old_file(tmp_path / "series.duckdb")
    for _ in range(2):
        store = open_series(address(tmp_path))
        found = store.statistics()
        assert (found.rows, found.newest) == (1200, datetime(2026, 11, 5, 9, 59, tzinfo=UTC))
        assert found.oldest == datetime(2026, 10, 5, tzinfo=UTC)
        assert store.latest()["b"].values == {"generated_energy_wh": 599}
        again = datetime(2026, 10, 5, 0, 1, tzinfo=UTC)
        result = store.write(samples_to_table([Sample("b", again, again, {"generated_energy_wh": 1})]))
        assert (result.stored, result.duplicates, result.conflicts) == (0, 1, ())
        store.close()
    with duckdb.connect(str(tmp_path / "series.duckdb")) as connection:
        assert connection.execute("SELECT version FROM layout").fetchall() == [(2,)]


def test_a_damaged_log_gives_back_what_is_whole_and_keeps_a_copy(tmp_path):
    log = BatchLog(tmp_path / "log")
    log.begin(1)
    batches = [
        samples_to_table([Sample("a", START + timedelta(minutes=n), START, {"state": n})]) for n in range(3)
    ]
    for batch in batches:
        log.append(batch)
    log.close()
    path = tmp_path / "log" / "000000000001.log"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert [batch.num_rows for batch in BatchLog(tmp_path / "log").read(1)] == [1, 1]
    assert not path.with_suffix(".damaged").exists()
    path.write_bytes(content[:40] + b"x" + content[41:])
    assert list(BatchLog(tmp_path / "log").read(1)) == []
    assert path.with_suffix(".damaged").exists()


def test_what_fails_beside_a_registered_table_is_what_is_raised(tmp_path):
    """Else a question whose table was filed away meanwhile would not be known as one to ask again."""
    with duckdb.connect() as connection:
        connection.execute("BEGIN TRANSACTION")
        with (
            pytest.raises(duckdb.CatalogException),
            registered(connection, "wanted", pa.table({"number": [1]})),
        ):
            connection.execute("SELECT * FROM filed_away")
        connection.execute("ROLLBACK")
        with registered(connection, "wanted", pa.table({"number": [2]})):
            assert connection.execute("SELECT number FROM wanted").fetchall() == [(2,)]


def test_counters_and_latest_are_told_while_tables_are_filed_away(tmp_path):
    store = open_series(f"duckdb:///{tmp_path / 's.duckdb'}?recent_rows=50")
    failures: list[Exception] = []
    stop = threading.Event()
    start = datetime(2026, 10, 1, tzinfo=UTC)

    def ask() -> None:
        while not stop.is_set():
            try:
                store.counter_runs(["a"], "generated_energy_wh", start, start + timedelta(days=9))
                store.boundary_readings(["a"], "generated_energy_wh", [start + timedelta(days=1)])
            except SeriesUnavailableError as error:
                failures.append(error)

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(150):
        moments = [start + timedelta(minutes=number * 25 + minute) for minute in range(25)]
        batch = [Sample("a", moment, moment, {"generated_energy_wh": 10}) for moment in moments]
        store.write(samples_to_table(batch))
        store.write(samples_to_table(batch[:3]))
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert store.statistics().rows == 150 * 25
    store.close()
