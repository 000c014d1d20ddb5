"""Tables of work orders, and the guards that keep them honest whoever writes.

Owns orders with their append-only log, photos and parts. Of an order only its state, its deadline and its
moments of being done and closed ever change, along the allowed moves and only together with a new entry
of its log; who reported the work done does not close it.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from monitoring.work_orders.states import TRANSITIONS, Action, OrderState
from store.db import Base, UtcDateTime, guard_append_only, guard_refusal

_STATES = ", ".join(f"'{state.value}'" for state in OrderState)
_ACTIONS = ", ".join(f"'{action.value}'" for action in Action)
_LIVE = text("alarm_id <> '' AND state NOT IN ('closed', 'cancelled')")


class WorkOrderRow(Base):
    """Table `work_order`: what is to be done, where, by which company, until when, and where it stands.

    `log_seq` is the number of the log entry that made the present state.
    """

    __tablename__ = "work_order"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint("title <> ''", name="title"),
        CheckConstraint("due_at > opened_at AND first_due_at > opened_at", name="due"),
        CheckConstraint("log_seq >= 1", name="log_seq"),
        CheckConstraint("(state IN ('done', 'closed')) = (done_at IS NOT NULL)", name="done"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
        Index(None, "number", unique=True),
        Index("uq_work_order_live", "alarm_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index(None, "station_id", "opened_at"),
        Index(None, "due_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[str] = mapped_column(String(32))
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    device_id: Mapped[str] = mapped_column(String(128))
    alarm_id: Mapped[str] = mapped_column(String(128))
    title: Mapped[str] = mapped_column(Text)
    instructions: Mapped[str] = mapped_column(Text)
    company: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_by: Mapped[str]
    opened_name: Mapped[str]
    first_due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str]
    log_seq: Mapped[int]
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class WorkOrderLogRow(Base):
    """Table `work_order_log`: who did what with an order, when, and the state that it had then."""

    __tablename__ = "work_order_log"
    __table_args__ = (
        CheckConstraint(f"action IN ({_ACTIONS})", name="action"),
        CheckConstraint(f"state IN ({_STATES})", name="state"),
    )

    order_id: Mapped[str] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by_id: Mapped[str]
    by_name: Mapped[str]
    action: Mapped[str]
    state: Mapped[str]
    note: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class WorkOrderPhotoRow(Base):
    """Table `work_order_photo`: a photo of a log entry, named by the hash of its content."""

    __tablename__ = "work_order_photo"
    __table_args__ = (
        CheckConstraint("length(sha256) = 64", name="sha256"),
        CheckConstraint("media_type IN ('image/jpeg', 'image/png')", name="media_type"),
        ForeignKeyConstraint(["order_id", "seq"], ["work_order_log.order_id", "work_order_log.seq"]),
    )

    order_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int]
    media_type: Mapped[str]


class WorkOrderPartRow(Base):
    """Table `work_order_part`: a part that was used, with its count and the serial number of the new one."""

    __tablename__ = "work_order_part"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("name <> ''", name="name"),
        ForeignKeyConstraint(["order_id", "seq"], ["work_order_log.order_id", "work_order_log.seq"]),
    )

    order_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    quantity: Mapped[int]
    serial: Mapped[str]


for _row in (WorkOrderLogRow, WorkOrderPhotoRow, WorkOrderPartRow):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]

_KEPT = (
    *("id", "number", "station_id", "device_id", "alarm_id", "title", "instructions", "company"),
    *("opened_at", "opened_by", "opened_name", "first_due_at"),
)
_CHANGED = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _KEPT)
_MOVES = " OR ".join(
    f"(OLD.state = '{before.value}' AND NEW.state = '{after.value}')" for before, after in sorted(TRANSITIONS)
)
_UNLOGGED = (
    "NOT EXISTS (SELECT 1 FROM work_order_log WHERE order_id = NEW.id AND seq = NEW.log_seq "
    "AND state = NEW.state)"
)
_GUARDS = {
    "work_order_moves": (
        "work_order",
        "UPDATE",
        f"NEW.log_seq <> OLD.log_seq + 1 OR NOT ({_MOVES}) OR {_CHANGED} OR {_UNLOGGED}",
        "a work order moves only along its states, with its log",
    ),
    "work_order_stays": ("work_order", "DELETE", "1 = 1", "a work order is never deleted"),
    "work_order_log_in_order": (
        "work_order_log",
        "INSERT",
        "NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM work_order_log WHERE order_id = NEW.order_id)",
        "the log of a work order has no gap",
    ),
    "work_order_four_eyes": (
        "work_order_log",
        "INSERT",
        (
            "NEW.action = 'close' AND EXISTS (SELECT 1 FROM work_order_log WHERE order_id = NEW.order_id "
            "AND action = 'finish' AND by_id = NEW.by_id)"
        ),
        "who did the work does not close the order",
    ),
}

for _name, (_table, _verb, *_refused) in _GUARDS.items():
    guard_refusal(Base.metadata.tables[_table], _name, _verb, (_refused[0], _refused[1]))
