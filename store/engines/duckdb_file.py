# ruff: noqa: S608, table and column names are ours, every value is a parameter
"""The open file of the embedded engine: its connection, and what is known of its contents in memory.

Owns opening, opening again after a fatal error, the numbers of devices, the month tables, and the oldest
and newest time of each device. Reading and writing samples is `store.engines.duckdb`.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from store.engines.batches import Integers, microseconds
from store.engines.duckdb_layout import (
    FOREVER,
    LAYOUT,
    NEVER,
    NOTHING,
    STORED,
    Partition,
    column_definition,
    connect,
    extended,
    partition_of,
)
from store.problem import Problem, ProblemsError
from store.series import SeriesUnavailableError


class DuckDBFile:
    """One DuckDB file, opened by this process alone."""

    def __init__(self, path: Path, memory_limit: str, threads: int) -> None:
        self._path = path
        self._bounds = (memory_limit, threads)
        self._writing = threading.RLock()
        self._open()

    def _open(self) -> None:
        """Open the file and learn what it holds; raises ProblemsError when that cannot be done."""
        self._broken = False
        self._connection = connect(self._path, *self._bounds)
        self._numbers: dict[str, int] = {}
        self._ids: list[str] = []
        self._partitions: dict[str, Partition] = {}
        self._newest: Integers = NOTHING
        self._oldest: Integers = NOTHING
        self._latest: dict[int, tuple[pa.Table, int]] = {}
        self._writer = self._connection.cursor()
        self._prepare()

    def _prepare(self) -> None:
        run = self._writer.execute
        run("CREATE TABLE IF NOT EXISTS layout (version INTEGER)")
        run("CREATE TABLE IF NOT EXISTS device (number INTEGER, device_id VARCHAR)")
        version = run("SELECT max(version) FROM layout").fetchone()[0]
        if version is None:
            run("INSERT INTO layout VALUES (?)", [LAYOUT])
        elif version > LAYOUT:
            self._connection.close()
            raise ProblemsError(
                [Problem(str(self._path), f"时序库格式 {version} 比程序新（{LAYOUT}）", "请升级程序后再打开")]
            )
        for number, device_id in run("SELECT number, device_id FROM device ORDER BY number").fetchall():
            self._numbers[device_id] = number
            self._ids.append(device_id)
        self._newest = extended(NOTHING, len(self._ids), NEVER)
        self._oldest = extended(NOTHING, len(self._ids), FOREVER)
        self._load_partitions()

    def _load_partitions(self) -> None:
        tables = self._writer.execute(
            "SELECT table_name, list(column_name) FROM duckdb_columns() "
            "WHERE table_name LIKE 'samples\\_%' ESCAPE '\\' GROUP BY table_name"
        ).fetchall()
        for table, columns in tables:
            month = datetime.strptime(f"{table[-6:]}01+0000", "%Y%m%d%z")
            self._partitions[table] = partition_of(microseconds(month))
            for name in STORED:
                if name not in columns:
                    self._writer.execute(f"ALTER TABLE {table} ADD COLUMN {column_definition(name)}")
            spans = self._writer.execute(
                f"SELECT device, epoch_us(min(time)), epoch_us(max(time)) FROM {table} GROUP BY device"
            ).fetchall()
            for number, oldest, newest in spans:
                self._oldest[number] = min(int(self._oldest[number]), oldest)
                self._newest[number] = max(int(self._newest[number]), newest)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what DuckDB raises in the block into SeriesUnavailableError.

        After a fatal error (a full disk during a checkpoint) DuckDB refuses everything until the file is
        opened again, which the next use does.
        """
        self._open_if_broken()
        try:
            yield
        except duckdb.Error as error:
            self._broken = self._broken or isinstance(error, duckdb.FatalException)
            raise SeriesUnavailableError(f"时序库 {self._path} 暂不可用：{error}") from error

    def _open_if_broken(self) -> None:
        with self._writing:
            if not self._broken:
                return
            with suppress(duckdb.Error):
                self._writer.close()
                self._connection.close()
            try:
                self._open()
            except (ProblemsError, duckdb.Error) as error:
                self._broken = True
                raise SeriesUnavailableError(f"时序库 {self._path} 重新打开失败：{error}") from error

    def copy_to(self, path: Path) -> None:
        """Write one consistent moment of the file to `path`; see the contract."""
        with self._writing, self._guarded():
            self._writer.execute("CHECKPOINT")
            for ending in ("", ".wal"):
                source = Path(f"{self._path}{ending}")
                if source.exists():
                    _copy_elsewhere(source, Path(f"{path}{ending}"))

    def _numbered(self, column: pa.ChunkedArray) -> Integers:
        encoded = column.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        known = []
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

    def _forget_devices(self, count: int) -> None:
        for device_id in self._ids[count:]:
            del self._numbers[device_id]
        del self._ids[count:]
        self._newest, self._oldest = self._newest[:count], self._oldest[:count]

    def _reaches(self, device_id: str, edge: int, *, before: bool) -> bool:
        """Tell whether a device can have a sample on one side of an edge [us]."""
        number = self._numbers.get(device_id)
        if number is None:
            return False
        return bool(self._oldest[number] < edge if before else self._newest[number] >= edge)


def _copy_elsewhere(source: Path, target: Path) -> None:
    """Copy a file in a process of its own: closing it in ours would let go of DuckDB's lock on it."""
    done = subprocess.run(  # noqa: S603, a fixed program, and paths of ours
        ["/bin/cp", "--", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(done.returncode, done.stderr.strip(), str(target))
    target.chmod(0o600)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
