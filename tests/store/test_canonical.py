from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction

import pytest

from store.canonical import canonical_json, content_hash


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass(frozen=True)
class Record:
    b: int
    a: Decimal


def test_keys_are_sorted_and_numbers_exact() -> None:
    text = canonical_json({"z": Record(1, Decimal("0.380")), "a": [Fraction(1, 3), True, None, "字"]})
    assert text == '{"a":[{"fraction":[1,3]},true,null,"字"],"z":{"a":{"decimal":"0.38"},"b":1}}'


def test_enums_are_their_values() -> None:
    assert canonical_json([Colour.RED, Level.HIGH]) == '["red",3]'


def test_the_same_instant_hashes_alike_in_every_zone() -> None:
    here = datetime(2026, 10, 1, 8, tzinfo=timezone(timedelta(hours=8)))
    assert content_hash(here) == content_hash(datetime(2026, 10, 1, tzinfo=UTC))
    assert content_hash(here) != content_hash(date(2026, 10, 1))


@pytest.mark.parametrize("value", [1.5, datetime(2026, 1, 1), {1, 2}, object()])  # noqa: DTZ001
def test_what_is_not_exact_has_no_canonical_form(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json([value])
