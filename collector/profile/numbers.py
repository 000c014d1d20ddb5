"""Raw words to values, one field at a time.

Owns the arithmetic: word order, signs, not-available patterns, exact scaling, texts and clocks. It knows
nothing of a whole device: that is `decoding`.
"""

import math
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from collector.profile.types import DIRECT, Field, Kind, Missing, Ratios
from store.periods import SHANGHAI
from store.samples import QUANTITIES, QuantityKind

ONES = 0xFFFF
_SIGNED = frozenset({Kind.S16, Kind.S32, Kind.S64})
_TEXTS = frozenset({Kind.TEXT, Kind.HEX})
_CLOCKS = frozenset({Kind.CLOCK_WORDS, Kind.CLOCK_BYTES})
_BITS = frozenset({Kind.BITS16, Kind.BITS32})
PLAIN = frozenset(Kind) - _TEXTS - _CLOCKS
"""Kinds that are numbers."""
_WHOLE = frozenset(name for name, quantity in QUANTITIES.items() if quantity.kind is not QuantityKind.GAUGE)
_PERCENT_ABOVE = 1.1
_CENTURY = 2000

Value = float | int | str


def join_words(raw: Sequence[int], *, low_word_first: bool) -> int:
    """Return the unsigned number that the words form."""
    number = 0
    for word in reversed(raw) if low_word_first else raw:
        number = number << 16 | word
    return number


def signed(number: int, word_count: int) -> int:
    """Return an unsigned number of `word_count` words read as two's complement."""
    bits = 16 * word_count
    return number - (1 << bits) if number >> (bits - 1) else number


def _is_partial(field: Field, raw: Sequence[int]) -> bool:
    """Tell whether a value of several words is half not-available.

    The high word of an unsigned value is never all ones in the field; in a value that need not exist on
    the model, any all-ones word means that another value straddles its registers, except the sign
    extension of a small negative number.
    """
    if field.count == 1 or field.kind in _BITS or field.kind is Kind.F32:
        return False
    ordered = raw[::-1] if field.low_word_first else raw
    if field.kind not in _SIGNED and ordered[0] == ONES:
        return True
    if not field.optional or ONES not in ordered:
        return False
    extended = all(word == ONES for word in ordered[:-1]) and ordered[-1] >> 15
    return not (field.kind in _SIGNED and extended)


def raw_number(field: Field, raw: Sequence[int]) -> int | float | Missing:
    """Return the number in the words of a numeric field, unscaled, or why there is none."""
    number = join_words(raw, low_word_first=field.low_word_first)
    if number in field.sentinels or (field.optional and all(word == ONES for word in raw)):
        return Missing.NOT_AVAILABLE
    if field.kind is Kind.F32:
        value = float(struct.unpack(">f", number.to_bytes(4, "big"))[0])
        return value if math.isfinite(value) else Missing.NOT_AVAILABLE
    if _is_partial(field, raw):
        return Missing.PARTIAL
    return signed(number, field.count) if field.kind in _SIGNED else number


def scaled(field: Field, number: float, *, exponent: int = 0, ratios: Ratios = DIRECT) -> float | int:
    """Return a raw number in the field's unit: exact for counters and codes, else the nearest double."""
    numerator, denominator = field.numerator, field.denominator
    for name in field.ratio:
        numerator *= ratios.pt if name == "pt" else ratios.ct
    if exponent > 0:
        numerator *= 10**exponent
    elif exponent < 0:
        denominator *= 10**-exponent
    product = (number + field.offset) * numerator
    value: float | int = product
    if denominator != 1:
        whole = isinstance(product, int) and product % denominator == 0
        value = product // denominator if whole else product / denominator
    if field.magnitude:
        value = abs(value)
    if field.ratio_or_percent and abs(value) > _PERCENT_ABOVE:
        value = value / 100
    return round(value) if field.quantity in _WHOLE else value


def text(field: Field, raw: Sequence[int]) -> str | Missing:
    """Return the text of a field without padding; all NUL or all ones is not available."""
    if all(word == ONES for word in raw) or not any(raw):
        return Missing.NOT_AVAILABLE
    data = b"".join(word.to_bytes(2, "big") for word in raw)
    if field.kind is Kind.HEX:
        return data.hex()
    end = data.find(b"\0")
    kept = (data if end < 0 else data[:end]).rstrip(b"\xff").decode("utf-8", errors="replace").strip()
    return kept or Missing.NOT_AVAILABLE


def clock_time(field: Field, raw: Sequence[int]) -> datetime | Missing:
    """Return the wall time that a clock field shows, taken to be Asia/Shanghai unless it says UTC."""
    if all(word == ONES for word in raw):
        return Missing.NOT_AVAILABLE
    zone = UTC if field.clock == "utc" else SHANGHAI
    if field.kind not in _CLOCKS:
        seconds = join_words(raw, low_word_first=field.low_word_first)
        if seconds in field.sentinels or seconds == 0:
            return Missing.NOT_AVAILABLE
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).replace(tzinfo=zone)
    parts = list(raw)
    if field.kind is Kind.CLOCK_BYTES:
        parts = [part for word in raw for part in divmod(word, 256)]
    if not any(parts):
        return Missing.NOT_AVAILABLE
    year, month, day, hour, minute, second = parts
    try:
        return datetime(
            year + (_CENTURY if year < _CENTURY else 0), month, day, hour, minute, second, tzinfo=zone
        )
    except ValueError:
        return Missing.UNREADABLE


def is_clock(field: Field) -> bool:
    """Tell whether a field shows an instant."""
    return field.kind in _CLOCKS or field.unit == "epoch"


def is_text(field: Field) -> bool:
    """Tell whether a field shows text."""
    return field.kind in _TEXTS
