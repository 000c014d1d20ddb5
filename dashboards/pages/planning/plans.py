"""The list of distribution plans, and saving a new version.

Owns the page on which a plan's text is checked and kept as a draft. What a plan means is
`distribution.plans`'; the steps after the draft are on the plan's own page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.files import attached
from dashboards.web import (
    Crumb,
    NotFoundError,
    RowNumber,
    check_form,
    reading,
    redirect,
    render,
    requires,
    services_of,
)
from distribution.plans.cases import run_cases
from distribution.plans.checks import check_plan
from distribution.plans.document import load_plan
from distribution.plans.tables import (
    NoPlanPublishedError,
    PlanSummary,
    Publication,
    plan_list,
    plan_text,
    publications,
    save,
)
from distribution.plans.templates import template_names, template_path
from registry.actors import Actor, Permission
from registry.divisions import division_names
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
Reading = Annotated[Session, Depends(reading)]
CRUMB = Crumb("分配方案", "/plans")
TOML = "application/toml"
_LIMIT_BYTES = 1 << 20


def kept_text(session: Reading, plan_id: str, version: RowNumber) -> str:
    """Return the text of a kept version; raises NotFoundError when there is none."""
    try:
        return plan_text(session, plan_id, version)
    except NoPlanPublishedError as error:
        raise NotFoundError(plan_id) from error


KeptText = Annotated[str, Depends(kept_text)]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One version: where and since when it applies, in words; `in_force` today."""

    plan: PlanSummary
    applies: str
    in_force: bool


@dataclass(frozen=True, slots=True)
class PlansView:
    """Every version, those in force first."""

    rows: tuple[PlanRow, ...]
    may_edit: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that is being written, with what is wrong with it."""

    text: str
    templates: tuple[tuple[str, str], ...]
    problems: Sequence[Problem] = ()
    message: str = ""


@router.get("/plans")
def show_plans(request: Request, actor: Reader, session: Reading) -> HTMLResponse:
    """Show every kept version of every plan."""
    names, today = division_names(session), local_date(services_of(request).clock())
    spans: dict[tuple[str, int], list[Publication]] = {}
    for one in publications(session):
        spans.setdefault((one.plan_id, one.version), []).append(one)
    rows = [
        PlanRow(
            plan,
            "；".join(applies(one, names) for one in spans.get((plan.plan_id, plan.version), ())),
            any(
                one.valid_from <= today and (one.valid_to is None or today < one.valid_to)
                for one in spans.get((plan.plan_id, plan.version), ())
            ),
        )
        for plan in plan_list(session)
    ]
    rows.sort(key=lambda row: (not row.in_force, row.plan.plan_id, -row.plan.version))
    view = PlansView(tuple(rows), actor.may(Permission.EDIT_REGISTRY))
    return render(request, "planning/plans.html", "分配方案", view=view)


def applies(one: Publication, names: dict[str, str]) -> str:
    """Return where and when a publication applies, in words."""
    where = names.get(one.division_code, one.division_code) if one.division_code else "全部"
    until = f"到 {one.valid_to} 前" if one.valid_to else "起"
    return f"{where}，自 {one.valid_from} {until}"


@router.get("/plans/new")
def new_plan(request: Request, actor: Editor, template: str = "") -> HTMLResponse:  # noqa: ARG001, the rule is the actor
    """Show the form for a new version, empty or filled with a template."""
    if template and template not in template_names():
        raise NotFoundError(template)
    text = template_path(template).read_text(encoding="utf-8") if template else ""
    return _form(request, Draft(text, _templates()))


@cache
def _templates() -> tuple[tuple[str, str], ...]:
    """Return the shipped templates: name and title."""
    return tuple((name, load_plan(template_path(name)).title) for name in template_names())


def _form(request: Request, draft: Draft) -> HTMLResponse:
    return render(request, "planning/plan_new.html", "写一个新版本", crumbs=(CRUMB,), view=draft)


@router.get("/plans/templates/{name}")
def template_file(actor: Reader, name: str) -> Response:  # noqa: ARG001, the rule is the actor
    """Hand out a template as a file."""
    if name not in template_names():
        raise NotFoundError(name)
    return attached(template_path(name).read_bytes(), TOML, f"{name}.toml")


@router.post("/plans/new", dependencies=[Depends(check_form)])
def take_plan(
    request: Request,
    actor: Editor,
    act: Annotated[str, Form(pattern="^(check|save)$")],
    text: Annotated[str, Form(max_length=_LIMIT_BYTES)] = "",
    file: UploadFile | None = None,
) -> Response:
    """Check a plan's text with its own cases, or keep it as a draft; a file goes before the text."""
    written = text.replace("\r\n", "\n")
    try:
        if file is not None and file.filename:
            written = _read(file)
        plan = load_plan(written)
        problems = [*check_plan(plan), *run_cases(plan)]
        if problems or act == "check":
            done = f"方案成立，自带算例 {len(plan.cases)} 个全部算对。" if not problems else ""
            return _form(request, Draft(written, _templates(), problems, done))
        services = services_of(request)
        with services.database.transaction() as session:
            save(session, actor, written, services.clock())
    except ProblemsError as error:
        return _form(request, Draft(written, _templates(), error.problems))
    return redirect(f"/plans/{plan.id}/{plan.version}", done="saved")


def _read(file: UploadFile) -> str:
    content = file.file.read(_LIMIT_BYTES + 1)
    name = file.filename or "方案"
    if len(content) > _LIMIT_BYTES:
        raise ProblemsError([Problem(name, "文件超过 1 MB", "方案是一份文字，请检查是不是选错了文件")])
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ProblemsError([Problem(name, "不是 UTF-8 编码的文字", "另存为 UTF-8 后再上传")]) from error
