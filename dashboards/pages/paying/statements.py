"""The month's distribution of every village.

Owns the list; a village's own sum is on its statement page.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.month_work import chosen_month, month_choices
from dashboards.web import reading, render, requires, services_of
from distribution.approval.runs import allocation_of, runs
from registry.actors import Actor, Permission
from registry.divisions import division_names

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One village's month [fen]: received, deducted, distributable, and how many households are paid."""

    code: str
    name: str
    received_fen: int
    deducted_fen: int
    distributable_fen: int
    household_count: int
    state_word: str


@dataclass(frozen=True, slots=True)
class StatementsView:
    """Every village of the area with its sums."""

    month: str
    months: tuple[str, ...]
    rows: tuple[StatementRow, ...]

    @property
    def received_fen(self) -> int:
        """Everything received [fen]."""
        return sum(row.received_fen for row in self.rows)

    @property
    def deducted_fen(self) -> int:
        """Everything deducted [fen]."""
        return sum(row.deducted_fen for row in self.rows)

    @property
    def distributable_fen(self) -> int:
        """Everything distributable [fen]."""
        return sum(row.distributable_fen for row in self.rows)

    @property
    def household_count(self) -> int:
        """Households over all villages."""
        return sum(row.household_count for row in self.rows)


@router.get("/statements")
def show_statements(request: Request, actor: Reader, session: Reading, month: str = "") -> HTMLResponse:
    """Show the month of every village of the actor's area that has a run."""
    now = services_of(request).clock()
    chosen = chosen_month(month, now)
    names = division_names(session)
    rows = []
    for run in runs(session, actor, period=chosen):
        result = allocation_of(session, actor, run.id)
        rows.append(
            StatementRow(
                run.book,
                names.get(run.book, run.book),
                sum(part.amount_fen for part in result.income),
                sum(one.amount_fen for one in result.deductions),
                result.distributable_fen,
                run.household_count,
                run.state_name,
            )
        )
    view = StatementsView(chosen, month_choices(now), tuple(rows))
    return render(request, "paying/statements.html", "收益分配", view=view)
