"""The journal entries behind a run, by their source, and what they gave to each of its lines."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from distribution.approval.runs import Run
from distribution.ledger.journal import Journal, journals
from distribution.types import Allocation
from registry.actors import Actor

NETTING = "netting"


@dataclass(frozen=True, slots=True)
class Books:
    """The entries behind a run: its own, and by source those of its receipts.

    What a run kept back against earlier overpayments is an entry beside its own, and none of its amounts.
    """

    own: tuple[Journal, ...]
    by_source: Mapping[str, tuple[Journal, ...]] = field(default_factory=dict)


def books_of(session: Session, actor: Actor, run: Run, result: Allocation) -> Books:
    """Return the entries of a run, and by source those of the receipts that it distributes."""
    sources = [part.source for part in result.income]
    found: dict[str, list[Journal]] = defaultdict(list)
    for entry in journals(session, actor, book=run.book, sources=[run.id, *sources]):
        if entry.kind != NETTING:
            found[entry.source].append(entry)
    by_source = {source: tuple(entries) for source, entries in found.items()}
    return Books(by_source.get(run.id, ()), by_source)


def entry_ids(entries: Sequence[Journal]) -> tuple[str, ...]:
    """Return the ids (`book/seq`) of entries, in order."""
    return tuple(entry.id for entry in entries)


def line_amounts(books: Books) -> dict[int, int]:
    """Return what a run's entries gave to each of its lines [fen], by line number."""
    amounts: dict[int, int] = defaultdict(int)
    for entry in books.own:
        for leg in entry.postings:
            if leg.line_no is not None:
                amounts[leg.line_no] -= leg.amount_fen
    return amounts


def ledger_gap(result: Allocation, books: Books) -> int:
    """What the entry gave to deductions, less what the run says; 0 unless the books were touched."""
    if not books.own:
        return 0
    without_line = -sum(
        leg.amount_fen
        for entry in books.own
        for leg in entry.postings
        if leg.line_no is None and leg.amount_fen < 0
    )
    return without_line - sum(one.amount_fen for one in result.deductions)
