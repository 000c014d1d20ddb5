"""From the bytes of a message to samples.

Owns `read_message` for JSON. Pure: no database, no clock, no network. It does not decide which topics belong
to which device: the caller says which devices may speak here. Sparkplug B is `births`'.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from collector.payloads import values as numbers
from collector.payloads.document import DEVICE_MARK, PayloadMapping, PointArray
from store.samples import QUANTITIES, QuantityKind, Sample

PAYLOAD_LIMIT_BYTES = 1_000_000
RECORD_LIMIT = 20_000
POINT_TEXT_LIMIT = 200
UNNAMED: Final = ""
_UNSAID: Final = object()
_WHOLE: Final = frozenset(q.name for q in QUANTITIES.values() if q.kind is not QuantityKind.GAUGE)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A device that may speak on a topic: our id, and the station that it stands in."""

    device_id: str
    station_id: str = ""


Speakers = Mapping[str, Speaker]
"""Devices by the name under which a payload or topic calls them."""


@dataclass(frozen=True, slots=True)
class TopicNames:
    """What a topic names through the pattern of its mapping; empty where it names nothing."""

    station: str = ""
    device: str = ""
    point: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message held: samples, and what could not be used, in words."""

    samples: tuple[Sample, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class Gathered:
    """Samples and faults on the way to a Reading; values of one device and instant become one sample."""

    received_at: datetime
    samples: dict[tuple[str, datetime], Sample] = field(default_factory=dict)
    faults: dict[str, None] = field(default_factory=dict)

    def add(self, device_id: str, moment: tuple[datetime, int], values: dict[str, float | int]) -> None:
        """Take the values of a device at an instant."""
        time, flags = moment
        known = self.samples.get((device_id, time))
        if known is not None:
            values, flags = {**known.values, **values}, known.flags | flags
        self.samples[device_id, time] = Sample(device_id, time, self.received_at, values, flags)

    def fault(self, reason: str) -> None:
        """Note why something could not be used."""
        self.faults[reason] = None

    @property
    def reading(self) -> Reading:
        """What was gathered."""
        return Reading(tuple(self.samples.values()), tuple(self.faults))


def topic_names(mapping: PayloadMapping, topic: str) -> TopicNames | None:
    """Return what a topic names, or None when the mapping wants a pattern that the topic does not fit."""
    if mapping.topic_pattern is None:
        return TopicNames()
    match = mapping.topic_pattern.fullmatch(topic)
    return None if match is None else TopicNames(**match.groupdict())


def read_message(
    mapping: PayloadMapping,
    payload: bytes,
    speakers: Speakers,
    received_at: datetime,
    names: TopicNames = TopicNames(),
) -> Reading:
    """Return the samples of one JSON message.

    `speakers` are the devices that may speak here; where the topic alone names the device it holds exactly
    one entry. `received_at` is the instant of receipt [UTC]. Nothing is raised for bad input: what could not
    be used is in `faults`. A topic of one point that the mapping does not use gives neither.
    """
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        return Reading(faults=(f"报文 {len(payload)} 字节，超过 {PAYLOAD_LIMIT_BYTES}",))
    if names.point and not any(names.point == q.path[0] for q in mapping.quantities.values()):
        return Reading()
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        if not names.point:
            return Reading(faults=(f"不是 JSON：{error}",))
        body = payload.decode("utf-8", errors="replace")[:POINT_TEXT_LIMIT]
    gathered = Gathered(received_at)
    reader = _Reader(mapping, speakers, names, gathered)
    for number, (name, record) in enumerate(reader.records(body)):
        if number >= RECORD_LIMIT:
            gathered.fault(f"一条报文多于 {RECORD_LIMIT} 条记录")
            break
        reader.take(name, record, body)
    if not gathered.samples and not gathered.faults:
        gathered.fault("报文里没有记录")
    return gathered.reading


class _Reader:
    """Reads the records of one message under one mapping."""

    def __init__(
        self, mapping: PayloadMapping, speakers: Speakers, names: TopicNames, gathered: Gathered
    ) -> None:
        self._mapping = mapping
        self._speakers = speakers
        self._names = names
        self._gathered = gathered

    def records(self, body: Any) -> Iterator[tuple[str | None, Any]]:
        """Yield the device name (None when the topic names it) and the record for every record."""
        mapping, shape = self._mapping, self._mapping.message
        root = _at(body, shape.records)
        if shape.devices == "keys":
            if isinstance(root, dict):
                for name, found in root.items():
                    for record in _listed(found):
                        yield str(name), record
            return
        marked = any(DEVICE_MARK in key for rule in mapping.quantities.values() for key in rule.path)
        for record in _listed(root):
            if marked:
                for name in self._speakers:
                    yield name, record
            elif shape.devices == "path":
                named = _at(record, shape.device)
                named = _at(body, shape.device) if named is None else named
                yield UNNAMED if named is None else str(named), record
            else:
                yield self._names.device or None, record

    def take(self, name: str | None, record: Any, body: Any) -> None:
        """Gather the samples of one record."""
        if self._names.point:
            record = {self._names.point: record}
        if not isinstance(record, dict):
            self._gathered.fault("记录不是对象")
            return
        speaker = self._speaker(name)
        if isinstance(speaker, str):
            self._gathered.fault(speaker)
            return
        stranger = self._other_station(speaker, record, body)
        if stranger:
            self._gathered.fault(stranger)
            return
        rule = self._mapping.time
        own = _at(record, rule.path) if rule.path else None
        if own is None and rule.path:
            own = _at(body, rule.path)
        for raw, table in _tables(self._mapping.points, record):
            self._keep(speaker, own if raw is _UNSAID else raw, (table, name or ""))

    def _speaker(self, name: str | None) -> Speaker | str:
        """Return who speaks in a record, or why that is not known."""
        if name == UNNAMED:
            return "报文里没有映射所说的设备名"
        if name is not None:
            return self._speakers.get(name) or f"报文里的设备 {name!r:.60} 没有登记在这个主题下"
        if len(self._speakers) != 1:
            return "这个主题下登记了多台设备，映射却没有说明设备名在哪里"
        return next(iter(self._speakers.values()))

    def _other_station(self, speaker: Speaker, record: Any, body: Any) -> str:
        """Return a fault when the record names another station than the device stands in."""
        path = self._mapping.message.station
        if not path:
            return ""
        found = _at(record, path)
        named = _at(body, path) if found is None else found
        if named is None or str(named) == speaker.station_id:
            return ""
        return f"报文自称电站 {named!r:.60}，主题属于另一个电站"

    def _keep(self, speaker: Speaker, raw_time: Any, content: tuple[Any, str]) -> None:
        table, name = content
        moment = numbers.moment(self._mapping.time, raw_time, self._gathered.received_at)
        if isinstance(moment, str):
            self._gathered.fault(moment)
            return
        values = read_values(self._mapping, table, name)
        if isinstance(values, str):
            self._gathered.fault(values)
        else:
            self._gathered.add(speaker.device_id, moment, values)


def _at(body: Any, path: Sequence[str]) -> Any:
    """Return what stands at a path, or None."""
    for key in path:
        if isinstance(body, dict):
            body = body.get(key)
        elif isinstance(body, list) and key.isdecimal() and int(key[:9]) < len(body):
            body = body[int(key[:9])]
        else:
            return None
    return body


def _listed(found: Any) -> Iterator[Any]:
    """Yield the items of a list, or the one thing that is no list."""
    if isinstance(found, list):
        yield from found
    elif found is not None:
        yield found


def _tables(points: PointArray | None, record: Any) -> Iterator[tuple[Any, Any]]:
    """Yield values by key, apart for every time that points carry (`_UNSAID` where they carry none)."""
    if points is None:
        yield _UNSAID, record
        return
    found = _at(record, points.path)
    if isinstance(found, dict) and not points.key:
        listed = [(str(name), point) for name, point in found.items() if isinstance(point, dict)]
    elif isinstance(found, list) and points.key:
        listed = [(str(point.get(points.key)), point) for point in found if isinstance(point, dict)]
    else:
        listed = []
    tables: dict[Any, dict[str, Any]] = {}
    for name, point in listed:
        time = point.get(points.time, _UNSAID) if points.time else _UNSAID
        tables.setdefault(time if isinstance(time, int | float | str) else _UNSAID, {})[name] = point.get(
            points.value
        )
    yield from tables.items() or [(_UNSAID, {})]


def read_values(mapping: PayloadMapping, table: Any, name: str = "") -> dict[str, float | int] | str:
    """Return the quantities of a table of values, or why one of them is no number."""
    values: dict[str, float | int] = {}
    for quantity, rule in mapping.quantities.items():
        path = rule.path if not name else tuple(key.replace(DEVICE_MARK, name) for key in rule.path)
        raw = _at(table, path)
        if raw is None or (isinstance(raw, str) and raw.strip() in mapping.absent):
            continue
        if quantity == "state":
            values |= numbers.state(rule, raw)
            continue
        value = numbers.number(raw, rule.factor, whole=quantity in _WHOLE)
        if value is None:
            return f"{'.'.join(path)} 不是数：{raw!r:.60}"
        values[quantity] = value
    return values
