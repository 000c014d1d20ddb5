"""The words of a device to points, quantities, state, alarms and identity.

Owns `decode`, a pure function of a profile and the words that were read. A value exists only if all its
words are there; what the device says is not available is None with the reason, never zero. One field that
cannot be read never loses the others.
"""

from collections.abc import Mapping
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
from store.samples import DeviceState

_ENERGY = frozenset({"generated_energy_wh", "exported_energy_wh"})
_SCALE_RANGE = range(-10, 11)

Answer = numbers.Value | Missing


class _Reader:
    """Reads the fields of one set of words, each at most once, with what they depend on."""

    def __init__(self, profile: Profile, words: Words, ratios: Ratios) -> None:
        self._fields = profile.by_name
        self._words = words
        self._ratios = ratios
        self._numbers: dict[str, int | float | Missing] = {}
        self._answers: dict[str, Answer] = {}

    def raw(self, field: Field) -> tuple[int, ...] | None:
        """Return the words of a field, None unless all of them are there."""
        words = self._words
        if field.count == 1:
            word = words.get(field.keys[0])
            return None if word is None else (word,)
        found = tuple(word for key in field.keys if (word := words.get(key)) is not None)
        return found if len(found) == field.count else None

    def number(self, name: str) -> int | float | Missing:
        """Return the unscaled number of a field by name."""
        known = self._numbers.get(name)
        if known is None:
            field = self._fields.get(name)
            raw = self.raw(field) if field else None
            known = numbers.raw_number(field, raw) if field and raw is not None else Missing.NOT_READ
            self._numbers[name] = known
        return known

    def quantity(self, field: Field) -> str:
        """Return which quantity the field is on this device."""
        if field.choice is None:
            return field.quantity
        chosen = self.number(field.choice.field_name)
        return field.choice.quantities.get(chosen, "") if isinstance(chosen, int) else ""

    def instant(self, field: Field) -> datetime | Missing:
        """Return the instant that a clock field shows."""
        raw = self.raw(field)
        return Missing.NOT_READ if raw is None else numbers.clock_time(field, raw)

    def answer(self, field: Field) -> Answer:
        """Return the value of a field in its unit, or why there is none."""
        known = self._answers.get(field.name)
        if known is None:
            known = self._answers[field.name] = self._read(field)
        return known

    def named(self, name: str) -> Answer:
        """Return the value of a field by name; a field that the profile at hand lacks is not read."""
        field = self._fields.get(name)
        return Missing.NOT_READ if field is None else self.answer(field)

    def _read(self, field: Field) -> Answer:
        raw = self.raw(field)
        if raw is None:
            return Missing.NOT_READ
        if field.valid_when and self.number(field.valid_when.field_name) not in field.valid_when.values:
            return Missing.NOT_APPLICABLE
        if field.kind not in numbers.PLAIN or field.unit == "epoch":
            if numbers.is_text(field):
                return numbers.text(field, raw)
            if numbers.is_clock(field):
                instant = numbers.clock_time(field, raw)
                return instant.isoformat() if isinstance(instant, datetime) else instant
        number = self._numbers.get(field.name)
        if number is None:
            number = self._numbers[field.name] = numbers.raw_number(field, raw)
        return number if isinstance(number, Missing) else self._scaled(field, number)

    def _scaled(self, field: Field, number: float) -> Answer:
        exponent = 0
        if field.scale_name:
            factor = self.number(field.scale_name)
            if not isinstance(factor, int) or factor not in _SCALE_RANGE:
                return Missing.NO_SCALE
            exponent = factor
        return numbers.scaled(field, number, exponent=exponent, ratios=self._ratios)

    def point(self, field: Field) -> Point:
        """Return the point of a field."""
        answer = self.answer(field)
        missing = answer if isinstance(answer, Missing) else None
        return Point(
            name=field.name,
            quantity=self.quantity(field),
            value=None if isinstance(answer, Missing) else answer,
            missing=missing,
            unit=field.unit,
            function_code=field.function_code,
            address=field.address,
            document=field.document,
            raw=tuple(self._words.get(key) for key in field.keys),
        )


def _points(profile: Profile, reader: _Reader, words: Words) -> tuple[Point, ...]:
    """Return the points of the fields of which any word was read."""
    read = (field for field in profile.fields if any(key in words for key in field.keys))
    return tuple(reader.point(field) for field in read)


def _quantities(profile: Profile, reader: _Reader) -> dict[str, float | int]:
    values: dict[str, float | int] = {}
    for field in profile.fields:
        quantity = field.quantity if field.choice is None else reader.quantity(field)
        if quantity and quantity not in values:
            answer = reader.answer(field)
            if isinstance(answer, int | float):
                values[quantity] = answer
    return values


def _alarms(profile: Profile, reader: _Reader, values: dict[str, float | int]) -> tuple[Alarm, ...]:
    """Return the alarms that are shown, and put the words and numbers into `values`."""
    alarms: list[Alarm] = []
    words: dict[str, int] = {}
    for word in profile.alarm_words:
        bits = reader.named(word.field_name)
        if isinstance(bits, int):
            words[word.quantity] = words.get(word.quantity, 0) | bits << word.shift
            if bits:
                alarms += [alarm for bit, alarm in sorted(word.bits.items()) if bits >> bit & 1]
    for shown in profile.alarm_codes:
        code = reader.named(shown.field_name)
        if isinstance(code, int):
            words[shown.quantity] = code
            if code:
                unknown = Alarm(str(code), "warning", f"未列明的代码 {code}", f"code {code}, not listed")
                alarms.append(shown.codes.get(code, unknown))
    values.update(words)
    return tuple(alarms)


def _state(
    profile: Profile, reader: _Reader, values: dict[str, float | int]
) -> tuple[DeviceState | None, str]:
    """Return our state with the vendor's meaning, and put both codes into `values`."""
    answer = reader.named(profile.state_field)
    if isinstance(answer, int):
        code = profile.states.get(answer)
        state = DeviceState.UNKNOWN if code is None else code.state
        values["state"], values["state_raw"] = int(state), answer
        return state, f"未知状态码 0x{answer:04X}" if code is None else code.chinese
    if answer is Missing.NOT_AVAILABLE and _asleep(profile, reader, values):
        values["state"] = int(DeviceState.STANDBY)
        return DeviceState.STANDBY, "夜间休眠"
    return None, ""


def _asleep(profile: Profile, reader: _Reader, values: Mapping[str, float | int]) -> bool:
    """Tell whether the device sleeps: what is null at night is null while its total is still shown."""
    nulls = [reader.named(name) is Missing.NOT_AVAILABLE for name in profile.night_null]
    return bool(nulls) and all(nulls) and not _ENERGY.isdisjoint(values)


def _derive(profile: Profile, reader: _Reader, values: dict[str, float | int]) -> None:
    for derived in profile.derived:
        if derived.quantity in values:
            continue
        pairs = ((reader.named(first), reader.named(second)) for first, second in derived.pairs)
        products = [
            left * right
            for left, right in pairs
            if isinstance(left, int | float) and isinstance(right, int | float)
        ]
        if products:
            values[derived.quantity] = float(sum(products))


def _identity(profile: Profile, reader: _Reader) -> Identity:
    found: dict[str, numbers.Value] = {}
    for field in profile.fields:
        if field.identity and field.identity not in found:
            answer = reader.answer(field)
            if not isinstance(answer, Missing):
                found[field.identity] = answer
    model = str(found.get("model", ""))
    if not model and profile.detection.models:
        code = reader.named(profile.detection.field_name)
        model = next((item.name for item in profile.detection.models if item.code == code), "")
    rated = found.get("rated_power_w")
    return Identity(
        serial=str(found.get("serial", "")),
        model=model,
        firmware=str(found.get("firmware", "")),
        rated_power_w=round(rated) if isinstance(rated, int | float) else None,
    )


def decode(profile: Profile, words: Words, ratios: Ratios = DIRECT, *, with_points: bool = True) -> Decoded:
    """Return everything that raw words give under a profile.

    `words` maps (function code, wire address) to a 16-bit word; only what was read is there. A SunSpec
    profile that is not bound to a device yet is bound by the map found in the words. `ratios` are the
    transformers in front of a meter. Fields of which no word was read give no point; `with_points=False`
    leaves all points out and gives the sample alone, which is quicker.
    """
    if profile.models and not profile.fields:
        profile = bind_from_words(profile, words)
    reader = _Reader(profile, words, ratios)
    values = _quantities(profile, reader)
    alarms = _alarms(profile, reader, values)
    state, state_text = _state(profile, reader, values)
    _derive(profile, reader, values)
    clocks = (reader.instant(field) for field in profile.fields if field.clock)
    return Decoded(
        points=_points(profile, reader, words) if with_points else (),
        values=values,
        state=state,
        state_text=state_text,
        alarms=alarms,
        identity=_identity(profile, reader),
        device_clock=next((clock for clock in clocks if isinstance(clock, datetime)), None),
    )


def explain(
    profile: Profile, state_raw: int | None, words: Mapping[str, int]
) -> tuple[str, tuple[Alarm, ...]]:
    """Return what stored codes mean: the vendor's state in Chinese, and the alarms.

    `words` holds `alarm_words_1` and `alarm_words_2` as they were stored; absent is 0.
    """
    code = profile.states.get(state_raw) if state_raw is not None else None
    alarms: list[Alarm] = []
    for word in profile.alarm_words:
        bits = words.get(word.quantity, 0) >> word.shift
        alarms += [alarm for bit, alarm in sorted(word.bits.items()) if bits >> bit & 1]
    for shown in profile.alarm_codes:
        number = words.get(shown.quantity, 0)
        if number:
            unknown = Alarm(str(number), "warning", f"未列明的代码 {number}", f"code {number}, not listed")
            alarms.append(shown.codes.get(number, unknown))
    return ("" if code is None else code.chinese), tuple(alarms)
