"""Readings by hand: kept with their photo, corrected by another, and what they say of a month."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from distribution.settlement.metering.readings import (
    ReadingFact,
    correct_reading,
    metered_energy,
    readings,
    record_reading,
)
from registry.actors import Actor, Role
from store.problem import ProblemsError

FIRST = "520499101201"
CADRE = Actor("u_cadre", "村干部", Role.VILLAGE, FIRST)
ELSEWHERE = Actor("u_other", "邻村", Role.VILLAGE, "520499101202")
PHOTO = "a" * 64


def read(county, reading, on, meter=("s1", "M1"), **changes):
    fact = ReadingFact(*meter, on, Decimal(reading), changes.get("photo", PHOTO), changes.get("note", ""))
    with county.database.transaction() as session:
        return record_reading(session, changes.get("actor", CADRE), fact, county.now)


def energy(county, month="2026-10"):
    with county.database.reading() as session:
        return {(one.station_id, one.meter_number): one for one in metered_energy(session, CADRE, month)}


def test_two_readings_near_the_ends_of_a_month_give_its_energy(county):
    read(county, "1000.5", date(2026, 9, 28))
    read(county, "1010", date(2026, 10, 1))
    read(county, "2210.25", date(2026, 11, 3))
    read(county, "50", date(2026, 10, 2), ("s2", "M2"))
    read(county, "52", date(2026, 10, 31), ("s2", "M2"))
    found = energy(county)
    assert (found["s1", "M1"].energy_wh, found["s1", "M1"].days_off) == (1_200_250, 2)
    assert found["s2", "M2"].energy_wh == 200_000
    assert energy(county, "2026-09") == {}


def test_a_meter_that_went_backwards_or_was_read_too_far_from_the_end_says_nothing(county):
    read(county, "1000", date(2026, 10, 1))
    read(county, "900", date(2026, 11, 1))
    read(county, "10", date(2026, 10, 1), ("s2", "M2"))
    read(county, "12", date(2026, 11, 7), ("s2", "M2"))
    assert energy(county) == {}


def test_a_correction_is_another_reading_and_a_withdrawal_leaves_none(county):
    wrong = read(county, "9999", date(2026, 10, 1))
    read(county, "1200", date(2026, 11, 1))
    right = ReadingFact("s1", "M1", date(2026, 10, 1), Decimal(999), "b" * 64, "看错一位")
    with county.database.transaction() as session:
        fixed = correct_reading(session, CADRE, (wrong, "看错一位"), right, county.now)
    assert energy(county)["s1", "M1"].energy_wh == 201_000
    with county.database.transaction() as session:
        with pytest.raises(ProblemsError, match="可更正"):
            correct_reading(session, CADRE, (wrong, "再改"), right, county.now)
        with pytest.raises(ProblemsError, match="原因"):
            correct_reading(session, CADRE, (fixed, " "), None, county.now)
        correct_reading(session, CADRE, (fixed, "不是这块表"), None, county.now)
    assert energy(county) == {}
    with county.database.reading() as session:
        assert sum(one.holds for one in readings(session, CADRE)) == 1
        assert len(readings(session, CADRE)) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"photo": ""}, "没有照片"),
        ({"reading": "-1"}, "示数"),
        ({"reading": "NaN"}, "示数"),
        ({"reading": "1.234"}, "两位小数"),
        ({"on": date(2026, 12, 1)}, "还没有到"),
        ({"meter": ("s1", "M9")}, "没有电表"),
        ({"actor": ELSEWHERE}, "没有电表"),
    ],
)
def test_what_cannot_be_a_reading_is_refused_in_words(county, changes, words):
    with pytest.raises(ProblemsError, match=words):
        read(county, changes.pop("reading", "1"), changes.pop("on", date(2026, 10, 1)), **changes)


def test_a_reading_is_kept_once_and_never_edited(county):
    assert read(county, "1", date(2026, 10, 1)) == read(county, "1", date(2026, 10, 1))
    with county.database.reading() as session:
        assert len(readings(session, CADRE)) == 1
        assert readings(session, ELSEWHERE, station_id="s1") == ()
    for statement in ("UPDATE meter_reading SET reading = '2'", "DELETE FROM meter_reading"):
        with pytest.raises(DBAPIError), county.database.transaction() as session:
            session.execute(text(statement))
