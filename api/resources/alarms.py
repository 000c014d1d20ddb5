"""Alarms of the area: list with filters, one with its history, and taking note of it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from api.notifications.worth import alarms_worth
from api.resources.problems import only_with_token, problems
from dashboards.web import NotFoundError, reading, requires, services_of
from monitoring.alarms.acknowledging import NOTE_CHARACTERS, AlarmError, acknowledge
from monitoring.alarms.kinds import (
    ACTION_WORDS,
    KIND_WORDS,
    SEVERITY_WORDS,
    AlarmAction,
    AlarmKind,
    AlarmSeverity,
    SubjectKind,
)
from monitoring.alarms.reads import Alarm, AlarmFilter, alarm, alarms, history
from monitoring.alarms.telling import sentence
from registry.actors import Actor, Permission
from store.problem import Problem, ProblemsError

router = APIRouter(prefix="/alarms", tags=["告警"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Acknowledger = Annotated[Actor, Depends(requires(Permission.ACKNOWLEDGE_EVENTS))]
Reading = Annotated[Session, Depends(reading)]
_AT_MOST = 500


class AlarmOut(BaseModel):
    """One alarm; `lost_energy_wh` and `lost_fen` are estimates, None where unknown; times are UTC."""

    id: str
    kind: AlarmKind
    word: str
    severity: AlarmSeverity
    severity_word: str
    subject_kind: SubjectKind
    station_id: str
    station_name: str
    device_id: str
    device_name: str
    division_code: str
    sentence: str = Field(description="一句话：哪里、什么、多久、约少收多少")
    cause: str
    opened_at: datetime
    detected_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_name: str
    level: int
    deadline: datetime | None
    parent_id: str = Field(description="说明它的更大范围的告警；空为独立")
    lost_energy_wh: int | None
    lost_fen: int | None


class AlarmEventOut(BaseModel):
    """One entry of an alarm's history; `by_name` is empty where it happened by itself."""

    seq: int
    at: datetime
    action: AlarmAction
    word: str
    by_name: str
    note: str


class AlarmDetailOut(AlarmOut):
    """One alarm with the figures that led to it, and its history."""

    evidence: dict[str, str]
    acknowledged_note: str
    history: list[AlarmEventOut]


class NoteIn(BaseModel):
    """What is said when taking note of an alarm."""

    note: str = Field("", max_length=NOTE_CHARACTERS)


def _out(one: Alarm, lost_fen: int | None, now: datetime) -> AlarmOut:
    return AlarmOut(
        id=one.id,
        kind=one.kind,
        word=KIND_WORDS[one.kind],
        severity=one.severity,
        severity_word=SEVERITY_WORDS[one.severity],
        subject_kind=one.subject_kind,
        station_id=one.station_id,
        station_name=one.station_name,
        device_id=one.device_id,
        device_name=one.device_name,
        division_code=one.division_code,
        sentence=sentence(one, now, lost_fen),
        cause=one.cause,
        opened_at=one.opened_at,
        detected_at=one.detected_at,
        closed_at=one.closed_at,
        acknowledged_at=one.acknowledged_at,
        acknowledged_name=one.acknowledged_name,
        level=one.level,
        deadline=one.deadline,
        parent_id=one.parent_id,
        lost_energy_wh=one.lost_energy_wh,
        lost_fen=lost_fen,
    )


class AlarmQuestion(BaseModel):
    """Which alarms are asked for."""

    open_only: bool = Field(True, description="只列未恢复的")
    unacknowledged: bool = Field(False, description="只列未确认的")
    grouped: bool = Field(False, description="也列已并入更大范围告警的")
    kind: list[AlarmKind] = Field([], description="种类，可写多次")
    severity: list[AlarmSeverity] = Field([], description="严重程度，可写多次")
    area: str = Field("", pattern="^([0-9]{12})?$", description="12 位区划代码")
    station_id: str = Field("", max_length=128)
    limit: int = Field(_AT_MOST, ge=1, le=_AT_MOST)
    offset: int = Field(0, ge=0, le=1_000_000)


@router.get("")
def list_alarms(
    request: Request, asked: Annotated[AlarmQuestion, Query()], actor: Reader, session: Reading
) -> list[AlarmOut]:
    """Return the alarms of the area: open ones first, gravest, then newest."""
    now = services_of(request).clock()
    wanted = AlarmFilter(
        kinds=asked.kind,
        severities=asked.severity,
        open_only=asked.open_only,
        unacknowledged=asked.unacknowledged,
        area=asked.area,
        station_id=asked.station_id,
        grouped=asked.grouped,
    )
    found = alarms(session, actor, wanted, limit=asked.limit, offset=asked.offset)
    worth = alarms_worth(session, actor, found, now)
    return [_out(one, worth.get(one.id), now) for one in found]


def _detail(session: Session, actor: Actor, alarm_id: str, now: datetime) -> AlarmDetailOut:
    found = alarm(session, actor, alarm_id)
    if found is None:
        raise NotFoundError(alarm_id)
    worth = alarms_worth(session, actor, [found], now)
    told = [
        AlarmEventOut(
            seq=one.seq,
            at=one.at,
            action=one.action,
            word=ACTION_WORDS[one.action],
            by_name=one.by_name,
            note=one.note,
        )
        for one in history(session, actor, alarm_id)
    ]
    return AlarmDetailOut(
        **_out(found, worth.get(found.id), now).model_dump(),
        evidence=dict(found.evidence),
        acknowledged_note=found.acknowledged_note,
        history=told,
    )


@router.get("/{alarm_id}")
def show_alarm(request: Request, alarm_id: str, actor: Reader, session: Reading) -> AlarmDetailOut:
    """Return one alarm with its history."""
    return _detail(session, actor, alarm_id, services_of(request).clock())


@router.post("/{alarm_id}/acknowledge", dependencies=[Depends(only_with_token)], responses=problems(400))
def acknowledge_alarm(request: Request, alarm_id: str, given: NoteIn, actor: Acknowledger) -> AlarmDetailOut:
    """Record that the login has taken note of an alarm; once, and for ever."""
    services = services_of(request)
    now = services.clock()
    try:
        with services.database.transaction() as session:
            acknowledge(session, actor, alarm_id, given.note, now)
            return _detail(session, actor, alarm_id, now)
    except LookupError as error:
        raise NotFoundError(alarm_id) from error
    except AlarmError as error:
        raise ProblemsError([Problem("告警", str(error), "不必再确认")]) from error
