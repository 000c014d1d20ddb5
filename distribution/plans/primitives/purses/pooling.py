"""Primitive 11, multi-level pooling: county, township, village, with a part kept at a level.

A purse of a division is divided among the divisions of the next level below it, by a weight. Each level
splits the whole fen of the level above, so every level adds up.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import integer_weights, split, yuan
from distribution.plans.notation.values import Number, number_text, percent_text
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.book import Book, level_of, prefix_of
from distribution.types import DivisionInput, StepInput
from distribution.types import Step as ExplanationStep


class Pooling(Step):
    """Divide `from` among the divisions of `to_level`, into their part of the purse `into`.

    `weight` is `equal`, `households`, or a measure of the divisions. A share `keep` stays with the upper
    division, in the purse `keep_into`. `per_share` is the share of one unit of the weight, where the
    document fixes it: all units together must make 100 %.
    """

    kind: Literal["pool"]
    taken_from: str = Field(alias="from")
    into: str
    to_level: Literal["county", "township", "village"] = "village"
    weight: str = "equal"
    per_share: Number | None = None
    keep: Number = Fraction(0)
    keep_into: str = ""

    def takes_from(self) -> Iterable[str]:
        """Return the pooled purse."""
        return (self.taken_from,)

    def gives_to(self) -> Iterable[str]:
        """Return the purses of the lower and of the keeping level."""
        return (self.into, *((self.keep_into,) if self.keep_into else ()))

    def faults(self, _plan: object) -> Iterable[tuple[str, str, str]]:
        """Yield a share to keep that is impossible or has no purse."""
        if self.keep > 1:
            yield "keep", f"留存 {percent_text(self.keep)} 超过 100%", "改成不超过 100%"
        if bool(self.keep) != bool(self.keep_into):
            yield "keep_into", "keep 和 keep_into 要一起写", "写明留存多少、放进哪个钱袋"

    def apply(self, book: Book) -> None:
        """Divide what each division has in the purse among the divisions below it."""
        for division in book.divisions_with(self.taken_from):
            self._divide(book, division)

    def _divide(self, book: Book, division: str) -> None:
        total = book.holding(self.taken_from, division).balance_fen
        kept, given = split(total, [self.keep, 1 - self.keep], ["0", "1"])
        children = self._children(book, division)
        weights = integer_weights([self._weight(child, book) for child in children])
        whole = sum(weights)
        if not whole:
            book.refuse(
                f"{division} 下面没有权重大于零的{_LEVELS[self.to_level]}，{yuan(given)} 元分不下去",
                f"在 divisions 中列出各{_LEVELS[self.to_level]}和它们的“{self.weight}”",
            )
        self._check_whole(book, division, sum(self._weight(child, book) for child in children))
        trail = book.way_to(self.taken_from, division)
        book.take(self.taken_from, division, total)
        if kept:
            text = f"{yuan(total)} 元 × {percent_text(self.keep)}"
            step = self._step(book, text, (self.keep * total, kept), self.keep_into)
            book.put(self.keep_into, division, kept, (*trail, step))
        for child, weight, amount in zip(
            children, weights, split(given, weights, [item.code for item in children]), strict=True
        ):
            text = f"{yuan(given)} 元 × {weight} ÷ {whole}"
            step = self._step(book, text, (Fraction(given * weight, whole), amount), child.name)
            book.put(self.into, child.code, amount, (*trail, step))

    def _check_whole(self, book: Book, division: str, units: int | Fraction) -> None:
        if self.per_share is None or units * self.per_share == 1:
            return
        total = units * self.per_share
        book.refuse(
            f"{division}：{number_text(Fraction(units))} 份 × {percent_text(self.per_share)} = "
            f"{percent_text(total)}，不是 100%，差 {percent_text(abs(1 - total))}",
            "核对份数；合并的村可持多份，使各份合计正好 100%",
        )

    def _step(self, book: Book, text: str, values: tuple[Fraction, int], name: str) -> ExplanationStep:
        label = f"{self.label or '统筹分配'}（{book.label(name)}）"
        given = StepInput("按", self.weight)
        return ExplanationStep(label, text, (given,), values[0], values[1], self.clause)

    def _children(self, book: Book, division: str) -> list[DivisionInput]:
        prefix = prefix_of(division)
        return sorted(
            (
                item
                for item in book.inputs.divisions
                if item.code.startswith(prefix) and level_of(item.code) == self.to_level
            ),
            key=lambda item: item.code,
        )

    def _weight(self, child: DivisionInput, book: Book) -> int | Fraction:
        if self.weight == "equal":
            return 1
        if self.weight == "households":
            return len(book.households_of(child.code))
        return child.measures.get(self.weight, 0)


_LEVELS: Mapping[str, str] = {"county": "县", "township": "乡镇", "village": "村"}
