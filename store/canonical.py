"""Canonical bytes and content hashes.

Owns the one form in which records are hashed: JSON with sorted keys, no white space, and exact numbers
only. Hashes of runs, votes, notices, journals and audit entries all come from here.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from functools import singledispatch
from typing import Any


@singledispatch
def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no canonical form")


@_plain.register
def _(value: None) -> Any:
    return value


@_plain.register(bool)
@_plain.register(int)
@_plain.register(str)
def _(value: bool | int | str) -> Any:
    return value


@_plain.register
def _(value: float) -> Any:
    raise TypeError(f"the float {value} has no canonical form; use an integer, Decimal or Fraction")


@_plain.register
def _(value: Decimal) -> Any:
    return {"decimal": format(value.normalize(), "f")}


@_plain.register
def _(value: Fraction) -> Any:
    return {"fraction": [value.numerator, value.denominator]}


@_plain.register
def _(value: date) -> Any:
    return value.isoformat()


@_plain.register
def _(value: datetime) -> Any:
    if value.tzinfo is None:
        raise TypeError("an instant without a time zone has no canonical form")
    return value.astimezone(UTC).isoformat()


@_plain.register
def _(value: Enum) -> Any:
    return _plain(value.value)


@_plain.register(StrEnum)
@_plain.register(IntEnum)
def _(value: StrEnum | IntEnum) -> Any:
    return value.value


@_plain.register
def _(value: Mapping) -> Any:  # type: ignore[type-arg]
    return {str(key): _plain(item) for key, item in value.items()}


@_plain.register(list)
@_plain.register(tuple)
def _(value: list[object] | tuple[object, ...]) -> Any:
    return [_plain(item) for item in value]


def canonical_json(value: object) -> str:
    """Return the canonical JSON text of plain values, dataclasses, mappings and sequences.

    Raises TypeError for a float, a naive datetime, or a type without a canonical form.
    """
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def content_hash(value: object) -> str:
    """Return the SHA-256 [64 hex digits] of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
