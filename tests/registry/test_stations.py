"""Stations, devices, meters and shares: written once, changed with their history kept."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry import stations
from registry.actors import Actor, Role
from registry.divisions import Division, add_division, division_name, division_names
from registry.revisions import content_of, known_at, restored
from registry.stations import Device, StationRow, StationShare


@pytest.fixture
def clerk() -> Actor:
    return Actor("clerk", "县经办", Role.COUNTY)


DAY = timedelta(days=1)
SINCE = date(2020, 1, 1)


def now_of(world):
    with world.database.reading() as session:
        return session.get_one(StationRow, "s1").recorded_at


def test_a_changed_station_keeps_what_was_known_before(filled, clerk) -> None:
    now = now_of(filled)
    with filled.database.transaction() as session:
        station = stations.station(session, clerk, "s1")
        assert not stations.update_station(session, clerk, station, now + DAY)
        stations.update_station(session, clerk, replace(station, name="新站名", latitude=26.25), now + DAY)
        stations.update_station(session, clerk, replace(station, name="更新站名"), now + 2 * DAY)
        row = session.get_one(StationRow, "s1")
        names = [
            None if (found := known_at(session, row, now + offset)) is None else found["name"]
            for offset in (-DAY, timedelta(), DAY, 2 * DAY)
        ]
    assert names == [None, "1号站", "新站名", "更新站名"]


def test_a_kept_state_can_be_written_back(filled) -> None:
    with filled.database.transaction() as session:
        row = session.get_one(StationRow, "s1")
        columns = restored(row, content_of(row))
        assert columns.keys() >= {"latitude", "grid_connected_on", "withdrawn_at", "rated_power_w"}
        assert all(getattr(row, name) == value for name, value in columns.items())


def test_a_replaced_device_ends_where_its_successor_begins(filled, clerk) -> None:
    swap = date(2026, 3, 15)
    new = Device("inv1b", "s1", "inverter", "1号（新）", "goodwe_mt_smt", swap)
    with filled.database.transaction() as session:
        stations.replace_device(session, clerk, "inv1", new, now_of(filled) + DAY)
        old, successor = stations.devices(session, clerk, "s1")
        assert (old.removed_on, successor.replaces, successor.position) == (swap, "inv1", old.position)
        assert [one.id for one in stations.devices(session, clerk, "s1", on=swap)] == ["inv1b"]
        assert [one.id for one in stations.devices(session, clerk, "s1", on=swap - DAY)] == ["inv1"]
        with pytest.raises(LookupError):
            stations.replace_device(session, clerk, "inv1", replace(new, id="x"), now_of(filled) + DAY)


def test_shares_of_a_joint_station_hold_by_date_and_what_was_known_stays(filled, clerk) -> None:
    villages = sorted(set(filled.village_of.values()))
    parts = [
        StationShare("s2", villages[0], 60, SINCE, date(2026, 1, 1)),
        StationShare("s2", villages[0], 50, date(2026, 1, 1)),
        StationShare("s2", villages[1], 50, date(2026, 1, 1)),
    ]
    with filled.database.transaction() as session:
        assert [one.weight for one in stations.shares(session, "s2", SINCE)] == [1]
        stations.set_shares(session, clerk, "s2", parts, now_of(filled) + DAY)
        assert [one.weight for one in stations.shares(session, "s2", date(2025, 12, 31))] == [60]
        assert [one.weight for one in stations.shares(session, "s2", date(2026, 1, 1))] == [50, 50]
        stations.set_shares(session, clerk, "s2", parts[:1], now_of(filled) + 2 * DAY)
        assert session.scalar(text("SELECT count(*) FROM station_share WHERE station_id = 's2'")) == 4


def test_shares_of_one_village_cannot_overlap(both) -> None:
    clerk = Actor("clerk", "县经办", Role.COUNTY)
    from datetime import UTC, datetime

    now = datetime(2026, 1, 1, tzinfo=UTC)
    code = "520491100201"
    with both.transaction() as session:
        stations.add_station(session, clerk, stations.Station("s", "站", "joint", code, 1, 26.0, 106.0), now)
    parts = [StationShare("s", code, 1, SINCE), StationShare("s", code, 2, SINCE + DAY)]
    with pytest.raises(DBAPIError, match="one share"), both.transaction() as session:
        stations.set_shares(session, clerk, "s", parts, now)


def test_a_withdrawn_station_is_seen_by_nobody(filled, clerk) -> None:
    with filled.database.transaction() as session:
        session.get_one(StationRow, "s1").withdrawn_at = now_of(filled)
        session.flush()
        assert "s1" not in {one.id for one in stations.stations(session, clerk)}
        assert stations.devices(session, clerk, "s1") == ()
        assert stations.village_shares(session, clerk, filled.village_of["s1"], SINCE) == ()


def test_the_name_of_a_division_is_the_latest_and_an_unknown_code_names_itself(filled, clerk) -> None:
    code = filled.village_of["s1"]
    with filled.database.transaction() as session:
        renamed = Division("renamed", code, "新寨村", "village", code[:9] + "000", date(2025, 1, 1))
        add_division(session, clerk, renamed, now_of(filled))
        assert division_name(session, code) == "新寨村"
        assert division_names(session)[code] == "新寨村"
        assert division_name(session, "999999999999") == "999999999999"


@pytest.mark.parametrize(
    ("code", "level", "parent"),
    [
        ("5204911002", "village", ""),
        ("52049110020X", "village", ""),
        ("520491100201", "township", ""),
        ("520491100201", "village", "520492100000"),
    ],
)
def test_a_code_that_does_not_fit_its_level_or_parent_is_refused(filled, clerk, code, level, parent) -> None:
    with filled.database.transaction() as session, pytest.raises(ValueError, match=code):
        add_division(session, clerk, Division("x", code, "村", level, parent, SINCE), now_of(filled))


@given(st.text("0123456789", min_size=12, max_size=12))
def test_an_area_covers_itself_and_what_begins_with_it(code) -> None:
    actor = Actor("u", "某人", Role.VILLAGE, code)
    assert actor.covers(code)
    assert code.startswith(actor.area_prefix)
    assert actor.area_prefix == "" or len(actor.area_prefix) in {2, 4, 6, 9, 12}


def test_the_shares_of_a_village_are_its_parts_of_every_station(filled, clerk) -> None:
    villages = sorted(set(filled.village_of.values()))
    with filled.database.reading() as session:
        for village in villages:
            one_by_one = sorted(
                (
                    share
                    for station in filled.stations
                    for share in stations.shares(session, station, SINCE)
                    if share.village_code == village
                ),
                key=lambda share: share.station_id,
            )
            assert list(stations.village_shares(session, clerk, village, SINCE)) == one_by_one
