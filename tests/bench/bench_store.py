# ruff: noqa: S608, only the names of quantities are put into the queries
"""The embedded store beside DuckDB fed by hand with the same Arrow tables, each in a process of its own.

Two workloads: 3 000 devices (500 stations × 6) with 30 quantities at 1 minute, and a county of 264 devices at
5 minutes. `SUNLEDGER_BENCH_DAYS` (1; the full month is 31) and `SUNLEDGER_BENCH_COUNTY_DAYS` (60; three years
are 1096) set how much. Figures are medians unless named otherwise.
"""

import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import psutil
import pyarrow as pa

from store.energy import EnergyQuestion, answer
from store.periods import Period
from store.samples import QUANTITIES, SAMPLE_SCHEMA, QuantityKind
from store.series import open_series
from tests.bench.village import MEASURED, ORIGIN, RATED_W, START, batch, identifiers

DAYS = float(os.environ.get("SUNLEDGER_BENCH_DAYS", "1"))
COUNTY_DAYS = float(os.environ.get("SUNLEDGER_BENCH_COUNTY_DAYS", "60"))
BATCHES = 1000
MEMORY = "256MB"
GAUGES = {name: "mean" for name in MEASURED if QUANTITIES[name].kind is QuantityKind.GAUGE}


@dataclass(frozen=True)
class Load:
    """A workload: devices, minutes between samples, days."""

    name: str
    devices: int
    step: int
    days: float

    @property
    def minutes(self) -> int:
        return int(self.days * 1440)

    def batches(self) -> Iterator[pa.Table]:
        """Yield the history in batches of about 60 000 rows."""
        width = max(self.step, 60_000 * self.step // self.devices // 20 * 20)
        for minute in range(0, self.minutes, width):
            yield batch(self.devices, minute, min(width, self.minutes - minute), self.step)


LOADS = (
    Load("3 000 devices, 1 minute", 3000, 1, DAYS),
    Load("county, 264 devices, 5 minutes", 264, 5, COUNTY_DAYS),
)


class Peak:
    """The largest resident memory of this process, looked at 20 times a second [MB]."""

    def __init__(self) -> None:
        self.most = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.most = max(self.most, process.memory_info().rss / 1e6)
            time.sleep(0.05)


def timed(work: Callable[[], object], times: int = 5) -> float:
    """Median milliseconds of some runs."""
    return statistics.median(once(work) for _ in range(times))


def once(work: Callable[[], object]) -> float:
    """Milliseconds of one run."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def shares(taken: list[float]) -> tuple[float, float, float]:
    """p50, p99 and the longest."""
    ordered = sorted(taken)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]


def small_batches(load: Load, turn: int) -> list[pa.Table]:
    """Batches of 250 rows that follow the history, and those of the turn before."""
    minutes = -(-BATCHES * 250 * load.step // load.devices) + load.step
    table = batch(load.devices, load.minutes + turn * minutes, minutes, load.step)
    return [table.slice(250 * number, 250) for number in range(BATCHES)]


def beside_readers(
    read: Callable[[], object], write: Callable[[pa.Table], object], load: Load, pause: float
) -> list[float]:
    """Milliseconds that each small batch took while two readers asked, with a pause [s] between questions."""
    stop = threading.Event()

    def reading() -> None:
        while not stop.is_set():
            read()
            time.sleep(pause)

    readers = [threading.Thread(target=reading) for _ in range(2)]
    for reader in readers:
        reader.start()
    taken = [once(lambda part=part: write(part)) for part in small_batches(load, turn=int(pause > 0))]
    stop.set()
    for reader in readers:
        reader.join()
    return taken


def waits(read: Callable[[], object], write: Callable[[pa.Table], object], load: Load) -> dict[str, float]:
    """How long small batches took beside readers without a pause, and beside readers that pause."""
    found: dict[str, float] = {}
    for name, pause in (("", 0.0), (", paced", 0.05)):
        p50, p99, longest = shares(beside_readers(read, write, load, pause))
        found |= {f"p50{name}": p50, f"p99{name}": p99, f"longest{name}": longest}
    return found


def size_of(path: Path, rows: int) -> dict[str, float]:
    """Bytes per value of the whole file, and of its blocks in use (the rest is free for what comes)."""
    with duckdb.connect(str(path), config={"memory_limit": MEMORY}) as connection:
        found = connection.execute("SELECT block_size * used_blocks FROM pragma_database_size()").fetchall()
    values = rows * len(MEASURED)
    return {"bytes": path.stat().st_size / values, "bytes used": found[0][0] / values}


def month() -> Period:
    return Period.month_of(START + timedelta(hours=8))


def ours(folder: str, load: Load) -> dict[str, float]:
    """Our figures of a workload."""
    peak, path = Peak(), Path(folder) / "ours.duckdb"
    store = open_series(f"duckdb:///{path}?memory_limit={MEMORY}")
    took, rows = 0.0, 0
    for table in load.batches():
        took += once(lambda table=table: store.write(table))
        rows += table.num_rows
    found = {"rows": rows, "rows/s": rows / took * 1000, "memory, loading": peak.most}
    ids = identifiers(load.devices).to_pylist()
    last_day = (START + timedelta(days=max(0.0, load.days - 1)), START + timedelta(days=load.days))
    power = {"active_power_w": "mean"}

    def read() -> None:
        store.downsample(ids[1:2], last_day, timedelta(minutes=5), power)
        store.latest(ids[2:3])

    found |= waits(read, store.write, load)
    found["latest"] = timed(lambda: store.latest(ids))
    found["day"] = timed(lambda: store.downsample(ids[7:8], last_day, timedelta(minutes=5), GAUGES))
    question = EnergyQuestion(ids, [month()], rated_power_w=dict.fromkeys(ids, RATED_W))
    found["energy, first"] = once(lambda: answer(store, question))
    found["rolled up [s]"] = once(store.sum_up) / 1000
    found["energy"] = timed(lambda: answer(store, question))
    found["wh"] = sum(one.energy_wh or 0 for one in answer(store, question))
    found["memory"] = peak.most
    rows = store.statistics().rows
    store.close()
    found |= size_of(path, rows)
    return found


def hand(folder: str, load: Load) -> dict[str, float]:
    """The figures of DuckDB as one would use it by hand, with the same bounds."""
    peak, path = Peak(), Path(folder) / "hand.duckdb"
    connection = duckdb.connect(str(path), config={"memory_limit": MEMORY, "threads": "2"})
    connection.execute("SET enable_progress_bar = false")
    connection.register("empty", SAMPLE_SCHEMA.empty_table())
    connection.execute("CREATE TABLE samples AS SELECT * FROM empty")

    def insert(table: pa.Table) -> None:
        connection.register("offered", table)
        connection.execute("INSERT INTO samples SELECT * FROM offered")
        connection.unregister("offered")

    took, rows = 0.0, 0
    for table in load.batches():
        took += once(lambda table=table: insert(table))
        rows += table.num_rows
    found = {"rows": rows, "rows/s": rows / took * 1000, "memory, loading": peak.most}
    end = ORIGIN + int(load.days * 86_400)
    bounds = f"epoch(time) >= {max(ORIGIN, end - 86_400)} AND epoch(time) < {end}"
    reader = threading.local()

    def ask(sql: str) -> object:
        if not hasattr(reader, "cursor"):
            reader.cursor = connection.cursor()
        return reader.cursor.execute(sql).fetchall()

    power = (
        "SELECT time_bucket(INTERVAL 5 MINUTE, time::TIMESTAMP) b, avg(active_power_w) FROM samples "
        f"WHERE device_id = 'device-00001' AND {bounds} GROUP BY b"
    )
    found |= waits(lambda: ask(power), insert, load)
    newest = "SELECT device_id, max(time), arg_max(active_power_w, time) FROM samples GROUP BY device_id"
    found["latest"] = timed(lambda: ask(newest))
    means = ", ".join(f"avg({name})" for name in GAUGES)
    day = (
        f"SELECT time_bucket(INTERVAL 5 MINUTE, time::TIMESTAMP) b, {means} FROM samples "
        f"WHERE device_id = 'device-00007' AND {bounds} GROUP BY b ORDER BY b"
    )
    found["day"] = timed(lambda: ask(day))
    span = f"time >= '{month().start_utc.isoformat()}' AND time < '{month().end_utc.isoformat()}'"
    steps = (
        "SELECT device_id, sum(step) FILTER (step >= 0) FROM (SELECT device_id, generated_energy_wh - "
        "lag(generated_energy_wh) OVER (PARTITION BY device_id ORDER BY time) step "
        f"FROM samples WHERE {span}) GROUP BY 1"
    )
    ends = (
        "SELECT device_id, max(generated_energy_wh) - min(generated_energy_wh) FROM samples "
        f"WHERE {span} GROUP BY 1"
    )
    found["energy"] = timed(lambda: ask(steps), 1)
    found["energy, ends"] = timed(lambda: ask(ends), 3)
    found["memory"] = peak.most
    connection.close()
    found |= size_of(path, rows + 2 * 250 * BATCHES)
    return found


KILLED = """
import sys, time
from store.series import open_series
from tests.bench.village import batch
store = open_series(sys.argv[1])
table = batch(int(sys.argv[2]), int(sys.argv[3]), 60)
for offset in range(0, 50_000, 250):
    store.write(table.slice(offset, 250))
print("ready", flush=True)
time.sleep(600)
"""


def start_after_kill(folder: str, load: Load) -> float:
    """Seconds to open the store after its writer was killed -9 with a log of up to 50 000 rows."""
    address = f"duckdb:///{folder}/ours.duckdb?memory_limit={MEMORY}"
    arguments = [sys.executable, "-c", KILLED, address, str(load.devices), str(load.minutes + 100_000)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    began = time.perf_counter()
    store = open_series(address)
    took = time.perf_counter() - began
    store.close()
    return took


def apart(work: Callable[[str, Load], dict[str, float]], folder: str, load: Load) -> dict[str, float]:
    """Run in a process of its own, so that memory is counted apart."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, (folder, load))


def line(what: str, mine: str, theirs: str = "–", aim: str = "") -> None:
    print(f"{what:<52} {mine:>14} {theirs:>14}  {aim}", flush=True)


def show(load: Load, mine: dict[str, float], theirs: dict[str, float], start: float) -> None:
    rows = mine["rows"]
    print(f"\n{load.name}: {load.days:g} days, {rows:,.0f} rows, {rows * len(MEASURED):,.0f} values")
    line("", "ours", "DuckDB by hand")
    ratio = mine["rows/s"] / theirs["rows/s"]
    line(
        "bulk load [rows/s]",
        f"{mine['rows/s']:,.0f}",
        f"{theirs['rows/s']:,.0f}",
        f"ratio {ratio:.2f}, aim ≥ 0.6",
    )
    for name, aim in (("p50", "≤ 10"), ("p99", "≤ 60"), ("longest", "≤ 200")):
        for kind, words in (("", "beside 2 readers"), (", paced", "beside 2 × 20 questions/s")):
            both = f"{mine[name + kind]:.1f}", f"{theirs[name + kind]:.1f}"
            line(f"250-row batch {words}, {name} [ms]", *both, f"aim {aim}")
    line("bytes per value, whole file", f"{mine['bytes']:.2f}", f"{theirs['bytes']:.2f}", "aim ≤ 1.2")
    line("bytes per value, blocks in use", f"{mine['bytes used']:.2f}", f"{theirs['bytes used']:.2f}")
    line("latest of all devices [ms]", f"{mine['latest']:.1f}", f"{theirs['latest']:.1f}", "aim ≤ 50")
    line("one device's day, 5-minute means [ms]", f"{mine['day']:.1f}", f"{theirs['day']:.1f}", "aim ≤ 100")
    ratio = mine["energy"] / theirs["energy"]
    line(
        "month's energy, sum of steps [ms]",
        f"{mine['energy']:.0f}",
        f"{theirs['energy']:.0f}",
        f"ratio {ratio:.2f}, aim ≤ 2",
    )
    ratio = mine["energy"] / theirs["energy, ends"]
    line(
        "  beside last less first, no faults seen [ms]",
        "",
        f"{theirs['energy, ends']:.0f}",
        f"ratio {ratio:.2f}",
    )
    line("  before any day was summed up [ms]", f"{mine['energy, first']:.0f}")
    line("  summing up the closed days [s]", f"{mine['rolled up [s]']:.1f}")
    line("start after kill -9 [s]", f"{start:.2f}", aim="aim ≤ 5")
    line(
        "resident memory, loading [MB]", f"{mine['memory, loading']:.0f}", f"{theirs['memory, loading']:.0f}"
    )
    line("resident memory, highest [MB]", f"{mine['memory']:.0f}", f"{theirs['memory']:.0f}", "aim ≤ 700")


def main() -> None:
    """Run both workloads and print a table of each."""
    for load in [load for load in LOADS if load.days]:
        with tempfile.TemporaryDirectory() as folder:
            theirs, mine = apart(hand, folder, load), apart(ours, folder, load)
            (Path(folder) / "hand.duckdb").unlink()
            show(load, mine, theirs, start_after_kill(folder, load))


if __name__ == "__main__":
    main()
