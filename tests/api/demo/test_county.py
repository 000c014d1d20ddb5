"""The demo county has the shape that was asked for, and the same seed makes the same county."""

from datetime import date
from fractions import Fraction

import pytest
from stdnum import luhn
from stdnum.cn import ric

from api.demo.county import FULL, SMALL, County, build_county
from api.demo.people import attendance, build_people
from api.demo.story import FactKind, tell
from collector.connections import MODBUS_TCP, MQTT
from store.periods import Period, local_date

ANCHOR = date(2026, 11, 25)
SEED = 20_260_101


@pytest.fixture(scope="module")
def county() -> County:
    return build_county(SEED, FULL, ANCHOR)


def test_the_same_seed_makes_the_same_county(county: County) -> None:
    assert build_county(SEED, FULL, ANCHOR) == county
    assert build_county(SEED + 1, FULL, ANCHOR) != county


def test_forty_villages_in_five_townships_with_nested_codes(county: County) -> None:
    assert len(county.village_codes) == 40
    assert len(county.township_codes) == 5
    assert len({division.name for division in county.divisions}) == len(county.divisions)
    for division in county.divisions:
        assert len(division.code) == 12
        assert division.code.startswith(division.parent_code.rstrip("0"))


def test_stations_of_every_kind_between_60_and_500_kw(county: County) -> None:
    kinds = [str(station.kind) for station in county.stations]
    assert len(kinds) >= 44
    assert kinds.count("joint") >= 4
    assert kinds.count("household_group") == 1
    assert kinds.count("agri_pv") == 1
    assert all(60_000 <= station.rated_power_w <= 500_000 for station in county.stations)
    assert len({station.account_number for station in county.stations}) == len(kinds)


def test_every_village_lives_by_a_station_or_by_a_share(county: County) -> None:
    hosts = {station.division_code for station in county.stations}
    sharers = {share.village_code for share in county.shares}
    assert hosts | sharers == set(county.village_codes)
    assert sharers - hosts
    for station in county.stations:
        parts = [share.weight for share in county.shares if share.station_id == station.id]
        assert not parts or Fraction(sum(parts), 100) == 1


def test_each_station_has_up_to_six_inverters_that_add_up_and_one_meter(county: County) -> None:
    for station in county.stations:
        standing = [d for d in county.devices if d.station_id == station.id and d.removed_on is None]
        inverters = [device for device in standing if device.kind == "inverter"]
        assert 1 <= len(inverters) <= 6
        assert sum(device.rated_power_w for device in inverters) == station.rated_power_w
        assert [device.kind for device in standing].count("meter") == 1
    assert [meter.station_id for meter in county.meters] == [station.id for station in county.stations]


def test_devices_are_reached_over_own_ports_gateways_and_mqtt(county: County) -> None:
    standing = [device for device in county.devices if device.removed_on is None]
    by_port: dict[int, list[int]] = {}
    for device in standing:
        assert device.transport in {MODBUS_TCP, MQTT}
        if device.transport == MODBUS_TCP:
            by_port.setdefault(device.port, []).append(device.unit_id)
    assert max(len(units) for units in by_port.values()) >= 4
    assert min(len(units) for units in by_port.values()) == 1
    assert all(len(set(units)) == len(units) for units in by_port.values())
    pushed = {device.station_id for device in standing if device.transport == MQTT}
    assert 0.1 <= len(pushed) / len(county.stations) <= 0.2
    assert len({device.profile for device in standing}) >= 5


def test_a_machine_stands_behind_every_device(county: County) -> None:
    assert [machine.device_id for machine in county.machines] == [device.id for device in county.devices]


def test_the_replaced_inverter_hands_over_to_one_that_starts_at_zero(county: County) -> None:
    (new,) = [device for device in county.devices if device.replaces]
    (old,) = [device for device in county.devices if device.id == new.replaces]
    assert old.removed_on == new.installed_on
    machine = next(one for one in county.machines if one.device_id == new.id)
    assert machine.initial_wh == 0


def test_the_story_holds_what_real_counties_contain_and_names_real_subjects(county: County) -> None:
    assert {fact.kind for fact in county.story.facts} == set(FactKind)
    for fact in county.story.facts:
        assert fact.start < fact.end
        assert local_date(fact.start) >= county.story.epoch
        for disturbance in county.disturbances(fact):
            assert disturbance.device_ids
            assert set(disturbance.device_ids) <= {device.id for device in county.devices}


def test_the_story_shrinks_with_a_short_history() -> None:
    short = tell(ANCHOR, date(2026, 9, 1))
    assert all(local_date(fact.start) >= date(2026, 9, 1) for fact in short.facts)
    assert all(fact.start < fact.end for fact in short.facts)


def test_about_1200_households_with_valid_numbers_of_nobody(county: County) -> None:
    people = build_people(county)
    assert len(people.families) == 1200
    numbers = [member.id_number for family in people.families for member in family.members]
    assert all(ric.calc_check_digit(number) == number[-1] for number in numbers)
    assert all(number.startswith("349921") for number in numbers)
    assert all(luhn.is_valid(family.account.account) for family in people.families)
    assert {one.class_name for family in people.families for one in family.classes} >= {
        "脱贫户",
        "监测对象",
        "低保",
    }


def test_people_are_the_same_again_and_somebody_leaves(county: County) -> None:
    people = build_people(county)
    assert build_people(county).posts == people.posts
    assert [family.household for family in build_people(county).families] == [
        family.household for family in people.families
    ]
    (departure,) = people.departures
    assert departure.household_id in {family.household.id for family in people.families}
    assert departure.household_id not in {post.household_id for post in people.posts}


def test_every_village_has_a_post_and_every_post_its_attendance(county: County) -> None:
    people = build_people(county)
    assert {post.village_code for post in people.posts} == set(county.village_codes)
    month = Period.parse("2026-10")
    records = attendance(people, SEED, month)
    assert {record.post_id for record in records} == {post.id for post in people.posts}
    assert attendance(people, SEED, month) == records


def test_a_small_county_has_everything_in_little() -> None:
    small = build_county(SEED, SMALL, ANCHOR)
    assert len(small.village_codes) == 4
    assert {str(station.kind) for station in small.stations} == {
        "village", "joint", "household_group", "agri_pv",
    }  # fmt: skip
    assert small.story.epoch == date(2026, 9, 1)
    assert len(build_people(small).families) == 24
