"""One version of a plan: what it says, how far it has come, and the next step of its life.

Owns the page and the forms of testing, approving, publishing and retiring. The order of the states, and
who may take which step, is `distribution.plans`'.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.files import attached
from dashboards.month_work import month_choices
from dashboards.pages.planning.plans import CRUMB, TOML, Editor, KeptText, Reader, Reading, applies, kept_text
from dashboards.web import RowNumber, check_form, redirect, render, requires, services_of
from distribution.plans.document import Plan, load_plan, plan_hash
from distribution.plans.primitives import KIND_WORDS, AnyStep
from distribution.plans.states import PlanState, StateChange
from distribution.plans.tables import (
    OwnPlanError,
    StateRecord,
    advance,
    publications,
    retire,
    state_of,
    states_of,
)
from registry.actors import Actor, Permission
from registry.divisions import division_names
from registry.users import user_names
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Approver = Annotated[Actor, Depends(requires(Permission.APPROVE_COUNTY))]
_REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the plan in words."""

    number: int
    label: str
    money: str
    clause: str


@dataclass(frozen=True, slots=True)
class History:
    """A state that was reached, by whom."""

    record: StateRecord
    who: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """A version with its steps, its life, and what this reader may do next."""

    plan: Plan
    digest: str
    state: PlanState
    applies: tuple[str, ...]
    steps: tuple[StepRow, ...]
    history: tuple[History, ...]
    text: str
    months: tuple[str, ...]
    offered: str
    why_not: str
    problems: tuple[Problem, ...] = ()
    message: str = ""


@router.get("/plans/{plan_id}/{version}")  # noqa: FAST003, KeptText reads the address
def show_plan(
    request: Request, actor: Reader, session: Reading, text: KeptText, done: str = ""
) -> HTMLResponse:
    """Show a version, its steps and its history."""
    message = {"saved": "已存为草稿。", "moved": "已记录。"}.get(done, "")
    return _page(request, session, actor, text, message=message)


def _page(  # noqa: PLR0913, a page from a request, with what became of the last step
    request: Request,
    session: Session,
    actor: Actor,
    text: str,
    *,
    problems: tuple[Problem, ...] = (),
    message: str = "",
) -> HTMLResponse:
    plan = load_plan(text)
    people, names = user_names(session), division_names(session)
    state = state_of(session, plan)
    history = tuple(
        History(one, people.get(one.by, "命令行操作员")) for one in states_of(session, plan.id, plan.version)
    )
    offered, why_not = _offered(actor, state, history)
    view = PlanView(
        plan=plan,
        digest=plan_hash(plan),
        state=state,
        applies=tuple(
            applies(one, names)
            for one in publications(session)
            if (one.plan_id, one.version) == (plan.id, plan.version)
        ),
        steps=_steps(plan),
        history=history,
        text=text,
        months=month_choices(services_of(request).clock()),
        offered=offered,
        why_not=why_not,
        problems=problems,
        message=message,
    )
    return render(
        request, "planning/plan.html", f"{plan.title} 第 {plan.version} 版", crumbs=(CRUMB,), view=view
    )


def _offered(actor: Actor, state: PlanState, history: tuple[History, ...]) -> tuple[str, str]:
    """Return the next state that is offered to the reader, or none and why."""
    if state is PlanState.RETIRED:
        return "", ""
    wanted = list(PlanState)[state.rank + 1]
    needed = Permission.EDIT_REGISTRY if wanted is PlanState.TESTED else Permission.APPROVE_COUNTY
    if not actor.may(needed):
        return "", f"下一步“{wanted.label}”由县级办理。"
    if wanted is PlanState.APPROVED and history and history[0].record.by == actor.user_id:
        return "", "这一版是您保存的，请另一位县级人员批准。"
    return wanted.value, ""


def _steps(plan: Plan) -> tuple[StepRow, ...]:
    return tuple(
        StepRow(
            number,
            step.label or KIND_WORDS[step.kind],
            _money(plan, step),
            step.clause,
        )
        for number, step in enumerate(plan.steps, start=1)
    )


def _money(plan: Plan, step: AnyStep) -> str:
    def words(names: Iterable[str]) -> str:
        return "、".join(plan.purse_label(name) for name in dict.fromkeys(names))

    payer, source, target = words(step.pays_from()), words(step.takes_from()), words(step.gives_to())
    if payer:
        return f"从{payer}发放"
    if source:
        return f"{source} → {target}" if target else f"从{source}列支"
    return f"进入{target}" if target else ""


@router.get("/plans/{plan_id}/{version}/file")
def plan_file(actor: Reader, text: KeptText, plan_id: str, version: RowNumber) -> Response:  # noqa: ARG001, the rule is the actor
    """Hand out a version's text as it was saved."""
    return attached(text.encode(), TOML, f"{plan_id}-{version}.toml")


Step = Callable[[Session, Plan, datetime], None]


def _move(request: Request, actor: Actor, key: tuple[str, int], step: Step) -> Response:
    """Take a step of a version's life, or show why it cannot be taken."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            step(session, load_plan(kept_text(session, *key)), services.clock())
    except OwnPlanError as error:
        problems: tuple[Problem, ...] = (Problem("批准", str(error), "请另一位县级人员登录后办理"),)
    except ProblemsError as error:
        problems = tuple(error.problems)
    else:
        return redirect(f"/plans/{key[0]}/{key[1]}", done="moved")
    with services.database.reading() as session:
        return _page(request, session, actor, kept_text(session, *key), problems=problems)


def _advance(request: Request, actor: Actor, key: tuple[str, int], change: StateChange) -> Response:
    return _move(request, actor, key, lambda session, plan, now: advance(session, actor, plan, change, now))


@router.post("/plans/{plan_id}/{version}/tested", dependencies=[Depends(check_form)])
def mark_tested(request: Request, actor: Editor, plan_id: str, version: RowNumber) -> Response:
    """Run the checks and cases of a draft, and keep that they passed."""
    change = StateChange(PlanState.TESTED, "自查和自带算例通过")
    return _advance(request, actor, (plan_id, version), change)


@router.post("/plans/{plan_id}/{version}/approved", dependencies=[Depends(check_form)])
def approve(
    request: Request,
    actor: Approver,
    plan_id: str,
    version: RowNumber,
    reason: Annotated[str, Form(min_length=1, max_length=_REASON_LENGTH)],
) -> Response:
    """Approve a tested version that somebody else saved, on a document."""
    change = StateChange(PlanState.APPROVED, reason)
    return _advance(request, actor, (plan_id, version), change)


@router.post("/plans/{plan_id}/{version}/published", dependencies=[Depends(check_form)])
def publish_plan(request: Request, actor: Approver, plan_id: str, version: RowNumber) -> Response:
    """Publish an approved version for its scope and dates."""
    change = StateChange(PlanState.PUBLISHED, "")
    return _advance(request, actor, (plan_id, version), change)


@router.post("/plans/{plan_id}/{version}/retired", dependencies=[Depends(check_form)])
def retire_plan(
    request: Request, actor: Approver, plan_id: str, version: RowNumber, on: Annotated[date, Form()]
) -> Response:
    """End a published version; `on` is the first day on which it no longer applies."""
    return _move(
        request,
        actor,
        (plan_id, version),
        lambda session, plan, now: retire(session, actor, plan, on=on, now=now),
    )
