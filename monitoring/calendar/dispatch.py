"""Records of dispatch: curtailment (限电), ordered stops (停机令), and majeure (不可抗力).

Owns their recording and reading (the table is in `monitoring.tables`). A record names its document; it is
withdrawn by another entry, never edited. Such time does not count against the equipment.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from monitoring.tables import DispatchRecordRow, DispatchWithdrawalRow
from registry import audit
from registry.actors import Actor, Permission
from registry.stations import device, devices, station, stations
from store.db import new_id
from store.problem import Problem, ProblemsError


class DispatchKind(StrEnum):
    """What a record is about."""

    CURTAILMENT = "curtailment"
    STOP = "stop"
    MAJEURE = "majeure"


KIND_LABELS = {
    DispatchKind.CURTAILMENT: "限电",
    DispatchKind.STOP: "停机令",
    DispatchKind.MAJEURE: "不可抗力",
}


@dataclass(frozen=True, slots=True)
class DispatchRecord:
    """An order or an event for a station, a device, or everything in a division (12 digits).

    In force in [start, end) [UTC], `end` None while it lasts; `document` is the order's number or the
    evidence; `limit_percent` the allowed output where the order names one.
    """

    subject_id: str
    kind: DispatchKind
    start: datetime
    end: datetime | None
    document: str
    limit_percent: float | None = None
    id: str = ""

    @property
    def note(self) -> str:
        """The record in Chinese, as pages and reasons quote it."""
        limit = "" if self.limit_percent is None else f"，限至 {self.limit_percent:g} %"
        return f"{KIND_LABELS[self.kind]} {self.document}{limit}"


def _checked(session: Session, actor: Actor, record: DispatchRecord) -> None:
    problems = []
    if record.end is not None and record.end <= record.start:
        problems.append(Problem("结束时刻", "不晚于开始时刻", "改正时刻；还在执行的不写结束时刻"))
    if not record.document.strip():
        problems.append(Problem("依据", "没有调度令编号或证明材料", "写明依据：没有依据的停机算设备原因"))
    if record.limit_percent is not None and not 0 <= record.limit_percent <= 100:  # noqa: PLR2004, percent
        problems.append(Problem("限至", f"{record.limit_percent:g} % 不在 0 到 100 之间", "写占额定的百分数"))
    subject = record.subject_id
    known = station(session, actor, subject) or device(session, actor, subject)
    if known is None and not (subject.isdigit() and actor.covers(subject)):
        problems.append(
            Problem("对象", f"{actor.name} 的辖区内没有 {subject}", "写电站、设备编号或 12 位区划代码")
        )
    if problems:
        raise ProblemsError(problems)


def record_dispatch(session: Session, actor: Actor, record: DispatchRecord, now: datetime) -> str:
    """Record an order or event in the actor's area; returns its id. Raises ProblemsError when it is wrong."""
    actor.require(Permission.ACKNOWLEDGE_EVENTS)
    _checked(session, actor, record)
    row = DispatchRecordRow(
        id=new_id("dispatch"),
        subject_id=record.subject_id,
        kind=record.kind,
        start=record.start,
        end=record.end,
        document=record.document.strip(),
        limit_percent=record.limit_percent,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    facts = (record.subject_id, record.kind, record.start, record.end, record.note)
    audit.record(session, actor, audit.Entry("record", "dispatch_record", row.id, after=facts), now)
    return row.id


def end_dispatch(session: Session, actor: Actor, record_id: str, at: datetime | None, now: datetime) -> None:
    """Say when a record ended, or with `at` None that it never held; raises LookupError for no record."""
    actor.require(Permission.ACKNOWLEDGE_EVENTS)
    found = [one for one in dispatch_records(session, actor) if one.id == record_id]
    if not found:
        raise LookupError(f"{actor.name} 的辖区内没有调度记录 {record_id}")
    if at is not None and at <= found[0].start:
        raise ProblemsError([Problem("结束时刻", "不晚于开始时刻", "改正时刻；记错的整条作废")])
    session.add(
        DispatchWithdrawalRow(
            id=new_id("dispatch"),
            record_id=record_id,
            ended_at=at,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    what = audit.Entry("withdraw" if at is None else "end", "dispatch_record", record_id, after=at)
    audit.record(session, actor, what, now)


def _in_force(session: Session, rows: list[DispatchRecordRow]) -> list[DispatchRecord]:
    endings: dict[str, datetime | None] = {}
    statement = select(DispatchWithdrawalRow).where(
        DispatchWithdrawalRow.record_id.in_([row.id for row in rows])
    )
    for ending in session.scalars(statement.order_by(DispatchWithdrawalRow.recorded_at)):
        endings[ending.record_id] = ending.ended_at
    return [
        DispatchRecord(
            row.subject_id,
            DispatchKind(row.kind),
            row.start,
            endings.get(row.id, row.end),
            row.document,
            row.limit_percent,
            row.id,
        )
        for row in rows
        if endings.get(row.id, row.start) is not None
    ]


def dispatch_between(session: Session, start: datetime, end: datetime) -> list[DispatchRecord]:
    """Return every record that touches [start, end) [UTC], withdrawn ones left out, by beginning."""
    statement = select(DispatchRecordRow).where(
        DispatchRecordRow.start < end, or_(DispatchRecordRow.end.is_(None), DispatchRecordRow.end > start)
    )
    rows = list(session.scalars(statement.order_by(DispatchRecordRow.start, DispatchRecordRow.id)))
    return [one for one in _in_force(session, rows) if one.end is None or one.end > start]


def dispatch_records(session: Session, actor: Actor) -> list[DispatchRecord]:
    """Return the records that concern the actor's area, the newest first."""
    actor.require(Permission.VIEW_STATIONS)
    rows = list(session.scalars(select(DispatchRecordRow).order_by(DispatchRecordRow.start.desc())))
    mine = {one.id for one in stations(session, actor)} | {one.id for one in devices(session, actor)}
    shown = [row for row in rows if row.subject_id in mine or _is_mine(actor, row.subject_id)]
    return _in_force(session, shown)


def _is_mine(actor: Actor, subject_id: str) -> bool:
    return subject_id.isdigit() and actor.covers(subject_id)
