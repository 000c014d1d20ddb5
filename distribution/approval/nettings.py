"""What runs keep back of payments against earlier overpayments, by household.

Owns the rows of a run's nettings and the sums over them. The rule is a plan's, the money the ledger's.
"""

from collections.abc import Iterable

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from distribution.approval.states import BOOKED, ENDED
from distribution.approval.tables import RunNettingRow, RunRow
from distribution.types import Netting

_DONE = [state.value for state in (*BOOKED, *ENDED)]


def write_nettings(session: Session, run_id: str, nettings: Iterable[Netting]) -> None:
    """Record what a run nets, beside its frozen lines."""
    values = [
        {
            "run_id": run_id,
            "household_id": one.household_id,
            "amount_fen": one.amount_fen,
            "owed_fen": one.owed_fen,
            "clause": one.clause,
        }
        for one in nettings
    ]
    if values:
        session.execute(insert(RunNettingRow), values)


def nettings_of(session: Session, run_id: str) -> dict[str, Netting]:
    """Return what a run nets, by household; unscoped, for readers who were shown the run."""
    rows = session.scalars(select(RunNettingRow).where(RunNettingRow.run_id == run_id))
    return {
        row.household_id: Netting(row.household_id, row.amount_fen, row.owed_fen, row.clause) for row in rows
    }


def spoken_for(session: Session, book: str, *, but: str = "") -> dict[str, int]:
    """Return what undecided runs of a book are to net [fen], by household; the run `but` is left out."""
    total = func.sum(RunNettingRow.amount_fen)
    statement = (
        select(RunNettingRow.household_id, total)
        .join(RunRow, RunRow.id == RunNettingRow.run_id)
        .where(RunRow.book == book, RunRow.state.not_in(_DONE), RunRow.id != but)
        .group_by(RunNettingRow.household_id)
    )
    return {household: int(amount) for household, amount in session.execute(statement)}
