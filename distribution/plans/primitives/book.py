"""The working book of one allocation: purses, what was deducted, who was paid, and the way there.

Owns the only state that the primitives change. Money never appears or vanishes here: it enters with
`receive`, moves between purses, and leaves as a deduction or a payment. Pure: no database, no clock.
"""

import hashlib
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, NoReturn

from distribution.money import yuan
from distribution.plans.primitives.base import Dated, Selection, covers, days_when
from distribution.types import (
    AllocationLine,
    ApprovalTerms,
    Deduction,
    DeductionKind,
    HouseholdInput,
    IncomePart,
    Netting,
    PayeeKind,
    PlanInput,
    PurseBalance,
    Receivable,
    StationInput,
    Step,
    StepInput,
    TestResult,
    Trace,
    YearToDate,
)
from store.periods import Period
from store.problem import Problem, ProblemsError

if TYPE_CHECKING:
    from distribution.plans.document import Plan

CODE_LENGTH = 12
_PUT, _TAKEN, _PAID = "+ ", "− ", "− 已发 "
_LEVEL_LENGTHS = {"province": 2, "prefecture": 4, "county": 6, "township": 9, "village": 12}

Bar = Callable[[HouseholdInput], bool]
"""Tells whether a household is kept out of a purse."""


def prefix_of(division_code: str) -> str:
    """Return the significant digits of a 12-digit division code: 6 for a county, 9 a township."""
    for length in _LEVEL_LENGTHS.values():
        if division_code == division_code[:length].ljust(len(division_code), "0"):
            return division_code[:length]
    return division_code


def level_of(division_code: str) -> str:
    """Return the level of a 12-digit division code: county, township, village …"""
    length = len(prefix_of(division_code))
    return next((name for name, size in _LEVEL_LENGTHS.items() if size == length), "village")


def _months_later(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@dataclass(slots=True)
class Payment:
    """One payment in the making; later steps (floors, rounding) may still change its amount."""

    purse: str
    division: str
    payee_kind: PayeeKind
    payee_id: str
    amount_fen: int
    weight: Fraction | int = 1
    trail: tuple[Step, ...] = ()
    note: str = ""
    component: str = ""
    tie_break: str = ""
    village_code: str = ""


@dataclass(slots=True)
class Holding:
    """What one division has in one purse, and how it came there."""

    balance_fen: int = 0
    trail: tuple[Step, ...] = ()
    moves: list[tuple[str, int]] = field(default_factory=list)


class Book:
    """The purses of one allocation. Every primitive reads and changes it through these methods."""

    def __init__(self, plan: "Plan", inputs: PlanInput, period: Period) -> None:
        self.plan = plan
        self.inputs = inputs
        self.period = period
        self.holdings: dict[str, dict[str, Holding]] = {}
        self.gross_fen: dict[str, int] = {}
        self.income: list[IncomePart] = []
        self.receivables: list[Receivable] = []
        self.carried_in_fen = 0
        self.deductions: list[Deduction] = []
        self.deducted_from: dict[str, str] = {}
        self.payments: list[Payment] = []
        self.bars: dict[str, list[Bar]] = {}
        self.prorated: dict[str, Selection] = {}
        self.waived: dict[str, str] = {}
        self.skipped: set[str] = set()
        self.warnings: list[str] = []
        self.tests: list[TestResult] = []
        self.approval = ApprovalTerms()
        self.nettings: list[Netting] = []
        self.tracers: list[Callable[[AllocationLine], Trace | None]] = []
        self.after: list[Callable[[], None]] = []
        self.step_index = 0
        self.paid: dict[str, set[str]] = defaultdict(set)
        self.settled: set[str] = set()
        self._households: dict[str, list[HouseholdInput]] = {}
        self._stay_months = 0
        self._earlier: dict[tuple[str, str, str], int] = {}
        for entry in inputs.year_to_date:
            self._add_earlier(entry)

    # Problems

    def where(self) -> str:
        """Return the place of the present step: file, line, number and label."""
        return self.plan.place_of_step(self.step_index)

    def refuse(self, what: str, how_to_fix: str) -> NoReturn:
        """Stop the allocation with the arithmetic that fails; raises ProblemsError."""
        raise ProblemsError([Problem(self.where(), what, how_to_fix)])

    def warn(self, text: str) -> None:
        """Note something that does not stop the allocation but must be seen."""
        self.warnings.append(text)

    # Purses

    def label(self, purse: str) -> str:
        """Return the Chinese name of a purse."""
        return self.plan.purse_label(purse)

    def holding(self, purse: str, division: str) -> Holding:
        """Return what a division has in a purse; an empty holding where there is nothing yet."""
        return self.holdings.setdefault(purse, {}).setdefault(division, Holding())

    def divisions_with(self, purse: str) -> list[str]:
        """Return the divisions that have something in a purse, in the order of their codes."""
        return sorted(code for code, held in self.holdings.get(purse, {}).items() if held.balance_fen)

    def balance(self, purse: str) -> int:
        """Return what all divisions together have in a purse [fen]."""
        return sum(held.balance_fen for held in self.holdings.get(purse, {}).values())

    def gross(self, purse: str) -> int:
        """Return what this period's income put into a purse before anything was taken [fen]."""
        return self.gross_fen.get(purse, 0)

    def put(self, purse: str, division: str, amount_fen: int, trail: Sequence[Step]) -> None:
        """Put money that was taken elsewhere into a purse."""
        held = self.holding(purse, division)
        held.balance_fen += amount_fen
        held.trail = (*held.trail, *(step for step in trail if step not in held.trail))
        held.moves.append((_PUT, amount_fen))

    def take(self, purse: str, division: str, amount_fen: int, *, paid: bool = False) -> None:
        """Take money out of a purse; refuses to take more than there is.

        What is `paid` out one after the other is noted as one sum.
        """
        held = self.holding(purse, division)
        if amount_fen > held.balance_fen:
            self.refuse(
                f"钱袋“{self.label(purse)}”只有 {yuan(held.balance_fen)} 元，要付 {yuan(amount_fen)} 元，"
                f"差 {yuan(amount_fen - held.balance_fen)} 元",
                "降低标准或人数，或写明不足时怎么办",
            )
        held.balance_fen -= amount_fen
        if paid and held.moves and held.moves[-1][0] == _PAID:
            amount_fen += held.moves.pop()[1]
        if amount_fen:
            held.moves.append((_PAID if paid else _TAKEN, amount_fen))

    def way_to(self, purse: str, division: str) -> tuple[Step, ...]:
        """Return the steps that explain a purse's balance, closed by its sum where it was changed."""
        held = self.holding(purse, division)
        if len(held.moves) > 1:
            text = "".join(f" {sign}{yuan(fen)} 元" for sign, fen in held.moves if fen)
            held.trail = (
                *held.trail,
                Step(
                    label=self.label(purse),
                    formula=text.removeprefix(f" {_PUT}"),
                    inputs=(),
                    exact=Fraction(held.balance_fen),
                    amount_fen=held.balance_fen,
                ),
            )
            held.moves = [(_PUT, held.balance_fen)]
        return held.trail

    def deduct(
        self, purse: str, asked: dict[str, int], deduction: Deduction, explain: Callable[[str, int], Step]
    ) -> None:
        """Take a deduction out of a purse, division by division, and record it.

        `asked` is the amount per division [fen]; `explain` makes the explanation of one division's part.
        """
        steps = []
        for division, amount in asked.items():
            step = explain(division, amount)
            held = self.holding(purse, division)
            self.take(purse, division, amount)
            if amount:
                held.trail = (*held.trail, step)
            steps.append(step)
        self.deductions.append(
            Deduction(
                name=deduction.name,
                label=deduction.label,
                amount_fen=sum(asked.values()),
                clause=deduction.clause,
                explanation=tuple(steps),
                kind=deduction.kind,
                asked_fen=deduction.asked_fen,
            )
        )
        self.deducted_from[deduction.name] = purse

    def move(self, source: str, division: str, parts: Iterable[tuple[str, Step]]) -> None:
        """Move money from one purse into others of the same division, each part with its explanation."""
        trail = self.way_to(source, division)
        for target, step in parts:
            self.take(source, division, step.amount_fen)
            self.put(target, division, step.amount_fen, (*trail, step))

    def open_with(self, entry: PurseBalance) -> None:
        """Put an opening balance back into its purse."""
        division = entry.division_code or self.inputs.village_code
        label = f"{self.label(entry.purse)}上期结转"
        formula = f"期初余额（自 {entry.since} 起）" if entry.since else "期初余额"
        amount = entry.amount_fen
        inputs = (StepInput(label, yuan(amount), f"opening.{entry.purse}"),)
        self.put(entry.purse, division, amount, (Step(label, formula, inputs, Fraction(amount), amount),))
        self.carried_in_fen += amount

    # People

    def households_of(self, division: str) -> list[HouseholdInput]:
        """Return the households of a division that belong to it on a day of the period, sorted by id."""
        if not self._households:
            for household in sorted(self.inputs.households, key=lambda item: item.id):
                if self.days(household):
                    self._households.setdefault(household.village_code, []).append(household)
        prefix = prefix_of(division)
        if len(prefix) == CODE_LENGTH:
            return self._households.get(division, [])
        codes = sorted(code for code in self._households if code.startswith(prefix))
        return [household for code in codes for household in self._households[code]]

    def days(self, household: HouseholdInput) -> int:
        """Return on how many days of the period a household belongs to its village."""
        if household.valid_from is None and household.valid_to is None:
            return self.period.day_count
        start, end = self.stay(household)
        return (end - start).days

    def stay(self, household: HouseholdInput) -> tuple[date, date]:
        """Return the days of the period on which a household belongs to its village, half-open."""
        start = max(household.valid_from or self.period.start, self.period.start)
        left = household.valid_to or self.period.end
        if household.valid_to and self._stay_months:
            left = _months_later(household.valid_to, self._stay_months)
        return start, max(start, min(left, self.period.end))

    def rules_of(self, purse: str, selection: Selection) -> tuple[Selection, ...]:
        """Return the selections whose dated conditions count for the days of a purse."""
        guard = self.prorated.get(purse)
        return (selection, guard) if guard is not None else (selection,)

    def entitled_days(
        self, household: HouseholdInput, rules: tuple[Selection, ...], entries: Sequence[Dated] = ()
    ) -> int:
        """Return on how many days a household is present, meets the rules, and every entry holds."""
        facts = [*entries, *(fact for rule in rules for fact in rule.dated(household))]
        if all(fact.valid_from is None and fact.valid_to is None for fact in facts):
            # What holds on one day then holds on all, and nearly all households are like that.
            return self.days(household)
        return days_when(
            self.stay(household),
            facts,
            lambda day: (
                all(covers(entry, day) for entry in entries)
                and all(rule.holds_on(household, day) for rule in rules)
            ),
        )

    def extend_stay(self, months: int) -> None:
        """Let households that left count as present for some months longer."""
        self._stay_months = max(self._stay_months, months)
        self._households = {}

    def candidates(self, purse: str, division: str, selection: Selection) -> list[HouseholdInput]:
        """Return the households that a step may pay: selected, present, and not barred from the purse."""
        households = self.households_of(division)
        if not selection.takes_all:
            households = [one for one in households if selection.selects(one, self.period)]
        bars = self.bars.get(purse)
        return [one for one in households if not any(bar(one) for bar in bars)] if bars else households

    def tie_break(self, purse: str, payee_id: str) -> str:
        """Return the opaque number [16 hex digits] that decides equal remainders in a purse.

        Source: docs/split.md.
        """
        text = f"{self.inputs.village_code}|{self.inputs.period}|{purse}|{payee_id}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def pay(self, payments: Iterable[Payment]) -> None:
        """Pay out of purses; the money leaves the purses at once."""
        sums: dict[tuple[str, str], int] = {}
        for payment in payments:
            key = (payment.purse, payment.division)
            sums[key] = sums.get(key, 0) + payment.amount_fen
            self.payments.append(payment)
            if payment.payee_kind is PayeeKind.HOUSEHOLD:
                self.paid[payment.purse].add(payment.payee_id)
        for (purse, division), amount in sums.items():
            self.take(purse, division, amount, paid=True)

    def traces_of(self, lines: Iterable[AllocationLine]) -> list[Trace]:
        """Return where each line is booked, for the plans that say so."""
        return [trace for line in lines for tracer in self.tracers if (trace := tracer(line))]

    # Figures that tests and caps ask for

    def _add_earlier(self, entry: YearToDate) -> None:
        for code in {"", entry.division_code or self.inputs.village_code}:
            key = (entry.name, entry.household_id, code)
            self._earlier[key] = self._earlier.get(key, 0) + entry.amount_fen

    def year_to_date(self, name: str, household_id: str = "", *, division: str = "") -> int:
        """Return what was booked earlier this year under a name of the plan [fen], or of one division."""
        return self._earlier.get((name, household_id, division), 0)

    def owned_part(self, station: StationInput) -> Fraction:
        """Return which part of a station belongs to the run's division; all where no shares are given."""
        prefix = prefix_of(self.inputs.village_code)
        whole = sum((share.weight for share in station.shares), Fraction(0))
        own = (share.weight for share in station.shares if share.village_code.startswith(prefix))
        return sum(own, Fraction(0)) / whole if whole else Fraction(1)

    def quantity(self, name: str) -> Fraction:
        """Return a quantity of the input, such as the area of land, or a count that the input shows.

        Refuses when it is neither given nor a count.
        """
        if name in self.inputs.quantities:
            return self.inputs.quantities[name]
        count = _COUNTS.get(name)
        if count is None:
            names = "、".join(_COUNTS)
            self.refuse(
                f"输入里没有数量“{name}”", f"在 quantities 中写上 {name}，或用输入里数得出的：{names}"
            )
        return count(self)


_COUNTS: Mapping[str, Callable[[Book], Fraction]] = {
    "station_kw": lambda book: (
        sum((book.owned_part(one) * one.rated_power_w for one in book.inputs.stations), Fraction(0)) / 1000
    ),
    "station_count": lambda book: Fraction(len(book.inputs.stations)),
    "exported_kwh": lambda book: (
        sum(
            (book.owned_part(one) * (one.exported_energy_wh or 0) for one in book.inputs.stations),
            Fraction(0),
        )
        / 1000
    ),
    "household_count": lambda book: Fraction(len(book.households_of(book.inputs.village_code))),
    "person_count": lambda book: Fraction(
        sum(one.persons for one in book.households_of(book.inputs.village_code))
    ),
}
"""Quantities that need not be given, because the input shows them."""


def cost_deduction(name: str, label: str, clause: str, asked_fen: int | None = None) -> Deduction:
    """Return the head of a deduction for costs; the amount follows when it is taken."""
    return Deduction(
        name=name, label=label, amount_fen=0, clause=clause, kind=DeductionKind.COST, asked_fen=asked_fen
    )
