"""The words of a device to points, quantities, state, alarms and identity.

Owns `decode`, a pure function of a profile and the words that were read. A value exists only if all its
words are there; what the device says is not available is None with the reason, never zero. One field that
cannot be read never loses the others.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from collector.profile import numbers
from collector.profile.discovery import bind_from_words
from collector.profile.types import (
    DIRECT,
    Alarm,
    Decoded,
    Field,
    Identity,
    Missing,
    Point,
    Profile,
    Ratios,
    Words,
)
from store.samples import QUANTITIES, DeviceState

_ENERGY = ("generated_energy_wh", "exported_energy_wh")


def _raw(field: Field, words: Words) -> tuple[int | None, ...]:
    code, first = field.function_code, field.address
    return tuple(words.get((code, first + index)) for index in range(field.count))


def _complete(raw: tuple[int | None, ...]) -> tuple[int, ...] | None:
    present = tuple(word for word in raw if word is not None)
    return present if len(present) == len(raw) else None


class _Reader:
    """Reads the fields of one set of words; remembers the raw numbers that others depend on."""

    def __init__(self, profile: Profile, words: Words, ratios: Ratios) -> None:
        self._fields = {field.name: field for field in profile.fields}
        self._words = words
        self._ratios = ratios
        self._numbers: dict[str, int | float | Missing] = {}

    def number(self, name: str) -> int | float | Missing:
        """Return the unscaled number of a field by name."""
        if name not in self._numbers:
            field = self._fields.get(name)
            raw = _complete(_raw(field, self._words)) if field else None
            self._numbers[name] = (
                numbers.raw_number(field, raw) if field and raw is not None else Missing.NOT_READ
            )
        return self._numbers[name]

    def quantity(self, field: Field) -> str:
        """Return which quantity the field is on this device."""
        if field.choice is None:
            return field.quantity
        chosen = self.number(field.choice.field_name)
        return field.choice.quantities.get(chosen, "") if isinstance(chosen, int) else ""

    def instant(self, field: Field) -> datetime | Missing:
        """Return the instant that a clock field shows."""
        raw = _complete(_raw(field, self._words))
        return Missing.NOT_READ if raw is None else numbers.clock_time(field, raw)

    def value(self, field: Field) -> numbers.Value | Missing:
        """Return the value of a field in its unit, or why there is none."""
        raw = _complete(_raw(field, self._words))
        if raw is None:
            return Missing.NOT_READ
        if field.valid_when and self.number(field.valid_when.field_name) not in field.valid_when.values:
            return Missing.NOT_APPLICABLE
        if numbers.is_clock(field):
            instant = self.instant(field)
            return instant.isoformat() if isinstance(instant, datetime) else instant
        if numbers.is_text(field):
            return numbers.text(field, raw)
        return self._scaled(field)

    def _scaled(self, field: Field) -> numbers.Value | Missing:
        number = self.number(field.name)
        if isinstance(number, Missing):
            return number
        exponent = 0
        if field.scale_name:
            factor = self.number(field.scale_name)
            if not isinstance(factor, int) or not -10 <= factor <= 10:  # noqa: PLR2004, the range of sunssf
                return Missing.NO_SCALE
            exponent = factor
        return numbers.scaled(field, number, exponent=exponent, ratios=self._ratios)

    def point(self, field: Field) -> Point:
        """Return the point of a field."""
        value = self.value(field)
        missing = value if isinstance(value, Missing) else None
        return Point(
            name=field.name,
            quantity=self.quantity(field),
            value=None if isinstance(value, Missing) else value,
            missing=missing,
            unit=field.unit,
            function_code=field.function_code,
            address=field.address,
            document=field.document,
            raw=_raw(field, self._words),
        )


def _value_of(points: Mapping[str, Point], name: str) -> float | int | str | None:
    """Return the value of a point by name, None when the profile at hand has no such field."""
    point = points.get(name)
    return None if point is None else point.value


def _alarms(profile: Profile, points: Mapping[str, Point]) -> tuple[list[Alarm], dict[str, int]]:
    alarms: list[Alarm] = []
    values: dict[str, int] = {}
    for word in profile.alarm_words:
        value = _value_of(points, word.field_name)
        if isinstance(value, int):
            values[word.quantity] = values.get(word.quantity, 0) | value << word.shift
            alarms += [alarm for bit, alarm in sorted(word.bits.items()) if value >> bit & 1]
    for number in profile.alarm_codes:
        value = _value_of(points, number.field_name)
        if isinstance(value, int):
            values[number.quantity] = value
            if value:
                unknown = Alarm(str(value), "warning", f"未列明的代码 {value}", f"code {value}, not listed")
                alarms.append(number.codes.get(value, unknown))
    return alarms, values


def _state(profile: Profile, points: Mapping[str, Point]) -> tuple[DeviceState | None, str, int | None]:
    point = points.get(profile.state_field)
    if point is None:
        return None, "", None
    if isinstance(point.value, int):
        code = profile.states.get(point.value)
        if code is None:
            return DeviceState.UNKNOWN, f"未知状态码 0x{point.value:04X}", point.value
        return code.state, code.chinese, point.value
    if point.missing is Missing.NOT_AVAILABLE and _asleep(profile, points):
        return DeviceState.STANDBY, "夜间休眠", None
    return None, "", None


def _asleep(profile: Profile, points: Mapping[str, Point]) -> bool:
    """Tell whether the device sleeps: what is null at night is null while its total is still shown."""
    nulls = [points[name].missing is Missing.NOT_AVAILABLE for name in profile.night_null if name in points]
    total = any(point.quantity in _ENERGY and point.value is not None for point in points.values())
    return bool(nulls) and all(nulls) and total


def _derive(profile: Profile, points: Mapping[str, Point], values: dict[str, float | int]) -> None:
    for derived in profile.derived:
        products = [
            left * right
            for left, right in (
                (_value_of(points, first), _value_of(points, second)) for first, second in derived.pairs
            )
            if isinstance(left, int | float) and isinstance(right, int | float)
        ]
        if products and derived.quantity not in values:
            values[derived.quantity] = float(sum(products))


def _identity(profile: Profile, points: Mapping[str, Point]) -> Identity:
    found: dict[str, Point] = {}
    for field in profile.fields:
        if field.identity and field.identity not in found and points[field.name].value is not None:
            found[field.identity] = points[field.name]
    texts = {name: str(point.value) for name, point in found.items()}
    model = texts.get("model", "")
    detected = profile.detection
    code = _value_of(points, detected.field_name)
    names = {item.code: item.name for item in detected.models}
    if not model and isinstance(code, int):
        model = names.get(code, "")
    rated = found["rated_power_w"].value if "rated_power_w" in found else None
    return Identity(
        serial=texts.get("serial", ""),
        model=model,
        firmware=texts.get("firmware", ""),
        rated_power_w=round(rated) if isinstance(rated, int | float) else None,
    )


def _values(points: Iterable[Point]) -> dict[str, float | int]:
    values: dict[str, float | int] = {}
    for point in points:
        if point.quantity in QUANTITIES and isinstance(point.value, int | float):
            values.setdefault(point.quantity, point.value)
    return values


def decode(profile: Profile, words: Words, ratios: Ratios = DIRECT) -> Decoded:
    """Return everything that raw words give under a profile.

    `words` maps (function code, wire address) to a 16-bit word; only what was read is there. A SunSpec
    profile that is not bound to a device yet is bound by the map found in the words. `ratios` are the
    transformers in front of a meter. Fields of which no word was read give no point.
    """
    if profile.models and not profile.fields:
        profile = bind_from_words(profile, words)
    reader = _Reader(profile, words, ratios)
    every = {field.name: reader.point(field) for field in profile.fields}
    points = tuple(point for point in every.values() if any(word is not None for word in point.raw))
    values = _values(points)
    alarms, alarm_values = _alarms(profile, every)
    state, state_text, state_raw = _state(profile, every)
    values.update(alarm_values)
    _derive(profile, every, values)
    if state is not None:
        values["state"] = int(state)
    if state_raw is not None:
        values["state_raw"] = state_raw
    clocks = (reader.instant(field) for field in profile.fields if field.clock)
    return Decoded(
        points=points,
        values=values,
        state=state,
        state_text=state_text,
        alarms=tuple(alarms),
        identity=_identity(profile, every),
        device_clock=next((clock for clock in clocks if isinstance(clock, datetime)), None),
    )
