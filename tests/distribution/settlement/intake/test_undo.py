"""Taking a file back leaves history, the ledger right, and says what it cannot take back."""

import pytest

from distribution.closing.facts import book_facts
from distribution.ledger.balances import balances
from distribution.settlement.intake.refused import ignore_refused, refused_lines
from distribution.settlement.intake.undo import imported_files, revision_changes, undo_statement
from distribution.settlement.reads import billed_energy, outstanding, revisions, settlements
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from store.problem import ProblemsError

FIRST = "520499101201"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
ONE = "0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"
BETTER = "0001,2026-10,M1,1,1000,13100,12100,0.3515,4253.15,0.4985,6031.85"
TWO = "0002,2026-10,M2,100,50,350,30000,0.3515,10545.00,0.4985,14955.00"


def undo(county, sha256, reason="导错了"):
    with county.database.transaction() as session:
        return undo_statement(session, FINANCE, sha256, reason, county.now)


def booked_fen(county):
    with county.database.transaction() as session:
        book_facts(session, SYSTEM, FIRST, county.now)
    with county.database.reading() as session:
        held = balances(session, SYSTEM, book=FIRST, accounts=("receivable_electricity",))
    return sum(one.amount_fen for one in held)


def test_a_first_bill_taken_back_is_no_bill_and_can_come_again(county):
    result = county.statement([ONE])
    assert booked_fen(county) == 421_800
    assert undo(county, result.sha256).undone == ("settlement:s1:2026-10:2",)
    assert booked_fen(county) == 0
    with county.database.reading() as session:
        assert settlements(session, SYSTEM) == ()
        assert billed_energy(session, ["s1"], "2026-10") == {}
        assert outstanding(session, SYSTEM, FIRST, "2026-10") == ()
        assert len(revisions(session, SYSTEM, "s1", "2026-10")) == 2
        (file,) = imported_files(session, FINANCE)
        assert (file.bill_count, file.holding_count, file.undo_reason) == (1, 0, "导错了")
        assert verify(session) == []
    assert undo(county, result.sha256).undone == ()
    again = county.statement([ONE])
    assert again.revised == ("settlement:s1:2026-10:3",)
    assert booked_fen(county) == 421_800


def test_a_revision_taken_back_restores_the_bill_before_it(county):
    county.statement([ONE])
    result = county.statement([BETTER], name="更正.csv")
    assert booked_fen(county) == 425_315
    undo(county, result.sha256)
    assert booked_fen(county) == 421_800
    with county.database.reading() as session:
        found = revisions(session, SYSTEM, "s1", "2026-10")
        assert [one.electricity_fen for one in found] == [421_800, 425_315, 421_800]
        changes = {one.label: (one.before, one.after) for one in revision_changes(found[0], found[1])}
    assert changes["上网电费（元）"] == ("4,218.00", "4,253.15")
    assert changes["上网电量（千瓦时）"] == ("12000", "12100")
    assert "户号" not in changes


def test_what_was_paid_or_revised_since_stays_and_is_told(county):
    result = county.statement([ONE, TWO])
    county.statement([BETTER], name="更正.csv")
    county.receipts(["0002,电费,2026-10,10545.00,2026-11-15,BK002"])
    done = undo(county, result.sha256)
    assert done.undone == ()
    assert {one.what for one in done.problems} == {
        "第 1 版之后已有新的版本，撤销不动它",
        "这笔钱已经到账，不能撤销",
    }


def test_an_undo_needs_a_reason_a_file_and_an_area(county):
    result = county.statement([ONE])
    with pytest.raises(ProblemsError):
        undo(county, result.sha256, " ")
    with pytest.raises(LookupError):
        undo(county, "f" * 64)
    stranger = Actor("x", "外县", Role.FINANCE, "520498000000")
    with county.database.transaction() as session, pytest.raises(LookupError):
        undo_statement(session, stranger, result.sha256, "x", county.now)


def test_every_row_that_does_not_go_in_is_kept_until_it_is_settled(county):
    rows = [ONE.replace("4218.00", "1.00"), "9999,2026-10,M9,1,0,1,1,0.3515,0.35,0.4985,0.50", TWO]
    county.statement(rows)
    county.statement(rows)
    with county.database.reading() as session:
        kept = refused_lines(session, FINANCE, month="2026-10", open_only=True)
    assert [one.row_number for one in kept] == [2, 3]
    county.statement([ONE], name="更正.csv", at=county.now)
    with county.database.transaction() as session:
        (unknown,) = refused_lines(session, FINANCE, month="2026-10", open_only=True)
        with pytest.raises(ValueError, match="须写明原因"):
            ignore_refused(session, FINANCE, unknown.id, "", county.now)
        ignore_refused(session, FINANCE, unknown.id, "别县的户号", county.now)
        assert refused_lines(session, FINANCE, open_only=True) == ()
        assert [one.fate for one in refused_lines(session, FINANCE)] == ["corrected", "ignored"]


def test_files_taken_back_one_after_the_other_never_come_again(county):
    rows = (
        "0001,2026-10,M1,1,0,10000,10000,0.3515,3515.00,0.4985,4985.00",
        "0001,2026-10,M1,1,0,11000,11000,0.3515,3866.50,0.4985,5483.50",
        "0001,2026-10,M1,1,0,12000,12000,0.3515,4218.00,0.4985,5982.00",
    )
    digests = [county.statement([row], name=f"{number}.csv").sha256 for number, row in enumerate(rows)]
    held = []
    for digest in reversed(digests):
        with county.database.transaction() as session:
            undo_statement(session, FINANCE, digest, "导错了", county.now)
        with county.database.reading() as session:
            held.append(
                [one.exported_energy_wh // 1000 for one in settlements(session, FINANCE) if one.lines]
            )
    assert held == [[11_000], [10_000], []]
