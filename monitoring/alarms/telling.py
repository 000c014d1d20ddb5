"""One alarm as a sentence: where, what, since when, at what cost.

Pure. Owns the words that messages and commands share. Money is handed in by whoever may join it.
"""

from datetime import datetime

from monitoring.alarms.kinds import KIND_WORDS
from monitoring.alarms.reads import Alarm
from monitoring.states import duration_words


def short_place(name: str) -> str:
    """Return a station's name as people say it, without 光伏电站 behind it."""
    return name.removesuffix("电站").removesuffix("光伏") or name


def subject_words(alarm: Alarm) -> str:
    """Return what an alarm is about: station and device, the whole station, or a division."""
    if not alarm.station_id:
        return f"{alarm.division_name}多座电站"
    return f"{short_place(alarm.station_name)} {alarm.device_name or '全站'}"


def loss_words(alarm: Alarm, lost_fen: int | None) -> str:
    """Return what an alarm cost: in yuan where that is known, else in kWh, else nothing."""
    if lost_fen is not None and lost_fen > 0:
        return f"约少收 {lost_fen / 100:,.0f} 元" if lost_fen >= 100 else "约少收不到 1 元"  # noqa: PLR2004, fen of a yuan
    if alarm.lost_energy_wh:
        return f"约少发 {alarm.lost_energy_wh / 1000:,.1f} 千瓦时"
    return ""


def sentence(alarm: Alarm, now: datetime, lost_fen: int | None = None) -> str:
    """Return an alarm in words, as 石坝村 2 号逆变器 停机 3 天 4 小时，约少收 186 元."""
    words = f"{subject_words(alarm)} {KIND_WORDS[alarm.kind]} {duration_words(alarm.lasting(now))}"
    loss = loss_words(alarm, lost_fen)
    return f"{words}，{loss}" if loss else words
