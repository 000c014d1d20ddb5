"""Reviews (核查): the task list by village, a village's households, findings, signing, carrying out.

Owns the pages. What a finding does is `registry.roll.reviews`'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.moments import read_day
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
from distribution.books.words import component_words
from registry.actors import Actor, Permission
from registry.divisions import Division, DivisionLevel, division_name, divisions
from registry.roll.reviews import (
    OUTCOME_WORDS,
    NewFinding,
    Review,
    ReviewItem,
    VillageTask,
    apply_finding,
    keep_the_rest,
    open_review,
    record_finding,
    review,
    review_items,
    reviews,
    sign_village,
    village_tasks,
)
from registry.users import user_names
from store.db import new_id
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409


@dataclass(frozen=True, slots=True)
class ReviewsView:
    """Every review with how many villages have signed, and the form of a new one."""

    rows: Sequence[tuple[Review, int, int, bool]]
    areas: Sequence[Division]
    may_open: bool
    today: date
    message: str = ""
    tone: str = "bad"


@dataclass(frozen=True, slots=True)
class TasksView:
    """The task list of a review."""

    review: Review
    tasks: Sequence[tuple[VillageTask, str, str, str]]


@dataclass(frozen=True, slots=True)
class VillageView:
    """A village's households in a review, and what may be done with them."""

    review: Review
    village_code: str
    village: str
    items: Sequence[ReviewItem]
    words: Mapping[str, str]
    people: dict[str, str]
    signed: str
    may_find: bool
    may_apply: bool
    me: str
    today: str
    outcomes: dict[str, str]
    message: str = ""
    tone: str = "bad"


@dataclass(frozen=True, slots=True)
class WantedReview:
    """What the form of a new review holds."""

    kind: Annotated[str, Form(max_length=20)] = "yearly"
    period: Annotated[str, Form(max_length=7)] = ""
    area: Annotated[str, Form(max_length=12)] = ""
    document: Annotated[str, Form(max_length=200)] = ""
    due: Annotated[str, Form(max_length=10)] = ""


@dataclass(frozen=True, slots=True)
class WantedFinding:
    """What the form of a finding holds; `action` is the button: find, rest, sign or apply."""

    action: Annotated[str, Form(max_length=10)] = ""
    household: Annotated[str, Form(max_length=64)] = ""
    finding: Annotated[str, Form(max_length=64)] = ""
    outcome: Annotated[str, Form(max_length=10)] = ""
    component: Annotated[str, Form(max_length=60)] = ""
    weight: Annotated[str, Form(max_length=12)] = ""
    effective: Annotated[str, Form(max_length=10)] = ""
    document: Annotated[str, Form(max_length=200)] = ""
    note: Annotated[str, Form(max_length=200)] = ""


def _state(task: VillageTask, today: date) -> tuple[str, str, str]:
    if task.signed_at is not None:
        return ("已签结", "normal", "●") if not task.waiting else ("待执行", "warning", "▲")
    if task.late(today):
        return f"超期 {(today - task.due_on).days} 天", "fault", "✕"
    return ("进行中", "planned", "◆") if task.looked_at else ("未开始", "offline", "◌")


def _list_page(request: Request, session: Session, actor: Actor, message: str = "") -> HTMLResponse:
    today = local_date(services_of(request).clock())
    rows = []
    for one in reviews(session, actor):
        tasks = village_tasks(session, actor, one.id)
        signed = sum(task.signed_at is not None for task in tasks)
        rows.append((one, signed, len(tasks), any(task.late(today) for task in tasks)))
    levels = {DivisionLevel.COUNTY, DivisionLevel.TOWNSHIP}
    areas = [one for one in divisions(session, actor) if one.level in levels]
    view = ReviewsView(rows, areas, actor.may(Permission.EDIT_REGISTRY), today, message)
    return render(request, "registry/reviews.html", "核查", view=view)


@router.get("/reviews")
def show_reviews(request: Request, actor: Reader, session: Reading) -> HTMLResponse:
    """Show the reviews that touch the actor's area."""
    return _list_page(request, session, actor)


@router.post("/reviews", dependencies=[Depends(check_form)])
def start_review(request: Request, actor: Editor, wanted: Annotated[WantedReview, Depends()]) -> Response:
    """Open a review, or show the list again with what is wrong."""
    services = services_of(request)
    now = services.clock()
    try:
        with services.database.transaction() as session:
            new = _new_review(session, wanted, local_date(now))
            open_review(session, actor, new, now)
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _list_page(request, session, actor, str(error))
        page.status_code = _REFUSED
        return page
    return redirect(f"/reviews/{new.id}")


def _new_review(session: Session, wanted: WantedReview, today: date) -> Review:
    kinds = {"yearly": "年度核查", "half_yearly": "半年核查"}
    if wanted.kind not in kinds or not wanted.period[:4].isdigit() or len(wanted.area) != 12:  # noqa: PLR2004, a code
        raise ProblemsError([Problem("核查", "种类、年度或区域不对", "在页面上选择")])
    label = f"{wanted.period[:4]}年" + {"H1": "上半年", "H2": "下半年"}.get(wanted.period[5:], "")
    title = f"{division_name(session, wanted.area)}{label}{kinds[wanted.kind]}"
    due = read_day(wanted.due, "完成期限")
    return Review(
        new_id("review"), wanted.kind, wanted.period, wanted.area, title, wanted.document, today, due
    )


@router.get("/reviews/{review_id}")
def show_tasks(request: Request, actor: Reader, session: Reading, review_id: str) -> HTMLResponse:
    """Show the task list of a review, the late villages first."""
    found = review(session, actor, review_id)
    if found is None:
        raise NotFoundError(review_id)
    today = local_date(services_of(request).clock())
    tasks = sorted(
        village_tasks(session, actor, review_id),
        key=lambda task: (task.signed_at is not None, -task.waiting, task.looked_at, task.village_code),
    )
    rows = [(task, *_state(task, today)) for task in tasks]
    crumbs = (Crumb("核查", "/reviews"),)
    return render(request, "registry/review.html", found.title, crumbs=crumbs, view=TasksView(found, rows))


def _village_page(
    request: Request, session: Session, actor: Actor, place: tuple[str, str], message: str = ""
) -> HTMLResponse:
    review_id, village_code = place
    found = review(session, actor, review_id)
    items = review_items(session, actor, review_id, village_code)
    if found is None or not items:
        raise NotFoundError(village_code)
    signed = next(
        (one.signed_document for one in village_tasks(session, actor, review_id)
         if one.village_code == village_code and one.signed_at is not None), "",
    )  # fmt: skip
    today = local_date(services_of(request).clock())
    named = {one.component for item in items for one in item.enrolments}
    named |= {item.finding.component for item in items if item.finding and item.finding.component}
    finders = (Permission.EDIT_REGISTRY, Permission.VOTE_VILLAGE, Permission.APPROVE_TOWNSHIP)
    view = VillageView(
        found,
        village_code,
        division_name(session, village_code),
        items,
        component_words(session, village_code, today, sorted(named)),
        user_names(session),
        signed,
        any(actor.may(one) for one in finders) and not signed,
        actor.may(Permission.EDIT_REGISTRY),
        actor.user_id,
        today.isoformat(),
        OUTCOME_WORDS,
        message,
    )
    crumbs = (Crumb("核查", "/reviews"), Crumb(found.title, f"/reviews/{review_id}"))
    return render(request, "registry/review_village.html", f"{view.village}核查", crumbs=crumbs, view=view)


@router.get("/reviews/{review_id}/{village_code}")
def show_village(
    request: Request, actor: Reader, session: Reading, review_id: str, village_code: str
) -> HTMLResponse:
    """Show a village's households in a review."""
    return _village_page(request, session, actor, (review_id, village_code))


@router.post("/reviews/{review_id}/{village_code}", dependencies=[Depends(check_form)])
def work_on_village(
    request: Request,
    actor: Reader,
    review_id: str,
    village_code: str,
    wanted: Annotated[WantedFinding, Depends()],
) -> Response:
    """Record a finding, keep the rest, sign, or carry a finding out."""
    services = services_of(request)
    place = (review_id, village_code)
    try:
        with services.database.transaction() as session:
            now = services.clock()
            if wanted.action == "rest":
                keep_the_rest(session, actor, place, wanted.note, now)
            elif wanted.action == "sign":
                sign_village(session, actor, place, wanted.document, now)
            elif wanted.action == "apply":
                apply_finding(session, actor, wanted.finding, now)
            else:
                record_finding(session, actor, _finding(review_id, wanted), now)
    except LookupError as error:
        raise NotFoundError(village_code) from error
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _village_page(request, session, actor, place, str(error))
        page.status_code = _REFUSED
        return page
    return redirect(f"/reviews/{review_id}/{village_code}")


def _finding(review_id: str, wanted: WantedFinding) -> NewFinding:
    if wanted.outcome not in OUTCOME_WORDS:
        raise ProblemsError([Problem("核查结果", "没有选结果", "选不变、纳入、退出或调整份额")])
    if wanted.outcome == "keep":
        return NewFinding(review_id, wanted.household, "keep", note=wanted.note)
    weight = int(wanted.weight) if wanted.weight.isdigit() else None
    on = read_day(wanted.effective, "生效日期")
    return NewFinding(
        review_id,
        wanted.household,
        wanted.outcome,
        wanted.component,
        weight,
        on,
        wanted.document,
        wanted.note,
    )
