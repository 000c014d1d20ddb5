"""From canonical JSON back to the frozen records that it was made of. Pure.

Owns the inverse of `store.canonical` for dataclasses with annotated fields: what a run froze is read back
as the same record, whose canonical JSON is the same text.
"""

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def thaw(text: str, record: type[Record]) -> Record:
    """Return the record of type `record` whose canonical JSON is `text`.

    Raises TypeError for an annotation without a canonical form.
    """
    built: Record = _build(json.loads(text), record)
    return built


@cache
def _hints(record: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in fields(record)}


def _build(value: Any, hint: Any) -> Any:
    if hint in (int, str, bool) or value is None:
        return value
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _build(value, next(one for one in get_args(hint) if one is not type(None)))
    if origin is tuple:
        return tuple(_build(item, get_args(hint)[0]) for item in value)
    if origin is Mapping:
        return {key: _build(item, get_args(hint)[1]) for key, item in value.items()}
    return _scalar(value, hint)


def _scalar(value: Any, hint: Any) -> Any:
    if hint is Fraction:
        return Fraction(*value["fraction"])
    if hint is Decimal:
        return Decimal(value["decimal"])
    if hint is date:
        return date.fromisoformat(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if is_dataclass(hint):
        return _dataclass(value, hint)
    raise TypeError(f"{hint} has no canonical form")


def _dataclass(value: Mapping[str, Any], record: Any) -> Any:
    return record(
        **{name: _build(value[name], kind) for name, kind in _hints(record).items() if name in value}
    )
