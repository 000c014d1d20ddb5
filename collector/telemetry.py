"""Foreign history: a file of somebody's telemetry and a mapping that says what its columns mean.

Owns the mapping's format (TOML, `sunledger-telemetry/1`), the streaming reader of `.csv` and `.csv.xz`, and
the import into the series. A row that cannot be read is a Problem with its line; it stops nothing else.
"""

import csv
import lzma
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES, QuantityKind, Sample, samples_to_table
from store.series import Conflict, SeriesStore

ROWS_AT_ONCE = 20_000
_STRICT = ConfigDict(extra="forbid", frozen=True)

_FACTORS: Mapping[tuple[str, str], Decimal] = {
    ("kW", "W"): Decimal(1000),
    ("MW", "W"): Decimal(1_000_000),
    ("kWh", "Wh"): Decimal(1000),
    ("MWh", "Wh"): Decimal(1_000_000),
    ("kvar", "var"): Decimal(1000),
    ("kVA", "VA"): Decimal(1000),
    ("mV", "V"): Decimal("0.001"),
    ("kV", "V"): Decimal(1000),
    ("mA", "A"): Decimal("0.001"),
    ("kW/m²", "W/m²"): Decimal(1000),
    ("kW/m2", "W/m²"): Decimal(1000),
    ("W/m2", "W/m²"): Decimal(1),
    ("kΩ", "Ω"): Decimal(1000),
    ("MΩ", "Ω"): Decimal(1_000_000),
    ("℃", "°C"): Decimal(1),
    ("C", "°C"): Decimal(1),
    ("%", "1"): Decimal("0.01"),
}


class TimeMapping(BaseModel):
    """The column of the time: strptime format (or `unix_s`, `unix_ms`, `iso`), zone, and a shift.

    `shift_minutes` moves a label to the instant that it stands for, as from the start to the end of an
    interval.
    """

    model_config = _STRICT

    column: str
    format: str = "iso"
    zone: str = "Asia/Shanghai"
    shift_minutes: int = 0

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"不认识时区 {value}") from error
        return value


class DeviceMapping(BaseModel):
    """The column of the device, or one constant device; `rename` and `prefix` give our identifiers."""

    model_config = _STRICT

    column: str | None = None
    constant: str | None = None
    prefix: str = ""
    rename: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of(self) -> "DeviceMapping":
        if (self.column is None) == (self.constant is None):
            raise ValueError("column 与 constant 必须二选一")
        return self


class QuantityMapping(BaseModel):
    """One column and the quantity that it holds: value × `scale` in `unit`, plus `offset` in our unit."""

    model_config = _STRICT

    column: str
    name: str
    unit: str = ""
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)

    @model_validator(mode="after")
    def _convertible(self) -> "QuantityMapping":
        if self.name not in QUANTITIES:
            raise ValueError(f"没有名为 {self.name} 的量")
        unit = QUANTITIES[self.name].unit
        if self.unit not in {"", unit} and (self.unit, unit) not in _FACTORS:
            raise ValueError(f"单位 {self.unit} 不能换算成 {unit}")
        return self

    @property
    def factor(self) -> Decimal:
        """What a value of the file is multiplied by to be in our unit."""
        return self.scale * _FACTORS.get((self.unit, QUANTITIES[self.name].unit), Decimal(1))


class CsvMapping(BaseModel):
    """How the text is written; `missing` lists the texts that mean no value."""

    model_config = _STRICT

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8-sig"
    missing: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "NULL", "-", "--")


class TelemetryMapping(BaseModel):
    """What the columns of a foreign file mean."""

    model_config = _STRICT

    format: Literal["sunledger-telemetry/1"]
    title: str = ""
    time: TimeMapping
    device: DeviceMapping
    quantity: Annotated[tuple[QuantityMapping, ...], Field(min_length=1)]
    csv: CsvMapping = CsvMapping()

    @model_validator(mode="after")
    def _each_once(self) -> "TelemetryMapping":
        names = [item.name for item in self.quantity]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{'、'.join(twice)} 映射了两次")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the file must have."""
        device = () if self.device.column is None else (self.device.column,)
        return (self.time.column, *device, *(item.column for item in self.quantity))


def read_mapping(path: Path) -> TelemetryMapping:
    """Read a mapping file; raises ProblemsError with the place of everything that is wrong."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProblemsError([Problem(str(path), f"读不出：{error}", "检查路径和 TOML 写法")]) from error
    try:
        return TelemetryMapping.model_validate(raw)
    except ValidationError as error:
        raise ProblemsError(
            [
                Problem(
                    f"{path} {'.'.join(str(part) for part in item['loc']) or '全文'}",
                    item["msg"].removeprefix("Value error, "),
                    "按 docs/telemetry-mapping.md 修改",
                )
                for item in error.errors()
            ]
        ) from error


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[IO[str]]:
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding=encoding, newline="") as stream:
        yield stream


def telemetry_batches(path: Path, mapping: TelemetryMapping) -> Iterator[tuple[pa.Table, list[Problem]]]:
    """Yield the file's samples in batches (SAMPLE_SCHEMA) with the problems of their rows.

    The time of receipt is the sample's own time. Raises ProblemsError when the file cannot be read at all
    or lacks a mapped column; a file that breaks off ends with a problem.
    """
    reader = _RowReader(mapping)
    samples: list[Sample] = []
    problems: list[Problem] = []
    line = 0
    try:
        with _opened(path, mapping.csv.encoding) as stream:
            rows = csv.DictReader(stream, delimiter=mapping.csv.delimiter, strict=True)
            _require_columns(path, rows.fieldnames or (), mapping)
            for row in rows:
                line = rows.line_num
                found = reader.sample(row, problems, f"{path.name} 第 {line} 行")
                if found is not None:
                    samples.append(found)
                if len(samples) + len(problems) >= ROWS_AT_ONCE:
                    yield samples_to_table(samples), problems
                    samples, problems = [], []
    except (OSError, EOFError, lzma.LZMAError, UnicodeError, csv.Error, LookupError) as error:
        broken = Problem(
            f"{path.name} 第 {line + 1} 行", f"读到这里中断：{error}", "检查文件是否完整、编码是否正确"
        )
        if not line:
            raise ProblemsError([broken]) from error
        problems.append(broken)
    if samples or problems:
        yield samples_to_table(samples), problems


def _require_columns(path: Path, header: Sequence[str], mapping: TelemetryMapping) -> None:
    problems = [
        Problem(f"{path.name} 第 1 行", f"没有列“{column}”", f"文件的列是：{'、'.join(header) or '无'}")
        for column in mapping.columns
        if column not in header
    ]
    if problems:
        raise ProblemsError(problems)


class _RowReader:
    """Turns rows into samples; remembers how each time text was read, because devices share them."""

    def __init__(self, mapping: TelemetryMapping) -> None:
        self._mapping = mapping
        self._zone = ZoneInfo(mapping.time.zone)
        self._missing = set(mapping.csv.missing)
        self._times: dict[str, datetime] = {}
        self._quantities = [
            (item.column, item.name, item.factor, item.offset, QUANTITIES[item.name].kind)
            for item in mapping.quantity
        ]

    def sample(self, row: Mapping[str, str | None], problems: list[Problem], where: str) -> Sample | None:
        """Return the row's sample, or None after noting why there is none."""
        device_id = self._device(row)
        if device_id is None:
            problems.append(Problem(where, "没有设备编号", f"填写列“{self._mapping.device.column}”"))
            return None
        text = (row[self._mapping.time.column] or "").strip()
        try:
            time = self._times.get(text) or self._time(text)
        except (ValueError, OverflowError):
            expected = self._mapping.time.format
            problems.append(
                Problem(where, f"时间“{text}”读不出", f"应按 {expected} 书写，且在该时区真实存在")
            )
            return None
        self._times[text] = time
        values = self._values(row, problems, where)
        return Sample(device_id, time, time, values) if values else None

    def _device(self, row: Mapping[str, str | None]) -> str | None:
        device = self._mapping.device
        raw = device.constant if device.column is None else (row[device.column] or "").strip()
        return device.prefix + device.rename.get(raw, raw) if raw else None

    def _time(self, text: str) -> datetime:
        """Read a time; raises ValueError also for a wall time that the zone's clocks skip or repeat."""
        rule = self._mapping.time
        if rule.format in {"unix_s", "unix_ms"}:
            unit = timedelta(seconds=1) if rule.format == "unix_s" else timedelta(milliseconds=1)
            found = datetime(1970, 1, 1, tzinfo=UTC) + int(text) * unit
        else:
            read = datetime.fromisoformat if rule.format == "iso" else self._by_format
            found = read(text)
            if found.tzinfo is None:
                local = found.replace(tzinfo=self._zone)
                if local.utcoffset() != local.replace(fold=1).utcoffset():
                    raise ValueError("a wall time that does not exist, or exists twice")
                found = local
        return found.astimezone(UTC) + timedelta(minutes=rule.shift_minutes)

    def _by_format(self, text: str) -> datetime:
        return datetime.strptime(text, self._mapping.time.format)  # noqa: DTZ007, the zone is put on by the caller

    def _values(
        self, row: Mapping[str, str | None], problems: list[Problem], where: str
    ) -> dict[str, float | int]:
        values: dict[str, float | int] = {}
        for column, name, factor, offset, kind in self._quantities:
            text = (row[column] or "").strip()
            if text in self._missing:
                continue
            try:
                exact = _finite(text) * factor + offset
                values[name] = float(exact) if kind is QuantityKind.GAUGE else _whole(exact)
            except (InvalidOperation, ValueError, OverflowError):
                problems.append(
                    Problem(f"{where} 列“{column}”", f"“{text}”不是数字", "改成数字，没有值就留空")
                )
        return values


def _finite(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError("no finite number")
    return number


def _whole(exact: Decimal) -> int:
    number = round(exact)
    if not -(2**63) <= number < 2**63:
        raise OverflowError("the number does not fit")
    return number


@dataclass(frozen=True, slots=True)
class TelemetryReport:
    """What became of an import: rows stored, rows there before, conflicts, and the first problems.

    `devices` holds the devices of the file with the time [UTC] of their first row.
    """

    stored: int = 0
    duplicates: int = 0
    conflicts: tuple[Conflict, ...] = ()
    problem_count: int = 0
    problems: tuple[Problem, ...] = field(default=())
    devices: Mapping[str, datetime] = field(default_factory=dict)


PROBLEMS_KEPT = 1000


def import_telemetry(
    store: SeriesStore, path: Path, mapping: TelemetryMapping, on_batch: Callable[[TelemetryReport], None]
) -> TelemetryReport:
    """Load a file into the series; running it again stores nothing twice.

    `on_batch` is told the state after each batch. Raises ProblemsError as `telemetry_batches` does.
    """
    report = TelemetryReport()
    for table, problems in telemetry_batches(path, mapping):
        result = store.write(table)
        report = TelemetryReport(
            report.stored + result.stored,
            report.duplicates + result.duplicates,
            (report.conflicts + result.conflicts)[:PROBLEMS_KEPT],
            report.problem_count + len(problems),
            (report.problems + tuple(problems))[:PROBLEMS_KEPT],
            _first_seen(report.devices, table),
        )
        on_batch(report)
    return report


def _first_seen(known: Mapping[str, datetime], table: pa.Table) -> Mapping[str, datetime]:
    firsts = table.group_by("device_id").aggregate([("time", "min")]).to_pylist()
    found = {row["device_id"]: row["time_min"] for row in firsts}
    return {name: min(known.get(name, time), time) for name, time in {**known, **found}.items()}
