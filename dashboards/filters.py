"""How figures, dates and states are written on pages.

Owns the Chinese forms of everything that a page shows. Money comes as integer fen, energy as integer Wh,
power in W; what is missing is written as “—”, never as 0.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from distribution.money import uppercase, yuan
from documents.writing import cell_text
from registry.actors import Role
from store.periods import SHANGHAI, Period, local_date

MISSING = "—"
_MONTH_CODE = re.compile(r"(?<![\d-])(20\d\d)-(0[1-9]|1[0-2])(?![\d-])")
_WAN = 10_000_000
"""1 万千瓦时 [Wh]: from here on energy is written in this unit."""

_ROLES = {
    Role.COUNTY: "县级管理",
    Role.TOWNSHIP: "乡镇",
    Role.VILLAGE: "村级",
    Role.FINANCE: "财务",
    Role.MAINTENANCE: "运维",
    Role.AUDITOR: "审计",
    Role.PUBLIC: "公众",
    Role.SYSTEM: "系统",
}


def _rounded(value: Decimal, digits: int) -> str:
    return f"{value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN):,}"


def money(amount_fen: int | None) -> str:
    """Return fen as `1,234.56`; a negative amount keeps a minus sign."""
    return MISSING if amount_fen is None else yuan(amount_fen)


def kwh(energy_wh: int | None, digits: int = 1) -> str:
    """Return Wh as kWh with thousands separators."""
    return MISSING if energy_wh is None else _rounded(Decimal(energy_wh).scaleb(-3), digits)


def energy(energy_wh: int | None) -> str:
    """Return Wh with its unit: 千瓦时, or 万千瓦时 with two decimals from 10,000 kWh."""
    if energy_wh is None:
        return MISSING
    if abs(energy_wh) >= _WAN:
        return f"{_rounded(Decimal(energy_wh) / _WAN, 2)} 万千瓦时"
    return f"{kwh(energy_wh)} 千瓦时"


def wan(energy_wh: int | None) -> str:
    """Return Wh as 万千瓦时 with two decimals, without the unit."""
    return MISSING if energy_wh is None else _rounded(Decimal(energy_wh) / _WAN, 2)


def kilowatt(power_w: float | None, digits: int = 1) -> str:
    """Return W as kW with thousands separators."""
    return MISSING if power_w is None else _rounded(Decimal(repr(power_w)).scaleb(-3), digits)


def number(value: float | Decimal | None, digits: int = 0) -> str:
    """Return a number with thousands separators and fixed decimals."""
    return MISSING if value is None else _rounded(Decimal(str(value)), digits)


def percent(ratio: float | Decimal | None, digits: int = 1) -> str:
    """Return a ratio of 0 to 1 as percent."""
    return MISSING if ratio is None else f"{_rounded(Decimal(str(ratio)) * 100, digits)}%"


def change(ratio: float | None) -> str:
    """Return a relative change with its sign, as `+2.1%`."""
    return MISSING if ratio is None else f"{'+' if ratio >= 0 else '−'}{percent(abs(ratio))}"


def day(value: date | datetime | None) -> str:
    """Return a date, or the Shanghai day of an instant, as 2026年10月5日."""
    if value is None:
        return MISSING
    value = local_date(value) if isinstance(value, datetime) else value
    return f"{value.year}年{value.month}月{value.day}日"


def moment(value: datetime | None) -> str:
    """Return an instant as Shanghai time, 2026年10月5日 14:32."""
    return MISSING if value is None else f"{day(value)} {clock_time(value)}"


def clock_time(value: datetime | None) -> str:
    """Return the Shanghai time of day of an instant, 14:32."""
    return MISSING if value is None else f"{value.astimezone(SHANGHAI):%H:%M}"


def month(value: str) -> str:
    """Return the label of a period such as `2026-10`, or the text itself where it is none."""
    try:
        return Period.parse(value).label
    except ValueError:
        return value


def months_in_words(text: str) -> str:
    """Return text with every month code such as `2026-10` written as 2026年10月."""
    return _MONTH_CODE.sub(lambda found: f"{found[1]}年{int(found[2])}月", text)


def whole_yuan(amount_fen: int) -> str:
    """Return an estimated amount in whole yuan: what is estimated shows no fen."""
    return f"{round(Decimal(amount_fen).scaleb(-2)):,}"


def duration(value: timedelta | None) -> str:
    """Return a duration in its two largest units: 3 天 4 小时, 2 小时 5 分, 12 分钟."""
    if value is None:
        return MISSING
    minutes = max(0, int(value.total_seconds() // 60))
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        return f"{days} 天 {hours} 小时" if hours else f"{days} 天"
    if hours:
        return f"{hours} 小时 {minutes % 60} 分" if minutes % 60 else f"{hours} 小时"
    return f"{minutes} 分钟"


def role(value: Role) -> str:
    """Return the Chinese name of a role."""
    return _ROLES[value]


def tone(amount_fen: int | None) -> str:
    """Return the style class of an amount: negative amounts are red besides their minus sign."""
    return "minus" if amount_fen is not None and amount_fen < 0 else ""


FILTERS: dict[str, Callable[..., str]] = {
    "money": money,
    "uppercase": uppercase,
    "kwh": kwh,
    "energy": energy,
    "wan": wan,
    "kilowatt": kilowatt,
    "number": number,
    "percent": percent,
    "change": change,
    "day": day,
    "moment": moment,
    "clock_time": clock_time,
    "month": month,
    "months_in_words": months_in_words,
    "whole_yuan": whole_yuan,
    "duration": duration,
    "role": role,
    "tone": tone,
    "cell": lambda value, kind: cell_text(kind, value),
}
