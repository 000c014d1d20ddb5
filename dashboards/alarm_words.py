"""Alarms in sentences, with the money that pages add.

Owns how one alarm is told on a page. States and energy are `monitoring`'s, the tariff is
`distribution.settlement`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from dashboards.filters import duration
from distribution.settlement.valuation import Tariff, lost_fen, tariffs_in_force
from monitoring.alarms.kinds import KIND_WORDS, SEVERITY_SHAPES, SEVERITY_WORDS, AlarmSeverity
from monitoring.alarms.reads import Alarm
from monitoring.alarms.telling import subject_words
from registry.actors import Actor, Permission
from store.periods import local_date

TONES = {
    AlarmSeverity.CRITICAL: "fault",
    AlarmSeverity.MAJOR: "warning",
    AlarmSeverity.MINOR: "offline",
}


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One alarm as a page tells it; `lost_fen` is an estimate, None where unknown or not for this reader."""

    alarm: Alarm
    tone: str
    shape: str
    severity: str
    sentence: str
    lasting: str
    lost_fen: int | None


def money_for(session: Session, actor: Actor, now: datetime) -> Mapping[str, Tariff]:
    """Return the tariffs in force of the actor's stations; none for somebody who may not see money."""
    return tariffs_in_force(session, actor, local_date(now)) if actor.may(Permission.VIEW_MONEY) else {}


def alarm_line(alarm: Alarm, tariffs: Mapping[str, Tariff], now: datetime) -> AlarmLine:
    """Return an alarm in words, as 石坝村 2 号逆变器 停机 3 天 4 小时."""
    lasting = duration(alarm.lasting(now))
    return AlarmLine(
        alarm=alarm,
        tone=TONES[alarm.severity],
        shape=SEVERITY_SHAPES[alarm.severity],
        severity=SEVERITY_WORDS[alarm.severity],
        sentence=f"{subject_words(alarm)} {KIND_WORDS[alarm.kind]} {lasting}",
        lasting=lasting,
        lost_fen=lost_fen(tariffs, alarm.station_id, alarm.lost_energy_wh),
    )
