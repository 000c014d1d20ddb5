import pytest

from distribution.figures import figure_legs
from distribution.ledger.journal import journals
from distribution.statement.village import village_statement
from registry.actors import SYSTEM

FIRST = "520499101201"


@pytest.fixture
def shown(booked):
    with booked.database.reading() as session:
        yield session, village_statement(session, SYSTEM, FIRST, "2026-10")


def amount_of(session, ids, figure):
    entries = [one for one in journals(session, SYSTEM, book=FIRST) if one.id in ids]
    legs = figure_legs(session, SYSTEM, entries, figure)
    return -sum(
        leg.amount_fen for one in entries for n, leg in enumerate(one.postings) if (one.seq, n) in legs
    )


def test_the_legs_of_every_figure_add_up_to_it(shown):
    session, sheet = shown
    for figure in sheet.income:
        assert amount_of(session, figure.entries, "received") == figure.amount_fen
    assert sheet.deductions
    for number, figure in enumerate(sheet.deductions, 1):
        assert amount_of(session, figure.entries, f"deduction-{number}") == figure.amount_fen
    for number, figure in enumerate(sheet.purses, 1):
        assert amount_of(session, figure.entries, f"purse-{number}") == figure.amount_fen
    for line in sheet.lines:
        assert amount_of(session, line.entries, f"line-{line.line_no}") == line.amount_fen
    assert amount_of(session, sheet.distributable.entries, "total") == sheet.total_fen


def test_a_figure_that_is_not_there_has_no_legs(shown):
    session, sheet = shown
    for name in ("deduction-99", "purse-99", "line-999"):
        assert amount_of(session, sheet.distributable.entries, name) == 0


def test_a_name_of_no_figure_is_refused(shown):
    session, _ = shown
    with pytest.raises(ValueError, match="name of a figure"):
        figure_legs(session, SYSTEM, (), "line-x")
