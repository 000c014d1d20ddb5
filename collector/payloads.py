"""MQTT payload mappings: from the bytes of a message to samples.

Owns the mapping schema (TOML, pure data) and `read_message`. Pure: no database, no clock, no network. It
does not decide which topics belong to which device: the caller says which devices may speak here.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from store.problem import Problem, ProblemsError
from store.quality import Flag
from store.samples import QUANTITIES, DeviceState, QuantityKind, Sample

AHEAD_LIMIT = timedelta(minutes=5)
OLDEST_YEAR = 2015
PAYLOAD_LIMIT_BYTES = 1_000_000
RECORD_LIMIT = 20_000
LARGEST_EXPONENT = 20
DEVICE_MARK = "{device}"

UNITS: Mapping[str, tuple[str, Decimal]] = {
    "W": ("W", Decimal(1)),
    "kW": ("W", Decimal(1000)),
    "MW": ("W", Decimal(1_000_000)),
    "var": ("var", Decimal(1)),
    "kvar": ("var", Decimal(1000)),
    "VA": ("VA", Decimal(1)),
    "kVA": ("VA", Decimal(1000)),
    "Wh": ("Wh", Decimal(1)),
    "kWh": ("Wh", Decimal(1000)),
    "MWh": ("Wh", Decimal(1_000_000)),
    "V": ("V", Decimal(1)),
    "kV": ("V", Decimal(1000)),
    "A": ("A", Decimal(1)),
    "mA": ("A", Decimal("0.001")),
    "Hz": ("Hz", Decimal(1)),
    "°C": ("°C", Decimal(1)),
    "Ω": ("Ω", Decimal(1)),
    "kΩ": ("Ω", Decimal(1000)),
    "MΩ": ("Ω", Decimal(1_000_000)),
    "W/m²": ("W/m²", Decimal(1)),
    "1": ("1", Decimal(1)),
    "%": ("1", Decimal("0.01")),
}
"""Units that a mapping may name: our unit, and the factor to it."""

TIME_SCALES = {"s": 1_000_000, "ms": 1000, "us": 1}


def _split(path: object) -> object:
    return path.split(".") if isinstance(path, str) and path else path or []


def _decimal(value: object) -> object:
    return str(value) if isinstance(value, int | float) else value


Path = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Where a value stands: keys (and list positions) joined by dots, or a list when a key holds a dot."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MessageShape(_Strict):
    """How a message is built: where its records stand and how a record names its device."""

    records: Path = ()
    devices: Literal["topic", "keys", "path"] = "topic"
    device: Path = ()


class TimeRule(_Strict):
    """Where the sampling time stands; `receipt` as `missing` takes our time of receipt instead."""

    path: Path = ()
    format: Literal["s", "ms", "us", "text"] = "ms"
    pattern: str = "%Y-%m-%d %H:%M:%S"
    zone: str = "Asia/Shanghai"
    missing: Literal["receipt", "refuse"] = "refuse"

    @model_validator(mode="after")
    def _known_zone(self) -> "TimeRule":
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"不认识时区 {self.zone}") from error
        return self


class PointArray(_Strict):
    """A list of points `{key: …, value: …}` instead of one key a value."""

    path: Path
    key: str = "name"
    value: str = "value"


class QuantityRule(_Strict):
    """Where one quantity stands, in which unit, times which factor; `codes` for states."""

    path: Path
    unit: str = ""
    scale: Annotated[Decimal, BeforeValidator(_decimal)] = Decimal(1)
    codes: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> "QuantityRule":
        if self.unit and self.unit not in UNITS:
            raise ValueError(f"不认识的单位 {self.unit}；可用：{'、'.join(UNITS)}")
        unknown = [code for code in self.codes.values() if code.upper() not in DeviceState.__members__]
        if unknown:
            raise ValueError(f"不认识的状态 {unknown[0]}；可用：{'、'.join(DeviceState.__members__).lower()}")
        return self

    @property
    def factor(self) -> Decimal:
        """What the number in the message is multiplied with to be in our unit."""
        return self.scale * (UNITS[self.unit][1] if self.unit else 1)


class PayloadMapping(_Strict):
    """One mapping: name and title, shape of the message, time, quantities, texts that mean "absent"."""

    name: str
    title: str
    message: MessageShape = MessageShape()
    time: TimeRule = TimeRule()
    points: PointArray | None = None
    absent: tuple[str, ...] = ("", "-", "--", "null", "NaN", "nan", "N/A")
    quantities: dict[str, QuantityRule]

    @model_validator(mode="after")
    def _known_quantities(self) -> "PayloadMapping":
        for name, rule in self.quantities.items():
            quantity = QUANTITIES.get(name)
            if quantity is None:
                raise ValueError(f"没有名为 {name} 的量")
            if quantity.unit and UNITS.get(rule.unit, ("",))[0] != quantity.unit:
                raise ValueError(f"{name} 的单位是 {quantity.unit}，映射写的是“{rule.unit}”，换算不了")
        if self.message.devices == "path" and not self.message.device:
            raise ValueError("message.devices = path 时要写 message.device")
        return self


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message held: samples, and what could not be used, in words."""

    samples: tuple[Sample, ...] = ()
    faults: tuple[str, ...] = ()


def parse_mapping(text: str, where: str) -> PayloadMapping:
    """Read a mapping from TOML text; raises ProblemsError naming every place that is wrong."""
    try:
        return PayloadMapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProblemsError([Problem(where, f"不是 TOML：{error}", "改正语法后再试")]) from error
    except ValidationError as error:
        problems = [
            Problem(
                f"{where} {'.'.join(str(part) for part in item['loc'])}".strip(),
                item["msg"].removeprefix("Value error, "),
                "对照 docs/mapping-format.md 修改",
            )
            for item in error.errors()
        ]
        raise ProblemsError(problems) from error


def list_mappings() -> tuple[str, ...]:
    """Return the names of the mappings that are shipped."""
    folder = files("collector") / "mappings"
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


@cache
def load_mapping(name: str) -> PayloadMapping:
    """Return a shipped mapping; raises ProblemsError when there is none of that name."""
    if name not in list_mappings():
        known = "、".join(list_mappings())
        raise ProblemsError([Problem(f"映射 {name}", "没有这个映射", f"可用的有：{known}")])
    text = (files("collector") / "mappings" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_mapping(text, f"{name}.toml")


def read_message(
    mapping: PayloadMapping, payload: bytes, devices: Mapping[str, str], received_at: datetime
) -> Reading:
    """Return the samples of one message.

    `devices` maps the name by which the payload calls a device to our device id; where the topic alone
    names the device it holds exactly one entry. `received_at` is the instant of receipt [UTC]. Nothing is
    raised for bad input: what could not be used is in `faults`.
    """
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        return Reading(faults=(f"报文 {len(payload)} 字节，超过 {PAYLOAD_LIMIT_BYTES}",))
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return Reading(faults=(f"不是 JSON：{error}",))
    samples: dict[tuple[str, datetime], Sample] = {}
    faults: list[str] = []
    for number, (name, record) in enumerate(_records(mapping, body, devices)):
        if number >= RECORD_LIMIT:
            faults.append(f"一条报文多于 {RECORD_LIMIT} 条记录")
            break
        sample = _sample(mapping, record, (name, devices), received_at)
        if isinstance(sample, str):
            faults.append(sample)
        else:
            samples[sample.device_id, sample.time] = sample
    if not samples and not faults:
        faults.append("报文里没有记录")
    return Reading(tuple(samples.values()), tuple(dict.fromkeys(faults)))


def _at(body: Any, path: Sequence[str]) -> Any:
    """Return what stands at a path, or None."""
    for key in path:
        if isinstance(body, dict):
            body = body.get(key)
        elif isinstance(body, list) and key.isdecimal() and int(key) < len(body):
            body = body[int(key)]
        else:
            return None
    return body


def _listed(found: Any) -> Iterator[Any]:
    """Yield the items of a list, or the one thing that is no list."""
    if isinstance(found, list):
        yield from found
    elif found is not None:
        yield found


def _records(
    mapping: PayloadMapping, body: Any, devices: Mapping[str, str]
) -> Iterator[tuple[str | None, Any]]:
    """Yield the device name (None when the topic names it) and the record for every record."""
    root, shape = _at(body, mapping.message.records), mapping.message
    if shape.devices == "keys":
        if isinstance(root, dict):
            for name, found in root.items():
                for record in _listed(found):
                    yield str(name), record
        return
    marked = any(DEVICE_MARK in key for rule in mapping.quantities.values() for key in rule.path)
    for record in _listed(root):
        if marked:
            for name in devices:
                yield name, record
        elif shape.devices == "path":
            named = _at(record, shape.device)
            yield str(_at(body, shape.device) if named is None else named), record
        else:
            yield None, record


def _sample(
    mapping: PayloadMapping,
    record: Any,
    who: tuple[str | None, Mapping[str, str]],
    received_at: datetime,
) -> Sample | str:
    """Return the sample of one record, or why there is none."""
    name, devices = who
    if not isinstance(record, dict):
        return "记录不是对象"
    if name is None and len(devices) != 1:
        return "这个主题下登记了多台设备，映射却没有说明设备名在哪里"
    device_id = next(iter(devices.values())) if name is None else devices.get(name)
    if device_id is None:
        return f"报文里的设备 {name!r} 没有登记在这个主题下"
    moment = _moment(mapping.time, record, received_at)
    if isinstance(moment, str):
        return moment
    values = _values(mapping, record, name or "")
    if isinstance(values, str):
        return values
    time, flags = moment
    return Sample(device_id, time, received_at, values, flags)


def _moment(rule: TimeRule, record: Any, received_at: datetime) -> tuple[datetime, int] | str:
    """Return the instant [UTC] under which the record is kept and its flags, or why it cannot be kept."""
    raw = _at(record, rule.path) if rule.path else None
    if raw is None or raw == "":
        return (received_at, 0) if rule.missing == "receipt" else "没有采样时间"
    try:
        time = _device_time(rule, raw)
    except (ValueError, OverflowError, OSError, InvalidOperation):
        return f"采样时间读不懂：{raw!r:.60}"
    if time.year < OLDEST_YEAR:
        return f"采样时间早于 {OLDEST_YEAR} 年：{raw!r:.60}"
    if time > received_at + AHEAD_LIMIT:
        return received_at, int(Flag.CLOCK)
    return time, 0


def _device_time(rule: TimeRule, raw: object) -> datetime:
    if rule.format != "text":
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise ValueError("no number")
        number = Decimal(str(raw))
        if not number.is_finite() or number.adjusted() > LARGEST_EXPONENT:
            raise ValueError("no instant")
        microseconds = int(number * TIME_SCALES[rule.format])
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    text = str(raw)
    if rule.pattern == "iso":
        return _in_zone(datetime.fromisoformat(text), rule.zone)
    return _in_zone(datetime.strptime(text, rule.pattern), rule.zone)  # noqa: DTZ007, the zone is the rule's


def _in_zone(time: datetime, zone: str) -> datetime:
    return (time if time.tzinfo else time.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _values(mapping: PayloadMapping, record: Any, name: str) -> dict[str, float | int] | str:
    """Return the quantities of a record, or why one of them is no number."""
    table = record if mapping.points is None else _table(mapping.points, record)
    values: dict[str, float | int] = {}
    for quantity, rule in mapping.quantities.items():
        path = rule.path if not name else tuple(key.replace(DEVICE_MARK, name) for key in rule.path)
        raw = _at(table, path)
        if raw is None or (isinstance(raw, str) and raw.strip() in mapping.absent):
            continue
        if quantity == "state":
            values |= _state(rule, raw)
            continue
        value = _number(raw, rule.factor, whole=QUANTITIES[quantity].kind is not QuantityKind.GAUGE)
        if value is None:
            return f"{'.'.join(path)} 不是数：{raw!r:.60}"
        values[quantity] = value
    return values


def _table(points: PointArray, record: Any) -> dict[str, Any]:
    """Return a list of points as one key a value."""
    listed = _at(record, points.path)
    if not isinstance(listed, list):
        return {}
    return {str(item.get(points.key)): item.get(points.value) for item in listed if isinstance(item, dict)}


def _state(rule: QuantityRule, raw: object) -> dict[str, float | int]:
    known = rule.codes.get(str(raw))
    state = DeviceState.UNKNOWN if known is None else DeviceState[known.upper()]
    values: dict[str, float | int] = {"state": int(state)}
    if isinstance(raw, int) and not isinstance(raw, bool):
        values["state_raw"] = raw
    return values


def _number(raw: object, factor: Decimal, *, whole: bool) -> float | int | None:
    """Return a number in our unit, exact for counters and codes; None when it is no finite number."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    if isinstance(raw, float) and not whole:
        scaled = raw * float(factor)
        return scaled if math.isfinite(scaled) else None
    try:
        exact = Decimal(str(raw).strip()) * factor
    except ArithmeticError:
        return None
    if not exact.is_finite() or exact.adjusted() > LARGEST_EXPONENT:
        return None
    return round(exact) if whole else float(exact)
