"""Whether a device or a station runs, and why we say so.

Owns the nine states with word, shape and colour, and the pure rules from evidence to a state with its
reason. It reads no store: whoever asks brings the evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitoring.uptime.told import TOLD_WORDS, Told, told_of
from store.periods import SHANGHAI
from store.samples import DeviceState, Sample

NIGHT_ELEVATION_DEG = 0.0
DUSK_ELEVATION_DEG = 8.0
DAY_ELEVATION_DEG = 12.0
STALE_CYCLES = 3
STALE_AT_LEAST = timedelta(minutes=15)
NEIGHBOURS_PRODUCE_FRACTION = 0.05


class StationState(StrEnum):
    """The states of a device and of a station, each distinct."""

    NORMAL = "normal"
    WARNING = "warning"
    CURTAILED = "curtailed"
    FAULT = "fault"
    GRID_OUTAGE = "grid_outage"
    PLANNED = "planned"
    NIGHT = "night"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StateLook:
    """How a state is shown everywhere: word, shape, colour (empty when hatched), and rank, worst first."""

    word: str
    short_word: str
    shape: str
    colour: str
    rank: int


LOOKS: Mapping[StationState, StateLook] = {
    StationState.FAULT: StateLook("故障", "故障", "✕", "#B3261E", 0),
    StationState.GRID_OUTAGE: StateLook("电网停电", "停电", "⚡", "#6A3D9A", 1),
    StationState.OFFLINE: StateLook("通信中断", "中断", "◌", "#5F6368", 2),
    StationState.WARNING: StateLook("告警", "告警", "▲", "#B45F06", 3),
    StationState.UNKNOWN: StateLook("未知", "未知", "▨", "", 4),
    StationState.CURTAILED: StateLook("限电", "限电", "▼", "#7A5C00", 5),
    StationState.PLANNED: StateLook("计划检修", "检修", "◆", "#00696F", 6),
    StationState.NIGHT: StateLook("夜间待机", "夜间", "☾", "#2F6DB5", 7),
    StationState.NORMAL: StateLook("正常", "正常", "●", "#1B7F4B", 8),
}
"""The look of each state, worst first."""

DISPLAY_ORDER: tuple[StationState, ...] = (
    StationState.NORMAL,
    StationState.WARNING,
    StationState.CURTAILED,
    StationState.FAULT,
    StationState.GRID_OUTAGE,
    StationState.PLANNED,
    StationState.NIGHT,
    StationState.OFFLINE,
    StationState.UNKNOWN,
)
"""The order in which counts by state are read out."""

NEEDS_ATTENTION = frozenset(
    {StationState.FAULT, StationState.GRID_OUTAGE, StationState.OFFLINE, StationState.WARNING}
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """A state, the reason in Chinese words, and since when it holds [UTC], where that is known."""

    state: StationState
    reason: str
    since: datetime | None = None

    @property
    def look(self) -> StateLook:
        """Word, shape and colour of the state."""
        return LOOKS[self.state]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one inverter at `now` [UTC].

    `sample` is its newest sample or None; `elevation_deg` and `sample_elevation_deg` the sun's elevation
    now and at the sample; `neighbours` the median output of comparable inverters as a fraction of rated
    power, None when there are none; `planned` the announced work and `ordered` the dispatch order that cover
    now, or empty. `told` is what the sample says, where somebody has found out already.
    """

    now: datetime
    sample: Sample | None
    rated_power_w: int
    cycle_seconds: int
    elevation_deg: float
    sample_elevation_deg: float = 90.0
    neighbours: float | None = None
    planned: str = ""
    ordered: str = ""
    told: Told | None = None


def duration_words(span: timedelta) -> str:
    """Return a duration in words, as 3 天 4 小时, 2 小时 5 分, or 12 分钟."""
    minutes = max(0, int(span.total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} 天 {hours} 小时" if hours else f"{days} 天"
    if hours:
        return f"{hours} 小时 {minutes % 60} 分" if minutes % 60 else f"{hours} 小时"
    return f"{minutes} 分钟"


def stale_after(cycle_seconds: int) -> timedelta:
    """Return how old a device's newest sample may be before its data counts as interrupted."""
    return max(STALE_AT_LEAST, timedelta(seconds=STALE_CYCLES * cycle_seconds))


def _time_words(moment: datetime, now: datetime) -> str:
    local, today = moment.astimezone(SHANGHAI), now.astimezone(SHANGHAI)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    return f"{local.month}月{local.day}日 {local:%H:%M}"


def _silent(evidence: Evidence, sample: Sample) -> Opinion:
    """Return the state of a device that has not answered for long: asleep, or cut off."""
    asleep = evidence.elevation_deg < DUSK_ELEVATION_DEG and (
        evidence.sample_elevation_deg < DUSK_ELEVATION_DEG
    )
    if asleep and evidence.now - sample.time < timedelta(hours=24):
        return Opinion(StationState.NIGHT, "夜间，设备休眠", sample.time)
    age = duration_words(evidence.now - sample.time)
    return Opinion(
        StationState.OFFLINE, f"数据停在 {_time_words(sample.time, evidence.now)}（{age}前）", sample.time
    )


def _idle(evidence: Evidence, word: str) -> Opinion:
    """Return the state of a device that answers, has no fault and feeds nothing in."""
    if evidence.elevation_deg < DUSK_ELEVATION_DEG:
        return Opinion(StationState.NIGHT, "天色暗，等待日照")
    if evidence.neighbours is not None:
        if evidence.neighbours > NEIGHBOURS_PRODUCE_FRACTION:
            share = f"{evidence.neighbours:.0%}"
            return Opinion(StationState.FAULT, f"白天不发电（{word}），同类逆变器正以额定的 {share} 发电")
        return Opinion(StationState.NORMAL, "日照不足，附近逆变器也几乎不发电")
    if evidence.elevation_deg > DAY_ELEVATION_DEG:
        return Opinion(StationState.WARNING, f"白天不发电（{word}），没有可比的逆变器")
    return Opinion(StationState.NIGHT, "天色暗，等待日照")


_PRODUCING = frozenset({Told.PRODUCING, Told.WARNING, Told.DERATED})
_SAID = {
    Told.MUTE: StationState.UNKNOWN,
    Told.PRODUCING: StationState.NORMAL,
    Told.WARNING: StationState.WARNING,
    Told.DERATED: StationState.CURTAILED,
    Told.FAULT: StationState.FAULT,
    Told.GRID_FAULT: StationState.GRID_OUTAGE,
    Told.GRID_DEAD: StationState.GRID_OUTAGE,
    Told.STOPPED: StationState.FAULT,
}


def _by_sample(evidence: Evidence, sample: Sample, said: Told) -> Opinion:
    if evidence.ordered and said in {Told.PRODUCING, Told.DERATED}:
        return Opinion(StationState.CURTAILED, f"调度限电：{evidence.ordered}")
    if evidence.ordered and said in {Told.IDLE, Told.STOPPED}:
        return Opinion(StationState.CURTAILED, f"调度停机或限电，不发电：{evidence.ordered}")
    if said is not Told.IDLE:
        return Opinion(_SAID[said], TOLD_WORDS[said])
    code = sample.values.get("state", DeviceState.UNKNOWN)
    return _idle(evidence, "设备显示运行" if code == DeviceState.RUNNING else "设备显示待机")


def device_state(evidence: Evidence) -> Opinion:
    """Return the state of one inverter with its reason; night is never a fault."""
    sample = evidence.sample
    if evidence.planned:
        return Opinion(StationState.PLANNED, f"计划检修：{evidence.planned}")
    if sample is None:
        return Opinion(StationState.UNKNOWN, "从未收到数据")
    if evidence.now - sample.time > stale_after(evidence.cycle_seconds):
        return _silent(evidence, sample)
    said = told_of(sample, evidence.rated_power_w) if evidence.told is None else evidence.told
    if evidence.elevation_deg < NIGHT_ELEVATION_DEG and said not in _PRODUCING:
        return Opinion(StationState.NIGHT, "夜间")
    return _by_sample(evidence, sample, said)


@dataclass(frozen=True, slots=True)
class Part:
    """One inverter of a station: its name, rated power [W] and state."""

    name: str
    rated_power_w: int
    opinion: Opinion


_PARTLY_BAD = frozenset(
    {StationState.FAULT, StationState.GRID_OUTAGE, StationState.OFFLINE, StationState.UNKNOWN}
)


def station_state(parts: Sequence[Part]) -> Opinion:
    """Return the state of a station from its inverters, weighted by rated power.

    The state that holds at least half of the power is the station's; with less than half of it in a bad
    state the station runs with a warning that names the inverters.
    """
    if not parts:
        return Opinion(StationState.UNKNOWN, "没有登记逆变器")
    weights: dict[StationState, int] = {}
    for part in parts:
        state = part.opinion.state
        weights[state] = weights.get(state, 0) + max(1, part.rated_power_w)
    total = sum(weights.values())
    leading = min(weights, key=lambda state: (-weights[state], LOOKS[state].rank))
    if 2 * weights[leading] >= total and leading is not StationState.NORMAL:
        return _leading(parts, leading)
    bad = [part for part in parts if part.opinion.state in _PARTLY_BAD]
    if bad:
        share = sum(max(1, part.rated_power_w) for part in bad) / total
        words = "、".join(f"{part.name}{part.opinion.look.word}" for part in bad[:3])
        more = f"等 {len(bad)} 台" if len(bad) > 3 else ""  # noqa: PLR2004, three names still read as one line
        since = min((part.opinion.since for part in bad if part.opinion.since), default=None)
        return Opinion(StationState.WARNING, f"{words}{more}，占容量 {share:.0%}", since)
    return _leading(parts, min(weights, key=lambda state: LOOKS[state].rank))


def _leading(parts: Sequence[Part], state: StationState) -> Opinion:
    """Return a station's state as its inverters in that state explain it."""
    those = [part for part in parts if part.opinion.state is state]
    since = min((part.opinion.since for part in those if part.opinion.since), default=None)
    if len(parts) == 1 or state is StationState.NORMAL:
        return Opinion(state, those[0].opinion.reason, since)
    count = "全部" if len(those) == len(parts) else f"{len(parts)} 台中 {len(those)} 台"
    return Opinion(state, f"{count}逆变器{LOOKS[state].word}：{those[0].opinion.reason}", since)
