"""Files as they really arrive give the right result or the right message, within the limits."""

import time

import pytest

from distribution.settlement.columns import load_layout
from distribution.settlement.receipts import read_receipts
from distribution.settlement.statements import read_statement
from documents.reading import FileRefusedError
from tests.distribution.settlement.hostile_corpus import Arriving, receipts, statements

STATEMENTS, RECEIPTS = statements(), receipts()
SECONDS = 30


def test_the_corpus_is_large_enough():
    assert len(STATEMENTS) + len(RECEIPTS) >= 60
    print(f"{len(STATEMENTS)} statements, {len(RECEIPTS)} receipt files")


def judged(one: Arriving, read):
    """Return the number of usable rows and everything that is said; -1 for a file that is refused."""
    started = time.monotonic()
    try:
        count, said = read()
    except FileRefusedError as error:
        count, said = -1, f"{error.where}{error.what}{error.how_to_fix}"
    assert time.monotonic() - started < SECONDS
    assert (count, one.said in said) == (one.usable, True), said


@pytest.mark.parametrize("one", STATEMENTS, ids=lambda one: one.about)
def test_a_statement_gives_its_rows_or_says_what_is_wrong(one):
    def read():
        found = read_statement(one.content, one.name, load_layout("standard"))
        if found.rows:
            assert {row.line.account_number for row in found.rows} <= {"0001", "0002"}
        said = (*found.problems, *found.warnings)
        assert all(problem.where.startswith(one.name) and problem.how_to_fix for problem in said)
        return len(found.rows), "".join(f"{problem.what}" for problem in said)

    judged(one, read)


@pytest.mark.parametrize("one", RECEIPTS, ids=lambda one: one.about)
def test_a_list_of_receipts_gives_its_rows_or_says_what_is_wrong(one):
    def read():
        facts, problems = read_receipts(one.content, one.name, load_layout("receipts"))
        return len(facts), "".join(problem.what for problem in problems)

    judged(one, read)
