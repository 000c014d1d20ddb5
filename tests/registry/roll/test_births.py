"""A member who is born or joins: recorded once, on a document, and shown among the events."""

from datetime import date, timedelta

import pytest

from registry.intake.values import typed_id_number
from registry.roll.cards import household_card
from registry.roll.lifecycle import Basis, Joining, household_events, record_birth, record_exit
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, NOW, check_digit, made_up_id

LATER = NOW + timedelta(hours=1)
BORN = date(2026, 11, 10)
BASIS = Basis(BORN, "出生医学证明", LATER)
BODY = "52049120261110123"
NUMBER = BODY + check_digit(BODY)


def joining(number=NUMBER, name="张小宝"):
    return Joining("h0-1", name, number, "unable")


def test_a_birth_adds_a_member_from_the_day_and_an_event(filled_both):
    with filled_both.database.transaction() as session:
        before = household_card(session, CLERK, filled_both.ring, "h0-1")
        made = record_birth(session, CLERK, filled_both.ring, joining(), BASIS)
        card = household_card(session, CLERK, filled_both.ring, "h0-1")
        assert len(card.members) == len(before.members) + 1
        child = next(one for one in card.members if one.id == made)
        assert (child.name, child.valid_from, child.labour_class) == ("张小宝", BORN, "unable")
        assert NUMBER not in repr(child) + repr(joining())
        event = household_events(session, CLERK, "h0-1")[-1]
        assert (event.kind, event.member_id, event.document) == ("birth", made, "出生医学证明")
        known = household_card(session, CLERK, filled_both.ring, "h0-1", at=NOW)
        assert made not in {one.id for one in known.members}


def test_a_birth_that_cannot_be_is_refused_with_the_reason(filled):
    with filled.database.transaction() as session:
        record_birth(session, CLERK, filled.ring, joining(), BASIS)
        with pytest.raises(ProblemsError, match="已登记在册"):
            record_birth(session, CLERK, filled.ring, joining(name="李"), BASIS)
        early = Basis(date(2026, 11, 9), "证明", LATER)
        with pytest.raises(ProblemsError, match="早于身份证号里的出生日期"):
            record_birth(session, CLERK, filled.ring, joining(), early)
        with pytest.raises(ProblemsError, match="没有写姓名"):
            record_birth(session, CLERK, filled.ring, joining(made_up_id(9), " "), BASIS)
        record_exit(session, CLERK, "h0-1", BASIS)
        with pytest.raises(ProblemsError, match="已经退出"):
            record_birth(session, CLERK, filled.ring, joining(made_up_id(9)), BASIS)


@pytest.mark.parametrize(
    ("written", "says"),
    [("12345", "应为 18 位"), (NUMBER[:-1] + ("0" if NUMBER[-1] != "0" else "1"), "校验位不对")],
)
def test_a_typed_number_is_checked_like_one_in_a_list(written, says):
    assert typed_id_number(f" {NUMBER.lower()} ") == NUMBER
    with pytest.raises(ProblemsError, match=says):
        typed_id_number(written)
