# ruff: noqa: S608, table and column names are ours, every value is a parameter
"""Reading from the embedded engine.

Owns the queries. Each is one transaction over the month tables, the tables in memory and, where raw samples
were retired, the months of 15-minute means, whose rows carry `Flag.MEAN`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from store.engines.batches import (
    COVERAGE_SCHEMA,
    boundary_table,
    downsample_schema,
    expected_steps,
    instant,
    microseconds,
    read_schema,
)
from store.engines.embedded.file import Sources
from store.engines.embedded.layout import (
    FOREVER,
    NEVER,
    Partition,
    Scan,
    downsample_sql,
    means_table,
    partition_of,
    plain,
    search_intervals,
)
from store.engines.embedded.writing import Round, WritingFile
from store.quality import Flag
from store.samples import QUANTITIES, SAMPLE_SCHEMA, Sample, table_to_samples
from store.series import Side, Statistics

QUARTER = timedelta(minutes=15)
RECEIVED = SAMPLE_SCHEMA.field("received_at")


class ReadingFile(WritingFile):
    """The open file with what reads from it."""

    def latest(self, device_ids: Sequence[str] | None = None) -> Mapping[str, Sample]:
        """Return the newest sample of each device; see the contract. No table is scanned for it."""
        while self._load_latest(device_ids):
            pass
        with self._lists:
            numbers = self._reporting(device_ids)
            groups: dict[int, tuple[pa.Table, list[int]]] = {}
            for number in numbers:
                if number in self._latest and number not in self._told:
                    rows, row = self._latest[number]
                    groups.setdefault(id(rows), (rows, []))[1].append(row)
            taken = [rows.take(picked) for rows, picked in groups.values()]
            for sample in table_to_samples(pa.concat_tables(taken)) if taken else []:
                self._told[self._numbers[sample.device_id]] = sample
            samples = [self._told[number] for number in numbers if number in self._told]
        return {sample.device_id: sample for sample in samples}

    def _reporting(self, device_ids: Sequence[str] | None) -> list[int]:
        wanted = self._ids[: self._settled] if device_ids is None else device_ids
        numbers = [self._numbers[d] for d in wanted if d in self._numbers]
        return [n for n in numbers if n < len(self._newest) and self._newest[n] != NEVER]

    def _load_latest(self, device_ids: Sequence[str] | None) -> bool:
        """Look up the newest rows that are not in memory, as after a start; tells whether to look again."""
        with self._lists:
            missing = np.asarray([n for n in self._reporting(device_ids) if n not in self._latest], np.int64)
            times, changes = self._newest[missing], self._changes
        if not len(missing):
            return False
        wanted = Round(pa.table({}), missing, times, bulk=False)
        positions, stored = self._ask(lambda cursor, sources: self._matching(cursor, sources, wanted))
        with self._lists:
            if changes != self._changes:
                return True
            for row, position in enumerate(positions):
                number = int(missing[position])
                if self._newest[number] == times[position]:
                    self._latest.setdefault(number, (stored, row))
        return False

    def read(
        self, device_ids: Sequence[str], start: datetime, end: datetime, quantities: Sequence[str]
    ) -> pa.Table:
        """Return the chosen quantities, ordered by device and time; see the contract.

        `received_at` is handed out like a quantity.
        """
        schema = read_schema([name for name in quantities if name != RECEIVED.name])
        if RECEIVED.name in quantities:
            schema = schema.append(RECEIVED)
        columns = ", ".join(f"s.{name}" for name in schema.names[1:])

        def sql(scan: Scan) -> str:
            return f"SELECT w.rank, {columns} FROM {scan.sql} ORDER BY w.rank, s.time"

        return self._ranked(device_ids, (start, end), [*quantities, "flags"], (sql, schema))

    def downsample(
        self,
        device_ids: Sequence[str],
        interval: tuple[datetime, datetime],
        step: timedelta,
        quantities: Mapping[str, str],
    ) -> pa.Table:
        """Return aligned aggregates per device and step; see the contract."""
        schema = downsample_schema(list(quantities.items()))
        return self._ranked(
            device_ids,
            interval,
            list(quantities),
            (lambda scan: downsample_sql(scan, step, quantities), schema),
        )

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
        with self._lists:
            months = _months(self._sources())
            wanted = [d for d in device_ids if self._reaches(d, boundary, before=before)]
        pick = "max" if before else "min"
        for interval in search_intervals(months, boundary, before=before):
            missing = [d for d in wanted if d not in found]
            if not missing:
                break

            def ask(
                cursor: Any,
                sources: Sources,
                missing: list[str] = missing,
                interval: tuple[datetime, datetime] = interval,
            ) -> list[tuple[str, int, int]]:
                scan = self._scan(sources, missing, interval, [quantity])
                if scan is None:
                    return []
                sql = (
                    f"SELECT w.rank, epoch_us({pick}(s.time)), arg_{pick}(s.{quantity}, s.time) "
                    f"FROM {scan.sql} AND s.{quantity} IS NOT NULL GROUP BY w.rank"
                )
                rows = cursor.execute(sql, dict(scan.params)).fetchall()
                return [(scan.ids[rank], time, value) for rank, time, value in rows]

            found |= {device_id: (instant(time), value) for device_id, time, value in self._ask(ask)}
        return found

    def coverage(
        self, device_ids: Sequence[str], interval: tuple[datetime, datetime], step: timedelta
    ) -> pa.Table:
        """Return received and expected steps per device; see the contract.

        A retired quarter of an hour counts as received in the steps that its number of samples can fill.
        """
        width, origin = step // timedelta(microseconds=1), microseconds(interval[0])

        def ask(cursor: Any, sources: Sources) -> list[tuple[str, int]]:
            scan = self._scan(sources, device_ids, interval, ["samples"])
            if scan is None:
                return []
            sql = (
                "SELECT rank, sum(least(filled, weight)) FROM (SELECT w.rank, "
                f"(epoch_us(s.time) - {origin}) // {width} AS place, max(s.samples) AS filled, "
                f"CASE WHEN max(s.samples) > 1 THEN {max(1, QUARTER // step)} ELSE 1 END AS weight "
                f"FROM {scan.sql} GROUP BY w.rank, place) GROUP BY rank"
            )
            rows = cursor.execute(sql, dict(scan.params)).fetchall()
            return [(scan.ids[rank], int(count)) for rank, count in rows]

        counts = {**dict.fromkeys(device_ids, 0), **dict(self._ask(ask))}
        expected = [expected_steps(interval, step)] * len(counts)
        return pa.table([list(counts), list(counts.values()), expected], schema=COVERAGE_SCHEMA)

    def _scan(
        self,
        sources: Sources,
        device_ids: Sequence[str],
        interval: tuple[datetime, datetime],
        names: Sequence[str],
    ) -> Scan | None:
        """Return the joined selection of devices and interval, or None when nothing can be there."""
        low, high = microseconds(interval[0]), microseconds(interval[1])
        with self._lists:
            ids = sorted({d for d in device_ids if d in self._numbers})
            numbers = [self._numbers[d] for d in ids]
        tables = selects(sources, (low, high), list(dict.fromkeys(names)))
        if not ids or not tables or low >= high:
            return None
        wanted = "(SELECT unnest($numbers) AS number, generate_subscripts($numbers, 1) - 1 AS rank)"
        sql = f"({' UNION ALL '.join(tables)}) s JOIN {wanted} w ON w.number = s.device WHERE true"
        params = {"low": plain(interval[0]), "high": plain(interval[1]), "numbers": numbers}
        return Scan(sql, params, ids)

    def _ranked(
        self,
        device_ids: Sequence[str],
        interval: tuple[datetime, datetime],
        names: Sequence[str],
        wanted: tuple[Any, pa.Schema],
    ) -> pa.Table:
        """Return the rows of a query over a scan, whose first column is the rank of the device."""
        sql, schema = wanted

        def ask(cursor: Any, sources: Sources) -> pa.Table:
            scan = self._scan(sources, device_ids, interval, names)
            if scan is None:
                return schema.empty_table()
            found = cursor.sql(sql(scan), params=dict(scan.params)).to_arrow_table()
            ids = pa.array(scan.ids, pa.string()).take(found.column("rank").combine_chunks())
            columns = [ids, *(found.column(field.name).cast(field.type) for field in list(schema)[1:])]
            return pa.table(columns, schema=schema)

        return self._ask(ask)

    def statistics(self) -> Statistics:
        """Return rows, bytes on disk, oldest and newest."""

        def ask(cursor: Any, sources: Sources) -> int:
            tables = [p.table for p in sources.partitions]
            tables += [f"({select})" for select in selects(sources, None, [], raw=False)]
            counts = [f"SELECT count(*) AS n FROM {table}" for table in tables]
            if not counts:
                return 0
            return int(cursor.execute(f"SELECT sum(n) FROM ({' UNION ALL '.join(counts)})").fetchall()[0][0])

        rows = self._ask(ask)
        with self._lists:
            reporting = np.flatnonzero(self._newest[: self._settled] != NEVER)
            oldest = int(self._oldest[reporting].min()) if len(reporting) else None
            newest = int(self._newest[reporting].max()) if len(reporting) else None
        files = (self._path, self._path.with_name(self._path.name + ".wal"))
        size = sum(file.stat().st_size for file in files if file.exists()) + self._log.size_bytes()
        return Statistics(
            rows,
            size,
            None if oldest is None else instant(oldest),
            None if newest is None else instant(newest),
        )


def _months(sources: Sources) -> list[Partition]:
    """Return every month that the sources can have rows in."""
    found = {*sources.partitions, *sources.means}
    for recent in sources.recents:
        position = recent.low
        while position <= recent.high:
            month = partition_of(position)
            found.add(month)
            position = month.end
    return sorted(found)


def selects(
    sources: Sources, span: tuple[int, int] | None, names: Sequence[str], *, raw: bool = True
) -> list[str]:
    """Return one SELECT for each table that can have rows in `span` [us]; `raw` includes the file's."""
    low, high = span or (NEVER, FOREVER)
    bound = "time >= $low AND time < $high" if span else "true"
    plain_names = ", ".join(["device", "time", *("1 AS samples" if n == "samples" else n for n in names)])
    found = []
    if raw:
        for month in sources.means:
            mean_names = ", ".join(f"flags | {int(Flag.MEAN)} AS flags" if n == "flags" else n for n in names)
            if month.start < high and low < month.end:
                more = f", {mean_names}" if mean_names else ""
                found.append(
                    f"SELECT device, last_at AS time{more} FROM {means_table(month)} "
                    f"WHERE {bound.replace('time', 'last_at')}"
                )
        found += [
            f"SELECT {plain_names} FROM {p.table} WHERE {bound}"
            for p in sources.partitions
            if p.start < high and low < p.end
        ]
    return found + [
        f"SELECT {plain_names} FROM {recent.table} "
        f"WHERE {bound} AND (SELECT max(segment) FROM filed) < {recent.segment}"
        for recent in sources.recents
        if recent.low < high and low <= recent.high
    ]
