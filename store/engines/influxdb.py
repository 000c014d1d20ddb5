"""The engine for a county server: InfluxDB 2.

Owns the form of samples there: one measurement, the device as a tag, each quantity a field, `flags` in every
point. Written as line protocol through influxdb-client, read in Flux with parameters. The server acknowledges
a batch after it is in its log on disk, so nothing has to be kept for it.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.bucket import Bucket
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.dialect import Dialect
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from store.engines.batches import boundary_table, instant, microseconds, times_us
from store.engines.lines import lines, tag, untag
from store.engines.pivoting import FLAGS, RECEIVED, Points, whole_rows
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
from store.samples import QUANTITIES
from store.series import SeriesAwayError, SeriesUnavailableError, Side, Statistics

SETTING = "SUNLEDGER_SERIES_URL"
TOKEN_SETTING = "SUNLEDGER_SERIES_TOKEN"  # noqa: S105, the name of a setting
DEVICES_AT_ONCE = 300
TIMEOUTS_MS: Any = (5_000, 60_000)
"""How long to wait for the connection, and for an answer [ms]."""
MICROSECONDS: Any = WritePrecision.US
FOREVER_US = 4_102_444_800_000_000
"""After every sample [us]: the year 2100."""
_DIALECT = Dialect(header=True, delimiter=",", annotations=["datatype"])  # type: ignore[no-untyped-call]
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Address:
    """Where the bucket is; `retention` is how long the server keeps it, zero for ever.

    With `reads_only` nothing is written, and the token need not be able to.
    """

    base: str
    organization: str
    bucket: str
    token: str
    measurement: str
    retention: timedelta
    certificate: str
    reads_only: bool = False


def parse_address(url: str) -> Address:
    """Read `influxdb[+https]://[:TOKEN@]HOST:8086/ORGANIZATION/BUCKET`.

    Options: `measurement`, `retention_days`, `ca=FILE`, `access=read`.
    """
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    measurement = options.pop("measurement", "sample")
    days, certificate = options.pop("retention_days", "0"), options.pop("ca", "")
    access = options.pop("access", "write")
    names = [unquote(part) for part in parts.path.strip("/").split("/")]
    sound = re.fullmatch(r"[a-z][a-z0-9_]*", measurement) and days.isdecimal() and len(names) == 2  # noqa: PLR2004, organization and bucket
    sound = sound and access in {"read", "write"}
    if options or not parts.hostname or not sound or not all(names):
        raise ProblemsError(
            [
                Problem(
                    SETTING,
                    f"“{parts.scheme}://{parts.hostname or ''}{parts.path}” 写得不对",
                    "写成 influxdb://主机:8086/组织/存储桶，参数见 docs/stores.md",
                )
            ]
        )
    scheme = "https" if parts.scheme.endswith("+https") else "http"
    return Address(
        f"{scheme}://{parts.hostname}:{parts.port or 8086}",
        names[0],
        names[1],
        unquote(parts.password or ""),
        measurement,
        timedelta(days=int(days)),
        certificate,
        access == "read",
    )


def open_influxdb(url: str) -> "InfluxStore":
    """Connect and check token, organization and bucket; raises ProblemsError that names what is wrong."""
    store = InfluxStore(parse_address(url))
    try:
        store.check()
    except ProblemsError:
        store.close()
        raise
    return store


def prepare_influxdb(url: str) -> None:
    """Make the bucket with its retention, or bring its retention up to date; raises ProblemsError."""
    address = parse_address(url)
    with _told(address), _client(address) as client:
        api = client.buckets_api()
        seconds = int(address.retention.total_seconds())
        rules = [BucketRetentionRules(type="expire", every_seconds=seconds)]  # type: ignore[no-untyped-call]
        found = _bucket(client, address)
        if found is None:
            api.create_bucket(bucket_name=address.bucket, retention_rules=rules, org=address.organization)
        elif [rule.every_seconds for rule in found.retention_rules] != ([seconds] if seconds else []):
            found.retention_rules = rules
            api.update_bucket(bucket=found)


def _client(address: Address) -> InfluxDBClient:
    require_certificates(SETTING, address.certificate)
    return InfluxDBClient(
        url=address.base,
        token=address.token or "-",
        org=address.organization,
        enable_gzip=True,
        timeout=TIMEOUTS_MS,
        ssl_ca_cert=address.certificate or None,
    )


def _bucket(client: InfluxDBClient, address: Address) -> Bucket | None:
    """Return the bucket of that name in the organization, None where the token sees none."""
    try:
        found = client.buckets_api().find_buckets(name=address.bucket, org=address.organization)  # type: ignore[no-untyped-call]
    except ApiException as error:
        if error.status == _NOT_FOUND and "organization" not in str(error.body):
            return None
        raise
    return found.buckets[0] if found.buckets else None


class InfluxStore(ServerSeries):
    """Samples in InfluxDB 2; see `store.series.SeriesStore` for what each function promises."""

    settling = timedelta(0)
    unit_us = 1

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._address = address
        self._client = _client(address)
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._reader = self._client.query_api()

    def check(self) -> None:
        """Raise ProblemsError unless the token may read the bucket, and write it where that is wanted."""
        with _told(self._address):
            found = _bucket(self._client, self._address)
            if found is not None and not self._address.reads_only:
                self._write("# may this token write?")
        if found is None:
            raise ProblemsError(
                [
                    Problem(
                        SETTING,
                        f"组织 {self._address.organization} 里没有令牌看得到的存储桶 {self._address.bucket}",
                        "先运行 sunledger migrate 建立存储桶，或检查地址和令牌的权限",
                    )
                ]
            )

    # Transport

    def _send(self, table: pa.Table) -> None:
        if self._address.reads_only:
            raise SeriesUnavailableError("这个进程只读时序库（access=read），不能写入")
        text = "\n".join(lines(table, self._address.measurement, unit_us=self.unit_us, typed=True))
        with _translated():
            self._write(text)

    def _write(self, text: str) -> None:
        self._writer.write(bucket=self._address.bucket, record=text, write_precision=MICROSECONDS)

    def _ask(self, flux: str, span_us: tuple[int, int], **parameters: Any) -> Iterator[pa.Table]:
        """Yield the tables of an answer, one for each set of columns."""
        given = {
            "bucket": self._address.bucket,
            "measurement": self._address.measurement,
            "start": instant(span_us[0]),
            "stop": instant(span_us[1]),
            **parameters,
        }
        with _translated():
            answer = self._reader.query_raw(flux, dialect=_DIALECT, params=given)
            text = answer.data
        for block in re.split(rb"\r?\n\r?\n", text):
            if block.strip():
                yield _table(block)

    def _points(
        self, device_ids: Sequence[str], span_us: tuple[int, int], names: Sequence[str]
    ) -> Iterator[Points]:
        for position in range(0, len(device_ids), DEVICES_AT_ONCE):
            chosen = _one_of([tag(one) for one in device_ids[position : position + DEVICES_AT_ONCE]])
            for table in self._ask(_SERIES, span_us, devices=chosen, fields=_one_of(names)):
                yield from _by_field(table)

    def _rows(self, device_ids: Sequence[str], span: tuple[int, int], names: Sequence[str]) -> pa.Table:
        return whole_rows(self._points(device_ids, span, [FLAGS, RECEIVED, *names]))

    def _newest_since(self, since: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for table in self._ask(_NEWEST, (since, FOREVER_US)):
            times = times_us(table, "_time").tolist()
            found |= zip((untag(text) for text in table.column("device").to_pylist()), times, strict=True)
        return found

    # Reading

    def boundary_readings(
        self, device_ids: Sequence[str], quantity: str, boundaries: Sequence[datetime], side: Side = "both"
    ) -> pa.Table:
        """Return the readings around each boundary; see the contract."""
        QUANTITIES[quantity]
        nearest = []
        for boundary in boundaries:
            edge = microseconds(boundary)
            before = (
                {} if side == "after" else self._nearest(_LAST, device_ids, quantity, (LONG_AGO_US, edge))
            )
            after = (
                {} if side == "before" else self._nearest(_FIRST, device_ids, quantity, (edge, FOREVER_US))
            )
            nearest.append((before, after))
        return boundary_table(device_ids, boundaries, nearest)

    def _nearest(
        self, flux: str, device_ids: Sequence[str], quantity: str, span_us: tuple[int, int]
    ) -> dict[str, tuple[datetime, int]]:
        found: dict[str, tuple[datetime, int]] = {}
        for position in range(0, len(device_ids), DEVICES_AT_ONCE):
            chosen = _one_of([tag(one) for one in device_ids[position : position + DEVICES_AT_ONCE]])
            for table in self._ask(flux, span_us, devices=chosen, fields=_one_of([quantity])):
                names = [untag(text) for text in table.column("device").to_pylist()]
                moments = [instant(time) for time in times_us(table, "_time").tolist()]
                values = [round(value) for value in table.column("_value").to_pylist()]
                found |= dict(zip(names, zip(moments, values, strict=True), strict=True))
        return found

    # Keeping

    def delete_before(self, time: datetime) -> int:
        """Delete samples older than `time`; returns how many there were."""
        edge = microseconds(time)
        rows = self._count((LONG_AGO_US, edge))
        if rows:
            with self._writing, _translated():
                self._client.delete_api().delete(
                    instant(LONG_AGO_US),
                    instant(edge - 1),
                    f'_measurement="{self._address.measurement}"',
                    bucket=self._address.bucket,
                )
                self._forget()
        return rows

    def _count(self, span_us: tuple[int, int]) -> int:
        if span_us[0] >= span_us[1]:
            return 0
        return sum(
            int(value) for table in self._ask(_COUNT, span_us) for value in table.column("_value").to_pylist()
        )

    def statistics(self) -> Statistics:
        """Return rows, bytes on disk (0 where the server does not tell), oldest and newest."""
        everything = (LONG_AGO_US, FOREVER_US)
        edges = [
            moment
            for flux in (_OLDEST, _NEWEST)
            for table in self._ask(flux, everything)
            for moment in table.column("_time").to_pylist()
        ]
        return Statistics(
            self._count(everything),
            self._size(),
            min(edges, default=None),
            max(edges, default=None),
        )

    def _size(self) -> int:
        """Return the bytes on disk of the bucket, as the server's metrics tell them."""
        with _translated():
            bucket = _bucket(self._client, self._address)
        if bucket is None:
            return 0
        pool = urllib3.PoolManager(timeout=10, retries=False)
        try:
            text = pool.request("GET", f"{self._address.base}/metrics").data.decode("utf-8", "replace")
        except urllib3.exceptions.HTTPError:
            return 0
        pattern = rf'^storage_shard_disk_size\{{bucket="{bucket.id}"[^}}]*\}} (\S+)'
        return sum(int(float(size)) for size in re.findall(pattern, text, re.MULTILINE))

    def close(self) -> None:
        """Give back the connections; what was written stays with the server."""
        self._writer.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]


# A regular expression is searched in the server's index; contains() would read every series of the bucket.
_CHOICES = """import "regexp"
wanted = regexp.compile(v: fields)
owners = regexp.compile(v: devices)
"""
_RANGE = """from(bucket: bucket) |> range(start: start, stop: stop)
  |> filter(fn: (r) => r._measurement == measurement)"""
_CHOSEN = f"""{_CHOICES}{_RANGE}
  |> filter(fn: (r) => r._field =~ wanted)
  |> filter(fn: (r) => r.device =~ owners)"""
_KEPT = '|> keep(columns: ["_time", "_value", "_field", "device"])'
_SERIES = f"{_CHOSEN}\n  {_KEPT}"
_LAST = f"{_CHOSEN}\n  |> last()\n  {_KEPT}"
_FIRST = f"{_CHOSEN}\n  |> first()\n  {_KEPT}"
_EVERY = f'{_RANGE}\n  |> filter(fn: (r) => r._field == "flags")'
_NEWEST = f"{_EVERY}\n  |> last()\n  {_KEPT}"
_OLDEST = f"{_EVERY}\n  |> first()\n  {_KEPT}"
_COUNT = f'{_EVERY}\n  |> count()\n  |> group()\n  |> sum()\n  |> keep(columns: ["_value"])'


def _one_of(names: Sequence[str]) -> str:
    """Return the regular expression, itself a parameter, that matches these names and no other."""
    return f"^({'|'.join(re.escape(name) for name in names)})$"


def _table(block: bytes) -> pa.Table:
    """Read one block of annotated CSV: the line of types, the header, the rows."""
    kinds, _, rest = block.lstrip().partition(b"\n")
    header, _, _ = rest.partition(b"\n")
    names = header.decode().strip().split(",")
    types = dict(zip(names, kinds.decode().strip().split(","), strict=True))
    wanted = {"_time": pa.timestamp("us", tz="UTC"), "_value": _ARROW[types["_value"]]}
    wanted |= {name: pa.string() for name in ("_field", "device")}
    chosen = {name: kind for name, kind in wanted.items() if name in types}
    return pa.csv.read_csv(
        io.BytesIO(rest),
        convert_options=pa.csv.ConvertOptions(column_types=chosen, include_columns=list(chosen)),
    )


_ARROW = {"long": pa.int64(), "double": pa.float64(), "unsignedLong": pa.uint64()}


def _by_field(table: pa.Table) -> Iterator[Points]:
    """Split an answer by field; devices get back their own names."""
    fields = table.column("_field")
    tags = table.column("device").combine_chunks().dictionary_encode()
    names = pa.array([untag(text) for text in tags.dictionary.to_pylist()], pa.string())
    devices = names.take(tags.indices)
    times = times_us(table, "_time")
    values = table.column("_value").to_numpy()
    for field in pc.unique(fields).to_pylist():
        rows = np.flatnonzero(pc.equal(fields, field).to_numpy())
        yield Points(field, devices.take(pa.array(rows)), times[rows], values[rows])


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
        raise SeriesUnavailableError(f"InfluxDB 暂不可用：{reason(error)}") from error


@contextmanager
def _told(address: Address) -> Iterator[None]:
    """Turn a refusal at the start into the line that names the setting, and silence into being away."""
    try:
        yield
    except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
        if is_away(error):
            raise SeriesAwayError(
                [
                    Problem(
                        SETTING,
                        f"连不上 InfluxDB：{reason(error)}",
                        "确认服务在运行；若一直如此，检查地址和端口",
                    )
                ]
            ) from error
        raise ProblemsError([_refusal(address, error)]) from error


def _refusal(address: Address, error: Exception) -> Problem:
    """Return what is set wrongly, judging by the server's answer."""
    if is_distrusted(error):
        return distrusted(SETTING)
    mend = "换成能读这个存储桶的令牌" if address.reads_only else "换成能读写这个存储桶的令牌"
    match error.status if isinstance(error, ApiException) else None:
        case 401:
            return Problem(TOKEN_SETTING, "InfluxDB 不认这个令牌", mend)
        case 403:
            return Problem(TOKEN_SETTING, "这个令牌不能写（或不能建）存储桶", mend)
        case 404 if "organization" in str(getattr(error, "body", "")):
            return Problem(SETTING, f"InfluxDB 里没有组织 {address.organization}", "检查地址里的组织名")
        case _:
            what = f"{address.base} 的回答不像 InfluxDB 2：{reason(error)}"
            return Problem(SETTING, what, "检查地址、端口、令牌的权限和存储桶的设置")
