"""Which family a device belongs to: signs weighed, words read both ways.

Pure. Owns the weighing of what a profile makes of a device's words, and the side-by-side reading of words
in both orders where it is unsure. The reading of a live device is `collector.probe`'s.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass

from collector.profile.numbers import join_words, scaled, signed
from collector.profile.types import Decoded, Field, Kind, Profile, Words
from store.samples import DeviceState

SURE = 10
LIKELY = 4
_PRINTABLE = frozenset(string.ascii_letters + string.digits + " -_./:()#")
_RATED_W = (1_000, 5_000_000)
_FREQUENCY_HZ = (45.0, 55.0)
_VOLTAGE_V = (80.0, 1_100.0)
_OVERLOAD = 1.5


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign for (positive) or against (negative) a family, in Chinese words."""

    weight: int
    words: str


@dataclass(frozen=True, slots=True)
class BothOrders:
    """A value of several words read with the high word first, and with the low word first."""

    name: str
    unit: str
    high_word_first: float | int
    low_word_first: float | int
    profile_says_low: bool


def _in(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _plausible(value: float, limits: tuple[float, float], good: int, bad: int) -> int:
    """Return the weight of a value: a zero, as at night or of a register that is not used, tells nothing."""
    return 0 if value == 0 else good if _in(value, limits) else bad


def _type_signs(profile: Profile, decoded: Decoded) -> Iterable[Sign]:
    points = {point.name: point.value for point in decoded.points}
    shown = points.get(profile.detection.field_name)
    if profile.models and profile.fields:
        yield Sign(SURE, "有 SunSpec 标识和型号链")
    if profile.detection.models and isinstance(shown, int):
        name = next((item.name for item in profile.detection.models if item.code == shown), "")
        yield (
            Sign(SURE, f"型号码 0x{shown:04X} 是 {name}")
            if name
            else Sign(-3, f"型号码 0x{shown:04X} 不在表中")
        )
    if profile.detection.text and isinstance(shown, str):
        found = profile.detection.text in shown
        yield Sign(SURE, f"型号文字是 {shown}") if found else Sign(-3, f"型号文字 “{shown}” 不符")


def _value_signs(decoded: Decoded) -> Iterable[Sign]:
    values, rated = decoded.values, decoded.identity.rated_power_w
    if "frequency_hz" in values:
        frequency = values["frequency_hz"]
        yield Sign(_plausible(frequency, _FREQUENCY_HZ, 2, -4), f"频率 {frequency:g} Hz")
    for name in ("voltage_a_v", "voltage_ab_v"):
        if name in values:
            yield Sign(_plausible(values[name], _VOLTAGE_V, 1, -3), f"电压 {values[name]:g} V")
    if rated is not None:
        yield Sign(2 if _in(rated, _RATED_W) else -4, f"额定功率 {rated} W")
        power = values.get("active_power_w")
        if power is not None:
            good = abs(power) <= _OVERLOAD * max(rated, 1)
            yield Sign(1 if good else -4, f"有功功率 {power:g} W")
    if abs(values.get("power_factor", 0)) > 1:
        yield Sign(-3, f"功率因数 {values['power_factor']:g}")


def _text_signs(decoded: Decoded) -> Iterable[Sign]:
    serial = decoded.identity.serial
    if serial:
        readable = set(serial) <= _PRINTABLE
        yield Sign(2 if readable else -4, f"序列号 {serial}" if readable else "序列号不可读")
    if decoded.state is not None:
        known = decoded.state is not DeviceState.UNKNOWN
        yield Sign(2 if known else -2, f"状态：{decoded.state_text}")


def signs(profile: Profile, decoded: Decoded) -> tuple[Sign, ...]:
    """Return the signs that speak for or against a device being of the profile's family."""
    return (*_type_signs(profile, decoded), *_value_signs(decoded), *_text_signs(decoded))


def certainty(found: Iterable[Sign]) -> str:
    """Return how sure the signs make: 确定, 可能, or 不像."""
    weight = sum(sign.weight for sign in found)
    return "确定" if weight >= SURE else "可能" if weight >= LIKELY else "不像"


def _read_both(field: Field, raw: tuple[int, ...]) -> tuple[float | int, float | int]:
    values = []
    for low_first in (False, True):
        number = join_words(raw, low_word_first=low_first)
        if field.kind in {Kind.S32, Kind.S64}:
            number = signed(number, field.count)
        values.append(scaled(field, number))
    return values[0], values[1]


def both_orders(profile: Profile, words: Words) -> tuple[BothOrders, ...]:
    """Return the stored values of several words in both orders, where the orders differ."""
    wide = {Kind.U32, Kind.S32, Kind.U64, Kind.S64}
    result = []
    for field in profile.fields:
        raw = tuple(words[key] for key in field.keys if key in words)
        if not field.quantity or field.kind not in wide or len(raw) != field.count:
            continue
        high, low = _read_both(field, raw)
        if high != low:
            result.append(BothOrders(field.quantity, field.unit, high, low, field.low_word_first))
    return tuple(result)
