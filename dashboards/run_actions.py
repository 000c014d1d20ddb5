"""What a person may do with a run where it stands, and the words on the buttons.

Owns the offer only; every right and every order of steps is checked again by `distribution.approval`.
"""

from dataclasses import dataclass

from dashboards.filters import money
from distribution.approval.runs import Run
from distribution.approval.states import BOOKED, ENDED, GATE_PERMISSIONS, RunState
from distribution.approval.voting.delegations import Delegation
from registry.actors import Actor, Permission

_VOTE_WORDS = {
    "village": ("录入村民代表会议的表决", "同意"),
    "township": ("乡镇审核", "审核通过"),
    "county": ("县级审批", "批准"),
}


@dataclass(frozen=True, slots=True)
class Button:
    """One button: the value it sends, what it says, and its look."""

    value: str
    label: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One form: where it goes, what it is about, and its buttons."""

    href: str
    title: str
    hint: str
    buttons: tuple[Button, ...]
    photo_label: str = ""
    photo_required: bool = False
    reason_label: str = ""
    reason_required: bool = False
    claimant: bool = False
    for_user: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an offer depends on beside the run: the part of it that goes to households [fen], who asks.

    `delegation` is the one under which the reader may vote, where the right is not his own; `sums` is what a
    correction gives to households and takes from them [fen].
    """

    household_fen: int
    is_maker: bool
    delegation: Delegation | None = None
    sums: tuple[int, int] = (0, 0)


def offered(actor: Actor, run: Run, gate: str | None, offer: Offer) -> tuple[Action, ...]:
    """Return what an actor is offered for a run that waits at `gate` (`submit` before the first)."""
    if run.state in ENDED or run.state in BOOKED:
        return ()
    to_households = f"其中到户 {run.household_count} 户 {money(offer.household_fen)} 元"
    what = f"本版：共 {money(run.amount_fen)} 元，{to_households}"
    if any(offer.sums):
        what = f"本版：补给 {money(offer.sums[0])} 元，多领 {money(offer.sums[1])} 元"
    if gate == "submit" and (actor.may(Permission.VOTE_VILLAGE) or actor.may(Permission.COMPUTE_RUN)):
        return (_submit(run, what),)
    if gate == "notice":
        return _notice_actions(actor, run)
    if gate in GATE_PERMISSIONS and not offer.is_maker:
        if actor.may(GATE_PERMISSIONS[gate]):
            return (_vote(run, gate, what, None),)
        if offer.delegation is not None:
            return (_vote(run, gate, what, offer.delegation),)
    return ()


def _submit(run: Run, what: str) -> Action:
    return Action(
        f"/runs/{run.id}/submit",
        "核对并提交",
        "逐项核对收益账，无误后提交村民代表会议。提交人不能再参加后面的表决和审批。",
        (Button("submit", f"提交{what}", "primary"),),
    )


def _vote(run: Run, gate: str, what: str, given: Delegation | None) -> Action:
    title, verb = _VOTE_WORDS[gate]
    hint = "决定记在您的名下，只对现在这一版有效；同一批次每人只能决定一次。"
    if given is not None:
        title = f"{title}（代{given.delegator_name}）"
        hint = (
            f"您受{given.delegator_name}委托（{given.document}），决定记为“{given.delegator_name}（您代）”。"
        )
    return Action(
        f"/runs/{run.id}/vote",
        title,
        hint,
        (
            Button("approve", f"{verb}{what}", "primary"),
            Button("return", "退回重算"),
            Button("reject", "否决", "danger"),
        ),
        photo_label="会议记录照片（可选）" if gate == "village" else "",
        reason_label="退回或否决的原因（同意时可不填）",
        for_user="" if given is None else given.delegator_id,
    )


def _notice_actions(actor: Actor, run: Run) -> tuple[Action, ...]:
    if run.state in {RunState.NOTICE_OPEN, RunState.OBJECTION_HOLD}:
        if not actor.may(Permission.VIEW_HOUSEHOLDS):
            return ()
        return (
            Action(
                f"/runs/{run.id}/objections",
                "登记异议",
                "群众在公示期内反映的问题记在这里，由乡镇处理后答复。",
                (Button("raise", "登记这件异议"),),
                reason_label="反映的内容",
                reason_required=True,
                claimant=True,
            ),
        )
    if not actor.may(Permission.OPEN_NOTICE):
        return ()
    return (
        Action(
            f"/runs/{run.id}/notice",
            "张贴公示",
            "先打印公示表、盖章、张贴，再上传照片。照片上传后公示期才开始计算。",
            (Button("open", "已张贴，开始公示", "primary"),),
            photo_label="公示栏照片",
            photo_required=True,
        ),
    )
