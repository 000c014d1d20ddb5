"""The plan input as JSON: reading it with problems, its JSON Schema, and what must hold in it.

Owns the way from plain values to `PlanInput`. The record itself stands in `distribution.types`; the
format is described in docs/plan-format.md.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)

from distribution.plans.document import problems_of
from distribution.plans.input_checks import check_input
from distribution.plans.input_fields import INPUT_FIELDS
from distribution.plans.notation.values import Number, number_text
from distribution.types import Allocation, PlanInput
from store.problem import Problem, ProblemsError


def _plain_date(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, date) and type(value) is date):
        return value
    raise ValueError(f"{value!r} 不是日期：写成 2026-10-05")


def _code(value: str) -> str:
    if value and not _TWELVE_DIGITS.match(value):
        raise ValueError(f"“{value}”不是 12 位区划代码，例如 520499101201")
    return value


_Amount = Annotated[int, Field(strict=True, ge=0)]
_Text = Annotated[str, Field(min_length=1)]
_Code = Annotated[str, AfterValidator(_code)]
_TWELVE_DIGITS = re.compile(r"^\d{12}$")
_TEXTS: dict[str, Any] = {
    **dict.fromkeys(("village_code", "division_code", "code"), _Code),
    **dict.fromkeys(("id", "kind", "component", "purse", "use"), _Text),
}
_SCALARS: dict[Any, Any] = {
    int: _Amount,
    Fraction: Number,
    date: Annotated[date, BeforeValidator(_plain_date)],
}


def _type_of(name: str, hint: Any) -> Any:
    """Return the strict type with which a field of a record is read."""
    inner = get_args(hint)
    if hint is str:
        return _TEXTS.get(name, str)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if not inner:
        return _model_of(hint) if isinstance(hint, type) and is_dataclass(hint) else hint
    kind: Any = _type_of(name, inner[-1] if get_origin(hint) is Mapping else inner[0])
    if get_origin(hint) is tuple:
        return tuple[kind, ...]
    return dict[str, kind] if get_origin(hint) is Mapping else kind | None


@cache
def _model_of(record: Any) -> type[BaseModel]:
    """Return the pydantic model that reads a frozen record; unknown keys are refused."""
    hints = get_type_hints(record)
    entries: dict[str, Any] = {}
    for item in fields(record):
        default = item.default
        if default is MISSING and item.default_factory is not MISSING:
            default = item.default_factory()
        words = INPUT_FIELDS[record.__name__][item.name]
        entries[item.name] = (
            _type_of(item.name, hints[item.name]),
            Field(... if default is MISSING else default, description=words),
        )
    config = ConfigDict(extra="forbid", frozen=True)
    model: type[BaseModel] = create_model(
        record.__name__, __config__=config, __doc__=record.__doc__, **entries
    )
    return model


def _build(value: Any, hint: Any) -> Any:
    """Return the frozen record of a read model."""
    if value is None or isinstance(value, StrEnum):
        return value
    if isinstance(value, BaseModel):
        record: Any = next((part for part in (hint, *get_args(hint)) if is_dataclass(part)), hint)
        hints = get_type_hints(record)
        return record(
            **{name: _build(getattr(value, name), hints[name]) for name in type(value).model_fields}
        )
    if isinstance(value, tuple):
        return tuple(_build(item, get_args(hint)[0]) for item in value)
    return dict(value) if isinstance(value, dict) else value


def parse_input(source: str | bytes | Mapping[str, Any], origin: str = "输入") -> PlanInput:
    """Read a plan input from JSON text or plain values.

    Amounts are whole fen, energy Wh, power W; exact numbers are `3`, `"1.5"`, `"3/2"`.
    Raises ProblemsError with the place of everything that is wrong.
    """
    if isinstance(source, str | bytes):
        source = _read_json(source, origin)
    if not isinstance(source, Mapping):
        what = "最外层要是一个 { … }，里面写 village_code、period 和其余各项"
        raise ProblemsError([Problem(origin, what, "按 docs/plan-format.md 第 5 节写")])
    try:
        model = _model_of(PlanInput).model_validate(source)
    except ValidationError as error:
        raise ProblemsError(problems_of(error, origin, {})) from error
    except UnicodeEncodeError as error:
        what = f"有不成字的编码 {error.object[error.start : error.end]!a}"
        raise ProblemsError([Problem(origin, what, "去掉这个字符，文件存为 UTF-8")]) from error
    inputs: PlanInput = _build(model, PlanInput)
    problems = check_input(inputs, origin)
    if problems:
        raise ProblemsError(problems)
    return inputs


def _read_json(text: str | bytes, origin: str) -> Any:
    try:
        return json.loads(
            text,
            parse_float=_refuse_float,
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_doubled_keys,
        )
    except json.JSONDecodeError as error:
        what = f"不是可用的 JSON：第 {error.lineno} 行第 {error.colno} 列读不下去（{error.msg}）"
        how = "检查这里的逗号、引号和括号"
        raise ProblemsError([Problem(origin, what, how)]) from error
    except UnicodeDecodeError as error:
        raise ProblemsError([Problem(origin, "不是 UTF-8 文字", "另存为 UTF-8 再试")]) from error
    except (ValueError, RecursionError) as error:
        raise ProblemsError([Problem(origin, f"不是可用的 JSON：{error}", "按提示修改")]) from error


def _refuse_float(text: str) -> object:
    raise ValueError(f'小数 {text} 要加引号写成 "{text}"，金额写成整数分')


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} 不是数")


def _refuse_doubled_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"“{double}”在同一处写了两次，一项只写一次")
    return values


def input_json(inputs: PlanInput) -> str:
    """Return a plan input as the JSON text that `parse_input` reads back as the same record.

    A past month's frozen input is written with it, so that anybody can try a plan on it.
    """
    return json.dumps(_plain(inputs), ensure_ascii=False, indent=1)


def allocation_json(allocation: Allocation) -> dict[str, Any]:
    """Return a whole allocation as plain JSON values: fen as integers, exact fractions as `3/7` in text.

    Every line and deduction carries its ordered steps with label, formula, inputs and their source records,
    exact value [fen], rounded fen and clause, so that programs need not read the Chinese sentences.
    """
    values: dict[str, Any] = _plain(allocation)
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else number_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return value


def input_schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan input."""
    return _model_of(PlanInput).model_json_schema()
