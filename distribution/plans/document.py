"""A distribution plan as a document: one TOML file per version, validated, with the place of every fault.

Owns the shape of the file and reading it. What is wrong across its parts is found by `checks`; what it
does with money stands in `primitives` and `allocation`. Described in docs/plan-format.md.
"""

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from distribution.plans.notation import places
from distribution.plans.notation.values import Money
from distribution.plans.plan_fields import PLAN_FIELDS
from distribution.plans.primitives import AnyStep
from distribution.plans.primitives.base import Strict
from distribution.plans.primitives.book import prefix_of
from store.canonical import content_hash
from store.problem import Problem, ProblemsError

Rest = Literal["carry_over", "village_collective", "reserve", "township", "county", "works"]
"""To whom belongs what remains in a purse at the end."""


class Purse(Strict):
    """A named purse. `rest` says whose is what no step has paid out; without it nothing may remain."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    rest: Rest | None = None
    note: str = ""


class HouseholdClass(Strict):
    """A class of households or members that steps may name, with its definition in the document."""

    name: str
    definition: str = ""
    clause: str = ""


class Expect(Strict):
    """What a case must give: figures in yuan by name; `refused` and `warns` are parts of messages."""

    refused: str = ""
    distributable: Money | None = None
    carried_in: Money | None = None
    deductions: Mapping[str, Money] = Field(default_factory=dict)
    purses: Mapping[str, Money] = Field(default_factory=dict)
    lines: Mapping[str, Money] = Field(default_factory=dict, description="key is purse/payee")
    tests: Mapping[str, bool] = Field(default_factory=dict)
    nettings: Mapping[str, Money] = Field(default_factory=dict, description="key is household")
    warns: tuple[str, ...] = ()


class Case(Strict):
    """A worked example that the plan must reproduce; `input` has the form of a plan input."""

    name: str
    source: str = ""
    note: str = ""
    input: Mapping[str, Any]
    expect: Expect


class Plan(Strict):
    """One version of a distribution plan."""

    format: Literal["sunledger-plan/1"] = "sunledger-plan/1"
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: int = Field(default=1, ge=1)
    title: str
    scope: tuple[str, ...] = Field(default=(), description="12-digit codes of the divisions it is for")
    valid_from: date | None = None
    valid_to: date | None = None
    source: str = Field(min_length=1, description="the document that the plan writes down")
    source_address: str = ""
    note: str = ""
    purses: tuple[Purse, ...] = Field(alias="purse", min_length=1)
    classes: tuple[HouseholdClass, ...] = Field(default=(), alias="class")
    steps: tuple[AnyStep, ...] = Field(alias="step", min_length=1)
    cases: tuple[Case, ...] = Field(default=(), alias="case")

    _origin: str = PrivateAttr(default="方案")
    _lines: dict[places.Path, int] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _half_open(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError(f"valid_to {self.valid_to} 不晚于 valid_from {self.valid_from}")
        return self

    def place(self, *path: str | int) -> str:
        """Return where a part of the plan stands, as `county.toml 第 12 行 step[3].parts`."""
        return _place(self._origin, self._lines, path)

    def place_of_step(self, index: int) -> str:
        """Return where a step stands, with its number (from 1) and label."""
        step = self.steps[index]
        name = step.label or step.name or step.kind
        return f"{self.place('step', index)}（第 {index + 1} 步“{name}”）"

    def purse_label(self, name: str) -> str:
        """Return the Chinese name of a purse."""
        return next((purse.label for purse in self.purses if purse.name == name), name)

    def outside(self, code: str, day: date) -> str:
        """Return in Chinese why the plan does not apply to a division on a day; empty where it does.

        A plan may be tried on any input all the same.
        """
        if self.scope and not any(code.startswith(prefix_of(one)) for one in self.scope):
            return f"{code} 不在方案的适用范围 {'、'.join(self.scope)} 内"
        early = self.valid_from is not None and day < self.valid_from
        if early or (self.valid_to is not None and day >= self.valid_to):
            return f"方案自 {self.valid_from or '最早'} 起执行，到 {self.valid_to or '以后'} 止，不含 {day}"
        return ""

    def text_form(self) -> dict[str, Any]:
        """Return the plan as plain values with the keys of the file, without the cases."""
        return self.model_dump(mode="json", by_alias=True, exclude={"cases"}, exclude_defaults=True)


def plan_hash(plan: Plan) -> str:
    """Return the content hash of a plan: what it says, without its cases, comments and layout."""
    return content_hash(plan.text_form())


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan, with the keys of the file and what each of them means."""
    schema = Plan.model_json_schema(by_alias=True)
    for part in (schema, *schema["$defs"].values()):
        for key, entry in part.get("properties", {}).items():
            entry.setdefault("description", PLAN_FIELDS.get(key, ""))
    return schema


def load_plan(source: Path | str) -> Plan:
    """Read a plan from a file (Path) or from TOML text (str).

    Raises ProblemsError with file, line and key when it is not TOML or not a plan. Whether the plan can
    work is for `checks.check_plan`.
    """
    origin = source.name if isinstance(source, Path) else "方案"
    text = _read(source) if isinstance(source, Path) else source
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProblemsError([Problem(origin, f"不是有效的 TOML：{error}", "按提示的行列修改")]) from error
    lines = places.scan(text)
    try:
        plan = Plan.model_validate(values)
    except ValidationError as error:
        raise ProblemsError(problems_of(error, origin, lines)) from error
    plan._origin = origin  # noqa: SLF001, the document's own private field
    plan._lines = lines  # noqa: SLF001, the document's own private field
    return plan


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemsError([Problem(str(path), f"读不出来：{error}", "检查路径，文件存为 UTF-8")]) from error


def problems_of(error: ValidationError, origin: str, lines: Mapping[places.Path, int]) -> list[Problem]:
    """Return pydantic's findings as problems in Chinese, each with its place."""
    return [
        Problem(_place(origin, dict(lines), _path(item["loc"])), *_words(dict(item)))
        for item in error.errors(include_url=False)
    ]


def _path(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    # Behind the number of a step, pydantic names its kind; the file has no such level.
    steps = len(location) > 2 and location[0] == "step"  # noqa: PLR2004, three parts make the kind visible
    return (*location[:2], *location[3:]) if steps else location


def _place(origin: str, lines: dict[places.Path, int], path: tuple[int | str, ...]) -> str:
    dotted = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    line = places.line_of(lines, path)
    return " ".join(part for part in (origin, f"第 {line} 行" if line else "", dotted) if part)


def _words(item: dict[str, Any]) -> tuple[str, str]:
    kind, context = item["type"], item.get("ctx", {})
    given = item.get("input")
    if kind == "missing":
        return "缺少这一项", "补上"
    if kind == "extra_forbidden":
        return "没有这样的项", "检查拼写，可用的项见 docs/plan-format.md"
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        kinds = context.get("expected_tags", "")
        return f"kind 不认识：{context.get('tag', '没有写')}", f"可用：{kinds}" if kinds else "写上 kind"
    if kind in {"literal_error", "enum"}:
        return f"“{given}”不是可用的值", f"可用：{context.get('expected', '').replace(' or ', '、')}"
    if kind == "value_error":
        return str(context.get("error", item["msg"])), "改正后再试"
    return _wanted(kind, context), f"写的是 {_shown(given)}；按 docs/plan-format.md 改正"


def _wanted(kind: str, context: Mapping[str, Any]) -> str:
    """Return in Chinese what a value of the wrong shape should have been."""
    limits = {"greater_than_equal": ("ge", "不能小于"), "less_than_equal": ("le", "不能大于")}
    limits |= {"greater_than": ("gt", "要大于"), "less_than": ("lt", "要小于")}
    if kind in limits:
        key, words = limits[kind]
        return f"{words} {context[key]}"
    if kind in {"too_short", "string_too_short"}:
        return "不能是空的"
    if kind == "string_pattern_mismatch":
        return f"写法不对，应符合 {context['pattern']}"
    return next((words for start, words in _SHAPES if kind.startswith(start)), "写法不对")


_SHAPES = (
    ("int", "要写整数，不加引号，没有小数点"),
    ("string", "要写文字，加引号"),
    ("bool", "要写 true 或 false"),
    ("date", "不是日期：写成 2026-10-05"),
    ("tuple", "要写成一列 [ … ]"),
    ("list", "要写成一列 [ … ]"),
    ("dict", "要写成 { 名称 = 值 }"),
    ("mapping", "要写成 { 名称 = 值 }"),
    ("model", "要写成 { 名称 = 值 }，不能只写一个值"),
)
_LONGEST_SHOWN = 60


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
