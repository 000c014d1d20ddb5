"""One value or one time of a message: from what stands there to a number in our unit, or an instant.

Owns the arithmetic and the clock limits; where in a message a value stands is `reading`'s.
"""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from zoneinfo import ZoneInfo

from collector.payloads.document import TIME_SCALES, QuantityRule, TimeRule
from store.quality import AHEAD_LIMIT, Flag
from store.samples import DeviceState

OLDEST_YEAR = 2015
LARGEST_EXPONENT = 20
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(raw: object, factor: Decimal, *, whole: bool) -> float | int | None:
    """Return a number in our unit, exact for counters and codes; None when it is no finite number."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    if isinstance(raw, float) and not whole:
        scaled = raw * _as_float(factor)
        return scaled if math.isfinite(scaled) else None
    try:
        exact = Decimal(str(raw).strip()) * factor
    except ArithmeticError:
        return None
    if not exact.is_finite() or exact.adjusted() > LARGEST_EXPONENT:
        return None
    return round(exact) if whole else float(exact)


@cache
def _as_float(factor: Decimal) -> float:
    return float(factor)


def state(rule: QuantityRule, raw: object) -> dict[str, float | int]:
    """Return our state and the device's own code; a code that is not listed is UNKNOWN."""
    known = rule.codes.get(str(raw))
    ours = DeviceState.UNKNOWN if known is None else DeviceState[known.upper()]
    values: dict[str, float | int] = {"state": int(ours)}
    if isinstance(raw, int) and not isinstance(raw, bool):
        values["state_raw"] = raw
    return values


def moment(rule: TimeRule, raw: object, received_at: datetime) -> tuple[datetime, int] | str:
    """Return the instant [UTC] under which a record is kept and its flags, or why it cannot be kept."""
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
        if isinstance(raw, int) and abs(raw) < 10**LARGEST_EXPONENT:
            return EPOCH + timedelta(microseconds=raw * TIME_SCALES[rule.format])
        exact = Decimal(str(raw))
        if not exact.is_finite() or exact.adjusted() > LARGEST_EXPONENT:
            raise ValueError("no instant")
        return EPOCH + timedelta(microseconds=int(exact * TIME_SCALES[rule.format]))
    text = str(raw)
    if rule.pattern == "iso":
        return _in_zone(datetime.fromisoformat(text), rule.zone)
    return _in_zone(datetime.strptime(text, rule.pattern), rule.zone)  # noqa: DTZ007, the zone is the rule's


def _in_zone(time: datetime, zone: str) -> datetime:
    return (time if time.tzinfo else time.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
