"""What a correction changes: the lines of a month computed anew against what was given, each with its causes.

Owns the arithmetic of a correction: old effective result + differences = new result, line by line, and the
causes of every line add up to it. Pure: no database, no clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from distribution.money import yuan
from distribution.plans.allocation import allocate
from distribution.plans.comparison import CAUSE_LABELS, CauseKind, exact_of, staged
from distribution.plans.document import Plan
from distribution.types import (
    Allocation,
    AllocationLine,
    Deduction,
    IncomePart,
    Netting,
    PayeeKind,
    PurseTotal,
    Step,
    StepInput,
)
from distribution.types import PlanInput as Inputs
from store.problem import Problem, ProblemsError

CAUSE = "cause"
"""The name of the input of an explanation step that holds the code of a cause."""
SAME_CORRECTION = "同一次更正内增减相抵"
UNDONE = "冲回以前更正多扣的款"
HOUSEHOLD_KINDS = frozenset({PayeeKind.HOUSEHOLD, PayeeKind.PERSON})
Key = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Given:
    """What a month has given until now: its first run and the corrections that were booked since."""

    results: tuple[Allocation, ...]
    plan: Plan
    inputs: Inputs


def correction(given: Given, plan: Plan, inputs: Inputs) -> Allocation:
    """Return the differences between what a plan and corrected inputs give and what was given.

    Lines, purses, deductions and income of the result are differences [fen] and may be negative; a line's
    explanation has one step per cause, then the sum. Raises ProblemsError when a stage cannot be satisfied.
    """
    stages = staged((given.plan, given.inputs), (plan, inputs))
    first = allocate(given.plan, given.inputs)
    new = stages[-1][1] if stages else first
    effective = _lines(given.results)
    steps = [(CauseKind.OTHER, _lines([first])), *((kind, _lines([one])) for kind, one in stages)]
    lines = tuple(_differences(effective, steps))
    income = _income(given.results, new)
    deductions = _deductions(given.results, new)
    carried = new.carried_in_fen - sum(one.carried_in_fen for one in given.results)
    if carried:
        what = f"期初结余会变动 {yuan(carried)} 元，更正不能改变已经结转的期初数"
        raise ProblemsError([Problem(inputs.period, what, "请核对方案中结转的钱袋")])
    result = replace(
        new,
        income=income,
        deductions=deductions,
        distributable_fen=sum(one.amount_fen for one in income) - sum(one.amount_fen for one in deductions),
        purses=_purses(lines, (*given.results, new)),
        lines=tuple(replace(line, line_no=number) for number, line in enumerate(lines, start=1)),
        carried_in_fen=0,
        tests=(),
        traces=(),
        nettings=(),
    )
    if result.distributable_fen != sum(line.amount_fen for line in result.lines):
        raise AssertionError("the differences of a correction do not close")
    return result


def key_of(line: AllocationLine) -> Key:
    """Return what makes a line the same line in another result of the month."""
    return (line.purse, line.payee_kind.value, line.payee_id, line.component, line.division_code)


def _lines(results: Iterable[Allocation]) -> dict[Key, AllocationLine]:
    """Return the lines of results by key, amounts and exact shares added up."""
    found: dict[Key, AllocationLine] = {}
    for line in (line for result in results for line in result.lines):
        key = key_of(line)
        known = found.get(key)
        total = line.amount_fen + _fen(known)
        found[key] = line if known is None else replace(line, amount_fen=total, explanation=())
    return found


def _differences(
    effective: Mapping[Key, AllocationLine], steps: Sequence[tuple[CauseKind, Mapping[Key, AllocationLine]]]
) -> Iterable[AllocationLine]:
    last = steps[-1][1]
    keys = list(last) + [key for key in effective if key not in last]
    for key in keys:
        causes = list(_causes(key, effective, steps))
        delta = sum(amount for _kind, amount in causes)
        if not delta:
            continue
        line = last.get(key) or effective[key]
        old, new = _fen(effective.get(key)), _fen(last.get(key))
        formula = f"更正后 {yuan(new)} 元 − 更正前 {yuan(old)} 元"
        clause = line.explanation[-1].clause if line.explanation else ""
        explained = [_step(kind, amount) for kind, amount in causes]
        inputs = (StepInput("更正后", yuan(new)), StepInput("更正前", yuan(old)))
        explained.append(Step("差额", formula, inputs, Fraction(delta), delta, clause))
        note = "；".join(f"{CAUSE_LABELS[kind]} {_signed(amount)}" for kind, amount in causes)
        yield replace(line, amount_fen=delta, explanation=tuple(explained), note=note, tie_break="")


def _causes(
    key: Key,
    effective: Mapping[Key, AllocationLine],
    steps: Sequence[tuple[CauseKind, Mapping[Key, AllocationLine]]],
) -> Iterable[tuple[CauseKind, int]]:
    sums: dict[CauseKind, int] = {}
    before = effective.get(key)
    for kind, lines in steps:
        after = lines.get(key)
        delta = _fen(after) - _fen(before)
        if delta:
            shown = (
                CauseKind.ROUNDING if abs(delta) == 1 and abs(_exact(after) - _exact(before)) < 1 else kind
            )
            sums[shown] = sums.get(shown, 0) + delta
        before = after
    yield from ((kind, delta) for kind, delta in sums.items() if delta)


def _step(kind: CauseKind, amount_fen: int) -> Step:
    label = CAUSE_LABELS[kind]
    return Step(
        label,
        f"{label} {_signed(amount_fen)} 元",
        (StepInput(CAUSE, kind.value),),
        Fraction(amount_fen),
        amount_fen,
    )


def _signed(amount_fen: int) -> str:
    return f"{'+' if amount_fen > 0 else '−'}{yuan(abs(amount_fen))}"


def _fen(line: AllocationLine | None) -> int:
    return 0 if line is None else line.amount_fen


def _exact(line: AllocationLine | None) -> Fraction:
    return Fraction(0) if line is None else exact_of(line)


def _income(results: Sequence[Allocation], new: Allocation) -> tuple[IncomePart, ...]:
    sums: dict[tuple[str, str, str], IncomePart] = {}
    signed = [(part, 1) for part in new.income]
    signed += [(part, -1) for result in results for part in result.income]
    for part, sign in signed:
        key = (part.component.value, part.source, part.station_id)
        known = sums.get(key)
        amount = sign * part.amount_fen + (0 if known is None else known.amount_fen)
        sums[key] = replace(known or part, amount_fen=amount)
    return tuple(part for part in sums.values() if part.amount_fen)


def _deductions(results: Sequence[Allocation], new: Allocation) -> tuple[Deduction, ...]:
    sums: dict[str, Deduction] = {}
    signed = [(one, 1) for one in new.deductions]
    signed += [(one, -1) for result in results for one in result.deductions]
    for one, sign in signed:
        known = sums.get(one.name)
        amount = sign * one.amount_fen + (0 if known is None else known.amount_fen)
        sums[one.name] = replace(known or one, amount_fen=amount, explanation=())
    return tuple(one for one in sums.values() if one.amount_fen)


def _purses(lines: Sequence[AllocationLine], results: Sequence[Allocation]) -> tuple[PurseTotal, ...]:
    labels = {purse.purse: purse.label for result in results for purse in result.purses}
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.purse] = sums.get(line.purse, 0) + line.amount_fen
    return tuple(PurseTotal(purse, label, sums[purse]) for purse, label in labels.items() if purse in sums)


@dataclass(frozen=True, slots=True)
class Change:
    """What a correction changes for one payee [fen], and why; the causes add up to the difference."""

    payee_kind: PayeeKind
    payee_id: str
    delta_fen: int
    causes: tuple[tuple[str, int], ...]
    line_numbers: tuple[int, ...]


def changes_of(result: Allocation) -> tuple[Change, ...]:
    """Return a correction by payee: households first, the largest loss first; causes by code."""
    grouped: dict[tuple[PayeeKind, str], list[AllocationLine]] = {}
    for line in result.lines:
        grouped.setdefault((line.payee_kind, line.payee_id), []).append(line)
    found = [
        Change(
            kind,
            payee,
            sum(line.amount_fen for line in mine),
            tuple(sorted(causes_of(mine).items())),
            tuple(line.line_no for line in mine),
        )
        for (kind, payee), mine in grouped.items()
    ]
    found.sort(key=lambda one: (one.payee_kind not in HOUSEHOLD_KINDS, one.delta_fen, one.payee_id))
    return tuple(found)


def causes_of(lines: Iterable[AllocationLine]) -> dict[str, int]:
    """Return the causes of a correction's lines, by code [fen]."""
    sums: dict[str, int] = {}
    for step in (step for line in lines for step in line.explanation):
        for given in step.inputs:
            if given.name == CAUSE:
                sums[given.value] = sums.get(given.value, 0) + step.amount_fen
    return {code: amount for code, amount in sums.items() if amount}


def offsets(result: Allocation, undoable: Mapping[str, int]) -> tuple[Netting, ...]:
    """Return what of each household's additions is settled against what the corrections take from it.

    `undoable` is what earlier corrections of the month took and is still owed [fen], by household.
    """
    added: dict[str, int] = {}
    taken: dict[str, int] = {}
    for line in result.lines:
        if line.payee_kind in HOUSEHOLD_KINDS:
            side = added if line.amount_fen > 0 else taken
            side[line.payee_id] = side.get(line.payee_id, 0) + abs(line.amount_fen)
    found = []
    for household in sorted(added):
        owed = taken.get(household, 0) + undoable.get(household, 0)
        amount = min(added[household], owed)
        if amount:
            clause = UNDONE if undoable.get(household) else SAME_CORRECTION
            found.append(Netting(household, amount, owed, clause))
    return tuple(found)
