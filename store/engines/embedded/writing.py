# ruff: noqa: S608, table and column names are ours, every value is a parameter
"""Writing into the embedded engine.

Owns uniqueness: a batch whose rows are all newer than what its devices have needs no look-up; any other is
joined with the rows of its own time range, in the file and in memory.
"""

from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from store.engines.batches import Integers, instant, merge, rounds, shaped, times_us
from store.engines.embedded.file import Sources, registered
from store.engines.embedded.filing import FilingFile
from store.engines.embedded.layout import (
    NOTHING,
    STORED,
    Outcome,
    Recent,
    for_storage,
    from_storage,
    keys_table,
    months_of,
    plain,
    spans_table,
)
from store.runs import shanghai_day
from store.series import Conflict, SeriesUnavailableError, WriteResult

BULK_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Round:
    """Rows of different keys: the table, device numbers and times [us].

    `bulk` says that they go into the file at once.
    """

    table: pa.Table
    numbers: Integers
    times: Integers
    bulk: bool

    def only(self, rows: Any) -> "Round":
        """Return some of the rows, by mask or position."""
        return Round(
            self.table.take(np.arange(len(self.times))[rows]), self.numbers[rows], self.times[rows], self.bulk
        )


class WritingFile(FilingFile):
    """The open file with what writes into it."""

    _changes = 0

    def write(self, batch: pa.Table) -> WriteResult:
        """Store a batch as one durable commit; see the contract."""
        if not (table := shaped(batch)).num_rows:
            return WriteResult(0, 0)
        with self._writing:
            self._open_if_broken()
            self._keep_up()
            bulk = table.num_rows >= BULK_ROWS
            with self._guarded():
                if bulk:
                    self._file_all()
                else:
                    self._log.append(table)
                result = self._logged(table, bulk=bulk)
                # The batch is in: where no new table can be begun the present one goes on, or the next batch
                # opens the file again.
                with suppress(SeriesUnavailableError), self._guarded():
                    self._turn_over(at_rows=self._address.recent_rows)
            return result

    def _logged(self, table: pa.Table, *, bulk: bool) -> WriteResult:
        """Store a batch whose record is in the log; the record goes again if that fails."""
        try:
            return self._apply(table, bulk=bulk)
        except (duckdb.Error, SeriesUnavailableError):
            if not bulk:
                self._log.take_back(last=True)
            raise

    def _apply(self, table: pa.Table, *, bulk: bool) -> WriteResult:
        outcomes: list[Outcome] = []
        before, done = (self._present.rows, self._present.low, self._present.high), False
        numbers, times = self._numbered(table.column("device_id")), times_us(table)
        try:
            turns = rounds(numbers, times)
            # One round of new rows is one statement, which is a transaction of its own.
            plain_insert = len(turns) == 1 and self._all_new(numbers, times)
            with nullcontext() if plain_insert else self._transaction(self._writer):
                for turn, rows in enumerate(turns):
                    part = table if len(rows) == len(times) else table.take(rows)
                    offered = Round(part, numbers[rows], times[rows], bulk)
                    outcomes.append(self._write_round(offered, repeated=turn > 0))
            done = True
        finally:
            if not done:
                self._present.rows, self._present.low, self._present.high = before
                self._forget_devices()
        self._settled = len(self._ids)
        for outcome in outcomes:
            self._remember(outcome)
        stored = sum(len(outcome.times) for outcome in outcomes)
        conflicts = tuple(conflict for outcome in outcomes for conflict in outcome.conflicts)
        return WriteResult(stored, table.num_rows - stored, conflicts)

    def _all_new(self, numbers: Integers, times: Integers) -> bool:
        return bool((times > self._newest[numbers]).all())

    def _write_round(self, offered: Round, *, repeated: bool) -> Outcome:
        """Store rows of different keys; only rows that are not newer than all before are looked up."""
        if not repeated and self._all_new(offered.numbers, offered.times):
            self._insert(offered)
            return Outcome(offered.table, offered.numbers, offered.times)
        kept = np.ones(len(offered.times), bool)
        conflicts: list[Conflict] = []
        changed: list[Integers] = []
        for recent, positions, stored in self._stored(offered):
            kept[positions] = False
            result = merge(stored, offered.table.take(positions))
            conflicts.extend(result.conflicts)
            if result.changed:
                picked = np.asarray(result.changed, np.int64)
                known = offered.only(positions[picked])
                merged = Round(result.merged.take(picked), known.numbers, known.times, bulk=recent is None)
                self._replace(recent, merged)
                changed.append(merged.numbers)
        fresh = offered if kept.all() else offered.only(kept)
        self._insert(fresh)
        gone = np.concatenate(changed) if changed else NOTHING
        return Outcome(fresh.table, fresh.numbers, fresh.times, tuple(conflicts), gone)

    def _insert(self, fresh: Round) -> None:
        if not len(fresh.times):
            return
        stored = for_storage(fresh.table, fresh.numbers)
        if fresh.bulk:
            oldest, newest = self._oldest.copy(), self._newest.copy()
            np.minimum.at(oldest, fresh.numbers, fresh.times)
            np.maximum.at(newest, fresh.numbers, fresh.times)
            self._insert_filed(stored, fresh.times, spans_table(oldest, newest, len(newest)))
            return
        self._writer.from_arrow(stored).insert_into(self._present.table)
        self._present.grow(fresh.times)

    def _stored(self, offered: Round) -> list[tuple[Recent | None, Integers, pa.Table]]:
        """Return the rows that hold offered keys already, in the file (None) and in the present table."""
        found: list[tuple[Recent | None, Integers, pa.Table]] = []
        present = self._present

        def elsewhere(cursor: Any, sources: Sources) -> tuple[Integers, pa.Table]:
            others = tuple(recent for recent in sources.recents if recent is not present)
            return self._matching(cursor, replace(sources, recents=others), offered)

        positions, stored = self._ask(elsewhere)
        found.append((None, positions, stored))
        if present.rows:
            own = Sources((), (present,), (), 0)
            positions, stored = self._matching(self._writer, own, offered)
            found.append((present, positions, stored))
        return [(where, positions, stored) for where, positions, stored in found if len(positions)]

    def _matching(self, cursor: Any, sources: Sources, offered: Round) -> tuple[Integers, pa.Table]:
        """Return the positions of offered rows whose keys are stored in the sources, and the stored rows."""
        low, high = int(offered.times.min()), int(offered.times.max())
        tables = [p.table for p in sources.partitions if p.start <= high and low < p.end]
        recents = [r for r in sources.recents if r.low <= high and low <= r.high]
        columns = ", ".join(STORED)
        parts = [f"SELECT {columns} FROM {table} WHERE time BETWEEN $low AND $high" for table in tables]
        parts += [
            f"SELECT {columns} FROM {recent.table} WHERE time BETWEEN $low AND $high"
            f" AND (SELECT max(segment) FROM filed) < {recent.segment}"
            for recent in recents
        ]
        if not parts:
            return NOTHING, offered.table.slice(0, 0)
        with registered(cursor, "keys", keys_table(offered.numbers, offered.times)):
            found = cursor.sql(
                f"SELECT k.position, {', '.join(f'p.{name}' for name in STORED)} "
                f"FROM ({' UNION ALL '.join(parts)}) p JOIN keys k "
                "ON p.device = k.device AND p.time = k.time ORDER BY k.position",
                params={"low": plain(instant(low)), "high": plain(instant(high))},
            ).to_arrow_table()
        positions = found.column("position").to_numpy().astype(np.int64)
        return positions, from_storage(found, self._names(found.column("device")))

    def _replace(self, recent: Recent | None, merged: Round) -> None:
        """Put completed rows in the place of the stored ones: in the present table, or in the file (None)."""
        stored = for_storage(merged.table, merged.numbers)
        if recent is not None:
            _put_in_place(self._writer, recent.table, stored)
            return
        for waiting in list(self._recents[:-1]):
            self._file(waiting)
        with self._filing:
            months = self._create(months_of(merged.times))
            with self._transaction(self._filer) as cursor:
                for month in months:
                    inside = (merged.times >= month.start) & (merged.times < month.end)
                    _put_in_place(cursor, month.table, stored.filter(pa.array(inside)))
                days = ", ".join(str(day) for day in np.unique(shanghai_day(merged.times)).tolist())
                self._forget_runs(f"SELECT unnest([{days}])")

    def _remember(self, outcome: Outcome) -> None:
        """Take note of the newest and oldest times of what was stored."""
        with self._lists:
            self._changes += bool(len(outcome.changed))
            for number in outcome.changed:
                self._latest.pop(int(number), None)
                self._told.pop(int(number), None)
            numbers, times = outcome.numbers, outcome.times
            order = np.lexsort((times, numbers))
            last = (
                order[np.flatnonzero(np.append(np.diff(numbers[order]) != 0, [True]))]
                if len(order)
                else order
            )
            np.minimum.at(self._oldest, numbers, times)
            newer = last[times[last] > self._newest[numbers[last]]]
            if len(newer):
                rows = outcome.table.take(newer)
                self._latest.update({int(n): (rows, i) for i, n in enumerate(numbers[newer])})
                self._newest[numbers[newer]] = times[newer]
                for number in numbers[newer].tolist():
                    self._told.pop(number, None)


def _put_in_place(cursor: Any, table: str, rows: pa.Table) -> None:
    """Replace the rows of a table that have the keys of `rows`."""
    with registered(cursor, "merged", rows):
        cursor.execute(f"DELETE FROM {table} p USING merged m WHERE p.device = m.device AND p.time = m.time")
        cursor.execute(f"INSERT INTO {table} BY NAME SELECT {', '.join(STORED)} FROM merged")
