"""What a plan says that would do nothing, or not what its words mean: found before any money is in it.

Owns the checks for slips that give a plausible result: a percentage of an income that never enters the
purse, `60` where `"60%"` is meant, a test whose denominator never moves, a misspelt weight.
"""

from collections.abc import Iterator
from fractions import Fraction

from distribution.plans.document import Plan
from distribution.plans.notation.values import percent_text
from distribution.plans.primitives.base import Step
from distribution.plans.primitives.conditions.ratio_test import RatioTest
from distribution.plans.primitives.payments.weighted import Weighted
from distribution.plans.primitives.purses.pooling import Pooling
from distribution.types import Component
from store.problem import Problem

_WEIGHTS = ("equal", "persons", "class_persons", "enrolment", "households")
_SHARES = {
    "test": ("at_least", "at_most"),
    "actual_cost": ("cap_percent",),
    "clear_advance": ("percent",),
    "equal_split": ("share",),
}
"""The keys that hold a part of a whole, by kind of step; the others refuse more by themselves."""


def find_traps(plan: Plan) -> Iterator[Problem]:
    """Yield everything that would be carried out without an error and without its seeming effect."""
    yield from _gross_of_nothing(plan)
    yield from _more_than_the_whole(plan)
    yield from _idle_denominators(plan)
    yield from _misspelt_weights(plan)


def _gross_of_nothing(plan: Plan) -> Iterator[Problem]:
    """Find shares of the gross income of a purse into which no income is paid."""
    earning = {
        name for step in plan.steps if step.kind in {"income", "joint_income"} for name in step.gives_to()
    }
    sources = {step.name: next(iter(step.takes_from()), "") for step in plan.steps if step.name}
    for index, step in enumerate(plan.steps):
        purse = _gross_purse(step, sources)
        if purse and purse not in earning:
            yield Problem(
                plan.place_of_step(index),
                f"按“gross”（收入）的比例算，但没有收入直接计入钱袋“{plan.purse_label(purse)}”，结果总是 0",
                '改成 of = "remaining"（此刻余额），或写收入名，如 of = ["electricity"]',
            )


def _gross_purse(step: Step, sources: dict[str, str]) -> str:
    """Return the purse whose gross income a step takes a share of; empty for none."""
    kind = getattr(step, "kind", "")
    percent = getattr(step, "cap_percent" if kind == "actual_cost" else "percent", None)
    base = getattr(step, "cap_of" if kind == "actual_cost" else "of", None)
    if percent is None or base != "gross":
        return ""
    if kind == "aggregate_cap":
        return sources.get(getattr(step, "over", ("",))[0], "")
    return next(iter(step.takes_from()), "")


def _more_than_the_whole(plan: Plan) -> Iterator[Problem]:
    for index, step in enumerate(plan.steps):
        for key in _SHARES.get(step.kind, ()):
            share: Fraction | None = getattr(step, key)
            if share is not None and share > 1:
                meant = f'百分比要加引号和百分号，例如 {key} = "{share}%"' if share.denominator == 1 else ""
                yield Problem(
                    f"{plan.place('step', index, key)}（第 {index + 1} 步）",
                    f"{key} 是 {percent_text(share)}，超过 100%",
                    meant or "改成不超过 100% 的比例",
                )


def _idle_denominators(plan: Plan) -> Iterator[Problem]:
    """Find tests against purses that pay nobody and keep nothing, so that the denominator is always zero."""
    paying = {name for step in plan.steps for name in step.pays_from()}
    paying |= {purse.name for purse in plan.purses if purse.rest is not None}
    named = {step.name for step in plan.steps if step.name} | set(Component)
    for index, step in enumerate(plan.steps):
        if not isinstance(step, RatioTest) or isinstance(step.denominator, str):
            continue
        for name in step.denominator:
            if name not in paying | named:
                yield Problem(
                    f"{plan.place('step', index, 'denominator')}（第 {index + 1} 步）",
                    f"分母“{plan.purse_label(name)}”里的钱都分到别的钱袋去了，没有从它发出的钱，分母总是 0",
                    '写 denominator = "income"（可加 minus）、"distributable"，或发钱的钱袋',
                )


def _bare(name: str) -> str:
    """Return a name without what is often written in another way: case, plural, strokes, doubled letters."""
    return name.lower().replace("_", "").replace("-", "").replace("ll", "l").rstrip("s")


def _misspelt_weights(plan: Plan) -> Iterator[Problem]:
    for index, step in enumerate(plan.steps):
        if not isinstance(step, Weighted | Pooling) or step.weight in _WEIGHTS:
            continue
        close = [name for name in _WEIGHTS if _bare(name) == _bare(step.weight)]
        if close:
            yield Problem(
                f"{plan.place('step', index, 'weight')}（第 {index + 1} 步）",
                f"权重“{step.weight}”不是内置的，也太像“{close[0]}”，按它分会是 0",
                f'改成 weight = "{close[0]}"；确实是另一个量的，换一个名称',
            )
