"""What whole days tell: an inverter low against its like, an uneven string, a counter, a meter."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alarms.conditions.findings import Standing
from monitoring.alarms.conditions.verdicts import (
    Inputs,
    Peers,
    low_yield_day,
    share_day,
    usual_shares,
    verdict,
)
from monitoring.alarms.kinds import AlarmKind, SubjectKind
from monitoring.alarms.reads import AlarmFilter, alarms
from monitoring.alarms.rules import rule_book
from monitoring.alarms.watch import watch_days
from monitoring.tables import DailyEnergyRow
from registry.parameters import NewValue, set_value
from registry.stations import Device, add_device
from store.events import Event, EventKind, Severity, record
from store.periods import local_date, local_midnight
from store.samples import Sample
from tests.monitoring.conftest import CLERK, NOON, SINCE, County

TODAY = local_date(NOON)
DEVICES = ("s1i1", "s1i2", "s2i1", "s2i2", "s3i1", "s3i2")


@pytest.fixture
def rules(county: County):
    with county.database.reading() as session:
        return rule_book(session, TODAY).of("529901101201")


def enter(county: County, hours, *, days=6, rated=50_000, **change):
    """Enter closed days: every device yields `hours`, `change` by device (hours or None) on all days."""
    with county.database.transaction() as session:
        for back in range(1, days + 1):
            for device_id in (*DEVICES, *[name for name in change if name not in DEVICES]):
                value = change.get(device_id, hours)
                value = value(back) if callable(value) else value
                session.merge(
                    DailyEnergyRow(
                        device_id=device_id, day=TODAY - timedelta(days=back), method="counter", flags=0,
                        energy_wh=None if value is None else round(value * rated),
                        completeness=0.0 if value is None else 1.0, estimated_wh=0, computed_at=NOON,
                    )
                )  # fmt: skip


def look(county: County):
    return watch_days(county.database, county.series, NOON)


def open_now(county: County):
    with county.database.reading() as session:
        return alarms(session, CLERK, AlarmFilter(open_only=True))


def test_an_inverter_low_against_its_like_for_two_days_is_an_alarm_with_its_figures(county: County) -> None:
    enter(county, 4.0, s1i1=2.0)
    look(county)
    (one,) = open_now(county)
    assert (one.kind, one.device_id) == (AlarmKind.LOW_YIELD, "s1i1")
    assert one.cause == "6月9日等效利用小时 2.00，全县 6 台的中位数 4.00，低 50%"
    assert one.opened_at == local_midnight(TODAY - timedelta(days=6))
    assert one.lost_energy_wh == 6 * 2 * 50_000
    assert look(county) == ()


def test_one_low_day_is_not_enough(county: County) -> None:
    enter(county, 4.0, s1i1=lambda back: 2.0 if back == 1 else 4.0)
    look(county)
    assert open_now(county) == ()


def test_a_dark_day_and_an_unknown_day_tell_nothing(county: County) -> None:
    enter(county, 0.3, s1i1=0.05)
    look(county)
    enter(county, 4.0, s1i1=None)
    look(county)
    assert open_now(county) == ()


def test_too_few_to_compare_with_are_no_witnesses(county: County) -> None:
    enter(county, None, s1i1=1.0, s1i2=4.0, s2i1=4.0, s2i2=4.0)
    look(county)
    assert open_now(county) == ()


def test_late_data_that_make_the_days_well_end_the_alarm(county: County) -> None:
    enter(county, 4.0, s1i1=2.0)
    look(county)
    enter(county, 4.0)
    look(county)
    assert open_now(county) == ()


def test_days_of_a_standstill_are_not_low_besides(county: County) -> None:
    from monitoring.alarms.conditions import Finding, Subject
    from monitoring.alarms.kinds import AlarmSeverity
    from monitoring.alarms.lifecycle import Pass

    with county.database.transaction() as session:
        subject = Subject(SubjectKind.DEVICE, "s1i1", "529901101201", "s1", "s1i1", 50_000)
        long_ago = NOON - timedelta(days=20)
        found = Finding(
            subject.key("standstill"),
            AlarmKind.OUTAGE,
            subject,
            Standing.ON,
            AlarmSeverity.CRITICAL,
            since=long_ago,
        )
        Pass(session, rule_book(session, TODAY), NOON, ()).read().apply([found])
    enter(county, 4.0, s1i1=0.0)
    look(county)
    assert [one.kind for one in open_now(county)] == [AlarmKind.OUTAGE]


def test_a_county_sets_its_own_threshold_from_a_day_on(county: County) -> None:
    enter(county, 4.0, s1i1=3.5)
    look(county)
    assert open_now(county) == ()
    since, source = date(2026, 1, 1), "县能源局〔2026〕1号"
    new = NewValue("alarm_low_yield_share", Decimal("0.95"), since, source, scope="529901000000")
    with county.database.transaction() as session:
        set_value(session, CLERK, new, NOON)
    look(county)
    assert [one.device_id for one in open_now(county)] == ["s1i1"]


def strings(county: County, days, *, device="s1i1", dead_since=None):
    samples = []
    for back in range(days, 0, -1):
        for hour in range(1, 9):
            moment = local_midnight(TODAY - timedelta(days=back)) + timedelta(hours=6 + hour)
            values = {"active_power_w": 20_000.0}
            for number, amps in ((1, 12.0), (2, 10.0), (3, 11.0), (4, 0.0)):
                dead = number == 2 and dead_since is not None and back <= dead_since
                values[f"dc_voltage_{number}_v"] = 620.0
                values[f"dc_current_{number}_a"] = 0.2 if dead else amps
            samples.append(Sample(device, moment, moment, values))
    county.write(samples)


def test_a_string_that_gives_far_less_than_it_used_to_is_an_alarm(county: County) -> None:
    strings(county, 8, dead_since=2)
    look(county)
    (one,) = open_now(county)
    assert one.kind is AlarmKind.STRING_IMBALANCE
    assert one.cause == "第 2 路直流输入只占 1 %，平时占 30 %"
    assert dict(one.evidence)["路号"] == "2"


def test_strings_that_differ_as_they_always_did_and_unused_ones_are_no_alarm(county: County) -> None:
    strings(county, 8)
    look(county)
    assert open_now(county) == ()


def test_what_an_alarm_was_opened_with_does_not_become_usual(county: County) -> None:
    strings(county, 8, dead_since=2)
    look(county)
    later = NOON + timedelta(days=9)
    samples = []
    for day in range(9):
        for hour in range(1, 9):
            moment = local_midnight(TODAY + timedelta(days=day)) + timedelta(hours=6 + hour)
            values = {"active_power_w": 20_000.0}
            for number, amps in ((1, 12.0), (2, 0.2), (3, 11.0)):
                values |= {f"dc_voltage_{number}_v": 620.0, f"dc_current_{number}_a": amps}
            samples.append(Sample("s1i1", moment, moment, values))
    county.write(samples)
    watch_days(county.database, county.series, later)
    assert [one.kind for one in open_now(county)] == [AlarmKind.STRING_IMBALANCE]


def test_a_meter_that_counts_less_than_the_inverters_for_three_days_is_an_alarm(county: County) -> None:
    with county.database.transaction() as session:
        add_device(session, CLERK, Device("s1m", "s1", "meter", "关口表", "acrel_adw300", SINCE), NOON)
    enter(county, 4.0, s1m=lambda back: 8.0 if back > 3 else 7.2)
    look(county)
    (one,) = open_now(county)
    assert (one.kind, one.subject_kind, one.station_id) == (
        AlarmKind.METER_MISMATCH,
        SubjectKind.STATION,
        "s1",
    )
    assert one.cause == "电表 360.0 kWh，逆变器合计 400.0 kWh，电表少 10.0%"


def test_a_counter_with_two_values_for_one_instant_is_an_alarm_for_a_week(county: County) -> None:
    event = Event(
        NOON - timedelta(hours=1), EventKind.CONFLICT, Severity.WARNING, "device", "s2i1", "同一时刻两个读数"
    )
    with county.database.transaction() as session:
        record(session, event)
    look(county)
    (one,) = open_now(county)
    assert (one.kind, one.cause) == (AlarmKind.COUNTER, "同一时刻两个读数")
    watch_days(county.database, county.series, NOON + timedelta(days=8))
    assert open_now(county) == ()


@given(st.lists(st.floats(0.5, 8), min_size=5, max_size=60))
def test_robust_figures_do_not_move_with_one_wild_value(yields) -> None:
    clean, wild = Peers.of(yields), Peers.of([*yields[:-1], 100.0])
    assert min(yields) <= clean.middle_h <= max(yields)
    ordered = sorted(yields)
    assert wild.middle_h <= ordered[len(ordered) // 2 + 1 if len(ordered) > 2 else -1] + 1e-9


def test_an_even_fleet_does_not_alarm_on_little(rules) -> None:
    peers = Peers.of([4.0] * 20)
    assert low_yield_day(3.5, peers, rules) is Standing.HOLD
    assert low_yield_day(3.7, peers, rules) is Standing.OFF
    assert low_yield_day(3.1, peers, rules) is Standing.ON


def test_a_wide_fleet_does_not_alarm_on_what_is_usual_in_it(rules) -> None:
    peers = Peers.of([2.0, 2.6, 3.0, 3.5, 4.0, 4.6, 5.0, 5.5])
    assert low_yield_day(2.0, peers, rules) is not Standing.ON


@given(st.lists(st.sampled_from(list(Standing)), max_size=12))
def test_a_verdict_follows_the_last_known_days(marks) -> None:
    from types import SimpleNamespace

    waits = SimpleNamespace(
        opens_after=lambda _kind: timedelta(days=2), closes_after=lambda _kind: timedelta(days=3)
    )
    said = verdict(
        {date(2026, 6, 1) + timedelta(days=n): mark for n, mark in enumerate(marks)},
        AlarmKind.LOW_YIELD,
        waits,
    )
    known = [mark for mark in marks if mark is not Standing.HOLD]
    assert (said.standing is Standing.ON) == (known[-2:] == [Standing.ON] * 2)
    assert (said.standing is Standing.OFF) == (known[-3:] == [Standing.OFF] * 3)


def test_shares_of_inputs_leave_out_what_was_never_used() -> None:
    day = Inputs((600.0, 600.0, 600.0, 0.0), (10.0, 10.0, 0.0, None))
    assert usual_shares([day, day]) == {1: 0.5, 2: 0.5}
    assert replace(day, currents=(10.0, None, None, None)).shares() == {}
    assert share_day(None, 0.5, 0.8) is Standing.HOLD
