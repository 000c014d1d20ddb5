"""Distribution plans: every version with its text and life, and what one would have done with past months."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session

from api.resources.settlements import MONTH, FromRecord
from dashboards.web import NotFoundError, RowNumber, reading, requires
from distribution.plan_trials import try_plan
from distribution.plans.document import load_plan
from distribution.plans.tables import (
    NoPlanPublishedError,
    PlanSummary,
    plan_list,
    plan_text,
    publications,
    states_of,
)
from registry.actors import Actor, Permission

router = APIRouter(prefix="/plans", tags=["分配方案"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]


class PlanOut(FromRecord):
    """One version of a plan and how far it has come."""

    plan_id: str
    version: int
    title: str
    content_hash: str
    state: str


class StateOut(FromRecord):
    """A state that a version has reached, when and why."""

    state: str
    at: datetime
    reason: str


class PublicationOut(FromRecord):
    """Where and when a version applies; an empty code is everywhere, `valid_to` is the first day after."""

    division_code: str
    valid_from: date
    valid_to: date | None


class PlanTextOut(PlanOut):
    """A version with its text (TOML), its states and where it applies."""

    text: str
    states: list[StateOut]
    publications: list[PublicationOut]


class CauseOut(FromRecord):
    """One cause of a change [fen]; the causes of a change add up to it."""

    kind: str
    text: str
    delta_fen: int


class ChangeOut(FromRecord):
    """What one payee got, would have got, and why [fen]."""

    payee_kind: str
    payee_id: str
    village_code: str
    old_fen: int
    new_fen: int
    causes: list[CauseOut]


class TotalOut(FromRecord):
    """A deduction or purse over all villages and months [fen]."""

    name: str
    label: str
    old_fen: int
    new_fen: int


class ProblemOut(FromRecord):
    """Why a village's month could not be computed with the plan."""

    village_code: str
    month: str
    where: str
    what: str
    how_to_fix: str


class TrialOut(FromRecord):
    """A plan tried on past months; nothing is kept by it. Households come first, the largest loss first."""

    months: list[str]
    computed: int
    deductions: list[TotalOut]
    purses: list[TotalOut]
    changes: list[ChangeOut]
    problems: list[ProblemOut]


@router.get("")
def list_plans(_actor: Reader, session: Reading) -> list[PlanOut]:
    """Return every kept version of every plan."""
    return [PlanOut.model_validate(one) for one in plan_list(session)]


def _summary(session: Session, plan_id: str, version: int) -> PlanSummary:
    for one in plan_list(session):
        if (one.plan_id, one.version) == (plan_id, version):
            return one
    raise NotFoundError(plan_id)


@router.get("/{plan_id}/{version}")
def show_plan(plan_id: str, version: RowNumber, _actor: Reader, session: Reading) -> PlanTextOut:
    """Return a version with its text, its states and where it applies."""
    summary = _summary(session, plan_id, version)
    return PlanTextOut(
        **PlanOut.model_validate(summary).model_dump(),
        text=plan_text(session, plan_id, version),
        states=[StateOut.model_validate(one) for one in states_of(session, plan_id, version)],
        publications=[
            PublicationOut.model_validate(one)
            for one in publications(session)
            if (one.plan_id, one.version) == (plan_id, version)
        ],
    )


@router.get("/{plan_id}/{version}/trial")
def show_trial(
    plan_id: str,
    version: RowNumber,
    actor: Reader,
    session: Reading,
    month: Annotated[list[Annotated[str, Query(pattern=MONTH)]], Query(min_length=1, max_length=12)],
) -> TrialOut:
    """Return what a version would have done with months that were computed; `month` may be repeated."""
    try:
        plan = load_plan(plan_text(session, plan_id, version))
    except NoPlanPublishedError as error:
        raise NotFoundError(plan_id) from error
    trial = try_plan(session, actor, plan, month)
    problems = [
        ProblemOut(
            village_code=one.village_code,
            month=one.month,
            where=problem.where,
            what=problem.what,
            how_to_fix=problem.how_to_fix,
        )
        for one in trial.villages
        for problem in one.problems
    ]
    return TrialOut(
        months=list(trial.months),
        computed=trial.computed,
        deductions=[TotalOut.model_validate(one) for one in trial.deductions],
        purses=[TotalOut.model_validate(one) for one in trial.purses],
        changes=[ChangeOut.model_validate(one) for one in trial.changes],
        problems=problems,
    )
