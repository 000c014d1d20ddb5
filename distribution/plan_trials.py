"""What a plan would have done with past months: every village's frozen input, computed anew and compared.

Owns the trial over months and villages, and the sums over them. Nothing is kept and nothing changes; the
allocation and the comparison themselves are `distribution.plans`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from distribution.approval.runs import Run, allocation_of, inputs_of, runs
from distribution.plans.allocation import allocate
from distribution.plans.comparison import Change, PlanDifference, TotalChange, add_up, compare
from distribution.plans.document import Plan
from distribution.types import PayeeKind
from registry.actors import Actor, Permission, area_prefix
from store.problem import Problem, ProblemsError

REGULAR = "regular"


@dataclass(frozen=True, slots=True)
class VillageTrial:
    """One village's month under the plan: the difference, or the problems for which there is none."""

    village_code: str
    month: str
    run_id: str
    difference: PlanDifference | None
    problems: tuple[Problem, ...] = ()

    @property
    def old_fen(self) -> int:
        """What households got [fen]."""
        return self._sum("old_fen")

    @property
    def new_fen(self) -> int:
        """What households would have got [fen]."""
        return self._sum("new_fen")

    def _sum(self, field: str) -> int:
        changes = self.difference.changes if self.difference is not None else ()
        return sum(getattr(one, field) for one in changes if one.payee_kind is PayeeKind.HOUSEHOLD)


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan tried on past months: villages by code and month, and sums over those that could be computed.

    `changes` are per payee over all months, households first and the largest loss first; the causes of
    each add up to its difference.
    """

    plan: Plan
    months: tuple[str, ...]
    villages: tuple[VillageTrial, ...]
    deductions: tuple[TotalChange, ...]
    purses: tuple[TotalChange, ...]
    changes: tuple[Change, ...]

    @property
    def households(self) -> tuple[Change, ...]:
        """The changes of households, the largest loss first."""
        return tuple(one for one in self.changes if one.payee_kind is PayeeKind.HOUSEHOLD)

    @property
    def computed(self) -> int:
        """How many of the villages' months could be computed."""
        return sum(1 for one in self.villages if one.difference is not None)


def try_plan(session: Session, actor: Actor, plan: Plan, months: Sequence[str]) -> Trial:
    """Try a plan on the regular runs of past months in the actor's area and the plan's scope.

    `months` are periods such as `2026-10`. Each run's frozen input is allocated anew and compared with its
    frozen allocation; a village for which the plan cannot be satisfied is told with its problems.
    """
    actor.require(Permission.VIEW_MONEY)
    chosen = tuple(sorted(set(months)))
    villages = tuple(
        _village(session, actor, plan, run)
        for month in chosen
        for run in runs(session, actor, period=month)
        if run.kind == REGULAR and _covers(plan, run.book)
    )
    sums = add_up([one.difference for one in villages if one.difference is not None])
    return Trial(
        plan=plan,
        months=chosen,
        villages=tuple(sorted(villages, key=lambda one: (one.village_code, one.month))),
        deductions=sums.deductions,
        purses=sums.purses,
        changes=sums.changes,
    )


def _covers(plan: Plan, village_code: str) -> bool:
    return not plan.scope or any(village_code.startswith(area_prefix(code)) for code in plan.scope)


def _village(session: Session, actor: Actor, plan: Plan, run: Run) -> VillageTrial:
    inputs, before = inputs_of(session, actor, run.id), allocation_of(session, actor, run.id)
    try:
        difference = compare(before, allocate(plan, inputs))
    except ProblemsError as error:
        return VillageTrial(run.book, run.period, run.id, None, tuple(error.problems))
    return VillageTrial(run.book, run.period, run.id, difference)
