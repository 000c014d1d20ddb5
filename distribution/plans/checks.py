"""What is wrong with a plan before any money is in it: each fault with its place and arithmetic.

Owns the checks across steps: names, purses that lead nowhere, cycles, shares above the whole. What only
shows with figures (a floor above the pool) is refused by the allocation itself.
"""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from distribution.plans.document import Plan
from distribution.plans.notation.values import percent_text
from distribution.plans.primitives.deductions.reserve import Reserve
from distribution.plans.primitives.deductions.waterfall import Waterfall
from distribution.plans.traps import find_traps
from store.problem import Problem

_CODE = re.compile(r"^\d{12}$")


def check_plan(plan: Plan) -> list[Problem]:
    """Return everything that keeps a plan from working; an empty list means that it can be tried."""
    return [
        *_doubled_names(plan),
        *_unknown_names(plan),
        *_unknown_classes(plan),
        *_own_faults(plan),
        *_shares_above_the_whole(plan),
        *_cycles(plan),
        *_dead_ends(plan),
        *_order(plan),
        *_income(plan),
        *_costs(plan),
        *_scope(plan),
        *find_traps(plan),
    ]


def _doubled_names(plan: Plan) -> Iterator[Problem]:
    groups: tuple[tuple[str, list[str]], ...] = (
        ("purse", [purse.name for purse in plan.purses]),
        ("class", [entry.name for entry in plan.classes]),
        ("step", [step.name for step in plan.steps]),
    )
    for key, names in groups:
        for index, name in enumerate(names):
            if name and name in names[:index]:
                yield Problem(plan.place(key, index), f"名称“{name}”用了两次", "改成不同的名称")


def _unknown_names(plan: Plan) -> Iterator[Problem]:
    purses = {purse.name for purse in plan.purses}
    steps = {step.name for step in plan.steps if step.name}
    for index, step in enumerate(plan.steps):
        for name in dict.fromkeys((*step.takes_from(), *step.gives_to(), *step.pays_from())):
            if name not in purses:
                known = "、".join(sorted(purses))
                yield Problem(
                    plan.place_of_step(index), f"没有钱袋“{name}”", f"用 [[purse]] 定义它，或改成：{known}"
                )
        for name in step.refers_to():
            if name not in purses | steps:
                yield Problem(
                    plan.place_of_step(index), f"没有叫“{name}”的钱袋或步骤", "检查拼写，或给那一步写上 name"
                )


def _unknown_classes(plan: Plan) -> Iterator[Problem]:
    known = {entry.name for entry in plan.classes}
    for index, step in enumerate(plan.steps):
        for name in dict.fromkeys(step.classes_used()):
            if name not in known:
                defined = "、".join(sorted(known)) or "还没有定义任何类别"
                yield Problem(
                    plan.place_of_step(index),
                    f"类别“{name}”没有定义",
                    f"用 [[class]] 定义它；已定义：{defined}",
                )


def _own_faults(plan: Plan) -> Iterator[Problem]:
    for index, step in enumerate(plan.steps):
        for key, what, how in step.faults(plan):
            yield Problem(f"{plan.place('step', index, key)}（第 {index + 1} 步）", what, how)


def _shares_above_the_whole(plan: Plan) -> Iterator[Problem]:
    """Find purses from which percentages of the gross income above 100 % are deducted."""
    taken: dict[str, list[tuple[int, Fraction]]] = {}
    for index, step in enumerate(plan.steps):
        if isinstance(step, Waterfall | Reserve) and step.percent is not None and step.of == "gross":
            taken.setdefault(step.taken_from, []).append((index, step.percent))
    for purse, parts in taken.items():
        total = sum((percent for _, percent in parts), Fraction(0))
        if total > 1:
            text = " + ".join(percent_text(percent) for _, percent in parts)
            label = plan.purse_label(purse)
            yield Problem(
                plan.place_of_step(parts[-1][0]),
                f"从“{label}”按收入扣除的比例合计超过 100%：{text} = {percent_text(total)}",
                "调低扣除比例",
            )


def _edges(plan: Plan) -> Iterator[tuple[int, str, str]]:
    for index, step in enumerate(plan.steps):
        for source in step.takes_from():
            for target in step.gives_to():
                yield index, source, target


def _cycles(plan: Plan) -> Iterator[Problem]:
    following: dict[str, set[str]] = {}
    for index, source, target in _edges(plan):
        path = _way(following, target, source)
        if path:
            labels = " → ".join(plan.purse_label(name) for name in [source, *path])
            yield Problem(
                plan.place_of_step(index),
                f"钱袋之间成了圈：{labels}，钱会转回来",
                "去掉其中一步，让钱只往一个方向走",
            )
        following.setdefault(source, set()).add(target)


def _way(following: dict[str, set[str]], start: str, end: str) -> list[str]:
    """Return a way along the steps from one purse to another, both included; empty where there is none."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop()
        if way[-1] == end:
            return way
        for name in sorted(following.get(way[-1], set()) - seen):
            seen.add(name)
            ways.append([*way, name])
    return []


def _all(plan: Plan, names: str) -> set[str]:
    return {name for step in plan.steps for name in getattr(step, names)()}


def _dead_ends(plan: Plan) -> Iterator[Problem]:
    given, taken, paid = (_all(plan, names) for names in ("gives_to", "takes_from", "pays_from"))
    for index, purse in enumerate(plan.purses):
        place = plan.place("purse", index)
        if purse.name not in given:
            yield Problem(place, f"没有一步往钱袋“{purse.label}”里放钱", "加一步放钱，或去掉这个钱袋")
        elif purse.rest is None and purse.name not in taken | paid:
            yield Problem(
                place,
                f"钱袋“{purse.label}”里的钱没有人可以领：没有一步从中发放，也没有写 rest",
                "加一步发放，或写 rest 说明余额归谁",
            )


def _order(plan: Plan) -> Iterator[Problem]:
    filled = {purse.name for purse in plan.purses if purse.rest in {"carry_over", "works"}}
    ever = _all(plan, "gives_to")
    for index, step in enumerate(plan.steps):
        for name in step.takes_from():
            if name in ever - filled:
                yield Problem(
                    plan.place_of_step(index),
                    f"这一步从“{plan.purse_label(name)}”取钱，但在它之前没有一步往里放钱",
                    "把步骤按先后顺序排列",
                )
        filled |= set(step.gives_to())


def _income(plan: Plan) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, step in enumerate(plan.steps):
        for component in _components_taken_in(step):
            if component in seen and _overlap(plan, seen[component], index):
                yield Problem(
                    plan.place_of_step(index),
                    f"收入“{component}”在第 {seen[component] + 1} 步已经计入，这里又计一次",
                    "一种收入只计入一次",
                )
            seen.setdefault(component, index)
    if not any(step.kind in {"income", "joint_income"} for step in plan.steps):
        yield Problem(plan.place("step", 0), "没有一步计入收入", '加一步 kind = "income"')


def _components_taken_in(step: object) -> Iterable[str]:
    """Return the components that a step takes in whole; one that names its stations leaves the others."""
    whole = getattr(step, "kind", "") in {"income", "joint_income"} and not getattr(step, "stations", ())
    return getattr(step, "components", ()) if whole else ()


def _overlap(plan: Plan, first: int, second: int) -> bool:
    one, other = plan.steps[first], plan.steps[second]
    separate = (one.valid_to and other.valid_from and one.valid_to <= other.valid_from) or (
        other.valid_to and one.valid_from and other.valid_to <= one.valid_from
    )
    return not separate


def _costs(plan: Plan) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, step in enumerate(plan.steps):
        for kind in getattr(step, "costs", ()):
            if kind in seen and _overlap(plan, seen[kind], index):
                what = f"成本“{kind}”在第 {seen[kind] + 1} 步已经扣除，这里又扣一次"
                yield Problem(plan.place_of_step(index), what, "一种成本只扣一次")
            seen.setdefault(kind, index)


def _scope(plan: Plan) -> Iterator[Problem]:
    for code in plan.scope:
        if not _CODE.match(code):
            yield Problem(plan.place("scope"), f"“{code}”不是 12 位区划代码", "写成 12 位，例如 520499000000")
