"""Comparing the roll with lists of other departments: the match report, and one decision at a time.

Owns the pages and the Excel report. What a decision does is `registry.roll.exchange`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import XLSX, attached
from dashboards.moments import read_day
from dashboards.paging import Pager, paged
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
from documents.limits import Limits
from documents.writing import Column, ColumnKind, SheetContent, write_xlsx
from registry.actors import Actor, Permission
from registry.divisions import division_names
from registry.roll.exchange import (
    KIND_WORDS,
    OUTCOME_WORDS,
    PROPOSAL_WORDS,
    DepartmentList,
    Exchange,
    Match,
    compare,
    decide,
    exchange,
    exchanges,
    matches,
)
from registry.roll.lifecycle import Basis
from registry.secrets import open_key_ring
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409
_DECISIONS = {"accepted": "已采纳", "rejected": "未采纳", "": "待处理"}


@dataclass(frozen=True, slots=True)
class ExchangesView:
    """The comparisons that were made, and the form of a new one."""

    rows: Sequence[Exchange]
    kinds: dict[str, str]
    outcomes: dict[str, str]
    today: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportView:
    """A match report: the counts, one page of persons, and the words for what is there."""

    exchange: Exchange
    rows: Sequence[Match]
    pager: Pager
    counts: Sequence[tuple[str, str, int, bool]]
    villages: dict[str, str]
    outcomes: dict[str, str]
    proposals: dict[str, str]
    decisions: dict[str, str]
    today: str
    message: str = ""
    tone: str = "bad"


def _list_page(
    request: Request, session: Session, actor: Actor, problems: tuple[Problem, ...] = ()
) -> HTMLResponse:
    today = local_date(services_of(request).clock()).isoformat()
    view = ExchangesView(exchanges(session, actor), KIND_WORDS, OUTCOME_WORDS, today, problems)
    return render(request, "registry/exchanges.html", "数据比对", view=view)


@router.get("/exchanges")
def show_exchanges(request: Request, actor: Editor, session: Reading) -> HTMLResponse:
    """Show the comparisons of the actor's area."""
    return _list_page(request, session, actor)


@router.post("/exchanges", dependencies=[Depends(check_form)])
def compare_list(  # noqa: PLR0913, PLR0917, the fields of a form
    request: Request,
    actor: Editor,
    file: UploadFile,
    kind: Annotated[str, Form(max_length=20)] = "",
    department: Annotated[str, Form(max_length=60)] = "",
    as_of: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Compare a list with the roll; nothing in the roll changes by it."""
    services = services_of(request)
    name = (file.filename or "名单").replace("\\", "/").rpartition("/")[2][:120]
    try:
        content = file.file.read(Limits().file_bytes + 1)
        source = DepartmentList(
            kind, department.strip() or "未写", read_day(as_of, "数据日期"), name, content
        )
        with services.database.transaction() as session:
            ring = open_key_ring(services.data_dir)
            made = compare(session, actor, ring, source, services.clock())
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _list_page(request, session, actor, error.problems)
        page.status_code = _REFUSED
        return page
    return redirect(f"/exchanges/{made}")


def _report(
    request: Request, session: Session, actor: Actor, which: tuple[str, str, int], message: str = ""
) -> HTMLResponse:
    exchange_id, outcome, page = which
    found = exchange(session, actor, exchange_id)
    if found is None:
        raise NotFoundError(exchange_id)
    everyone = matches(session, actor, exchange_id)
    chosen = [one for one in everyone if not outcome or one.outcome == outcome]
    rows, pager = paged(chosen, page, f"/exchanges/{exchange_id}", {"outcome": outcome})
    counts = [(key, word, found.counts[key], key == outcome) for key, word in OUTCOME_WORDS.items()]
    view = ReportView(
        found,
        rows,
        pager,
        counts,
        division_names(session),
        OUTCOME_WORDS,
        PROPOSAL_WORDS,
        _DECISIONS,
        local_date(services_of(request).clock()).isoformat(),
        message,
    )
    crumbs = (Crumb("数据比对", "/exchanges"),)
    return render(request, "registry/exchange.html", f"{found.word}比对结果", crumbs=crumbs, view=view)


@router.get("/exchanges/{exchange_id}")
def show_report(  # noqa: PLR0913, PLR0917, the parts of an address
    request: Request, actor: Editor, session: Reading, exchange_id: str, outcome: str = "", page: int = 1
) -> HTMLResponse:
    """Show a match report, what waits for a decision first."""
    return _report(request, session, actor, (exchange_id, outcome, page))


@router.get("/exchanges/{exchange_id}/xlsx")
def report_as_xlsx(request: Request, actor: Editor, session: Reading, exchange_id: str) -> Response:
    """Hand out a match report as a workbook, numbers masked."""
    found = exchange(session, actor, exchange_id)
    if found is None:
        raise NotFoundError(exchange_id)
    villages = division_names(session)
    columns = (
        Column("结果"),
        Column("身份证号", width=22),
        Column("对方姓名"),
        Column("台账姓名"),
        Column("村", width=16),
        Column("日期", ColumnKind.DATE),
        Column("建议"),
        Column("处理"),
        Column("依据", width=30),
    )
    rows = [
        (
            OUTCOME_WORDS[one.outcome],
            one.id_number_masked,
            one.name_there,
            one.name_here,
            villages.get(one.village_code, ""),
            one.since,
            PROPOSAL_WORDS[one.proposal],
            _DECISIONS[one.decision] if one.proposal else "",
            one.document,
        )
        for one in matches(session, actor, exchange_id)
    ]
    title = f"{found.word}比对结果（{found.department}，{found.as_of}）"
    sheet = SheetContent("比对结果", title, columns, rows, landscape=True)
    content = write_xlsx([sheet], services_of(request).watermark)
    return attached(content, XLSX, f"{found.word}_比对结果_{found.as_of}.xlsx")


@router.post("/exchanges/{exchange_id}/{match_id}", dependencies=[Depends(check_form)])
def decide_match(  # noqa: PLR0913, PLR0917, the fields of a form
    request: Request,
    actor: Editor,
    exchange_id: str,
    match_id: str,
    decision: Annotated[str, Form(max_length=10)] = "",
    on: Annotated[str, Form(max_length=10)] = "",
    document: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Accept or reject one proposal on a document."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            basis = Basis(read_day(on, "从哪一天起"), document, services.clock())
            decide(session, actor, match_id, basis, accept=decision == "accept")
    except LookupError as error:
        raise NotFoundError(match_id) from error
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _report(request, session, actor, (exchange_id, "", 1), str(error))
        page.status_code = _REFUSED
        return page
    return redirect(f"/exchanges/{exchange_id}")
