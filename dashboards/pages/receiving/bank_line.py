"""One bank line: matched by hand with receivables, set apart, ignored, corrected; its matches taken back."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.forms import REFUSED, RecordId, amount, attempt, day
from dashboards.pages.receiving.receipts import SHAPES, TONES
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
from distribution.exports.settlement_sheets import COMPONENT_WORDS
from distribution.receiving import take_back_match
from distribution.settlement.bank.lines import LineDecision, correct_line, decide_line
from distribution.settlement.bank.matching import (
    MatchDraft,
    confirm_match,
    open_receivables,
    tolerance_fen,
)
from distribution.settlement.bank.proposals import Edge, OpenReceivable
from distribution.settlement.bank.reads import BankLine, Match, bank_lines, matches
from distribution.types import Component
from registry.actors import Actor, Permission
from registry.stations import stations
from registry.users import user_names
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Matcher = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
Reading = Annotated[Session, Depends(reading)]
_CHOICES = 300
_DONE = {
    "match": "已核对。",
    "decide": "已记录。",
    "undo": "核对已撤销，原记录保留。",
    "correct": "流水已冲正。",
}


@dataclass(frozen=True, slots=True)
class BankLineView:
    """The line, its matches, and what it may be matched with."""

    line: BankLine
    matches: tuple[Match, ...]
    open: tuple[OpenReceivable, ...]
    others: tuple[BankLine, ...]
    words: dict[str, str]
    names: dict[str, str]
    people: dict[str, str]
    tolerance_fen: int
    today: date
    may_match: bool
    message: str
    problems: tuple[Problem, ...]
    tones: dict[str, str]
    shapes: dict[str, str]


def _page(
    request: Request, session: Session, actor: Actor, line_id: str, told: tuple[str, tuple[Problem, ...]]
) -> HTMLResponse:
    found = bank_lines(session, actor, ids=(line_id,))
    if not found:
        raise NotFoundError(line_id)
    line = found[0]
    may = actor.may(Permission.IMPORT_SETTLEMENT) and line.rest_fen > 0
    owed = open_receivables(session, actor) if may else ()
    near = sorted(owed, key=lambda one: (abs(one.open_fen - line.rest_fen), one.month, one.station_id))
    others = [one for one in bank_lines(session, actor) if one.is_unfinished and one.id != line.id]
    view = BankLineView(
        line=line,
        matches=matches(session, actor, line_id=line_id),
        open=tuple(near[:_CHOICES]),
        others=tuple(others[:20]) if may else (),
        words={kind.value: word for kind, word in COMPONENT_WORDS.items()},
        names={one.id: one.name for one in stations(session, actor)},
        people=user_names(session),
        tolerance_fen=tolerance_fen(session, line),
        today=local_date(services_of(request).clock()),
        may_match=actor.may(Permission.IMPORT_SETTLEMENT),
        message=told[0],
        problems=told[1],
        tones=TONES,
        shapes=SHAPES,
    )
    crumbs = (Crumb("到账核对", f"/receipts?month={line.received_on:%Y-%m}"),)
    return render(request, "receiving/bank_line.html", f"流水 {line.reference}", crumbs=crumbs, view=view)


@router.get("/receipts/lines/{line_id}")
def show_line(
    request: Request, actor: Reader, session: Reading, line_id: RecordId, done: str = ""
) -> HTMLResponse:
    """Show a line of the actor's area."""
    return _page(request, session, actor, line_id, (_DONE.get(done, ""), ()))


def _answer(
    request: Request, actor: Actor, line_id: str, done: str, problems: tuple[Problem, ...]
) -> Response:
    if not problems:
        return redirect(f"/receipts/lines/{line_id}", done=done)
    with services_of(request).database.reading() as session:
        response = _page(request, session, actor, line_id, ("", problems))
    response.status_code = REFUSED
    return response


@dataclass(frozen=True, slots=True)
class _Said:
    """What the matching form holds: up to six receivables with their amounts [yuan]."""

    owed: Annotated[list[str], Form(max_length=6)]
    yuan: Annotated[list[str], Form(max_length=6)]
    note: Annotated[str, Form(max_length=300)] = ""
    book: Annotated[str, Form(max_length=1)] = ""


def _edges(line_id: str, said: _Said) -> tuple[Edge, ...]:
    edges = []
    for key, text in zip(said.owed, said.yuan, strict=False):
        parts = key.split("|")
        if not key and not text.strip():
            continue
        if len(parts) != 3 or parts[2] not in set(Component):  # noqa: PLR2004, station, month and kind of money
            raise ProblemsError([Problem("应收款", "没有选择应收款", "请从列表中选择")])
        edges.append(Edge(line_id, parts[0], Component(parts[2]), parts[1], amount(text, "核对金额")))
    return tuple(edges)


@router.post("/receipts/lines/{line_id}/match", dependencies=[Depends(check_form)])
def match_line(
    request: Request, actor: Matcher, line_id: RecordId, said: Annotated[_Said, Depends()]
) -> Response:
    """Match a line by hand with the receivables that somebody chose."""
    services = services_of(request)

    def match(session: Session) -> None:
        draft = MatchDraft(_edges(line_id, said), note=said.note, book_difference=bool(said.book))
        confirm_match(session, actor, draft, services.clock())

    return _answer(request, actor, line_id, "match", attempt(services, match))


@dataclass(frozen=True, slots=True)
class _Decided:
    """The form of a decision."""

    decision: Annotated[Literal["excepted", "ignored", "reopened"], Form()]
    reason: Annotated[str, Form(max_length=300)] = ""
    owner: Annotated[str, Form(max_length=60)] = ""
    due_on: Annotated[str, Form(max_length=10)] = ""


@router.post("/receipts/lines/{line_id}/decide", dependencies=[Depends(check_form)])
def decide(
    request: Request, actor: Matcher, line_id: RecordId, said: Annotated[_Decided, Depends()]
) -> Response:
    """Set a line apart, ignore it, or take it up again."""
    services = services_of(request)

    def act(session: Session) -> None:
        due = day(said.due_on, "期限") if said.due_on else None
        what = LineDecision(said.decision, said.reason, said.owner, due)
        decide_line(session, actor, line_id, what, services.clock())

    return _answer(request, actor, line_id, "decide", attempt(services, act))


@router.post("/receipts/lines/{line_id}/correct", dependencies=[Depends(check_form)])
def correct(
    request: Request, actor: Matcher, line_id: RecordId, reason: Annotated[str, Form(max_length=300)] = ""
) -> Response:
    """Take a line back by a negative row."""
    services = services_of(request)

    def act(session: Session) -> None:
        correct_line(session, actor, line_id, reason, services.clock())

    return _answer(request, actor, line_id, "correct", attempt(services, act))


@router.post("/receipts/lines/{line_id}/undo/{match_id}", dependencies=[Depends(check_form)])
def undo(
    request: Request,
    actor: Matcher,
    line_id: RecordId,
    match_id: RecordId,
    reason: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Take a match back by reversal."""
    services = services_of(request)

    def act(session: Session) -> None:
        take_back_match(session, actor, match_id, reason, services.clock())

    return _answer(request, actor, line_id, "undo", attempt(services, act))
