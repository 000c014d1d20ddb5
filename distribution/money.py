"""Integer fen: the exact split, the only rounding, and money as text.

Owns every place where an exact value becomes whole fen. It knows no plan and no household: callers hand
it totals, weights and keys. The split is published in `docs/split.md`, so that anyone can repeat it.
"""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import lcm

FEN_PER_YUAN = 100
_PLAIN_YUAN = re.compile(r"^[+-]?\d+(?:\.\d{1,2})?$")
_GROUPED_YUAN = re.compile(r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?$")
_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿", "万亿")
_FULL_GROUP = 1_000
_LARGEST_UPPERCASE_FEN = 10**18


class RoundingPolicy(StrEnum):
    """How an exact amount becomes whole fen."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"
    UP = "up"


def round_fen(exact_fen: Fraction | Decimal | int, policy: RoundingPolicy = RoundingPolicy.HALF_UP) -> int:
    """Return an exact amount [fen] as whole fen; `half_up`, `down` and `up` work on the magnitude."""
    exact = Fraction(exact_fen)
    sign = -1 if exact < 0 else 1
    whole, rest = divmod(abs(exact.numerator), exact.denominator)
    if policy is RoundingPolicy.UP:
        up = rest > 0
    elif policy is RoundingPolicy.DOWN:
        up = False
    elif policy is RoundingPolicy.HALF_EVEN:
        up = 2 * rest > exact.denominator or (2 * rest == exact.denominator and whole % 2 == 1)
    else:
        up = 2 * rest >= exact.denominator
    return sign * (whole + up)


def integer_weights(weights: Sequence[int | Fraction]) -> list[int]:
    """Return the weights scaled to whole numbers in the same proportions.

    Raises ValueError for a negative weight.
    """
    if any(type(weight) is not int for weight in weights):
        scale = lcm(*(weight.denominator for weight in weights))
        scaled = [weight.numerator * (scale // weight.denominator) for weight in weights]
    else:
        scaled = [int(weight) for weight in weights]
    if scaled and min(scaled) < 0:
        raise ValueError("a negative weight cannot take part in a split")
    return scaled


def split(total_fen: int, weights: Sequence[int | Fraction], keys: Sequence[str]) -> list[int]:
    """Split `total_fen` [fen] in the proportions of `weights`: largest remainder, exact sum.

    Each share is first cut down to whole fen. The fen left over go one each to the largest remainders;
    equal remainders go to the smaller key (compared as text). The result is in the order of the
    arguments, but who gets what does not depend on it. A negative total is the mirror of the positive.

    Raises ValueError when the lengths differ, a key occurs twice, a weight is negative, or there is money
    and no positive weight. Source: docs/split.md.
    """
    if len(weights) != len(keys):
        raise ValueError(f"{len(weights)} weights but {len(keys)} keys")
    if len(set(keys)) != len(keys):
        raise ValueError("a key occurs twice, so the tie-break would depend on the order")
    if total_fen < 0:
        return [-share for share in split(-total_fen, weights, keys)]
    scaled = integer_weights(weights)
    whole = sum(scaled)
    if whole == 0:
        if total_fen:
            raise ValueError(f"{total_fen} fen to split, but nobody has a positive weight")
        return [0] * len(scaled)
    products = [total_fen * weight for weight in scaled]
    shares = [product // whole for product in products]
    left_over = total_fen - sum(shares)
    if left_over:
        remainders = [product % whole for product in products]
        for index in _largest(remainders, keys, left_over):
            shares[index] += 1
    return shares


def _largest(remainders: list[int], keys: Sequence[str], count: int) -> list[int]:
    """Return the indices of the `count` largest remainders, ties by the smaller key."""
    threshold = sorted(remainders, reverse=True)[count - 1]
    above = [index for index, remainder in enumerate(remainders) if remainder > threshold]
    level = [index for index, remainder in enumerate(remainders) if remainder == threshold]
    level.sort(key=lambda index: keys[index])
    return above + level[: count - len(above)]


def yuan(amount_fen: int) -> str:
    """Return fen as yuan text with thousands separators and two decimals: `-1,234.56`."""
    whole, rest = divmod(abs(amount_fen), FEN_PER_YUAN)
    return f"{'-' if amount_fen < 0 else ''}{whole:,}.{rest:02d}"


def parse_yuan(text: str) -> int:
    """Read yuan text (`1234.5`, `1,234.56`, `￥1,234.56元`, full-width digits) as fen.

    Raises ValueError when it is no amount, is grouped wrongly, or has more than two decimals.
    """
    plain = unicodedata.normalize("NFKC", text).strip().removeprefix("¥").removesuffix("元").strip()
    if not (_PLAIN_YUAN.match(plain) or _GROUPED_YUAN.match(plain)):
        raise ValueError(f"“{text}” 不是以元为单位、至多两位小数的金额")
    return int(Decimal(plain.replace(",", "")) * FEN_PER_YUAN)


def uppercase(amount_fen: int) -> str:
    """Return fen in Chinese capitals, as 人民币壹仟肆佰零玖元伍角.

    整 stands after 元 only; one 零 stands for a run of zeros inside; a 元 digit of zero before 角 is not
    read. Raises ValueError from 10^18 fen up.
    Source: 支付结算办法, annex 1 (正确填写票据和结算凭证的基本规定).
    """
    if abs(amount_fen) >= _LARGEST_UPPERCASE_FEN:
        raise ValueError(f"{amount_fen} fen is too large to be written in capitals")
    whole, rest = divmod(abs(amount_fen), FEN_PER_YUAN)
    jiao, fen = divmod(rest, 10)
    words = "人民币" + ("负" if amount_fen < 0 else "")
    if whole or not rest:
        words += (_whole_words(whole) or "零") + "元"
    if not rest:
        return words + "整"
    if jiao:
        words += _DIGITS[jiao] + "角"
    elif whole:
        words += "零"
    return words + (_DIGITS[fen] + "分" if fen else "")


def _whole_words(number: int) -> str:
    """Return a whole number in capitals, group by group of four digits; empty for zero."""
    words = ""
    for index in reversed(range(len(_GROUPS))):
        group = number // 10 ** (4 * index) % 10_000
        if not group:
            continue
        if words and (group < _FULL_GROUP or number // 10 ** (4 * index + 4) % 10_000 == 0):
            words += "零"
        words += _group_words(group) + _group_unit(number, index)
    return words


def _group_unit(number: int, index: int) -> str:
    """Return the unit of a group; 万 before 亿 says 亿 only when the 亿 group itself is empty."""
    if index == len(_GROUPS) - 1 and number // 10**8 % 10_000:
        return "万"
    return _GROUPS[index]


def _group_words(group: int) -> str:
    words = ""
    for place in reversed(range(4)):
        digit = group // 10**place % 10
        if digit:
            words += _DIGITS[digit] + _PLACES[place]
        elif words and not words.endswith("零") and group % 10**place:
            words += "零"
    return words
