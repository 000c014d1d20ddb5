"""From canonical JSON back to the frozen records that it was made of. Pure.

Owns the inverse of `store.canonical` for dataclasses with annotated fields: what a run froze is read back
as the same record, whose canonical JSON is the same text.
"""

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")
Builder = Callable[[Any], Any]


def thaw(text: str, record: type[Record]) -> Record:
    """Return the record of type `record` whose canonical JSON is `text`.

    Raises TypeError for an annotation without a canonical form.
    """
    hint: Any = record
    built: Record = _builder(hint)(json.loads(text))
    return built


@cache
def _builder(hint: Any) -> Builder:
    """Return what makes a value of an annotated type out of its plain form; None stays None."""
    origin = get_origin(hint)
    if hint in (int, str, bool):
        return _same
    if origin in (Union, types.UnionType):
        return _builder(next(one for one in get_args(hint) if one is not type(None)))
    if origin is tuple:
        item = _builder(get_args(hint)[0])
        return lambda value: None if value is None else tuple(item(one) for one in value)
    if origin is Mapping:
        item = _builder(get_args(hint)[1])
        return lambda value: None if value is None else {key: item(one) for key, one in value.items()}
    make = _scalar(hint)
    return lambda value: None if value is None else make(value)


def _same(value: Any) -> Any:
    return value


def _scalar(hint: Any) -> Builder:
    if hint is Fraction:
        return lambda value: Fraction(*value["fraction"])
    if hint is Decimal:
        return lambda value: Decimal(value["decimal"])
    if hint is date:
        return date.fromisoformat
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if is_dataclass(hint):
        return _dataclass(hint)
    raise TypeError(f"{hint} has no canonical form")


def _dataclass(record: Any) -> Builder:
    hints = get_type_hints(record)
    builders = {field.name: _builder(hints[field.name]) for field in fields(record)}
    return lambda value: record(**{name: builders[name](given) for name, given in value.items()})
