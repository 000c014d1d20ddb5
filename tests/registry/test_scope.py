"""A user's reads are always inside the area, for every reader of the registry."""

import inspect
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from registry import account_changes, audit, divisions, enrolment, households, parameters, stations, users
from registry.actors import PERMISSIONS, Actor, NotPermittedError, Permission, Role
from store.periods import Period

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
TODAY = date(2026, 11, 20)
MONTH = Period.parse("2026-10")
REASON = households.Disclosure("导出批次", NOW)

Reader = Callable[[Session, Actor, object], Iterable[str]]


def _station_places(session, actor, found):
    for one in found:
        yield [one.division_code, *(share.village_code for share in stations.shares(session, one.id, TODAY))]


READERS = {
    "divisions.divisions": lambda s, a, _: [[d.code] for d in divisions.divisions(s, a)],
    "divisions.villages": lambda s, a, _: [[d.code] for d in divisions.villages(s, a)],
    "divisions.townships": lambda s, a, _: [[d.code] for d in divisions.townships(s, a, on=TODAY)],
    "stations.stations": lambda s, a, _: _station_places(s, a, stations.stations(s, a)),
    "stations.station": lambda s, a, w: _station_places(
        s, a, [found for one in w.stations if (found := stations.station(s, a, one))]
    ),
    "stations.devices": lambda s, a, w: _owners(s, w, [d.station_id for d in stations.devices(s, a)]),
    "stations.device": lambda s, a, w: _owners(
        s, w, [d.station_id for n in range(len(w.stations)) if (d := stations.device(s, a, f"inv{n}"))]
    ),
    "stations.revenue_meters": lambda s, a, w: _owners(
        s, w, [m.station_id for m in stations.revenue_meters(s, a)]
    ),
    "stations.village_shares": lambda s, a, w: [
        [share.village_code]
        for village in set(w.village_of.values())
        for share in stations.village_shares(s, a, village, TODAY)
    ],
    "households.households": lambda s, a, _: [[h.village_code] for h in households.households(s, a)],
    "households.household": lambda s, a, w: [
        [found.village_code] for one in w.households if (found := households.household(s, a, one))
    ],
    "households.members": lambda s, a, w: [
        [w.village_of[m.household_id]] for one in w.households for m in households.members(s, a, w.ring, one)
    ],
    "households.classes": lambda s, a, w: [
        [w.village_of[c.household_id]] for one in w.households for c in households.classes(s, a, one)
    ],
    "households.payee_accounts": lambda s, a, w: [
        [w.village_of[c.household_id]] for one in w.households for c in households.payee_accounts(s, a, one)
    ],
    "households.plain_payee_accounts": lambda s, a, w: [
        [w.village_of[home]] for home in households.plain_payee_accounts(s, a, w.ring, TODAY, REASON)
    ],
    "households.find_by_id_number": lambda s, a, w: [
        [w.village_of[home]]
        for one in w.households
        for home in households.find_by_id_number(s, a, w.ring, w.id_number_of[one])
    ],
    "enrolment.roster": lambda s, a, w: [
        [entry.village_code]
        for village in set(w.village_of.values())
        for entry in enrolment.roster(s, a, village, MONTH)
    ],
    "enrolment.enrolments": lambda s, a, _: [[e.village_code] for e in enrolment.enrolments(s, a)],
    "enrolment.posts": lambda s, a, _: [[p.village_code] for p in enrolment.posts(s, a)],
    "account_changes.account_changes": lambda s, a, _: [
        [change.village_code] for change in account_changes.account_changes(s, a)
    ],
    "users.users": lambda s, a, _: [[u.area] for u in users.users(s, a)],
}
# Values of parameters are public; the audit is one chain, read by auditors alone.
NOT_BY_AREA = {"parameters.own_values", "audit.events"}


def _owners(session, world, station_ids):
    for one in station_ids:
        shared = [share.village_code for share in stations.shares(session, one, TODAY)]
        yield [world.village_of[one], *shared]


def test_every_reader_of_the_registry_is_checked_here() -> None:
    found = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in (account_changes, audit, divisions, enrolment, households, parameters, stations, users)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and "actor" in inspect.signature(function).parameters
        and str(inspect.signature(function).return_annotation).find("tuple[") >= 0
    }
    assert found - {"enrolment.record_attendance"} <= set(READERS) | NOT_BY_AREA


AREAS = ["", "520491000000", "520492100000", "520491101000", "520491100201", "520492101200", "999999000000"]


@pytest.mark.parametrize("name", sorted(READERS))
@settings(max_examples=25, deadline=None)
@given(
    role=st.sampled_from(list(Role)), area=st.sampled_from(AREAS) | st.text("0123456789%_\\'X", max_size=12)
)
def test_a_read_stays_inside_the_area_or_is_refused(world, name, role, area) -> None:
    actor = Actor("u", "某人", role, area)
    with world.database.transaction() as session:
        try:
            places = list(READERS[name](session, actor, world))
        except NotPermittedError:
            return
    for codes in places:
        assert any(code.startswith(actor.area_prefix) for code in codes), (name, actor, codes)
    if set(area) - set("0123456789"):
        assert places == []


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_reader_finds_something_for_the_whole_county(world, name) -> None:
    everything = {"households.plain_payee_accounts": Role.FINANCE}
    actor = Actor("u", "某人", everything.get(name, Role.COUNTY), "520491000000")
    with world.database.transaction() as session:
        assert list(READERS[name](session, actor, world))


def test_a_village_sees_the_joint_station_that_it_shares_and_not_its_neighbours(world) -> None:
    actor = Actor("u", "某人", Role.VILLAGE, "520491101201")
    with world.database.reading() as session:
        assert [one.id for one in stations.stations(session, actor)] == ["s0", "s3"]
        assert stations.station(session, actor, "s1") is None


@pytest.mark.parametrize("role", list(Role))
def test_a_role_without_the_permission_reads_no_household(world, role) -> None:
    actor = Actor("u", "某人", role, "520491000000")
    with world.database.reading() as session:
        if Permission.VIEW_HOUSEHOLDS in PERMISSIONS[role]:
            assert households.households(session, actor)
        else:
            with pytest.raises(NotPermittedError):
                households.households(session, actor)


def test_a_write_outside_the_area_is_refused(world) -> None:
    actor = Actor("u", "某人", Role.COUNTY, "520491000000")
    home = next(one for one, code in world.village_of.items() if code.startswith("520492"))
    refused = (PermissionError, LookupError)
    with world.database.transaction() as session:
        with pytest.raises(refused):
            households.leave(session, actor, "h7-1", TODAY, NOW)
        with pytest.raises(refused):
            stations.set_shares(session, actor, home, [], NOW)
        with pytest.raises(refused):
            enrolment.enrol(session, actor, enrolment.Enrolment("h7-1", "520492101201", "奖励", TODAY), NOW)
        with pytest.raises(refused):
            users.create_user(
                session, actor, users.NewUser("other", "外县", Role.TOWNSHIP, "520492100000"), NOW
            )


NOT_FILLED = {"households.plain_payee_accounts", "users.users", "account_changes.account_changes"}


def test_every_reader_works_on_postgresql_as_on_sqlite(filled_both) -> None:
    actor = Actor("u", "某人", Role.COUNTY, "520491000000")
    with filled_both.database.transaction() as session:
        for name in sorted(set(READERS) - NOT_FILLED):
            assert list(READERS[name](session, actor, filled_both)), name
