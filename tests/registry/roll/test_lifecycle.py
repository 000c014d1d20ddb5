"""What happens to a household, on SQLite and PostgreSQL: nothing is lost, nothing known is rewritten."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry import enrolment, households
from registry.actors import Actor, NotPermittedError, Role
from registry.enrolment import Attendance, Post
from registry.roll.cards import household_card, roll_entries
from registry.roll.lifecycle import (
    Basis,
    Split,
    change_head,
    household_events,
    merge_households,
    record_death,
    record_exit,
    record_return,
    split_household,
)
from registry.roll.measures import Measure, measures, record_measure
from registry.roll.posts import put_post
from registry.roll.spans import columns_of
from store.periods import Period
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, NOW, START, VILLAGES, made_up_id

LATER = NOW + timedelta(hours=1)
ON = date(2026, 11, 10)
BASIS = Basis(ON, "村委会证明", LATER)
VILLAGE = VILLAGES[0]
MONTH = Period.parse("2026-11")


def weights(session, at=None):
    found = enrolment.enrolments(session, CLERK, VILLAGE, at=at)
    return {(one.household_id, one.component): one.weight for one in found if one.valid_to is None}


def add_member(session, world, home: str, number: int, name: str) -> str:
    new = households.NewMember(home, name, made_up_id(number), START)
    return households.add_member(session, CLERK, world.ring, new, NOW)


def test_an_exit_ends_posts_at_once_and_the_entitlement_when_it_was_agreed(filled_both):
    with filled_both.database.transaction() as session:
        record_exit(session, CLERK, "h0-1", BASIS, continued_until=date(2026, 11, 20))
        entry = next(
            one for one in enrolment.roster(session, CLERK, VILLAGE, MONTH) if one.household_id == "h0-1"
        )
        assert (entry.left_on, entry.entitled_until) == (ON, date(2026, 11, 20))
        assert [(one.valid_from, one.valid_to) for one in entry.enrolments] == [
            (MONTH.start, date(2026, 11, 20))
        ]
        assert [one.days_valid for one in entry.posts] == [9]
        before = enrolment.enrolments(session, CLERK, VILLAGE, household_id="h0-1", at=NOW)
        assert [one.valid_to for one in before] == [None]
        with pytest.raises(ProblemsError):
            record_exit(session, CLERK, "h0-1", BASIS)
        record_return(session, CLERK, "h0-1", Basis(date(2026, 11, 25), "证明", LATER))
        again = next(
            one for one in enrolment.roster(session, CLERK, VILLAGE, MONTH) if one.household_id == "h0-1"
        )
        assert again.left_on is None


def test_a_post_keeps_what_was_served_when_it_is_changed_or_ends(filled_both):
    with filled_both.database.transaction() as session:
        enrolment.record_attendance(session, CLERK, [Attendance("p0", "2026-10", Decimal(1))], NOW)
        changed = Post("", VILLAGE, "h0-1", "保洁", 80_000, date(2026, 11, 1))
        assert put_post(session, CLERK, changed, LATER)
        assert not put_post(session, CLERK, changed, LATER)
        october = enrolment.roster(session, CLERK, VILLAGE, Period.parse("2026-10"))
        (post,) = next(one for one in october if one.household_id == "h0-1").posts
        assert (post.monthly_rate_fen, post.months_served) == (60_000, 1)
        (now_post,) = next(
            one for one in enrolment.roster(session, CLERK, VILLAGE, MONTH) if one.household_id == "h0-1"
        ).posts
        assert (now_post.monthly_rate_fen, now_post.months_served) == (80_000, None)


def test_a_split_and_a_merge_leave_the_sum_of_weights_and_of_people_as_it_was(filled_both):
    with filled_both.database.transaction() as session:
        moving = add_member(session, filled_both, "h0-1", 901, "张二")
        session.execute(text("SELECT 1"))
        enrolment.end_enrolment(session, CLERK, _enrolment(session, "h0-1"), ON, NOW)
        fresh = enrolment.Enrolment("h0-1", VILLAGE, "分红", ON, 5)
        enrolment.enrol(session, CLERK, fresh, NOW)
        people = sum(one.persons for one in roll_entries(session, CLERK, VILLAGE, ON))
        total = sum(weights(session).values())
        new = split_household(session, CLERK, Split("h0-1", "101", (moving,), {"分红": 2}), BASIS)
        assert weights(session)[new, "分红"] == 2
        assert weights(session)["h0-1", "分红"] == 3
        assert sum(weights(session).values()) == total
        entries = {one.household_id: one for one in roll_entries(session, CLERK, VILLAGE, ON)}
        assert sum(one.persons for one in entries.values()) == people
        assert entries[new].name == "张二"
        assert "脱贫户" in entries[new].classes
        merge_households(session, CLERK, (new, "h0-1"), Basis(date(2026, 11, 15), "并户申请", LATER))
        assert weights(session)["h0-1", "分红"] == 5
        assert sum(weights(session).values()) == total
        after = {one.household_id: one for one in roll_entries(session, CLERK, VILLAGE, date(2026, 11, 16))}
        assert not after[new].present(date(2026, 11, 16))
        assert sum(one.persons for one in after.values()) == people
        assert weights(session, at=NOW)["h0-1", "分红"] == 5
        kinds = [one.kind for one in household_events(session, CLERK, "h0-1")]
        assert kinds == ["split", "merge"]


def _enrolment(session, home: str) -> str:
    return session.execute(
        text("SELECT id FROM enrolment WHERE household_id = :home AND superseded_at IS NULL"), {"home": home}
    ).scalar()


def test_a_split_that_takes_more_than_there_is_is_refused_whole(filled):
    with filled.database.transaction() as session:
        moving = add_member(session, filled, "h0-1", 902, "张三")
    for split in (
        Split("h0-1", "102", (moving,), {"分红": 2}),
        Split("h0-1", "002", (moving,)),
        Split("h0-1", "103", ("nobody",)),
        Split("h0-1", "104", (filled.members[0],)),
    ):
        with pytest.raises(ProblemsError), filled.database.transaction() as session:
            split_household(session, CLERK, split, BASIS)
    with filled.database.reading() as session:
        assert len(roll_entries(session, CLERK, VILLAGE, ON)) == 3


def test_a_death_needs_a_new_head_and_the_last_one_ends_the_household(filled_both):
    with filled_both.database.transaction() as session:
        heir = add_member(session, filled_both, "h0-1", 903, "张四")
        with pytest.raises(ProblemsError, match="新的户主"):
            record_death(session, CLERK, filled_both.members[0], BASIS)
        record_death(session, CLERK, filled_both.members[0], BASIS, new_head_id=heir)
        card = household_card(session, CLERK, filled_both.ring, "h0-1")
        assert card.household.name == "张四"
        assert [one.name for one in card.members if one.valid_to is None and one.is_head] == ["张四"]
        before = household_card(session, CLERK, filled_both.ring, "h0-1", at=NOW)
        assert before.household.name == "张小明"
        record_death(session, CLERK, filled_both.members[1], BASIS)
        assert [one.kind for one in household_events(session, CLERK, "h0-2")] == ["death", "exit"]


def test_another_member_becomes_the_head(filled):
    with filled.database.transaction() as session:
        heir = add_member(session, filled, "h0-1", 904, "张五")
        change_head(session, CLERK, "h0-1", heir, BASIS)
        card = household_card(session, CLERK, filled.ring, "h0-1")
        heads = [one.name for one in card.members if one.is_head and one.valid_to is None]
        assert heads == ["张五"] == [card.household.name]


def test_events_need_a_document_a_right_and_stay_as_they_are(filled_both):
    with pytest.raises(ProblemsError, match="依据"):
        Basis(ON, "  ", LATER)
    for actor in (
        Actor("v", "村干部", Role.VILLAGE, VILLAGE),
        Actor("c", "外县", Role.COUNTY, "520492000000"),
    ):
        with pytest.raises((NotPermittedError, LookupError)), filled_both.database.transaction() as session:
            record_exit(session, actor, "h0-1", BASIS)
    with filled_both.database.transaction() as session:
        record_exit(session, CLERK, "h0-1", BASIS)
    for statement in ("UPDATE household_event SET document = 'x'", "DELETE FROM household_event"):
        with pytest.raises(DBAPIError), filled_both.database.transaction() as session:
            session.execute(text(statement))


def test_the_database_refuses_a_second_enrolment_of_the_same_days(filled_both):
    with pytest.raises(DBAPIError, match="once at a time"), filled_both.database.transaction() as session:
        row = session.get(enrolment.EnrolmentRow, _enrolment(session, "h0-1"))
        session.add(
            enrolment.EnrolmentRow(id="again", **columns_of(row), recorded_at=NOW, recorded_by="clerk")
        )
        session.flush()


def test_points_are_summed_exactly_over_a_quarter_and_corrected_without_a_trace_lost(filled_both):
    with filled_both.database.transaction() as session:
        for month, value in (("2026-10", "0.125"), ("2026-11", "10"), ("2026-12", "3.5")):
            record = Measure("h0-1", VILLAGE, "points", month, Decimal(value))
            record_measure(session, CLERK, record, NOW)
        fixed = Measure("h0-1", VILLAGE, "points", "2026-11", Decimal(12), "更正")
        record_measure(session, CLERK, fixed, LATER)
        entry = next(
            one
            for one in enrolment.roster(session, CLERK, VILLAGE, Period.parse("2026-Q4"))
            if one.household_id == "h0-1"
        )
        assert entry.measures == {"points": Fraction(125, 1000) + 12 + Fraction(7, 2)}
        assert [
            one.value for one in measures(session, CLERK, VILLAGE, at=NOW) if one.period == "2026-11"
        ] == [10]
        for wrong in (Decimal("0.0001"), Decimal(-1)):
            with pytest.raises(ProblemsError):
                record_measure(session, CLERK, Measure("h0-1", VILLAGE, "points", "2026-11", wrong), LATER)
