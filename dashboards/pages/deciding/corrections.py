"""Putting a booked month right: what a correction changes for whom and why, late money, who owes back.

Owns the pages on which a month is chosen, the differences are looked at, and a correction or top-up is
started. The run that follows is decided on its own page; the arithmetic is `distribution.closing`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.charts import difference_chart
from dashboards.month_work import chosen_month, month_choices
from dashboards.web import (
    Crumb,
    NotFoundError,
    check_form,
    reading,
    redirect,
    render,
    requires,
    services_of,
)
from distribution.approval.noticing.notices import posted_names
from distribution.approval.runs import ApprovalError, Run, run, runs
from distribution.approval.states import BOOKED
from distribution.closing.corrections import (
    CORRECTION,
    KIND_NAMES,
    CorrectionDraft,
    compute_top_up,
    corrections_of,
    draft_correction,
    owed_by,
    start_correction,
)
from distribution.closing.deltas import HOUSEHOLD_KINDS, Change
from distribution.plan_inputs import late_months
from distribution.plans.comparison import CAUSE_LABELS, CauseKind
from distribution.types import PayeeKind
from registry.actors import Actor, Permission
from registry.divisions import Division, division_name, villages
from store.periods import Period
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Computer = Annotated[Actor, Depends(requires(Permission.COMPUTE_RUN))]
Reading = Annotated[Session, Depends(reading)]
_PAYEE_WORDS = {
    PayeeKind.VILLAGE_COLLECTIVE: "村集体",
    PayeeKind.PURSE: "结转的专项",
    PayeeKind.RESERVE: "储备金",
    PayeeKind.DIVISION: "其他单位",
    PayeeKind.SUPPLIER: "供应方",
}


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run of the month: what it is, where it stands, and the corrections of it."""

    run: Run
    word: str
    may_correct: bool
    corrections: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Debtor:
    """A household that owes back [fen]; the name is masked."""

    group: str
    name: str
    amount_fen: int
    href: str


@dataclass(frozen=True, slots=True)
class CorrectionsView:
    """The chosen village and month, its runs, late money, and who owes."""

    villages: Sequence[Division]
    village: str
    village_name: str
    month: str
    months: tuple[str, ...]
    runs: tuple[RunLine, ...]
    late: tuple[tuple[str, int], ...]
    debtors: tuple[Debtor, ...]
    may_compute: bool
    problems: Sequence[Problem] = ()


@router.get("/corrections")
def show_corrections(
    request: Request, actor: Reader, session: Reading, village: str = "", month: str = ""
) -> HTMLResponse:
    """Show a village's month with what can be put right in it."""
    return _list(request, session, actor, (village, month))


def _list(
    request: Request,
    session: Session,
    actor: Actor,
    place: tuple[str, str],
    problems: Sequence[Problem] = (),
) -> HTMLResponse:
    now = services_of(request).clock()
    every = villages(session, actor)
    code = place[0] if any(one.code == place[0] for one in every) else (every[0].code if every else "")
    month = chosen_month(place[1], now)
    names = posted_names(session, actor, code) if code else {}
    owed = owed_by(session, actor, code) if code else {}
    present = runs(session, actor, period=month, book=code) if code else ()
    view = CorrectionsView(
        villages=every,
        village=code,
        village_name=division_name(session, code) if code else "",
        month=month,
        months=month_choices(now),
        runs=tuple(_line(session, actor, one) for one in present if one.kind != CORRECTION),
        late=late_months(session, actor, code, now) if code else (),
        debtors=tuple(
            Debtor(*names.get(holder, ("", holder)), amount, f"/households/{holder}")
            for holder, amount in sorted(owed.items(), key=lambda item: -item[1])
        ),
        may_compute=actor.may(Permission.COMPUTE_RUN),
        problems=problems,
    )
    crumbs = (Crumb("本月工作", f"/work?month={month}"),)
    return render(request, "deciding/corrections.html", "更正与补发", crumbs=crumbs, view=view)


def _line(session: Session, actor: Actor, one: Run) -> RunLine:
    word = f"{KIND_NAMES[one.kind]}第 {one.version} 版"
    return RunLine(one, word, one.state in BOOKED, corrections_of(session, actor, one))


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One payee's difference [fen] with its causes in words; the name of a household is masked."""

    group: str
    name: str
    delta_fen: int
    causes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """What a correction would change: households, others, sums by cause, and a chart."""

    base: Run
    village_name: str
    rules: str
    plan: str
    households: tuple[DifferenceRow, ...]
    others: tuple[DifferenceRow, ...]
    sums: tuple[tuple[str, int], ...]
    gaining: int
    losing: int
    added_fen: int
    taken_fen: int
    income: tuple[tuple[str, int], ...]
    deductions: tuple[tuple[str, int], ...]
    is_empty: bool
    chart: dict[str, Any] | None
    may_compute: bool
    problems: Sequence[Problem] = ()


@router.get("/corrections/{run_id}")
def show_difference(
    request: Request,
    actor: Reader,
    session: Reading,
    run_id: str,
    rules: Literal["current", "original"] = "current",
) -> HTMLResponse:
    """Show what a booked run, computed anew, would change; nothing is kept."""
    base = _booked(session, actor, run_id)
    try:
        drafted = draft_correction(session, actor, run_id, rules)
    except (ProblemsError, ApprovalError) as error:
        return _list(request, session, actor, (base.book, base.period), _problems(base.period, error))
    village = division_name(session, base.book)
    view = _difference(session, actor, (drafted, rules), village)
    title = f"{village}{Period.parse(base.period).label}{KIND_NAMES[base.kind]}的更正"
    crumbs = (Crumb("更正与补发", f"/corrections?village={base.book}&month={base.period}"),)
    return render(request, "deciding/difference.html", title, crumbs=crumbs, view=view)


def _booked(session: Session, actor: Actor, run_id: str) -> Run:
    base = run(session, actor, run_id)
    if base is None or base.kind == CORRECTION or base.state not in BOOKED:
        raise NotFoundError(run_id)
    return base


def _problems(where: str, error: ProblemsError | ApprovalError) -> Sequence[Problem]:
    if isinstance(error, ProblemsError):
        return error.problems
    return [Problem(Period.parse(where).label, str(error), "请刷新后再试")]


def _difference(
    session: Session, actor: Actor, what: tuple[CorrectionDraft, str], village: str
) -> DifferenceView:
    drafted, rules = what
    names = posted_names(session, actor, drafted.base.book)
    changes = drafted.changes
    people = [one for one in changes if one.payee_kind in HOUSEHOLD_KINDS]
    rows = tuple(_row(one, names.get(one.payee_id, ("", one.payee_id))) for one in people)
    sums: dict[str, int] = {}
    for code, amount in (cause for one in people for cause in one.causes):
        sums[code] = sums.get(code, 0) + amount
    return DifferenceView(
        base=drafted.base,
        village_name=village,
        rules=rules,
        plan=f"{drafted.plan.title} 第 {drafted.plan.version} 版",
        households=rows,
        others=tuple(
            _row(one, ("", _PAYEE_WORDS.get(one.payee_kind, one.payee_id)))
            for one in changes
            if one.payee_kind not in HOUSEHOLD_KINDS
        ),
        sums=tuple((CAUSE_LABELS[CauseKind(code)], amount) for code, amount in sorted(sums.items())),
        gaining=sum(one.delta_fen > 0 for one in people),
        losing=sum(one.delta_fen < 0 for one in people),
        added_fen=sum(one.delta_fen for one in people if one.delta_fen > 0),
        taken_fen=sum(-one.delta_fen for one in people if one.delta_fen < 0),
        income=tuple((one.source, one.amount_fen) for one in drafted.result.income),
        deductions=tuple((one.label, one.amount_fen) for one in drafted.result.deductions),
        is_empty=drafted.is_empty,
        chart=difference_chart([(row.name, row.delta_fen) for row in rows]) if rows else None,
        may_compute=actor.may(Permission.COMPUTE_RUN),
    )


def _row(change: Change, who: tuple[str, str]) -> DifferenceRow:
    causes = tuple((CAUSE_LABELS[CauseKind(code)], amount) for code, amount in change.causes)
    return DifferenceRow(who[0], who[1], change.delta_fen, causes)


@router.post("/corrections/{run_id}", dependencies=[Depends(check_form)])
def start(
    request: Request,
    actor: Computer,
    run_id: str,
    rules: Annotated[Literal["current", "original"], Form()] = "current",
) -> Response:
    """Start (or compute anew) the correction of a booked run, and go to it."""
    services = services_of(request)
    with services.database.reading() as session:
        base = _booked(session, actor, run_id)
    try:
        with services.database.transaction() as session:
            made = start_correction(session, actor, run_id, rules, services.clock())
    except (ProblemsError, ApprovalError) as error:
        with services.database.reading() as session:
            place = (base.book, base.period)
            return _list(request, session, actor, place, _problems(base.period, error))
    if made is None:
        return redirect(f"/corrections/{run_id}", rules=rules)
    return redirect(f"/runs/{made.id}")


@router.post("/top-ups", dependencies=[Depends(check_form)])
def start_top_up(
    request: Request,
    actor: Computer,
    village: Annotated[str, Form(pattern="^[0-9]{12}$")],
    month: Annotated[str, Form(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$")],
) -> Response:
    """Compute the late money of a village's month as a top-up, and go to it."""
    services = services_of(request)
    if not actor.covers(village):
        raise NotFoundError(village)
    try:
        with services.database.transaction() as session:
            made = compute_top_up(session, actor, (village, month), services.clock())
    except (ProblemsError, ApprovalError) as error:
        with services.database.reading() as session:
            return _list(request, session, actor, (village, month), _problems(month, error))
    if made is None:
        return redirect("/corrections", village=village, month=month)
    return redirect(f"/runs/{made.id}")
