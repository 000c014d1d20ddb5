"""Primitive 14, class tables: an amount per person or per household by class, with a rule for several.

The order of the table is the priority of the classes. A household of several classes gets the first, the
highest, or the sum, as the plan says.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import yuan
from distribution.plans.notation.values import Money
from distribution.plans.primitives.base import Per, Selection, covers, days_in, due_fen, pieces
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.payments.amounts import Due, FixedAmounts, pay_dues
from distribution.types import ClassInput, HouseholdInput, StepInput

Value = tuple[ClassInput, Fraction, str]
"""A class entry, its amount [fen] and the arithmetic."""


class ClassTable(FixedAmounts, Selection):
    """Pay the amount of the household's class out of `from`.

    `each = "person"` multiplies by the members of the class (`persons` of the class entry, else of the
    household). `per` says what length of time an amount is for. `prorate` counts the days of the class.
    """

    kind: Literal["class_table"]
    amounts: Mapping[str, Money] = Field(min_length=1)
    each: Literal["person", "household"] = "household"
    per: Per = "period"
    several: Literal["first", "highest", "sum"] = "first"
    prorate: bool = False

    def classes_used(self) -> Iterable[str]:
        """Return the classes of the table and of the selection."""
        return (*self.amounts, *self.classes, *self.without_classes)

    def apply(self, book: Book) -> None:
        """Pay every household of a class in the table."""
        for division in book.divisions_with(self.taken_from):
            dues = [
                due
                for household in book.candidates(self.taken_from, division, self)
                if (due := self._due(household, book)) is not None and due.exact
            ]
            pay_dues(self, book, division, dues)

    def _due(self, household: HouseholdInput, book: Book) -> Due | None:
        entries = self._entries(household, book)
        if not entries:
            return None
        values = [(entry, *self._value(household, entry, book)) for entry in entries]
        if self.prorate or self.taken_from in book.prorated:
            chosen = self._by_days(household, values, book)
        else:
            chosen = [(value, text) for _, value, text in self._chosen(values)]
        return Due(
            household,
            sum((value for value, _ in chosen), Fraction(0)),
            " + ".join(text for _, text in chosen),
            tuple(StepInput("类别", entry.name, entry.source) for entry in entries),
        )

    def _chosen(self, values: list[Value]) -> list[Value]:
        """Return which of the classes in force count."""
        if self.several == "sum":
            return values
        if self.several == "highest" and values:
            return [max(values, key=lambda value: value[1])]
        return values[:1]

    def _by_days(
        self, household: HouseholdInput, values: list[Value], book: Book
    ) -> list[tuple[Fraction, str]]:
        """Return the part of each class, for the days on which it is the one that counts."""
        rules = book.rules_of(self.taken_from, self)
        facts = [entry for entry, _, _ in values]
        days = [0] * len(values)
        edges = [*facts, *(fact for rule in rules for fact in rule.dated(household))]
        for start, end in pieces(book.stay(household), edges):
            if all(rule.holds_on(household, start) for rule in rules):
                for value in self._chosen([value for value in values if covers(value[0], start)]):
                    days[values.index(value)] += (end - start).days
        whole = book.period.day_count
        return [
            (value * Fraction(count, whole), text if count == whole else f"{text} × {count} ÷ {whole} 天")
            for (_, value, text), count in zip(values, days, strict=True)
            if count
        ]

    def _entries(self, household: HouseholdInput, book: Book) -> list[ClassInput]:
        order = list(self.amounts)
        found = [
            entry
            for entry in household.classes
            if entry.name in self.amounts and days_in(book.period, entry.valid_from, entry.valid_to)
        ]
        return sorted(found, key=lambda entry: order.index(entry.name))

    def _value(self, household: HouseholdInput, entry: ClassInput, book: Book) -> tuple[Fraction, str]:
        amount = due_fen(self.amounts[entry.name], self.per, book.period)
        value, text = Fraction(amount), f"{entry.name} {yuan(amount)} 元"
        if self.each == "person":
            persons = household.persons if entry.persons is None else entry.persons
            value, text = value * persons, f"{text} × {persons} 人"
        return value, text
