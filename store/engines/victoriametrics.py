"""The engine for a province: VictoriaMetrics, single node or cluster.

Owns the form of samples there (one series per device and quantity, a row being a value of `flags`), written
as line protocol through influxdb-client and read by the export and query API. The server acknowledges before
it is durable, so a caller keeps each batch for `settling`; its time resolution is a millisecond. Old data is
deleted by the server's own retention.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import orjson
import pyarrow as pa
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from store.engines.aggregation import covered, downsampled
from store.engines.batches import (
    Integers,
    boundary_table,
    instant,
    merge,
    microseconds,
    read_schema,
    rounds,
    shaped,
    times_us,
)
from store.engines.lines import lines, tag, untag
from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES, SAMPLE_SCHEMA, Sample, samples_to_table, table_to_samples
from store.series import Conflict, SeriesUnavailableError, Side, Statistics, WriteResult

SETTING = "SUNLEDGER_SERIES_URL"
MS = 1000
END_OF_TIME_MS = 2_524_608_000_000
BEGIN_OF_TIME_MS = 157_766_400_000
MILLISECONDS: Any = WritePrecision.MS
DEVICES_AT_ONCE = 300
NEIGHBOURHOOD_MS = 600_000
LOOK_SECONDS = 5.0
LOOK_BACK_MS = 86_400_000
WRONG_RETENTION = {"1", "1M", "1m"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is: base address, paths of a cluster's tenant, token, and the series' prefix."""

    base: str
    write_path: str
    read_path: str
    token: str
    measurement: str


def parse_address(url: str) -> Address:
    """Read `victoriametrics[+https]://[:TOKEN@]HOST:PORT?write_path=…&read_path=…&measurement=sample`."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    write_path, read_path = options.pop("write_path", ""), options.pop("read_path", "")
    measurement = options.pop("measurement", "sample")
    if options or not parts.hostname or not re.fullmatch(r"[a-z][a-z0-9]*", measurement):
        raise ProblemsError(
            [Problem(SETTING, f"“{url}” 写得不对", "写成 victoriametrics://主机:8428，参数见 docs/stores.md")]
        )
    scheme = "https" if parts.scheme.endswith("+https") else "http"
    base = f"{scheme}://{parts.hostname}:{parts.port or 8428}"
    return Address(base, write_path, read_path, parts.password or "", measurement)


def open_victoriametrics(url: str) -> "VictoriaMetricsStore":
    """Connect and check the server's flags; raises ProblemsError when it is absent or wrongly set up."""
    store = VictoriaMetricsStore(parse_address(url))
    try:
        store.check()
    except SeriesUnavailableError as error:
        store.close()
        raise ProblemsError(
            [Problem(SETTING, f"连不上 VictoriaMetrics：{error}", "检查地址、端口、令牌，并确认服务在运行")]
        ) from error
    return store


class VictoriaMetricsStore:
    """Samples in VictoriaMetrics; see `store.series.SeriesStore` for what each function promises."""

    settling = timedelta(seconds=30)

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = InfluxDBClient(
            url=address.base + address.write_path, token=address.token or "-", org="-", enable_gzip=True
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=False)
        self._writing = threading.RLock()
        self._newest: dict[str, int] | None = None
        self._looked_at = float("-inf")
        self._latest: dict[str, Sample] = {}
        self._dirty = False

    def check(self) -> None:
        """Raise ProblemsError unless deduplication and a long retention are switched on."""
        self._get("/health")
        try:
            flags = self._get("/flags")
        except SeriesUnavailableError:
            return  # a cluster's tenant paths do not show flags
        wrong = []
        if '-dedup.minScrapeInterval="1ms"' not in flags:
            wrong.append(Problem(SETTING, "服务未开启去重", "启动参数加上 -dedup.minScrapeInterval=1ms"))
        retention = re.search(r'-retentionPeriod="([^"]*)"', flags)
        if retention is None or retention[1] in WRONG_RETENTION:
            wrong.append(
                Problem(SETTING, "数据只保留一个月", "启动参数加上 -retentionPeriod=100y 或所需年限")
            )
        if wrong:
            raise ProblemsError(wrong)

    # Transport

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._address.token}"} if self._address.token else {}

    def _get(self, path: str) -> str:
        with _translated():
            response = self._http.request("GET", self._address.base + path, headers=self._headers())
        return _text(response)

    def _post(self, path: str, fields: Mapping[str, str]) -> str:
        url = self._address.base + self._address.read_path + path
        with _translated():
            response = self._http.request(
                "POST", url, fields=dict(fields), encode_multipart=False, headers=self._headers()
            )
        return _text(response)

    def _settle(self) -> None:
        """Make what was written visible to queries, which the server does by itself after a second."""
        if self._dirty:
            self._get("/internal/force_flush")
            self._dirty = False

    def _query(self, expression: str, time_ms: int) -> list[tuple[str, str]]:
        """Return (device, value) of an instant query."""
        self._settle()
        answer = orjson.loads(
            self._post("/api/v1/query", {"query": expression, "time": f"{time_ms // MS}.{time_ms % MS:03}"})
        )
        return [(untag(r["metric"].get("device", "")), r["value"][1]) for r in answer["data"]["result"]]

    def _export(
        self, device_ids: Sequence[str], span_ms: tuple[int, int], names: Sequence[str]
    ) -> Iterator[tuple[str, str, Integers, list[Any]]]:
        """Yield (device, field, times [ms], values) of every series with values in [low, high)."""
        self._settle()
        for position in range(0, len(device_ids), DEVICES_AT_ONCE):
            fields = {
                "match[]": self._selector(
                    f"({'|'.join(names)})", device_ids[position : position + DEVICES_AT_ONCE]
                ),
                "start": f"{span_ms[0] // MS}.{span_ms[0] % MS:03}",
                "end": f"{(span_ms[1] - 1) // MS}.{(span_ms[1] - 1) % MS:03}",
            }
            for line in self._post("/api/v1/export", fields).splitlines():
                series = orjson.loads(line)
                name = series["metric"]["__name__"].removeprefix(f"{self._address.measurement}_")
                times = np.asarray(series["timestamps"], np.int64)
                yield untag(series["metric"]["device"]), name, times, series["values"]

    def _selector(self, name: str, device_ids: Sequence[str]) -> str:
        devices = "|".join(re.escape(tag(device_id)) for device_id in device_ids).replace("\\", "\\\\")
        return f'{{__name__=~"{self._address.measurement}_{name}",device=~"{devices}"}}'

    # Writing

    def write(self, batch: pa.Table) -> WriteResult:
        """Store a batch; durable after `settling`; see the contract."""
        table = _in_milliseconds(shaped(batch))
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
        ids, times = table.column("device_id").to_pylist(), (times_us(table) // MS).tolist()
        late = [n for n, (d, t) in enumerate(zip(ids, times, strict=True)) if t <= newest.get(d, -1)]
        kept = np.ones(len(ids), bool)
        conflicts: tuple[Conflict, ...] = ()
        completed: list[pa.Table] = []
        if late:
            kept, conflicts, completed = self._merge_stored(table, late)
        fresh = table.filter(pa.array(kept))
        self._send(pa.concat_tables([fresh, *completed]))
        self._remember(fresh)
        return fresh.num_rows, conflicts

    def _merge_stored(
        self, table: pa.Table, late: list[int]
    ) -> tuple[Any, tuple[Conflict, ...], list[pa.Table]]:
        offered = table.take(late)
        times = times_us(offered) // MS
        ids = offered.column("device_id").to_pylist()
        stored = self._rows(sorted(set(ids)), (int(times.min()), int(times.max()) + 1), list(QUANTITIES))
        keys = zip(stored.column("device_id").to_pylist(), (times_us(stored) // MS).tolist(), strict=True)
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
        return kept, result.conflicts, [changed]

    def _send(self, table: pa.Table) -> None:
        if table.num_rows:
            text = "\n".join(lines(table, self._address.measurement, unit_us=MS, typed=False))
            with _translated():
                self._api.write(bucket="sunledger", record=text, write_precision=MILLISECONDS)
            self._dirty = True

    def _remember(self, table: pa.Table) -> None:
        newest = self._newest_times()
        last: dict[str, int] = {}
        for row, (device_id, time) in enumerate(
            zip(table.column("device_id").to_pylist(), (times_us(table) // MS).tolist(), strict=True)
        ):
            if time > newest.get(device_id, -1):
                newest[device_id] = time
                last[device_id] = row
        for sample in table_to_samples(table.take(list(last.values()))) if last else []:
            self._latest[sample.device_id] = sample

    # Reading

    def _newest_times(self) -> dict[str, int]:
        """Return the newest time [ms] of every device, asked for once and kept up to date by writing."""
        if self._newest is None:
            self._newest = self._newest_since(BEGIN_OF_TIME_MS)
            self._looked_at = monotonic()
        return self._newest

    def _newest_since(self, since_ms: int) -> dict[str, int]:
        window = f"{END_OF_TIME_MS - since_ms}ms"
        expression = f"tlast_over_time({self._address.measurement}_flags[{window}])"
        return {device: _milliseconds(value) for device, value in self._query(expression, END_OF_TIME_MS)}

    def _look(self) -> None:
        """Learn what other processes have written lately; looks at most once in `LOOK_SECONDS`.

        A day before the newest sample of all is enough: an older backlog reaches that day as it drains.
        """
        newest = self._newest_times()
        if monotonic() - self._looked_at < LOOK_SECONDS:
            return
        since = max(newest.values()) - LOOK_BACK_MS if newest else BEGIN_OF_TIME_MS
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
            group = [d for d in waiting if newest[d] - first <= NEIGHBOURHOOD_MS]
            waiting = waiting[len(group) :]
            table = self._rows(sorted(group), (first, newest[group[-1]] + 1), list(QUANTITIES))
            for sample in table_to_samples(table):
                self._latest[sample.device_id] = sample

    def _rows(self, device_ids: Sequence[str], span_ms: tuple[int, int], names: Sequence[str]) -> pa.Table:
        """Return whole rows (SAMPLE_SCHEMA) of [low, high), ordered by device and time."""
        rows: dict[str, tuple[Integers, dict[str, list[Any]]]] = {}
        series: dict[str, dict[str, tuple[Integers, list[Any]]]] = {}
        for device_id, name, times, values in self._export(
            device_ids, span_ms, ["flags", "received_us", *names]
        ):
            series.setdefault(device_id, {})[name] = (times, values)
        for device_id, fields in series.items():
            if "flags" in fields:
                rows[device_id] = (fields["flags"][0], _aligned(fields))
        tables = [_wide(device_id, *rows[device_id]) for device_id in sorted(rows)]
        return pa.concat_tables(tables) if tables else SAMPLE_SCHEMA.empty_table()

    def read(
        self, device_ids: Sequence[str], start: datetime, end: datetime, quantities: Sequence[str]
    ) -> pa.Table:
        """Return the chosen quantities, ordered by device and time; see the contract."""
        schema = read_schema(quantities)
        span = (-(-microseconds(start) // MS), -(-microseconds(end) // MS))
        if span[0] >= span[1] or not device_ids:
            return schema.empty_table()
        return self._rows(sorted(set(device_ids)), span, list(quantities)).select(schema.names).cast(schema)

    def downsample(
        self,
        device_ids: Sequence[str],
        interval: tuple[datetime, datetime],
        step: timedelta,
        quantities: Mapping[str, str],
    ) -> pa.Table:
        """Return aligned aggregates per device and step; see the contract."""
        return downsampled(self.read(device_ids, *interval, list(quantities)), step, quantities)

    def boundary_readings(
        self, device_ids: Sequence[str], quantity: str, boundaries: Sequence[datetime], side: Side = "both"
    ) -> pa.Table:
        """Return the readings around each boundary; see the contract."""
        QUANTITIES[quantity]
        nearest = []
        for boundary in boundaries:
            edge = -(-microseconds(boundary) // MS) - 1
            before = {} if side == "after" else self._nearest(device_ids, quantity, "last", (edge, edge))
            until = (edge, END_OF_TIME_MS)
            after = {} if side == "before" else self._nearest(device_ids, quantity, "first", until)
            nearest.append((before, after))
        return boundary_table(device_ids, boundaries, nearest)

    def _nearest(
        self, device_ids: Sequence[str], quantity: str, which: str, span_ms: tuple[int, int]
    ) -> dict[str, tuple[datetime, int]]:
        """Return time and value of the first or last reading; `span_ms` is (after this, up to this)."""
        window = _window(span_ms[1]) if which == "last" else f"{span_ms[1] - span_ms[0]}ms"
        found: dict[str, tuple[datetime, int]] = {}
        for position in range(0, len(device_ids), DEVICES_AT_ONCE):
            chosen = self._selector(quantity, device_ids[position : position + DEVICES_AT_ONCE])
            values = dict(self._query(f"{which}_over_time({chosen}[{window}])", span_ms[1]))
            times = dict(self._query(f"t{which}_over_time({chosen}[{window}])", span_ms[1]))
            for device_id, value in values.items():
                moment = instant(_milliseconds(times[device_id]) * MS)
                found[device_id] = (moment, round(float(value)))
        return found

    def coverage(
        self, device_ids: Sequence[str], interval: tuple[datetime, datetime], step: timedelta
    ) -> pa.Table:
        """Return received and expected steps per device; see the contract."""
        return covered(self.read(device_ids, *interval, []), device_ids, interval, step)

    # Keeping

    def delete_before(self, time: datetime) -> int:
        """Refuse: this server deletes old data by its own retention.

        Raises ProblemsError that says so.
        """
        raise ProblemsError(
            [
                Problem(
                    SETTING,
                    f"VictoriaMetrics 不能按时间删除（{time:%Y-%m-%d} 之前）",
                    "用启动参数 -retentionPeriod 规定保留年限",
                )
            ]
        )

    def statistics(self) -> Statistics:
        """Return rows, bytes on disk (0 where a cluster does not tell), oldest and newest."""
        flags = f"{self._address.measurement}_flags[{_window(END_OF_TIME_MS)}]"
        rows = self._query(f"sum(count_over_time({flags}))", END_OF_TIME_MS)
        oldest = self._query(f"min(tfirst_over_time({flags}))", END_OF_TIME_MS)
        newest = self._query(f"max(tlast_over_time({flags}))", END_OF_TIME_MS)
        sizes = re.findall(r"^vm_data_size_bytes\{[^}]*\} (\d+)", self._get("/metrics"), re.MULTILINE)
        return Statistics(
            int(float(rows[0][1])) if rows else 0,
            sum(int(size) for size in sizes),
            instant(_milliseconds(oldest[0][1]) * MS) if oldest else None,
            instant(_milliseconds(newest[0][1]) * MS) if newest else None,
        )

    def close(self) -> None:
        """Give back the connections; what was written stays with the server."""
        self._api.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]
        self._http.clear()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, ApiException) as error:
        raise SeriesUnavailableError(f"VictoriaMetrics 暂不可用：{error}") from error


def _text(response: urllib3.BaseHTTPResponse) -> str:
    text = response.data.decode("utf-8")
    if response.status >= 300:  # noqa: PLR2004, the first code that is no success
        raise SeriesUnavailableError(f"VictoriaMetrics 回答 {response.status}：{text[:300]}")
    return text


def _window(until_ms: int) -> str:
    return f"{until_ms - BEGIN_OF_TIME_MS}ms"


def _milliseconds(seconds: str) -> int:
    return round(float(seconds) * MS)


def _in_milliseconds(table: pa.Table) -> pa.Table:
    """Return the table with times cut to the millisecond that the server keeps."""
    place = table.schema.get_field_index("time")
    times = pa.array(times_us(table) // MS * MS).cast(SAMPLE_SCHEMA.field("time").type)
    return table.set_column(place, SAMPLE_SCHEMA.field("time"), times)


def _aligned(fields: Mapping[str, tuple[Integers, list[Any]]]) -> dict[str, list[Any]]:
    """Return every field's values at the times of `flags`, None where it has none."""
    rows = {time: row for row, time in enumerate(fields["flags"][0].tolist())}
    aligned: dict[str, list[Any]] = {}
    for name, (times, values) in fields.items():
        cells: list[Any] = [None] * len(rows)
        for time, value in zip(times.tolist(), values, strict=True):
            if time in rows:
                cells[rows[time]] = value
        aligned[name] = cells
    return aligned


def _wide(device_id: str, times: Integers, fields: Mapping[str, list[Any]]) -> pa.Table:
    names = [name for name in fields if name in QUANTITIES]
    samples = [
        Sample(
            device_id,
            instant(time * MS),
            instant(round(fields["received_us"][row] or time * MS)),
            {name: fields[name][row] for name in names if fields[name][row] is not None},
            int(fields["flags"][row]),
        )
        for row, time in enumerate(times.tolist())
    ]
    return samples_to_table(samples)
