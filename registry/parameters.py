"""Dated values with their source document: tariffs, shares, caps, ratios, notice lengths.

Owns which value applies on a day in a place. The shipped values are TOML files in `parameters/`; a county
adds its own in table `parameter_value`, which go before the shipped ones. Nothing legal is a constant in
code, and a value without a source does not exist.
"""

import itertools
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy import CheckConstraint, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.actors import CODE_LENGTH, Actor, Permission, area_prefix
from registry.facts import Fact, guard_facts, guard_no_overlap, holds_on, known, overlaps
from store.db import Base, new_id
from store.problem import Problem, ProblemsError

SHIPPED_DIRECTORY = Path(__file__).with_suffix("")


class ParameterValueRow(Fact, Base):
    """Table `parameter_value`: a county's own value; `value` is decimal text, `scope` 12 digits or empty."""

    __tablename__ = "parameter_value"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("source <> ''", name="source"),
        Index(None, "name", "scope", "key"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    scope: Mapped[str] = mapped_column(String(CODE_LENGTH))
    key: Mapped[str]
    value: Mapped[str]
    source: Mapped[str]


guard_facts(ParameterValueRow.__table__)  # type: ignore[arg-type]
guard_no_overlap(
    ParameterValueRow.__table__,  # type: ignore[arg-type]
    key=("name", "scope", "key"),
    what="a parameter has one value at a time",
)


class NoValueError(LookupError):
    """A parameter has no value on that day in that place; the message says what to enter."""


@dataclass(frozen=True, slots=True)
class ParameterValue:
    """A value that applies in [valid_from, valid_to), in the divisions that begin with `scope`."""

    name: str
    value: Decimal
    unit: str
    valid_from: date
    valid_to: date | None
    source: str
    scope: str = ""
    key: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: its Chinese label, its unit, what its day means, its bounds, and its shipped values."""

    name: str
    label: str
    unit: str
    dated_by: str
    minimum: Decimal
    maximum: Decimal
    values: tuple[ParameterValue, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where and for what a value is asked: a 12-digit division code, and the key (zone I, II, III …)."""

    division_code: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class NewValue:
    """A county's own value to be recorded, with the document that it comes from."""

    name: str
    value: Decimal
    valid_from: date
    source: str
    scope: str = ""
    key: str = ""
    valid_to: date | None = None


def _exact(value: object) -> Decimal:
    if not isinstance(value, str):
        raise ValueError('write the figure as text, such as "0.3844"')  # noqa: TRY004, pydantic collects ValueErrors
    try:
        return Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"“{value}” is no decimal figure") from error


Exact = Annotated[Decimal, BeforeValidator(_exact)]


class _ValueDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Exact
    valid_from: date
    valid_to: date | None = None
    source: str = Field(min_length=1)
    scope: str = Field(default="", pattern=r"^[0-9]*$", max_length=CODE_LENGTH)
    key: str = ""
    note: str = ""


class _ParameterDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str = Field(min_length=1)
    unit: str = Field(min_length=1)
    dated_by: str = Field(min_length=1)
    minimum: Exact
    maximum: Exact
    value: tuple[_ValueDocument, ...] = Field(min_length=1)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    parameter: tuple[_ParameterDocument, ...]


def read_parameters(path: Path) -> tuple[Parameter, ...]:
    """Read one parameter file; raises ProblemsError with the place of everything that is wrong in it."""
    try:
        document = _Document.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProblemsError([Problem(path.name, f"不是 TOML 文件：{error}", "检查引号和括号")]) from error
    except ValidationError as error:
        raise ProblemsError(
            [
                Problem(
                    f"{path.name} {'.'.join(str(part) for part in found['loc'])}",
                    found["msg"],
                    "对照 parameters/ 中的其他条目改正",
                )
                for found in error.errors()
            ]
        ) from error
    parameters = tuple(_parameter(entry) for entry in document.parameter)
    problems = [problem for entry in parameters for problem in _problems(path.name, entry)]
    if problems:
        raise ProblemsError(problems)
    return parameters


def _parameter(entry: _ParameterDocument) -> Parameter:
    values = tuple(
        ParameterValue(
            entry.name,
            value.value,
            entry.unit,
            value.valid_from,
            value.valid_to or _next_start(entry.value, value),
            value.source,
            value.scope,
            value.key,
            value.note,
        )
        for value in entry.value
    )
    return Parameter(
        entry.name, entry.label, entry.unit, entry.dated_by, entry.minimum, entry.maximum, values
    )


def _next_start(values: Iterable[_ValueDocument], value: _ValueDocument) -> date | None:
    later = (
        other.valid_from
        for other in values
        if (other.scope, other.key) == (value.scope, value.key) and other.valid_from > value.valid_from
    )
    return min(later, default=None)


def _problems(file_name: str, parameter: Parameter) -> Iterator[Problem]:
    ordered = sorted(parameter.values, key=lambda value: (value.scope, value.key, value.valid_from))
    for value in ordered:
        where = f"{file_name} {parameter.name} {value.scope or '全国'} {value.key} {value.valid_from}"
        if not parameter.minimum <= value.value <= parameter.maximum:
            yield Problem(
                where,
                f"数值 {value.value} 超出 {parameter.minimum} 至 {parameter.maximum}",
                "检查单位和小数点",
            )
        if value.valid_to is not None and value.valid_to <= value.valid_from:
            yield Problem(where, "终止日期不晚于起始日期", "改正日期")
    for one, other in itertools.pairwise(ordered):
        same = (one.scope, one.key) == (other.scope, other.key)
        if same and (one.valid_to is None or one.valid_to > other.valid_from):
            yield Problem(
                f"{file_name} {parameter.name} {one.scope or '全国'} {one.key}",
                f"{one.valid_from} 和 {other.valid_from} 两条数值的有效期重叠",
                "写明前一条的终止日期",
            )


@cache
def shipped() -> dict[str, Parameter]:
    """Return the shipped parameters by name; raises ProblemsError when a file is wrong."""
    found: dict[str, Parameter] = {}
    for path in sorted(SHIPPED_DIRECTORY.glob("*.toml")):
        for parameter in read_parameters(path):
            if parameter.name in found:
                raise ProblemsError([Problem(path.name, f"参数 {parameter.name} 重复", "只保留一处")])
            found[parameter.name] = parameter
    return found


def parameter(name: str) -> Parameter:
    """Return a parameter by name; raises NoValueError for a name that does not exist."""
    found = shipped().get(name)
    if found is None:
        raise NoValueError(f"没有名为 {name} 的参数")
    return found


def value_on(
    name: str, on: date, place: Place | None = None, *, session: Session | None = None
) -> ParameterValue:
    """Return the value of a parameter on a day in a place.

    The county's own values (where a `session` is given) go before the shipped ones, and a narrower
    division before a wider one. What the day means is the parameter's `dated_by`: for a fixed price it is
    the day of grid connection. Raises NoValueError where none applies.
    """
    place = place or Place()
    about = parameter(name)
    own = [] if session is None else _own_values(session, about, on, place)
    fitting = own or [value for value in about.values if _applies(value, on, place)]
    if not fitting:
        where = f"{place.division_code or '全国'} {place.key}".strip()
        raise NoValueError(f"“{about.label}”在 {where} 没有 {on} 的数值，请录入并写明依据文件")
    return max(fitting, key=lambda value: len(value.scope))


def _applies(value: ParameterValue, on: date, place: Place) -> bool:
    dated = value.valid_from <= on and (value.valid_to is None or on < value.valid_to)
    return dated and value.key == place.key and place.division_code.startswith(value.scope)


def _own_values(session: Session, about: Parameter, on: date, place: Place) -> list[ParameterValue]:
    statement = select(ParameterValueRow).where(
        ParameterValueRow.name == about.name,
        ParameterValueRow.key == place.key,
        known(ParameterValueRow),
        holds_on(ParameterValueRow, on),
    )
    found = (_own_value(about, row) for row in session.scalars(statement))
    return [value for value in found if place.division_code.startswith(value.scope)]


def _own_value(about: Parameter, row: ParameterValueRow) -> ParameterValue:
    return ParameterValue(
        row.name,
        Decimal(row.value),
        about.unit,
        row.valid_from,
        row.valid_to,
        row.source,
        area_prefix(row.scope),
        row.key,
    )


def own_values(session: Session, actor: Actor, name: str | None = None) -> tuple[ParameterValue, ...]:
    """Return the county's own values as known now, by name and date; values are public."""
    actor.require(Permission.VIEW_PUBLIC)
    statement = select(ParameterValueRow).where(known(ParameterValueRow))
    if name is not None:
        statement = statement.where(ParameterValueRow.name == name)
    statement = statement.order_by(
        ParameterValueRow.name, ParameterValueRow.scope, ParameterValueRow.key, ParameterValueRow.valid_from
    )
    return tuple(_own_value(parameter(row.name), row) for row in session.scalars(statement))


def set_value(session: Session, actor: Actor, new: NewValue, now: datetime) -> str:
    """Record a county's own value with its source and return the fact's id; audited.

    Raises ProblemsError when it has no source, lies outside the parameter's bounds, or overlaps another;
    PermissionError outside the actor's area.
    """
    actor.require(Permission.EDIT_REGISTRY)
    if not actor.covers(new.scope):
        raise PermissionError(f"{new.scope or '全国'} 不在 {actor.name} 的辖区内")
    about = parameter(new.name)
    problems = list(_problems_of(session, about, new))
    if problems:
        raise ProblemsError(problems)
    columns: dict[str, Any] = {
        "name": new.name,
        "scope": new.scope,
        "key": new.key,
        "value": format(new.value, "f"),
        "source": new.source,
        "valid_from": new.valid_from,
        "valid_to": new.valid_to,
    }
    row = ParameterValueRow(id=new_id("parameter"), **columns, recorded_at=now, recorded_by=actor.user_id)
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("set", "parameter_value", row.id, after=new), now)
    return row.id


def _problems_of(session: Session, about: Parameter, new: NewValue) -> Iterator[Problem]:
    where = f"{about.label} {new.scope or '全国'} {new.key}".strip()
    if not new.source.strip():
        yield Problem(where, "没有写明依据", "写上文件名称和文号")
    if not new.value.is_finite() or not about.minimum <= new.value <= about.maximum:
        yield Problem(
            where,
            f"数值 {new.value} 超出 {about.minimum} 至 {about.maximum}",
            f"检查小数点，单位是{about.unit}",
        )
    if new.valid_to is not None and new.valid_to <= new.valid_from:
        yield Problem(where, "终止日期不晚于起始日期", "改正日期")
        return
    statement = select(ParameterValueRow).where(
        ParameterValueRow.name == new.name,
        ParameterValueRow.scope == new.scope,
        ParameterValueRow.key == new.key,
        known(ParameterValueRow),
        overlaps(ParameterValueRow, new.valid_from, new.valid_to),
    )
    for row in session.scalars(statement):
        yield Problem(where, f"与 {row.valid_from} 起的数值重叠", "先给前一条写上终止日期")


class ValueBook:
    """Every value as known when it was opened, for work that asks a hundred thousand times.

    It answers as `value_on` does, the county's own values first.
    """

    def __init__(self, session: Session) -> None:
        self._own: dict[str, list[ParameterValue]] = {}
        for row in session.scalars(select(ParameterValueRow).where(known(ParameterValueRow))):
            self._own.setdefault(row.name, []).append(_own_value(parameter(row.name), row))
        self._found: dict[tuple[str, date, str, str], ParameterValue | None] = {}
        self._changes: dict[tuple[str, str, str, date, date], tuple[date, ...]] = {}
        self._digits: dict[str, int] = {}

    def on(self, name: str, on: date, place: Place) -> ParameterValue | None:
        """Return the value of a parameter on a day in a place, None where none applies."""
        code = place.division_code[: self._scope_digits(name)]
        asked = (name, on, code, place.key)
        if asked not in self._found:
            held = self._holding(self._own.get(name, []), on, place)
            held = held or self._holding(parameter(name).values, on, place)
            self._found[asked] = max(held, key=lambda value: len(value.scope), default=None)
        return self._found[asked]

    def changes(self, name: str, place: Place, after: date, before: date) -> tuple[date, ...]:
        """Return the days between two days on which another value of a parameter begins in a place."""
        code = place.division_code[: self._scope_digits(name)]
        asked = (name, code, place.key, after, before)
        if asked not in self._changes:
            self._changes[asked] = self._changed(name, place, after, before)
        return self._changes[asked]

    def _changed(self, name: str, place: Place, after: date, before: date) -> tuple[date, ...]:
        every = (*self._own.get(name, ()), *parameter(name).values)
        days = {day for value in every for day in (value.valid_from, value.valid_to) if day is not None}
        return tuple(
            day
            for day in sorted(days)
            if after < day < before
            and self.on(name, day, place) != self.on(name, day - timedelta(days=1), place)
        )

    def _scope_digits(self, name: str) -> int:
        if name not in self._digits:
            every = (*self._own.get(name, ()), *parameter(name).values)
            self._digits[name] = max((len(value.scope) for value in every), default=0)
        return self._digits[name]

    @staticmethod
    def _holding(values: Iterable[ParameterValue], on: date, place: Place) -> list[ParameterValue]:
        return [value for value in values if _applies(value, on, place)]
