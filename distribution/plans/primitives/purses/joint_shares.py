"""Primitive 12, joint-station shares: a station's income is divided among its villages before anything else.

Shares are kW, capital or a number of shares; a village may hold several. Where the document fixes the
number of shares or the percentage of one share, the sum must be 100 %.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import integer_weights, split, yuan
from distribution.plans.notation.values import Number, number_text, percent_text
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book, prefix_of
from distribution.plans.primitives.income.typed_income import take_in
from distribution.types import Component, Deduction, DeductionKind, IncomePart, StationInput, StepInput
from distribution.types import Step as ExplanationStep

_BY = {"kw": "千瓦", "capital": "出资", "shares": "份"}


class JointShares(Step):
    """Take `components` in and divide each station's part among its villages, into their purse `into`.

    The part of villages outside the input's division is deducted as not ours. `total_shares` and
    `per_share` check that the shares make the whole. `stations` limits it to the income of some stations.
    """

    kind: Literal["joint_income"]
    name: str = "other_villages"
    components: tuple[Component, ...] = Field(min_length=1)
    into: str
    by: Literal["kw", "capital", "shares"] = "shares"
    total_shares: Number | None = None
    per_share: Number | None = None
    stations: tuple[str, ...] = ()

    def gives_to(self) -> Iterable[str]:
        """Return the purse that receives the villages' parts."""
        return (self.into,)

    def apply(self, book: Book) -> None:
        """Divide every station's income among its villages."""
        outside: dict[str, tuple[int, ExplanationStep]] = {}
        for station_id, parts in self._by_station(book).items():
            station = self._station(book, station_id)
            total = sum(part.amount_fen for part in parts)
            for village, amount, step in self._divide(book, station, total):
                if village.startswith(prefix_of(book.inputs.village_code)):
                    book.put(self.into, village, amount, (step,))
                    book.gross_fen[self.into] = book.gross(self.into) + amount
                else:
                    outside[f"{station_id}/{village}"] = (amount, step)
        if outside:
            self._leave(book, outside)

    def _by_station(self, book: Book) -> dict[str, list[IncomePart]]:
        grouped: dict[str, list[IncomePart]] = {}
        only = book.inputs.stations[0].id if len(book.inputs.stations) == 1 else ""
        for part in take_in(self.components, book, self.stations):
            grouped.setdefault(part.station_id or only, []).append(part)
        return grouped

    def _station(self, book: Book, station_id: str) -> StationInput:
        found = next((item for item in book.inputs.stations if item.id == station_id), None)
        if found is None or not found.shares:
            what = f"电站“{station_id}”" if station_id else "没有写 station_id 的收入"
            book.refuse(f"{what}没有股权份额，分不到村", "在 stations 中写上这座电站和它的 shares")
        return found

    def _divide(
        self, book: Book, station: StationInput, total: int
    ) -> list[tuple[str, int, ExplanationStep]]:
        weights: dict[str, Fraction] = {}
        for share in station.shares:
            weights[share.village_code] = weights.get(share.village_code, Fraction(0)) + share.weight
        whole = sum(weights.values(), Fraction(0))
        self._check_whole(book, station, whole)
        villages = sorted(weights)
        amounts = split(total, integer_weights([weights[village] for village in villages]), villages)
        unit = _BY[self.by]
        rows = []
        for village, amount in zip(villages, amounts, strict=True):
            own = number_text(weights[village])
            formula = f"电站 {station.id} 收入 {yuan(total)} 元 × {own} ÷ {number_text(whole)} {unit}"
            inputs = (
                StepInput("电站收入", yuan(total), station.id),
                StepInput(f"本村{unit}", own, f"{station.id}.shares"),
            )
            exact = total * weights[village] / whole
            label = self.label or "联村电站分成"
            rows.append(
                (village, amount, ExplanationStep(label, formula, inputs, exact, amount, self.clause))
            )
        return rows

    def _check_whole(self, book: Book, station: StationInput, whole: Fraction) -> None:
        text = number_text(whole)
        if not whole:
            book.refuse(f"电站 {station.id} 的份额合计为零", "写上各村的份额")
        if self.total_shares is not None and whole != self.total_shares:
            book.refuse(
                f"电站 {station.id} 各村份额合计 {text}，文件规定 {number_text(self.total_shares)}，"
                f"差 {number_text(abs(self.total_shares - whole))}",
                "核对各村的份额；合并的村可持多份",
            )
        if self.per_share is not None and whole * self.per_share != 1:
            total = whole * self.per_share
            book.refuse(
                f"电站 {station.id}：{text} 份 × {percent_text(self.per_share)} = {percent_text(total)}，"
                f"不是 100%，差 {percent_text(abs(1 - total))}",
                "核对份数；合并的村可持多份，使各份合计正好 100%",
            )

    def _leave(self, book: Book, outside: dict[str, tuple[int, ExplanationStep]]) -> None:
        book.deductions.append(
            Deduction(
                name=self.name,
                label="其他村的份额",
                amount_fen=sum(amount for amount, _ in outside.values()),
                clause=self.clause,
                explanation=tuple(step for _, step in outside.values()),
                kind=DeductionKind.NOT_OURS,
            )
        )
        book.deducted_from[self.name] = self.into
