# ruff: noqa: S608, table and column names are ours, every value is a parameter
"""The open file of the embedded engine: its connection, and what is known of its contents in memory.

Owns opening, opening again after a fatal error, bringing a file of an older layout up to date, the numbers of
devices, the month tables, and the oldest and newest time of each device. Three locks are taken in this
order: `_writing` (one writer), `_filing` (one change of the file), `_lists` (the lists below, for a moment).
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from store.engines.batches import Integers, microseconds
from store.engines.embedded.layout import (
    FOREVER,
    LAYOUT,
    NEVER,
    NOTHING,
    STORED,
    Address,
    Partition,
    Recent,
    column_definition,
    connect,
    extended,
    means_columns,
    partition_of,
    spans_table,
)
from store.engines.embedded.log import BatchLog
from store.problem import Problem, ProblemsError
from store.samples import Sample
from store.series import SeriesUnavailableError

Result = TypeVar("Result")

_TABLES = (
    "CREATE TABLE IF NOT EXISTS layout (version INTEGER)",
    "CREATE TABLE IF NOT EXISTS device (number INTEGER, device_id VARCHAR)",
    "CREATE TABLE IF NOT EXISTS filed (segment BIGINT)",
    "CREATE TABLE IF NOT EXISTS span (device INTEGER, oldest BIGINT, newest BIGINT)",
    "CREATE TABLE IF NOT EXISTS counter_day (day INTEGER)",
    """CREATE TABLE IF NOT EXISTS counter_run (day INTEGER, quantity UTINYINT, device INTEGER,
    start BIGINT, first BIGINT, finish BIGINT, last BIGINT, largest BIGINT, clean BOOLEAN)""",
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where rows are at one moment: month tables, tables in memory, months of means; and which moment."""

    partitions: tuple[Partition, ...]
    recents: tuple[Recent, ...]
    means: tuple[Partition, ...]
    generation: int


class EmbeddedFile:
    """One DuckDB file, opened by this process alone, and the log beside it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._path = address.path
        self._writing = threading.RLock()
        self._filing = threading.RLock()
        self._lists = threading.Condition(threading.RLock())
        self._generation = 0
        self._broken, self._opener = False, 0
        self._connect()

    def _connect(self) -> None:
        """Open the file and learn what it holds; raises ProblemsError when that cannot be done."""
        self._connection = connect(self._address)
        self._numbers: dict[str, int] = {}
        self._ids: list[str] = []
        self._partitions: dict[str, Partition] = {}
        self._means: dict[str, Partition] = {}
        self._recents: list[Recent] = []
        self._newest: Integers = NOTHING
        self._oldest: Integers = NOTHING
        self._latest: dict[int, tuple[pa.Table, int]] = {}
        self._told: dict[int, Sample] = {}
        self._writer, self._filer = self._cursor(), self._cursor()
        try:
            self._prepare()
            self._log = BatchLog(Path(f"{self._path}.log"))
        except (duckdb.Error, OSError) as error:
            self._connection.close()
            how = "检查目录的权限和磁盘空间；文件若只读，请改正它的权限"
            raise ProblemsError([Problem(str(self._path), f"时序库打不开：{error}", how)]) from error

    def _cursor(self) -> Any:
        """Return a new cursor, which shows no progress on anybody's terminal."""
        cursor = self._connection.cursor()
        cursor.execute("SET enable_progress_bar = false")
        return cursor

    def _prepare(self) -> None:
        run = self._writer.execute
        run(_TABLES[0])
        version = run("SELECT max(version) FROM layout").fetchall()[0][0]
        if version is not None and version > LAYOUT:
            self._connection.close()
            raise ProblemsError(
                [Problem(str(self._path), f"时序库格式 {version} 比程序新（{LAYOUT}）", "请升级程序后再打开")]
            )
        run("BEGIN TRANSACTION")
        for statement in _TABLES[1:]:
            run(statement)
        if run("SELECT count(*) FROM filed").fetchall()[0][0] == 0:
            run("INSERT INTO filed VALUES (0)")
        for number, device_id in run("SELECT number, device_id FROM device ORDER BY number").fetchall():
            self._numbers[device_id] = number
            self._ids.append(device_id)
        self._settled = self._kept = len(self._ids)
        self._newest = extended(NOTHING, len(self._ids), NEVER)
        self._oldest = extended(NOTHING, len(self._ids), FOREVER)
        self._load_tables()
        if version == LAYOUT:
            for number, oldest, newest in run("SELECT device, oldest, newest FROM span").fetchall():
                self._oldest[number], self._newest[number] = oldest, newest
        else:
            self._measure_spans(self._writer, list(self._partitions.values()))
            self._write_spans(self._writer, self._spans())
            run("DELETE FROM layout")
            run("INSERT INTO layout VALUES (?)", [LAYOUT])
        run("COMMIT")

    def _load_tables(self) -> None:
        tables = self._writer.execute(
            "SELECT table_name, list(column_name) FROM duckdb_columns() WHERE database_name <> 'recent' "
            "AND regexp_matches(table_name, '^(samples|means)_[0-9]{6}$') GROUP BY table_name"
        ).fetchall()
        for table, columns in tables:
            month = datetime.strptime(f"{table[-6:]}01+0000", "%Y%m%d%z")
            raw = table.startswith("samples")
            (self._partitions if raw else self._means)[table] = partition_of(microseconds(month))
            for definition in map(column_definition, STORED) if raw else means_columns():
                if definition.split()[0] not in columns:
                    self._writer.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")

    def _measure_spans(self, cursor: Any, partitions: list[Partition]) -> None:
        """Learn the oldest and newest time of every device from its rows."""
        for partition in partitions:
            spans = cursor.execute(
                "SELECT device, epoch_us(min(time)), epoch_us(max(time)) "
                f"FROM {partition.table} GROUP BY device"
            ).fetchall()
            for number, oldest, newest in spans:
                self._oldest[number] = min(int(self._oldest[number]), oldest)
                self._newest[number] = max(int(self._newest[number]), newest)

    def _spans(self) -> pa.Table:
        """Return the spans of the devices whose rows are stored."""
        with self._lists:
            return spans_table(self._oldest, self._newest, self._settled)

    def _write_spans(self, cursor: Any, spans: pa.Table) -> None:
        """Write the spans of devices, which must cover every row of the file; part of a transaction."""
        cursor.execute("DELETE FROM span")
        with registered(cursor, "spans", spans):
            cursor.execute("INSERT INTO span SELECT device, oldest, newest FROM spans")

    def _write_devices(self, cursor: Any, count: int) -> None:
        """Write the devices that the file does not know yet, up to `count`; part of a transaction."""
        if count > self._kept:
            numbers = pa.array(range(self._kept, count), pa.int32())
            fresh = pa.table({"number": numbers, "device_id": self._ids[self._kept : count]})
            with registered(cursor, "fresh_devices", fresh):
                cursor.execute("INSERT INTO device SELECT number, device_id FROM fresh_devices")

    def _create(self, months: Iterable[Partition]) -> list[Partition]:
        """Return months in order; makes the tables that are missing."""
        ordered = sorted(set(months))
        columns = ", ".join(column_definition(name) for name in STORED)
        for month in ordered:
            if month.table not in self._partitions:
                self._filer.execute(f"CREATE TABLE IF NOT EXISTS {month.table} ({columns})")
                with self._lists:
                    self._partitions[month.table] = month
                    self._generation += 1
        return ordered

    def _sources(self) -> Sources:
        with self._lists:
            return Sources(
                tuple(sorted(self._partitions.values())),
                tuple(self._recents),
                tuple(sorted(self._means.values())),
                self._generation,
            )

    def _ask(self, question: Callable[[Any, Sources], Result]) -> Result:
        """Answer a question from one moment of the store.

        A table that went away, or a month that came, between the look at the lists and the beginning of the
        transaction makes it ask again.
        """
        while True:
            self._open_if_broken()
            sources = self._sources()
            with self._guarded(), self._cursor() as cursor:
                cursor.execute("BEGIN TRANSACTION")
                try:
                    result = question(cursor, sources)
                except duckdb.CatalogException:
                    if self._sources() == sources:
                        raise
                    continue
                finally:
                    with suppress(duckdb.Error):
                        cursor.execute("ROLLBACK")
            if self._generation == sources.generation:
                return result

    @contextmanager
    def _transaction(self, cursor: Any) -> Iterator[Any]:
        done = False
        cursor.execute("BEGIN TRANSACTION")
        try:
            yield cursor
            cursor.execute("COMMIT")
            done = True
        finally:
            if not done:
                # A failed COMMIT has ended the transaction already; the first error is the one to tell.
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what DuckDB or the disk raises in the block into SeriesUnavailableError.

        After a fatal error (a full disk during a checkpoint) DuckDB refuses everything until the file is
        opened again, which the next use does.
        """
        try:
            yield
        except SeriesUnavailableError:
            raise
        except duckdb.Error as error:
            self._broken = self._broken or isinstance(error, duckdb.FatalException)
            raise SeriesUnavailableError(f"时序库 {self._path} 暂不可用：{error}") from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise SeriesUnavailableError(
                f"时序库 {self._path} 暂时写不进：{reason}；请检查磁盘空间和权限"
            ) from error

    def _open_if_broken(self) -> None:
        if not self._broken or self._opener == threading.get_ident():
            return
        with self._writing, self._filing:
            if self._broken:
                with suppress(duckdb.Error):
                    self._connection.close()
                self._log.close()
                self._opener = threading.get_ident()
                try:
                    self._open_again()
                    self._broken = False
                except (ProblemsError, duckdb.Error, OSError) as error:
                    raise SeriesUnavailableError(f"时序库 {self._path} 重新打开失败：{error}") from error
                finally:
                    self._opener = 0

    def _open_again(self) -> None:
        """Open the file after a fatal error; what was in memory comes back out of the log."""
        with self._lists:
            self._generation += 1
            self._connect()

    def _numbered(self, column: pa.ChunkedArray) -> Integers:
        encoded = column.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        known = []
        with self._lists:
            for device_id in encoded.dictionary.to_pylist():
                number = self._numbers.get(device_id)
                if number is None:
                    number = len(self._ids)
                    self._numbers[device_id] = number
                    self._ids.append(device_id)
                known.append(number)
            self._newest = extended(self._newest, len(self._ids), NEVER)
            self._oldest = extended(self._oldest, len(self._ids), FOREVER)
        numbers: Integers = np.asarray(known, np.int64)[encoded.indices.to_numpy()]
        return numbers

    def _forget_devices(self) -> None:
        """Forget the devices of a batch that was not stored."""
        with self._lists:
            for device_id in self._ids[self._settled :]:
                del self._numbers[device_id]
            del self._ids[self._settled :]
            self._newest, self._oldest = self._newest[: self._settled], self._oldest[: self._settled]

    def _reaches(self, device_id: str, edge: datetime, *, before: bool) -> bool:
        """Tell whether a device can have a sample on one side of an edge."""
        number = self._numbers.get(device_id)
        if number is None or number >= len(self._newest):
            return False
        at = microseconds(edge)
        if before:
            return bool(self._oldest[number] < at) or bool(self._means)
        # Of a device whose samples are all retired only the means tell how far it reaches.
        return bool(self._newest[number] >= at) or (bool(self._means) and self._newest[number] == NEVER)

    def _names(self, numbers: pa.ChunkedArray) -> pa.Array:
        """Return the identifiers of device numbers."""
        return pa.array(self._ids, pa.string()).take(numbers.combine_chunks())


@contextmanager
def registered(cursor: Any, name: str, table: pa.Table) -> Iterator[Any]:
    """Let a cursor see an Arrow table under a name."""
    cursor.register(name, table)
    try:
        yield cursor
    finally:
        # In a transaction that failed nothing can be unregistered, and the first error is the one to tell.
        with suppress(duckdb.TransactionException):
            cursor.unregister(name)
