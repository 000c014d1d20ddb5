# ruff: noqa: S608, table and column names are ours, every value is a parameter
"""Layout of the embedded engine: month tables, tables in memory, columns, and how the file is opened.

Owns what is written where in a DuckDB file and the settings of the connection. It stores and reads nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import duckdb
import numpy as np
import pyarrow as pa

from store.engines.batches import Integers, instant, microseconds
from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES, SAMPLE_SCHEMA
from store.series import Conflict

LAYOUT = 2
RECENT_ROWS = 60_000
NEVER = np.iinfo(np.int64).min
FOREVER = np.iinfo(np.int64).max
NOTHING: Integers = np.empty(0, np.int64)
SHANGHAI_OFFSET_US = 8 * 3600 * 1_000_000
STORED = ("device", *SAMPLE_SCHEMA.names[1:])
_SQL_TYPES = {pa.float64(): "DOUBLE", pa.int64(): "BIGINT", pa.int32(): "INTEGER"}
AGGREGATES = {
    "mean": "avg({0})",
    "min": "min({0})",
    "max": "max({0})",
    "first": "arg_min({0}, time)",
    "last": "arg_max({0}, time)",
}


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One month's table: its first and last-plus-one instant [us since 1970]."""

    start: int
    end: int

    @property
    def table(self) -> str:
        """Name of the month's table."""
        return f"samples_{instant(self.start):%Y%m}"


def partition_of(time: int) -> Partition:
    """Return the month in which an instant [us since 1970] lies."""
    month = instant(time).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (month + timedelta(days=32)).replace(day=1)
    return Partition(microseconds(month), microseconds(following))


def months_of(times: Integers) -> list[Partition]:
    """Return the months in which instants [us] lie."""
    found, rest = [], times
    while len(rest):
        found.append(partition_of(int(rest.min())))
        rest = rest[rest >= found[-1].end]
    return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a round: its new rows, conflicts, and the devices whose stored rows were completed."""

    table: pa.Table
    numbers: Integers
    times: Integers
    conflicts: tuple[Conflict, ...] = ()
    changed: Integers = field(default_factory=lambda: NOTHING)


@dataclass(slots=True, eq=False)
class Recent:
    """A table in memory with the rows of one file of the log: its number, rows, and their span [us]."""

    segment: int
    rows: int = 0
    low: int = FOREVER
    high: int = NEVER

    @property
    def table(self) -> str:
        """Name of the table."""
        return f"recent.rows_{self.segment}"

    def grow(self, times: Integers) -> None:
        """Take note of new rows."""
        if len(times):
            self.rows += len(times)
            self.low, self.high = min(self.low, int(times.min())), max(self.high, int(times.max()))


@dataclass(frozen=True, slots=True)
class Address:
    """What `duckdb:///FILE?memory_limit=…&threads=…&recent_rows=…` says.

    `recent_rows` is how many rows gather in memory before they are filed.
    """

    path: Path
    memory_limit: str
    threads: int
    recent_rows: int


def parse_address(url: str) -> Address:
    """Read the address; raises ProblemsError when it is wrong."""
    prefix = "duckdb:///"
    if not url.startswith(prefix) or len(url) == len(prefix):
        raise ProblemsError(
            [Problem("SUNLEDGER_SERIES_URL", f"“{url}” 没有文件路径", "写成 duckdb:///文件路径")]
        )
    path, _, query = url.removeprefix(prefix).partition("?")
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    counts = {
        "threads": options.pop("threads", "2"),
        "recent_rows": options.pop("recent_rows", str(RECENT_ROWS)),
    }
    memory_limit = options.pop("memory_limit", "256MB")
    wrong = [*options, *(f"{name}={text}" for name, text in counts.items() if not _is_count(text))]
    if wrong:
        raise ProblemsError(
            [
                Problem(
                    "SUNLEDGER_SERIES_URL",
                    f"参数不对：{'、'.join(wrong)}",
                    "可用 memory_limit=256MB、threads=2 与 recent_rows=60000",
                )
            ]
        )
    return Address(Path(path), memory_limit, int(counts["threads"]), int(counts["recent_rows"]))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) > 0


def connect(address: Address) -> Any:
    """Open or create the file; raises ProblemsError when it is held elsewhere or cannot be opened."""
    path = address.path
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": address.memory_limit,
        "threads": str(address.threads),
        "preserve_insertion_order": "false",
        "checkpoint_threshold": "32MB",
        "temp_directory": f"{path}.tmp",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path), config=config)
        connection.execute("ATTACH ':memory:' AS recent")
    except OSError as error:
        raise ProblemsError(
            [Problem(str(path.parent), f"目录不能建立：{error.strerror}", "换一个目录，或改正它的权限")]
        ) from error
    except duckdb.Error as error:
        text = str(error)
        if "lock" in text:
            problem = Problem(
                str(path), "时序库已被另一个进程打开", "停止那个进程，或让命令经由正在运行的服务执行"
            )
        else:
            problem = Problem(
                str(path),
                f"时序库打不开：{text.splitlines()[0]}",
                "检查路径、权限、磁盘空间和 memory_limit 等参数",
            )
        raise ProblemsError([problem]) from error
    return connection


@dataclass(frozen=True, slots=True)
class Scan:
    """A FROM and WHERE clause over stored rows `s` and wanted devices `w`, with its parameters."""

    sql: str
    params: Mapping[str, Any]
    ids: Sequence[str]


def column_definition(name: str) -> str:
    """Return a stored column as it is declared in a month's table."""
    if name == "device":
        return "device INTEGER NOT NULL"
    if name in {"time", "received_at"}:
        return f"{name} TIMESTAMP"
    return f"{name} {_SQL_TYPES[SAMPLE_SCHEMA.field(name).type]}"


MEANS_KEYS = (
    "device INTEGER NOT NULL",
    "time TIMESTAMP",
    "last_at TIMESTAMP",
    "samples INTEGER",
    "flags INTEGER",
)


def means_columns() -> list[str]:
    """Return the columns of a month of 15-minute means as they are declared.

    `time` is the beginning of the quarter of an hour, `last_at` the time of its last sample.
    """
    return [*MEANS_KEYS, *(column_definition(name) for name in QUANTITIES)]


def means_table(partition: Partition) -> str:
    """Return the name of a month's table of 15-minute means."""
    return partition.table.replace("samples", "means")


def spans_table(oldest: Integers, newest: Integers, count: int) -> pa.Table:
    """Return the oldest and newest time [us] of the first `count` devices that have any."""
    numbers = np.flatnonzero(newest[:count] != NEVER)
    return pa.table(
        {"device": pa.array(numbers, pa.int32()), "oldest": oldest[numbers], "newest": newest[numbers]}
    )


def instant_text(time: int) -> str:
    """Return an instant [us] as it is written into a statement."""
    return f"make_timestamp({time})"


def plain(moment: datetime) -> datetime:
    """Return the UTC instant without its zone, as the tables hold it."""
    return instant(microseconds(moment)).replace(tzinfo=None)


def extended(numbers: Integers, size: int, filler: int) -> Integers:
    """Return the array lengthened to `size` with a filler."""
    return np.concatenate((numbers, np.full(size - len(numbers), filler, np.int64)))


def for_storage(table: pa.Table, numbers: Integers) -> pa.Table:
    """Return a batch with its device numbers and zoneless instants, in the order of STORED."""
    naive = pa.timestamp("us")
    keys = {
        "device": pa.array(numbers, pa.int32()),
        "time": table.column("time").cast(naive),
        "received_at": table.column("received_at").cast(naive),
    }
    return pa.table({name: keys[name] if name in keys else table.column(name) for name in STORED})


def keys_table(numbers: Integers, times: Integers) -> pa.Table:
    """Return keys with their positions, to be joined with stored rows."""
    return pa.table(
        {
            "position": np.arange(len(times)),
            "device": pa.array(numbers, pa.int32()),
            "time": pa.array(times).cast(pa.timestamp("us")),
        }
    )


def from_storage(found: pa.Table, names: pa.Array) -> pa.Table:
    """Return stored rows as a table of SAMPLE_SCHEMA; `names` are the identifiers of their devices."""
    columns = [names, *(found.column(name).cast(SAMPLE_SCHEMA.field(name).type) for name in STORED[1:])]
    return pa.table(columns, schema=SAMPLE_SCHEMA)


def downsample_sql(scan: Scan, step: timedelta, quantities: Mapping[str, str]) -> str:
    """Return the query that aggregates a scan per device and step, aligned in Asia/Shanghai."""
    width = step // timedelta(microseconds=1)
    columns = [f"{AGGREGATES[method].format(name)} AS {name}" for name, method in quantities.items()]
    bucket = f"(epoch_us(s.time) + {SHANGHAI_OFFSET_US}) // {width} AS bucket"
    inner = ", ".join(["w.rank", bucket, "s.time", *(f"s.{name}" for name in quantities)])
    outer = ", ".join(["rank", f"make_timestamp(bucket * {width} - {SHANGHAI_OFFSET_US}) AS time", *columns])
    return f"SELECT {outer} FROM (SELECT {inner} FROM {scan.sql}) GROUP BY rank, bucket ORDER BY rank, bucket"


def search_intervals(
    partitions: Sequence[Partition], boundary: datetime, *, before: bool
) -> list[tuple[datetime, datetime]]:
    """Return intervals to search from a boundary outward: an hour, two days, then month by month."""
    hour, near = timedelta(hours=1), timedelta(days=2)
    if before:
        intervals = [(boundary - hour, boundary), (boundary - near, boundary - hour)]
        edge = boundary - near
    else:
        intervals = [(boundary, boundary + hour), (boundary + hour, boundary + near)]
        edge = boundary + near
    for partition in sorted(partitions, reverse=before):
        start, end = instant(partition.start), instant(partition.end)
        clipped = (start, min(end, edge)) if before else (max(start, edge), end)
        if clipped[0] < clipped[1]:
            intervals.append(clipped)
    return intervals
