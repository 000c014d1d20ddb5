"""The engines on servers, each beside what its own client does when it is fed by hand in the same run.

VictoriaMetrics of Debian and, where `make influxd` has built it, InfluxDB 2; each a real server of its own on
loopback. 300 devices with 30 quantities at 1 minute; `SUNLEDGER_BENCH_SERVER_MINUTES` (240) sets how long.
The server works on the same two cores, so rows per second are the server's as much as ours: our share is the
processor time of this process.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import pyarrow as pa
from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS

from store.energy import EnergyQuestion, answer
from store.engines.lines import lines
from store.periods import Period
from store.samples import QUANTITIES, QuantityKind
from store.series import SeriesStore, open_series, prepare_series
from tests.bench.village import MEASURED, RATED_W, START, batch, identifiers
from tests.store.conftest import INFLUX_TOKEN, influx, influxd, victoria_metrics

DEVICES = 300
MINUTES = int(os.environ.get("SUNLEDGER_BENCH_SERVER_MINUTES", "240"))
BATCH_MINUTES = 10
POINT_ROWS = 3_000
BACKLOG_MINUTE = 20_000
GAUGES = {name: "mean" for name in MEASURED if QUANTITIES[name].kind is QuantityKind.GAUGE}


@dataclass(frozen=True)
class Server:
    """A running server: our address, the client's address and credentials, its process, unit of time."""

    name: str
    url: str
    client: dict[str, str]
    bucket: str
    process: int
    unit_us: int
    typed: bool

    @property
    def precision(self) -> str:
        return WritePrecision.US if self.unit_us == 1 else WritePrecision.MS

    @property
    def resident_mb(self) -> float:
        return psutil.Process(self.process).memory_info().rss / 1e6


def servers(folder: Path, stack: ExitStack) -> Iterator[Server]:
    """Start the servers that are to be had."""
    (folder / "vm").mkdir()
    port, process = stack.enter_context(victoria_metrics(folder / "vm"))
    address = f"127.0.0.1:{port}"
    client = {"url": f"http://{address}", "token": "-", "org": "-"}
    yield Server(
        "VictoriaMetrics", f"victoriametrics://{address}", client, "x", process.pid, 1000, typed=False
    )
    try:
        influxd()
    except AssertionError:
        print("InfluxDB 2 is not here: make influxd")
        return
    port, process = stack.enter_context(influx(folder / "influx"))
    url = f"influxdb://:{INFLUX_TOKEN}@127.0.0.1:{port}/county/first"
    prepare_series(url)
    client = {"url": f"http://127.0.0.1:{port}", "token": INFLUX_TOKEN, "org": "county"}
    yield Server("InfluxDB 2", url, client, "first", process.pid, 1, typed=True)


def batches(first_minute: int = 0) -> list[pa.Table]:
    return [
        batch(DEVICES, first_minute + minute, min(BATCH_MINUTES, MINUTES - minute))
        for minute in range(0, MINUTES, BATCH_MINUTES)
    ]


def measured(work: Callable[[pa.Table], object], tables: Sequence[pa.Table]) -> tuple[float, float]:
    """Return rows a second and processor microseconds a row of this process."""
    began, used = time.perf_counter(), time.process_time()
    for table in tables:
        work(table)
    rows = sum(table.num_rows for table in tables)
    return rows / (time.perf_counter() - began), (time.process_time() - used) / rows * 1e6


def by_hand(server: Server, measurement: str) -> Callable[[pa.Table], None]:
    """Line-protocol strings through the same WriteApi, with no question whether a row is there already."""
    api = InfluxDBClient(**server.client, enable_gzip=True).write_api(write_options=SYNCHRONOUS)

    def write(table: pa.Table) -> None:
        text = "\n".join(lines(table, measurement, unit_us=server.unit_us, typed=server.typed))
        api.write(bucket=server.bucket, record=text, write_precision=server.precision)

    return write


def by_points(server: Server, measurement: str) -> Callable[[pa.Table], None]:
    """The client's Point objects, as its tutorial writes them."""
    api = InfluxDBClient(**server.client, enable_gzip=True).write_api(write_options=SYNCHRONOUS)

    def write(table: pa.Table) -> None:
        points = []
        for row in table.to_pylist():
            point = Point(measurement).tag("device", row["device_id"]).time(row["time"], server.precision)
            for name in MEASURED:
                if row[name] is not None:
                    point.field(name, row[name])
            points.append(point)
        api.write(bucket=server.bucket, record=points, write_precision=server.precision)

    return write


def medians(figures: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the median rate and the median cost."""
    return statistics.median(one[0] for one in figures), statistics.median(one[1] for one in figures)


def median_ms(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def queries(store: SeriesStore) -> dict[str, float]:
    """Milliseconds of the four questions that pages ask."""
    ids = identifiers(DEVICES).to_pylist()
    day = (START, START + timedelta(days=1))
    month = Period.month_of(START + timedelta(hours=8))
    question = EnergyQuestion(ids, [month], rated_power_w=dict.fromkeys(ids, RATED_W))
    store.latest(ids)
    return {
        "latest of all devices [ms]": median_ms(lambda: store.latest(ids)),
        "one device's day, 5-minute means [ms]": median_ms(
            lambda: store.downsample(ids[7:8], day, timedelta(minutes=5), GAUGES)
        ),
        "coverage of a day, all devices [ms]": median_ms(
            lambda: store.coverage(ids, day, timedelta(minutes=5))
        ),
        "month's energy of all devices [ms]": median_ms(lambda: answer(store, question)),
    }


def tell(what: str, *figures: str) -> None:
    print(f"  {what:<44}" + "".join(f"{figure:>16}" for figure in figures), flush=True)


def report(server: Server) -> None:
    """Measure one server and print its figures."""
    print(f"\n{server.name}: {DEVICES} devices × {MINUTES} minutes × {len(MEASURED)} quantities")
    store = open_series(server.url)
    # Turn by turn, so that what the machine does beside falls on both alike.
    mine, hand = [], []
    direct = by_hand(server, "byhand")
    for table in batches():
        mine.append(measured(store.write, [table]))
        hand.append(measured(direct, [table]))
    points = measured(by_points(server, "points"), [batch(DEVICES, 0, POINT_ROWS // DEVICES)])
    (rate, cost), (rate_hand, cost_hand) = medians(mine), medians(hand)
    tell("", "ours", "by hand", "Point objects")
    tell("write [rows/s]", f"{rate:,.0f}", f"{rate_hand:,.0f}", f"{points[0]:,.0f}")
    tell("processor of this process [µs/row]", f"{cost:.1f}", f"{cost_hand:.1f}", f"{points[1]:.1f}")
    tell("ratio to by hand (aim ≥ 0.8)", f"{rate / rate_hand:.2f}", "1.00", f"{points[0] / rate_hand:.2f}")
    backlog = batches(first_minute=BACKLOG_MINUTE)
    share = measured(store.write, backlog)
    rows = sum(table.num_rows for table in backlog)
    tell("a backlog drains [rows/s]", f"{share[0]:,.0f}")
    tell("  of which this process computes", f"{share[1] * share[0] / 1e6:.0%}")
    for name, value in queries(store).items():
        tell(name, f"{value:.1f}")
    time.sleep(12)
    found = store.statistics()
    if found.size_bytes:
        everything = (found.rows + sum(table.num_rows for table in batches()) + POINT_ROWS) * len(MEASURED)
        tell("bytes per value on disk, so far", f"{found.size_bytes / everything:.2f}")
    tell("rows stored", f"{found.rows:,}", f"of {2 * rows:,}")
    tell("server's resident memory [MB]", f"{server.resident_mb:.0f}")
    store.close()


def main() -> None:
    """Run every server that is to be had."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        for server in servers(Path(name), stack):
            report(server)


if __name__ == "__main__":
    main()
