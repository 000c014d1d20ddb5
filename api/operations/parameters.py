"""Dated parameters, for operators: which value applies, and the county's own."""

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from api.operations.people import OPERATOR
from api.outcome import Outcome
from dashboards.web import Services
from monitoring.alarms.rules import PREFIX, rule_book, rule_problems
from registry.parameters import (
    NewValue,
    NoValueError,
    Parameter,
    Place,
    own_values,
    parameter,
    set_value,
    shipped,
    value_on,
)
from store.periods import local_date
from store.problem import Problem, ProblemsError

COLUMNS = {
    "name": "参数",
    "label": "名称",
    "key": "类别",
    "value": "数值",
    "unit": "单位",
    "valid_from": "起",
    "source": "依据",
}


def _date(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ProblemsError([Problem(option, f"“{text}” 不是日期", "写成 2026-01-01")]) from error


def list_parameters(services: Services, *, prefix: str = "", area: str = "", on: str = "") -> Outcome:
    """Return the values in force on a day in a division, of the parameters whose names begin so."""
    day = _date(on, "--on") if on else local_date(services.clock())
    with services.database.reading() as session:
        keys = {(one.name, one.key) for one in own_values(session, OPERATOR)}
        rows = [
            row
            for name, about in sorted(shipped().items())
            if name.startswith(prefix)
            for key in sorted({one.key for one in about.values} | {key for own, key in keys if own == name})
            if (row := _row(session, about, day, Place(area, key))) is not None
        ]
    return Outcome(f"{day} 有 {len(rows)} 个参数值", COLUMNS, tuple(rows))


def _row(session: Any, about: Parameter, day: date, place: Place) -> dict[str, Any] | None:
    try:
        found = value_on(about.name, day, place, session=session)
    except NoValueError:
        return None
    return {
        "name": about.name,
        "label": about.label,
        "key": found.key,
        "value": format(found.value, "f"),
        "unit": about.unit,
        "valid_from": found.valid_from.isoformat(),
        "source": found.source,
    }


def set_parameter(services: Services, *, name: str, value: str, **about: str) -> Outcome:
    """Record the county's own value with its source; raises ProblemsError with whatever is wrong.

    Values of alarm rules must fit each other besides: what ends an alarm lies inside what begins it.
    """
    try:
        figure = Decimal(value)
        label = parameter(name).label
    except InvalidOperation as error:
        raise ProblemsError([Problem("数值", f"“{value}” 不是数字", "写成 0.85 这样")]) from error
    except NoValueError as error:
        raise ProblemsError([Problem("参数", str(error), "用 sunledger parameters list 查看")]) from error
    since = _date(about["since"], "--from")
    until = _date(about["until"], "--to") if about.get("until") else None
    new = NewValue(name, figure, since, about["source"], about.get("scope", ""), about.get("key", ""), until)
    with services.database.transaction() as session:
        set_value(session, OPERATOR, new, services.clock())
        if name.startswith(PREFIX):
            problems = rule_problems(rule_book(session, since).of(new.scope))
            if problems:
                raise ProblemsError(problems)
    return Outcome(f"{label} {new.key} 自 {since} 起为 {figure}（{new.source}）".replace("  ", " "), {})
