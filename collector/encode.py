"""Quantities to raw words and messages: the mirror image of `profile.decode` and `payloads.read_message`.

Pure, for the simulator. Owns how a device of a family would show given values: scaling, word order,
not-available patterns, state and alarm codes, serial number and clock. It is not used to talk to real
devices.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from collector.payloads import DEVICE_MARK, TIME_SCALES, PayloadMapping, QuantityRule, TimeRule
from collector.payloads.document import PointArray
from collector.profile import Field, Identity, Kind, ModelPlace, Profile, bind
from collector.profile.discovery import MARKER
from store.periods import SHANGHAI
from store.samples import DeviceState

SIGNED = frozenset({Kind.S16, Kind.S32, Kind.S64})
TEXTS = frozenset({Kind.TEXT, Kind.HEX})
CLOCKS = frozenset({Kind.CLOCK_WORDS, Kind.CLOCK_BYTES})
ONES = 0xFFFF
SUNSPEC_SHOWN = (1, 103, 120, 122)
SUNSPEC_END = (ONES, 0)
FINEST_EXPONENT = -2
NOBODY = Identity()

Words = dict[tuple[int, int], int]
Values = Mapping[str, float | int]


def _number_words(field: Field, number: int) -> list[int]:
    number &= (1 << 16 * field.count) - 1
    words = [number >> 16 * index & ONES for index in reversed(range(field.count))]
    return words[::-1] if field.low_word_first else words


def _limits(field: Field) -> tuple[int, int]:
    bits = 16 * field.count
    return (-(1 << bits - 1) + 1, (1 << bits - 1) - 2) if field.kind in SIGNED else (0, (1 << bits) - 2)


def _raw(field: Field, value: float, exponent: int) -> int:
    """Return the unscaled number that shows a value best: exact for whole values."""
    numerator, denominator = field.numerator, field.denominator
    if exponent >= 0:
        numerator *= 10**exponent
    else:
        denominator *= 10**-exponent
    if isinstance(value, int):
        return (2 * value * denominator + numerator) // (2 * numerator) - field.offset
    return round(value * denominator / numerator) - field.offset


def _text_words(field: Field, text: str) -> list[int]:
    data = bytes.fromhex(text) if field.kind is Kind.HEX else text.encode()
    data = data[: 2 * field.count].ljust(2 * field.count, b"\0")
    return list(struct.unpack(f">{field.count}H", data))


def _clock_words(field: Field, at: datetime) -> list[int]:
    shown = at.astimezone(UTC if field.clock == "utc" else SHANGHAI)
    if field.kind not in CLOCKS:
        return _number_words(field, round(shown.replace(tzinfo=UTC).timestamp()))
    year = shown.year if field.kind is Kind.CLOCK_WORDS else shown.year % 100
    parts = [year, shown.month, shown.day, shown.hour, shown.minute, shown.second]
    if field.kind is Kind.CLOCK_BYTES:
        parts = [high * 256 + low for high, low in zip(parts[::2], parts[1::2], strict=True)]
    return (parts + [0] * field.count)[: field.count]


def _model_length(profile: Profile, number: int) -> int:
    model = next(item for item in profile.models if number in item.ids)
    return max(item.address + item.count for item in model.fields) - 2


@dataclass(frozen=True, slots=True)
class _State:
    code_of: Mapping[int, int]
    field_name: str


class Encoder:
    """Shows values as one device of a family; compiled once, used for every request.

    `identity` is what the device says of itself. A SunSpec profile gets a usual chain of models.
    """

    def __init__(self, profile: Profile, identity: Identity = NOBODY) -> None:
        self._fixed: Words = {}
        if profile.models and not profile.fields:
            profile = self._chain(profile)
        self.profile = profile
        self._identity = identity
        self._alarms = {word.field_name: word for word in profile.alarm_words}
        self._codes = {number.field_name: number.quantity for number in profile.alarm_codes}
        self._state = _state_codes(profile)
        self._scales = {field.scale_name for field in profile.fields if field.scale_name}
        self._pinned = _pinned(profile)

    def _chain(self, profile: Profile) -> Profile:
        """Lay a usual chain of SunSpec models behind the first base address and bind the profile to it."""
        base = profile.model_bases[0]
        known = {number for model in profile.models for number in model.ids}
        address = base + len(MARKER)
        self._fixed.update(((3, base + index), word) for index, word in enumerate(MARKER))
        places = []
        for number in (item for item in SUNSPEC_SHOWN if item in known):
            length = _model_length(profile, number)
            places.append(ModelPlace(number, address, length))
            self._fixed.update({(3, address): number, (3, address + 1): length})
            self._fixed.update(((3, address + 2 + index), 0) for index in range(length))
            address += 2 + length
        self._fixed.update(((3, address + index), word) for index, word in enumerate(SUNSPEC_END))
        return bind(profile, places)

    def words(self, values: Values, at: datetime) -> Words:
        """Return the word of every register of the profile, by function code and wire address.

        `values` holds quantities by name in their units; what is absent is shown as not available where
        the family has a pattern for it, else as 0. `at` is what the device's clock shows.
        """
        words: Words = dict(self._fixed)
        numbers = dict(self._pinned)
        exponents = self._exponents(values)
        numbers.update(exponents)
        shown: list[tuple[Field, list[int]]] = []
        for field in self.profile.fields:
            value = self._value(field, values, numbers)
            if field.clock or (value is None and field.kind in TEXTS | CLOCKS):
                found = self._other(field, at)
            elif value is None:
                found = _absent(field)
            else:
                found = _shown(field, value, exponents.get(field.scale_name, 0))
            if value is None:
                self._lay(words, field, found)
            else:
                shown.append((field, found))
        for field, found in shown:
            self._lay(words, field, found)
        return words

    @staticmethod
    def _lay(words: Words, field: Field, found: Iterable[int]) -> None:
        for index, word in enumerate(found):
            words[field.function_code, field.address + index] = word

    def _value(self, field: Field, values: Values, numbers: Mapping[str, int]) -> float | int | None:
        """Return the value that a field shows, or None."""
        if field.name == self._state.field_name:
            raw = values.get("state_raw")
            known = self._state.code_of.get(int(values.get("state", DeviceState.RUNNING)))
            return int(raw) if raw is not None else known
        if field.name in self._alarms:
            word = self._alarms[field.name]
            return int(values.get(word.quantity, 0)) >> word.shift & ((1 << 16 * field.count) - 1)
        if field.name in self._codes:
            return int(values.get(self._codes[field.name], 0))
        if field.identity == "rated_power_w":
            return self._identity.rated_power_w
        quantity = field.quantity
        if field.choice is not None:
            quantity = field.choice.quantities.get(numbers.get(field.choice.field_name, -1), "")
        value = values.get(quantity) if quantity else None
        return numbers.get(field.name) if value is None else value

    def _exponents(self, values: Values) -> dict[str, int]:
        """Return for every scale-factor field the finest power of ten under which its values fit."""
        exponents: dict[str, int] = {}
        for name in self._scales:
            exponent = FINEST_EXPONENT
            for field in self.profile.fields:
                value = self._scaled_value(field, values) if field.scale_name == name else None
                if value is None:
                    continue
                if isinstance(value, int):
                    exponent = max(exponent, 0)
                low, high = _limits(field)
                while not low <= _raw(field, value, exponent) <= high:
                    exponent += 1
            exponents[name] = exponent
        return exponents

    def _scaled_value(self, field: Field, values: Values) -> float | int | None:
        """Return what a field with a scale factor shows, or None."""
        if field.identity == "rated_power_w":
            return self._identity.rated_power_w
        return values.get(field.quantity) if field.quantity else None

    def _other(self, field: Field, at: datetime) -> list[int]:
        """Return the words of a text or clock field."""
        if field.clock or field.kind in CLOCKS:
            return _clock_words(field, at)
        text = {
            "serial": self._identity.serial,
            "model": self._identity.model,
            "firmware": self._identity.firmware,
        }.get(field.identity, "")
        return _text_words(field, text)


def _shown(field: Field, value: float, exponent: int) -> list[int]:
    if field.kind is Kind.F32:
        scaled = float(value) * field.denominator / field.numerator - field.offset
        return _number_words(field, int.from_bytes(struct.pack(">f", scaled), "big"))
    low, high = _limits(field)
    whole = field.kind in {Kind.BITS16, Kind.BITS32, Kind.ENUM}
    number = int(value) if whole else min(max(_raw(field, value, exponent), low), high)
    return _number_words(field, number)


def _absent(field: Field) -> list[int]:
    if field.sentinels:
        return _number_words(field, max(field.sentinels))
    return [0] * field.count


def _state_codes(profile: Profile) -> _State:
    """Return for each of our states the first vendor code that means it."""
    codes: dict[int, int] = {}
    for code, entry in profile.states.items():
        codes.setdefault(int(entry.state), code)
    running = codes.get(int(DeviceState.RUNNING), 0)
    complete = {int(state): codes.get(int(state), running) for state in DeviceState}
    return _State(complete, profile.state_field)


def _pinned(profile: Profile) -> dict[str, int]:
    """Return the raw values of the fields on which the meaning of others depends, and of the type code."""
    pinned: dict[str, int] = {}
    for field in profile.fields:
        if field.valid_when is not None:
            pinned.setdefault(field.valid_when.field_name, min(field.valid_when.values))
        if field.choice is not None:
            pinned.setdefault(field.choice.field_name, min(field.choice.quantities))
    if profile.detection.models and profile.detection.field_name:
        pinned.setdefault(profile.detection.field_name, profile.detection.models[0].code)
    return pinned


def encode(profile: Profile, values: Values, *, at: datetime, identity: Identity = NOBODY) -> Words:
    """Return the words that a device of the family shows for given values; see `Encoder.words`."""
    return Encoder(profile, identity).words(values, at)


def encode_message(mapping: PayloadMapping, values: Values, *, at: datetime, serial: str = "") -> bytes:
    """Return the MQTT message in which a device shows given values under a payload mapping.

    `serial` is the name by which the payload calls the device, where the mapping wants one.
    """
    record: dict[str, Any] = {}
    table: dict[str, Any] = record if mapping.points is None else {}
    for name, rule in mapping.quantities.items():
        value = values.get(name)
        if value is not None:
            path = tuple(key.replace(DEVICE_MARK, serial) for key in rule.path)
            _put(table, path, _message_number(rule, name, value))
    if mapping.points is not None:
        _put(record, mapping.points.path, _message_points(mapping.points, mapping.time, table, at))
    if mapping.time.path:
        _put(record, mapping.time.path, _message_time(mapping.time, at))
    if mapping.message.devices == "path":
        _put(record, mapping.message.device, serial)
    body: Any = {serial: [record]} if mapping.message.devices == "keys" else record
    if mapping.message.records:
        body = _nested(mapping.message.records, [body])
    return orjson.dumps(body)


def _message_points(
    points: PointArray, time: TimeRule, table: Mapping[str, Any], at: datetime
) -> list[dict[str, Any]] | dict[str, Any]:
    """Return points as a list that names each, or as an object whose keys name them."""
    own_time = {points.time: _message_time(time, at)} if points.time else {}
    if not points.key:
        return {name: {points.value: value, **own_time} for name, value in table.items()}
    return [{points.key: name, points.value: value, **own_time} for name, value in table.items()]


def _nested(path: Sequence[str], value: object) -> dict[str, Any]:
    body: dict[str, Any] = {}
    _put(body, path, value)
    return body


def _put(body: dict[str, Any], path: Sequence[str], value: object) -> None:
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = value


def _message_number(rule: QuantityRule, name: str, value: float) -> float | int | str:
    if name == "state":
        wanted = DeviceState(int(value)).name.lower()
        return next((code for code, state in rule.codes.items() if state == wanted), "")
    exact = Decimal(str(value)) / rule.factor
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _message_time(rule: TimeRule, at: datetime) -> int | str:
    if rule.format == "text":
        shown = at.astimezone(ZoneInfo(rule.zone))
        return shown.isoformat() if rule.pattern == "iso" else shown.strftime(rule.pattern)
    return round(at.timestamp() * 1_000_000) // TIME_SCALES[rule.format]
