"""What collectors tell the other processes, on SQLite and PostgreSQL: each under its own name."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from prometheus_client import generate_latest
from sqlalchemy.orm import Session

from collector.connections import ConnectionStatus, LinkState, RefusedCaller, links
from collector.learned import DeviceModel
from collector.metrics import reported
from collector.reports import (
    FORGOTTEN_AFTER,
    SILENT_LABEL,
    CollectorReport,
    collector_reports,
    connection_counts,
    connection_reports,
    keep_learned,
    recall_learned,
    refused_callers,
    report_collector,
    report_connections,
    report_refused,
    report_start,
)
from registry.actors import SYSTEM, Actor, Role
from registry.divisions import Division, add_division
from registry.stations import Device, Station, add_device, add_station
from store.db import Database
from tests.collector.plants import link, utc_now

NOW = utc_now()
SETUP = Actor("setup", "安装", Role.COUNTY)
COUNTY, VILLAGE, OTHER = "520499000000", "520499101201", "520499102201"
OPERATOR = Actor("c", "县", Role.COUNTY, COUNTY)
EAST, WEST = "east", "west"


@pytest.fixture(params=["database", "postgres"])
def county(request: pytest.FixtureRequest) -> Iterator[Database]:
    made: Database = request.getfixturevalue(request.param)
    with made.transaction() as session:
        for code, name, level, parent in (
            (COUNTY, "云岭县", "county", ""),
            ("520499101000", "石坝乡", "township", COUNTY),
            ("520499102000", "青山乡", "township", COUNTY),
            (VILLAGE, "石坝村", "village", "520499101000"),
            (OTHER, "青杠村", "village", "520499102000"),
        ):
            add_division(
                session, SETUP, Division(f"d-{code}", code, name, level, parent, date(2020, 1, 1)), NOW
            )
        for code in (VILLAGE, OTHER):
            add_station(
                session, SETUP, Station(f"s-{code}", f"{code}站", "village", code, 60_000, 26.0, 105.0), NOW
            )
            device = Device(f"i-{code}", f"s-{code}", "inverter", "1号", "eastron_sdm630", date(2020, 1, 1))
            add_device(session, SETUP, device, NOW)
    return made


def tell(session: Session, collector: str, *states: LinkState, age: timedelta = timedelta()) -> None:
    """Report the state of the devices of both villages, by a collector that was there a while ago."""
    statuses = [
        replace(ConnectionStatus(link(f"i-{code}", 502)), state=state, polls=7, last_error="没有应答")
        for code, state in zip((VILLAGE, OTHER), states, strict=False)
    ]
    report_connections(session, collector, statuses, ())
    report_collector(session, CollectorReport(NOW - age, NOW - age, name=collector))


def shown(county: Database) -> list[tuple[str, str, str, bool]]:
    with county.reading() as session:
        return [
            (one.device.id, one.collector, one.label, one.silent)
            for one in connection_reports(session, OPERATOR, NOW)
        ]


def test_connections_are_listed_worst_first_and_only_for_the_own_area(county: Database) -> None:
    for _ in range(2):
        with county.transaction() as session:
            tell(session, EAST, LinkState.GOOD, LinkState.FAILING)
    village = Actor("v", "村", Role.VILLAGE, VILLAGE)
    with county.reading() as session:
        found = connection_reports(session, OPERATOR, NOW)
        assert [one.status.state for one in found] == [LinkState.FAILING, LinkState.GOOD]
        assert (found[0].status.polls, found[0].status.last_error, found[0].label) == (
            7,
            "没有应答",
            "通信失败",
        )
        assert [one.device.id for one in connection_reports(session, village, NOW)] == [f"i-{VILLAGE}"]


def test_a_device_that_nobody_reported_is_waited_for(county: Database) -> None:
    with county.reading() as session:
        found = connection_reports(session, SYSTEM, NOW)
        assert {(one.status.state, one.collector) for one in found} == {(LinkState.WAITING, "")}
        assert collector_reports(session) == ()


def test_two_collectors_report_side_by_side(county: Database) -> None:
    """Both listen to a shared subscription: each shows what it heard, and waits in silence for the rest."""
    with county.transaction() as session:
        tell(session, EAST, LinkState.GOOD, LinkState.WAITING)
    with county.transaction() as session:
        tell(session, WEST, LinkState.FAILING, LinkState.GOOD)
    assert shown(county) == [
        (f"i-{VILLAGE}", WEST, "通信失败", False),
        (f"i-{VILLAGE}", EAST, "正常", False),
        (f"i-{OTHER}", WEST, "正常", False),
    ]
    with county.reading() as session:
        assert connection_counts(session) == {
            (EAST, LinkState.GOOD): 1,
            (EAST, LinkState.WAITING): 1,
            (WEST, LinkState.FAILING): 1,
            (WEST, LinkState.GOOD): 1,
        }
        figures = generate_latest(reported(session, NOW)).decode()
    assert 'sunledger_collector_up{collector="east"} 1.0' in figures
    assert 'sunledger_collector_connections{collector="west",state="failing"} 1.0' in figures


def test_what_a_dead_collector_said_is_marked_until_another_takes_over(county: Database) -> None:
    with county.transaction() as session:
        tell(session, EAST, LinkState.GOOD, LinkState.GOOD, age=timedelta(minutes=10))
        tell(session, WEST, LinkState.WAITING)
    assert shown(county) == [
        (f"i-{OTHER}", EAST, SILENT_LABEL, True),
        (f"i-{VILLAGE}", WEST, "等待首次应答", False),
    ]
    with county.reading() as session:
        figures = generate_latest(reported(session, NOW)).decode()
    assert 'sunledger_collector_up{collector="east"} 0.0' in figures
    with county.transaction() as session:
        tell(session, WEST, LinkState.GOOD, LinkState.GOOD)
    assert [one[1:] for one in shown(county)] == [(WEST, "正常", False)] * 2


def test_a_collector_that_starts_again_drops_its_own_reports_only(county: Database) -> None:
    with county.transaction() as session:
        tell(session, EAST, LinkState.GOOD, LinkState.GOOD)
        tell(session, WEST, LinkState.GOOD)
        report_start(session, EAST)
        report_connections(session, EAST, [ConnectionStatus(link(f"i-{OTHER}", 502))], ())
    assert [(one[0], one[1]) for one in shown(county)] == [(f"i-{OTHER}", EAST), (f"i-{VILLAGE}", WEST)]


def test_a_collector_that_was_taken_down_is_forgotten_after_a_week(county: Database) -> None:
    with county.transaction() as session:
        tell(session, EAST, LinkState.GOOD, age=FORGOTTEN_AFTER + timedelta(hours=1))
        report_refused(session, EAST, [RefusedCaller("117.136.1.2", "A", "不在名单上", NOW, NOW, 3)])
        report_collector(session, CollectorReport(NOW, NOW, name=WEST))
    with county.reading() as session:
        assert [one.name for one in collector_reports(session)] == [WEST]
        assert connection_counts(session) == {}
        assert refused_callers(session, OPERATOR) == ()


def test_the_areas_of_a_collector_limit_what_it_collects(county: Database) -> None:
    def asked(*areas: str) -> list[str]:
        with county.reading() as session:
            found = links(session, SYSTEM, on=NOW.date(), areas=areas)
        return sorted(one.device_id for one in found)

    east, west = f"i-{VILLAGE}", f"i-{OTHER}"
    assert asked() == asked(COUNTY) == [east, west]
    assert asked("520499101000") == [east]
    assert asked("520499101000", OTHER) == [east, west]
    assert asked("520498000000") == []


def test_what_was_learned_is_recalled_and_forgotten_after_a_month(county: Database) -> None:
    device = DeviceModel(f"i-{VILLAGE}", "eastron_sdm630")
    with county.transaction() as session:
        keep_learned(session, {device: frozenset({(4, 62)})}, NOW)
    with county.transaction() as session:
        keep_learned(session, {device: frozenset({(4, 62), (4, 63)})}, NOW + timedelta(days=20))
    with county.transaction() as session:
        assert recall_learned(session, NOW + timedelta(days=25)) == {device: frozenset({(4, 62), (4, 63)})}
        assert recall_learned(session, NOW + timedelta(days=35)) == {device: frozenset({(4, 63)})}


def test_refused_callers_and_the_life_of_the_collectors_are_told(county: Database) -> None:
    caller = RefusedCaller("117.136.1.2", "hex:01", "注册包不在名单上", NOW, NOW, 3)
    earlier = replace(caller, packet="hex:02", last_at=NOW - timedelta(hours=1))
    with county.transaction() as session:
        for _ in range(2):
            report_refused(session, EAST, [earlier])
            report_refused(session, WEST, [caller])
        report_collector(session, CollectorReport(NOW, NOW, 5020, name=EAST))
        report_collector(session, CollectorReport(NOW, NOW, 5021, name=EAST))
        report_collector(session, CollectorReport(NOW, NOW, 5022, name=WEST))
    with county.reading() as session:
        assert refused_callers(session, OPERATOR) == (caller, earlier)
        with pytest.raises(PermissionError):
            refused_callers(session, Actor("v", "村", Role.VILLAGE, VILLAGE))
        said = collector_reports(session)
    assert [(one.name, one.dial_in_port) for one in said] == [(EAST, 5021), (WEST, 5022)]
    assert not said[0].is_silent(NOW)
    assert said[0].is_silent(NOW + timedelta(minutes=5))
