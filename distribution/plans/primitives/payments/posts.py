"""Primitive 17, the post engine: pay = rate x units served x performance x headcount.

The plan may fix the rate of each kind of post. The sum of all posts is checked against the purse before
anybody is paid.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

from pydantic import Field

from distribution.money import round_fen, split, yuan
from distribution.plans.notation.values import Money, number_text
from distribution.plans.primitives.base import EVERYBODY, Step
from distribution.plans.primitives.book import Book, Payment, prefix_of
from distribution.types import PayeeKind, PostInput, StepInput
from distribution.types import Step as ExplanationStep

_UNITS = {"month": "月", "day": "天", "hour": "小时", "quarter": "季", "piece": "件"}
_SHOWN = 6


class Posts(Step):
    """Pay the posts of the input out of `from`.

    `rates` fixes the rate [yuan per unit] by kind of post, over the input's rate; only posts of `kinds`
    are paid where that is given. `evidence` refuses to pay a post without an attendance record.
    """

    kind: Literal["posts"]
    taken_from: str = Field(alias="from")
    kinds: tuple[str, ...] = ()
    rates: Mapping[str, Money] = Field(default_factory=dict)
    unit: Literal["month", "day", "hour", "quarter", "piece"] = "month"
    one_per_household: bool = True
    evidence: bool = False
    when_short: Literal["refuse", "pro_rata"] = "refuse"

    def takes_from(self) -> Iterable[str]:
        """Return the purse that pays the posts."""
        return (self.taken_from,)

    def pays_from(self) -> Iterable[str]:
        """Return the purse that pays the posts."""
        return (self.taken_from,)

    def apply(self, book: Book) -> None:
        """Pay every post, or refuse with the arithmetic when the purse is too small."""
        for division in book.divisions_with(self.taken_from) if book.inputs.posts else ():
            posts = self._posts(book, division)
            if not posts:
                continue
            self._check_one_each(posts, book)
            exact = [
                self._rate(post, book) * post.units * post.coefficient * post.headcount for post in posts
            ]
            amounts = [round_fen(value) for value in exact]
            pool = book.holding(self.taken_from, division).balance_fen
            if sum(amounts) > pool:
                self._short(posts, amounts, book, pool)
                amounts = split(pool, exact, [post.id for post in posts])
            book.settled.update(f"post {post.id}" for post in posts)
            trail = book.way_to(self.taken_from, division)
            book.pay(
                self._payment(post, value, amount, (book, division, trail))
                for post, value, amount in zip(posts, exact, amounts, strict=True)
                if amount
            )

    def _posts(self, book: Book, division: str) -> list[PostInput]:
        allowed = {household.id for household in book.candidates(self.taken_from, division, EVERYBODY)}
        prefix = prefix_of(division)
        here = {item.id for item in book.inputs.households if item.village_code.startswith(prefix)}
        posts = []
        for post in sorted(book.inputs.posts, key=lambda post: post.id):
            if f"post {post.id}" in book.settled or (self.kinds and post.kind not in self.kinds):
                continue
            if post.household_id in here - allowed:
                book.warn(
                    f"岗位 {post.id}（{post.kind}）的户 {post.household_id} 本期不能领“{self._purse(book)}”"
                )
            elif post.household_id in allowed or (
                not post.household_id and self._place(post, book) == division
            ):
                posts.append(post)
        return [post for post in posts if post.evidence or not self.evidence or self._no_evidence(post, book)]

    def _place(self, post: PostInput, book: Book) -> str:
        """Return the division whose purse pays a post that no household holds."""
        held = book.divisions_with(self.taken_from)
        code = post.village_code or (held[0] if len(held) == 1 else "")
        if not code:
            book.refuse(
                f"岗位 {post.id} 没有写农户，也没有写 village_code，不知道由哪个村发", "写上 village_code"
            )
        return code

    def _purse(self, book: Book) -> str:
        return book.label(self.taken_from)

    def _no_evidence(self, post: PostInput, book: Book) -> bool:
        book.warn(f"岗位 {post.id}（{post.kind}）没有考勤或考核记录，本期不发")
        return False

    def _check_one_each(self, posts: list[PostInput], book: Book) -> None:
        if not self.one_per_household:
            return
        seen: dict[str, str] = {}
        for post in posts:
            if post.household_id and post.household_id in seen:
                book.refuse(
                    f"户 {post.household_id} 一户限一岗，却有 {seen[post.household_id]} 和 {post.id} 两个",
                    "留下一个岗位，或写 one_per_household = false",
                )
            seen[post.household_id] = post.id

    def _rate(self, post: PostInput, book: Book) -> int:
        if post.rate_unit != self.unit:
            book.refuse(
                f"岗位 {post.id} 按“{post.rate_unit}”计酬，方案按“{self.unit}”计酬",
                "把两处写成同一单位",
            )
        if self.rates and post.kind not in self.rates:
            book.refuse(f"岗位 {post.id} 的种类“{post.kind}”没有标准", f"在 rates 中写上 {post.kind}")
        return self.rates.get(post.kind, post.rate_fen)

    def _short(self, posts: list[PostInput], amounts: list[int], book: Book, pool: int) -> None:
        needed = sum(amounts)
        unit = _UNITS[self.unit]
        shown = " + ".join(
            f"{post.headcount} 人 × {yuan(self._rate(post, book))} 元 × {number_text(post.units)} {unit}"
            for post in posts[:_SHOWN]
        ) + (f" + 另 {len(posts) - _SHOWN} 项" if len(posts) > _SHOWN else "")
        text = (
            f"岗位工资 {shown} = {yuan(needed)} 元，“{book.label(self.taken_from)}”只有 {yuan(pool)} 元，"
            f"差 {yuan(needed - pool)} 元"
        )
        if self.when_short == "refuse":
            book.refuse(text, '减少岗位、月数或标准，或写 when_short = "pro_rata"')
        book.warn(text + "，按比例减发")

    def _payment(
        self,
        post: PostInput,
        exact: Fraction,
        amount: int,
        place: tuple[Book, str, tuple[ExplanationStep, ...]],
    ) -> Payment:
        book, division, trail = place
        rate = yuan(self._rate(post, book))
        formula = f"{rate} 元 × {number_text(post.units)} {_UNITS[self.unit]}"
        if post.coefficient != 1:
            formula += f" × 考核系数 {number_text(post.coefficient)}"
        if post.headcount != 1:
            formula += f" × {post.headcount} 人"
        if amount != round_fen(exact):
            formula += f" = {yuan(round_fen(exact))} 元，按钱袋余额比例减发"
            exact = Fraction(amount)
        own = ExplanationStep(
            label=self.label or post.kind,
            formula=formula,
            inputs=(
                StepInput(post.kind, f"{rate} 元", post.id),
                StepInput("出勤", number_text(post.units), post.evidence),
            ),
            exact=exact,
            amount_fen=amount,
            clause=self.clause,
        )
        return Payment(
            purse=self.taken_from,
            division=division,
            payee_kind=PayeeKind.HOUSEHOLD if post.household_id else PayeeKind.PERSON,
            payee_id=post.household_id or post.id,
            amount_fen=amount,
            weight=post.units * post.coefficient,
            trail=(*trail, own),
            component=post.kind,
            village_code=post.village_code or division,
        )
