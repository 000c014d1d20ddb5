"""Sparkplug B on the wire: a payload of metrics, and what a topic says.

Owns a bounded reader of the Protocol Buffers wire format for exactly the fields of the Sparkplug B payload
that carry plain metrics; templates, data sets and properties are passed over. Pure, and never raises
anything but SparkplugError for what a message holds.

Source: Eclipse Sparkplug 3.0 specification, chapter 6 (payloads) and 4 (topics); Protocol Buffers encoding.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "spBv1.0"
VARINT_BYTES = 10
METRIC_LIMIT = 20_000
WORD = 1 << 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TIMESTAMP, _METRIC, _SEQUENCE = 1, 2, 3
_INTEGER_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""Widths of the signed types Int8, Int16, Int32 and Int64 by their number."""

Value = int | float | str | bool | None
Cell = int | bytes


class SparkplugError(ValueError):
    """The bytes are no Sparkplug B payload; the text says why, in Chinese."""


class MessageType(StrEnum):
    """What a message tells, as the third level of its topic names it."""

    NODE_BIRTH = "NBIRTH"
    NODE_DATA = "NDATA"
    NODE_DEATH = "NDEATH"
    DEVICE_BIRTH = "DBIRTH"
    DEVICE_DATA = "DDATA"
    DEVICE_DEATH = "DDEATH"


@dataclass(frozen=True, slots=True)
class Place:
    """Who speaks: group, edge node, and the device behind it (empty for the edge node itself)."""

    group: str
    edge: str
    device: str = ""

    @property
    def node(self) -> "Place":
        """The edge node that speaks for the device."""
        return Place(self.group, self.edge)

    def __str__(self) -> str:
        return "/".join(part for part in (self.group, self.edge, self.device) if part)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as sent: `name` is empty where an alias stands for it; `value` None is null.

    `timestamp` [ms since 1970] and `datatype` are None where the message leaves them out.
    """

    name: str = ""
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    value: Value = None


@dataclass(frozen=True, slots=True)
class Payload:
    """A whole payload: its metrics, time [ms since 1970] and sequence number, None where left out."""

    metrics: tuple[Metric, ...]
    timestamp: int | None = None
    sequence: int | None = None


def parse_topic(topic: str) -> tuple[MessageType, Place] | None:
    """Return what a topic says, or None when it is no Sparkplug topic of a node or device."""
    levels = topic.split("/")
    if len(levels) not in {4, 5} or levels[0] != NAMESPACE or levels[2] not in set(MessageType):
        return None
    kind, place = MessageType(levels[2]), Place(levels[1], levels[3], *levels[4:])
    return (kind, place) if bool(place.device) == kind.startswith("D") else None


def place_of(pattern: str) -> Place | None:
    """Return whom a link's topic means: `spBv1.0/GROUP/+/EDGE` or `spBv1.0/GROUP/+/EDGE/DEVICE`."""
    levels = pattern.split("/")
    if len(levels) not in {4, 5} or levels[0] != NAMESPACE or levels[2] != "+":
        return None
    named = [levels[1], *levels[3:]]
    return None if any(not part or part in {"+", "#"} for part in named) else Place(*named)


def parse_payload(data: bytes) -> Payload:
    """Return the metrics of a payload; raises SparkplugError."""
    metrics: list[Metric] = []
    timestamp = sequence = None
    for number, cell in _cells(data):
        if number == _METRIC and isinstance(cell, bytes):
            if len(metrics) >= METRIC_LIMIT:
                raise SparkplugError(f"一条报文多于 {METRIC_LIMIT} 个量")
            metrics.append(_metric(cell))
        elif number == _TIMESTAMP and isinstance(cell, int):
            timestamp = cell
        elif number == _SEQUENCE and isinstance(cell, int):
            sequence = cell
    return Payload(tuple(metrics), timestamp, sequence)


def _metric(data: bytes) -> Metric:
    cells: dict[int, Cell] = dict(_cells(data))
    name, alias, timestamp, datatype = cells.get(1), cells.get(2), cells.get(3), cells.get(4)
    return Metric(
        name=_text(name) if isinstance(name, bytes) else "",
        alias=alias if isinstance(alias, int) else None,
        timestamp=timestamp if isinstance(timestamp, int) else None,
        datatype=datatype if isinstance(datatype, int) else None,
        value=None if cells.get(7) else _value(cells),
    )


def _value(cells: Mapping[int, Cell]) -> Value:
    """Return the number, truth or text of a metric; integers are still unsigned."""
    for number in (10, 11):
        cell = cells.get(number)
        if isinstance(cell, int):
            return cell
    if isinstance(cell := cells.get(12), int) and cell < 1 << 32:
        return float(struct.unpack("<f", cell.to_bytes(4, "little"))[0])
    if isinstance(cell := cells.get(13), int):
        return float(struct.unpack("<d", cell.to_bytes(8, "little"))[0])
    if isinstance(cell := cells.get(14), int):
        return bool(cell)
    return _text(cell) if isinstance(cell := cells.get(15), bytes) else None


def typed(value: Value, datatype: int | None) -> Value:
    """Return a value under its declared type: signed integers are sent as their two's complement."""
    bits = _INTEGER_BITS.get(datatype or 0)
    if bits is None or isinstance(value, bool) or not isinstance(value, int):
        return value
    low = value & (1 << bits) - 1
    return low - (1 << bits) if low >> (bits - 1) else low


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SparkplugError("文字不是 UTF-8") from error


def _cells(data: bytes) -> Iterator[tuple[int, Cell]]:
    """Yield number and content of every field of one protobuf message."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        cell: Cell
        if kind == _VARINT:
            cell, place = _varint(data, place)
        elif kind == _BYTES:
            size, place = _varint(data, place)
            cell, place = _taken(data, place, size), place + size
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
            cell, place = int.from_bytes(_taken(data, place, size), "little"), place + size
        else:
            raise SparkplugError(f"不是 Sparkplug 报文：字段 {number} 的编码方式 {kind} 不认识")
        yield number, cell


def _taken(data: bytes, place: int, size: int) -> bytes:
    if place + size > len(data):
        raise SparkplugError("报文不完整")
    return data[place : place + size]


def _varint(data: bytes, place: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(data[place : place + VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return number % WORD, place + index + 1
    raise SparkplugError("报文不完整" if len(data) - place < VARINT_BYTES else "整数过长")
