# ruff: noqa: S608, table and column names are ours, every value is a parameter
"""What is left of samples when they are summed up: counter runs, and 15-minute means of retired samples.

Owns the runs of closed days, which are built while nothing else is to be done and forgotten with the first
row that their day gets later, and the retirement of raw samples into means. It does not judge counters.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from store.counters import DAY, SHANGHAI_OFFSET
from store.engines.batches import COUNTERS, instant, microseconds
from store.engines.embedded.file import Sources, registered
from store.engines.embedded.layout import (
    FOREVER,
    NEVER,
    Partition,
    instant_text,
    means_columns,
    means_table,
    plain,
)
from store.engines.embedded.reading import ReadingFile, selects
from store.runs import Runs, runs_of, shanghai_day
from store.samples import QUANTITIES, QuantityKind

READINGS_AT_ONCE = 400_000
SLICE = timedelta(hours=6)
QUARTER_US = 900_000_000


class RollUpFile(ReadingFile):
    """The open file with what is summed up."""

    # Counter runs

    def counter_runs(self, device_ids: Sequence[str], quantity: str, start: datetime, end: datetime) -> Runs:
        """Return the runs of a counter's readings on whole days; see `store.series.CountedSeries`."""
        days = (shanghai_day(np.array([microseconds(start), microseconds(end) - 1]))).tolist()
        code = COUNTERS.index(quantity)
        with self._lists:
            places = {self._numbers[d]: n for n, d in enumerate(device_ids) if d in self._numbers}

        def ask(cursor: Any, sources: Sources) -> list[Runs]:
            numbers = pa.array(list(places), pa.int32())
            with registered(cursor, "wanted", pa.table({"number": numbers})):
                built = _built(cursor, sources, (days[0], days[1]))
                found = [_kept(cursor, code, built)] if built else []
                for first, last in _stretches(days, built):
                    span = (first * DAY - SHANGHAI_OFFSET, (last + 1) * DAY - SHANGHAI_OFFSET)
                    found += _made(cursor, sources, quantity, span)
            return found

        if not places:
            return Runs.none()
        return Runs.joined(self._ask(ask), places)

    def sum_up(self) -> int:
        """Build the runs of every closed day that has none; returns the number of days."""
        count = 0
        with self._writing, self._guarded():
            self._file_all()
        while self._build_one_day():
            count += 1
        return count

    def _build_one_day(self) -> bool:
        """Build the runs of the newest closed day that lacks them; tells whether there was one."""
        with self._filing, self._lists:
            sources = self._sources()
            reporting = self._newest[self._newest != NEVER]
        if not len(reporting) or not sources.partitions:
            return False
        today = int(shanghai_day(reporting.max(keepdims=True))[0])
        with self._filing:
            day = self._missing_day(today)
            if day is None:
                return False
            low = day * DAY - SHANGHAI_OFFSET
            span = (low, low + DAY)
            only_filed = Sources(sources.partitions, (), sources.means, 0)
            with self._transaction(self._filer) as cursor:
                cursor.execute("CREATE OR REPLACE TEMP TABLE all_devices AS SELECT number FROM device")
                cursor.execute("DELETE FROM counter_run WHERE day = ?", [day])
                for code, quantity in enumerate(COUNTERS):
                    for runs in _made(cursor, only_filed, quantity, span, wanted="all_devices"):
                        with registered(cursor, "made", runs.table(day, code)):
                            cursor.execute("INSERT INTO counter_run BY NAME SELECT * FROM made")
                cursor.execute("INSERT INTO counter_day VALUES (?)", [day])
        return True

    def _missing_day(self, today: int) -> int | None:
        oldest = self._oldest[self._oldest != FOREVER]
        first = int(shanghai_day(oldest.min(keepdims=True))[0])
        built = {row[0] for row in self._filer.execute("SELECT day FROM counter_day").fetchall()}
        return next((day for day in range(today - 1, first - 1, -1) if day not in built), None)

    # Retention

    def delete_before(self, time: datetime) -> int:
        """Delete raw samples older than `time`, and the means of them; whole months are dropped at once."""
        return self._thin_out(time, keep_means=False)

    def retire_before(self, time: datetime) -> int:
        """Replace raw samples older than `time` by their 15-minute means; returns the number of samples.

        A slice of six hours is one transaction, so that a killed program has either its samples or its
        means. Samples that come later for a retired quarter of an hour are weighed into its mean.
        """
        return self._thin_out(time, keep_means=True)

    def retired_before(self) -> datetime | None:
        """Return the end of the newest quarter of an hour of which only means are left, if there is any."""

        def ask(cursor: Any, sources: Sources) -> int | None:
            if not sources.means:
                return None
            newest = cursor.execute(
                f"SELECT epoch_us(max(time)) FROM {means_table(sources.means[-1])}"
            ).fetchall()[0][0]
            return None if newest is None else int(newest) + QUARTER_US

        found = self._ask(ask)
        return None if found is None else instant(found)

    def _thin_out(self, time: datetime, *, keep_means: bool) -> int:
        limit = microseconds(time)
        gone = 0
        with self._writing, self._guarded():
            self._file_all()
            with self._filing:
                for partition in sorted(self._partitions.values()):
                    if partition.start < limit:
                        gone += self._retire(partition, limit) if keep_means else 0
                        gone += self._delete_from(partition, limit)
                if not keep_means:
                    self._delete_means(limit)
        return gone

    def _retire(self, partition: Partition, limit: int) -> int:
        """Sum up the samples of a month before `limit`, slice by slice; returns how many there were."""
        span = self._filer.execute(
            f"SELECT epoch_us(min(time)), epoch_us(max(time)) FROM {partition.table}"
        ).fetchall()[0]
        if span[0] is None:
            return 0
        gone, width = 0, SLICE // timedelta(microseconds=1)
        self._make_means(partition)
        for low in range(span[0] // width * width, min(limit, span[1] + 1), width):
            edges = (max(low, partition.start), min(low + width, limit, partition.end))
            with self._transaction(self._filer) as cursor:
                cursor.execute(_merge_means_sql(partition, edges))
                cursor.execute(
                    f"DELETE FROM {means_table(partition)} m USING merging g "
                    "WHERE m.device = g.device AND m.time = g.time"
                )
                cursor.execute(f"INSERT INTO {means_table(partition)} BY NAME SELECT * FROM merging")
                gone += self._delete_rows(cursor, partition, edges[1])
        return gone

    def _make_means(self, partition: Partition) -> None:
        if means_table(partition) not in self._means:
            columns = ", ".join(means_columns())
            self._filer.execute(f"CREATE TABLE IF NOT EXISTS {means_table(partition)} ({columns})")
            with self._lists:
                self._means[means_table(partition)] = partition
                self._generation += 1

    def _delete_rows(self, cursor: Any, partition: Partition, limit: int) -> int:
        """Delete the rows before `limit` and settle the spans anew; part of a transaction."""
        count = cursor.execute(
            f"DELETE FROM {partition.table} WHERE time < {instant_text(limit)}"
        ).fetchall()[0][0]
        self._shorten_spans(cursor, limit)
        return int(count)

    def _shorten_spans(self, cursor: Any, limit: int) -> None:
        with self._lists:
            for number in np.flatnonzero((self._newest < limit) & (self._newest != NEVER)):
                self._newest[number], self._oldest[number] = NEVER, FOREVER
                self._latest.pop(int(number), None)
                self._told.pop(int(number), None)
            touched = np.flatnonzero(self._oldest < limit)
            self._oldest[touched] = FOREVER
        left = set(touched.tolist())
        for partition in sorted(self._partitions.values()):
            if not left:
                break
            if partition.end > limit:
                rows = cursor.execute(
                    f"SELECT device, epoch_us(min(time)) FROM {partition.table} GROUP BY device"
                ).fetchall()
                for number, oldest in rows:
                    if number in left:
                        self._oldest[number] = oldest
                        left.discard(number)
        self._write_spans(cursor, self._spans())

    def _delete_from(self, partition: Partition, limit: int) -> int:
        with self._transaction(self._filer) as cursor:
            if partition.end > limit:
                return self._delete_rows(cursor, partition, limit)
            count = cursor.execute(f"SELECT count(*) FROM {partition.table}").fetchall()[0][0]
            with self._lists:
                del self._partitions[partition.table]
                self._generation += 1
            self._shorten_spans(cursor, limit)
            cursor.execute(f"DROP TABLE {partition.table}")
        return int(count)

    def _delete_means(self, limit: int) -> None:
        with self._transaction(self._filer) as cursor:
            for partition in self._means.values():
                cursor.execute(f"DELETE FROM {means_table(partition)} WHERE last_at < {instant_text(limit)}")
            last = int(shanghai_day(np.array([limit]))[0])
            for table in ("counter_run", "counter_day"):
                cursor.execute(f"DELETE FROM {table} WHERE day <= ?", [last])


def _built(cursor: Any, sources: Sources, days: tuple[int, int]) -> list[int]:
    """Return the days with kept runs to which nothing in memory belongs."""
    rows = cursor.execute(
        "SELECT day FROM counter_day WHERE day BETWEEN ? AND ? ORDER BY day", list(days)
    ).fetchall()
    built = {row[0] for row in rows}
    for select in selects(sources, None, [], raw=False):
        fresh = cursor.execute(
            f"SELECT DISTINCT (epoch_us(time) + {SHANGHAI_OFFSET}) // {DAY} FROM ({select})"
        ).fetchall()
        built -= {row[0] for row in fresh}
    return sorted(built)


def _stretches(days: Sequence[int], built: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last day of each stretch of days without kept runs."""
    found: list[tuple[int, int]] = []
    known = set(built)
    for day in range(days[0], days[1] + 1):
        if day in known:
            continue
        if found and found[-1][1] == day - 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _kept(cursor: Any, code: int, built: Sequence[int]) -> Runs:
    with registered(cursor, "built", pa.table({"day": pa.array(built, pa.int32())})):
        found = cursor.sql(
            "SELECT r.device, r.start, r.first, r.finish, r.last, r.largest, r.clean::INTEGER AS clean "
            "FROM counter_run r JOIN built USING (day) JOIN wanted w ON w.number = r.device "
            "WHERE r.quantity = ?",
            params=[code],
        ).to_arrow_table()
    return Runs(*(found.column(name).to_numpy().astype(np.int64) for name in found.column_names))


def _made(
    cursor: Any, sources: Sources, quantity: str, span: tuple[int, int], *, wanted: str = "wanted"
) -> list[Runs]:
    """Make the runs of a stretch from its readings, a bounded number of readings at a time."""
    tables = selects(sources, span, [quantity])
    if not tables:
        return []
    scan = f"({' UNION ALL '.join(tables)}) s"
    params = {"low": plain(instant(span[0])), "high": plain(instant(span[1]))}
    count = cursor.execute(f"SELECT count(*) FROM {scan} WHERE {quantity} IS NOT NULL", params).fetchall()[0][
        0
    ]
    if not count:
        return []
    parts = -(-count // READINGS_AT_ONCE)
    found = []
    for part in range(parts):
        rows = cursor.sql(
            f"SELECT s.device, epoch_us(s.time), s.{quantity} FROM {scan} "
            f"JOIN {wanted} w ON w.number = s.device "
            f"WHERE s.{quantity} IS NOT NULL AND s.device % {parts} = {part}",
            params=params,
        ).to_arrow_table()
        found.append(runs_of(*(column.to_numpy().astype(np.int64) for column in rows.columns)))
    return found


def _merge_means_sql(partition: Partition, edges: tuple[int, int]) -> str:
    """Return the statement that sums up a slice of a month, with the means that its quarters have already."""
    quarter = "time_bucket(INTERVAL 15 MINUTE, time)"
    means = {name for name, quantity in QUANTITIES.items() if quantity.kind is QuantityKind.GAUGE}
    raw = ", ".join(
        f"avg({name}) AS {name}" if name in means else f"arg_max({name}, time) AS {name}"
        for name in QUANTITIES
    )
    both = ", ".join(
        f"sum({name} * samples) / sum(CASE WHEN {name} IS NULL THEN NULL ELSE samples END) AS {name}"
        if name in means
        else f"arg_max({name}, last_at) AS {name}"
        for name in QUANTITIES
    )
    names = ", ".join(("device", "time", "last_at", "samples", "flags", *QUANTITIES))
    low, high = (instant_text(edge) for edge in edges)
    return (
        f"CREATE OR REPLACE TEMP TABLE merging AS WITH fresh AS (SELECT device, {quarter} AS bucket, "
        f"max(time) AS last_at, count(*) AS samples, bit_or(flags) AS flags, {raw} FROM {partition.table} "
        f"WHERE time >= {low} AND time < {high} GROUP BY device, bucket), "
        f"every AS (SELECT {names} FROM (SELECT * RENAME (bucket AS time) FROM fresh) UNION ALL "
        f"SELECT {names} FROM {means_table(partition)} m WHERE EXISTS "
        "(SELECT 1 FROM fresh f WHERE f.device = m.device AND f.bucket = m.time)) "
        "SELECT device, time, max(last_at) AS last_at, sum(samples)::INTEGER AS samples, "
        f"bit_or(flags) AS flags, {both} FROM every GROUP BY device, time"
    )
