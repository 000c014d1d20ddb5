"""Bank lines of the county's account: what waits, what the rules propose, confirmed in place."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.forms import REFUSED, attempt
from dashboards.month_work import month_choices, work_month
from dashboards.web import check_form, reading, redirect, render, requires, services_of
from distribution.settlement.bank.matching import MatchDraft, confirm_match, proposals
from distribution.settlement.bank.proposals import Proposal
from distribution.settlement.bank.reads import STATE_WORDS, BankLine, bank_lines
from distribution.settlement.reads import Receipt, receipts
from registry.actors import Actor, Permission
from registry.stations import stations
from store.canonical import content_hash
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Matcher = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
Reading = Annotated[Session, Depends(reading)]
_DONE = {
    "match": "已核对，记入应收。",
    "all": "相符的流水已全部核对。",
    "import": "银行流水已登记。",
    "list": "到账明细已登记。",
}
TONES = {"open": "warning", "partly": "warning", "matched": "normal", "excepted": "fault"}
SHAPES = {"open": "▲", "partly": "▲", "matched": "●", "excepted": "✕"}


@dataclass(frozen=True, slots=True)
class ProposalLine:
    """A proposal with its lines, and the key by which the form names it."""

    key: str
    proposal: Proposal
    lines: tuple[BankLine, ...]


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """A receipt with its station's name."""

    receipt: Receipt
    station_name: str


@dataclass(frozen=True, slots=True)
class ReceiptsView:
    """The account's lines of a month of arrival, the proposals of all open lines, and the receipts."""

    month: str
    months: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    lines: tuple[BankLine, ...]
    proposals: tuple[ProposalLine, ...]
    certain: int
    receipts: tuple[ReceiptLine, ...]
    may_match: bool
    rest_fen: int
    message: str
    problems: tuple[Problem, ...]
    tones: dict[str, str]
    shapes: dict[str, str]


def proposal_key(one: Proposal) -> str:
    """Return what names a proposal in a form: when anything of it has changed, the key has too."""
    return content_hash([one.rule, one.edges, one.difference_fen])[:16]


def _page(
    request: Request, session: Session, actor: Actor, month: str, told: tuple[str, tuple[Problem, ...]]
) -> HTMLResponse:
    now = services_of(request).clock()
    choices = month_choices(now)
    every = bank_lines(session, actor)
    known = {one.id: one for one in every}
    latest = f"{every[0].received_on:%Y-%m}" if every else work_month(now)
    chosen = month if month in choices else latest
    found = proposals(session, actor)
    mine = tuple(one for one in every if f"{one.received_on:%Y-%m}" == chosen)
    names = {one.id: one.name for one in stations(session, actor)}
    arrived = [one for one in receipts(session, actor) if f"{one.received_on:%Y-%m}" == chosen]
    view = ReceiptsView(
        month=chosen,
        months=choices,
        counts=tuple(
            (word, sum(1 for one in mine if one.state == state)) for state, word in STATE_WORDS.items()
        ),
        lines=mine,
        proposals=tuple(
            ProposalLine(proposal_key(one), one, tuple(known[line] for line in one.line_ids)) for one in found
        ),
        certain=sum(1 for one in found if one.is_certain),
        receipts=tuple(ReceiptLine(one, names.get(one.station_id, one.station_id)) for one in arrived[:200]),
        may_match=actor.may(Permission.IMPORT_SETTLEMENT),
        rest_fen=sum(one.rest_fen for one in mine if one.is_unfinished),
        message=told[0],
        problems=told[1],
        tones=TONES,
        shapes=SHAPES,
    )
    return render(request, "receiving/receipts.html", "到账核对", view=view)


@router.get("/receipts")
def show_receipts(
    request: Request, actor: Reader, session: Reading, month: str = "", done: str = ""
) -> HTMLResponse:
    """Show the account's lines of a month, and what may be matched now."""
    return _page(request, session, actor, month, (_DONE.get(done, ""), ()))


@router.post("/receipts/confirm", dependencies=[Depends(check_form)])
def confirm_proposal(
    request: Request, actor: Matcher, key: Annotated[str, Form(max_length=16)] = "", month: str = ""
) -> Response:
    """Confirm one proposal by its key, or, without a key, all of which account, month and amount fit."""
    services = services_of(request)

    def confirm(session: Session) -> None:
        found = proposals(session, actor)
        chosen = [one for one in found if (proposal_key(one) == key if key else one.is_certain)]
        if not chosen:
            raise ProblemsError([Problem("核对", "这条建议已变或已核对", "请刷新后再看")])
        for one in chosen:
            draft = MatchDraft(one.edges, one.rule, one.text, book_difference=one.difference_fen != 0)
            confirm_match(session, actor, draft, services.clock())

    problems = attempt(services, confirm)
    if not problems:
        return redirect("/receipts", month=month, done="match" if key else "all")
    with services.database.reading() as session:
        response = _page(request, session, actor, month, ("", problems))
    response.status_code = REFUSED
    return response
