"""Seeding fills the real stores, can be repeated, and what the story planted can be found in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from api.demo.county import SMALL, County, build_county
from api.demo.registration import Login
from api.demo.seeding import open_county, open_plant, read_marker, seed
from api.demo.story import FactKind
from api.schema import all_tables
from registry.actors import SYSTEM, Actor, Role
from registry.divisions import Division, DivisionLevel, add_division
from registry.enrolment import roster
from registry.households import households
from registry.stations import devices, stations
from registry.users import Credentials, authenticate
from store.db import Base, Database, open_database
from store.energy import Method, device_energy
from store.events import EventFilter, EventKind, recent
from store.periods import Period, local_date
from store.problem import ProblemsError
from store.series import SeriesStore, open_series

NOW = datetime(2026, 11, 25, 4, 2, 30, tzinfo=UTC)
SEED = 7


@dataclass(frozen=True)
class Seeded:
    database: Database
    series: SeriesStore
    data_dir: Path
    county: County
    logins: tuple[Login, ...]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    all_tables()
    folder = tmp_path_factory.mktemp("demo")
    database = open_database(f"sqlite:///{folder / 'demo.sqlite3'}")
    Base.metadata.create_all(database.engine)
    series = open_series(f"duckdb:///{folder / 'series.duckdb'}")
    told: list[tuple[str, int, int]] = []
    logins = seed(
        database, series, folder, NOW, seed=SEED, size=SMALL, progress=lambda *step: told.append(step)
    )
    assert told[-1][1] == told[-1][2]
    yield Seeded(database, series, folder, build_county(SEED, SMALL, date(2026, 11, 25)), logins)
    series.close()
    database.close()


def energy_of(seeded: Seeded, device_id: str, month: str):
    rated = {device.id: device.rated_power_w for device in seeded.county.devices}
    (found,) = device_energy(seeded.series, [device_id], [Period.parse(month)], "generated_energy_wh", rated)
    return found


def test_the_directory_says_which_county_it_holds(seeded: Seeded) -> None:
    marker = read_marker(seeded.data_dir)
    assert marker is not None
    assert (marker.seed, marker.size) == (SEED, SMALL)
    assert open_county(seeded.data_dir) == seeded.county


def test_one_login_of_each_role_with_a_password_that_works_once(seeded: Seeded) -> None:
    assert {login.role for login in seeded.logins} == {
        "county", "township", "village", "finance", "maintenance", "auditor",
    }  # fmt: skip
    first = seeded.logins[0]
    with seeded.database.transaction() as session:
        given = Credentials(first.login, first.password, "127.0.0.1")
        assert isinstance(authenticate(session, given, NOW), Actor)


def test_the_registry_is_filled(seeded: Seeded) -> None:
    with seeded.database.reading() as session:
        assert len(stations(session, SYSTEM)) == len(seeded.county.stations)
        assert len(devices(session, SYSTEM)) == len(seeded.county.devices)
        assert len(households(session, SYSTEM)) == 24


def test_every_device_that_can_be_heard_has_a_sample_of_this_quarter_hour(seeded: Seeded) -> None:
    plant = open_plant(seeded.data_dir, seeded.county)
    latest = seeded.series.latest()
    for machine in plant.machines:
        shown = plant.values(machine.device_id, NOW.replace(minute=0, second=0))
        if shown is not None:
            sample = latest[machine.device_id]
            assert sample.time == NOW.replace(minute=0, second=0)
            counter = "exported_energy_wh" if machine.is_meter else "generated_energy_wh"
            assert sample.values[counter] == shown[counter]


def test_seeding_again_changes_nothing_and_later_tops_up(seeded: Seeded) -> None:
    before = seeded.series.statistics().rows
    again = seed(seeded.database, seeded.series, seeded.data_dir, NOW, seed=99, progress=lambda *_: None)
    assert again == ()
    assert seeded.series.statistics().rows == before
    later = NOW + timedelta(hours=2)
    seed(seeded.database, seeded.series, seeded.data_dir, later, progress=lambda *_: None)
    statistics = seeded.series.statistics()
    assert statistics.newest is not None
    assert later - statistics.newest < timedelta(minutes=5)
    device = seeded.county.devices[0].id
    times = seeded.series.read([device], NOW - timedelta(hours=1), later, ["active_power_w"]).column("time")
    assert len(set(times.to_pylist())) == len(times) >= 35


def test_energy_by_counters_is_the_energy_that_the_plant_made(seeded: Seeded) -> None:
    plant = open_plant(seeded.data_dir, seeded.county)
    october = Period.parse("2026-10")
    first, last = plant.day(october.start), plant.day(october.end)
    for device in seeded.county.devices:
        column = plant.index[device.id]
        made = last.energy_wh[0, column] - first.energy_wh[0, column]
        quiet = device.kind == "inverter" and device.removed_on is None and device.replaces is None
        if quiet and made > 0:
            found = energy_of(seeded, device.id, "2026-10")
            assert found.energy_wh == pytest.approx(made, abs=plant.machines[column].resolution_wh)
            assert found.completeness > 0.99 or found.method != Method.COUNTER


def test_the_silent_days_are_a_gap_that_the_counter_bridges(seeded: Seeded) -> None:
    fact = seeded.county.story.of(FactKind.COMMUNICATION_GAP)[0]
    device = seeded.county.concerned(fact)[0]
    inside = seeded.series.read([device], fact.start, fact.end, ["active_power_w"])
    assert inside.num_rows == 0
    found = energy_of(seeded, device, str(Period.month_of(fact.start)))
    assert found.method == Method.COUNTER_GAP
    assert found.completeness < 0.97


def test_the_counter_that_restarts_is_seen_as_a_reset_and_loses_no_energy(seeded: Seeded) -> None:
    (fact,) = seeded.county.story.of(FactKind.COUNTER_RESET)
    (device,) = seeded.county.concerned(fact)
    found = energy_of(seeded, device, str(Period.month_of(fact.start)))
    assert found.method == Method.RESET
    assert found.energy_wh is not None
    assert 1_000_000 < found.energy_wh < 60_000_000


def test_the_replaced_inverter_and_its_successor_share_the_month(seeded: Seeded) -> None:
    (fact,) = seeded.county.story.of(FactKind.INVERTER_REPLACED)
    (old,) = seeded.county.concerned(fact)
    new = next(device for device in seeded.county.devices if device.replaces == old)
    latest = seeded.series.latest([old, new.id])
    assert latest[new.id].values["generated_energy_wh"] < latest[old].values["generated_energy_wh"] / 10
    assert local_date(latest[old].time) < new.installed_on


def test_lost_communication_stands_among_the_events_once(seeded: Seeded) -> None:
    with seeded.database.reading() as session:
        events = recent(session, only=EventFilter(kinds=[EventKind.COMMUNICATION]))
    lost = [event for event in events if "通信中断" in event.message]
    assert len(lost) == len(seeded.county.story.of(FactKind.COMMUNICATION_GAP))
    assert len({event.id for event in events}) == len(events)


def test_who_left_is_on_the_roster_for_the_days_before(seeded: Seeded) -> None:
    (fact,) = seeded.county.story.of(FactKind.HOUSEHOLD_LEFT)
    village, month = seeded.county.village_in(fact), Period.month_of(fact.start)
    county = Actor("u", "县", Role.COUNTY, seeded.county.code)
    with seeded.database.reading() as session:
        during = roster(session, county, village, month)
        after = roster(session, county, village, month.next())
    gone = {entry.household_id for entry in during} - {entry.household_id for entry in after}
    assert len(gone) == 1
    (entry,) = [entry for entry in during if entry.household_id in gone]
    assert entry.enrolments[0].days_valid == (local_date(fact.start) - month.start).days


def test_a_database_that_holds_a_real_county_is_not_touched(database: Database, tmp_path: Path) -> None:
    real = Division("d", "340000000000", "安徽省", DivisionLevel.PROVINCE, "", date(2020, 1, 1))
    with database.transaction() as session:
        add_division(session, Actor("x", "x", Role.COUNTY), real, NOW)
    series = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    with pytest.raises(ProblemsError, match="不是演示数据"):
        seed(database, series, tmp_path, NOW, size=SMALL, progress=lambda *_: None)
    series.close()


def test_a_damaged_marker_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "county.json").write_text("{", encoding="utf-8")
    with pytest.raises(ProblemsError, match="标记文件已损坏"):
        read_marker(tmp_path)
