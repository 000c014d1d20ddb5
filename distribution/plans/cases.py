"""A plan's own test cases: worked examples in its file that it must reproduce to the fen.

Owns comparing what an allocation gives with what a case expects. Publishing a plan runs its cases.
"""

from collections.abc import Iterator, Mapping

from distribution.money import yuan
from distribution.plans.allocation import allocate
from distribution.plans.document import Case, Expect, Plan
from distribution.plans.inputs import parse_input
from distribution.types import Allocation
from store.problem import Problem, ProblemsError


def run_cases(plan: Plan) -> list[Problem]:
    """Run every case of a plan and return what differs; an empty list means that all hold."""
    return [
        problem
        for number, case in enumerate(plan.cases)
        for problem in run_case(plan, case, plan.place("case", number))
    ]


def run_case(plan: Plan, case: Case, place: str) -> list[Problem]:
    """Run one case and return what differs from what it expects."""
    where = f"{place}（用例“{case.name}”）"
    try:
        inputs = parse_input(case.input, where)
        allocation = allocate(plan, inputs)
    except ProblemsError as error:
        text = str(error)
        if case.expect.refused and case.expect.refused in text:
            return []
        expected = f"应因“{case.expect.refused}”被拒，" if case.expect.refused else ""
        return [Problem(where, f"{expected}算不出来：{text}", "改正方案或用例")]
    if case.expect.refused:
        return [Problem(where, f"应因“{case.expect.refused}”被拒，却算出了结果", "改正方案或用例")]
    return [Problem(where, text, "改正方案或用例") for text in differences(case.expect, allocation)]


def differences(expect: Expect, allocation: Allocation) -> Iterator[str]:
    """Yield each figure that is not as expected, with both amounts."""
    totals = {"distributable": expect.distributable, "carried_in": expect.carried_in}
    given = {"distributable": allocation.distributable_fen, "carried_in": allocation.carried_in_fen}
    yield from _compare({name: fen for name, fen in totals.items() if fen is not None}, given, "totals")
    yield from _compare(
        expect.deductions, {item.name: item.amount_fen for item in allocation.deductions}, "deductions"
    )
    yield from _compare(expect.purses, {item.purse: item.amount_fen for item in allocation.purses}, "purses")
    yield from _compare(expect.lines, line_sums(allocation), "lines")
    yield from _compare(
        expect.nettings, {one.household_id: one.amount_fen for one in allocation.nettings}, "nettings"
    )
    outcomes = {test.name: test.passed for test in allocation.tests}
    for name, passed in expect.tests.items():
        if outcomes.get(name) is not passed:
            yield f"tests.{name} 应{'达到' if passed else '没有达到'}，结果相反或没有这项检验"
    for text in expect.warns:
        if not any(text in warning for warning in allocation.warnings):
            yield f"应有提醒“{text}”，实际：{'；'.join(allocation.warnings) or '没有提醒'}"


def line_sums(allocation: Allocation) -> dict[str, int]:
    """Return the amounts [fen] by `purse/payee`."""
    sums: dict[str, int] = {}
    for line in allocation.lines:
        key = f"{line.purse}/{line.payee_id}"
        sums[key] = sums.get(key, 0) + line.amount_fen
    return sums


def _compare(expected: Mapping[str, int], given: Mapping[str, int], kind: str) -> Iterator[str]:
    for name, amount in expected.items():
        actual = given.get(name, 0)
        if actual != amount:
            gap = yuan(actual - amount)
            yield f"{kind}.{name} 应为 {yuan(amount)} 元，算出 {yuan(actual)} 元，差 {gap} 元"
