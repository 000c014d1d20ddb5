"""Primitive 1, typed revenue components: received money of named components enters a purse.

Each component has its own arrival date and may go its own way; what no step takes in stays out of the
distribution and is named in a warning.
"""

from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import yuan
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book
from distribution.types import Component, IncomePart, StepInput
from distribution.types import Step as ExplanationStep

COMPONENT_LABELS = {
    Component.ELECTRICITY: "电费",
    Component.SUBSIDY: "国家补贴",
    Component.LOCAL_SUBSIDY: "地方补贴",
    Component.ASSET_GAIN: "资产收益",
    Component.ADVANCE: "垫付款",
}


class TypedIncome(Step):
    """Take the received money of `components` into the purse `into`.

    `stations` limits it to the income of some stations; what an earlier step took in is not taken again.
    """

    kind: Literal["income"]
    components: tuple[Component, ...] = Field(min_length=1)
    into: str
    stations: tuple[str, ...] = ()

    def gives_to(self) -> Iterable[str]:
        """Return the purse that receives the income."""
        return (self.into,)

    def apply(self, book: Book) -> None:
        """Move every received part of the components into the purse."""
        parts = take_in(self.components, book, self.stations)
        total = sum(part.amount_fen for part in parts)
        division = book.inputs.village_code
        book.put(self.into, division, total, (income_step(self, parts),))
        book.gross_fen[self.into] = book.gross(self.into) + total


def take_in(
    components: tuple[Component, ...], book: Book, stations: tuple[str, ...] = ()
) -> list[IncomePart]:
    """Return the income parts of some components (and stations) not yet taken in, and mark them.

    Refuses money that arrives after the period, or after the input's `received_until`: only received
    money is distributable.
    """
    taken = {id(part) for part in book.income}
    parts = [
        part
        for part in book.inputs.income
        if part.component in components
        and (not stations or part.station_id in stations)
        and id(part) not in taken
    ]
    until = book.inputs.received_until or book.period.end - timedelta(days=1)
    late = [part for part in parts if part.received_on > until]
    if late:
        names = "、".join(f"{part.source} {yuan(part.amount_fen)} 元（{part.received_on}）" for part in late)
        book.refuse(
            f"还没有到账的钱不能分：{names}，而本期到 {until} 止",
            "改到账日期，或放到下一期；应收未到的写在 receivables",
        )
    book.income.extend(parts)
    return parts


def income_step(step: Step, parts: list[IncomePart]) -> ExplanationStep:
    """Return the explanation of received money: every part with its receipt."""
    total = sum(part.amount_fen for part in parts)
    return ExplanationStep(
        label=step.label or "到账收入",
        formula=" + ".join(f"{COMPONENT_LABELS[part.component]} {yuan(part.amount_fen)} 元" for part in parts)
        or "本期没有到账",
        inputs=tuple(
            StepInput(COMPONENT_LABELS[part.component], yuan(part.amount_fen), part.source) for part in parts
        ),
        exact=Fraction(total),
        amount_fen=total,
        clause=step.clause,
    )
