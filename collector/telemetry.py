"""Foreign history: a file of somebody's telemetry and a mapping that says what its columns mean.

Owns the mapping's format (TOML, `sunledger-telemetry/1`), the streaming reader of `.csv`, `.csv.xz` and
`.csv.gz`, and the import into the series. A row that cannot be read is a Problem with its line; it stops
nothing else.
"""

import codecs
import csv
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from collector.textfiles import read_toml, read_utf8
from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES, QuantityKind, Sample, samples_to_table
from store.series import Conflict, SeriesStore

ROWS_AT_ONCE = 20_000
TIMES_KEPT = 200_000
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
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

    `columns` names several columns, as of date and time, whose texts are joined by a space. `shift_minutes`
    moves a label to the instant that it stands for, as from the start to the end of an interval. `ambiguous`
    says which of two instants a wall time means that a zone's clock change repeats.
    """

    model_config = _STRICT

    column: str | None = None
    columns: tuple[str, ...] = ()
    format: str = "iso"
    zone: str = "Asia/Shanghai"
    shift_minutes: int = 0
    ambiguous: Literal["refuse", "earlier", "later"] = "refuse"

    @model_validator(mode="after")
    def _one_of(self) -> "TimeMapping":
        if (self.column is None) == (not self.columns):
            raise ValueError("column 与 columns 必须二选一")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that make up the time."""
        return self.columns if self.column is None else (self.column,)

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"不认识时区 {value}") from error
        return value


class DeviceMapping(BaseModel):
    """The column of the device, or one constant device; `rename` and `prefix` give our identifiers.

    Neither is needed where every quantity names its own device.
    """

    model_config = _STRICT

    column: str | None = None
    constant: str | None = None
    prefix: str = ""
    rename: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of(self) -> "DeviceMapping":
        if self.column is not None and self.constant is not None:
            raise ValueError("column 与 constant 只能写一个")
        return self

    def ours(self, name: str) -> str:
        """Return our identifier of a device."""
        return self.prefix + self.rename.get(name, name)


class QuantityMapping(BaseModel):
    """One column and the quantity that it holds: value × `scale` in `unit`, plus `offset` in our unit.

    `device` names the device where a file has a column for each; `words` gives the number for a text, as of
    a state.
    """

    model_config = _STRICT

    column: str
    name: str
    unit: str = ""
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    device: str | None = None
    words: Mapping[str, int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _convertible(self) -> "QuantityMapping":
        if self.name not in QUANTITIES:
            raise ValueError(f"没有名为 {self.name} 的量；可用：{'、'.join(QUANTITIES)}")
        unit = QUANTITIES[self.name].unit
        if self.unit not in {"", unit} and (self.unit, unit) not in _FACTORS:
            known = "、".join(sorted({unit, *(theirs for theirs, ours in _FACTORS if ours == unit)}))
            raise ValueError(f"单位 {self.unit} 不能换算成 {unit}；可用：{known}")
        if not (self.scale.is_finite() and self.offset.is_finite() and self.scale):
            raise ValueError("scale 和 offset 应是数，scale 不能为 0")
        return self

    @property
    def factor(self) -> Decimal:
        """What a value of the file is multiplied by to be in our unit."""
        return self.scale * _FACTORS.get((self.unit, QUANTITIES[self.name].unit), Decimal(1))


class CsvMapping(BaseModel):
    """How the text is written; `missing` lists the texts that mean no value.

    `skip_lines` are the lines before the heading; `decimal` and `thousands` are the marks in numbers.
    """

    model_config = _STRICT

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    encoding: str = "utf-8-sig"
    missing: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "NULL", "-", "--")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError as error:
            raise ValueError(f"不认识编码 {value}，例如 utf-8 或 gbk") from error
        return value

    @model_validator(mode="after")
    def _different_marks(self) -> "CsvMapping":
        if self.decimal == self.thousands:
            raise ValueError("decimal 与 thousands 不能相同")
        return self


class TelemetryMapping(BaseModel):
    """What the columns of a foreign file mean."""

    model_config = _STRICT

    format: Literal["sunledger-telemetry/1"]
    title: str = ""
    time: TimeMapping
    device: DeviceMapping = DeviceMapping()
    quantity: Annotated[tuple[QuantityMapping, ...], Field(min_length=1)]
    csv: CsvMapping = CsvMapping()

    @model_validator(mode="after")
    def _each_once(self) -> "TelemetryMapping":
        names = [(item.device or "", item.name) for item in self.quantity]
        twice = sorted({name for device, name in names if names.count((device, name)) > 1})
        if twice:
            raise ValueError(f"{'、'.join(twice)} 映射了两次")
        if self.device.column is None and self.device.constant is None:
            nameless = [item.column for item in self.quantity if item.device is None]
            if nameless:
                raise ValueError(f"列“{'”、“'.join(nameless)}”属于哪台设备？写 [device] 或这一项的 device")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the file must have."""
        device = () if self.device.column is None else (self.device.column,)
        return (*self.time.names, *device, *dict.fromkeys(item.column for item in self.quantity))


_WORDS = {
    "missing": "缺这一项",
    "extra_forbidden": "没有这个键",
    "string_type": "应是文字（加引号）",
    "int_type": "应是整数",
    "int_parsing": "应是整数",
    "decimal_parsing": "应是数",
    "decimal_type": "应是数",
    "string_too_long": "只能是一个字符",
    "string_too_short": "只能是一个字符",
    "too_short": "至少要有一项 [[quantity]]",
}


def read_mapping(path: Path) -> TelemetryMapping:
    """Read a mapping file; raises ProblemsError with the place of everything that is wrong."""
    raw = read_toml(read_utf8(path), str(path))
    try:
        return TelemetryMapping.model_validate(raw)
    except ValidationError as error:
        raise ProblemsError(
            [
                Problem(
                    f"{path} {'.'.join(str(part) for part in item['loc']) or '全文'}",
                    _WORDS.get(item["type"], item["msg"].removeprefix("Value error, ")),
                    "按 docs/telemetry-mapping.md 修改",
                )
                for item in error.errors()
            ]
        ) from error


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[IO[str]]:
    opener: Any = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    with opener(path, "rt", encoding=encoding, newline="") as stream:
        yield stream


def telemetry_batches(path: Path, mapping: TelemetryMapping) -> Iterator[tuple[pa.Table, list[Problem]]]:
    """Yield the file's samples in batches (SAMPLE_SCHEMA) with the problems of their rows.

    The time of receipt is the sample's own time. Raises ProblemsError when the file cannot be read at all
    or lacks a mapped column; a file that breaks off ends with a problem.
    """
    samples: list[Sample] = []
    problems: list[Problem] = []
    line, skipped, begun = 0, mapping.csv.skip_lines, False
    try:
        with _opened(path, mapping.csv.encoding) as stream:
            for _ in range(skipped):
                stream.readline()
            rows = csv.reader(stream, delimiter=mapping.csv.delimiter, strict=True)
            header = [name.strip() for name in next(rows, [])]
            _require_columns(f"{path.name} 第 {skipped + 1} 行", header, mapping)
            reader, begun = _RowReader(mapping, header), True
            for row in rows:
                line = skipped + rows.line_num
                if row:
                    samples.extend(reader.samples(row, problems, f"{path.name} 第 {line} 行"))
                if len(samples) + len(problems) >= ROWS_AT_ONCE:
                    yield samples_to_table(samples), problems
                    samples, problems = [], []
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeError, csv.Error) as error:
        place = f"{path.name} 第 {max(line, skipped) + 1} 行"
        how = f"检查文件是否完整、编码是否为 {mapping.csv.encoding}"
        broken = Problem(place, f"读到这里中断：{error}", how)
        if not begun:
            raise ProblemsError([broken]) from error
        problems.append(broken)
    if samples or problems:
        yield samples_to_table(samples), problems


def _require_columns(where: str, header: Sequence[str], mapping: TelemetryMapping) -> None:
    listed = "、".join(header) or "无"
    problems = [
        Problem(
            where,
            f"没有列“{column}”",
            f"文件的列是：{listed}；也可能是 delimiter、encoding 或 skip_lines 不对",
        )
        for column in mapping.columns
        if column not in header
    ]
    problems += [
        Problem(where, f"列“{column}”出现了 {header.count(column)} 次", "改掉重复的列名")
        for column in mapping.columns
        if header.count(column) > 1
    ]
    if problems:
        raise ProblemsError(problems)


class _RowReader:
    """Turns rows into samples; remembers how each time text was read, because devices share them."""

    def __init__(self, mapping: TelemetryMapping, header: Sequence[str]) -> None:
        self._mapping = mapping
        self._width = len(header)
        self._zone = ZoneInfo(mapping.time.zone)
        self._missing = set(mapping.csv.missing)
        marks: dict[str, str] = {mapping.csv.thousands: ""} if mapping.csv.thousands else {}
        marks[mapping.csv.decimal] = "."
        self._marks = str.maketrans(marks)
        self._times: dict[str, datetime] = {}
        self._time_places = [header.index(name) for name in mapping.time.names]
        column = mapping.device.column
        self._device_place = None if column is None else header.index(column)
        self._quantities: dict[str | None, list[tuple[int, QuantityMapping]]] = {}
        for item in mapping.quantity:
            self._quantities.setdefault(item.device, []).append((header.index(item.column), item))

    def samples(self, row: Sequence[str], problems: list[Problem], where: str) -> list[Sample]:
        """Return the row's samples, one for each device in it; none after noting why there are none."""
        if len(row) != self._width:
            what = f"有 {len(row)} 格，表头有 {self._width} 格"
            problems.append(Problem(where, what, "改正这一行；文字里有分隔符时要加引号"))
            return []
        time = self._read_time(row, problems, where)
        if time is None:
            return []
        found = []
        for own, quantities in self._quantities.items():
            device_id = self._device(row) if own is None else self._mapping.device.ours(own)
            if device_id is None:
                column = self._mapping.device.column
                problems.append(Problem(f"{where} 列“{column}”", "没有设备编号", "填写设备编号"))
                continue
            values = self._values(row, quantities, problems, where)
            if values:
                found.append(Sample(device_id, time, time, values))
        return found

    def _device(self, row: Sequence[str]) -> str | None:
        device = self._mapping.device
        raw = device.constant if self._device_place is None else row[self._device_place].strip()
        return device.ours(raw) if raw else None

    def _read_time(self, row: Sequence[str], problems: list[Problem], where: str) -> datetime | None:
        text = " ".join(row[place].strip() for place in self._time_places)
        known = self._times.get(text)
        if known is not None:
            return known
        place = f"{where} 列“{'”、“'.join(self._mapping.time.names)}”"
        try:
            time = self._time(text)
        except (ValueError, OverflowError, InvalidOperation):
            how = f"应按 {self._mapping.time.format} 书写，且在时区 {self._mapping.time.zone} 真实存在"
            problems.append(Problem(place, f"时间“{text}”读不出", how))
            return None
        if not EARLIEST <= time < LATEST:
            how = "只收 2000 到 2099 年的数据；检查 format 和 unix_s、unix_ms 是否写对"
            problems.append(Problem(place, f"时间“{text}”是 {time:%Y-%m-%d} UTC", how))
            return None
        if len(self._times) >= TIMES_KEPT:
            self._times.clear()
        self._times[text] = time
        return time

    def _time(self, text: str) -> datetime:
        """Read a time; raises ValueError also for a wall time that the zone's clocks skip or repeat."""
        rule = self._mapping.time
        if rule.format in {"unix_s", "unix_ms"}:
            unit = 1_000_000 if rule.format == "unix_s" else 1000
            found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(Decimal(text) * unit))
        else:
            read = datetime.fromisoformat if rule.format == "iso" else self._by_format
            found = read(text)
            if found.tzinfo is None:
                found = self._placed(found)
        return found.astimezone(UTC) + timedelta(minutes=rule.shift_minutes)

    def _placed(self, wall: datetime) -> datetime:
        """Return the instant of a wall time in the mapping's zone."""
        early, late = wall.replace(tzinfo=self._zone), wall.replace(tzinfo=self._zone, fold=1)
        if early.utcoffset() == late.utcoffset():
            return early
        exists = early.astimezone(UTC).astimezone(self._zone).replace(tzinfo=None) == wall
        if not exists or self._mapping.time.ambiguous == "refuse":
            raise ValueError("a wall time that does not exist, or exists twice")
        return early if self._mapping.time.ambiguous == "earlier" else late

    def _by_format(self, text: str) -> datetime:
        return datetime.strptime(text, self._mapping.time.format)  # noqa: DTZ007, the zone is put on by the caller

    def _values(
        self,
        row: Sequence[str],
        quantities: Sequence[tuple[int, QuantityMapping]],
        problems: list[Problem],
        where: str,
    ) -> dict[str, float | int]:
        values: dict[str, float | int] = {}
        for place, item in quantities:
            text = row[place].strip()
            if text in self._missing:
                continue
            try:
                values[item.name] = self._number(text, item)
            except (InvalidOperation, ValueError, OverflowError):
                how = (
                    "改成数字，没有值就留空"
                    if not item.words
                    else f"改成数字，或 {'、'.join(item.words)} 之一"
                )
                problems.append(
                    Problem(f"{where} 列“{item.column}”", f"“{text}”不是{self._kind(text, item)}", how)
                )
        return values

    @staticmethod
    def _kind(text: str, item: QuantityMapping) -> str:
        counts = QUANTITIES[item.name].kind is QuantityKind.COUNTER
        return "累计读数，累计读数没有负的" if counts and text.startswith("-") else "数字"

    def _number(self, text: str, item: QuantityMapping) -> float | int:
        if text in item.words:
            return item.words[text]
        exact = _finite(text.translate(self._marks)) * item.factor + item.offset
        kind = QUANTITIES[item.name].kind
        if abs(exact) >= 2**63 or (kind is QuantityKind.COUNTER and exact < 0):
            raise OverflowError("the number cannot be one of this quantity")
        return float(exact) if kind is QuantityKind.GAUGE else round(exact)


def _finite(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError("no finite number")
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
