"""The work of a month in six steps, and where each village stands.

Owns the words and the order in which a reader sees the month's work. What may follow what is decided by
`distribution.approval` and `distribution.closing`; nothing is computed or changed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from dashboards.filters import day
from distribution.approval.runs import Run, runs
from distribution.approval.states import BOOKED, RunState
from distribution.settlement.matching.results import match_results
from distribution.settlement.reads import receipts
from distribution.settlement.reconciliation import discrepancies
from distribution.types import Settlement
from registry.actors import Actor, Permission
from registry.divisions import villages
from registry.stations import stations
from store.periods import Period

_AFTER_NOTICE = {
    RunState.NOTICE_CLOSED,
    RunState.TOWNSHIP_APPROVED,
    RunState.COUNTY_APPROVED,
    *BOOKED,
}
_APPROVED = {RunState.COUNTY_APPROVED, *BOOKED}
_PAID = {RunState.SETTLED, RunState.CLOSED}
_MARKS = {"done": "✓", "current": "→", "waiting": "·"}
MONTHS_TO_CHOOSE = 24


@dataclass(frozen=True, slots=True)
class MonthMoney:
    """What the grid company owes for a month, and what has arrived [fen]."""

    month: str
    receivable_fen: int
    received_fen: int

    @property
    def outstanding_fen(self) -> int:
        """What has not arrived [fen]."""
        return max(0, self.receivable_fen - self.received_fen)


@dataclass(frozen=True, slots=True)
class WorkStep:
    """One of the six steps: its state is done, current or waiting."""

    name: str
    state: str
    note: str
    href: str = ""
    action: str = ""

    @property
    def mark(self) -> str:
        """The sign that goes with the state."""
        return _MARKS[self.state]


@dataclass(frozen=True, slots=True)
class MonthWork:
    """The six steps of a month; `waiting_count` villages wait for this actor."""

    month: str
    steps: tuple[WorkStep, ...]
    waiting_count: int


@dataclass(frozen=True, slots=True)
class VillageWork:
    """Where a village's month stands, and what its cadre can do now."""

    month: str
    state_word: str
    waiting_for: str
    href: str
    action: str


def work_month(now: datetime) -> str:
    """Return the month that is worked on: the grid company bills a month when it is over."""
    return str(Period.month_of(now).previous())


def month_choices(now: datetime) -> tuple[str, ...]:
    """Return the months that pages offer, newest first, from the running one."""
    month = Period.month_of(now)
    chosen = [str(month)]
    while len(chosen) < MONTHS_TO_CHOOSE:
        month = month.previous()
        chosen.append(str(month))
    return tuple(chosen)


def chosen_month(asked: str, now: datetime) -> str:
    """Return the month asked for where it is one, else the month that is worked on."""
    return asked if asked in month_choices(now) else work_month(now)


def billed_fen(bill: Settlement) -> int:
    """Return everything that a settlement comes to [fen]."""
    return bill.electricity_fen + bill.subsidy_fen + bill.local_subsidy_fen


def month_money(session: Session, actor: Actor, month: str, bills: Sequence[Settlement]) -> MonthMoney:
    """Return what a month's settlements of the actor's stations amount to, and what has arrived."""
    owed = sum(billed_fen(one) for one in bills)
    arrived = sum(one.amount_fen for one in receipts(session, actor, month=month))
    return MonthMoney(month, owed, arrived)


def waits_for(actor: Actor, run: Run) -> bool:
    """Tell whether a run is at a gate that this actor's role passes."""
    gates = {
        RunState.COMPUTED: Permission.VOTE_VILLAGE,
        RunState.VILLAGE_SUBMITTED: Permission.VOTE_VILLAGE,
        RunState.VILLAGE_AGREED: Permission.OPEN_NOTICE,
        RunState.NOTICE_OPEN: Permission.OPEN_NOTICE,
        RunState.NOTICE_CLOSED: Permission.APPROVE_TOWNSHIP,
        RunState.TOWNSHIP_APPROVED: Permission.APPROVE_COUNTY,
        RunState.OBJECTION_HOLD: Permission.DECIDE_OBJECTION,
        RunState.POSTED: Permission.EXPORT_BATCH,
        RunState.BATCHED: Permission.IMPORT_RETURN,
    }
    needed = gates.get(run.state)
    return needed is not None and actor.may(needed)


_WAITING = {
    RunState.COMPUTED: "等待村委会核对并提交",
    RunState.VILLAGE_SUBMITTED: "等待村民代表会议表决（须另一人录入）",
    RunState.VILLAGE_AGREED: "等待张贴公示并上传公示栏照片",
    RunState.NOTICE_CLOSED: "等待乡镇审核",
    RunState.TOWNSHIP_APPROVED: "等待县级审批",
    RunState.COUNTY_APPROVED: "等待记账",
    RunState.POSTED: "等待导出代发文件",
    RunState.BATCHED: "等待银行回盘",
    RunState.SETTLED: "有发放未成功，等待更正账户",
    RunState.CLOSED: "",
    RunState.REVISION_REQUESTED: "等待更正后重新测算",
    RunState.OBJECTION_HOLD: "等待处理异议",
}


def waiting_words(run: Run, notice_closes_on: date | None) -> str:
    """Return what a run waits for, in words."""
    if run.state is RunState.NOTICE_OPEN:
        until = f"至 {day(notice_closes_on)} 止" if notice_closes_on else ""
        return f"公示中{until}，村民监督"
    return _WAITING.get(run.state, "")


def month_work(session: Session, actor: Actor, month: str, bills: Sequence[Settlement]) -> MonthWork:
    """Return the six steps of a month in the actor's area, given the month's settlements."""
    present = runs(session, actor, period=month)
    steps = (
        *_settlement_steps(session, actor, month, len(bills)),
        *_run_steps(session, actor, month, present),
    )
    return MonthWork(month, _with_current(steps), sum(waits_for(actor, run) for run in present))


def _settlement_steps(session: Session, actor: Actor, month: str, billed: int) -> tuple[WorkStep, ...]:
    expected = len(stations(session, actor))
    open_ones = {one.station_id for one in discrepancies(session, actor, month=month, open_only=True)}
    results = match_results(session, actor, month=month)
    settled = sum(one.settlement_id is not None and one.station_id not in open_ones for one in results)
    imported = _step(
        "导入电费单", (billed, expected), "站", f"/settlements/import?month={month}", "导入电费单"
    )
    reconciled = _step("对账", (settled, expected), "站相符", f"/reconciliation?month={month}", "去对账")
    return imported, reconciled


def _run_steps(session: Session, actor: Actor, month: str, present: Sequence[Run]) -> tuple[WorkStep, ...]:
    expected = len(villages(session, actor))
    address = f"/work?month={month}"

    def reached(states: set[RunState]) -> tuple[int, int]:
        return sum(run.state in states for run in present if run.kind == "regular"), expected

    return (
        _step("试算", reached(set(RunState)), "村", address, "逐村试算"),
        _step("公示", reached(_AFTER_NOTICE), "村公示期满", address, "查看公示"),
        _step("审批", reached(_APPROVED), "村已批准", address, "逐村审批"),
        _step("发放", reached(_PAID), "村已发放", f"/payouts?month={month}", "查看发放"),
    )


def _step(name: str, count: tuple[int, int], unit: str, href: str, action: str) -> WorkStep:
    done, expected = count
    complete = expected > 0 and done >= expected
    note = f"{done} / {expected} {unit}" if done else "未开始"
    return WorkStep(name, "done" if complete else "waiting", note, href, action)


def _with_current(steps: Sequence[WorkStep]) -> tuple[WorkStep, ...]:
    first_open = next((number for number, step in enumerate(steps) if step.state != "done"), len(steps))
    return tuple(
        WorkStep(step.name, "current", step.note, step.href, step.action) if number == first_open else step
        for number, step in enumerate(steps)
    )


def village_work(session: Session, actor: Actor, month: str) -> VillageWork:
    """Return where the month of the actor's village stands."""
    present = runs(session, actor, period=month)
    if not present:
        return VillageWork(
            month,
            "还没有试算",
            "等县里导入电费结算单并试算",
            f"/villages/{actor.area}/statements/{month}",
            "查看账目",
        )
    run = present[-1]
    words = "等您办理" if waits_for(actor, run) else "本村暂无待办"
    return VillageWork(month, run.state_name, words, f"/runs/{run.id}", "查看和办理")
