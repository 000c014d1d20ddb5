"""Enrolments never overlap, are superseded instead of edited, and make the roster of a period."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from registry import enrolment, households
from registry.actors import Actor, Role
from registry.divisions import Division, add_division
from registry.enrolment import Attendance, Enrolment, EnrolmentRow, Post
from registry.facts import known, supersede
from store.db import new_id
from store.periods import Period
from store.problem import ProblemsError

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
START = date(2026, 1, 1)
VILLAGE = "520491100201"
CLERK = Actor("clerk", "县经办", Role.COUNTY)
OCTOBER = Period.parse("2026-10")
RELAXED = [HealthCheck.function_scoped_fixture]


def settle(database, *numbers: str) -> None:
    with database.transaction() as session:
        add_division(session, CLERK, Division("v", VILLAGE, "上寨村", "village", "520491100000", START), NOW)
        for number in numbers:
            record = households.Household(f"h{number}", VILLAGE, number, "王小二", START, "一组")
            households.add_household(session, CLERK, record, NOW)


def row(start: date, end: date | None, household: str = "h1", component: str = "分红") -> EnrolmentRow:
    return EnrolmentRow(
        id=new_id("enrolment"),
        household_id=household,
        village_code=VILLAGE,
        component=component,
        weight=1,
        amount_fen=None,
        post="",
        document="",
        valid_from=start,
        valid_to=end,
        recorded_at=NOW,
        recorded_by="clerk",
    )


def insert(database, *rows: EnrolmentRow) -> None:
    with database.transaction() as session:
        session.add_all(rows)


DAYS = st.integers(0, 60).map(lambda offset: START + timedelta(days=offset))
SPANS = st.tuples(DAYS, st.none() | st.integers(1, 30))


@settings(max_examples=25, deadline=None, suppress_health_check=RELAXED)
@given(spans=st.lists(SPANS, min_size=1, max_size=6))
def test_the_database_takes_a_span_exactly_when_no_day_of_it_is_taken(both, spans) -> None:
    with both.transaction() as session:
        if session.get(households.HouseholdRow, "h1") is None:
            session.commit()
            settle(both, "1")
    component = new_id("component")
    taken: set[int] = set()
    for start, length in spans:
        end = None if length is None else start + timedelta(days=length)
        last = 400 if end is None else (end - START).days
        days = set(range((start - START).days, last))
        if days & taken:
            with pytest.raises(DBAPIError, match="once at a time"):
                insert(both, row(start, end, component=component))
        else:
            insert(both, row(start, end, component=component))
            taken |= days


def test_two_writers_who_do_not_see_each_other_cannot_both_enrol(postgres) -> None:
    settle(postgres, "1")
    with postgres.engine.connect() as one, postgres.engine.connect() as other:
        statement = text(
            "INSERT INTO enrolment (id, household_id, village_code, component, weight, post, document, "
            "valid_from, recorded_at, recorded_by, superseded_by) "
            "VALUES (:id, 'h1', '520491100201', '分红', 1, '', '', '2026-01-01', now(), 'c', '')"
        )
        one.execute(statement, {"id": "a"})
        other.execute(text("SET lock_timeout = '300ms'"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            other.execute(statement, {"id": "b"})
        other.rollback()
        one.commit()
        with pytest.raises(DBAPIError, match="once at a time"):
            other.execute(statement, {"id": "b"})


def test_the_service_says_in_words_what_overlaps(database) -> None:
    settle(database, "1")
    with database.transaction() as session:
        enrolment.enrol(session, CLERK, Enrolment("h1", VILLAGE, "分红", START), NOW)
        with pytest.raises(ProblemsError, match="2026-01-01 至 至今 重叠"):
            enrolment.enrol(session, CLERK, Enrolment("h1", VILLAGE, "分红", date(2026, 5, 1)), NOW)
        enrolment.enrol(session, CLERK, Enrolment("h1", VILLAGE, "奖励补助", date(2026, 5, 1)), NOW)


def test_a_fact_is_superseded_once_and_neither_edited_nor_deleted(both) -> None:
    settle(both, "1")
    insert(both, row(START, None))
    for statement in (
        "UPDATE enrolment SET weight = 2",
        "UPDATE enrolment SET valid_to = '2026-05-01'",
        "DELETE FROM enrolment",
    ):
        with pytest.raises(DBAPIError), both.transaction() as session:
            session.execute(text(statement))
    with both.transaction() as session:
        supersede(session.scalars(select(EnrolmentRow)).one(), CLERK, LATER)
    with pytest.raises(DBAPIError), both.transaction() as session:
        session.execute(text("UPDATE enrolment SET superseded_at = NULL"))
    insert(both, row(START, None))


@pytest.mark.parametrize(
    ("column", "value"),
    [("weight", "0"), ("weight", "NULL"), ("amount_fen", "100"), ("valid_to", "'2025-01-01'")],
)
def test_the_database_refuses_an_enrolment_that_makes_no_sense(both, column, value) -> None:
    settle(both, "1")
    wrong = row(START, None)
    setattr(wrong, column, {"0": 0, "NULL": None, "100": 100}.get(value, date(2025, 1, 1)))
    with pytest.raises(DBAPIError):
        insert(both, wrong)


def test_what_was_known_before_an_end_was_recorded_stays_readable(database) -> None:
    settle(database, "1")
    with database.transaction() as session:
        made = enrolment.enrol(session, CLERK, Enrolment("h1", VILLAGE, "分红", START), NOW)
        enrolment.end_enrolment(session, CLERK, made, date(2026, 6, 1), LATER)
        now_known = enrolment.enrolments(session, CLERK)
        then_known = enrolment.enrolments(session, CLERK, at=NOW + timedelta(minutes=1))
    assert [one.valid_to for one in now_known] == [date(2026, 6, 1)]
    assert [one.valid_to for one in then_known] == [None]


def test_the_roster_clips_dates_to_the_period_and_counts_the_days(database) -> None:
    settle(database, "1", "2")
    with database.transaction() as session:
        enrolment.enrol(
            session, CLERK, Enrolment("h1", VILLAGE, "分红", START, valid_to=date(2026, 10, 11)), NOW
        )
        enrolment.enrol(
            session,
            CLERK,
            Enrolment("h1", VILLAGE, "补助", date(2026, 10, 20), weight=None, amount_fen=500),
            NOW,
        )
        first, second = enrolment.roster(session, CLERK, VILLAGE, OCTOBER)
    assert [(one.component, one.days_valid) for one in first.enrolments] == [("分红", 10), ("补助", 12)]
    assert first.enrolments[0].valid_to == date(2026, 10, 11)
    assert first.enrolments[1].amount_fen == 500
    assert (first.name, first.masked_name) == ("王小二", "王*二")
    assert second.enrolments == ()


def test_a_household_that_left_stays_on_the_roster_while_it_is_entitled(database) -> None:
    settle(database, "1", "2", "3")
    with database.transaction() as session:
        for number in "12":
            enrolment.enrol(session, CLERK, Enrolment(f"h{number}", VILLAGE, "分红", START), NOW)
        for number in "23":
            households.leave(session, CLERK, f"h{number}", date(2026, 8, 1), NOW)
        assert [one.number for one in enrolment.roster(session, CLERK, VILLAGE, OCTOBER)] == ["1", "2"]
        assert len(enrolment.roster(session, CLERK, VILLAGE, Period.parse("2026-07"))) == 3
        assert enrolment.roster(session, CLERK, VILLAGE, Period.parse("2025-12")) == ()


def test_a_post_is_paid_for_what_was_served_exactly(database) -> None:
    settle(database, "1")
    with database.transaction() as session:
        enrolment.add_post(session, CLERK, Post("p1", VILLAGE, "h1", "保洁", 60_000, START), NOW)
        without = enrolment.roster(session, CLERK, VILLAGE, OCTOBER)[0].posts[0]
        wrong = [Attendance("p1", "2026-10", Decimal("0.9"))]
        right = [Attendance("p1", "2026-10", Decimal("0.5"), Decimal("0.333"))]
        enrolment.record_attendance(session, CLERK, wrong, NOW)
        enrolment.record_attendance(session, CLERK, right, LATER)
        enrolment.record_attendance(session, CLERK, [Attendance("p1", "2026-11", Decimal(1))], NOW)
        post = enrolment.roster(session, CLERK, VILLAGE, OCTOBER)[0].posts[0]
        quarter = enrolment.roster(session, CLERK, VILLAGE, Period.parse("2026-Q4"))[0].posts[0]
        rows = session.scalars(select(enrolment.AttendanceRow).where(known(enrolment.AttendanceRow))).all()
    assert without.months_served is None
    assert (post.months_served, post.coefficient) == (Fraction(1, 2), Fraction(333, 1000))
    assert quarter.months_served * quarter.coefficient == Fraction(1, 2) * Fraction(333, 1000) + 1
    assert len(rows) == 2


@pytest.mark.parametrize("units", ["0.1234", "-1", "NaN"])
def test_attendance_that_cannot_be_kept_exactly_is_refused(database, units) -> None:
    settle(database, "1")
    with database.transaction() as session:
        enrolment.add_post(session, CLERK, Post("p1", VILLAGE, "h1", "保洁", 60_000, START), NOW)
        with pytest.raises((ValueError, ArithmeticError)):
            enrolment.record_attendance(session, CLERK, [Attendance("p1", "2026-10", Decimal(units))], NOW)
