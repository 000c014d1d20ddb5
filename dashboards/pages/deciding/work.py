"""The work of a month, village by village.

Owns the list of what each village waits for, and the button that takes every village to its next human
step. What that means is `distribution.closing`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.jobs import CLOSE, queued
from dashboards.month_work import (
    MonthWork,
    chosen_month,
    month_choices,
    month_work,
    waiting_words,
    waits_for,
)
from dashboards.web import check_form, reading, redirect, render, requires, services_of
from distribution.approval.noticing.notices import notices
from distribution.approval.runs import Run, runs
from distribution.approval.voting.overdue import overdue
from distribution.closing.month import close_month
from distribution.settlement.reads import settlements
from registry.actors import Actor, Permission
from registry.divisions import division_names, villages

router = APIRouter(include_in_schema=False)
AT_ONCE = 20
"""So many villages are closed while the reader waits."""
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Computer = Annotated[Actor, Depends(requires(Permission.COMPUTE_RUN))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class VillageRow:
    """One village's month; the amount is what is distributed [fen], None before it is computed."""

    code: str
    name: str
    state_word: str
    waiting_for: str
    amount_fen: int | None
    version: str
    href: str
    action: str
    is_mine: bool


@dataclass(frozen=True, slots=True)
class WorkView:
    """The six steps and every village."""

    work: MonthWork
    months: tuple[str, ...]
    rows: Sequence[VillageRow]
    may_close: bool
    message: str


@router.get("/work")
def show_work(
    request: Request, actor: Reader, session: Reading, month: str = "", done: str = ""
) -> HTMLResponse:
    """Show a month's work; what waits for this reader comes first."""
    now = services_of(request).clock()
    chosen = chosen_month(month, now)
    rows = _rows(session, actor, chosen, now)
    view = WorkView(
        work=month_work(session, actor, chosen, settlements(session, actor, month=chosen)),
        months=month_choices(now),
        rows=sorted(rows, key=lambda row: (not row.is_mine, row.code)),
        may_close=actor.may(Permission.COMPUTE_RUN),
        message="各村已推进到下一道人工手续。" if done else "",
    )
    return render(request, "deciding/work.html", "本月工作", view=view)


def _rows(session: Session, actor: Actor, month: str, now: datetime) -> list[VillageRow]:
    names = division_names(session)
    closing_days = {one.run_id: one.closes_on for one in notices(session, actor)}
    present = runs(session, actor, period=month)
    late = {one.run.id: one.days for one in overdue(session, actor, now, period=month)}
    found = []
    for run in present:
        words = waiting_words(run, closing_days.get(run.id))
        words += f"（已等 {late[run.id]} 天）" if run.id in late else ""
        found.append(_row(actor, run, names.get(run.book, run.book), words))
    started = {run.book for run in present}
    found += [
        VillageRow(
            code=one.code,
            name=one.name,
            state_word="未测算",
            waiting_for="等待结算单和到账",
            amount_fen=None,
            version="",
            href=f"/villages/{one.code}/statements/{month}",
            action="查看账目",
            is_mine=False,
        )
        for one in villages(session, actor)
        if one.code not in started
    ]
    return found


def _row(actor: Actor, run: Run, name: str, words: str) -> VillageRow:
    mine = waits_for(actor, run)
    kind = {"top_up": "补发", "correction": "更正"}.get(run.kind, "")
    return VillageRow(
        code=run.book,
        name=name,
        state_word=run.state_name,
        waiting_for=words,
        amount_fen=run.amount_fen,
        version=f"{kind}第 {run.version} 版",
        href=f"/runs/{run.id}",
        action="办理" if mine else "查看",
        is_mine=mine,
    )


@router.post("/work/{month}/close", dependencies=[Depends(check_form)])
def close(request: Request, actor: Computer, month: str) -> Response:
    """Take every village of the area as far as no human is needed; again is safe.

    More than a few villages are a job with a page of its own.
    """
    services = services_of(request)
    chosen = chosen_month(month, services.clock())
    with services.database.reading() as session:
        count = len(villages(session, actor))
    if count > AT_ONCE:
        return queued(request, actor, CLOSE, {"month": chosen})
    close_month(services.database, services.series, actor, chosen, services.clock())
    return redirect("/work", month=chosen, done="1")
