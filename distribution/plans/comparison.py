"""What would change: two plans on the same input, or one month recomputed, per household with causes.

Owns the decomposition of a change into causes that add up to it, to the fen. It judges nothing. A fen
that only moved by rounding has the cause 尾差.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from distribution.money import round_fen, yuan
from distribution.plans.allocation import allocate
from distribution.plans.document import Plan
from distribution.types import Allocation, AllocationLine, PayeeKind, PlanInput


class CauseKind(StrEnum):
    """Why an amount changed."""

    POOL = "pool"
    SHARE = "share"
    ADDED = "added"
    REMOVED = "removed"
    RULE = "rule"
    SETTLEMENT = "settlement"
    COST = "cost"
    ENROLMENT = "enrolment"
    OTHER = "other"
    ROUNDING = "rounding"


CAUSE_LABELS: Mapping[CauseKind, str] = {
    CauseKind.POOL: "钱袋金额变化",
    CauseKind.SHARE: "份额或标准变化",
    CauseKind.ADDED: "新增一项",
    CauseKind.REMOVED: "取消一项",
    CauseKind.RULE: "分配方案变化",
    CauseKind.SETTLEMENT: "结算和到账变化",
    CauseKind.COST: "成本变化",
    CauseKind.ENROLMENT: "名册、岗位、积分变化",
    CauseKind.OTHER: "结转和累计数变化",
    CauseKind.ROUNDING: "尾差",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of a change: its kind, its words, and its part of the change [fen]."""

    kind: CauseKind
    text: str
    delta_fen: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one payee would get before and after, and why; the causes add up to the difference."""

    payee_kind: PayeeKind
    payee_id: str
    village_code: str
    old_fen: int
    new_fen: int
    causes: tuple[Cause, ...]

    @property
    def delta_fen(self) -> int:
        """New minus old [fen]."""
        return self.new_fen - self.old_fen


@dataclass(frozen=True, slots=True)
class TotalChange:
    """One total (a deduction, a purse) before and after [fen]."""

    name: str
    label: str
    old_fen: int
    new_fen: int


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """Two allocations side by side: totals, and every payee, households first, by size of the change."""

    old: Allocation
    new: Allocation
    deductions: tuple[TotalChange, ...]
    purses: tuple[TotalChange, ...]
    changes: tuple[Change, ...]

    @property
    def gaining(self) -> int:
        """Number of households that would get more."""
        return sum(1 for change in self._households() if change.delta_fen > 0)

    @property
    def losing(self) -> int:
        """Number of households that would get less."""
        return sum(1 for change in self._households() if change.delta_fen < 0)

    @property
    def unchanged(self) -> int:
        """Number of households that would get the same."""
        return sum(1 for change in self._households() if change.delta_fen == 0)

    def _households(self) -> list[Change]:
        return [change for change in self.changes if change.payee_kind is PayeeKind.HOUSEHOLD]


def diff(old_plan: Plan, new_plan: Plan, inputs: PlanInput) -> PlanDifference:
    """Return what would change for whom if the new plan applied instead of the old one.

    Raises ProblemsError when either plan cannot be satisfied with the input.
    """
    return compare(allocate(old_plan, inputs), allocate(new_plan, inputs))


def compare(old: Allocation, new: Allocation) -> PlanDifference:
    """Return two allocations side by side; each change is split into purse, share and rounding."""
    before, after = _by_payee(old.lines), _by_payee(new.lines)
    labels = {item.purse: item.label for item in (*old.purses, *new.purses)}
    pools = (_totals(old), _totals(new))
    changes = []
    for payee in before.keys() | after.keys():
        mine = (before.get(payee, {}), after.get(payee, {}))
        causes = tuple(
            cause
            for key in sorted(mine[0].keys() | mine[1].keys())
            for cause in _causes(key, mine, pools, labels.get(key[0], key[0]))
        )
        kind, payee_id = payee
        village = next((line.division_code for part in mine for line in part.values()), "")
        sums = [sum(line.amount_fen for line in part.values()) for part in mine]
        changes.append(Change(kind, payee_id, village, sums[0], sums[1], causes))
    changes.sort(key=_order)
    return PlanDifference(
        old,
        new,
        tuple(_total_changes(_deduction_totals(old), _deduction_totals(new))),
        tuple(_total_changes(_purse_totals(old), _purse_totals(new))),
        tuple(changes),
    )


@dataclass(frozen=True, slots=True)
class DifferenceSum:
    """Several differences (villages, months) added up: totals by name, and one change for each payee."""

    deductions: tuple[TotalChange, ...]
    purses: tuple[TotalChange, ...]
    changes: tuple[Change, ...]


def add_up(parts: Sequence[PlanDifference]) -> DifferenceSum:
    """Return the sum of several differences; where a payee is in more than one, causes are told by kind."""
    return DifferenceSum(
        _added_totals(part.deductions for part in parts),
        _added_totals(part.purses for part in parts),
        _added_changes(part.changes for part in parts),
    )


def _added_totals(parts: Iterable[Sequence[TotalChange]]) -> tuple[TotalChange, ...]:
    sums: dict[str, TotalChange] = {}
    for one in (one for part in parts for one in part):
        known = sums.get(one.name, TotalChange(one.name, one.label, 0, 0))
        old_fen, new_fen = known.old_fen + one.old_fen, known.new_fen + one.new_fen
        sums[one.name] = TotalChange(one.name, one.label, old_fen, new_fen)
    return tuple(sums.values())


def _added_changes(parts: Iterable[Sequence[Change]]) -> tuple[Change, ...]:
    grouped: dict[tuple[PayeeKind, str, str], list[Change]] = {}
    for one in (one for part in parts for one in part):
        grouped.setdefault((one.payee_kind, one.payee_id, one.village_code), []).append(one)
    return tuple(sorted((_added_change(mine) for mine in grouped.values()), key=_order))


def _added_change(mine: Sequence[Change]) -> Change:
    if len(mine) == 1:
        return mine[0]
    sums: dict[CauseKind, int] = {}
    for cause in (cause for one in mine for cause in one.causes):
        sums[cause.kind] = sums.get(cause.kind, 0) + cause.delta_fen
    return replace(
        mine[0],
        old_fen=sum(one.old_fen for one in mine),
        new_fen=sum(one.new_fen for one in mine),
        causes=tuple(Cause(kind, CAUSE_LABELS[kind], delta) for kind, delta in sums.items() if delta),
    )


def recompute(
    old: tuple[Plan, PlanInput], new: tuple[Plan, PlanInput]
) -> tuple[PlanDifference, tuple[Change, ...]]:
    """Return why a month's result changed: by plan, income, costs, roster or balances, one after another.

    Each of the causes is what changes when it alone is replaced on top of those before it, so that they
    add up per household. A change of one fen where the exact share moved by less is 尾差.
    Raises ProblemsError when a stage cannot be satisfied.
    """
    first = allocate(*old)
    stages = staged(old, new)
    last = stages[-1][1] if stages else first
    changes = [
        replace(change, causes=tuple(_stage_causes(change, first, stages)))
        for change in compare(first, last).changes
    ]
    return compare(first, last), tuple(changes)


def staged(old: tuple[Plan, PlanInput], new: tuple[Plan, PlanInput]) -> list[tuple[CauseKind, Allocation]]:
    """Return the allocation after each cause that is at work, one replaced after another, in fixed order.

    Raises ProblemsError when a stage cannot be satisfied.
    """
    stages: list[tuple[CauseKind, Allocation]] = []
    plan, inputs = old
    for kind, next_plan, next_inputs in _stages(old, new):
        if next_plan is not plan or next_inputs != inputs:
            stages.append((kind, allocate(next_plan, next_inputs)))
        plan, inputs = next_plan, next_inputs
    return stages


def _stages(
    old: tuple[Plan, PlanInput], new: tuple[Plan, PlanInput]
) -> Iterable[tuple[CauseKind, Plan, PlanInput]]:
    (_, before), (plan, after) = old, new
    yield CauseKind.RULE, plan, before
    step = replace(
        before,
        income=after.income,
        receivables=after.receivables,
        received_until=after.received_until,
        stations=after.stations,
        divisions=after.divisions,
    )
    yield CauseKind.SETTLEMENT, plan, step
    step = replace(step, costs=after.costs, quantities=after.quantities)
    yield CauseKind.COST, plan, step
    step = replace(step, households=after.households, posts=after.posts, spendings=after.spendings)
    yield CauseKind.ENROLMENT, plan, step
    yield CauseKind.OTHER, plan, after


def _stage_causes(
    change: Change, first: Allocation, stages: list[tuple[CauseKind, Allocation]]
) -> Iterable[Cause]:
    payee = (change.payee_kind, change.payee_id)
    before = _by_payee(first.lines).get(payee, {})
    for kind, allocation in stages:
        after = _by_payee(allocation.lines).get(payee, {})
        delta = _sum(after) - _sum(before)
        if delta:
            exact = _exact(after) - _exact(before)
            shown = CauseKind.ROUNDING if abs(delta) == 1 and abs(exact) < 1 else kind
            yield Cause(shown, CAUSE_LABELS[shown], delta)
        before = after


Key = tuple[str, str]
Mine = Mapping[Key, AllocationLine]


def _by_payee(lines: Iterable[AllocationLine]) -> dict[tuple[PayeeKind, str], dict[Key, AllocationLine]]:
    grouped: dict[tuple[PayeeKind, str], dict[Key, AllocationLine]] = {}
    for line in lines:
        mine = grouped.setdefault((line.payee_kind, line.payee_id), {})
        key = (line.purse, f"{line.component}|{line.division_code}")
        known = mine.get(key)
        mine[key] = line if known is None else replace(line, amount_fen=line.amount_fen + known.amount_fen)
    return grouped


def _sum(mine: Mine) -> int:
    return sum(line.amount_fen for line in mine.values())


def _exact(mine: Mine) -> Fraction:
    return sum((exact_of(line) for line in mine.values()), Fraction(0))


def exact_of(line: AllocationLine) -> Fraction:
    """Return a line's exact share [fen] before it was rounded, or its amount where nothing else is known."""
    last = line.explanation[-1] if line.explanation else None
    return (
        last.exact if last is not None and last.amount_fen == line.amount_fen else Fraction(line.amount_fen)
    )


def _totals(allocation: Allocation) -> dict[Key, int]:
    """Return what each purse pays to households, by purse and village [fen]."""
    sums: dict[Key, int] = {}
    for line in allocation.lines:
        key = (line.purse, line.division_code)
        sums[key] = sums.get(key, 0) + line.amount_fen
    return sums


def _causes(
    key: Key, mine: tuple[Mine, Mine], pools: tuple[dict[Key, int], dict[Key, int]], label: str
) -> Iterable[Cause]:
    old, new = mine[0].get(key), mine[1].get(key)
    if old is None and new is not None:
        yield Cause(CauseKind.ADDED, f"{label}：新增 {yuan(new.amount_fen)} 元", new.amount_fen)
    elif new is None and old is not None:
        yield Cause(CauseKind.REMOVED, f"{label}：取消 {yuan(old.amount_fen)} 元", -old.amount_fen)
    elif old is not None and new is not None and old.amount_fen != new.amount_fen:
        yield from _within(old, new, pools, label)


def _within(
    old: AllocationLine, new: AllocationLine, pools: tuple[dict[Key, int], dict[Key, int]], label: str
) -> Iterable[Cause]:
    """Split a change inside one purse into its pool, its share of the pool, and what rounding did."""
    before = pools[0][old.purse, old.division_code]
    after = pools[1][new.purse, new.division_code]
    old_share, new_share = exact_of(old) / before, exact_of(new) / after
    by_pool = round_fen((after - before) * old_share)
    by_share = round_fen(after * (new_share - old_share))
    if by_pool:
        text = f"{label}：钱袋 {yuan(before)} 元变为 {yuan(after)} 元"
        yield Cause(CauseKind.POOL, text, by_pool)
    if by_share:
        yield Cause(CauseKind.SHARE, f"{label}：{CAUSE_LABELS[CauseKind.SHARE]}", by_share)
    rest = new.amount_fen - old.amount_fen - by_pool - by_share
    if rest:
        yield Cause(CauseKind.ROUNDING, f"{label}：{CAUSE_LABELS[CauseKind.ROUNDING]}", rest)


def _order(change: Change) -> tuple[bool, int, str, str]:
    household = change.payee_kind is PayeeKind.HOUSEHOLD
    return (not household, change.delta_fen, change.payee_kind, change.payee_id)


Totals = dict[str, tuple[str, int]]


def _deduction_totals(allocation: Allocation) -> Totals:
    return {item.name: (item.label, item.amount_fen) for item in allocation.deductions}


def _purse_totals(allocation: Allocation) -> Totals:
    return {item.purse: (item.label, item.amount_fen) for item in allocation.purses}


def _total_changes(old: Totals, new: Totals) -> Iterable[TotalChange]:
    for name in dict.fromkeys((*old, *new)):
        label = (new.get(name) or old[name])[0]
        yield TotalChange(name, label, old.get(name, ("", 0))[1], new.get(name, ("", 0))[1])
