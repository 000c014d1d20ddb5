"""The commands that put a booked month right say what changes and start what is then decided."""

from api.operations import OPERATIONS
from distribution.approval.runs import runs
from distribution.approval.states import BOOKED
from registry.actors import SYSTEM


def booked(county):
    with county.services.database.reading() as session:
        every = runs(session, SYSTEM)
    return next(one for one in every if one.state in BOOKED and one.kind == "regular")


def test_a_booked_month_computed_anew_changes_nothing_where_nothing_was_put_right(county):
    first = booked(county)
    same = OPERATIONS["correct"](county.services, village=first.book, month=first.period, start=True)
    assert same.rows == ()
    assert "重新计算没有差额" in same.summary


def test_money_that_came_late_is_listed_by_village_and_month(county):
    listed = OPERATIONS["top-up"](county.services)
    assert listed.summary == f"{len(listed.rows)} 笔属于已记账月份的钱还没有补发"
    assert all(row["amount_fen"] > 0 for row in listed.rows)


def test_the_interface_shows_the_same_differences_and_none_of_what_is_not_booked(county):
    first = booked(county)
    shown = county["county"].json(f"/api/v1/allocations/{first.id}/correction")
    assert (shown["run_id"], shown["differences"]) == (first.id, [])
    with county.services.database.reading() as session:
        undecided = [one for one in runs(session, SYSTEM) if one.state not in BOOKED]
    open_one = county["county"].json(f"/api/v1/allocations/{undecided[0].id}/correction")
    assert (open_one["may_correct"], open_one["differences"]) == (False, [])
