"""Closing a month: every village's month is taken as far as the next human gate.

Owns the order of the flow and, in Chinese, what a month waits for and who must act. Each step is
idempotent, so a month may be closed again and again, by several processes at once. What the ledger is
handed is `facts`' and `runs`'.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from distribution.approval.noticing.filings import waits_for_filing
from distribution.approval.noticing.notices import close_notice, held_lines, notice_of, objections
from distribution.approval.runs import Run, live_run, runs
from distribution.approval.runs import run as find_run
from distribution.approval.states import BOOKED, STATE_NAMES, RunState, is_approved
from distribution.approval.voting.votes import route_of, waiting_gate
from distribution.closing.corrections import compute_top_up
from distribution.closing.facts import book_facts, by_fund
from distribution.closing.runs import REGULAR, compute, netting_fault, post_run
from distribution.money import yuan
from distribution.payout.payouts import PayoutFilter, payouts
from distribution.plan_inputs import late_months, pays_late_money_apart
from distribution.settlement.reads import (
    billed_energy,
    outstanding,
)
from distribution.types import Component
from registry.actors import Actor, Permission
from registry.divisions import villages
from registry.stations import stations, village_shares
from store.db import Database
from store.periods import Period, local_date
from store.problem import ProblemsError
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


def close_month(  # noqa: PLR0913, nobody need be told
    database: Database,
    series: SeriesStore | None,
    actor: Actor,
    month: str,
    now: datetime,
    *,
    tell: Tell | None = None,
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
        if tell is not None:
            tell(len(found), len(places))
    return CloseReport(month, tuple(found))


def close_village(session: Session, actor: Actor, place: tuple[str, str], now: datetime) -> VillageProgress:
    """Take one village's month, given as (village code, `2026-10`), to its next human gate."""
    book_facts(session, actor, place[0], now)
    _advance_others(session, actor, place[0], now)
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


def _advance_others(session: Session, actor: Actor, village: str, now: datetime) -> None:
    """Take a village's top-ups and corrections on, of whatever month; start the top-ups that are due."""
    if pays_late_money_apart(session, village, local_date(now)):
        for month, _amount in late_months(session, actor, village, now):
            # What the plan cannot do with the late money is shown where people start top-ups by hand.
            with suppress(ProblemsError):
                compute_top_up(session, actor, (village, month), now)
    for one in runs(session, actor, book=village):
        if one.kind != REGULAR and one.state not in BOOKED and one.state is not RunState.REVISION_REQUESTED:
            advance(session, actor, one, now)


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


def advance(session: Session, actor: Actor, run: Run, now: datetime) -> VillageProgress:
    """Do what needs no human at a run's state, then say what it waits for."""
    if run.state is RunState.NOTICE_OPEN and _notice_is_over(session, actor, run, now):
        close_notice(session, actor, run.id, now)
        run = _again(session, actor, run)
    gates = route_of(session, actor, run.id)
    if run.state not in BOOKED and is_approved(gates, run.state):
        held = _holds_booking(session, actor, run)
        if held is not None:
            return VillageProgress(run.book, "", run.state.value, held[1], held[0], run.id, run.amount_fen)
        post_run(session, actor, run, now)
        run = _again(session, actor, run)
    if run.state in BOOKED:
        return _payout_progress(session, actor, run)
    gate, text = _waits(session, actor, run, now)
    return VillageProgress(run.book, "", run.state.value, text, gate, run.id, run.amount_fen)


def _again(session: Session, actor: Actor, present: Run) -> Run:
    found = find_run(session, actor, present.id)
    return present if found is None else found


def _holds_booking(session: Session, actor: Actor, run: Run) -> tuple[str, str] | None:
    """Return the gate and the words for what keeps an approved run from being booked, or None."""
    if waits_for_filing(session, actor, run.id):
        return "filing", "等待报县备案并登记备案日期和文号（乡镇、村）"
    fault = netting_fault(session, actor, run)
    return ("revision", fault) if fault else None


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
        missing = sum(unsent) - sum(by_fund(session, actor, run.book, "bank").values())
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
