"""Receivables: 应收, 已到账 and 待补贴 month by month, and how old the arrears are."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.paging import Pager, paged
from dashboards.web import reading, render, requires, services_of
from distribution.exports.settlement_sheets import COMPONENT_WORDS
from distribution.settlement.receivables.owed import (
    AGE_WORDS,
    AgeingRow,
    MonthOwed,
    OwedItem,
    ageing,
    by_month,
    owed_items,
)
from registry.actors import Actor, Permission
from store.periods import local_date

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
MONTHS_SHOWN = 24


@dataclass(frozen=True, slots=True)
class AgeingLine:
    """One line of the ageing table in words."""

    name: str
    list_status: str
    row: AgeingRow


@dataclass(frozen=True, slots=True)
class ReceivablesView:
    """The months, the ages, and the open items, the oldest first."""

    on: date
    months: tuple[MonthOwed, ...]
    older_months: int
    ages: tuple[str, ...]
    ageing: tuple[AgeingLine, ...]
    items: tuple[OwedItem, ...]
    pager: Pager
    words: dict[str, str]
    owed_fen: int
    received_fen: int
    subsidy_open_fen: int
    electricity_open_fen: int


@router.get("/receivables")
def show_receivables(
    request: Request,
    actor: Reader,
    session: Reading,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """Show what the area's stations are owed and what has arrived."""
    on = local_date(services_of(request).clock())
    items = owed_items(session, actor)
    months = by_month(items)
    waiting = [one for one in items if one.outstanding_fen]
    shown, pager = paged(waiting, page, "/receivables", {})
    view = ReceivablesView(
        on=on,
        months=months[:MONTHS_SHOWN],
        older_months=max(0, len(months) - MONTHS_SHOWN),
        ages=AGE_WORDS,
        ageing=tuple(
            AgeingLine(COMPONENT_WORDS[row.component], row.list_status or "未登记", row)
            for row in ageing(items, on)
        ),
        items=tuple(shown),
        pager=pager,
        words={kind.value: word for kind, word in COMPONENT_WORDS.items()},
        owed_fen=sum(one.owed_fen for one in items),
        received_fen=sum(one.received_fen for one in items),
        subsidy_open_fen=sum(one.subsidy_open_fen for one in months),
        electricity_open_fen=sum(one.electricity_open_fen for one in months),
    )
    return render(request, "receiving/receivables.html", "应收与账龄", view=view)
