"""Canonical bytes and content hashes.

Owns the one form in which records are hashed: JSON with sorted keys, no white space, and exact numbers
only. Hashes of runs, votes, notices, journals and audit entries all come from here.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from functools import cache, singledispatch
from typing import Any

_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _plain(value: object) -> Any:
    kind: Any = type(value)
    if kind in _AS_THEY_ARE:
        return value
    return _way(kind)(value)


@cache
def _way(kind: Any) -> Callable[[Any], Any]:
    """Return what makes the plain form of a value of a type, looked up once per type."""
    if not is_dataclass(kind):
        return _other.dispatch(kind)
    names = tuple(field.name for field in fields(kind))
    return lambda record: {name: _plain(getattr(record, name)) for name in names}


@singledispatch
def _other(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} has no canonical form")


@_other.register
def _(value: None) -> Any:
    return value


@_other.register(bool)
@_other.register(int)
@_other.register(str)
def _(value: bool | int | str) -> Any:
    return value


@_other.register
def _(value: float) -> Any:
    raise TypeError(f"the float {value} has no canonical form; use an integer, Decimal or Fraction")


@_other.register
def _(value: Decimal) -> Any:
    return {"decimal": format(value.normalize(), "f")}


@_other.register
def _(value: Fraction) -> Any:
    return {"fraction": [value.numerator, value.denominator]}


@_other.register
def _(value: date) -> Any:
    return value.isoformat()


@_other.register
def _(value: datetime) -> Any:
    if value.tzinfo is None:
        raise TypeError("an instant without a time zone has no canonical form")
    return value.astimezone(UTC).isoformat()


@_other.register
def _(value: Enum) -> Any:
    return _plain(value.value)


@_other.register(StrEnum)
@_other.register(IntEnum)
def _(value: StrEnum | IntEnum) -> Any:
    return value.value


@_other.register
def _(value: Mapping) -> Any:  # type: ignore[type-arg]
    return {str(key): _plain(item) for key, item in value.items()}


@_other.register(list)
@_other.register(tuple)
def _(value: list[object] | tuple[object, ...]) -> Any:
    return [_plain(item) for item in value]


def canonical_json(value: object) -> str:
    """Return the canonical JSON text of plain values, dataclasses, mappings and sequences.

    Raises TypeError for a float, a naive datetime, or a type without a canonical form.
    """
    return _ENCODER.encode(_plain(value))


def content_hash(value: object) -> str:
    """Return the SHA-256 [64 hex digits] of the canonical JSON of `value`."""
    return text_hash(canonical_json(value))


def joined(texts: Iterable[str]) -> str:
    """Return the canonical JSON of a list whose items' canonical JSON is at hand."""
    return f"[{','.join(texts)}]"


def text_hash(text: str) -> str:
    """Return the content hash [64 hex digits] of a value whose canonical JSON is `text`."""
    return hashlib.sha256(text.encode()).hexdigest()
