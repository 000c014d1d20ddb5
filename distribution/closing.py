"""The conductor: takes every village's month as far as the next human gate, and posts what is decided.

Owns the order of the flow. It alone posts accruals, receipts, costs, remittances and allocations; each
step is idempotent, so a month may be closed again and again, by several processes at once. What it waits
for it says in Chinese, with the one who must act.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from distribution import bookings
from distribution.approval.notices import close_notice, held_lines, notice_of, objections
from distribution.approval.runs import Change, Run, RunDraft, allocation_of, compute_run, live_run, move
from distribution.approval.states import BOOKED, STATE_NAMES, RunState, is_approved
from distribution.approval.votes import route_of, waiting_gate
from distribution.ledger.balances import balances, period_state, set_period
from distribution.ledger.journal import by_key, journals, open_book, post, posted_keys, reversal_of, reverse
from distribution.money import yuan
from distribution.payout.payouts import PayoutDraft, PayoutFilter, create_payouts, payouts
from distribution.plan_inputs import gather
from distribution.plans.allocation import allocate
from distribution.plans.document import Plan, plan_hash
from distribution.plans.tables import NoPlanPublishedError, plan_for
from distribution.settlement.reads import (
    billed_energy,
    costs,
    outstanding,
    receipts,
    remittances,
    village_bills,
)
from distribution.types import Allocation, Component, Fund, JournalDraft, PayeeKind
from registry.actors import Actor, Permission
from registry.divisions import villages
from registry.stations import stations, village_shares
from store.db import Database
from store.periods import Period, local_date
from store.problem import Problem, ProblemsError
from store.series import SeriesStore

NOTHING_TO_DO = "no_money"
WAITING = "waiting"
PROBLEM = "problem"
_EXTRA_NAMES = {NOTHING_TO_DO: "本月无可分配", WAITING: "未测算", PROBLEM: "测算受阻"}


@dataclass(frozen=True, slots=True)
class VillageProgress:
    """How far a village's month is: its run (or none), its state, and in Chinese what it waits for.

    `state` is a run's state, or `waiting` (before the run), `no_money`, `problem`; `waiting_for` is empty
    when nothing is left to do; `gate` names the kind of waiting for lists and counts.
    """

    village_code: str
    village_name: str
    state: str
    waiting_for: str
    gate: str = ""
    run_id: str = ""
    amount_fen: int = 0

    @property
    def state_name(self) -> str:
        """The state in Chinese."""
        return _EXTRA_NAMES.get(self.state) or STATE_NAMES[RunState(self.state)]


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What closing a month did and what it waits for, village by village."""

    month: str
    villages: tuple[VillageProgress, ...]

    def counts(self) -> dict[str, int]:
        """Return how many villages wait at each gate; `done` counts those that wait for nothing."""
        found: dict[str, int] = {}
        for one in self.villages:
            found[one.gate or "done"] = found.get(one.gate or "done", 0) + 1
        return found


Tell = Callable[[int, int], None]
"""Told after each village: how many are done, and how many there are."""


def close_month(
    database: Database, series: SeriesStore | None, actor: Actor, month: str, now: datetime
) -> CloseReport:
    """Close a month for every village of the actor's area as far as the next human gate.

    Each village is a transaction of its own, so one village's problem stops no other. With a series store
    the month's energy is compared with the bills first. Raises NotPermittedError without the right.
    """
    actor.require(Permission.COMPUTE_RUN)
    if series is not None:
        from distribution.matching import match_month

        match_month(database, series, actor, month, now)
    first = Period.parse(month).start
    with database.reading() as session:
        places = [
            (one.code, one.name)
            for one in villages(session, actor, on=first)
            if village_shares(session, actor, one.code, first)
        ]
    found = []
    for code, name in places:
        with database.transaction() as session:
            progress = close_village(session, actor, (code, month), now)
        found.append(replace(progress, village_name=name))
    return CloseReport(month, tuple(found))


def close_village(session: Session, actor: Actor, place: tuple[str, str], now: datetime) -> VillageProgress:
    """Take one village's month, given as (village code, `2026-10`), to its next human gate."""
    book_facts(session, actor, place[0], now)
    run = live_run(session, *place)
    if run is None or run.state in {RunState.COMPUTED, RunState.REVISION_REQUESTED}:
        waiting = _before_run(session, actor, place)
        if waiting is not None:
            return waiting
        try:
            computed = compute(session, actor, place, now)
        except ProblemsError as error:
            text = "；".join(str(problem) for problem in error.problems[:3])
            return VillageProgress(place[0], "", PROBLEM, text, "problem", "" if run is None else run.id)
        if computed is None:
            return VillageProgress(place[0], "", NOTHING_TO_DO, "", "")
        run = computed
    return advance(session, actor, run, now)


def _before_run(session: Session, actor: Actor, place: tuple[str, str]) -> VillageProgress | None:
    """Say what must be there before a run can be computed, or None when all is."""
    village, month = place
    mine = {one.station_id for one in village_shares(session, actor, village, Period.parse(month).start)}
    missing = mine - set(billed_energy(session, mine, month))
    if missing:
        names = [one.name for one in stations(session, actor) if one.id in missing]
        text = f"等待导入 {Period.parse(month).label}电费结算单：{'、'.join(names)}（县财务）"
        return VillageProgress(village, "", WAITING, text, "settlement")
    owed = sum(
        one.amount_fen
        for one in outstanding(session, actor, village, month)
        if one.component is Component.ELECTRICITY and one.month == month
    )
    if owed > 0:
        text = f"等待 {Period.parse(month).label}电费到账，还差 {yuan(owed)} 元（供电公司）"
        return VillageProgress(village, "", WAITING, text, "receipt")
    return None


def compute(session: Session, actor: Actor, place: tuple[str, str], now: datetime) -> Run | None:
    """Compute (or compute anew) the run of a village's month; None when there is nothing to distribute.

    Raises ProblemsError with the arithmetic that fails, or when no plan is published.
    """
    village, month = place
    present = live_run(session, village, month)
    own = present.id if present is not None and present.state not in BOOKED else ""
    gathered = gather(session, actor, place, own, now)
    if not gathered.inputs.income and present is None:
        return None
    plan = _plan(session, place)
    result = allocate(plan, gathered.inputs)
    draft = RunDraft(village, month, "regular", plan_hash(plan), gathered.inputs, result, gathered.sources)
    return compute_run(session, actor, draft, now)


def _plan(session: Session, place: tuple[str, str]) -> Plan:
    try:
        return plan_for(session, place[0], Period.parse(place[1]).start)
    except NoPlanPublishedError as error:
        raise ProblemsError([Problem(place[1], str(error), "请先发布分配方案")]) from error


def advance(session: Session, actor: Actor, run: Run, now: datetime) -> VillageProgress:
    """Do what needs no human at a run's state, then say what it waits for."""
    if run.state is RunState.NOTICE_OPEN and _notice_is_over(session, actor, run, now):
        close_notice(session, actor, run.id, now)
        run = _again(session, run)
    gates = route_of(session, actor, run.id)
    if run.state not in BOOKED and is_approved(gates, run.state):
        post_run(session, actor, run, now)
        run = _again(session, run)
    if run.state in BOOKED:
        return _payout_progress(session, actor, run)
    gate, text = _waits(session, actor, run, now)
    return VillageProgress(run.book, "", run.state.value, text, gate, run.id, run.amount_fen)


def _again(session: Session, run: Run) -> Run:
    found = live_run(session, run.book, run.period, run.kind)
    return run if found is None else found


def _notice_is_over(session: Session, actor: Actor, run: Run, now: datetime) -> bool:
    found = notice_of(session, actor, run.id)
    if found is None or local_date(now) <= found[0].closes_on:
        return False
    return not any(one.holds == "run" and not one.outcome for one in objections(session, actor, run.id))


def _waits(session: Session, actor: Actor, run: Run, now: datetime) -> tuple[str, str]:
    """Return the gate and the words for a run that people must move on."""
    if run.state is RunState.REVISION_REQUESTED:
        return "revision", "已退回：请更正登记或结算数据后重新测算（县、村）"
    if run.state is RunState.OBJECTION_HOLD:
        return "objection", "等待处理针对整批的异议（乡镇）"
    if run.state is RunState.NOTICE_OPEN:
        found = notice_of(session, actor, run.id)
        if found is not None:
            days = (found[0].closes_on - local_date(now)).days + 1
            return "notice", f"公示中，至 {found[0].closes_on} 止，还有 {days} 天（村民监督）"
    gate = waiting_gate(session, actor, run.id) or ""
    words = {
        "submit": "等待村委会核对并提交",
        "village": "等待村民代表会议表决（须另一人录入，附会议记录）",
        "notice": "等待张贴公示并上传公示栏照片（村）",
        "township": "等待乡镇审核",
        "county": "等待县级审批",
    }
    return gate, words.get(gate, "")


def book_facts(session: Session, actor: Actor, village: str, now: datetime) -> None:
    """Post everything that settlement knows of a village and the ledger does not: each fact once."""
    open_book(session, actor, village, now)
    keys = posted_keys(session, village)
    _book_accruals(session, actor, village, keys, now)
    for one in receipts(session, actor, village_code=village):
        arrival = bookings.Arrival(
            one.id, one.station_id, one.component, one.month, one.received_on, one.bank_reference
        )
        part = dict(one.shares).get(village, 0)
        if part and f"{one.id}:{village}" not in keys:
            _post(session, actor, bookings.receipt(village, arrival, part), now)
            _post(session, actor, bookings.county_receipt(arrival, village, part), now)
    for spent in costs(session, actor, village_code=village):
        if spent.id not in keys:
            fact = (spent.id, spent.text, spent.amount_fen, spent.incurred_on)
            _post(session, actor, bookings.cost(village, fact), now)
        if spent.paid_on is not None and f"{spent.id}:paid" not in keys:
            paid = (spent.id, spent.text, spent.amount_fen, spent.paid_on)
            _post(session, actor, bookings.cost_payment(village, paid), now)
    for sent in remittances(session, actor, village_code=village):
        if f"{sent.id}:{village}" not in keys:
            due = _by_fund(session, actor, village, "due_from_county")
            sent_fact = (sent.id, sent.amount_fen, sent.remitted_on, sent.bank_reference)
            for draft in bookings.remittance(village, sent_fact, due):
                _post(session, actor, draft, now)


def _by_fund(session: Session, actor: Actor, book: str, account: str) -> dict[Fund, int]:
    found: dict[Fund, int] = {}
    for one in balances(session, actor, book=book, accounts=(account,)):
        found[one.fund] = found.get(one.fund, 0) + one.amount_fen
    return found


def _book_accruals(session: Session, actor: Actor, village: str, keys: frozenset[str], now: datetime) -> None:
    """Post the latest revision of each settlement of a village; an earlier revision is reversed."""
    for one in village_bills(session, village):
        if f"accrual:{one.settlement_id}:{village}" in keys:
            continue
        bill = (one.settlement_id, one.station_id, one.month)
        draft = bookings.accrual(village, bill, dict(one.parts))
        if draft is None:
            continue
        for revision in range(1, one.revision):
            entry = by_key(session, f"accrual:settlement:{one.station_id}:{one.month}:{revision}:{village}")
            if entry is not None and reversal_of(session, entry) is None:
                reverse(session, actor, entry, reason=f"结算单修订为第 {one.revision} 版", now=now)
        _post(session, actor, draft, now)


def _post(session: Session, actor: Actor, draft: JournalDraft, now: datetime) -> None:
    """Post a fact; one that lies in a closed period is booked today, its own date kept in the attributes."""
    if period_state(session, draft.book, f"{draft.business_date:%Y-%m}") == "closed":
        if by_key(session, draft.idempotency_key) is not None:
            return
        attributes = {**draft.attributes, "value_date": draft.business_date.isoformat()}
        draft = replace(draft, business_date=local_date(now), attributes=attributes)
    post(session, actor, draft, now)


def post_run(session: Session, actor: Actor, run: Run, now: datetime) -> None:
    """Post an approved run: its allocation, and what is owed to each household; then lock its month.

    The database itself refuses this without votes, a closed notice and decided objections.
    """
    result = allocation_of(session, actor, run.id)
    purses = [
        bookings.Holding("purse", one.holder, one.fund, -one.amount_fen)
        for one in balances(session, actor, book=run.book, accounts=("purse",))
        if one.amount_fen < 0
    ]
    draft = bookings.allocation(
        run.book, (run.id, run.content_hash, local_date(now)), result, purses if result.carried_in_fen else []
    )
    if draft is not None:
        _post(session, actor, draft, now)
    create_payouts(session, actor, (run.book, run.id, run.period), payout_drafts(result), now)
    move(session, actor, run.id, Change(RunState.POSTED), now)
    if run.period < str(Period.month_of(now)):
        set_period(session, actor, (run.book, run.period), "closed", now)


def payout_drafts(result: Allocation) -> list[PayoutDraft]:
    """Return what each household gets out of an allocation, all its lines together, by household."""
    lines: dict[str, list[tuple[int, int]]] = {}
    for line in result.lines:
        if line.payee_kind in {PayeeKind.HOUSEHOLD, PayeeKind.PERSON} and line.amount_fen:
            lines.setdefault(line.payee_id, []).append((line.line_no, line.amount_fen))
    return [
        PayoutDraft(household, sum(amount for _no, amount in parts), tuple(number for number, _a in parts))
        for household, parts in sorted(lines.items())
    ]


def _payout_progress(session: Session, actor: Actor, run: Run) -> VillageProgress:
    every = payouts(session, actor, PayoutFilter(run_id=run.id))
    groups: dict[str, list[int]] = {}
    for one in every:
        groups.setdefault(one.state, []).append(one.amount_fen)
    gate, text = "", ""
    unsent, failed = groups.get("", []), groups.get("failed", []) + groups.get("returned", [])
    asked = groups.get("sent", []) + groups.get("pending", []) + groups.get("unknown", [])
    held = len(held_lines(session, actor, run.id)) if unsent else 0
    if unsent:
        missing = sum(unsent) - sum(_by_fund(session, actor, run.book, "bank").values())
        gate, text = "batch", f"等待导出代发文件 {len(unsent)} 户 {yuan(sum(unsent))} 元（县财务）"
        if missing > 0:
            gate, text = "remittance", f"等待县专户拨付到村，还差 {yuan(missing)} 元（县财务）"
        if held:
            text += f"；{held} 行有异议暂缓"
    elif asked:
        gate, text = "bank", f"等待银行回盘 {len(asked)} 户 {yuan(sum(asked))} 元"
    elif failed:
        gate, text = (
            "failed",
            f"{len(failed)} 户发放失败，{yuan(sum(failed))} 元待更正账户后重发（村、县财务）",
        )
    return VillageProgress(run.book, "", run.state.value, text, gate, run.id, run.amount_fen)


def run_entries(session: Session, actor: Actor, run: Run) -> tuple[str, ...]:
    """Return the ids of the journal entries that a run made, in order."""
    return tuple(one.id for one in journals(session, actor, book=run.book, sources=(run.id,)))
