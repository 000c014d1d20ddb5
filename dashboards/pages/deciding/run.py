"""One run: what is to be decided, what was decided, and the forms to decide it.

Owns the page on which people submit, vote, post the notice and record objections. Every decision carries
the content hash that its reader saw; the rules are `distribution.approval`'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import ATTACHMENTS
from dashboards.month_work import waiting_words
from dashboards.pages.registry.account_changes import changes_in_words
from dashboards.run_actions import Action, Offer, offered
from dashboards.web import (
    Crumb,
    NotFoundError,
    Services,
    check_form,
    reading,
    redirect,
    render,
    requires,
    services_of,
)
from distribution.approval.noticing.filings import (
    FILING,
    FILING_NAMES,
    RESULT,
    Filing,
    file_run,
    filings_of,
    may_file,
)
from distribution.approval.noticing.notices import KIND_NAMES as KIND_TITLES
from distribution.approval.noticing.notices import (
    Complaint,
    NoticeTerms,
    Objection,
    decide_objection,
    notice_of,
    objections,
    open_notice,
    raise_objection,
)
from distribution.approval.runs import (
    ApprovalError,
    Run,
    RunEvent,
    allocation_of,
    events_of,
    run,
    runs,
    submit,
)
from distribution.approval.states import (
    BOOKED,
    GATE_PERMISSIONS,
    GATE_STATES,
    STATE_NAMES,
    RunState,
    is_approved,
)
from distribution.approval.voting.delegations import Delegation, delegation_for
from distribution.approval.voting.votes import (
    Ballot,
    Tally,
    Vote,
    route_of,
    tally_of,
    vote,
    votes_of,
    waiting_gate,
)
from distribution.closing.corrections import CORRECTION, KIND_NAMES
from distribution.closing.deltas import changes_of
from distribution.closing.month import advance
from distribution.closing.runs import REGULAR
from distribution.ledger.journal import head
from distribution.plans.comparison import CAUSE_LABELS, CauseKind
from distribution.types import Allocation, AllocationLine, ApprovalTerms, PayeeKind
from documents.attachments import media_type, read_attachment, store_attachment
from documents.refusal import FileRefusedError
from registry.actors import SYSTEM, Actor, Permission
from registry.divisions import division_name
from registry.parameters import Place, value_on
from store.periods import Period, local_date

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Judge = Annotated[Actor, Depends(requires(Permission.DECIDE_OBJECTION))]
Reading = Annotated[Session, Depends(reading)]
Hash = Annotated[str, Form(pattern="^[0-9a-f]{64}$")]
_DECISIONS = {"approve": "同意", "return": "退回重算", "reject": "否决"}
_IMAGES = {"image/png", "image/jpeg", "application/pdf"}
_PHOTO_BYTES = 10 << 20
_HOUSEHOLD_KINDS = frozenset({PayeeKind.HOUSEHOLD, PayeeKind.PERSON})
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """Something that somebody did with a run."""

    at: datetime
    who: str
    what: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """The run in figures, what this reader may do, and what was done."""

    run: Run
    village: str
    waiting_for: str
    line_count: int
    change: float | None
    added: int | None
    removed: int | None
    warnings: tuple[str, ...]
    actions: Sequence[Action]
    no_action: str
    timeline: tuple[TimelineItem, ...]
    objections: Sequence[Objection]
    may_judge: bool
    statement_href: str
    account_changes: tuple[str, ...]
    kind_word: str
    tally: Tally | None
    causes: tuple[tuple[str, int], ...]
    netted: tuple[int, int]
    filings: tuple[Filing, ...]
    may_file: tuple[tuple[str, str], ...]
    message: str = ""
    message_tone: str = "good"


def _own(session: Session, actor: Actor, run_id: str) -> Run:
    found = run(session, actor, run_id)
    if found is None:
        raise NotFoundError(run_id)
    return found


@router.get("/runs/{run_id}")
def show_run(request: Request, actor: Reader, session: Reading, run_id: str, done: str = "") -> HTMLResponse:
    """Show a run of the actor's area."""
    return _page(request, session, actor, _own(session, actor, run_id), ("已记录。" if done else "", "good"))


def _page(
    request: Request, session: Session, actor: Actor, found: Run, message: tuple[str, str]
) -> HTMLResponse:
    allocation = allocation_of(session, actor, found.id)
    before, people = _households_before(session, actor, found), _paid(allocation.lines)
    gate = waiting_gate(session, actor, found.id)
    notice = notice_of(session, actor, found.id)
    events, votes = events_of(session, actor, found.id), votes_of(session, actor, found.id)
    makers = {found.made_by, *(one.by for one in events if one.state is RunState.VILLAGE_SUBMITTED)}
    voted = {one.voter_id for one in votes}
    is_maker = actor.user_id in makers
    given = _delegation(request, session, actor, (found, gate))
    to_households = _household_fen(allocation.lines)
    actions = (
        ()
        if actor.user_id in voted
        else offered(actor, found, gate, Offer(to_households, is_maker, given, _sums(found, allocation)))
    )
    village = division_name(session, found.book)
    view = RunView(
        run=found,
        village=village,
        waiting_for=waiting_words(found, notice[0].closes_on if notice else None),
        line_count=len(allocation.lines),
        change=None if before is None or not before[0] else found.amount_fen / before[0] - 1,
        added=None if before is None else len(people - before[1]),
        removed=None if before is None else len(before[1] - people),
        warnings=allocation.warnings,
        actions=actions,
        no_action=_no_action(actor, found, is_maker=is_maker),
        timeline=_timeline(events, votes),
        objections=objections(session, actor, found.id),
        may_judge=actor.may(Permission.DECIDE_OBJECTION),
        statement_href=f"/villages/{found.book}/statements/{found.period}",
        account_changes=changes_in_words(session, actor, found.book, Period.parse(found.period).start_utc),
        kind_word="" if found.kind == REGULAR else KIND_NAMES[found.kind],
        tally=tally_of(session, actor, found.id),
        causes=_cause_words(found, allocation),
        netted=(len(allocation.nettings), sum(one.amount_fen for one in allocation.nettings)),
        filings=filings_of(session, actor, found.id),
        may_file=_may_file(session, actor, found, allocation.approval),
        message=message[0],
        message_tone=message[1],
    )
    title = f"{village}{Period.parse(found.period).label}{KIND_TITLES[found.kind]}"
    crumbs = (Crumb("本月工作", f"/work?month={found.period}"),)
    return render(request, "deciding/run.html", title, crumbs=crumbs, view=view)


def _delegation(
    request: Request, session: Session, actor: Actor, what: tuple[Run, str | None]
) -> Delegation | None:
    """Return under which delegation the reader may vote where the run waits, if the right is not his own."""
    found, gate = what
    if gate not in GATE_PERMISSIONS or gate is None or actor.may(GATE_PERMISSIONS[gate]):
        return None
    return delegation_for(session, actor, (gate, found.book), local_date(services_of(request).clock()))


def _cause_words(found: Run, result: Allocation) -> tuple[tuple[str, int], ...]:
    """Return of a correction who gains and who loses, and why, each with its amount [fen]."""
    if found.kind != CORRECTION:
        return ()
    people = [one for one in changes_of(result) if one.payee_kind in _HOUSEHOLD_KINDS]
    words = []
    for word, sign in (("补给", 1), ("多领", -1)):
        mine = [one for one in people if one.delta_fen * sign > 0]
        codes = dict.fromkeys(code for one in mine for code, _fen in one.causes)
        why = "、".join(CAUSE_LABELS[CauseKind(code)] for code in codes)
        if mine:
            words.append((f"{word} {len(mine)} 户（{why}）", sum(one.delta_fen for one in mine)))
    return tuple(words)


def _sums(found: Run, result: Allocation) -> tuple[int, int]:
    """Return what a correction gives to households and what it takes from them [fen]; zeros of other runs."""
    if found.kind != CORRECTION:
        return 0, 0
    deltas = [one.delta_fen for one in changes_of(result) if one.payee_kind in _HOUSEHOLD_KINDS]
    return sum(one for one in deltas if one > 0), -sum(one for one in deltas if one < 0)


def _may_file(
    session: Session, actor: Actor, found: Run, terms: ApprovalTerms
) -> tuple[tuple[str, str], ...]:
    """Return what the reader can record of the run now: its filing, its announced result."""
    done = {one.kind for one in filings_of(session, actor, found.id)}
    approved = found.state in BOOKED or is_approved(route_of(session, actor, found.id), found.state)
    offers = []
    if FILING in terms.gates and approved and may_file(actor, FILING):
        offers.append(FILING)
    if found.state in BOOKED and may_file(actor, RESULT):
        offers.append(RESULT)
    return tuple((kind, FILING_NAMES[kind]) for kind in offers if kind not in done)


def _paid(lines: Sequence[AllocationLine]) -> set[str]:
    return {line.payee_id for line in lines if line.payee_kind in _HOUSEHOLD_KINDS and line.amount_fen}


def _household_fen(lines: Sequence[AllocationLine]) -> int:
    return sum(line.amount_fen for line in lines if line.payee_kind in _HOUSEHOLD_KINDS)


def _households_before(session: Session, actor: Actor, found: Run) -> tuple[int, set[str]] | None:
    period = str(Period.parse(found.period).previous())
    earlier = [one for one in runs(session, actor, period=period, book=found.book) if one.kind == found.kind]
    if not earlier:
        return None
    return earlier[-1].amount_fen, _paid(allocation_of(session, actor, earlier[-1].id).lines)


def _no_action(actor: Actor, found: Run, *, is_maker: bool) -> str:
    if is_maker and found.state in {
        RunState.VILLAGE_SUBMITTED,
        RunState.NOTICE_CLOSED,
        RunState.TOWNSHIP_APPROVED,
    }:
        return f"{actor.name}是本批次的测算人或提交人，表决和审批须由他人办理。"
    return "这一步不需要您办理。"


def _timeline(events: Sequence[RunEvent], votes: Sequence[Vote]) -> tuple[TimelineItem, ...]:
    cast = {(one.voter_id, one.at, _leads_to(one)): one for one in votes}
    items = []
    for event in events:
        ballot = cast.pop((event.by, event.at, event.state), None)
        items.append(_cast(ballot) if ballot else _happened(event))
    items += [_cast(ballot) for ballot in cast.values()]
    return tuple(sorted(items, key=lambda item: item.at))


def _leads_to(ballot: Vote) -> RunState:
    against = {"reject": RunState.REJECTED, "return": RunState.REVISION_REQUESTED}
    return against.get(ballot.decision) or GATE_STATES[ballot.gate]


def _happened(event: RunEvent) -> TimelineItem:
    return TimelineItem(event.at, event.by_name, STATE_NAMES[event.state], event.reason)


def _cast(ballot: Vote) -> TimelineItem:
    what = f"{ballot.gate_name}：{_DECISIONS[ballot.decision]}"
    return TimelineItem(ballot.at, ballot.voter_name, what, ballot.reason)


def _decide(
    request: Request, actor: Actor, run_id: str, act: Callable[[Session, Services], object]
) -> Response:
    """Do something with a run, then what follows without a human; a refusal is shown on the page."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            _own(session, actor, run_id)
            act(session, services)
            advance(session, SYSTEM, _own(session, actor, run_id), services.clock())
    except (ApprovalError, FileRefusedError) as refused:
        with services.database.reading() as session:
            response = _page(request, session, actor, _own(session, actor, run_id), (str(refused), "bad"))
        response.status_code = _CONFLICT
        return response
    return redirect(f"/runs/{run_id}", done="1")


def _keep_photo(services: Services, photo: UploadFile | None) -> tuple[str, ...]:
    if photo is None or not photo.filename:
        return ()
    folder = services.data_dir / ATTACHMENTS
    kept = store_attachment(folder, photo.file, _PHOTO_BYTES)
    if media_type(read_attachment(folder, kept)) not in _IMAGES:
        raise FileRefusedError("照片", "不是图片", "请上传 JPG、PNG 图片或 PDF")
    return (kept,)


@router.post("/runs/{run_id}/submit", dependencies=[Depends(check_form)])
def submit_run(request: Request, actor: Reader, run_id: str, content_hash: Hash) -> Response:
    """Submit a computed run to the village."""
    return _decide(
        request,
        actor,
        run_id,
        lambda session, services: submit(session, actor, run_id, content_hash, services.clock()),
    )


@dataclass(frozen=True, slots=True)
class _Decision:
    """What a vote's form holds."""

    content_hash: Hash
    decision: Annotated[str, Form(pattern="^(approve|return|reject)$")]
    reason: Annotated[str, Form(max_length=500)] = ""
    for_user: Annotated[str, Form(max_length=60)] = ""


@router.post("/runs/{run_id}/vote", dependencies=[Depends(check_form)])
def vote_on_run(
    request: Request,
    actor: Reader,
    run_id: str,
    decided: Annotated[_Decision, Depends()],
    photo: UploadFile | None = None,
) -> Response:
    """Cast a vote at the gate where the run stands."""

    def act(session: Session, services: Services) -> None:
        evidence = _keep_photo(services, photo)
        ballot = Ballot(
            decided.content_hash, decided.decision, decided.reason.strip(), evidence, decided.for_user
        )
        vote(session, actor, run_id, ballot, services.clock())

    return _decide(request, actor, run_id, act)


@router.post("/runs/{run_id}/notice", dependencies=[Depends(check_form)])
def open_run_notice(
    request: Request, actor: Reader, run_id: str, content_hash: Hash, photo: UploadFile
) -> Response:
    """Start the notice with a photo of the board."""

    def act(session: Session, services: Services) -> None:
        found = _own(session, actor, run_id)
        terms = allocation_of(session, actor, run_id).approval
        today = local_date(services.clock())
        place = Place(found.book)
        days = int(value_on("public_notice_days", today, place, session=session).value)
        end = head(session, found.book)
        notice = NoticeTerms(
            content_hash,
            _keep_photo(services, photo),
            terms.notice_working_days or days,
            working_days=terms.notice_working_days > 0,
            ledger_seq=end.seq,
            ledger_hash=end.hash,
        )
        open_notice(session, actor, run_id, notice, services.clock())

    return _decide(request, actor, run_id, act)


@dataclass(frozen=True, slots=True)
class _Filed:
    """What the form of a filing or an announced result holds."""

    kind: Annotated[Literal["filing", "result_notice"], Form()]
    filed_on: Annotated[date, Form()]
    office: Annotated[str, Form(max_length=60)] = ""
    document: Annotated[str, Form(max_length=80)] = ""


@router.post("/runs/{run_id}/filings", dependencies=[Depends(check_form)])
def file_this_run(
    request: Request,
    actor: Reader,
    run_id: str,
    filed: Annotated[_Filed, Depends()],
    photo: UploadFile | None = None,
) -> Response:
    """Record that a run was filed with an office, or its result announced."""

    def act(session: Session, services: Services) -> None:
        filing = Filing(
            filed.kind, filed.filed_on, filed.office, filed.document, _keep_photo(services, photo)
        )
        file_run(session, actor, run_id, filing, services.clock())

    return _decide(request, actor, run_id, act)


@dataclass(frozen=True, slots=True)
class _Complaint:
    """What the form of an objection holds."""

    claimant: Annotated[str, Form(max_length=40)]
    reason: Annotated[str, Form(max_length=500)]
    line: Annotated[str, Form(pattern="^[0-9]{0,5}$")] = ""


@router.post("/runs/{run_id}/objections", dependencies=[Depends(check_form)])
def object_to_run(
    request: Request, actor: Reader, run_id: str, said: Annotated[_Complaint, Depends()]
) -> Response:
    """Record an objection to a line, or to the whole list."""
    complaint = Complaint(said.claimant, said.reason, "当面", int(said.line) if said.line else None)
    return _decide(
        request,
        actor,
        run_id,
        lambda session, services: raise_objection(session, actor, run_id, complaint, services.clock()),
    )


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What the form of a decision on an objection holds."""

    outcome: Annotated[str, Form(pattern="^(upheld|partly|rejected)$")]
    reason: Annotated[str, Form(max_length=500)]


@router.post("/runs/{run_id}/objections/{objection_id}", dependencies=[Depends(check_form)])
def judge_objection(
    request: Request, actor: Judge, run_id: str, objection_id: str, said: Annotated[_Judgement, Depends()]
) -> Response:
    """Decide an objection to this run, once and with a reason."""

    def act(session: Session, services: Services) -> None:
        if all(one.id != objection_id for one in objections(session, actor, run_id)):
            raise NotFoundError(objection_id)
        decide_objection(session, actor, objection_id, (said.outcome, said.reason), services.clock())

    return _decide(request, actor, run_id, act)
