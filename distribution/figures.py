"""Which legs of the entries behind a figure the figure is the sum of.

Owns the short names of a statement's figures, as an address carries them: `received`, `carried`, `total`,
`deduction-1`, `purse-1`, `line-7` (numbers from 1). It reads only, and shows nothing that the entries do not.
"""

import re
from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from distribution.approval.runs import allocation_of
from distribution.approval.runs import run as find_run
from distribution.ledger.journal import Journal
from distribution.types import Allocation, Posting
from registry.actors import Actor

FIGURE = r"^(received|carried|total|(deduction|purse|line)-[1-9][0-9]{0,4})$"


def figure_legs(
    session: Session, actor: Actor, entries: Sequence[Journal], figure: str
) -> frozenset[tuple[int, int]]:
    """Return the legs of a figure as (entry's seq, leg's place); none for a figure that is not there.

    Raises ValueError for a name of no figure.
    """
    if not re.match(FIGURE, figure):
        raise ValueError(f"{figure} is not the name of a figure")
    return frozenset(
        (entry.seq, place) for entry in entries for place in _chosen(session, actor, entry, figure)
    )


def _chosen(session: Session, actor: Actor, entry: Journal, figure: str) -> set[int]:
    kind, _, number = figure.partition("-")
    if kind in {"deduction", "purse"}:
        if find_run(session, actor, entry.source) is None:
            return set()
        result = allocation_of(session, actor, entry.source)
        return (_deduction if kind == "deduction" else _purse)(entry, result, int(number))
    tests: dict[str, Callable[[Posting], bool]] = {
        "received": lambda leg: leg.account == "distributable",
        "carried": lambda leg: leg.account == "purse" and leg.amount_fen > 0,
        "total": lambda leg: leg.line_no is not None,
        "line": lambda leg: leg.line_no == int(number),
    }
    return {place for place, leg in enumerate(entry.postings) if tests[kind](leg)}


def _purse(entry: Journal, result: Allocation, number: int) -> set[int]:
    """Return the legs of the lines of one purse."""
    names = {purse.purse for purse in result.purses[number - 1 : number]}
    lines = {line.line_no for line in result.lines if line.purse in names}
    return {place for place, leg in enumerate(entry.postings) if leg.line_no in lines}


def _deduction(entry: Journal, result: Allocation, number: int) -> set[int]:
    """Return the legs of one deduction: an entry gives to the deductions first, in their order."""
    given = [
        (place, leg) for place, leg in enumerate(entry.postings) if leg.line_no is None and leg.amount_fen < 0
    ]
    owed = [one.amount_fen for one in result.deductions if one.amount_fen]
    if number > len(owed):
        return set()
    start = sum(owed[: number - 1])
    end = start + owed[number - 1]
    found, passed = set(), 0
    for place, leg in given:
        if start <= passed < end:
            found.add(place)
        passed -= leg.amount_fen
    return found
