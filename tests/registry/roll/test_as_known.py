"""What was known of a whole area is read in a fixed number of questions, whoever changed since."""

from datetime import date, timedelta

import pytest
from sqlalchemy import event

from registry.households import Household, update_household
from registry.roll.cards import household_card, roll_entries
from registry.roll.lifecycle import Basis, record_exit
from tests.registry.conftest import CLERK, COUNTIES, NOW

LATER = NOW + timedelta(hours=1)
ON = date(2026, 11, 10)


class Questions:
    """Counts the statements of a database."""

    def __init__(self, database):
        self.engine, self.count = database.engine, 0

    def note(self, *_):
        self.count += 1

    def __enter__(self):
        event.listen(self.engine, "before_cursor_execute", self.note)
        return self

    def __exit__(self, *_):
        event.remove(self.engine, "before_cursor_execute", self.note)


def rename(world, count):
    with world.database.transaction() as session:
        for place, home in enumerate(world.households[:count]):
            card = household_card(session, CLERK, world.ring, home)
            old = card.household
            changed = Household(
                home, old.village_code, old.number, f"新名{place}", old.registered_on, "九组", old.left_on
            )
            for moment in (LATER, LATER + timedelta(hours=1)):
                update_household(session, CLERK, changed, moment)
        record_exit(session, CLERK, world.households[-1], Basis(ON, "证明", LATER))


@pytest.mark.parametrize("count", [1, 6])
def test_a_county_as_known_before_many_changes_takes_as_many_questions_as_before_one(filled, count):
    with filled.database.reading() as session:
        before = roll_entries(session, CLERK, COUNTIES[0], ON)
    rename(filled, count)
    with filled.database.reading() as session, Questions(filled.database) as asked:
        assert roll_entries(session, CLERK, COUNTIES[0], ON, at=NOW) == before
    assert asked.count == 6  # BEGIN, one for each of four tables, one for the states before
    with filled.database.reading() as session:
        now = {one.household_id: one.name for one in roll_entries(session, CLERK, COUNTIES[0], ON)}
        for one in roll_entries(session, CLERK, COUNTIES[0], ON, at=NOW):
            card = household_card(session, CLERK, filled.ring, one.household_id, at=NOW)
            assert (card.household.name, card.household.left_on) == (one.name, one.left_on)
    assert now[filled.households[0]] == "新名0"


def test_a_household_that_was_not_known_yet_is_not_in_the_roll_of_that_day(filled_both):
    rename(filled_both, 2)
    with filled_both.database.reading() as session:
        assert roll_entries(session, CLERK, COUNTIES[0], ON, at=NOW - timedelta(days=1)) == ()
