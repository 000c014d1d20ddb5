"""Primitive 5, actual cost with a cap: vouchers are deducted, but not above a limit.

The limit is per W-year of the stations (0.03 元/瓦·年), per year or per period in yuan, or a share of
named income; a yearly limit counts what was deducted earlier in the year.
"""

from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import yuan
from distribution.plans.notation.values import Money, Number, number_text, percent_text
from distribution.plans.primitives.book import Book
from distribution.plans.primitives.deductions.waterfall import Base, DeductionStep, base_of, take_deduction
from distribution.types import Component, StepInput

CapText = tuple[Fraction, str]


class ActualCost(DeductionStep):
    """Deduct the costs of the kinds `costs`, at most up to every cap that is given."""

    kind: Literal["actual_cost"]
    costs: tuple[str, ...] = Field(min_length=1)
    cap_per_watt_year: Number | None = Field(default=None, description="yuan per W and year")
    cap_per_year: Money | None = None
    cap_per_period: Money | None = None
    cap_percent: Number | None = None
    cap_of: Base | tuple[Component, ...] = "gross"

    def apply(self, book: Book) -> None:
        """Deduct the vouchers of the period, cut to the lowest cap."""
        items = [item for item in book.inputs.costs if item.kind in self.costs]
        actual = sum(item.amount_fen for item in items)
        inputs = tuple(StepInput(item.kind, yuan(item.amount_fen), item.source) for item in items)
        formula = (
            " + ".join(f"{item.source or item.kind} {yuan(item.amount_fen)} 元" for item in items)
            or "本期没有"
        )
        allowed = Fraction(actual)
        for cap, text in self._caps(book):
            if cap < allowed:
                allowed = cap
                formula = f"实际 {yuan(actual)} 元，上限 {text}"
        if allowed < actual:
            over = yuan(actual - int(allowed))
            book.warn(f"{self.label or self.name}实际 {yuan(actual)} 元，超出上限 {over} 元，超出的不得列支")
        take_deduction(self, book, (Fraction(int(allowed)), formula, inputs))

    def _caps(self, book: Book) -> list[CapText]:
        caps: list[CapText] = []
        earlier = book.year_to_date(self.name)
        if self.cap_per_watt_year is not None:
            watts = own_watts(book)
            whole = watts * self.cap_per_watt_year * 100
            rate = number_text(self.cap_per_watt_year)
            text = f"{number_text(watts)} 瓦 × {rate} 元/瓦·年 − 本年已扣 {yuan(earlier)} 元"
            caps.append((max(Fraction(0), whole - earlier), text))
        if self.cap_per_year is not None:
            text = f"每年 {yuan(self.cap_per_year)} 元 − 本年已扣 {yuan(earlier)} 元"
            caps.append((Fraction(max(0, self.cap_per_year - earlier)), text))
        if self.cap_per_period is not None:
            caps.append((Fraction(self.cap_per_period), f"每期 {yuan(self.cap_per_period)} 元"))
        if self.cap_percent is not None:
            base, name = base_of(self.cap_of, self.taken_from, book)
            text = f"{name} {yuan(base)} 元 × {percent_text(self.cap_percent)}"
            caps.append((base * self.cap_percent, text))
        return caps


def own_watts(book: Book) -> Fraction:
    """Return the rated power [W] that the input's division owns in the input's stations."""
    parts = (station.rated_power_w * book.owned_part(station) for station in book.inputs.stations)
    return sum(parts, Fraction(0))
