# ruff: noqa: S608, table and column names are ours, every value is a parameter
"""From the tables in memory into the file, in a thread of its own.

Owns when a table in memory is full, how it is filed, how a log that a killed program left is taken up again,
and the building of counter runs while nothing else is to be done. Writers wait for it only when it falls
behind by `WAITING` tables.
"""

import atexit
import threading
from contextlib import suppress

import duckdb
import pyarrow as pa

from store.engines.batches import Integers, shaped
from store.engines.embedded.file import EmbeddedFile, registered
from store.engines.embedded.layout import (
    STORED,
    Address,
    Recent,
    column_definition,
    instant_text,
    months_of,
    partition_of,
)
from store.runs import SHANGHAI_DAY_SQL
from store.series import SeriesUnavailableError

WAITING = 4
RETRY_SECONDS = 2.0
IDLE_SECONDS = 3.0


class FilingFile(EmbeddedFile):
    """The open file with the thread that files what is new."""

    def __init__(self, address: Address) -> None:
        self._stopping = False
        self._trouble = ""
        super().__init__(address)
        try:
            self._take_up()
        except (SeriesUnavailableError, duckdb.Error, OSError):
            self._connection.close()
            raise
        self._thread = threading.Thread(target=self._run, name="series-filing", daemon=True)
        self._thread.start()
        atexit.register(self._end_thread)

    def _end_thread(self) -> None:
        """End the thread before the program ends: it must not be stopped inside DuckDB."""
        self._stopping = True
        with self._lists:
            self._lists.notify_all()
        self._thread.join()

    # What is new

    def _apply(self, table: pa.Table, *, bulk: bool) -> object:
        """Store a batch whose record is in the log; the writing half of the engine does it."""
        raise AssertionError(f"{type(self).__name__} cannot store {table.num_rows} rows, bulk {bulk}")

    def _take_up(self) -> None:
        """Bring back what the log holds; its files go when the table that their rows are in is filed."""
        filed = self._writer.execute("SELECT max(segment) FROM filed").fetchall()[0][0]
        left = self._log.segments()
        for segment in [number for number in left if number <= filed]:
            self._log.remove(segment)
        waiting = [number for number in left if number > filed]
        self._begin(max([filed, *left]) + 1)
        for segment in waiting:
            batches = list(self._log.read(segment))
            if not batches:
                self._log.remove(segment)
            else:
                self._apply(pa.concat_tables([shaped(batch) for batch in batches]), bulk=False)
            if self._recents[-1].rows >= WAITING * self._address.recent_rows:
                self._file(self._recents[-1], last=segment)
                self._begin(segment + 1)

    def _begin(self, segment: int) -> None:
        """Begin a new table in memory and its file of the log."""
        while segment in self._log.segments():
            segment += 1
        self._log.begin(segment)
        columns = ", ".join(column_definition(name) for name in STORED)
        recent = Recent(segment)
        self._writer.execute(f"CREATE TABLE {recent.table} ({columns})")
        with self._lists:
            self._recents.append(recent)

    @property
    def _present(self) -> Recent:
        """The table in memory that takes new rows."""
        return self._recents[-1]

    def _turn_over(self, *, at_rows: int) -> None:
        """Begin a new table in memory when the present one holds `at_rows`; the writer calls it."""
        if self._present.rows >= at_rows:
            self._begin(self._present.segment + 1)
            with self._lists:
                self._lists.notify_all()

    def _keep_up(self) -> None:
        """Wait until the thread is not too far behind; raises SeriesUnavailableError when it cannot go on."""
        with self._lists:
            while len(self._recents) > WAITING:
                if self._trouble:
                    break
                self._lists.wait(RETRY_SECONDS)
        while len(self._recents) > WAITING:
            self._file(self._recents[0])

    def _file_all(self) -> None:
        """File every row there is; the caller is the writer. Raises SeriesUnavailableError if it cannot."""
        self._turn_over(at_rows=1)
        for recent in list(self._recents[:-1]):
            self._file(recent)

    # Filing

    def _run(self) -> None:
        idle = 0.0
        while not self._stopping:
            with self._lists:
                if len(self._recents) < 2 and not self._stopping:  # noqa: PLR2004, the present one and one to file
                    idle = 0.0 if self._lists.wait(IDLE_SECONDS) else idle + IDLE_SECONDS
                full = self._recents[0] if len(self._recents) > 1 else None
            if self._stopping:
                return
            try:
                self._open_if_broken()
                if full is not None:
                    self._file(full)
                elif idle >= IDLE_SECONDS:
                    with self._guarded():
                        self._build_one_day()
            except SeriesUnavailableError as error:
                with self._lists:
                    self._trouble = str(error)
                    self._lists.notify_all()
                    self._lists.wait(RETRY_SECONDS)

    def _build_one_day(self) -> bool:
        """Do what can wait; the half of the engine that knows counters does it."""
        return False

    def _file(self, recent: Recent, *, last: int = 0) -> None:
        """Move the rows of a table in memory into the file, as one transaction.

        `last` is the number up to which the files of the log may go, if it is not the table's own: while a
        log is taken up, the files behind it are still to come.
        """
        with self._filing, self._guarded():
            if recent not in self._recents:
                return
            if recent.rows:
                self._insert_recent(recent, last or recent.segment)
            with self._lists:
                self._recents.remove(recent)
                self._trouble = ""
                self._lists.notify_all()
            self._filer.execute(f"DROP TABLE {recent.table}")
            for segment in self._log.segments():
                if segment <= (last or recent.segment):
                    self._log.remove(segment)

    def _insert_recent(self, recent: Recent, segment: int) -> None:
        months = self._create(
            partition_of(row[0])
            for row in self._filer.execute(
                f"SELECT DISTINCT epoch_us(date_trunc('month', time)) FROM {recent.table}"
            ).fetchall()
        )
        with self._transaction(self._filer) as cursor:
            with self._lists:
                count = self._settled
            self._write_devices(cursor, count)
            for month in months:
                cursor.execute(
                    f"INSERT INTO {month.table} BY NAME SELECT {', '.join(STORED)} FROM {recent.table} "
                    f"WHERE time >= {instant_text(month.start)} AND time < {instant_text(month.end)}"
                )
            self._forget_runs(
                f"SELECT DISTINCT {SHANGHAI_DAY_SQL.format('epoch_us(time)')} FROM {recent.table}"
            )
            cursor.execute("UPDATE filed SET segment = ?", [segment])
            self._write_spans(cursor, self._spans())
        self._kept = max(self._kept, count)

    def _forget_runs(self, days_sql: str) -> None:
        """Forget the counter runs of days that get other rows; part of the filing transaction."""
        self._filer.execute(f"DELETE FROM counter_run WHERE day IN ({days_sql})")
        self._filer.execute(f"DELETE FROM counter_day WHERE day IN ({days_sql})")

    def _insert_filed(self, stored: pa.Table, times: Integers, spans: pa.Table) -> None:
        """Insert a large batch into the file at once, as one transaction, with the spans it leads to."""
        with self._filing:
            months = self._create(months_of(times))
            with self._transaction(self._filer) as cursor:
                self._write_devices(cursor, len(self._ids))
                with registered(cursor, "bulk", stored):
                    for month in months:
                        where = (
                            f"WHERE time >= {instant_text(month.start)} AND time < {instant_text(month.end)}"
                            if len(months) > 1
                            else ""
                        )
                        cursor.execute(
                            f"INSERT INTO {month.table} BY NAME SELECT {', '.join(STORED)} FROM bulk {where}"
                        )
                    self._forget_runs(
                        f"SELECT DISTINCT {SHANGHAI_DAY_SQL.format('epoch_us(time)')} FROM bulk"
                    )
                self._write_spans(cursor, spans)
            self._kept = len(self._ids)

    def _open_again(self) -> None:
        super()._open_again()
        self._take_up()

    def close(self) -> None:
        """File what is new, and release the file; what cannot be filed stays in the log."""
        with self._writing:
            if self._stopping:
                return
            self._end_thread()
            atexit.unregister(self._end_thread)
            with suppress(SeriesUnavailableError, duckdb.Error):
                self._file_all()
            with self._filing:
                for recent in self._recents:
                    if not recent.rows:
                        self._log.remove(recent.segment)
                self._writer.close()
                self._filer.close()
                self._connection.close()
                self._log.close()
