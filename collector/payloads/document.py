"""How a payload mapping is written: the schema of its TOML file.

Owns what a mapping may say and what is refused at once. Pure data; reading messages is `reading`'s.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from store.samples import QUANTITIES, DeviceState

DEVICE_MARK = "{device}"
TOPIC_MARKS = ("station", "device", "point")

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


def topic_marks(topic: str) -> list[str]:
    """Return the names in braces of a topic pattern, in their order."""
    return re.findall(r"\{([^}]*)\}", topic)


def _compiled(topic: str) -> re.Pattern[str]:
    """Return the pattern as a regular expression; `+` stands for any level."""
    levels = topic.split("/")
    parts = []
    for number, level in enumerate(levels, start=1):
        any_text = ".+" if level == "{point}" and number == len(levels) else "[^/]+"
        pieces = re.split(r"(\{[^}]*\}|\+)", level)
        parts.append("".join(_piece(piece, any_text) for piece in pieces))
    return re.compile("/".join(parts))


def _piece(piece: str, any_text: str) -> str:
    if piece.startswith("{"):
        return f"(?P<{piece[1:-1]}>{any_text})"
    return "[^/]+" if piece == "+" else re.escape(piece)


def _split(path: object) -> object:
    return path.split(".") if isinstance(path, str) and path else path or []


def _decimal(value: object) -> object:
    return str(value) if isinstance(value, int | float) else value


Path = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Where a value stands: keys (and list positions) joined by dots, or a list when a key holds a dot."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MessageShape(_Strict):
    """How a message is built: what its topic names, where its records stand, how a record names its device.

    `topic` is a pattern of which `{station}`, `{device}` and `{point}` take one level each, a `{point}` at
    its end all the rest. `station` is where a record repeats its station; another one is refused.
    """

    topic: str = ""
    records: Path = ()
    devices: Literal["topic", "keys", "path"] = "topic"
    device: Path = ()
    station: Path = ()

    @model_validator(mode="after")
    def _sound(self) -> "MessageShape":
        if self.devices == "path" and not self.device:
            raise ValueError("devices = path 时要写 device")
        if self.devices != "topic" and "device" in topic_marks(self.topic):
            raise ValueError("设备名已在主题里，devices 就不能再写 path 或 keys")
        return self

    @field_validator("topic")
    @classmethod
    def _readable(cls, value: str) -> str:
        marks = topic_marks(value)
        unknown = sorted(set(marks) - set(TOPIC_MARKS))
        if unknown:
            raise ValueError(f"主题里不认识 {{{unknown[0]}}}；可用：{{station}}、{{device}}、{{point}}")
        if len(marks) != len(set(marks)):
            raise ValueError("主题里同一个名字只能出现一次")
        return value


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
    """A list of points `{key: …, value: …}` instead of one key a value.

    An empty `key` reads an object of points, whose own keys name them. `time` is the key under which a point
    may carry its own time, written as the time rule says.
    """

    path: Path
    key: str = "name"
    value: str = "value"
    time: str = ""


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
    """One mapping: name and title, shape of the message, time, quantities, texts that mean "absent".

    The encoding is JSON, or Sparkplug B, where topic and time are the protocol's own.
    """

    name: str
    title: str
    encoding: Literal["json", "sparkplug"] = "json"
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
        if self.encoding == "sparkplug" and self.message != MessageShape():
            raise ValueError("encoding = sparkplug 时主题和报文结构由协议规定，不写 message")
        split = [rule.path for rule in self.quantities.values() if len(rule.path) > 1]
        if self.encoding == "sparkplug" and split:
            name = ".".join(split[0])
            raise ValueError(f'Sparkplug 的量名是一个整体，写成 path = ["{name}"]')
        return self

    @cached_property
    def topic_pattern(self) -> re.Pattern[str] | None:
        """The pattern of topics that name something, or None where topics name nothing."""
        return _compiled(self.message.topic) if self.message.topic else None

    @property
    def names_station(self) -> bool:
        """Whether a topic alone tells the station or the device."""
        marks = topic_marks(self.message.topic)
        return self.encoding == "sparkplug" or "station" in marks or "device" in marks
