"""Work orders as they are shown: lists, one order with its log, and how punctual the work is.

Owns the queries, always within the actor's stations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitoring.work_orders.orders import Part
from monitoring.work_orders.states import ENDED, STATE_WORDS, Action, OrderState
from monitoring.work_orders.tables import (
    WorkOrderLogRow,
    WorkOrderPartRow,
    WorkOrderPhotoRow,
    WorkOrderRow,
)
from registry.actors import Actor, Permission
from registry.stations import StationRow, station_in_area


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """One order as it stands; `done_at` is None until the work is reported done, or when it was sent back."""

    id: str
    number: str
    station_id: str
    station_name: str
    division_code: str
    device_id: str
    alarm_id: str
    title: str
    instructions: str
    company: str
    opened_at: datetime
    opened_name: str
    first_due_at: datetime
    due_at: datetime
    state: OrderState
    log_seq: int
    done_at: datetime | None
    closed_at: datetime | None

    @property
    def state_word(self) -> str:
        """The state in Chinese."""
        return STATE_WORDS[self.state]

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done."""
        return self.state in ENDED

    @property
    def extended(self) -> bool:
        """Whether the county gave more time than at first."""
        return self.due_at != self.first_due_at

    def overdue(self, now: datetime) -> bool:
        """Tell whether the work is not reported done although its deadline has passed."""
        return not self.ended and self.done_at is None and self.due_at < now

    def in_time(self, now: datetime) -> bool | None:
        """Tell whether the work was done by its deadline; None where undecided or cancelled."""
        if self.state is OrderState.CANCELLED:
            return None
        if self.done_at is not None:
            return self.done_at <= self.due_at
        return False if self.overdue(now) else None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of an order's log with its photos (SHA-256) and parts."""

    seq: int
    at: datetime
    by_id: str
    by_name: str
    action: Action
    state: OrderState
    note: str
    due_at: datetime | None
    photos: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders are wanted: open ones only, a state, a station, an alarm; empty fields do not matter.

    `due` is an interval [start, end) of deadlines [UTC].
    """

    open_only: bool = False
    state: OrderState | None = None
    station_id: str = ""
    alarm_id: str = ""
    due: tuple[datetime, datetime] | None = None


def work_orders(session: Session, actor: Actor, wanted: OrderFilter | None = None) -> tuple[WorkOrder, ...]:
    """Return the orders of the actor's stations that pass a filter: open ones first, then by deadline."""
    actor.require(Permission.VIEW_STATIONS)
    wanted = wanted or OrderFilter()
    statement = select(WorkOrderRow, StationRow.name, StationRow.division_code).join(
        StationRow, StationRow.id == WorkOrderRow.station_id
    )
    statement = statement.where(station_in_area(actor))
    if wanted.open_only:
        statement = statement.where(WorkOrderRow.state.not_in(ENDED))
    if wanted.state is not None:
        statement = statement.where(WorkOrderRow.state == wanted.state)
    if wanted.station_id:
        statement = statement.where(WorkOrderRow.station_id == wanted.station_id)
    if wanted.alarm_id:
        statement = statement.where(WorkOrderRow.alarm_id == wanted.alarm_id)
    if wanted.due is not None:
        statement = statement.where(WorkOrderRow.due_at >= wanted.due[0], WorkOrderRow.due_at < wanted.due[1])
    found = [_order(row, name, code) for row, name, code in session.execute(statement)]
    return tuple(sorted(found, key=_urgency))


def _urgency(order: WorkOrder) -> tuple[bool, float, str]:
    """Open orders by deadline, then ended ones, the newest first."""
    when = order.due_at.timestamp()
    return order.ended, -when if order.ended else when, order.number


def work_order(session: Session, actor: Actor, order_id: str) -> WorkOrder | None:
    """Return one order of the actor's stations, or None."""
    actor.require(Permission.VIEW_STATIONS)
    statement = (
        select(WorkOrderRow, StationRow.name, StationRow.division_code)
        .join(StationRow, StationRow.id == WorkOrderRow.station_id)
        .where(WorkOrderRow.id == order_id, station_in_area(actor))
    )
    found = session.execute(statement).first()
    return None if found is None else _order(*found)


def _order(row: WorkOrderRow, station_name: str, division_code: str) -> WorkOrder:
    return WorkOrder(
        id=row.id,
        number=row.number,
        station_id=row.station_id,
        station_name=station_name,
        division_code=division_code,
        device_id=row.device_id,
        alarm_id=row.alarm_id,
        title=row.title,
        instructions=row.instructions,
        company=row.company,
        opened_at=row.opened_at,
        opened_name=row.opened_name,
        first_due_at=row.first_due_at,
        due_at=row.due_at,
        state=OrderState(row.state),
        log_seq=row.log_seq,
        done_at=row.done_at,
        closed_at=row.closed_at,
    )


def log_of(session: Session, actor: Actor, order_id: str) -> tuple[LogEntry, ...]:
    """Return the log of an order of the actor's stations, oldest first; empty where there is none."""
    if work_order(session, actor, order_id) is None:
        return ()
    photos: dict[int, list[str]] = {}
    for photo in session.scalars(select(WorkOrderPhotoRow).where(WorkOrderPhotoRow.order_id == order_id)):
        photos.setdefault(photo.seq, []).append(photo.sha256)
    parts: dict[int, list[Part]] = {}
    used = select(WorkOrderPartRow).where(WorkOrderPartRow.order_id == order_id)
    for part in session.scalars(used.order_by(WorkOrderPartRow.place)):
        parts.setdefault(part.seq, []).append(Part(part.name, part.quantity, part.serial))
    rows = session.scalars(
        select(WorkOrderLogRow).where(WorkOrderLogRow.order_id == order_id).order_by(WorkOrderLogRow.seq)
    )
    return tuple(
        LogEntry(
            row.seq,
            row.at,
            row.by_id,
            row.by_name,
            Action(row.action),
            OrderState(row.state),
            row.note,
            row.due_at,
            tuple(sorted(photos.get(row.seq, ()))),
            tuple(parts.get(row.seq, ())),
        )
        for row in rows
    )


def photo_type(session: Session, actor: Actor, order_id: str, sha256: str) -> str | None:
    """Return the media type of a photo of an order that the actor sees, or None where there is none."""
    if work_order(session, actor, order_id) is None:
        return None
    row = session.get(WorkOrderPhotoRow, (order_id, sha256))
    return None if row is None else row.media_type


@dataclass(frozen=True, slots=True)
class Punctuality:
    """How many orders were due, and how many of them were done in time; the share is None where none was due.

    An order that is neither done nor overdue is not counted yet; a cancelled one never is.
    """

    due: int
    in_time: int

    @property
    def share(self) -> float | None:
        """运维及时率, 0 to 1."""
        return self.in_time / self.due if self.due else None


def punctuality(orders: Iterable[WorkOrder], now: datetime) -> Punctuality:
    """Return how punctual some orders are at `now` [UTC], by the deadline in force."""
    verdicts = [verdict for order in orders if (verdict := order.in_time(now)) is not None]
    return Punctuality(len(verdicts), sum(verdicts))


def by_station(orders: Sequence[WorkOrder]) -> dict[str, list[WorkOrder]]:
    """Return orders grouped by station id."""
    grouped: dict[str, list[WorkOrder]] = {}
    for order in orders:
        grouped.setdefault(order.station_id, []).append(order)
    return grouped
