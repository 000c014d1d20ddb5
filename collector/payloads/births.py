"""Sparkplug B over time: what births have declared, and the samples of data that rely on it.

Owns the names and types behind aliases, per edge node, in a form that outlives a restart: a birth comes once,
when the edge node connects. Pure; where births are kept is the caller's. We never ask for a rebirth, because
we never publish.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from collector.payloads import values as numbers
from collector.payloads.document import PayloadMapping, TimeRule
from collector.payloads.reading import PAYLOAD_LIMIT_BYTES, Gathered, Reading, Speaker, read_values
from collector.payloads.sparkplug import (
    MessageType,
    Metric,
    Payload,
    Place,
    SparkplugError,
    Value,
    parse_payload,
    typed,
)

SEQUENCE_LENGTH = 256
NOTHING = Payload(())
_TIME = TimeRule(format="ms")


@dataclass(frozen=True, slots=True)
class Declared:
    """What one birth declared: names by alias, and types by name."""

    aliases: Mapping[int, str] = field(default_factory=dict)
    types: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SparkplugMessage:
    """One message: what it tells, of whom, and its payload (or why there is none)."""

    kind: MessageType
    place: Place
    payload: Payload = NOTHING
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Births:
    """Everything that one edge node has declared in its present session, by device ("" is the node).

    `since` is when the last of it was declared [s since 1970].
    """

    devices: Mapping[str, Declared] = field(default_factory=dict)
    since: float = 0.0

    def with_birth(self, message: SparkplugMessage, at: datetime) -> "Births":
        """Return what is declared after a birth; the birth of a node ends all that was before."""
        kept = {} if message.kind is MessageType.NODE_BIRTH else dict(self.devices)
        metrics = message.payload.metrics
        kept[message.place.device] = Declared(
            {item.alias: item.name for item in metrics if item.alias is not None and item.name},
            {item.name: item.datatype for item in metrics if item.name and item.datatype},
        )
        return Births(kept, at.timestamp())

    def dumped(self) -> bytes:
        """Return the births as bytes that can be kept."""
        devices = {
            device: [[[str(alias), name] for alias, name in one.aliases.items()], dict(one.types)]
            for device, one in self.devices.items()
        }
        return orjson.dumps([self.since, devices])

    @classmethod
    def loaded(cls, data: bytes) -> "Births":
        """Return births that were kept; raises ValueError when the bytes are not ours."""
        since, devices = orjson.loads(data)
        declared = {
            device: Declared({int(alias): str(name) for alias, name in aliases}, dict(types))
            for device, (aliases, types) in devices.items()
        }
        return cls(declared, float(since))


def parse(kind: MessageType, place: Place, data: bytes) -> SparkplugMessage:
    """Return the message in the bytes; a fault instead of an exception."""
    if len(data) > PAYLOAD_LIMIT_BYTES:
        return SparkplugMessage(kind, place, fault=f"报文 {len(data)} 字节，超过 {PAYLOAD_LIMIT_BYTES}")
    try:
        return SparkplugMessage(kind, place, parse_payload(data))
    except SparkplugError as error:
        return SparkplugMessage(kind, place, fault=str(error))


def missed(before: int | None, message: SparkplugMessage) -> bool:
    """Tell whether messages of an edge node were lost between sequence number `before` and this one."""
    now = message.payload.sequence
    if before is None or now is None or message.kind is MessageType.NODE_BIRTH:
        return False
    return now not in {before, (before + 1) % SEQUENCE_LENGTH}


def read_sparkplug(
    mapping: PayloadMapping,
    message: SparkplugMessage,
    speaker: Speaker,
    births: Births,
    received_at: datetime,
) -> Reading:
    """Return the samples of a birth or of data, one for each time that its metrics carry.

    `births` include the message itself when it is a birth. An alias that no birth has declared is a fault;
    a metric that the mapping does not name is passed over, and null is absent.
    """
    gathered = Gathered(received_at)
    if message.fault:
        gathered.fault(message.fault)
        return gathered.reading
    declared = births.devices.get(message.place.device, Declared())
    for stamp, table in _tables(message, declared, gathered).items():
        values = read_values(mapping, table)
        moment = numbers.moment(_TIME, stamp, received_at)
        if isinstance(values, str):
            gathered.fault(values)
        elif values and isinstance(moment, str):
            gathered.fault(moment)
        elif values and not isinstance(moment, str):
            gathered.add(speaker.device_id, moment, values)
    return gathered.reading


def _tables(
    message: SparkplugMessage, declared: Declared, gathered: Gathered
) -> dict[int | None, dict[str, Value]]:
    """Return the values by name, apart for every time."""
    tables: dict[int | None, dict[str, Value]] = {}
    for metric in message.payload.metrics:
        name = _name(metric, declared)
        if not name:
            gathered.fault(
                f"别名 {metric.alias} 还没有在出生报文里声明过；等设备下一次 BIRTH，或让它重新上线"
            )
            continue
        stamp = message.payload.timestamp if metric.timestamp is None else metric.timestamp
        datatype = metric.datatype or declared.types.get(name)
        tables.setdefault(stamp, {})[name] = typed(metric.value, datatype)
    return tables


def _name(metric: Metric, declared: Declared) -> str:
    return metric.name or ("" if metric.alias is None else declared.aliases.get(metric.alias, ""))
