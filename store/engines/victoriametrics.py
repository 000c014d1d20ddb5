"""The engine for a province: VictoriaMetrics, single node or cluster.

Owns the form of samples there (one series per device and quantity, a row being a value of `flags`), written
as line protocol through influxdb-client and read by the export and query API. The server acknowledges before
it is durable, so a caller keeps each batch for `settling`; its time resolution is a millisecond. Old data is
deleted by the server's own retention.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from store.engines.batches import (
    Integers,
    boundary_table,
    instant,
    microseconds,
)
from store.engines.lines import lines, tag, untag
from store.engines.pivoting import FLAGS, RECEIVED, Points, whole_rows
from store.engines.recent import KEPT_SECONDS, RecentRows
from store.engines.serverside import (
    LONG_AGO_US,
    ServerSeries,
    distrusted,
    is_away,
    is_distrusted,
    reason,
    require_certificates,
)
from store.problem import Problem, ProblemsError
from store.redaction import redact
from store.samples import QUANTITIES
from store.series import SeriesAwayError, SeriesUnavailableError, Side, Statistics

SETTING = "SUNLEDGER_SERIES_URL"
TOKEN_SETTING = "SUNLEDGER_SERIES_TOKEN"  # noqa: S105, the name of a setting
MS = 1000
END_OF_TIME_MS = 2_524_608_000_000
MILLISECONDS: Any = WritePrecision.MS
DEVICES_AT_ONCE = 300
WRONG_RETENTION = {"1", "1M", "1m"}
_UNAUTHORISED = {401, 403}
_NOT_NOW = {429, 502, 503, 504}
_FLAG = re.compile(r'^-([\w.]+)="([^"]*)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is: base address, paths of a cluster's tenant, token, and the series' prefix.

    `checked` are the base addresses of the servers whose flags are looked at when the program starts.
    """

    base: str
    write_path: str
    read_path: str
    token: str
    measurement: str
    checked: tuple[str, ...]
    certificate: str = ""
    reads_only: bool = False


def parse_address(url: str) -> Address:
    """Read `victoriametrics[+https]://[:TOKEN@]HOST:PORT`.

    Options: `write_path`, `read_path`, `check=HOST:PORT,…`, `measurement`, `ca=FILE`, `access=read`.
    """
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    write_path, read_path = options.pop("write_path", ""), options.pop("read_path", "")
    measurement = options.pop("measurement", "sample")
    certificate, access = options.pop("ca", ""), options.pop("access", "write")
    sound = re.fullmatch(r"[a-z][a-z0-9]*", measurement) and access in {"read", "write"}
    storages = [place for place in options.pop("check", "").split(",") if place]
    if options or not parts.hostname or not sound:
        raise ProblemsError(
            [
                Problem(
                    SETTING,
                    f"“{redact(url)}” 写得不对",
                    "写成 victoriametrics://主机:8428，参数见 docs/stores.md",
                )
            ]
        )
    scheme = "https" if parts.scheme.endswith("+https") else "http"
    base = f"{scheme}://{parts.hostname}:{parts.port or 8428}"
    checked = tuple(f"{scheme}://{place}" for place in storages) or (base,)
    token = unquote(parts.password or "")
    return Address(base, write_path, read_path, token, measurement, checked, certificate, access == "read")


def open_victoriametrics(url: str) -> "VictoriaMetricsStore":
    """Connect and check the server's flags; raises ProblemsError when it is absent or wrongly set up."""
    store = VictoriaMetricsStore(parse_address(url))
    try:
        store.check()
    except (ProblemsError, SeriesUnavailableError) as error:
        store.close()
        raise _told(error) from error
    return store


def _told(error: ProblemsError | SeriesUnavailableError) -> ProblemsError:
    """Return what stops the start: a setting that is wrong, or a server that is away."""
    if isinstance(error, ProblemsError):
        return error
    if is_distrusted(error.__cause__):
        return ProblemsError([distrusted(SETTING)])
    if isinstance(error, RefusedError) and not error.away:
        return ProblemsError([_refusal(error)])
    if isinstance(error.__cause__, Exception) and not is_away(error.__cause__):
        return ProblemsError([Problem(SETTING, str(error), "检查地址和端口")])
    what, how = f"连不上 VictoriaMetrics：{error}", "确认服务在运行；若一直如此，检查地址和端口"
    return SeriesAwayError([Problem(SETTING, what, how)])


class RefusedError(SeriesUnavailableError):
    """The server does not do what was asked.

    `token` where it minds the token, `away` where only what stands before it is there.
    """

    def __init__(self, status: int, text: str) -> None:
        # vmauth answers a token that it does not know with 400 and the token itself.
        self.away = status in _NOT_NOW
        self.token = status in _UNAUTHORISED or "auth token" in text
        super().__init__(f"VictoriaMetrics 回答 {status}：{'不认这个令牌' if self.token else text[:300]}")


class VictoriaMetricsStore(ServerSeries):
    """Samples in VictoriaMetrics; see `store.series.SeriesStore` for what each function promises."""

    settling = timedelta(seconds=30)
    unit_us = MS

    def __init__(self, address: Address) -> None:
        super().__init__()
        require_certificates(SETTING, address.certificate)
        self._address = address
        self._client = InfluxDBClient(
            url=address.base + address.write_path,
            token=address.token or "-",
            org="-",
            enable_gzip=True,
            ssl_ca_cert=address.certificate or None,
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=5, read=60),
            retries=False,
            ca_certs=address.certificate or None,
        )
        self._recent = RecentRows()
        self._opened_at = monotonic()
        self._dirty = True  # another process may have written a moment ago
        self._flushes = True

    def check(self) -> None:
        """Raise ProblemsError unless deduplication and a long retention are switched on."""
        self._query("vector(1)", LONG_AGO_US // MS)
        wrong = [problem for server in self._address.checked for problem in self._wrong_flags(server)]
        if wrong:
            raise ProblemsError(wrong)

    def _wrong_flags(self, server: str) -> list[Problem]:
        """Return what is set wrongly at one server; a tenant's address on a cluster shows no flags."""
        try:
            flags = dict(_FLAG.findall(self._get("/flags", server)))
        except RefusedError:
            if server == self._address.base:
                return []
            raise
        wrong = []
        if flags.get("dedup.minScrapeInterval") != "1ms":
            wrong.append(
                Problem(SETTING, f"{server} 未开启去重", "启动参数加上 -dedup.minScrapeInterval=1ms")
            )
        # Of a cluster only the storage keeps anything; where the flag is not given it is a month.
        keeps = "storageDataPath" in flags or "retentionPeriod" in flags
        if keeps and flags.get("retentionPeriod", "1") in WRONG_RETENTION:
            wrong.append(
                Problem(SETTING, f"{server} 只保留一个月", "启动参数加上 -retentionPeriod=100y 或所需年限")
            )
        return wrong

    # Transport

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._address.token}"} if self._address.token else {}

    def _get(self, path: str, server: str = "") -> str:
        url = (server or self._address.base) + path
        with _translated():
            response = self._http.request("GET", url, headers=self._headers())
        return _text(response)

    def _post(self, path: str, fields: Mapping[str, str]) -> str:
        url = self._address.base + self._address.read_path + path
        with _translated():
            response = self._http.request(
                "POST", url, fields=dict(fields), encode_multipart=False, headers=self._headers()
            )
        return _text(response)

    def _settle(self) -> None:
        """Make what was written visible to queries, which the server does by itself after a second or two.

        It is no promise: what a flush of the server's own has in hand just now is not shown yet. A cluster
        offers no such call at its tenant's paths; there one waits that second.
        """
        if self._dirty and self._flushes:
            try:
                self._get("/internal/force_flush")
            except RefusedError:
                self._flushes = False
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
    ) -> Iterator[tuple[str, str, Integers, npt.NDArray[np.float64]]]:
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
                values = np.asarray(series["values"], np.float64)
                yield untag(series["metric"]["device"]), name, times, values

    def _selector(self, name: str, device_ids: Sequence[str]) -> str:
        devices = "|".join(re.escape(tag(device_id)) for device_id in device_ids).replace("\\", "\\\\")
        return f'{{__name__=~"{self._address.measurement}_{name}",device=~"{devices}"{self._unheard()}}}'

    def _flags(self) -> str:
        """Return the condition for the series that has a value for every row."""
        return f'{{__name__="{self._address.measurement}_flags"{self._unheard()}}}'

    def _unheard(self) -> str:
        """Return a condition that every series meets, new each time while what was written is fresh.

        The server remembers which series a condition found, and learns of new ones up to seconds later.
        """
        begins = monotonic() - self._opened_at < KEPT_SECONDS
        return f',unheard!="{secrets.token_hex(8)}"' if begins or self._recent else ""

    # Writing

    def _send(self, table: pa.Table) -> None:
        if self._address.reads_only:
            raise SeriesUnavailableError("这个进程只读时序库（access=read），不能写入")
        text = "\n".join(lines(table, self._address.measurement, unit_us=MS, typed=False))
        with _translated():
            self._api.write(bucket="sunledger", record=text, write_precision=MILLISECONDS)
        self._recent.add(table)
        self._dirty = True

    # Reading

    def _newest_since(self, since: int) -> dict[str, int]:
        window = f"{END_OF_TIME_MS - since}ms"
        expression = f"tlast_over_time({self._flags()}[{window}])"
        return {device: _milliseconds(value) for device, value in self._query(expression, END_OF_TIME_MS)}

    def _rows(self, device_ids: Sequence[str], span: tuple[int, int], names: Sequence[str]) -> pa.Table:
        """Return whole rows (SAMPLE_SCHEMA) of [low, high), ordered by device and time."""
        fields = [FLAGS, RECEIVED, *names]
        shown = whole_rows(
            Points(name, device_id, times * MS, values)
            for device_id, name, times, values in self._export(device_ids, span, fields)
        )
        return self._recent.over(shown, device_ids, (span[0] * MS, span[1] * MS))

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
        flags = f"{self._flags()}[{_window(END_OF_TIME_MS)}]"
        rows = self._query(f"sum(count_over_time({flags}))", END_OF_TIME_MS)
        oldest = self._query(f"min(tfirst_over_time({flags}))", END_OF_TIME_MS)
        newest = self._query(f"max(tlast_over_time({flags}))", END_OF_TIME_MS)
        try:
            sizes = re.findall(r"^vm_data_size_bytes\{[^}]*\} (\d+)", self._get("/metrics"), re.MULTILINE)
        except RefusedError:
            sizes = []
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
        raise SeriesUnavailableError(f"VictoriaMetrics 暂不可用：{reason(error)}") from error


def _text(response: urllib3.BaseHTTPResponse) -> str:
    text = response.data.decode("utf-8")
    if response.status >= 300:  # noqa: PLR2004, the first code that is no success
        raise RefusedError(response.status, text)
    return text


def _refusal(error: RefusedError) -> Problem:
    if error.token:
        return Problem(TOKEN_SETTING, "VictoriaMetrics 不认这个令牌", "换成能读写这个租户的令牌")
    return Problem(SETTING, str(error), "检查地址、read_path 和 write_path（见 docs/stores.md）")


def _window(until_ms: int) -> str:
    return f"{until_ms - LONG_AGO_US // MS}ms"


def _milliseconds(seconds: str) -> int:
    return round(float(seconds) * MS)
