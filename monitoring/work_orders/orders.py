"""What is done with work orders: opening, handling, closing.

Owns the commands. Each is one transaction of the caller: a log entry and the new state, or nothing. Who
may do what, and in which order, is said by `states`, and asserted again by the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from documents.attachments import LIMIT_BYTES, store_attachment
from documents.pictures import without_location
from documents.refusal import FileRefusedError
from monitoring.work_orders.states import (
    ACTION_WORDS,
    ENDED,
    MOVES,
    NEEDS_REASON,
    PERMISSIONS,
    STATE_WORDS,
    Action,
    OrderState,
)
from monitoring.work_orders.tables import (
    WorkOrderLogRow,
    WorkOrderPartRow,
    WorkOrderPhotoRow,
    WorkOrderRow,
)
from registry import audit
from registry.actors import Actor
from registry.stations import StationRow, device, station, station_in_area
from store.db import new_id
from store.periods import SHANGHAI

PHOTOS_AT_MOST = 12
PHOTO_BYTES = 8 << 20
_TITLE_CHARACTERS, _NOTE_CHARACTERS = 120, 1000
_NUMBER_LOCK = 5_208_005


class WorkOrderError(ValueError):
    """A work order cannot do this now; the Chinese text says why and what to do."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A work order to be sent out: station, device (empty for the whole station), work, deadline [UTC].

    `alarm_id` names the alarm that it answers, empty for an order by hand.
    """

    station_id: str
    title: str
    due_at: datetime
    device_id: str = ""
    alarm_id: str = ""
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that was used: what, how many, and the serial number of the new one."""

    name: str
    quantity: int = 1
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as it is kept: the SHA-256 of its content, and its media type."""

    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to be done with an order: words, photos, parts, a new deadline [UTC].

    `seen_seq` is the number of the last log entry that the person saw (0: whatever it is), so that nobody
    acts on an order that has moved on meanwhile.
    """

    action: Action
    note: str = ""
    seen_seq: int = 0
    photos: tuple[Photo, ...] = ()
    parts: tuple[Part, ...] = ()
    due_at: datetime | None = None


def keep_photo(folder: Path, content: bytes) -> Photo:
    """Keep a photo without its place and return what names it.

    Raises FileRefusedError when it is too large, or no whole JPEG or PNG.
    """
    if len(content) > min(PHOTO_BYTES, LIMIT_BYTES):
        raise FileRefusedError("照片", f"超过 {PHOTO_BYTES >> 20} MB", "请用手机的普通画质拍照")
    plain, media_type = without_location(content)
    return Photo(store_attachment(folder, plain, PHOTO_BYTES), media_type)


def open_order(session: Session, actor: Actor, new: NewOrder, now: datetime) -> str:
    """Send a work order to the company that looks after the station, and return its id.

    Raises WorkOrderError when it cannot be sent so, LookupError for a station outside the actor's area.
    """
    actor.require(PERMISSIONS[Action.DISPATCH])
    place = station(session, actor, new.station_id)
    if place is None:
        raise LookupError(f"{actor.name} 的辖区内没有电站 {new.station_id}")
    _refuse_new(session, actor, new, now)
    row = WorkOrderRow(
        id=new_id("order"),
        number=_next_number(session, now),
        station_id=place.id,
        device_id=new.device_id,
        alarm_id=new.alarm_id,
        title=new.title.strip(),
        instructions=new.instructions.strip(),
        company=place.maintenance_company,
        opened_at=now,
        opened_by=actor.user_id,
        opened_name=actor.name,
        first_due_at=new.due_at,
        due_at=new.due_at,
        state=OrderState.DISPATCHED,
        log_seq=1,
    )
    session.add(row)
    session.flush()
    _write_log(
        session, actor, (row.id, 1, OrderState.DISPATCHED), Entry(Action.DISPATCH, due_at=new.due_at), now
    )
    audit.record(session, actor, audit.Entry("dispatch", "work_order", row.id, after=new), now)
    return row.id


def _refuse_new(session: Session, actor: Actor, new: NewOrder, now: datetime) -> None:
    if not new.title.strip():
        raise WorkOrderError("没有写要做什么，请写一句话，例如“2 号逆变器停机，到场检查”")
    if len(new.title) > _TITLE_CHARACTERS or len(new.instructions) > _NOTE_CHARACTERS:
        raise WorkOrderError(f"写得太长，标题不超过 {_TITLE_CHARACTERS} 字，说明不超过 {_NOTE_CHARACTERS} 字")
    if new.due_at <= now:
        raise WorkOrderError("完成期限已经过去，请选一个以后的时间")
    if new.device_id:
        found = device(session, actor, new.device_id)
        if found is None or found.station_id != new.station_id:
            raise LookupError(f"电站 {new.station_id} 没有设备 {new.device_id}")
    if new.alarm_id:
        statement = select(WorkOrderRow.number).where(
            WorkOrderRow.alarm_id == new.alarm_id, WorkOrderRow.state.not_in(ENDED)
        )
        number = session.scalar(statement)
        if number is not None:
            raise WorkOrderError(f"这条告警已经派了工单 {number}，不必再派")


def _next_number(session: Session, now: datetime) -> str:
    """Return the next number of the day, as 20261125-003."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _NUMBER_LOCK})
    day = f"{now.astimezone(SHANGHAI):%Y%m%d}"
    count = session.scalar(
        select(func.count()).select_from(WorkOrderRow).where(WorkOrderRow.number.startswith(f"{day}-"))
    )
    return f"{day}-{(count or 0) + 1:03d}"


def act(session: Session, actor: Actor, order_id: str, entry: Entry, now: datetime) -> OrderState:
    """Do something with an order of the actor's stations and return the state that it has then.

    Raises WorkOrderError when it cannot be done now, LookupError for an order outside the actor's area.
    """
    actor.require(PERMISSIONS[entry.action])
    row = _own(session, actor, order_id)
    _refuse(session, actor, row, entry, now)
    state = MOVES[entry.action][1] or OrderState(row.state)
    seq = row.log_seq + 1
    _write_log(session, actor, (row.id, seq, state), entry, now)
    row.log_seq, row.state = seq, state
    row.due_at = entry.due_at if entry.action is Action.EXTEND and entry.due_at else row.due_at
    row.done_at = {Action.FINISH: now, Action.SEND_BACK: None}.get(entry.action, row.done_at)
    row.closed_at = now if entry.action is Action.CLOSE else row.closed_at
    session.flush()
    what = audit.Entry(entry.action, "work_order", row.id, after=entry, reason=entry.note.strip())
    audit.record(session, actor, what, now)
    return state


def _own(session: Session, actor: Actor, order_id: str) -> WorkOrderRow:
    statement = (
        select(WorkOrderRow)
        .join(StationRow, StationRow.id == WorkOrderRow.station_id)
        .where(WorkOrderRow.id == order_id, station_in_area(actor))
        .with_for_update(of=WorkOrderRow)
        .execution_options(populate_existing=True)
    )
    row = session.scalar(statement)
    if row is None:
        raise LookupError(f"{actor.name} 的辖区内没有工单 {order_id}")
    return row


def _refuse(session: Session, actor: Actor, row: WorkOrderRow, entry: Entry, now: datetime) -> None:
    if entry.seen_seq and entry.seen_seq != row.log_seq:
        raise WorkOrderError(_moved_on(session, row))
    if OrderState(row.state) not in MOVES[entry.action][0]:
        word = STATE_WORDS[OrderState(row.state)]
        raise WorkOrderError(f"工单现在是“{word}”，不能{ACTION_WORDS[entry.action]}")
    if entry.action in NEEDS_REASON and not entry.note.strip():
        raise WorkOrderError(f"{ACTION_WORDS[entry.action]}要写明情况")
    if len(entry.note) > _NOTE_CHARACTERS:
        raise WorkOrderError(f"写得太长，不超过 {_NOTE_CHARACTERS} 字")
    if entry.action is Action.EXTEND and (entry.due_at is None or entry.due_at <= max(now, row.due_at)):
        raise WorkOrderError("新的期限要晚于原来的期限和现在")
    if entry.action is Action.CLOSE and actor.user_id in _finishers(session, row.id):
        raise WorkOrderError("报完工的人不能自己验收，请由县里另一位同志办结")
    if any(part.quantity < 1 or not part.name.strip() for part in entry.parts):
        raise WorkOrderError("配件要写名称，数量至少是 1")
    _refuse_photos(session, row.id, entry.photos)


def _refuse_photos(session: Session, order_id: str, photos: Sequence[Photo]) -> None:
    kept = session.scalar(
        select(func.count()).select_from(WorkOrderPhotoRow).where(WorkOrderPhotoRow.order_id == order_id)
    )
    if (kept or 0) + len(photos) > PHOTOS_AT_MOST:
        raise WorkOrderError(f"一张工单最多 {PHOTOS_AT_MOST} 张照片")


def _moved_on(session: Session, row: WorkOrderRow) -> str:
    last = session.get_one(WorkOrderLogRow, (row.id, row.log_seq))
    when = f"{last.at.astimezone(SHANGHAI):%H:%M}"
    return f"{last.by_name} 已在 {when} {ACTION_WORDS[Action(last.action)]}，请看最新情况后再办"


def _finishers(session: Session, order_id: str) -> set[str]:
    statement = select(WorkOrderLogRow.by_id).where(
        WorkOrderLogRow.order_id == order_id, WorkOrderLogRow.action == Action.FINISH
    )
    return set(session.scalars(statement))


def _write_log(
    session: Session, actor: Actor, at: tuple[str, int, OrderState], entry: Entry, now: datetime
) -> None:
    order_id, seq, state = at
    session.add(
        WorkOrderLogRow(
            order_id=order_id,
            seq=seq,
            at=now,
            by_id=actor.user_id,
            by_name=actor.name,
            action=entry.action,
            state=state,
            note=entry.note.strip(),
            due_at=entry.due_at,
        )
    )
    session.flush()
    known = set(
        session.scalars(select(WorkOrderPhotoRow.sha256).where(WorkOrderPhotoRow.order_id == order_id))
    )
    for photo in {one.sha256: one for one in entry.photos if one.sha256 not in known}.values():
        session.add(
            WorkOrderPhotoRow(order_id=order_id, sha256=photo.sha256, seq=seq, media_type=photo.media_type)
        )
    for place, part in enumerate(entry.parts):
        session.add(
            WorkOrderPartRow(
                order_id=order_id,
                seq=seq,
                place=place,
                name=part.name.strip(),
                quantity=part.quantity,
                serial=part.serial.strip(),
            )
        )
    session.flush()
