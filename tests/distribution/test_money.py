"""Splitting, rounding and writing money."""

import os
import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distribution.money import RoundingPolicy, parse_yuan, round_fen, split, uppercase, yuan

COUNT = 1_000_000 if os.environ.get("SUNLEDGER_SOAK") else 10_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,409.50", "人民币壹仟肆佰零玖元伍角"),
        ("6,007.14", "人民币陆仟零柒元壹角肆分"),
        ("325.04", "人民币叁佰贰拾伍元零肆分"),
        ("16,409.02", "人民币壹万陆仟肆佰零玖元零贰分"),
        ("0.00", "人民币零元整"),
        ("10,470.00", "人民币壹万零肆佰柒拾元整"),
        ("0.50", "人民币伍角"),
        ("0.04", "人民币肆分"),
        ("0.14", "人民币壹角肆分"),
        ("10.00", "人民币壹拾元整"),
        ("1,680.32", "人民币壹仟陆佰捌拾元叁角贰分"),
        ("107,000.53", "人民币壹拾万柒仟元伍角叁分"),
        ("100,000,001.00", "人民币壹亿零壹元整"),
        ("100,010,000.00", "人民币壹亿零壹万元整"),
        ("1,000,000,000,000.00", "人民币壹万亿元整"),
        ("1,000,200,000,000.00", "人民币壹万零贰亿元整"),
        ("1,000,000,001,000.00", "人民币壹万亿零壹仟元整"),
        ("-12.30", "人民币负壹拾贰元叁角"),
    ],
)
def test_capitals_follow_the_payment_rules(text, words):
    assert uppercase(parse_yuan(text)) == words


DIGITS = {word: number for number, word in enumerate("零壹贰叁肆伍陆柒捌玖")}
UNITS = {"拾": 10, "佰": 100, "仟": 1000}


def read_group(words: str) -> int:
    total = digit = 0
    for word in words:
        if word in DIGITS:
            digit = DIGITS[word]
        else:
            total, digit = total + digit * UNITS[word], 0
    return total + digit


def read_whole(words: str) -> int:
    if "亿" in words:
        head, tail = words.rsplit("亿", 1)
        return read_whole(head) * 10**8 + read_whole(tail)
    if "万" in words:
        head, tail = words.split("万", 1)
        return read_group(head) * 10**4 + read_group(tail)
    return read_group(words)


def read_capitals(words: str) -> int:
    words = words.removeprefix("人民币").removesuffix("整")
    whole, _, rest = words.rpartition("元")
    fen = 0
    for word in rest.replace("零", ""):
        if word in DIGITS:
            digit = DIGITS[word]
        else:
            fen += digit * (10 if word == "角" else 1)
    return read_whole(whole) * 100 + fen


@pytest.mark.soak
def test_capitals_read_back_as_the_same_amount():
    seed = 20261125
    chooser = random.Random(seed)
    print(f"seed {seed}, {COUNT} amounts")
    for _ in range(COUNT):
        amount = chooser.randrange(10 ** chooser.randrange(1, 18))
        if chooser.random() < 0.5:
            amount = int("".join(chooser.choice("0019") for _ in range(chooser.randrange(1, 18))))
        words = uppercase(amount)
        assert read_capitals(words) == amount, words
        assert "零零" not in words


@given(st.integers(-(10**15), 10**15))
def test_yuan_text_reads_back_as_the_same_fen(amount):
    assert parse_yuan(yuan(amount)) == amount
    assert parse_yuan(f"￥{yuan(amount)}元") == amount if amount >= 0 else True


@pytest.mark.parametrize("text", ["", "12.345", "1,23", "12,3456.00", "一百", "1e5", "--1", "12元3角", "nan"])
def test_text_that_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="金额"):
        parse_yuan(text)


def test_full_width_digits_are_read():
    assert parse_yuan("１，２３４．５６") == 123456


@pytest.mark.parametrize(
    ("exact", "policy", "expected"),
    [
        (Fraction(5, 2), RoundingPolicy.HALF_UP, 3),
        (Fraction(-5, 2), RoundingPolicy.HALF_UP, -3),
        (Fraction(5, 2), RoundingPolicy.HALF_EVEN, 2),
        (Fraction(7, 2), RoundingPolicy.HALF_EVEN, 4),
        (Decimal("2.9999"), RoundingPolicy.DOWN, 2),
        (Decimal("2.0001"), RoundingPolicy.UP, 3),
        (7, RoundingPolicy.UP, 7),
    ],
)
def test_rounding_follows_its_policy(exact, policy, expected):
    assert round_fen(exact, policy) == expected


def test_the_odd_fen_goes_to_the_largest_remainder_and_then_to_the_smaller_key():
    assert split(100, [1, 1, 1], ["b", "c", "a"]) == [33, 33, 34]
    assert split(100, [3, 2, 1], ["a", "b", "c"]) == [50, 33, 17]
    assert split(-100, [1, 1, 1], ["b", "c", "a"]) == [-33, -33, -34]
    assert split(5, [Fraction(1, 2), Fraction(1, 3)], ["a", "b"]) == [3, 2]


def test_a_split_that_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match="nobody"):
        split(1, [0, 0], ["a", "b"])
    with pytest.raises(ValueError, match="twice"):
        split(1, [1, 1], ["a", "a"])
    with pytest.raises(ValueError, match="negative"):
        split(1, [1, -1], ["a", "b"])
    with pytest.raises(ValueError, match="keys"):
        split(1, [1, 1], ["a"])
    assert split(0, [0, 0], ["a", "b"]) == [0, 0]
    assert split(0, [], []) == []


WEIGHTS = st.lists(
    st.one_of(st.integers(0, 50), st.fractions(0, 9, max_denominator=60)), min_size=1, max_size=30
).filter(sum)


@pytest.mark.soak
@settings(max_examples=COUNT // 100, deadline=None)
@given(st.integers(0, 10**9), WEIGHTS, st.randoms(use_true_random=False))
def test_a_split_is_exact_near_fair_and_independent_of_order(total, weights, chooser):
    keys = [f"{index:04d}" for index in range(len(weights))]
    shares = split(total, weights, keys)
    whole = sum(Fraction(weight) for weight in weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - total * Fraction(weight) / whole) < 1
        assert share == 0 or weight > 0
    order = sorted(range(len(weights)), key=lambda index: weights[index])
    assert [shares[index] for index in order] == sorted(shares) or _ties_only(shares, weights)
    shuffled = list(range(len(weights)))
    chooser.shuffle(shuffled)
    again = split(total, [weights[index] for index in shuffled], [keys[index] for index in shuffled])
    assert {keys[index]: share for index, share in zip(shuffled, again, strict=True)} == dict(
        zip(keys, shares, strict=True)
    )
    assert split(total, [weight * 7 for weight in weights], keys) == shares


def _ties_only(shares, weights):
    """Larger weight never gets less; equal weights differ by one fen at most."""
    pairs = [(weights[i], shares[i]) for i in range(len(shares))]
    return all(
        (w1 > w2 and s1 >= s2) or (w1 < w2 and s1 <= s2) or (w1 == w2 and abs(s1 - s2) <= 1)
        for w1, s1 in pairs
        for w2, s2 in pairs
    )
