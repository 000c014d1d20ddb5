"""The kinds of alarms, how grave they are, what can happen to one, and the Chinese words for it.

Pure. Owns the words only; thresholds are data (`rules`).
"""

from collections.abc import Mapping
from enum import StrEnum


class AlarmKind(StrEnum):
    """What is wrong."""

    OUTAGE = "outage"
    ZERO_POWER = "zero_power"
    GRID_OUTAGE = "grid_outage"
    COMMUNICATION = "communication"
    LOW_YIELD = "low_yield"
    STRING_IMBALANCE = "string_imbalance"
    INSULATION = "insulation"
    OVER_TEMPERATURE = "over_temperature"
    GRID_VOLTAGE = "grid_voltage"
    GRID_FREQUENCY = "grid_frequency"
    CLOCK = "clock"
    COUNTER = "counter"
    METER_MISMATCH = "meter_mismatch"
    VENDOR = "vendor"


class AlarmSeverity(StrEnum):
    """How grave it is, worst first."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


class SubjectKind(StrEnum):
    """What an alarm is about: one device, a whole station, or all that is concerned in a division."""

    DEVICE = "device"
    STATION = "station"
    DIVISION = "division"


class AlarmAction(StrEnum):
    """What happens to an alarm; each leaves one entry of its history."""

    OPEN = "open"
    ACKNOWLEDGE = "acknowledge"
    ESCALATE = "escalate"
    GROUP = "group"
    RELEASE = "release"
    CLOSE = "close"


KIND_WORDS: Mapping[AlarmKind, str] = {
    AlarmKind.OUTAGE: "停机",
    AlarmKind.ZERO_POWER: "白天不发电",
    AlarmKind.GRID_OUTAGE: "电网停电",
    AlarmKind.COMMUNICATION: "通信中断",
    AlarmKind.LOW_YIELD: "发电偏低",
    AlarmKind.STRING_IMBALANCE: "组串不均",
    AlarmKind.INSULATION: "绝缘偏低",
    AlarmKind.OVER_TEMPERATURE: "机内过热",
    AlarmKind.GRID_VOLTAGE: "电网电压越限",
    AlarmKind.GRID_FREQUENCY: "电网频率越限",
    AlarmKind.CLOCK: "设备时钟不准",
    AlarmKind.COUNTER: "计数器异常",
    AlarmKind.METER_MISMATCH: "电表与逆变器不符",
    AlarmKind.VENDOR: "设备告警",
}
"""What each kind is called, so that it can follow the name of a device in a sentence."""

SEVERITY_WORDS: Mapping[AlarmSeverity, str] = {
    AlarmSeverity.CRITICAL: "紧急",
    AlarmSeverity.MAJOR: "重要",
    AlarmSeverity.MINOR: "一般",
}
SEVERITY_SHAPES: Mapping[AlarmSeverity, str] = {
    AlarmSeverity.CRITICAL: "✕",
    AlarmSeverity.MAJOR: "▲",
    AlarmSeverity.MINOR: "○",
}
ACTION_WORDS: Mapping[AlarmAction, str] = {
    AlarmAction.OPEN: "发生",
    AlarmAction.ACKNOWLEDGE: "确认",
    AlarmAction.ESCALATE: "升级",
    AlarmAction.GROUP: "并入",
    AlarmAction.RELEASE: "移出",
    AlarmAction.CLOSE: "恢复",
}
LEVEL_WORDS = ("未升级", "已报县", "已报县领导")
"""What each level of escalation means; the place in the tuple is the level."""

HIGHEST_LEVEL = len(LEVEL_WORDS) - 1
SEVERITY_ORDER: Mapping[AlarmSeverity, int] = {
    severity: place for place, severity in enumerate(AlarmSeverity)
}
"""The rank of each severity, 0 the worst."""

STANDSTILL = frozenset({AlarmKind.OUTAGE, AlarmKind.ZERO_POWER})
"""Two ways to see that a device does not run: one cause, hence one alarm."""
