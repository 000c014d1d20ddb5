"""Public notice (公示): the list that hangs in the village, its hash, its days, and objections to it.

Owns the content-addressed list, the opening by a photo of the board, the end of the window, and what
villagers object to. Names are masked here, before anything is kept. Layout belongs to `exports`.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.approval.frozen import thaw
from distribution.approval.noticing.calendar import last_day
from distribution.approval.noticing.working_days import overrides_of
from distribution.approval.runs import (
    ApprovalError,
    Change,
    StaleVersionError,
    WrongStateError,
    move,
    own_row,
    require_content,
)
from distribution.approval.states import GATE_STATES, STATE_NAMES, RunState, next_gate
from distribution.approval.tables import (
    NoticeClosureRow,
    ObjectionDecisionRow,
    ObjectionRow,
    PublicNoticeRow,
    RunRow,
)
from distribution.approval.voting.votes import gates_of, makers_of
from distribution.money import yuan
from distribution.types import Allocation, Netting, PayeeKind
from registry.actors import Actor, Permission, in_area
from registry.households import households
from registry.masking import Audience, PersonalField, shown
from store.canonical import canonical_json, content_hash
from store.db import new_id
from store.periods import local_date


class NoticeStillOpenError(ApprovalError):
    """The days of the notice are not over."""


class ObjectionOpenError(ApprovalError):
    """An objection that holds the run is not decided."""


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """One row of the list on the board: nothing that the board may not show."""

    line_no: int
    village_group: str
    name: str
    item: str
    basis: str
    amount_fen: int
    note: str


@dataclass(frozen=True, slots=True)
class NoticeList:
    """What hangs on the board: the sum from income to distributable, purses, and the lines.

    Of a correction every amount is a difference, and what is netted is kept back from the payments.
    """

    number: str
    village_code: str
    period: str
    version: int
    income: tuple[tuple[str, int], ...]
    deductions: tuple[tuple[str, int], ...]
    carried_in_fen: int
    distributable_fen: int
    purses: tuple[tuple[str, int], ...]
    lines: tuple[NoticeLine, ...]
    total_fen: int
    plan: str
    kind: str = "regular"
    netted_fen: int = 0

    @property
    def kind_name(self) -> str:
        """What the list is of, in Chinese."""
        return KIND_NAMES[self.kind]

    @property
    def explanation(self) -> str:
        """What a reader of a list that is no month's first one has to know; empty for the first."""
        return _KIND_WORDS[self.kind]

    @property
    def netting_words(self) -> str:
        """What a correction gives and takes, what is kept back, and what is paid; else empty."""
        added = sum(line.amount_fen for line in self.lines if line.amount_fen > 0)
        words = ""
        if self.kind == "correction":
            words = f"补给合计 {yuan(added)} 元，多领合计 {yuan(added - self.total_fen)} 元。"
        if self.netted_fen:
            words += f"冲抵以前多发 {yuan(self.netted_fen)} 元后，实发 {yuan(added - self.netted_fen)} 元。"
        return words


@dataclass(frozen=True, slots=True)
class NoticeTerms:
    """How a notice is opened: photos of the posted board, how long, and the book's end at that moment.

    `evidence` are SHA-256 of attachments; without one the clock does not start.
    """

    content_hash: str
    evidence: tuple[str, ...]
    days: int
    working_days: bool = False
    ledger_seq: int = 0
    ledger_hash: str = "0" * 64
    posted_on: date | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """An opened notice; `closed_at` is None while it hangs."""

    id: str
    run_id: str
    number: str
    list_hash: str
    opens_on: date
    closes_on: date
    evidence: tuple[str, ...]
    opened_at: datetime
    opened_by: str
    closed_at: datetime | None
    ledger_seq: int
    ledger_hash: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """What somebody objects to: a line or (None) the whole list, and whether that holds the run."""

    claimant: str
    text: str
    channel: str = "电话"
    line_no: int | None = None
    holds: str = "line"


@dataclass(frozen=True, slots=True)
class Objection:
    """An objection with its decision; `outcome` is empty while it is open."""

    id: str
    notice_id: str
    line_no: int | None
    claimant: str
    channel: str
    text: str
    holds: str
    raised_at: datetime
    outcome: str = ""
    reason: str = ""
    decided_by: str = ""


KIND_NAMES = {"regular": "收益分配", "top_up": "收益补发", "correction": "收益分配更正"}
_KIND_WORDS = {
    "regular": "",
    "top_up": "本次只分配该月迟到的款项，按该月的方案和名册办理，不再发岗位工资和定额，不再扣成本。",
    "correction": "表中为更正后与更正前的差额：多于原数的补发，少于原数（带负号）的记为该户多领，"
    "按已批准的办法收回。原来的账页不改动。",
}
_NUMBER_LETTERS = {"regular": "V", "top_up": "B", "correction": "G"}
_INCOME_NAMES = {
    "electricity": "电费",
    "subsidy": "财政补贴",
    "local_subsidy": "地方补贴",
    "asset_gain": "资产收益",
    "advance": "垫付款",
}


def notice_list(session: Session, actor: Actor, run_id: str) -> NoticeList:
    """Return what the board shows of a run: masked names, groups, items, amounts; lines in plan order."""
    actor.require(Permission.VIEW_PUBLIC)
    row = own_row(session, actor, run_id)
    allocation = thaw(row.content, Allocation)
    people = posted_names(session, actor, row.book)
    netted = {one.household_id: one for one in allocation.nettings}
    labels = {purse.purse: purse.label for purse in allocation.purses}
    lines = []
    for line in allocation.lines:
        if line.payee_kind not in {PayeeKind.HOUSEHOLD, PayeeKind.PERSON} or not line.amount_fen:
            continue
        group, name = people.get(line.payee_id, ("", ""))
        basis = line.explanation[-1].formula if line.explanation else ""
        note = _note(line.note, netted.pop(line.payee_id, None) if line.amount_fen > 0 else None)
        lines.append(NoticeLine(line.line_no, group, name, labels[line.purse], basis, line.amount_fen, note))
    return NoticeList(
        number=f"{row.book}-{row.period.replace('-', '')}-{_NUMBER_LETTERS[row.kind]}{row.version}",
        village_code=row.village_code,
        period=row.period,
        version=row.version,
        income=_income(allocation),
        deductions=tuple((one.label, one.amount_fen) for one in allocation.deductions if one.amount_fen),
        carried_in_fen=allocation.carried_in_fen,
        distributable_fen=allocation.distributable_fen,
        purses=tuple((one.label, one.amount_fen) for one in allocation.purses),
        lines=tuple(lines),
        total_fen=sum(line.amount_fen for line in lines),
        plan=f"{allocation.plan_title or row.plan_id} 第 {row.plan_version} 版",
        kind=row.kind,
        netted_fen=sum(one.amount_fen for one in allocation.nettings),
    )


def posted_names(session: Session, actor: Actor, village: str) -> dict[str, tuple[str, str]]:
    """Return the group and the masked name of every household of a village, as the board shows them."""
    return {
        one.id: (one.village_group, shown(PersonalField.NAME, one.name, Audience.PAPER_NOTICE))
        for one in households(session, actor, village)
    }


def _note(text: str, netting: Netting | None) -> str:
    """Return a line's remark with what is kept back of the household's payment, and what it owes after."""
    if netting is None:
        return text
    left = netting.owed_fen - netting.amount_fen
    kept = f"冲抵多发 {yuan(netting.amount_fen)}" + (f"，仍欠 {yuan(left)}" if left else "")
    return f"{text}；{kept}" if text else kept


def _income(allocation: Allocation) -> tuple[tuple[str, int], ...]:
    sums: dict[str, int] = {}
    for part in allocation.income:
        name = _INCOME_NAMES[part.component]
        sums[name] = sums.get(name, 0) + part.amount_fen
    return tuple(sums.items())


def open_notice(session: Session, actor: Actor, run_id: str, terms: NoticeTerms, now: datetime) -> Notice:
    """Open the notice of a run that waits for it; opening it again returns the first opening.

    Raises StaleVersionError, WrongStateError, and ApprovalError without a photo of the board.
    """
    actor.require(Permission.OPEN_NOTICE)
    row = own_row(session, actor, run_id, lock=True)
    present = session.scalar(select(PublicNoticeRow).where(PublicNoticeRow.run_id == run_id))
    if present is not None:
        return _record(session, present)
    require_content(row, terms.content_hash)
    if next_gate(gates_of(row), RunState(row.state)) != "notice":
        raise WrongStateError(f"{row.book} {row.period} 现为“{STATE_NAMES[RunState(row.state)]}”，还不能公示")
    if not terms.evidence:
        raise ApprovalError("请上传公示栏照片：照片上传后才开始计算公示期")
    content = notice_list(session, actor, run_id)
    opens_on = terms.posted_on or local_date(now)
    notice = PublicNoticeRow(
        id=f"notice:{run_id}",
        run_id=run_id,
        number=content.number,
        content_hash=row.content_hash,
        list_hash=content_hash(content),
        list_json=canonical_json(content),
        ledger_seq=terms.ledger_seq,
        ledger_hash=terms.ledger_hash,
        opens_on=opens_on,
        closes_on=last_day(
            opens_on,
            terms.days,
            working=terms.working_days,
            overrides=overrides_of(session, row.book) if terms.working_days else None,
        ),
        evidence=json.dumps(list(terms.evidence)),
        opened_at=now,
        opened_by=actor.user_id,
    )
    session.add(notice)
    session.flush()
    move(session, actor, run_id, Change(RunState.NOTICE_OPEN, "", ",".join(terms.evidence)), now)
    return _record(session, notice)


def close_notice(session: Session, actor: Actor, run_id: str, now: datetime) -> Notice:
    """Close a notice whose days are over and against which nothing that holds the run is open.

    Raises NoticeStillOpenError, ObjectionOpenError and WrongStateError; closed already is no error.
    """
    row = own_row(session, actor, run_id, lock=True)
    notice = _notice_row(session, run_id)
    closure = session.get(NoticeClosureRow, notice.id)
    if closure is not None:
        return _record(session, notice)
    if local_date(now) <= notice.closes_on:
        raise NoticeStillOpenError(f"公示期至 {notice.closes_on}，期满后才能结束公示")
    blocking = [one for one in objections(session, actor, run_id) if one.holds == "run" and not one.outcome]
    if blocking:
        raise ObjectionOpenError(f"还有 {len(blocking)} 件针对整批的异议没有处理")
    if RunState(row.state) is not RunState.NOTICE_OPEN:
        raise WrongStateError(f"{row.book} {row.period} 现为“{STATE_NAMES[RunState(row.state)]}”")
    session.add(NoticeClosureRow(notice_id=notice.id, closed_at=now, closed_by=actor.user_id))
    session.flush()
    move(session, actor, run_id, Change(GATE_STATES["notice"]), now)
    return _record(session, notice)


def notice_of(session: Session, actor: Actor, run_id: str) -> tuple[Notice, NoticeList] | None:
    """Return the notice of a run and the list as it was posted, or None before it is opened."""
    actor.require(Permission.VIEW_PUBLIC)
    own_row(session, actor, run_id)
    row = session.scalar(select(PublicNoticeRow).where(PublicNoticeRow.run_id == run_id))
    return None if row is None else (_record(session, row), thaw(row.list_json, NoticeList))


def notices(session: Session, actor: Actor, *, village_code: str = "") -> tuple[Notice, ...]:
    """Return the notices of the actor's area, the latest first."""
    actor.require(Permission.VIEW_PUBLIC)
    statement = select(PublicNoticeRow).join(RunRow, RunRow.id == PublicNoticeRow.run_id)
    statement = statement.where(in_area(actor, RunRow.book))
    if village_code:
        statement = statement.where(RunRow.book == village_code)
    order = (PublicNoticeRow.opened_at.desc(), PublicNoticeRow.id)
    return tuple(_record(session, row) for row in session.scalars(statement.order_by(*order)))


def raise_objection(
    session: Session, actor: Actor, run_id: str, complaint: Complaint, now: datetime
) -> Objection:
    """Record an objection to an open notice; one that holds the run stops it until it is decided.

    Raises WrongStateError when no notice is open, ApprovalError for an unknown line.
    """
    actor.require(Permission.VIEW_HOUSEHOLDS)
    row = own_row(session, actor, run_id, lock=True)
    if RunState(row.state) not in {RunState.NOTICE_OPEN, RunState.OBJECTION_HOLD}:
        raise WrongStateError(f"{row.book} {row.period} 不在公示期内")
    notice = _notice_row(session, run_id)
    allocation = thaw(row.content, Allocation)
    lines = {line.line_no for line in allocation.lines}
    by_rule = complaint.line_no is None or allocation.approval.objection_holds == "run"
    if complaint.line_no is not None and complaint.line_no not in lines:
        raise ApprovalError(f"公示表没有第 {complaint.line_no} 行")
    objection = ObjectionRow(
        id=new_id("objection"),
        notice_id=notice.id,
        line_no=complaint.line_no,
        claimant=complaint.claimant,
        channel=complaint.channel,
        text=complaint.text,
        holds="run" if by_rule else complaint.holds,
        raised_at=now,
        raised_by=actor.user_id,
    )
    session.add(objection)
    session.flush()
    if objection.holds == "run":
        move(session, actor, run_id, Change(RunState.OBJECTION_HOLD, complaint.text), now)
    return _objection(objection, None)


def decide_objection(
    session: Session, actor: Actor, objection_id: str, decision: tuple[str, str], now: datetime
) -> Objection:
    """Decide an objection, given as (outcome `upheld`, `rejected` or `partly`; reason), once.

    Upheld or partly upheld sends the run back to be computed anew; rejected lets it go on. Raises
    ApprovalError for a maker, or for a second decision that differs.
    """
    actor.require(Permission.DECIDE_OBJECTION)
    row = session.get(ObjectionRow, objection_id)
    notice = None if row is None else session.get(PublicNoticeRow, row.notice_id)
    if row is None or notice is None:
        raise LookupError(f"没有异议 {objection_id}")
    run_row = own_row(session, actor, notice.run_id, lock=True)
    outcome, reason = decision
    present = session.get(ObjectionDecisionRow, objection_id)
    if present is not None:
        if present.outcome != outcome:
            raise StaleVersionError(f"该异议已由 {present.decided_by} 处理为 {present.outcome}")
        return _objection(row, present)
    if actor.user_id in {*makers_of(session, run_row), row.raised_by}:
        raise ApprovalError("异议须由测算人、提交人、登记人以外的人处理")
    if not reason.strip():
        raise ApprovalError("处理异议须写明理由")
    made = ObjectionDecisionRow(
        objection_id=objection_id, outcome=outcome, reason=reason, decided_at=now, decided_by=actor.user_id
    )
    session.add(made)
    session.flush()
    _after_decision(session, actor, run_row, made, now)
    return _objection(row, made)


def _after_decision(
    session: Session, actor: Actor, run_row: RunRow, made: ObjectionDecisionRow, now: datetime
) -> None:
    if made.outcome != "rejected":
        move(session, actor, run_row.id, Change(RunState.REVISION_REQUESTED, made.reason), now)
        return
    still = [one for one in objections(session, actor, run_row.id) if one.holds == "run" and not one.outcome]
    if RunState(run_row.state) is RunState.OBJECTION_HOLD and not still:
        move(session, actor, run_row.id, Change(RunState.NOTICE_OPEN, made.reason), now)


def objections(session: Session, actor: Actor, run_id: str) -> tuple[Objection, ...]:
    """Return the objections to a run's notice in order, with their decisions."""
    own_row(session, actor, run_id)
    statement = (
        select(ObjectionRow, ObjectionDecisionRow)
        .join(PublicNoticeRow, PublicNoticeRow.id == ObjectionRow.notice_id)
        .outerjoin(ObjectionDecisionRow, ObjectionDecisionRow.objection_id == ObjectionRow.id)
        .where(PublicNoticeRow.run_id == run_id)
        .order_by(ObjectionRow.raised_at, ObjectionRow.id)
    )
    return tuple(_objection(row, decision) for row, decision in session.execute(statement))


def held_lines(session: Session, actor: Actor, run_id: str) -> frozenset[int]:
    """Return the numbers of lines that an open objection holds back from being paid."""
    return frozenset(
        one.line_no
        for one in objections(session, actor, run_id)
        if one.line_no is not None and not one.outcome
    )


def printed_heads(session: Session) -> dict[str, list[tuple[int, str]]]:
    """Return the ends of the books' chains as they were printed on notices, by book; for verification."""
    heads: dict[str, list[tuple[int, str]]] = {}
    statement = select(RunRow.book, PublicNoticeRow.ledger_seq, PublicNoticeRow.ledger_hash).join(
        PublicNoticeRow, PublicNoticeRow.run_id == RunRow.id
    )
    for book, seq, digest in session.execute(statement.order_by(RunRow.book, PublicNoticeRow.ledger_seq)):
        heads.setdefault(book, []).append((seq, digest))
    return heads


def _notice_row(session: Session, run_id: str) -> PublicNoticeRow:
    row = session.scalar(select(PublicNoticeRow).where(PublicNoticeRow.run_id == run_id))
    if row is None:
        raise WrongStateError("这一批次还没有公示")
    return row


def _record(session: Session, row: PublicNoticeRow) -> Notice:
    closure = session.get(NoticeClosureRow, row.id)
    return Notice(
        row.id,
        row.run_id,
        row.number,
        row.list_hash,
        row.opens_on,
        row.closes_on,
        tuple(json.loads(row.evidence)),
        row.opened_at,
        row.opened_by,
        None if closure is None else closure.closed_at,
        row.ledger_seq,
        row.ledger_hash,
    )


def _objection(row: ObjectionRow, decision: ObjectionDecisionRow | None) -> Objection:
    return Objection(
        row.id,
        row.notice_id,
        row.line_no,
        row.claimant,
        row.channel,
        row.text,
        row.holds,
        row.raised_at,
        "" if decision is None else decision.outcome,
        "" if decision is None else decision.reason,
        "" if decision is None else decision.decided_by,
    )
