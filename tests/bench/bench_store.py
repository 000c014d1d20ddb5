# ruff: noqa: S608, only the names of quantities are put into the queries
"""The embedded store beside DuckDB fed by hand with the same Arrow tables, in one run.

Small by default: 3 000 devices (500 stations × 6), 30 quantities, 1 minute, some hours.
`SUNLEDGER_BENCH_HOURS=744` is the full month. Figures are medians unless named otherwise.
"""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pyarrow as pa

from store.energy import EnergyQuestion, answer
from store.periods import Period
from store.samples import QUANTITIES, SAMPLE_SCHEMA, QuantityKind
from store.series import SeriesStore, open_series

DEVICES = int(os.environ.get("SUNLEDGER_BENCH_DEVICES", "3000"))
BATCHES = 400
HOURS = int(os.environ.get("SUNLEDGER_BENCH_HOURS", "6"))
START = datetime(2026, 10, 5, 0, 0, tzinfo=UTC)
MEASURED = [name for name in QUANTITIES if name not in {"irradiance_w_m2", "ambient_temperature_c"}][:30]
IDS = pa.array([f"device-{number:05}" for number in range(DEVICES)])


def batch(hour: int, minutes: int = 60) -> pa.Table:
    """One hour of every device, minute by minute, as it would arrive."""
    generator = np.random.default_rng(hour)
    count = DEVICES * minutes
    first = int(START.timestamp()) + hour * 3600
    seconds = np.repeat(np.arange(minutes) * 60, DEVICES) + first
    time_of = pa.array(seconds * 1_000_000, pa.timestamp("us", tz="UTC"))
    received = pa.array(seconds * 1_000_000 + generator.integers(0, 900_000, count), time_of.type)
    columns = {
        "device_id": pa.concat_arrays([IDS] * minutes),
        "time": time_of,
        "received_at": received,
        "flags": pa.array(np.zeros(count, np.int32)),
    }
    scale = np.tile(generator.uniform(0.8, 1.0, DEVICES), minutes)
    for number, name in enumerate(MEASURED):
        if QUANTITIES[name].kind is QuantityKind.COUNTER:
            columns[name] = pa.array(10_000_000 + (seconds - int(START.timestamp())) * 14)
        elif QUANTITIES[name].kind is QuantityKind.GAUGE:
            values = np.round((100 + number) * scale * (1 + 0.1 * generator.standard_normal(count)), 1)
            columns[name] = pa.array(values)
        else:
            columns[name] = pa.array(np.full(count, 3), QUANTITIES[name].arrow_type)
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in SAMPLE_SCHEMA]
    return pa.table(
        [pa.chunked_array([array]).cast(f.type) for array, f in zip(arrays, SAMPLE_SCHEMA, strict=True)],
        schema=SAMPLE_SCHEMA,
    )


def raw_connection(path: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB as one would open it by hand, with the same bounds as ours."""
    connection = duckdb.connect(str(path), config={"memory_limit": "256MB", "threads": "2"})
    empty = SAMPLE_SCHEMA.empty_table()
    connection.register("empty", empty)
    connection.execute("CREATE TABLE samples AS SELECT * FROM empty")
    return connection


def raw_insert(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> None:
    connection.register("offered", table)
    connection.execute("INSERT INTO samples SELECT * FROM offered")
    connection.unregister("offered")


def timed(work: Callable[[], object], times: int = 5) -> float:
    """Median milliseconds of some runs."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def once(work: Callable[[], object]) -> float:
    """Milliseconds of one run."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def line(what: str, ours: str, raw: str = "–", aim: str = "") -> None:
    print(f"{what:<46} {ours:>16} {raw:>16}  {aim}", flush=True)


def bulk_load(store: SeriesStore, connection: duckdb.DuckDBPyConnection) -> None:
    ours, raw, rows = 0.0, 0.0, 0
    for hour in range(HOURS):
        table = batch(hour)
        began = time.perf_counter()
        store.write(table)
        middle = time.perf_counter()
        raw_insert(connection, table)
        raw += time.perf_counter() - middle
        ours += middle - began
        rows += table.num_rows
    speed = (rows / ours, rows / raw)
    line(
        "bulk load [rows/s]",
        f"{speed[0]:,.0f}",
        f"{speed[1]:,.0f}",
        f"ratio {speed[0] / speed[1]:.2f}, aim ≥ 0.6",
    )


def slices(table: pa.Table, size: int = 250) -> Iterator[pa.Table]:
    for offset in range(0, table.num_rows, size):
        yield table.slice(offset, size)


def micro_batches(store: SeriesStore, connection: duckdb.DuckDBPyConnection) -> None:
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            interval = (START, START + timedelta(hours=HOURS))
            store.downsample(["device-00001"], interval, timedelta(minutes=5), {"active_power_w": "mean"})
            store.latest(["device-00002"])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    ours = [once(lambda part=part: store.write(part)) for part in list(slices(batch(HOURS)))[:BATCHES]]
    stop.set()
    for reader in readers:
        reader.join()
    alone: list[float] = []
    raw: list[float] = []
    for part in list(slices(batch(HOURS + 1)))[:BATCHES]:
        alone.append(once(lambda part=part: store.write(part)))
        raw.append(once(lambda part=part: raw_insert(connection, part)))
    for name, share, aim in (("p50", 0.5, "≤ 10"), ("p99", 0.99, "≤ 60"), ("longest", 1.0, "≤ 200")):
        values = [sorted(taken)[min(BATCHES - 1, int(share * BATCHES))] for taken in (ours, alone, raw)]
        line(f"durable 250-row batch {name} [ms]", f"{values[1]:.1f}", f"{values[2]:.1f}")
        line(f"  the same beside 2 readers {name} [ms]", f"{values[0]:.1f}", aim=f"aim {aim}")


def queries(store: SeriesStore, connection: duckdb.DuckDBPyConnection) -> None:
    ids = IDS.to_pylist()
    raw = "SELECT device_id, max(time), arg_max(active_power_w, time) FROM samples GROUP BY device_id"
    line(
        f"latest values of {DEVICES} devices [ms]",
        f"{timed(lambda: store.latest(ids)):.1f}",
        f"{timed(lambda: connection.execute(raw).fetchall()):.1f}",
        "aim ≤ 50",
    )
    interval = (START, START + timedelta(days=1))
    wanted = {name: "mean" for name in MEASURED if QUANTITIES[name].kind is QuantityKind.GAUGE}
    means = ", ".join(f"avg({name})" for name in wanted)
    by_hand = (
        f"SELECT time_bucket(INTERVAL 5 MINUTE, time::TIMESTAMP) b, {means} FROM samples "
        "WHERE device_id = 'device-00007' GROUP BY b ORDER BY b"
    )
    line(
        "one device's day at 5-minute means [ms]",
        f"{timed(lambda: store.downsample(['device-00007'], interval, timedelta(minutes=5), wanted)):.1f}",
        f"{timed(lambda: connection.sql(by_hand).to_arrow_table()):.1f}",
        "aim ≤ 100",
    )
    question = EnergyQuestion(ids, [Period.parse("2026-10")], rated_power_w=dict.fromkeys(ids, 100_000))
    sql = (
        "SELECT device_id, sum(step) FILTER (step >= 0) FROM (SELECT device_id, generated_energy_wh "
        "- lag(generated_energy_wh) OVER (PARTITION BY device_id ORDER BY time) step FROM samples) GROUP BY 1"
    )
    ours, hand = (
        timed(lambda: answer(store, question), 3),
        timed(lambda: connection.execute(sql).fetchall(), 3),
    )
    line(
        "month's energy of all devices [ms]",
        f"{ours:.0f}",
        f"{hand:.0f}",
        f"ratio {ours / hand:.2f}, aim ≤ 2",
    )


def main() -> None:
    """Run all and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"duckdb:///{folder}/ours.duckdb?memory_limit=256MB"
        store, connection = open_series(address), raw_connection(Path(folder) / "raw.duckdb")
        line("", "ours", "DuckDB by hand")
        bulk_load(store, connection)
        micro_batches(store, connection)
        queries(store, connection)
        rows = store.statistics().rows
        store.close()
        connection.close()
        sizes = [(Path(folder) / name).stat().st_size for name in ("ours.duckdb", "raw.duckdb")]
        counts = (rows, rows - 250 * BATCHES)
        per_value = [f"{size / n / len(MEASURED):.2f}" for size, n in zip(sizes, counts, strict=True)]
        line("bytes per stored value", *per_value, "aim ≤ 1.2")
        began = time.perf_counter()
        store = open_series(address)
        line("open again [s]", f"{time.perf_counter() - began:.2f}", "–", "aim ≤ 5")
        store.close()
    memory = psutil.Process().memory_info().rss / 1e6
    print(f"{rows:,} rows, {rows * len(MEASURED):,} values; resident memory of the whole run {memory:.0f} MB")


if __name__ == "__main__":
    main()
