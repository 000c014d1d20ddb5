"""The bounded durable queue in front of the time-series store.

Owns what has been received and is not yet safe in the store: an SQLite file in WAL mode with FULL
synchronisation, so that what `append` has taken survives kill -9. Batches carry a checksum, stay until
the engine has settled them, and the oldest are dropped, counted and told when the cap is reached.
Quarantined messages live in the same file, so that a message and its fate are one transaction.
"""

import contextlib
import math
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import orjson

from collector.delivery import Delivery, Rejected, write_all
from store.samples import QUANTITIES, QuantityKind, Sample
from store.series import SeriesStore, SeriesUnavailableError

SCHEMA = """
CREATE TABLE IF NOT EXISTS batch (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    rows INTEGER NOT NULL CHECK (rows > 0),
    checksum INTEGER NOT NULL,
    payload BLOB NOT NULL,
    delivered_at REAL
);
CREATE INDEX IF NOT EXISTS batch_waiting ON batch (sequence) WHERE delivered_at IS NULL;
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    raw BLOB NOT NULL,
    size INTEGER NOT NULL,
    replayed_at REAL
);
CREATE TABLE IF NOT EXISTS memory (name TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, value INTEGER NOT NULL CHECK (value >= 0));
"""
OLDEST_WAITING = (
    "SELECT sequence, rows, checksum, payload FROM batch WHERE delivered_at IS NULL ORDER BY sequence"
)
NEWEST_WAITING = OLDEST_WAITING + " DESC"
DELIVERED = (
    "SELECT sequence, rows, checksum, payload FROM batch WHERE delivered_at IS NOT NULL ORDER BY sequence"
)
COUNTER_LIMIT = 2**63 - 1
CODE_LIMIT = 2**31 - 1
RAW_LIMIT_BYTES = 65_536
QUARANTINE_LIMIT = 10_000
QUARANTINE_BYTES = 100_000_000


class SpoolFullError(OSError):
    """The disk took nothing; nothing of the batch was stored."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message in quarantine; `raw` is cut at 64 KiB, `size` is its full length [bytes]."""

    id: int
    at: datetime
    source: str
    reason: str
    raw: bytes
    size: int
    replayed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Balance:
    """Where everything that was published to the spool has gone, counted in samples.

    `published = stored + duplicates + quarantined + dropped + waiting`; `difference` is always 0.
    """

    published: int
    stored: int
    duplicates: int
    quarantined: int
    dropped: int
    waiting: int

    @property
    def difference(self) -> int:
        """What is unaccounted for."""
        return self.published - (
            self.stored + self.duplicates + self.quarantined + self.dropped + self.waiting
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    sequence: int
    rows: int
    checksum: int
    payload: bytes


def fault_of(sample: Sample) -> str:
    """Return why a sample could not be kept by any engine, or an empty text."""
    if sample.time.tzinfo is None or sample.received_at.tzinfo is None:
        return "时间没有时区"
    if not sample.device_id:
        return "没有设备编号"
    for name, value in sample.values.items():
        quantity = QUANTITIES.get(name)
        if quantity is None:
            return f"没有名为 {name} 的量"
        if not math.isfinite(value):
            return f"{name} 不是有限的数"
        limit = CODE_LIMIT if quantity.kind is QuantityKind.CODE else COUNTER_LIMIT
        if quantity.kind is not QuantityKind.GAUGE and abs(value) > limit:
            return f"{name} 超出整数范围"
    return ""


def _pack(samples: Sequence[Sample]) -> bytes:
    rows = [
        (
            sample.device_id,
            round(sample.time.timestamp() * 1e6),
            round(sample.received_at.timestamp() * 1e6),
            sample.flags,
            dict(sample.values),
        )
        for sample in samples
    ]
    return zlib.compress(orjson.dumps(rows), 1)


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _unpack(payload: bytes) -> list[Sample]:
    return [
        Sample(device_id, _instant(time), _instant(received), values, flags)
        for device_id, time, received, flags, values in orjson.loads(zlib.decompress(payload))
    ]


class Spool:
    """One spool file, opened once per process; every method may be called from any thread.

    `cap_bytes` bounds the payload kept, `quarantine_bytes` the raw messages in quarantine. Raises
    SpoolFullError from `append` when the disk is full.
    """

    def __init__(
        self, path: Path, cap_bytes: int = 2_000_000_000, quarantine_bytes: int = QUARANTINE_BYTES
    ) -> None:
        self.path = path
        self.cap_bytes = cap_bytes
        self.quarantine_bytes = quarantine_bytes
        self.set_aside: Path | None = None
        self._lock = threading.RLock()
        self._delivering = threading.Lock()
        self._connection = self._open()
        self._tallies: dict[str, int] = dict(self._connection.execute("SELECT name, value FROM tally"))
        row = self._connection.execute("SELECT coalesce(sum(length(payload)), 0) FROM batch").fetchone()
        self._size_bytes: int = row[0]
        row = self._connection.execute("SELECT coalesce(sum(length(raw)), 0) FROM quarantine").fetchone()
        self._raw_bytes: int = row[0]

    def _open(self) -> sqlite3.Connection:
        """Open the file; a damaged one is renamed and kept, and a new one begun."""
        try:
            return _connect(self.path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise SpoolFullError(f"采集队列文件打不开：{self.path}：{error}") from error
            self.set_aside = self.path.with_suffix(f".damaged-{self.path.stat().st_mtime_ns}")
            self.path.rename(self.set_aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return _connect(self.path)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable commit; the tallies in memory follow only when it succeeded."""
        with self._lock:
            tallies, sizes, done = dict(self._tallies), (self._size_bytes, self._raw_bytes), False
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.executemany(
                    "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    [item for item in self._tallies.items() if tallies.get(item[0]) != item[1]],
                )
                self._connection.execute("COMMIT")
                done = True
            except sqlite3.OperationalError as error:
                raise SpoolFullError(f"采集队列写不进：{error}") from error
            finally:
                if not done:
                    self._tallies, (self._size_bytes, self._raw_bytes) = tallies, sizes
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")

    def _count(self, name: str, amount: int) -> None:
        self._tallies[name] = self._tallies.get(name, 0) + amount

    def append(
        self,
        samples: Sequence[Sample],
        rejected: Sequence[Rejected] = (),
        memory: Mapping[str, bytes] = MappingProxyType({}),
        *,
        at: datetime,
    ) -> int:
        """Take samples, messages that cannot be samples, and what a source must remember, in one commit.

        A sample that no engine could keep goes to quarantine. Returns the number of samples dropped
        because of the cap. Raises SpoolFullError when the disk took nothing.
        """
        good: list[Sample] = []
        bad = list(rejected)
        for sample in samples:
            fault = fault_of(sample)
            if fault:
                bad.append(Rejected(sample.device_id, fault, repr(sample).encode()))
            else:
                good.append(sample)
        if not good and not bad and not memory:
            return 0
        with self._transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?)", memory.items())
            self._count("published", len(good) + len(bad))
            if good:
                self._insert(connection, good)
            self._quarantine(connection, bad, at)
            return self._enforce_cap(connection)

    def _insert(self, connection: sqlite3.Connection, samples: Sequence[Sample]) -> None:
        payload = _pack(samples)
        connection.execute(
            "INSERT INTO batch (rows, checksum, payload) VALUES (?, ?, ?)",
            (len(samples), zlib.crc32(payload), payload),
        )
        self._count("waiting", len(samples))
        self._size_bytes += len(payload)

    def _quarantine(self, connection: sqlite3.Connection, bad: Sequence[Rejected], at: datetime) -> None:
        if not bad:
            return
        self._count("quarantined", len(bad))
        connection.executemany(
            "INSERT INTO quarantine (at, source, reason, raw, size) VALUES (?, ?, ?, ?, ?)",
            [
                (at.timestamp(), item.source, item.reason, item.raw[:RAW_LIMIT_BYTES], len(item.raw))
                for item in bad
            ],
        )
        self._raw_bytes += sum(len(item.raw[:RAW_LIMIT_BYTES]) for item in bad)
        # The list is bounded; the tally keeps counting what has left it.
        row = connection.execute("SELECT max(id) FROM quarantine").fetchone()
        self._let_go(connection, row[0] - QUARANTINE_LIMIT)
        while self._raw_bytes > self.quarantine_bytes:
            row = connection.execute("SELECT min(id) FROM quarantine").fetchone()
            self._let_go(connection, row[0])

    def _let_go(self, connection: sqlite3.Connection, last: int) -> None:
        """Drop the oldest messages from quarantine, up to and with the one of an id."""
        rows = connection.execute("DELETE FROM quarantine WHERE id <= ? RETURNING length(raw)", (last,))
        self._raw_bytes -= sum(row[0] for row in rows.fetchall())

    def _enforce_cap(self, connection: sqlite3.Connection) -> int:
        dropped = 0
        while self._size_bytes > self.cap_bytes:
            row = connection.execute(
                "SELECT sequence, rows, length(payload), delivered_at FROM batch ORDER BY sequence LIMIT 1"
            ).fetchone()
            if row is None:
                break
            connection.execute("DELETE FROM batch WHERE sequence = ?", (row[0],))
            self._size_bytes -= row[2]
            if row[3] is None:
                self._count("waiting", -row[1])
                self._count("dropped", row[1])
                dropped += row[1]
        return dropped

    def deliver(
        self, store: SeriesStore, *, now: datetime, limit_rows: int = 5000, newest: bool = False
    ) -> Delivery:
        """Hand waiting batches to the store as one write; oldest first, or newest first.

        Nothing is lost when the store refuses: the batches stay, and `unavailable` says why.
        """
        with self._delivering:
            batches = self._batches(NEWEST_WAITING if newest else OLDEST_WAITING, limit_rows)
            if not batches:
                return Delivery()
            samples, broken = _read(batches)
            try:
                outcome = write_all(store, samples)
            except SeriesUnavailableError as error:
                return Delivery(unavailable=str(error) or "时序库没有应答")
            self._settle(batches, broken, outcome, (now, store.settling))
            return outcome

    def redeliver(self, store: SeriesStore) -> int:
        """Write again what was delivered within the engine's settling time; call it once after a start.

        Returns the number of rows written. Raises SeriesUnavailableError when the store refuses.
        """
        if not store.settling:
            return 0
        batches = self._batches(DELIVERED, COUNTER_LIMIT)
        for batch in batches:
            samples, _ = _read([batch])
            write_all(store, samples)
        return sum(batch.rows for batch in batches)

    def _batches(self, query: str, limit_rows: int) -> list[_Batch]:
        with self._lock:
            cursor = self._connection.execute(query)
            batches: list[_Batch] = []
            total = 0
            for row in cursor:
                batches.append(_Batch(*row))
                total += row[1]
                if total >= limit_rows:
                    break
            cursor.close()
        return batches

    def _settle(
        self,
        batches: Sequence[_Batch],
        broken: Sequence[_Batch],
        outcome: Delivery,
        moment: tuple[datetime, timedelta],
    ) -> None:
        """Record in one commit that batches are in the store (or set aside), and let settled ones go."""
        now, settling = moment
        with self._transaction() as connection:
            still = self._still_there(connection, batches)
            present = [batch for batch in batches if batch.sequence in still]
            self._count("waiting", -sum(batch.rows for batch in present))
            # A batch that the cap dropped while it was being written is in the store after all.
            self._count("dropped", -sum(batch.rows for batch in batches if batch.sequence not in still))
            self._count("stored", outcome.stored)
            self._count("duplicates", outcome.duplicates)
            damaged = [Rejected("spool", "校验和不符", batch.payload) for batch in broken]
            self._quarantine(connection, [*damaged, *outcome.rejected], now)
            self._count("quarantined", sum(batch.rows - 1 for batch in broken))
            for batch in present:
                if settling and batch not in broken:
                    connection.execute(
                        "UPDATE batch SET delivered_at = ? WHERE sequence = ?",
                        (now.timestamp(), batch.sequence),
                    )
                else:
                    connection.execute("DELETE FROM batch WHERE sequence = ?", (batch.sequence,))
                    self._size_bytes -= len(batch.payload)
            self._forget_settled(connection, (now - settling).timestamp())

    @staticmethod
    def _still_there(connection: sqlite3.Connection, batches: Sequence[_Batch]) -> set[int]:
        low, high = min(b.sequence for b in batches), max(b.sequence for b in batches)
        rows = connection.execute("SELECT sequence FROM batch WHERE sequence BETWEEN ? AND ?", (low, high))
        return {row[0] for row in rows}

    def _forget_settled(self, connection: sqlite3.Connection, before: float) -> None:
        rows = connection.execute(
            "DELETE FROM batch WHERE delivered_at <= ? RETURNING length(payload)", (before,)
        ).fetchall()
        self._size_bytes -= sum(row[0] for row in rows)

    def memory(self, prefix: str) -> dict[str, bytes]:
        """Return what was given to be remembered under names with a prefix, by the rest of the name."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT substr(name, ?), content FROM memory WHERE substr(name, 1, ?) = ?",
                (len(prefix) + 1, len(prefix), prefix),
            ).fetchall()
        return dict(rows)

    def balance(self) -> Balance:
        """Return where every published sample has gone."""
        with self._lock:
            return Balance(**{name: self._tallies.get(name, 0) for name in Balance.__slots__})

    def audit(self) -> Balance:
        """Return the balance with `waiting` counted again from the file, to prove the tallies."""
        with self._lock:
            row = self._connection.execute(
                "SELECT coalesce(sum(rows), 0) FROM batch WHERE delivered_at IS NULL"
            ).fetchone()
            return replace(self.balance(), waiting=row[0])

    @property
    def raw_bytes(self) -> int:
        """Raw messages kept in quarantine [bytes], never more than their cap."""
        return self._raw_bytes

    @property
    def size_bytes(self) -> int:
        """Payload kept [bytes], never more than the cap."""
        return self._size_bytes

    def quarantined(self, limit: int = 100) -> tuple[Quarantined, ...]:
        """Return the newest messages in quarantine."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, at, source, reason, raw, size, replayed_at FROM quarantine "
                "ORDER BY id DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return tuple(
            Quarantined(
                id=row[0],
                at=_instant(round(row[1] * 1e6)),
                source=row[2],
                reason=row[3],
                raw=row[4],
                size=row[5],
                replayed_at=None if row[6] is None else _instant(round(row[6] * 1e6)),
            )
            for row in rows
        )

    def mark_replayed(self, quarantine_id: int, samples: Sequence[Sample], *, at: datetime) -> None:
        """Take the samples that a mended mapping made of a quarantined message, and mark it as replayed."""
        with self._transaction() as connection:
            done = connection.execute(
                "UPDATE quarantine SET replayed_at = ? WHERE id = ? AND replayed_at IS NULL",
                (at.timestamp(), quarantine_id),
            )
            if done.rowcount and samples:
                self._count("published", len(samples))
                self._insert(connection, samples)

    def close(self) -> None:
        """Close the file; what waits in it is delivered by the next start."""
        with self._delivering, self._lock:
            self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=15)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(SCHEMA)
        verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError:
        connection.close()
        raise
    if verdict != "ok":
        connection.close()
        raise sqlite3.DatabaseError(verdict)
    return connection


def _read(batches: Sequence[_Batch]) -> tuple[list[Sample], list[_Batch]]:
    """Return the samples of the sound batches, and the batches whose checksum does not match."""
    samples: list[Sample] = []
    broken: list[_Batch] = []
    for batch in batches:
        if zlib.crc32(batch.payload) == batch.checksum:
            samples.extend(_unpack(batch.payload))
        else:
            broken.append(batch)
    return samples, broken
