"""The rules of alarms as dated values: threshold, hysteresis, debounce, severity, deadlines.

Owns which figures apply on a day in a division. The shipped ones are `registry/parameters/alarms.toml`; a
county's own go before them, a narrower division's before a wider one's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from monitoring.alarms.kinds import AlarmKind, AlarmSeverity
from registry.actors import SYSTEM
from registry.parameters import ParameterValue, own_values, shipped
from store.problem import Problem

PREFIX = "alarm_"
_SEVERITIES = (None, AlarmSeverity.CRITICAL, AlarmSeverity.MAJOR, AlarmSeverity.MINOR)


@dataclass(frozen=True, slots=True)
class Treatment:
    """How a kind is taken: its severity (None: not judged), and how long it must last and be over."""

    severity: AlarmSeverity | None
    opens_after: timedelta
    closes_after: timedelta


@dataclass(frozen=True, slots=True)
class Rules:
    """The figures in force on one day in one division, by parameter name without `alarm_` and key."""

    values: Mapping[tuple[str, str], Decimal]
    _treatments: dict[AlarmKind, Treatment] = field(default_factory=dict, compare=False)

    def treatment(self, kind: AlarmKind) -> Treatment:
        """Return severity and debounce of a kind, worked out once."""
        found = self._treatments.get(kind)
        if found is None:
            found = Treatment(self.severity(kind), self.opens_after(kind), self.closes_after(kind))
            self._treatments[kind] = found
        return found

    def number(self, name: str, key: str = "") -> float:
        """Return a figure in its own unit; raises KeyError for a name that no rule has."""
        return float(self.values[name, key])

    def opens_after(self, kind: AlarmKind) -> timedelta:
        """Return how long a condition must hold without a break before it is an alarm."""
        return timedelta(minutes=self.number("open_minutes", kind))

    def closes_after(self, kind: AlarmKind) -> timedelta:
        """Return how long a condition must be over without a break before its alarm ends."""
        return timedelta(minutes=self.number("close_minutes", kind))

    def severity(self, kind: AlarmKind) -> AlarmSeverity | None:
        """Return how grave a kind is, None where the county does not want it judged."""
        return _SEVERITIES[int(self.values["severity", kind])]

    def response_hours(self, severity: AlarmSeverity) -> float:
        """Return how long an alarm may wait for a person to take note of it [h]."""
        return self.number("response_hours", severity)

    def resolve_hours(self, severity: AlarmSeverity) -> float:
        """Return how long an alarm may last once a person knows of it [h]."""
        return self.number("resolve_hours", severity)


@dataclass(slots=True)
class RuleBook:
    """The rules of one day, by division; read once for any number of devices."""

    applying: tuple[ParameterValue, ...]
    _known: dict[tuple[str, ...], Rules] = field(default_factory=dict)
    _by_code: dict[str, Rules] = field(default_factory=dict)

    def of(self, division_code: str) -> Rules:
        """Return the rules that apply in a division (12 digits, or empty for the shipped ones)."""
        found = self._by_code.get(division_code)
        if found is None:
            scopes = sorted({value.scope for value in self.applying})
            mine = tuple(scope for scope in scopes if division_code.startswith(scope))
            found = self._known.get(mine)
            if found is None:
                found = self._known[mine] = self._made(mine)
            self._by_code[division_code] = found
        return found

    def _made(self, scopes: tuple[str, ...]) -> Rules:
        """Return the rules where these scopes apply: own values first, then narrower ones."""
        values: dict[tuple[str, str], Decimal] = {}
        held: dict[tuple[str, str], tuple[bool, int]] = {}
        for value in self.applying:
            key = (value.name.removeprefix(PREFIX), value.key)
            rank = (_is_own(value), len(value.scope))
            if value.scope in scopes and rank >= held.get(key, (False, -1)):
                values[key], held[key] = value.value, rank
        return Rules(values)


def _is_own(value: ParameterValue) -> bool:
    return value not in shipped()[value.name].values


def rule_book(session: Session, on: date) -> RuleBook:
    """Return the rules in force on a day: the shipped ones, and the counties' own before them."""
    parameters = [one for name, one in shipped().items() if name.startswith(PREFIX)]
    listed = [value for one in parameters for value in one.values]
    listed += [value for value in own_values(session, SYSTEM) if value.name.startswith(PREFIX)]
    return RuleBook(
        tuple(
            value
            for value in listed
            if value.valid_from <= on and (value.valid_to is None or on < value.valid_to)
        )
    )


_BEGINS_ABOVE_ITS_END = (
    ("temperature_c", "temperature_clear_c"),
    ("clock_s", "clock_clear_s"),
    ("meter_share", "meter_clear_share"),
    ("voltage_high_share", "voltage_low_share"),
    ("frequency_high_hz", "frequency_low_hz"),
    ("insulation_clear_ohm", "insulation_ohm"),
    ("low_yield_clear_share", "low_yield_share"),
    ("string_clear_share", "string_share"),
)
"""Pairs of which the first figure must be the greater, so that an alarm does not end where it begins."""


def rule_problems(rules: Rules) -> list[Problem]:
    """Return what does not fit together in the rules of one place and day."""
    labels = {name: about.label for name, about in shipped().items()}
    return [
        Problem(
            labels[PREFIX + high],
            f"{rules.number(high):g} 不大于“{labels[PREFIX + low]}”的 {rules.number(low):g}",
            "先改另一个数值，使发生和恢复之间留有余地",
        )
        for high, low in _BEGINS_ABOVE_ITS_END
        if rules.number(high) <= rules.number(low)
    ]
