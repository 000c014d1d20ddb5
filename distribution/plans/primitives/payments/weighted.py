"""Primitive 15, weights inside a purse: equal, by person, by kW, by work points, by enrolment.

The whole purse is divided among the selected households in proportion to one weight, by largest
remainder. Days of eligibility can be part of the weight.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import integer_weights, split, yuan
from distribution.plans.notation.values import Money, Number
from distribution.plans.primitives.base import Dated, Selection, Step, days_in, has_class
from distribution.plans.primitives.book import Book, Payment
from distribution.plans.primitives.payments.bounds import Bounded, bounded_split
from distribution.types import HouseholdInput, PayeeKind, StepInput
from distribution.types import Step as ExplanationStep

Reason = tuple[str, tuple[StepInput, ...], Fraction]
_UNIT_NAMES = {"equal": "户", "persons": "人", "enrolment": "份", "class_persons": "人"}


class Weighted(Step, Selection):
    """Divide all of `from` among the selected households by `weight`.

    `weight` is `equal`, `persons`, `class_persons` (members of `classes`), `enrolment` (the weight of the
    enrolment in `enrolment`), or the name of a measure. `prorate` multiplies by the days of eligibility.
    `coefficients` multiplies the weight by that of the household's first class in the table (1 for none).
    `floor` and `ceiling` bound each household's share of this purse; the others give way.
    """

    kind: Literal["by_weight"]
    taken_from: str = Field(alias="from")
    weight: str = "equal"
    unit: str = ""
    coefficients: Mapping[str, Number] = Field(default_factory=dict)
    prorate: bool = False
    floor: Money | None = None
    ceiling: Money | None = None

    def takes_from(self) -> Iterable[str]:
        """Return the purse that is divided."""
        return (self.taken_from,)

    def pays_from(self) -> Iterable[str]:
        """Return the purse that is divided."""
        return (self.taken_from,)

    def classes_used(self) -> Iterable[str]:
        """Return the classes that select households."""
        return (*self.classes, *self.without_classes, *self.coefficients)

    def faults(self, _plan: object) -> Iterable[tuple[str, str, str]]:
        """Yield weights that cannot be read from the step."""
        if self.weight == "enrolment" and not self.enrolment:
            yield "weight", "按参与份额分，却没有写 enrolment", '写上 enrolment = "…"'
        if self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            yield "floor", f"保底 {yuan(self.floor)} 元高于封顶 {yuan(self.ceiling)} 元", "改成保底不高于封顶"
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
        if not any(weights):
            book.warn(
                f"“{book.label(self.taken_from)}”有 {yuan(pool)} 元，但没有权重大于零的户可分（{division}）"
            )
            return
        keys = [book.tie_break(self.taken_from, household.id) for household in households]
        rows = list(zip(households, weights, keys, strict=True))
        if self.floor is None and self.ceiling is None:
            amounts = split(pool, weights, keys)
            shares = Bounded(amounts, [0] * len(amounts), pool, sum(weights))
        else:
            shares = self._bounded(book, pool, weights, keys)
        book.pay(self._payments(book, division, rows, shares))

    def _bounded(self, book: Book, pool: int, weights: list[int], keys: list[str]) -> Bounded:
        floor, count = self.floor or 0, sum(1 for weight in weights if weight)
        if floor * count > pool:
            book.refuse(
                f"保底 {count} 户 × {yuan(floor)} 元 = {yuan(floor * count)} 元，"
                f"“{book.label(self.taken_from)}”只有 {yuan(pool)} 元，不够 {yuan(floor * count - pool)} 元",
                "降低保底或户数",
            )
        return bounded_split(pool, weights, keys, floor, self.ceiling)

    def _payments(
        self, book: Book, division: str, rows: list[tuple[HouseholdInput, int, str]], shares: Bounded
    ) -> list[Payment]:
        trail = book.way_to(self.taken_from, division)
        label = self.label or book.label(self.taken_from)
        texts: dict[tuple[int, int], Reason] = {}
        head = self._head(book, division, shares)
        payments = []
        for (household, weight, key), amount, bound in zip(rows, shares.amounts, shares.bound, strict=True):
            if not weight:
                continue
            if (weight, bound) not in texts:
                texts[weight, bound] = self._reason(head, (weight, bound, amount), shares)
            formula, inputs, exact = texts[weight, bound]
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
                    "" if bound else key,
                    household.village_code,
                )
            )
        return payments

    def _head(self, book: Book, division: str, shares: Bounded) -> tuple[str, StepInput, bool]:
        """Return how the divided money reads, as an input, and whether it is divided by head count."""
        label = book.label(self.taken_from)
        pool = book.holding(self.taken_from, division).balance_fen
        text = f"{label} {yuan(pool)} 元"
        if shares.open_fen != pool:
            text = f"（{text} − 保底封顶户和余下 {yuan(pool - shares.open_fen)} 元）"
        equal = self.weight == "equal" and not self._prorates(book) and not self.coefficients
        return text, StepInput(label, yuan(pool)), equal

    def _reason(
        self, head: tuple[str, StepInput, bool], row: tuple[int, int, int], shares: Bounded
    ) -> Reason:
        text, given, equal = head
        weight, bound, amount = row
        whole = shares.open_weight
        inputs = (given, StepInput("权重", str(weight)), StepInput("总权重", str(whole)))
        if bound:
            name = "按权重不足保底，取保底" if bound < 0 else "按权重超过封顶，取封顶"
            return name, inputs, Fraction(amount)
        unit = self.unit or _UNIT_NAMES.get(self.weight, "份")
        formula = f"{text} ÷ {whole} {unit}" if equal else f"{text} × {weight} ÷ {whole} {unit}"
        return formula, inputs, Fraction(shares.open_fen * weight, whole)

    def _weight(self, household: HouseholdInput, book: Book) -> int | Fraction:
        weight = self._plain_weight(household, book)
        if self.coefficients:
            weight *= self._coefficient(household, book)
        if not self._prorates(book) or self.weight in {"enrolment", "class_persons"}:
            return weight
        return weight * book.entitled_days(household, book.rules_of(self.taken_from, self))

    def _coefficient(self, household: HouseholdInput, book: Book) -> Fraction:
        for name, coefficient in self.coefficients.items():
            if has_class(household, name, book.period):
                return coefficient
        return Fraction(1)

    def _prorates(self, book: Book) -> bool:
        return self.prorate or self.taken_from in book.prorated

    def _plain_weight(self, household: HouseholdInput, book: Book) -> int | Fraction:
        if self.weight == "equal":
            return 1
        if self.weight == "persons":
            return household.persons
        if self.weight == "class_persons":
            return self._class_persons(household, book)
        if self.weight == "enrolment":
            return self._enrolled(household, book)
        return household.measures.get(self.weight, 0)

    def _class_persons(self, household: HouseholdInput, book: Book) -> int:
        total = 0
        for entry in household.classes:
            if entry.name in self.classes and days_in(book.period, entry.valid_from, entry.valid_to):
                persons = household.persons if entry.persons is None else entry.persons
                total += persons * self._days(household, entry, book) if self._prorates(book) else persons
        return total

    def _enrolled(self, household: HouseholdInput, book: Book) -> int | Fraction:
        total: int | Fraction = 0
        prorates = self._prorates(book)
        for enrolment in household.enrolments:
            if enrolment.component == self.enrolment and days_in(
                book.period, enrolment.valid_from, enrolment.valid_to
            ):
                # Whole numbers are many times faster than fractions, and nearly all weights are whole.
                whole = enrolment.weight.denominator == 1
                weight = enrolment.weight.numerator if whole else enrolment.weight
                total += weight * self._days(household, enrolment, book) if prorates else weight
        return total

    def _days(self, household: HouseholdInput, entry: Dated, book: Book) -> int:
        return book.entitled_days(household, book.rules_of(self.taken_from, self), (entry,))
