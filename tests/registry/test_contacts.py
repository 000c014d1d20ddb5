"""Telephones on the notice: dated, one at a time, from the village upwards."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry.actors import Actor, NotPermittedError, Role
from registry.contacts import NewContact, contacts, contacts_for, set_contact
from store.problem import ProblemsError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
COUNTY_CODE, TOWN, VILLAGE = "520499000000", "520499101000", "520499101201"
COUNTY = Actor("u1", "县办", Role.COUNTY, COUNTY_CODE)
OTHER = Actor("u2", "邻县", Role.COUNTY, "520498000000")
FIRST = date(2026, 11, 1)


def put(session, code, office, phone, since=FIRST):
    set_contact(session, COUNTY, NewContact(code, office, phone, since), NOW)


def shown(session, on=FIRST):
    return [(one.office, one.phone) for one in contacts_for(session, VILLAGE, on)]


def test_a_village_has_its_own_offices_first_then_those_above(database):
    with database.transaction() as session:
        put(session, COUNTY_CODE, "县农业农村局", "0855-8000003")
        put(session, TOWN, "青石镇纪委", "0855-8000002")
        put(session, VILLAGE, "村务监督委员会", "12388")
        put(session, "520499101202", "村务监督委员会", "12389")
        assert shown(session) == [
            ("村务监督委员会", "12388"),
            ("青石镇纪委", "0855-8000002"),
            ("县农业农村局", "0855-8000003"),
        ]


def test_a_new_number_holds_from_its_day_and_the_old_one_until_then(database):
    with database.transaction() as session:
        put(session, VILLAGE, "村务监督委员会", "12388")
        put(session, VILLAGE, "村务监督委员会", "12389", date(2026, 12, 1))
        put(session, VILLAGE, "村务监督委员会", "12389", date(2026, 12, 1))
        assert shown(session, date(2026, 11, 30)) == [("村务监督委员会", "12388")]
        assert shown(session, date(2026, 12, 1)) == [("村务监督委员会", "12389")]
        put(session, VILLAGE, "村务监督委员会", "", date(2027, 1, 1))
        assert shown(session, date(2026, 12, 31)) == [("村务监督委员会", "12389")]
        assert shown(session, date(2027, 1, 1)) == []
        assert len(contacts(session, COUNTY)) == 2
        assert contacts(session, OTHER) == ()


def test_nonsense_and_foreign_places_are_refused(database):
    with database.transaction() as session:
        for phone in ("电话", "1", "-", "0855 8000001 x"):
            with pytest.raises(ProblemsError, match="不像电话号码"):
                put(session, VILLAGE, "村务监督委员会", phone)
        with pytest.raises(ProblemsError, match="单位"):
            put(session, VILLAGE, " ", "12388")
        with pytest.raises(NotPermittedError):
            set_contact(session, OTHER, NewContact(VILLAGE, "村务监督委员会", "12388", FIRST), NOW)
        village = Actor("u3", "村干部", Role.VILLAGE, VILLAGE)
        with pytest.raises(NotPermittedError):
            set_contact(session, village, NewContact(VILLAGE, "村务监督委员会", "12388", FIRST), NOW)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_database_keeps_one_number_at_a_time_and_its_history(kind, request):
    database = request.getfixturevalue("database" if kind == "sqlite" else "postgres")
    with database.transaction() as session:
        put(session, VILLAGE, "村务监督委员会", "12388")
    for statement in (
        "UPDATE notice_contact SET phone = '1'",
        "DELETE FROM notice_contact",
        (
            "INSERT INTO notice_contact (id, division_code, office, phone, valid_from, recorded_at,"
            " recorded_by, superseded_by) SELECT 'x', division_code, office, '2', '2026-12-01',"
            " recorded_at, recorded_by, '' FROM notice_contact"
        ),
    ):
        with pytest.raises(DBAPIError), database.transaction() as session:
            session.execute(text(statement))
