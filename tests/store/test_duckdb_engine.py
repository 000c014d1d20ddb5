"""What only the embedded engine promises: one owner, kill -9, bounded memory, readers beside a writer."""

import os
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

from store.problem import ProblemsError
from store.samples import SAMPLE_SCHEMA, Sample, samples_to_table
from store.series import SeriesUnavailableError, open_series

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


def test_kill_9_loses_no_acknowledged_batch_and_leaves_no_part_of_one(tmp_path):
    acknowledged = -1
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, address(tmp_path), str(acknowledged + 1)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with process, process.stdout as lines:
            for _ in range(20):
                line = lines.readline()
                acknowledged = int(line)
            process.send_signal(signal.SIGKILL)
            rest = lines.read().split("\n")
            acknowledged = max([acknowledged, *(int(text) for text in rest[:-1] if text)])
        began = time.monotonic()
        store = open_series(address(tmp_path))
        assert time.monotonic() - began < 5
        rows = store.statistics().rows
        store.close()
        # A batch may be stored whose acknowledgement never reached us, but never a part of one.
        assert rows % 50 == 0
        assert rows in {50 * (acknowledged + 1), 50 * (acknowledged + 2)}


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
    store._writer.execute("CREATE TABLE samples_202611 (device INTEGER)")
    november = START + timedelta(days=40)
    rows = [Sample("b", START, START, {"state": 1}), Sample("b", november, november, {"state": 2})]
    with pytest.raises(SeriesUnavailableError):
        store.write(samples_to_table(rows))
    assert store.statistics().rows == 1
    assert dict(store.latest(["b"])) == {}
    store._writer.execute("DROP TABLE samples_202611")
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
store._writer.execute(f"SET checkpoint_threshold='{sys.argv[2]}'")
start = datetime(2026, 10, 1, tzinfo=UTC)

def batch(number):
    time = start + number * timedelta(minutes=1)
    values = lambda n: {"active_power_w": n * 1.7 * number, "generated_energy_wh": n * number}
    return samples_to_table([Sample(f"d{n}", time, time, values(n)) for n in range(500)])

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
stored = refused = 0
for number in range(100):
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


@pytest.mark.parametrize("checkpoint", ["100MB", "1MB"])
def test_a_full_disk_refuses_batches_and_resumes_by_itself_with_nothing_lost(tmp_path, checkpoint):
    """A file size limit stands for the full disk; with a small threshold the checkpoint is what fails."""
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK, address(tmp_path), checkpoint],
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
