"""Work orders: which are open, which are late, how punctual the work is.

Owns the list. What is done with an order is on its own page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.filters import duration
from dashboards.paging import Pager, paged
from dashboards.web import reading, render, requires, services_of
from monitoring.work_orders.reads import OrderFilter, Punctuality, WorkOrder, punctuality, work_orders
from monitoring.work_orders.states import STATE_WORDS, OrderState
from registry.actors import Actor, Permission
from store.periods import Period

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
TONES = {
    OrderState.DISPATCHED: ("warning", "▲"),
    OrderState.ACCEPTED: ("planned", "◆"),
    OrderState.SENT_BACK: ("fault", "✕"),
    OrderState.DONE: ("night", "◑"),
    OrderState.CLOSED: ("normal", "●"),
    OrderState.CANCELLED: ("offline", "◌"),
}
"""Style and shape of each state; the word always stands beside them."""
_LATE = "late"


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order of the list: how it looks, and how its deadline stands."""

    order: WorkOrder
    tone: str
    shape: str
    deadline: str
    late: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """One choice of the list, with its count."""

    label: str
    href: str
    count: int
    tone: str
    shape: str
    current: bool


@dataclass(frozen=True, slots=True)
class WorkOrdersView:
    """The choices, one page of orders, and the month's punctuality."""

    tallies: tuple[Tally, ...]
    rows: Sequence[OrderLine]
    pager: Pager
    month: Punctuality
    may_dispatch: bool
    station_name: str


class Asked(BaseModel):
    """What the address asks for: a state (or `late`, `all`), a station, a page."""

    state: str = ""
    station: str = ""
    page: int = 1


def deadline_words(order: WorkOrder, now: datetime) -> str:
    """Return how an order stands to its deadline, in words."""
    if order.state is OrderState.CANCELLED:
        return "已撤销"
    if order.done_at is not None:
        late = order.done_at - order.due_at
        return f"超期 {duration(late)}完工" if late.total_seconds() > 0 else "按期完工"
    left = order.due_at - now
    return f"还有 {duration(left)}" if left.total_seconds() >= 0 else f"已超期 {duration(-left)}"


def _line(order: WorkOrder, now: datetime) -> OrderLine:
    tone, shape = TONES[order.state]
    return OrderLine(order, tone, shape, deadline_words(order, now), order.overdue(now))


def _passes(order: WorkOrder, state: str, now: datetime) -> bool:
    if state == "all":
        return True
    if state == _LATE:
        return order.overdue(now)
    return order.state == state if state else not order.ended


@router.get("/work-orders")
def show_work_orders(
    request: Request, actor: Reader, session: Reading, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show the orders of the actor's stations that pass the filter, the most urgent first."""
    now = services_of(request).clock()
    found = work_orders(session, actor, OrderFilter(station_id=asked.station))
    month = Period.month_of(now)
    due = [one for one in found if month.start_utc <= one.due_at < month.end_utc]
    lines = [_line(one, now) for one in found if _passes(one, asked.state, now)]
    kept = {"state": asked.state, "station": asked.station}
    rows, pager = paged(lines, asked.page, "/work-orders", kept)
    view = WorkOrdersView(
        tallies=_tallies(found, asked, now),
        rows=rows,
        pager=pager,
        month=punctuality(due, now),
        may_dispatch=actor.may(Permission.DISPATCH_WORK_ORDERS),
        station_name=found[0].station_name if asked.station and found else "",
    )
    return render(request, "running/work_orders.html", "运维工单", view=view)


def _tallies(found: Sequence[WorkOrder], asked: Asked, now: datetime) -> tuple[Tally, ...]:
    choices = [("未办结", "", "", ""), ("已超期", _LATE, "fault", "✕")]
    choices += [(STATE_WORDS[state], str(state), *TONES[state]) for state in OrderState]
    choices += [("全部", "all", "", "")]
    suffix = f"&station={asked.station}" if asked.station else ""
    return tuple(
        Tally(
            label=label,
            href=f"/work-orders?state={state}{suffix}",
            count=sum(_passes(one, state, now) for one in found),
            tone=tone,
            shape=shape,
            current=asked.state == state,
        )
        for label, state, tone, shape in choices
    )
