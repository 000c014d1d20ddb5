"""What every primitive of a plan is made of: the step's common fields, and who is selected.

Owns the shape that all steps share. What a step does with the money stands in its own file.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from distribution.types import HouseholdInput
from store.periods import Period, PeriodKind

if TYPE_CHECKING:
    from distribution.plans.document import Plan
    from distribution.plans.primitives.book import Book

Per = Literal["period", "month", "quarter", "half_year", "year"]
"""The length of time that an amount is for."""

_MONTHS = {
    PeriodKind.DAY: 0,
    PeriodKind.MONTH: 1,
    PeriodKind.QUARTER: 3,
    PeriodKind.HALF_YEAR: 6,
    PeriodKind.YEAR: 12,
}


def months_of(period: Period) -> int:
    """Return how many calendar months a period has; 0 for a day."""
    return _MONTHS[period.kind]


def closes(period: Period, cycle: Per) -> bool:
    """Tell whether a period is the last one of its month, quarter, half-year or year."""
    if cycle in {"period", "month"}:
        return True
    length = {"quarter": 3, "half_year": 6, "year": 12}[cycle]
    return (period.end.month - 1) % length == 0 and period.end.day == 1


class Strict(BaseModel):
    """A part of a plan document: unknown keys are refused, values do not change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=False)


class Step(Strict):
    """The fields that every step may have.

    `name` is how other steps refer to it; `clause` is the place in the county's document that asks for
    it; `valid_from`/`valid_to` (half-open) limit the periods in which the step is in force.
    """

    name: str = ""
    label: str = ""
    clause: str = ""
    note: str = ""
    valid_from: date | None = None
    valid_to: date | None = None

    @model_validator(mode="after")
    def _half_open(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError(
                f"valid_to {self.valid_to} 不晚于 valid_from {self.valid_from}，这一步永远不生效"
            )
        return self

    def in_force(self, period: Period) -> bool:
        """Tell whether the step applies to a period: by the period's first day."""
        after_start = self.valid_from is None or self.valid_from <= period.start
        return after_start and (self.valid_to is None or period.start < self.valid_to)

    def takes_from(self) -> Iterable[str]:
        """Return the purses that the step takes money out of."""
        return ()

    def gives_to(self) -> Iterable[str]:
        """Return the purses that the step puts money into."""
        return ()

    def pays_from(self) -> Iterable[str]:
        """Return the purses out of which the step pays somebody."""
        return ()

    def refers_to(self) -> Iterable[str]:
        """Return further purses or steps that the step names."""
        return ()

    def classes_used(self) -> Iterable[str]:
        """Return the classes that the step names."""
        return ()

    def faults(self, _plan: "Plan") -> Iterable[tuple[str, str, str]]:
        """Yield what is wrong with the step by itself: key, what, how to fix."""
        return ()

    @abstractmethod
    def apply(self, book: "Book") -> None:
        """Do what the step says with the money in the book.

        Raises ProblemsError with the arithmetic when it cannot be done.
        """


class Selection(Strict):
    """Which households a step means; every condition that is given must hold."""

    classes: tuple[str, ...] = Field(default=(), description="has one of these classes in the period")
    without_classes: tuple[str, ...] = Field(default=(), description="has none of these classes")
    flags: tuple[str, ...] = Field(default=(), description="has all of these flags")
    without_flags: tuple[str, ...] = Field(default=(), description="has none of these flags")
    enrolment: str = Field(default="", description="is enrolled in this component in the period")

    @property
    def takes_all(self) -> bool:
        """Tell whether there is no condition at all."""
        given = (self.classes, self.without_classes, self.flags, self.without_flags, self.enrolment)
        return not any(given)

    def selects(self, household: HouseholdInput, period: Period) -> bool:
        """Tell whether a household meets every condition."""
        if self.flags and not set(self.flags) <= set(household.flags):
            return False
        if self.without_flags and set(self.without_flags) & set(household.flags):
            return False
        if self.classes and not any(has_class(household, name, period) for name in self.classes):
            return False
        if self.without_classes and any(has_class(household, name, period) for name in self.without_classes):
            return False
        return not self.enrolment or self._enrolled_in(household, period)

    def dated(self, household: HouseholdInput) -> list["Dated"]:
        """Return the dated facts of a household that the conditions look at."""
        names = {*self.classes, *self.without_classes}
        entries: list[Dated] = [entry for entry in household.classes if entry.name in names]
        return entries + [entry for entry in household.enrolments if entry.component == self.enrolment]

    def holds_on(self, household: HouseholdInput, day: date) -> bool:
        """Tell whether the dated conditions hold on a day."""
        there = {entry.name for entry in household.classes if covers(entry, day)}
        if self.classes and not there & set(self.classes):
            return False
        if there & set(self.without_classes):
            return False
        parts = {entry.component for entry in household.enrolments if covers(entry, day)}
        return not self.enrolment or self.enrolment in parts

    def _enrolled_in(self, household: HouseholdInput, period: Period) -> bool:
        for enrolment in household.enrolments:
            if enrolment.component == self.enrolment and days_in(
                period, enrolment.valid_from, enrolment.valid_to
            ):
                return True
        return False


def days_in(period: Period, valid_from: date | None, valid_to: date | None) -> int:
    """Return how many days of a period lie in a half-open range of dates."""
    if valid_from is None and valid_to is None:
        return period.day_count
    start = period.start if valid_from is None else max(valid_from, period.start)
    end = period.end if valid_to is None else min(valid_to, period.end)
    return max(0, (end - start).days)


class Dated(Protocol):
    """A fact that holds on the days of a half-open range."""

    @property
    def valid_from(self) -> date | None:
        """First day; None for no limit."""
        ...

    @property
    def valid_to(self) -> date | None:
        """First day after the range; None for no limit."""
        ...


Days = tuple[date, date]
"""A half-open range of days."""


def covers(entry: Dated, day: date) -> bool:
    """Tell whether a dated fact holds on a day."""
    after_start = entry.valid_from is None or entry.valid_from <= day
    return after_start and (entry.valid_to is None or day < entry.valid_to)


def pieces(days: Days, entries: Iterable[Dated]) -> list[Days]:
    """Return the ranges of days within which no dated fact begins or ends."""
    start, end = days
    edges = {edge for entry in entries for edge in (entry.valid_from, entry.valid_to) if edge is not None}
    cuts = sorted({start, end, *(edge for edge in edges if start < edge < end)})
    return list(pairwise(cuts))


def days_when(days: Days, entries: Iterable[Dated], holds: Callable[[date], bool]) -> int:
    """Return on how many days of a range a condition holds that changes only with the dated facts."""
    return sum((end - start).days for start, end in pieces(days, entries) if holds(start))


def has_class(household: HouseholdInput, name: str, period: Period) -> bool:
    """Tell whether a household has a class on at least one day of the period."""
    return any(
        entry.name == name and days_in(period, entry.valid_from, entry.valid_to) > 0
        for entry in household.classes
    )


def due_fen(amount_fen: int, per: Per, period: Period) -> int:
    """Return what of an amount per month, quarter, half-year or year falls to a period [fen].

    The parts of a cycle are cut so that they add up to the whole amount, exactly.
    """
    if per == "period" or not months_of(period):
        return amount_fen
    length = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}[per]
    first = (period.start.month - 1) % length
    last = first + months_of(period)
    return amount_fen * last // length - amount_fen * first // length


EVERYBODY = Selection()
