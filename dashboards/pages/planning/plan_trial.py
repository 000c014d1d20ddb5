"""A plan tried on past months: totals, who would gain and who would lose, and why.

Owns the page and its Excel file. The trial is `distribution.plan_trials`'; nothing is kept or changed by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from dashboards.files import XLSX, attached
from dashboards.month_work import month_choices
from dashboards.pages.paying.households import household_labels
from dashboards.pages.planning.plans import CRUMB, KeptText, Reader, Reading
from dashboards.paging import Pager, paged
from dashboards.web import Crumb, render, services_of
from distribution.money import yuan
from distribution.plan_trials import Trial, VillageTrial, try_plan
from distribution.plans.comparison import Change
from distribution.plans.document import load_plan
from documents.writing import Column, ColumnKind, SheetContent, write_xlsx
from registry.divisions import division_names

router = APIRouter(include_in_schema=False)
_STEPS_FEN = (10_000, 1_000, 1)
"""Limits of the chart's groups: a hundred yuan, ten yuan, a fen."""
_DEFAULT_MONTHS = 3


class Asked(BaseModel):
    """What the address asks for: the first and last month, and a page of the list."""

    first: str = Field("", pattern=r"^(\d{4}-\d{2})?$")
    last: str = Field("", pattern=r"^(\d{4}-\d{2})?$")
    page: int = 1


@dataclass(frozen=True, slots=True)
class TrialView:
    """The trial with its sums over households [fen], and one page of the households."""

    trial: Trial
    names: dict[str, str]
    """Names of divisions by code, and of households by id."""
    months: tuple[str, ...]
    gaining: int
    losing: int
    unchanged: int
    old_fen: int
    new_fen: int
    chart: dict[str, Any]
    rows: Sequence[Change]
    pager: Pager
    refused: tuple[VillageTrial, ...]
    download: str


@router.get("/plans/{plan_id}/{version}/trial")  # noqa: FAST003, KeptText reads the address
def show_trial(
    request: Request,
    actor: Reader,
    session: Reading,
    text: KeptText,
    asked: Annotated[Asked, Query()],
) -> HTMLResponse:
    """Show what a kept version would have done with past months; nothing is kept or changed."""
    choices = month_choices(services_of(request).clock())
    plan = load_plan(text)
    trial = try_plan(session, actor, plan, _months(choices, asked))
    people = trial.households
    address = f"/plans/{plan.id}/{plan.version}"
    span = {"first": trial.months[0], "last": trial.months[-1]}
    rows, pager = paged([one for one in people if one.delta_fen], asked.page, f"{address}/trial", span)
    view = TrialView(
        trial=trial,
        names=division_names(session) | household_labels(session, actor),
        months=choices,
        gaining=sum(1 for one in people if one.delta_fen > 0),
        losing=sum(1 for one in people if one.delta_fen < 0),
        unchanged=sum(1 for one in people if one.delta_fen == 0),
        old_fen=sum(one.old_fen for one in people),
        new_fen=sum(one.new_fen for one in people),
        chart=_chart(people),
        rows=rows,
        pager=pager,
        refused=tuple(one for one in trial.villages if one.problems),
        download=f"{address}/trial/xlsx?{urlencode(span)}",
    )
    crumbs = (CRUMB, Crumb(f"{plan.title} 第 {plan.version} 版", address))
    return render(request, "planning/plan_trial.html", "用过去的月份试算", crumbs=crumbs, view=view)


def _months(choices: Sequence[str], asked: Asked) -> list[str]:
    """Return the months from the first to the last that were asked for; else the newest three that ended."""
    known = sorted(choices)
    low = asked.first or known[-1 - _DEFAULT_MONTHS]
    high = asked.last or known[-2]
    low, high = min(low, high), max(low, high)
    return [one for one in known if low <= one <= high] or known[-2:-1]


def _chart(people: Sequence[Change]) -> dict[str, Any]:
    """Return how many households lose and gain how much, as bars with one group a limit."""
    large, middle, small = _STEPS_FEN
    groups: tuple[tuple[str, int, int], ...] = (
        ("少 100 元以上", -(1 << 62), -large),
        ("少 10–100 元", -large + 1, -middle),
        ("少 10 元以内", -middle + 1, -small),
        ("不变", 0, 0),
        ("多 10 元以内", small, middle - 1),
        ("多 10–100 元", middle, large - 1),
        ("多 100 元以上", large, 1 << 62),
    )
    return {
        "kind": "bars",
        "label_name": "变化",
        "unit": "户",
        "digits": 0,
        "labels": [name for name, _, _ in groups],
        "label_every": 1,
        "series": [
            {
                "name": "户数",
                "look": "main",
                "values": [
                    sum(1 for one in people if low <= one.delta_fen <= high) for _, low, high in groups
                ],
                "partial": [False] * len(groups),
            }
        ],
    }


@router.get("/plans/{plan_id}/{version}/trial/xlsx")  # noqa: FAST003, KeptText reads the address
def trial_file(
    request: Request,
    actor: Reader,
    session: Reading,
    text: KeptText,
    asked: Annotated[Asked, Query()],
) -> Response:
    """Hand out the trial as a workbook: totals, and every household with its causes."""
    plan = load_plan(text)
    trial = try_plan(session, actor, plan, _months(month_choices(services_of(request).clock()), asked))
    content = write_xlsx(
        _sheets(trial, division_names(session) | household_labels(session, actor)),
        services_of(request).watermark,
    )
    return attached(content, XLSX, f"{plan.title}_第{plan.version}版_试算.xlsx")


def _sheets(trial: Trial, names: dict[str, str]) -> tuple[SheetContent, ...]:
    title = f"{trial.plan.title} 第 {trial.plan.version} 版 试算"
    notes = (f"期间：{trial.months[0]} 至 {trial.months[-1]}", "只是试算，没有改变任何记录")
    amounts = (
        Column("原（元）", ColumnKind.MONEY),
        Column("新（元）", ColumnKind.MONEY),
        Column("变化（元）", ColumnKind.MONEY),
    )
    totals = [
        (kind, one.label, one.old_fen, one.new_fen, one.new_fen - one.old_fen)
        for kind, part in (("扣除", trial.deductions), ("去向", trial.purses))
        for one in part
    ]
    people = [
        (
            names.get(one.village_code, one.village_code),
            names.get(one.payee_id, one.payee_id),
            one.old_fen,
            one.new_fen,
            one.delta_fen,
            causes_in_words(one),
        )
        for one in trial.households
    ]
    sums = [sum(one.old_fen for one in trial.households), sum(one.new_fen for one in trial.households)]
    return (
        SheetContent("合计", title, (Column("类别"), Column("名目", width=24), *amounts), totals, notes),
        SheetContent(
            "各户变化",
            title,
            (Column("村"), Column("户", width=22), *amounts, Column("原因", width=60)),
            people,
            notes,
            total=("合计", "", *sums, sums[1] - sums[0], ""),
            landscape=True,
        ),
    )


def causes_in_words(change: Change) -> str:
    """Return the causes of a change with the amount of each."""
    return "；".join(
        f"{one.text}（{'+' if one.delta_fen > 0 else ''}{yuan(one.delta_fen)} 元）" for one in change.causes
    )
