"""Why a moment of a device is in its state, in words, and the cause under which it counts.

Pure tables; what the samples say comes from `told`.
"""

from enum import IntEnum

import numpy as np

from monitoring.states import StationState
from monitoring.uptime.causes import Cause
from monitoring.uptime.told import TOLD_WORDS, Told


class Reason(IntEnum):
    """Why a moment is in its state; `reason_words` says it."""

    RUNNING = 0
    WARNING = 1
    DERATED = 2
    IDLE = 3
    FAULT = 4
    GRID_FAULT = 5
    GRID_DEAD = 6
    STOPPED = 7
    MUTE = 8
    SILENT = 9
    RAN = 10
    STOOD = 11
    BRIDGED = 12
    NEVER = 13
    NIGHT = 14
    ASLEEP = 15
    LIMITED = 16
    ORDERED = 17
    PLANNED = 18
    MAJEURE = 19


_WORDS = {
    Reason.RUNNING: TOLD_WORDS[Told.PRODUCING],
    Reason.WARNING: TOLD_WORDS[Told.WARNING],
    Reason.DERATED: TOLD_WORDS[Told.DERATED],
    Reason.IDLE: TOLD_WORDS[Told.IDLE],
    Reason.FAULT: TOLD_WORDS[Told.FAULT],
    Reason.GRID_FAULT: TOLD_WORDS[Told.GRID_FAULT],
    Reason.GRID_DEAD: TOLD_WORDS[Told.GRID_DEAD],
    Reason.STOPPED: TOLD_WORDS[Told.STOPPED],
    Reason.MUTE: TOLD_WORDS[Told.MUTE],
    Reason.SILENT: "通信中断，这段时间没有数据，电量计数也不能判明",
    Reason.RAN: "通信中断，事后电量计数表明在发电",
    Reason.STOOD: "没有数据，事后电量计数几乎没有增长，判为停机",
    Reason.BRIDGED: "缺少个别数据，前后一致",
    Reason.NEVER: "从未收到数据",
    Reason.NIGHT: "夜间或日照不足，等待日照",
    Reason.ASLEEP: "夜间，设备休眠",
    Reason.LIMITED: "调度限电",
    Reason.ORDERED: "调度停机或限电，不发电",
    Reason.PLANNED: "计划检修",
    Reason.MAJEURE: "不可抗力",
}
_NOTED = frozenset({Reason.LIMITED, Reason.ORDERED, Reason.PLANNED, Reason.MAJEURE})

_STATES = {
    Reason.RUNNING: StationState.NORMAL,
    Reason.WARNING: StationState.WARNING,
    Reason.DERATED: StationState.CURTAILED,
    Reason.IDLE: StationState.FAULT,
    Reason.FAULT: StationState.FAULT,
    Reason.GRID_FAULT: StationState.GRID_OUTAGE,
    Reason.GRID_DEAD: StationState.GRID_OUTAGE,
    Reason.STOPPED: StationState.FAULT,
    Reason.MUTE: StationState.UNKNOWN,
    Reason.SILENT: StationState.OFFLINE,
    Reason.RAN: StationState.OFFLINE,
    Reason.STOOD: StationState.FAULT,
    Reason.BRIDGED: StationState.NORMAL,
    Reason.NEVER: StationState.UNKNOWN,
    Reason.NIGHT: StationState.NIGHT,
    Reason.ASLEEP: StationState.NIGHT,
    Reason.LIMITED: StationState.CURTAILED,
    Reason.ORDERED: StationState.CURTAILED,
    Reason.PLANNED: StationState.PLANNED,
    Reason.MAJEURE: StationState.FAULT,
}
_BY_TOLD = {
    Told.MUTE: (Cause.UNKNOWN, Reason.MUTE),
    Told.PRODUCING: (Cause.RUNNING, Reason.RUNNING),
    Told.WARNING: (Cause.RUNNING, Reason.WARNING),
    Told.DERATED: (Cause.RUNNING, Reason.DERATED),
    Told.IDLE: (Cause.FORCED, Reason.IDLE),
    Told.FAULT: (Cause.FORCED, Reason.FAULT),
    Told.GRID_FAULT: (Cause.GRID, Reason.GRID_FAULT),
    Told.GRID_DEAD: (Cause.GRID, Reason.GRID_DEAD),
    Told.STOPPED: (Cause.FORCED, Reason.STOPPED),
    Told.MISSING: (Cause.UNKNOWN, Reason.SILENT),
}
CAUSE_OF = np.array([_BY_TOLD[code][0] for code in Told], np.int8)
REASON_OF = np.array([_BY_TOLD[code][1] for code in Told], np.int8)
BRIDGED_REASON_OF = np.where(REASON_OF == Reason.RUNNING, np.int8(Reason.BRIDGED), REASON_OF)


def state_of(reason: Reason) -> StationState:
    """Return the state to which a reason belongs."""
    return _STATES[reason]


def reason_words(reason: Reason, note: str = "") -> str:
    """Return a reason in Chinese; `note` is what the announcement or the dispatch order says."""
    words = _WORDS[reason]
    return f"{words}：{note}" if note and reason in _NOTED else words
