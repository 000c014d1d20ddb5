# ruff: noqa: S608, table and column names are ours, every value is a parameter
"""The embedded engine: DuckDB, one file, one process.

Owns the file's layout: one table a month (UTC) without a primary key, rows in order of arrival, devices as
small numbers. Uniqueness is ours: a batch whose rows are all newer than what its devices have needs no
look-up; any other is joined with the rows of its own time range. One writer at a time, readers on their
own cursors.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from store.engines.batches import (
    COVERAGE_SCHEMA,
    Integers,
    boundary_table,
    downsample_schema,
    expected_steps,
    instant,
    merge,
    microseconds,
    read_schema,
    rounds,
    shaped,
    times_us,
)
from store.engines.duckdb_file import DuckDBFile
from store.engines.duckdb_layout import (
    NEVER,
    NOTHING,
    STORED,
    Outcome,
    Partition,
    Scan,
    by_partition,
    column_definition,
    downsample_sql,
    for_storage,
    parse_address,
    plain,
    search_intervals,
)
from store.samples import QUANTITIES, SAMPLE_SCHEMA, Sample, table_to_samples
from store.series import Conflict, Side, Statistics, WriteResult


def open_duckdb(url: str) -> "DuckDBStore":
    """Open or create `duckdb:///FILE?memory_limit=256MB&threads=2`.

    Raises ProblemsError when the file cannot be opened, is held by another process, or is of a newer layout.
    """
    return DuckDBStore(*parse_address(url))


class DuckDBStore(DuckDBFile):
    """Samples in one DuckDB file; see `store.series.SeriesStore` for what each function promises."""

    settling = timedelta(0)

    # Writing

    def write(self, batch: pa.Table) -> WriteResult:
        """Store a batch as one durable commit; see the contract."""
        if not (table := shaped(batch)).num_rows:
            return WriteResult(0, 0)
        with self._writing, self._guarded():
            ids_before, result = len(self._ids), None
            try:
                result = self._write(table, ids_before)
            finally:
                if result is None:
                    self._forget_devices(ids_before)
            return result

    def _write(self, offered: pa.Table, ids_before: int) -> WriteResult:
        numbers = self._numbered(offered.column("device_id"))
        times = times_us(offered)
        outcomes: list[Outcome] = []
        with self._transaction():
            self._insert_devices(ids_before)
            for turn, rows in enumerate(rounds(numbers, times)):
                part = offered if len(rows) == len(times) else offered.take(rows)
                outcomes.append(self._write_round(part, numbers[rows], times[rows], repeated=turn > 0))
        for outcome in outcomes:
            self._remember(outcome)
        stored = sum(len(outcome.times) for outcome in outcomes)
        conflicts = tuple(conflict for outcome in outcomes for conflict in outcome.conflicts)
        return WriteResult(stored, offered.num_rows - stored, conflicts)

    def _write_round(self, table: pa.Table, numbers: Integers, times: Integers, *, repeated: bool) -> Outcome:
        """Store rows of different keys; only rows that are not newer than all before are looked up."""
        if not repeated and bool((times > self._newest[numbers]).all()):
            self._insert(table, numbers, times)
            return Outcome(table, numbers, times)
        kept, conflicts, changed = self._merge_stored(table, numbers, times)
        fresh = table if kept.all() else table.filter(pa.array(kept))
        self._insert(fresh, numbers[kept], times[kept])
        return Outcome(fresh, numbers[kept], times[kept], conflicts, changed)

    def _insert_devices(self, ids_before: int) -> None:
        added = self._ids[ids_before:]
        if added:
            numbers = pa.array(range(ids_before, len(self._ids)), pa.int32())
            with self._registered(
                "fresh_devices", pa.table({"number": numbers, "device_id": added})
            ) as cursor:
                cursor.execute("INSERT INTO device SELECT number, device_id FROM fresh_devices")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        partitions, done = dict(self._partitions), False
        self._writer.execute("BEGIN TRANSACTION")
        try:
            yield
            self._writer.execute("COMMIT")
            done = True
        finally:
            if not done:
                self._partitions = partitions
                # A failed COMMIT has ended the transaction already; the first error is the one to tell.
                with suppress(duckdb.Error):
                    self._writer.execute("ROLLBACK")

    @contextmanager
    def _registered(self, name: str, table: pa.Table) -> Iterator[Any]:
        self._writer.register(name, table)
        try:
            yield self._writer
        finally:
            self._writer.unregister(name)

    def _insert(self, table: pa.Table, numbers: Integers, times: Integers) -> None:
        stored = for_storage(table, numbers)
        for partition, rows in by_partition(times):
            self._create(partition)
            part = stored if len(rows) == len(times) else stored.take(rows)
            with self._registered("batch", part) as cursor:
                cursor.execute(f"INSERT INTO {partition.table} BY NAME SELECT {', '.join(STORED)} FROM batch")

    def _create(self, partition: Partition) -> None:
        if partition.table not in self._partitions:
            columns = ", ".join(column_definition(name) for name in STORED)
            self._writer.execute(f"CREATE TABLE {partition.table} ({columns})")
            self._partitions[partition.table] = partition

    def _merge_stored(
        self, table: pa.Table, numbers: Integers, times: Integers
    ) -> tuple[Any, tuple[Conflict, ...], Integers]:
        """Merge what is stored already; returns the mask of new rows, conflicts, devices changed."""
        kept = np.ones(len(times), bool)
        conflicts: list[Conflict] = []
        changed: list[Integers] = []
        for partition, rows in by_partition(times):
            if partition.table not in self._partitions:
                continue
            positions, stored = self._matching(partition, rows, numbers, times)
            if not len(positions):
                continue
            kept[positions] = False
            result = merge(stored, table.take(positions))
            conflicts.extend(result.conflicts)
            if result.changed:
                picked = np.asarray(result.changed, np.int64)
                self._replace(partition, result.merged.take(picked), numbers[positions[picked]])
                changed.append(numbers[positions[picked]])
        return kept, tuple(conflicts), np.concatenate(changed) if changed else NOTHING

    def _matching(
        self, partition: Partition, rows: Integers, numbers: Integers, times: Integers
    ) -> tuple[Integers, pa.Table]:
        keys = pa.table(
            {
                "position": rows,
                "device": pa.array(numbers[rows], pa.int32()),
                "time": pa.array(times[rows]).cast(pa.timestamp("us")),
            }
        )
        low, high = instant(int(times[rows].min())), instant(int(times[rows].max()))
        columns = ", ".join(f"p.{name}" for name in STORED)
        with self._registered("keys", keys) as cursor:
            found = cursor.sql(
                f"SELECT k.position, {columns} FROM {partition.table} p JOIN keys k "
                "ON p.device = k.device AND p.time = k.time "
                "WHERE p.time BETWEEN $low AND $high ORDER BY k.position",
                params={"low": plain(low), "high": plain(high)},
            ).to_arrow_table()
        return found.column("position").to_numpy().astype(np.int64), self._from_storage(found)

    def _replace(self, partition: Partition, table: pa.Table, numbers: Integers) -> None:
        stored = for_storage(table, numbers)
        with self._registered("merged", stored) as cursor:
            cursor.execute(
                f"DELETE FROM {partition.table} p USING merged m "
                "WHERE p.device = m.device AND p.time = m.time"
            )
            cursor.execute(f"INSERT INTO {partition.table} BY NAME SELECT {', '.join(STORED)} FROM merged")

    def _from_storage(self, found: pa.Table) -> pa.Table:
        ids = pa.array(self._ids, pa.string()).take(found.column("device").combine_chunks())
        columns = [ids, *(found.column(name).cast(SAMPLE_SCHEMA.field(name).type) for name in STORED[1:])]
        return pa.table(columns, schema=SAMPLE_SCHEMA)

    def _remember(self, outcome: Outcome) -> None:
        for number in outcome.changed:
            self._latest.pop(int(number), None)
        numbers, times = outcome.numbers, outcome.times
        order = np.lexsort((times, numbers))
        last = order[np.flatnonzero(np.append(np.diff(numbers[order]) != 0, [True]))] if len(order) else order
        np.minimum.at(self._oldest, numbers, times)
        newer = last[times[last] > self._newest[numbers[last]]]
        if len(newer):
            rows = outcome.table.take(newer)
            self._latest.update({int(n): (rows, i) for i, n in enumerate(numbers[newer])})
            self._newest[numbers[newer]] = times[newer]

    # Reading

    def latest(self, device_ids: Sequence[str] | None = None) -> Mapping[str, Sample]:
        """Return the newest sample of each device; see the contract."""
        with self._writing, self._guarded():
            wanted = self._ids if device_ids is None else [d for d in device_ids if d in self._numbers]
            numbers = [self._numbers[d] for d in wanted if self._newest[self._numbers[d]] != NEVER]
            self._load_latest([n for n in numbers if n not in self._latest])
            groups: dict[int, tuple[pa.Table, list[int]]] = {}
            for number in numbers:
                rows, row = self._latest[number]
                groups.setdefault(id(rows), (rows, []))[1].append(row)
            taken = [rows.take(picked) for rows, picked in groups.values()]
        samples = table_to_samples(pa.concat_tables(taken)) if taken else []
        return {sample.device_id: sample for sample in samples}

    def _load_latest(self, numbers: list[int]) -> None:
        chosen = np.asarray(numbers, np.int64)
        times = self._newest[chosen] if numbers else chosen
        for partition, rows in by_partition(times):
            positions, stored = self._matching(partition, rows, chosen, times)
            self._latest.update({int(chosen[p]): (stored, i) for i, p in enumerate(positions)})

    def read(
        self, device_ids: Sequence[str], start: datetime, end: datetime, quantities: Sequence[str]
    ) -> pa.Table:
        """Return the chosen quantities, ordered by device and time; see the contract."""
        schema = read_schema(quantities)
        scan = self._scan(device_ids, (start, end), [*quantities, "flags"])
        if scan is None:
            return schema.empty_table()
        columns = ", ".join(f"s.{name}" for name in schema.names[1:])
        return self._ranked(f"SELECT w.rank, {columns} FROM {scan.sql} ORDER BY w.rank, s.time", scan, schema)

    def downsample(
        self,
        device_ids: Sequence[str],
        interval: tuple[datetime, datetime],
        step: timedelta,
        quantities: Mapping[str, str],
    ) -> pa.Table:
        """Return aligned aggregates per device and step; see the contract."""
        schema = downsample_schema(list(quantities.items()))
        scan = self._scan(device_ids, interval, list(quantities))
        if scan is None:
            return schema.empty_table()
        return self._ranked(downsample_sql(scan, step, quantities), scan, schema)

    def boundary_readings(
        self, device_ids: Sequence[str], quantity: str, boundaries: Sequence[datetime], side: Side = "both"
    ) -> pa.Table:
        """Return the readings around each boundary; see the contract."""
        QUANTITIES[quantity]
        nearest = [
            (
                {} if side == "after" else self._nearest(device_ids, quantity, boundary, before=True),
                {} if side == "before" else self._nearest(device_ids, quantity, boundary, before=False),
            )
            for boundary in boundaries
        ]
        return boundary_table(device_ids, boundaries, nearest)

    def _nearest(
        self, device_ids: Sequence[str], quantity: str, boundary: datetime, *, before: bool
    ) -> dict[str, tuple[datetime, int]]:
        found: dict[str, tuple[datetime, int]] = {}
        with self._writing:
            partitions = list(self._partitions.values())
            wanted = [d for d in device_ids if self._reaches(d, microseconds(boundary), before=before)]
        for interval in search_intervals(partitions, boundary, before=before):
            missing = [d for d in wanted if d not in found]
            scan = self._scan(missing, interval, [quantity]) if missing else None
            if scan is None:
                continue
            pick = "max" if before else "min"
            sql = (
                f"SELECT w.rank, epoch_us({pick}(s.time)), arg_{pick}(s.{quantity}, s.time) "
                f"FROM {scan.sql} AND s.{quantity} IS NOT NULL GROUP BY w.rank"
            )
            for rank, time, value in self._fetch(sql, scan):
                found[scan.ids[rank]] = (instant(time), value)
        return found

    def coverage(
        self, device_ids: Sequence[str], interval: tuple[datetime, datetime], step: timedelta
    ) -> pa.Table:
        """Return received and expected steps per device; see the contract."""
        counts = dict.fromkeys(device_ids, 0)
        scan = self._scan(device_ids, interval, [])
        if scan is not None:
            width = step // timedelta(microseconds=1)
            sql = (
                f"SELECT w.rank, count(DISTINCT (epoch_us(s.time) - {microseconds(interval[0])}) // {width}) "
                f"FROM {scan.sql} GROUP BY w.rank"
            )
            for rank, received in self._fetch(sql, scan):
                counts[scan.ids[rank]] = received
        expected = [expected_steps(interval, step)] * len(counts)
        return pa.table([list(counts), list(counts.values()), expected], schema=COVERAGE_SCHEMA)

    def _scan(
        self, device_ids: Sequence[str], interval: tuple[datetime, datetime], names: Sequence[str]
    ) -> Scan | None:
        """Return the joined selection of devices and interval, or None when nothing can be there."""
        low, high = microseconds(interval[0]), microseconds(interval[1])
        with self._writing:
            ids = sorted({d for d in device_ids if d in self._numbers})
            numbers = [self._numbers[d] for d in ids]
            tables = [p.table for p in sorted(self._partitions.values()) if p.start < high and low < p.end]
        if not ids or not tables or low >= high:
            return None
        columns = ", ".join(dict.fromkeys(["device", "time", *names]))
        selects = [f"SELECT {columns} FROM {table} WHERE time >= $low AND time < $high" for table in tables]
        wanted = "(SELECT unnest($numbers) AS number, generate_subscripts($numbers, 1) - 1 AS rank)"
        sql = f"({' UNION ALL '.join(selects)}) s JOIN {wanted} w ON w.number = s.device WHERE true"
        params = {"low": plain(interval[0]), "high": plain(interval[1]), "numbers": numbers}
        return Scan(sql, params, ids)

    def _ranked(self, sql: str, scan: Scan, schema: pa.Schema) -> pa.Table:
        with self._guarded(), self._connection.cursor() as cursor:
            found = cursor.sql(sql, params=scan.params).to_arrow_table()
        ids = pa.array(scan.ids, pa.string()).take(found.column("rank").combine_chunks())
        columns = [ids, *(found.column(field.name).cast(field.type) for field in list(schema)[1:])]
        return pa.table(columns, schema=schema)

    def _fetch(self, sql: str, scan: Scan) -> list[Any]:
        with self._guarded(), self._connection.cursor() as cursor:
            rows: list[Any] = cursor.execute(sql, scan.params).fetchall()
        return rows

    # Keeping

    def delete_before(self, time: datetime) -> int:
        """Delete raw samples older than `time`; whole months are dropped at once."""
        limit = microseconds(time)
        deleted = 0
        with self._writing, self._guarded():
            with self._transaction():
                for partition in sorted(self._partitions.values()):
                    if partition.start >= limit:
                        break
                    deleted += self._delete_from(partition, limit)
            for number in np.flatnonzero(self._newest < limit):
                self._newest[number] = NEVER
                self._latest.pop(int(number), None)
        return deleted

    def _delete_from(self, partition: Partition, limit: int) -> int:
        if partition.end <= limit:
            count = self._writer.execute(f"SELECT count(*) FROM {partition.table}").fetchone()[0]
            self._writer.execute(f"DROP TABLE {partition.table}")
            del self._partitions[partition.table]
        else:
            count = self._writer.execute(
                f"DELETE FROM {partition.table} WHERE time < ?",
                [plain(instant(limit))],
            ).fetchone()[0]
        return int(count)

    def statistics(self) -> Statistics:
        """Return rows, bytes on disk, oldest and newest."""
        rows, oldest, newest = 0, None, None
        with self._writing:
            tables = [partition.table for partition in sorted(self._partitions.values())]
        with self._guarded(), self._connection.cursor() as cursor:
            for table in tables:
                found = cursor.execute(
                    f"SELECT count(*), epoch_us(min(time)), epoch_us(max(time)) FROM {table}"
                ).fetchone()
                rows += found[0]
                oldest = found[1] if oldest is None else oldest
                newest = found[2] if found[2] is not None else newest
        files = (self._path, self._path.with_name(self._path.name + ".wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        return Statistics(
            rows,
            size,
            None if oldest is None else instant(oldest),
            None if newest is None else instant(newest),
        )

    def close(self) -> None:
        """Checkpoint and release the file."""
        with self._writing:
            self._writer.close()
            self._connection.close()
