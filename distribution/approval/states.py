"""The life of a run: its states, the gates that people pass, and which step may follow which. Pure.

Owns the only list of states and their order. Who may pass a gate and how often is `votes`'; what a gate
decides on is a run's content hash.
"""

from enum import StrEnum

from registry.actors import Permission


class RunState(StrEnum):
    """Where a run stands."""

    COMPUTED = "computed"
    VILLAGE_SUBMITTED = "village_submitted"
    VILLAGE_AGREED = "village_agreed"
    NOTICE_OPEN = "notice_open"
    NOTICE_CLOSED = "notice_closed"
    TOWNSHIP_APPROVED = "township_approved"
    COUNTY_APPROVED = "county_approved"
    POSTED = "posted"
    BATCHED = "batched"
    SETTLED = "settled"
    CLOSED = "closed"
    REJECTED = "rejected"
    REVISION_REQUESTED = "revision_requested"
    SUPERSEDED = "superseded"
    OBJECTION_HOLD = "objection_hold"


STATE_NAMES = {
    RunState.COMPUTED: "已测算",
    RunState.VILLAGE_SUBMITTED: "村已提交",
    RunState.VILLAGE_AGREED: "村民已表决",
    RunState.NOTICE_OPEN: "公示中",
    RunState.NOTICE_CLOSED: "公示期满",
    RunState.TOWNSHIP_APPROVED: "乡镇已审核",
    RunState.COUNTY_APPROVED: "县级已审批",
    RunState.POSTED: "已记账",
    RunState.BATCHED: "已送银行",
    RunState.SETTLED: "已发放",
    RunState.CLOSED: "已办结",
    RunState.REJECTED: "已否决",
    RunState.REVISION_REQUESTED: "已退回重算",
    RunState.SUPERSEDED: "已被新版本代替",
    RunState.OBJECTION_HOLD: "异议处理中",
}

GATE_STATES = {
    "village": RunState.VILLAGE_AGREED,
    "notice": RunState.NOTICE_CLOSED,
    "township": RunState.TOWNSHIP_APPROVED,
    "county": RunState.COUNTY_APPROVED,
}
GATE_PERMISSIONS = {
    "village": Permission.VOTE_VILLAGE,
    "township": Permission.APPROVE_TOWNSHIP,
    "county": Permission.APPROVE_COUNTY,
}
GATE_NAMES = {"village": "村民代表会议表决", "notice": "公示", "township": "乡镇审核", "county": "县级审批"}

ENDED = frozenset({RunState.REJECTED, RunState.SUPERSEDED})
BOOKED = frozenset({RunState.POSTED, RunState.BATCHED, RunState.SETTLED, RunState.CLOSED})
_UNDECIDED = (
    RunState.COMPUTED,
    RunState.VILLAGE_SUBMITTED,
    RunState.VILLAGE_AGREED,
    RunState.NOTICE_OPEN,
    RunState.NOTICE_CLOSED,
    RunState.TOWNSHIP_APPROVED,
    RunState.COUNTY_APPROVED,
    RunState.OBJECTION_HOLD,
    RunState.REVISION_REQUESTED,
)
_PASSED = (
    RunState.VILLAGE_SUBMITTED,
    RunState.VILLAGE_AGREED,
    RunState.NOTICE_CLOSED,
    RunState.TOWNSHIP_APPROVED,
    RunState.COUNTY_APPROVED,
)
_NEXT = (
    RunState.VILLAGE_AGREED,
    RunState.NOTICE_OPEN,
    RunState.TOWNSHIP_APPROVED,
    RunState.COUNTY_APPROVED,
    RunState.POSTED,
)


def _transitions() -> frozenset[tuple[RunState, RunState]]:
    pairs = {(RunState.COMPUTED, RunState.VILLAGE_SUBMITTED)}
    pairs |= {(before, after) for before in _PASSED for after in _NEXT if before is not after}
    pairs |= {
        (RunState.NOTICE_OPEN, RunState.NOTICE_CLOSED),
        (RunState.NOTICE_OPEN, RunState.OBJECTION_HOLD),
        (RunState.OBJECTION_HOLD, RunState.NOTICE_OPEN),
        (RunState.POSTED, RunState.BATCHED),
        (RunState.POSTED, RunState.SETTLED),
        (RunState.BATCHED, RunState.SETTLED),
        (RunState.SETTLED, RunState.CLOSED),
    }
    for state in _UNDECIDED:
        pairs |= {(state, RunState.REJECTED), (state, RunState.SUPERSEDED)}
        pairs.add((state, RunState.REVISION_REQUESTED))
    return frozenset(pair for pair in pairs if pair[0] is not pair[1])


TRANSITIONS = _transitions()
"""Every change of state that the database lets pass; the exact order of a run is its `route`."""


_SAME_GATE = {"village_assembly": "village", "village_draft": "", "filing": "", "result_notice": ""}


def route(gates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the gates of a run in order; a notice that the plan does not place follows the village.

    A village's draft is the submission, and filing and the result notice follow the money: none is a gate.
    """
    way = tuple(dict.fromkeys(gate for one in gates if (gate := _SAME_GATE.get(one, one))))
    if "notice" in way:
        return way
    place = way.index("village") + 1 if "village" in way else 0
    return (*way[:place], "notice", *way[place:])


def next_gate(gates: tuple[str, ...], state: RunState) -> str | None:
    """Return the gate that a run waits at in a state, or None when every gate is passed (or it has ended).

    A run that is computed waits to be submitted, which is no gate: the answer is None too.
    """
    way = route(gates)
    if state is RunState.VILLAGE_SUBMITTED:
        return way[0] if way else None
    if state in {RunState.NOTICE_OPEN, RunState.OBJECTION_HOLD}:
        return "notice"
    passed = [index for index, gate in enumerate(way) if GATE_STATES[gate] is state]
    if not passed or passed[0] + 1 >= len(way):
        return None
    return way[passed[0] + 1]


def is_approved(gates: tuple[str, ...], state: RunState) -> bool:
    """Tell whether a run has passed its last gate and may be posted."""
    way = route(gates)
    return bool(way) and state is GATE_STATES[way[-1]]
