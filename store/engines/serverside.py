"""What every engine on a server has in common: uniqueness, conflicts, and the newest samples kept at hand.

Owns the comparison of a batch with what is stored, and what this process remembers of it: the newest time
and sample of each device, looked up again now and then because other processes write too. How samples are
sent and asked for is each engine's own.
"""

import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import urllib3
from influxdb_client.rest import ApiException

from store.engines.aggregation import covered, downsampled
from store.engines.batches import merge, microseconds, read_schema, rounds, shaped, times_us
from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES, SAMPLE_SCHEMA, Sample, table_to_samples
from store.series import Conflict, WriteResult

LOOK_SECONDS = 5.0
LOOK_BACK_US = 86_400_000_000
NEIGHBOURHOOD_US = 600_000_000
LONG_AGO_US = 157_766_400_000_000
"""Before every sample [us]: 1975, where server indexes still begin."""


_FULL = ("read-only mode", "no space left on device", "file too large")


def reason(error: Exception) -> str:
    """Return in one line why a server did not do what was asked, and what to do where that is known."""
    if not isinstance(error, ApiException):
        return str(error)[:300]
    body = str(error.body or "").strip()
    if any(mark in body for mark in _FULL):
        # InfluxDB goes on refusing after there is room again; VictoriaMetrics does not.
        after = "" if "read-only" in body else "，再重新启动它"
        return f"服务器磁盘已满、只能读（{error.status}），请清出磁盘空间或换更大的磁盘{after}"
    return f"{error.status} {error.reason} {body[:200]}".strip()


_NOT_NOW = {0, 429, 502, 503, 504}


def is_away(error: Exception) -> bool:
    """Tell whether a server, or what stands before it, gave no answer rather than a refusal."""
    if isinstance(error, ApiException):
        return error.status in _NOT_NOW and not is_distrusted(error)
    return not is_distrusted(error) and not isinstance(error, urllib3.exceptions.LocationValueError)


def is_distrusted(error: BaseException | None) -> bool:
    """Tell whether the certificate of a server was not accepted, or it speaks no TLS at all."""
    if isinstance(error, ApiException):
        # The client turns what its library raises into a refusal without a status.
        return not error.status and "SSLError" in str(error.reason)
    if isinstance(error, urllib3.exceptions.MaxRetryError):
        return is_distrusted(error.reason)
    return isinstance(error, urllib3.exceptions.SSLError | ssl.SSLError)


def distrusted(setting: str) -> Problem:
    """Return what to do about a certificate that is not accepted."""
    return Problem(
        setting,
        "服务器的证书通不过检查，或对方不是 https",
        "自签证书用 ca=文件 指出颁发机构（PEM），主机名要与证书一致；不加密的服务器去掉 +https",
    )


def require_certificates(setting: str, path: str) -> None:
    """Raise ProblemsError unless `path` is empty or a file of certificates that can be read."""
    try:
        if path:
            ssl.create_default_context(cafile=path)
    except OSError as error:
        what = f"ca={path} 读不了：{error.strerror or error}"
        raise ProblemsError([Problem(setting, what, "写成证书颁发机构的 PEM 文件的路径")]) from error


class ServerSeries(ABC):
    """The part of `store.series.SeriesStore` that does not depend on the server.

    Times inside are in units of `unit_us` [us], the resolution of the server.
    """

    unit_us: int

    def __init__(self) -> None:
        self._writing = threading.RLock()
        self._newest: dict[str, int] | None = None
        self._looked_at = float("-inf")
        self._latest: dict[str, Sample] = {}

    @abstractmethod
    def _send(self, table: pa.Table) -> None:
        """Write rows of SAMPLE_SCHEMA; raises SeriesUnavailableError when nothing was stored."""

    @abstractmethod
    def _rows(self, device_ids: Sequence[str], span: tuple[int, int], names: Sequence[str]) -> pa.Table:
        """Return whole rows (SAMPLE_SCHEMA) of [low, high), ordered by device and time."""

    @abstractmethod
    def _newest_since(self, since: int) -> dict[str, int]:
        """Return the newest time of every device that has a sample since then."""

    # Writing

    def write(self, batch: pa.Table) -> WriteResult:
        """Store a batch; durable after `settling`; see the contract."""
        table = _cut(shaped(batch), self.unit_us)
        if not table.num_rows:
            return WriteResult(0, 0)
        encoded = table.column("device_id").combine_chunks().dictionary_encode()
        numbers = encoded.indices.to_numpy().astype(np.int64)
        times = times_us(table)
        stored = 0
        conflicts: list[Conflict] = []
        with self._writing:
            for rows in rounds(numbers, times):
                fresh, found = self._write_round(table.take(rows))
                stored += fresh
                conflicts += found
        return WriteResult(stored, table.num_rows - stored, tuple(conflicts))

    def _write_round(self, table: pa.Table) -> tuple[int, Sequence[Conflict]]:
        newest = self._newest_times()
        ids, times = table.column("device_id").to_pylist(), (times_us(table) // self.unit_us).tolist()
        late = [n for n, (d, t) in enumerate(zip(ids, times, strict=True)) if t <= newest.get(d, -1)]
        kept = np.ones(len(ids), bool)
        conflicts: tuple[Conflict, ...] = ()
        again: list[pa.Table] = []
        if late:
            kept, conflicts, again = self._merge_stored(table, late)
        fresh = table.filter(pa.array(kept))
        everything = pa.concat_tables([fresh, *again])
        if everything.num_rows:
            self._send(everything)
        self._remember(fresh)
        return fresh.num_rows, conflicts

    def _merge_stored(
        self, table: pa.Table, late: list[int]
    ) -> tuple[npt.NDArray[np.bool_], tuple[Conflict, ...], list[pa.Table]]:
        offered = table.take(late)
        times = times_us(offered) // self.unit_us
        ids = offered.column("device_id").to_pylist()
        stored = self._rows(sorted(set(ids)), (int(times.min()), int(times.max()) + 1), list(QUANTITIES))
        stored_times = (times_us(stored) // self.unit_us).tolist()
        keys = zip(stored.column("device_id").to_pylist(), stored_times, strict=True)
        place = {key: row for row, key in enumerate(keys)}
        pairs = [
            (n, place[key]) for n, key in enumerate(zip(ids, times.tolist(), strict=True)) if key in place
        ]
        kept = np.ones(table.num_rows, bool)
        kept[[late[n] for n, _ in pairs]] = False
        if not pairs:
            return kept, (), []
        result = merge(stored.take([row for _, row in pairs]), offered.take([n for n, _ in pairs]))
        changed = result.merged.take(np.asarray(result.changed, np.int64))
        for device_id in changed.column("device_id").to_pylist():
            self._latest.pop(device_id, None)
        # Also what is there already goes to the server again: a full one shows rows that its log refused,
        # and only what it takes now may be acknowledged.
        return kept, result.conflicts, [result.merged]

    def _remember(self, table: pa.Table) -> None:
        newest = self._newest_times()
        last: dict[str, int] = {}
        times = (times_us(table) // self.unit_us).tolist()
        for row, (device_id, time) in enumerate(
            zip(table.column("device_id").to_pylist(), times, strict=True)
        ):
            if time > newest.get(device_id, -1):
                newest[device_id] = time
                last[device_id] = row
        for sample in table_to_samples(table.take(list(last.values()))) if last else []:
            self._latest[sample.device_id] = sample

    def _forget(self) -> None:
        """Look everything up anew: what was remembered may have been deleted."""
        self._newest = None
        self._latest.clear()

    # Reading

    def _newest_times(self) -> dict[str, int]:
        """Return the newest time of every device, asked for once and kept up to date by writing."""
        if self._newest is None:
            self._newest = self._newest_since(LONG_AGO_US // self.unit_us)
            self._looked_at = monotonic()
        return self._newest

    def _look(self) -> None:
        """Learn what other processes have written lately; looks at most once in `LOOK_SECONDS`.

        A day before the newest sample of all is enough: an older backlog reaches that day as it drains.
        """
        newest = self._newest_times()
        if monotonic() - self._looked_at < LOOK_SECONDS:
            return
        long_ago = LONG_AGO_US // self.unit_us
        since = max(newest.values()) - LOOK_BACK_US // self.unit_us if newest else long_ago
        for device_id, moment in self._newest_since(since).items():
            if moment > newest.get(device_id, -1):
                newest[device_id] = moment
                self._latest.pop(device_id, None)
        self._looked_at = monotonic()

    def latest(self, device_ids: Sequence[str] | None = None) -> Mapping[str, Sample]:
        """Return the newest sample of each device; see the contract."""
        with self._writing:
            self._look()
            newest = self._newest_times()
            wanted = [d for d in (newest if device_ids is None else device_ids) if d in newest]
            self._load_latest([d for d in wanted if d not in self._latest])
            return {device_id: self._latest[device_id] for device_id in wanted if device_id in self._latest}

    def _load_latest(self, device_ids: list[str]) -> None:
        newest = self._newest_times()
        waiting = sorted(device_ids, key=lambda device_id: newest[device_id])
        while waiting:
            first = newest[waiting[0]]
            group = [d for d in waiting if newest[d] - first <= NEIGHBOURHOOD_US // self.unit_us]
            waiting = waiting[len(group) :]
            table = self._rows(sorted(group), (first, newest[group[-1]] + 1), list(QUANTITIES))
            for sample in table_to_samples(table):
                self._latest[sample.device_id] = sample

    def read(
        self, device_ids: Sequence[str], start: datetime, end: datetime, quantities: Sequence[str]
    ) -> pa.Table:
        """Return the chosen quantities, ordered by device and time; see the contract."""
        schema = read_schema(quantities)
        span = (self._units(start), self._units(end))
        if span[0] >= span[1] or not device_ids:
            return schema.empty_table()
        return self._rows(sorted(set(device_ids)), span, list(quantities)).select(schema.names).cast(schema)

    def _units(self, moment: datetime) -> int:
        """Return the first unit of time at or after an instant."""
        return -(-microseconds(moment) // self.unit_us)

    def downsample(
        self,
        device_ids: Sequence[str],
        interval: tuple[datetime, datetime],
        step: timedelta,
        quantities: Mapping[str, str],
    ) -> pa.Table:
        """Return aligned aggregates per device and step; see the contract."""
        return downsampled(self.read(device_ids, *interval, list(quantities)), step, quantities)

    def coverage(
        self, device_ids: Sequence[str], interval: tuple[datetime, datetime], step: timedelta
    ) -> pa.Table:
        """Return received and expected steps per device; see the contract."""
        return covered(self.read(device_ids, *interval, []), device_ids, interval, step)


def _cut(table: pa.Table, unit_us: int) -> pa.Table:
    """Return the table with times cut to the unit that the server keeps."""
    if unit_us == 1:
        return table
    place = table.schema.get_field_index("time")
    times = pa.array(times_us(table) // unit_us * unit_us).cast(SAMPLE_SCHEMA.field("time").type)
    return table.set_column(place, SAMPLE_SCHEMA.field("time"), times)
