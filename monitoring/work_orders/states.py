"""The states of a work order, what leads from one to another, and their words.

Pure. Owns the state machine; the database asserts the same moves (`tables`).
"""

from enum import StrEnum

from registry.actors import Permission


class OrderState(StrEnum):
    """Where a work order stands."""

    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    DONE = "done"
    SENT_BACK = "sent_back"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Action(StrEnum):
    """What somebody does with a work order; each leaves one entry of its log."""

    DISPATCH = "dispatch"
    ACCEPT = "accept"
    NOTE = "note"
    EXTEND = "extend"
    FINISH = "finish"
    SEND_BACK = "send_back"
    CLOSE = "close"
    CANCEL = "cancel"


STATE_WORDS = {
    OrderState.DISPATCHED: "已派单",
    OrderState.ACCEPTED: "处理中",
    OrderState.DONE: "待验收",
    OrderState.SENT_BACK: "退回重办",
    OrderState.CLOSED: "已办结",
    OrderState.CANCELLED: "已撤销",
}
ACTION_WORDS = {
    Action.DISPATCH: "派单",
    Action.ACCEPT: "接单",
    Action.NOTE: "记录进展",
    Action.EXTEND: "延长期限",
    Action.FINISH: "报完工",
    Action.SEND_BACK: "退回重办",
    Action.CLOSE: "验收办结",
    Action.CANCEL: "撤销",
}
PERMISSIONS = {
    Action.DISPATCH: Permission.DISPATCH_WORK_ORDERS,
    Action.ACCEPT: Permission.HANDLE_WORK_ORDERS,
    Action.NOTE: Permission.HANDLE_WORK_ORDERS,
    Action.FINISH: Permission.HANDLE_WORK_ORDERS,
    Action.EXTEND: Permission.CLOSE_WORK_ORDERS,
    Action.SEND_BACK: Permission.CLOSE_WORK_ORDERS,
    Action.CLOSE: Permission.CLOSE_WORK_ORDERS,
    Action.CANCEL: Permission.CLOSE_WORK_ORDERS,
}
ENDED = frozenset({OrderState.CLOSED, OrderState.CANCELLED})
_AT_WORK = frozenset({OrderState.DISPATCHED, OrderState.ACCEPTED, OrderState.SENT_BACK})
MOVES: dict[Action, tuple[frozenset[OrderState], OrderState | None]] = {
    Action.ACCEPT: (frozenset({OrderState.DISPATCHED, OrderState.SENT_BACK}), OrderState.ACCEPTED),
    Action.NOTE: (_AT_WORK, None),
    Action.EXTEND: (_AT_WORK, None),
    Action.FINISH: (_AT_WORK, OrderState.DONE),
    Action.SEND_BACK: (frozenset({OrderState.DONE}), OrderState.SENT_BACK),
    Action.CLOSE: (frozenset({OrderState.DONE}), OrderState.CLOSED),
    Action.CANCEL: (_AT_WORK, OrderState.CANCELLED),
}
"""From which states an action may be done, and the state that it leads to (None: the state stays)."""
TRANSITIONS = frozenset((before, after or before) for sources, after in MOVES.values() for before in sources)
NEEDS_REASON = frozenset({Action.NOTE, Action.EXTEND, Action.FINISH, Action.SEND_BACK, Action.CANCEL})
"""Actions that are worth nothing without words."""
