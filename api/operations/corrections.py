"""Corrections and late money for operators: look at the differences, start the run that is then decided."""

from typing import Any, Literal

from sqlalchemy.orm import Session

from api.outcome import Outcome
from dashboards.web import Services
from distribution.approval.noticing.notices import posted_names
from distribution.approval.runs import ApprovalError, Run, live_run
from distribution.closing.corrections import (
    CorrectionDraft,
    compute_top_up,
    draft_correction,
    start_correction,
)
from distribution.money import yuan
from distribution.plan_inputs import late_months
from distribution.plans.comparison import CAUSE_LABELS, CauseKind
from registry.actors import SYSTEM
from registry.divisions import villages
from store.problem import Problem, ProblemsError


def correct(  # noqa: PLR0913, the service and the command's own options
    services: Services,
    *,
    village: str,
    month: str,
    original_rules: bool = False,
    top_up: bool = False,
    start: bool = False,
) -> Outcome:
    """Show what a booked month computed anew changes, by payee and cause; `start` drafts the correction."""
    rules: Literal["current", "original"] = "original" if original_rules else "current"
    try:
        with services.database.reading() as session:
            base = _base(session, village, month, top_up=top_up)
            drafted = draft_correction(session, SYSTEM, base.id, rules)
            names = {one: name for one, (_group, name) in posted_names(session, SYSTEM, village).items()}
        made = None
        if start and not drafted.is_empty:
            with services.database.transaction() as session:
                made = start_correction(session, SYSTEM, base.id, rules, services.clock())
    except ApprovalError as error:
        raise ProblemsError([Problem(f"{village} {month}", str(error), "核对后再试")]) from error
    words = "" if made is None else f"；已起草第 {made.version} 次更正 {made.id}，照样提交、表决、公示、审批"
    return Outcome(_summary(drafted) + words, _COLUMNS, _rows(drafted, names))


_COLUMNS = {"payee": "对象", "delta_yuan": "差额（元）", "causes": "原因"}


def _base(session: Session, village: str, month: str, *, top_up: bool) -> Run:
    kind = "top_up" if top_up else "regular"
    found = live_run(session, village, month, kind)
    if found is None:
        word = "补发" if top_up else "分配"
        raise ProblemsError([Problem(f"{village} {month}", f"没有{word}", "核对村代码和月份")])
    return found


def _summary(drafted: CorrectionDraft) -> str:
    people = [one.delta_fen for one in drafted.changes if one.payee_kind in {"household", "person"}]
    gained, lost = [one for one in people if one > 0], [one for one in people if one < 0]
    place = f"{drafted.base.book} {drafted.base.period}"
    if drafted.is_empty:
        return f"{place}：重新计算没有差额"
    return (
        f"{place}：补给 {len(gained)} 户 {yuan(sum(gained))} 元，"
        f"多领 {len(lost)} 户 {yuan(-sum(lost))} 元（{drafted.plan.title} 第 {drafted.plan.version} 版）"
    )


def _rows(drafted: CorrectionDraft, names: dict[str, str]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "payee": names.get(one.payee_id, one.payee_id),
            "payee_id": one.payee_id,
            "payee_kind": one.payee_kind.value,
            "delta_fen": one.delta_fen,
            "delta_yuan": yuan(one.delta_fen),
            "causes": "；".join(f"{CAUSE_LABELS[CauseKind(code)]} {yuan(fen)}" for code, fen in one.causes),
            "cause_fen": dict(one.causes),
        }
        for one in drafted.changes
    )


def top_up(services: Services, *, village: str = "", month: str = "") -> Outcome:
    """List money that came after its month was booked; with village and month, draft its top-up."""
    now = services.clock()
    if village and month:
        try:
            with services.database.transaction() as session:
                made = compute_top_up(session, SYSTEM, (village, month), now)
        except ApprovalError as error:
            raise ProblemsError([Problem(f"{village} {month}", str(error), "核对后再试")]) from error
        if made is None:
            return Outcome(f"{village} {month}：没有记账以后才到的钱", {})
        return Outcome(f"已起草补发 {made.id}，{yuan(made.amount_fen)} 元，照样提交、表决、公示、审批", {})
    with services.database.reading() as session:
        rows = tuple(
            {
                "village_code": one.code,
                "village": one.name,
                "month": late,
                "amount_yuan": yuan(fen),
                "amount_fen": fen,
            }
            for one in villages(session, SYSTEM)
            if one.code.startswith(village)
            for late, fen in late_months(session, SYSTEM, one.code, now)
        )
    columns = {"village_code": "村代码", "village": "村", "month": "所属月份", "amount_yuan": "金额（元）"}
    return Outcome(f"{len(rows)} 笔属于已记账月份的钱还没有补发", columns, rows)
