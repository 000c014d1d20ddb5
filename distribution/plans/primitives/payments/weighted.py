"""Primitive 15, weights inside a purse: equal, by person, by kW, by work points, by enrolment.

The whole purse is divided among the selected households in proportion to one weight, by largest
remainder. Days of eligibility can be part of the weight.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import integer_weights, split, yuan
from distribution.plans.book import Book, Payment
from distribution.plans.primitives.base import Selection, Step, days_in, has_class
from distribution.types import HouseholdInput, PayeeKind, StepInput
from distribution.types import Step as ExplanationStep

_UNIT_NAMES = {"equal": "户", "persons": "人", "enrolment": "份", "class_persons": "人"}


class Weighted(Step, Selection):
    """Divide all of `from` among the selected households by `weight`.

    `weight` is `equal`, `persons`, `class_persons` (members of `classes`), `enrolment` (the weight of the
    enrolment in `enrolment`), or the name of a measure. `prorate` multiplies by the days of eligibility.
    """

    kind: Literal["by_weight"]
    taken_from: str = Field(alias="from")
    weight: str = "equal"
    unit: str = ""
    prorate: bool = False

    def takes_from(self) -> Iterable[str]:
        """Return the purse that is divided."""
        return (self.taken_from,)

    def pays_from(self) -> Iterable[str]:
        """Return the purse that is divided."""
        return (self.taken_from,)

    def classes_used(self) -> Iterable[str]:
        """Return the classes that select households."""
        return (*self.classes, *self.without_classes)

    def faults(self, _plan: object) -> Iterable[tuple[str, str, str]]:
        """Yield weights that cannot be read from the step."""
        if self.weight == "enrolment" and not self.enrolment:
            yield "weight", "按参与份额分，却没有写 enrolment", '写上 enrolment = "…"'
        if self.weight == "class_persons" and not self.classes:
            yield "weight", "按类别人数分，却没有写 classes", '写上 classes = ["…"]'

    def apply(self, book: Book) -> None:
        """Divide the purse, division by division."""
        for division in book.divisions_with(self.taken_from):
            self._divide(book, division)

    def _divide(self, book: Book, division: str) -> None:
        pool = book.holding(self.taken_from, division).balance_fen
        households = book.candidates(self.taken_from, division, self)
        weights = integer_weights([self._weight(household, book) for household in households])
        whole = sum(weights)
        if not whole:
            book.warn(
                f"“{book.label(self.taken_from)}”有 {yuan(pool)} 元，但没有权重大于零的户可分（{division}）"
            )
            return
        keys = [book.tie_break(self.taken_from, household.id) for household in households]
        amounts = split(pool, weights, keys)
        book.pay(
            self._payments(book, division, whole, list(zip(households, weights, keys, amounts, strict=True)))
        )

    def _payments(
        self, book: Book, division: str, whole: int, rows: list[tuple[HouseholdInput, int, str, int]]
    ) -> list[Payment]:
        pool = book.holding(self.taken_from, division).balance_fen
        trail = book.way_to(self.taken_from, division)
        label = self.label or book.label(self.taken_from)
        unit = self.unit or _UNIT_NAMES.get(self.weight, "份")
        equal = self.weight == "equal" and whole == len([row for row in rows if row[1]])
        head = f"{book.label(self.taken_from)} {yuan(pool)} 元"
        given = StepInput(book.label(self.taken_from), yuan(pool))
        total = StepInput("总权重", str(whole))
        texts: dict[int, tuple[str, tuple[StepInput, ...], Fraction]] = {}
        payments = []
        for household, weight, key, amount in rows:
            if not weight:
                continue
            if weight not in texts:
                formula = f"{head} ÷ {whole} {unit}" if equal else f"{head} × {weight} ÷ {whole} {unit}"
                texts[weight] = (
                    formula,
                    (given, StepInput("权重", str(weight)), total),
                    Fraction(pool * weight, whole),
                )
            formula, inputs, exact = texts[weight]
            own = ExplanationStep(label, formula, inputs, exact, amount, self.clause)
            payments.append(
                Payment(
                    self.taken_from,
                    division,
                    PayeeKind.HOUSEHOLD,
                    household.id,
                    amount,
                    weight,
                    (*trail, own),
                    "",
                    self.enrolment or self.taken_from,
                    key,
                    household.village_code,
                )
            )
        return payments

    def _weight(self, household: HouseholdInput, book: Book) -> int | Fraction:
        weight = self._plain_weight(household, book)
        if not self.prorate or self.weight == "enrolment":
            return weight
        return weight * book.days(household)

    def _plain_weight(self, household: HouseholdInput, book: Book) -> int | Fraction:
        if self.weight == "equal":
            return 1
        if self.weight == "persons":
            return household.persons
        if self.weight == "class_persons":
            return sum(
                household.persons if entry.persons is None else entry.persons
                for entry in household.classes
                if entry.name in self.classes and has_class(household, entry.name, book.period)
            )
        if self.weight == "enrolment":
            return self._enrolled(household, book)
        return household.measures.get(self.weight, 0)

    def _enrolled(self, household: HouseholdInput, book: Book) -> int | Fraction:
        total: int | Fraction = 0
        for enrolment in household.enrolments:
            days = days_in(book.period, enrolment.valid_from, enrolment.valid_to)
            if enrolment.component == self.enrolment and days:
                total += enrolment.weight * days if self.prorate else enrolment.weight
        return total
