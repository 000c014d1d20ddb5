"""The plan input as JSON: reading it with problems, its JSON Schema, and what must hold in it.

Owns the way from plain values to `PlanInput`. The record itself stands in `distribution.types`; the
format is described in docs/plan-format.md.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from distribution.money import yuan
from distribution.plans.document import problems_of
from distribution.plans.notation.values import Number, number_text
from distribution.plans.primitives.book import prefix_of
from distribution.types import PlanInput
from store.periods import Period
from store.problem import Problem, ProblemsError

# The sun is up for half of a year anywhere, and for at most sixteen hours a day where stations stand.
SUN_HOURS_PER_DAY = 16
SUN_HOURS_PER_DAY_OF_A_YEAR = 12
HALF_YEAR_DAYS = 181
HALF = Fraction(1, 2)


def _plain_date(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, date) and type(value) is date):
        return value
    raise ValueError(f"{value!r} 不是日期：写成 2026-10-05")


_WholeNumber = Annotated[int, Field(strict=True)]
_Amount = Annotated[int, Field(strict=True, ge=0)]
_SCALARS: dict[Any, Any] = {Fraction: Number, date: Annotated[date, BeforeValidator(_plain_date)]}


def _type_of(name: str, hint: Any) -> Any:
    """Return the strict type with which a field of a record is read."""
    inner = get_args(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if hint is int:
        return _Amount if name.endswith(("_fen", "_w", "_wh")) else _WholeNumber
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
        entries[item.name] = (_type_of(item.name, hints[item.name]), ... if default is MISSING else default)
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
        try:
            source = json.loads(source, parse_float=_refuse_float)
        except ValueError as error:
            raise ProblemsError([Problem(origin, f"不是可用的 JSON：{error}", "按提示修改")]) from error
    try:
        model = _model_of(PlanInput).model_validate(source)
    except ValidationError as error:
        raise ProblemsError(problems_of(error, origin, {})) from error
    inputs: PlanInput = _build(model, PlanInput)
    problems = check_input(inputs, origin)
    if problems:
        raise ProblemsError(problems)
    return inputs


def _refuse_float(text: str) -> object:
    raise ValueError(f'小数 {text} 要加引号写成 "{text}"，金额写成整数分')


def input_json(inputs: PlanInput) -> str:
    """Return a plan input as the JSON text that `parse_input` reads back as the same record.

    A past month's frozen input is written with it, so that anybody can try a plan on it.
    """
    return json.dumps(_plain(inputs), ensure_ascii=False, indent=1)


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


def check_input(inputs: PlanInput, origin: str = "输入") -> list[Problem]:
    """Return what cannot be in an input: double ids, people that do not exist, impossible hours."""
    problems = [
        Problem(f"{origin} {name}", f"编号 {double} 出现两次", "一个编号只写一次")
        for name, ids in (
            ("households", [item.id for item in inputs.households]),
            ("posts", [item.id for item in inputs.posts]),
            ("stations", [item.id for item in inputs.stations]),
            ("divisions", [item.code for item in inputs.divisions]),
            ("spendings", [item.id for item in inputs.spendings]),
        )
        for double in _doubles(ids)
    ]
    known = {item.id for item in inputs.households}
    problems += [
        Problem(
            f"{origin} posts.{post.id}",
            f"户 {post.household_id} 不在 households 中",
            "补上这一户，或改正编号",
        )
        for post in inputs.posts
        if post.household_id and post.household_id not in known
    ]
    problems += [
        Problem(
            f"{origin} income", f"{part.source} 金额 {yuan(part.amount_fen)} 元是负数", "退款和冲正另行记账"
        )
        for part in inputs.income
        if part.amount_fen < 0
    ]
    return problems + _outside(inputs, origin) + _impossible_hours(inputs, origin)


def _outside(inputs: PlanInput, origin: str) -> list[Problem]:
    """Find households of villages that lie outside the division of the run."""
    prefix = prefix_of(inputs.village_code)
    strangers = [item for item in inputs.households if not item.village_code.startswith(prefix)]
    return [
        Problem(
            f"{origin} households.{item.id}",
            f"这一户属于 {item.village_code}，不在本次分配的 {inputs.village_code} 内",
            "从输入中去掉，或改正区划代码",
        )
        for item in strangers
    ]


def _doubles(ids: list[str]) -> list[str]:
    if len(set(ids)) == len(ids):
        return []
    seen: set[str] = set()
    return sorted({item for item in ids if item in seen or seen.add(item)})  # type: ignore[func-returns-value]


def _impossible_hours(inputs: PlanInput, origin: str) -> list[Problem]:
    """Find stations whose energy would need more hours of full power than the sun shines in the period."""
    try:
        days = Period.parse(inputs.period).day_count
    except ValueError as error:
        return [Problem(f"{origin} period", str(error), "写成 2026-10、2026-Q4、2026-H2 或 2026")]
    limit = days * (SUN_HOURS_PER_DAY_OF_A_YEAR if days >= HALF_YEAR_DAYS else SUN_HOURS_PER_DAY)
    problems = []
    for station in inputs.stations:
        energy = station.exported_energy_wh
        if energy is not None and energy > station.rated_power_w * limit:
            hours = Fraction(energy, station.rated_power_w) if station.rated_power_w else Fraction(0)
            kwh, kw = number_text(Fraction(energy, 1000)), number_text(Fraction(station.rated_power_w, 1000))
            problems.append(
                Problem(
                    f"{origin} stations.{station.id}",
                    f"{kwh} 千瓦时 ÷ {kw} 千瓦 = {int(hours + HALF)} 小时满发，而这一期日照最多 {limit} 小时",
                    "检查单位（瓦、千瓦；瓦时、千瓦时）",
                )
            )
    return problems
