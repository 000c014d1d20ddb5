"""The scalar values of a plan document: percentages, yuan, weights, as exact numbers.

Owns how text becomes an exact value, and how an exact value is shown. A float is refused everywhere.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from distribution.money import FEN_PER_YUAN, parse_yuan, yuan

_NUMBER = re.compile(r"^\d+(?:\.\d+)?$")
_RATIO = re.compile(r"^(\d+)\s*/\s*(\d+)$")


def parse_fraction(value: object) -> Fraction:
    """Read `3`, `"3"`, `"1.5"`, `"3/2"` or `"60%"` as an exact, not negative number.

    Raises ValueError for anything else, a float included.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f'{value!r} 不能用：数字请写成整数，或加引号写成 "1.5"、"3/2"、"60%"')  # noqa: TRY004, pydantic collects ValueError
    text = str(value).strip()
    ratio = _RATIO.match(text)
    if ratio and int(ratio[2]):
        return Fraction(int(ratio[1]), int(ratio[2]))
    if text.endswith("%") and _NUMBER.match(text[:-1].strip()):
        return Fraction(text[:-1].strip()) / 100
    if _NUMBER.match(text):
        return Fraction(text)
    raise ValueError(f'“{text}” 不是数：写成 3、"1.5"、"3/2" 或 "60%"')


def parse_money(value: object) -> int:
    """Read an amount in yuan (`40000` or `"40000.50"`) as fen; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f'{value!r} 不是金额：以元为单位，写成 40000 或 "40000.50"')  # noqa: TRY004, pydantic collects ValueError
    amount = value * FEN_PER_YUAN if isinstance(value, int) else parse_yuan(value)
    if amount < 0:
        raise ValueError(f"{value} 是负数：金额不能小于零")
    return amount


def parse_rate(value: object) -> Fraction:
    """Read a price per unit in yuan (`800`, `"0.0385"`) as exact fen; raises ValueError for anything else."""
    if isinstance(value, str) and "/" not in value and "%" not in value:
        value = value.replace(",", "")
    elif isinstance(value, str):
        raise ValueError(f'“{value}” 不是单价：以元为单位，写成 800 或 "0.0385"')
    return parse_fraction(value) * FEN_PER_YUAN


def rate_text(rate_fen: Fraction) -> str:
    """Return a price per unit in yuan: to the fen where it is whole fen, else all its decimals."""
    whole = rate_fen.denominator == 1
    return yuan(rate_fen.numerator) if whole else number_text(rate_fen / FEN_PER_YUAN)


def number_text(value: Fraction) -> str:
    """Return an exact number as short text: `3`, `1.5`, `3/7`."""
    if value.denominator == 1:
        return str(value.numerator)
    scale = value.denominator
    for prime in (2, 5):
        while scale % prime == 0:
            scale //= prime
    if scale != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole, rest = divmod(abs(value.numerator) * 10**digits // value.denominator, 10**digits)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{digits}d}"


def percent_text(value: Fraction) -> str:
    """Return a share as a percentage where that is exact, else as a fraction: `62.5%`, `1/3`."""
    text = number_text(value * 100)
    return number_text(value) if "/" in text else f"{text}%"


def rounded_percent_text(value: Fraction) -> str:
    """Return a ratio as a percentage with two decimals, for reading only."""
    hundredths = int(value * 10_000 + Fraction(1, 2))
    return f"{hundredths // 100}.{hundredths % 100:02d}%"


def _serialize_money(amount_fen: int) -> str:
    return yuan(amount_fen).replace(",", "")


def _serialize_rate(rate_fen: Fraction) -> str:
    return rate_text(rate_fen).replace(",", "")


Number = Annotated[
    Fraction,
    BeforeValidator(parse_fraction),
    PlainSerializer(number_text, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)?%?$|^\d+\s*/\s*\d+$"},
            ],
            "description": 'exact number: 3, "1.5", "3/2" or "60%"',
        }
    ),
]
Money = Annotated[
    int,
    BeforeValidator(parse_money),
    PlainSerializer(_serialize_money, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(,\d{3})*(\.\d{1,2})?$"},
            ],
            "description": 'amount in yuan: 40000 or "40000.50"',
        }
    ),
]


Rate = Annotated[
    Fraction,
    BeforeValidator(parse_rate),
    PlainSerializer(_serialize_rate, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(,\d{3})*(\.\d+)?$"},
            ],
            "description": 'unit price in yuan, as many decimals as needed: 800 or "0.0385"',
        }
    ),
]


def exact_parts(parts: Mapping[str, Any]) -> tuple[dict[str, Fraction], bool]:
    """Read the parts of a split: all percentages or fractions of the whole, or all whole-number ratios.

    Returns the numbers, and whether they are shares of the whole. Raises ValueError for a mixture.
    """
    shares = [
        isinstance(part, str) and ("%" in part or "/" in part or "." in part) for part in parts.values()
    ]
    numbers = {name: parse_fraction(part) for name, part in parts.items()}
    if any(shares) and not all(shares):
        raise ValueError('各部分要么都写百分比（"60%"），要么都写比例数（3、2），不能混写')
    return numbers, all(shares)
