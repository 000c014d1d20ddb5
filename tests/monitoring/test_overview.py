"""The first screen, the station page's figures, and who sees what."""

from datetime import date, timedelta

import pytest
from sqlalchemy.exc import DatabaseError

from monitoring.calendar.planned import AnnouncedTooLateError, announce, planned_between
from monitoring.curves import day_bars, day_curves, month_bars, yield_rank
from monitoring.energy import daily_energy, energy_sums, refresh_daily_energy
from monitoring.overview import county_overview
from monitoring.snapshot import station_view, station_views
from monitoring.states import StationState
from registry.actors import PUBLIC, Actor, NotPermittedError, Role
from store.periods import Period, local_midnight
from store.samples import DeviceState, Sample, samples_to_table

from .conftest import CADRE, CLERK, NOON, TOWNSHIP, bell, readings

MIDNIGHT = local_midnight(date(2026, 6, 10))


def _zero(_moment):
    return 0.0


def _stop(running, device_id, since):
    """The samples of a device that stands still from an instant on."""
    halted = [s for s in readings(device_id, NOON - timedelta(days=2), NOON) if s.time < since]
    counter = halted[-1].values["generated_energy_wh"]
    return [*halted, *readings(device_id, since, NOON, counter=counter, power=_zero)]


@pytest.fixture
def troubled(county):
    """Inverter s1i2 stands still since 09:00, station s3 is silent since the morning of the day before."""
    for device_id in ("s1i1", "s2i1", "s2i2"):
        county.write(readings(device_id, NOON - timedelta(days=2), NOON))
    county.write(_stop(county, "s1i2", NOON - timedelta(hours=3)))
    for device_id in ("s3i1", "s3i2"):
        county.write(readings(device_id, NOON - timedelta(days=2), NOON - timedelta(hours=26)))
    with county.database.transaction() as session:
        refresh_daily_energy(session, county.series, NOON)
    return county


def test_counts_by_state_add_up_to_the_total(troubled):
    with troubled.database.reading() as session:
        overview = county_overview(session, troubled.series, CLERK, NOON)
    counts = {count.state: count.stations for count in overview.counts}
    assert overview.total == sum(counts.values()) == 3
    assert counts[StationState.NORMAL] == 1
    assert counts[StationState.FAULT] == 1
    assert counts[StationState.OFFLINE] == 1
    assert sum(row.stations for row in overview.townships) == 3


def test_what_needs_a_person_is_said_in_sentences_worst_first(troubled):
    with troubled.database.reading() as session:
        lines = county_overview(session, troubled.series, CLERK, NOON).attention
    assert [line.state for line in lines] == [StationState.FAULT, StationState.OFFLINE]
    assert lines[0].sentence.startswith("石坝村 2号逆变器 停机 3 小时")
    assert lines[1].sentence == "水口村 全站 通信中断 1 天 2 小时"
    assert lines[0].since == NOON - timedelta(hours=3)
    assert lines[0].lost_wh > 0


def test_energy_today_and_at_the_same_time_yesterday_come_from_the_counters(running):
    with running.database.reading() as session:
        overview = county_overview(session, running.series, CLERK, NOON)
    quarter = timedelta(minutes=15)
    steps = int((NOON - MIDNIGHT) / quarter)
    expected = 6 * sum(bell(MIDNIGHT + n * quarter) / 4 for n in range(steps))
    assert overview.today_wh == pytest.approx(expected, rel=1e-4)
    assert overview.yesterday_same_time_wh == pytest.approx(expected, rel=1e-4)
    assert overview.change_percent == pytest.approx(0, abs=0.01)
    assert overview.active_power_w == pytest.approx(6 * bell(NOON))
    assert overview.data_time == NOON


def test_at_night_nobody_is_called(running):
    late = NOON + timedelta(hours=10)
    for number in (1, 2, 3):
        for slot in (1, 2):
            running.write(readings(f"s{number}i{slot}", NOON, late, counter=1_960_000))
    with running.database.reading() as session:
        overview = county_overview(session, running.series, CLERK, late)
    assert {view.state for view in overview.stations} == {StationState.NIGHT}
    assert overview.attention == ()


def test_a_village_sees_its_own_station_only(running):
    with running.database.reading() as session:
        views = station_views(session, running.series, CADRE, NOON)
        assert [view.station_id for view in views] == ["s1"]
        assert views[0].township_name == "城关镇"
        assert station_view(session, running.series, CADRE, "s2", NOON) is None
        assert day_curves(session, running.series, CADRE, "s2", NOON) is None
        assert day_bars(session, CADRE, "s2", NOON) == ()
        assert yield_rank(session, CADRE, "s2", Period.parse("2026-06")) is None
        clerk = Actor("t", "镇里的人", Role.TOWNSHIP, TOWNSHIP)
        assert county_overview(session, running.series, clerk, NOON).total == 2


def test_the_public_sees_no_station_states(running):
    with running.database.reading() as session, pytest.raises(NotPermittedError):
        county_overview(session, running.series, PUBLIC, NOON)


def test_a_device_that_never_answered_is_unknown_and_has_no_energy(county):
    with county.database.reading() as session:
        overview = county_overview(session, county.series, CLERK, NOON)
    assert {view.state for view in overview.stations} == {StationState.UNKNOWN}
    assert overview.today_wh is None
    assert overview.active_power_w is None
    assert overview.data_time is None


# Energy of closed days


def test_only_closed_days_are_kept_and_late_data_is_taken_in(running):
    with running.database.transaction() as session:
        refresh_daily_energy(session, running.series, NOON)
        known = daily_energy(session, ["s1i1"], date(2026, 6, 1), date(2026, 7, 1))
        assert [day for _, day in sorted(known)] == [date(2026, 6, 8), date(2026, 6, 9)]
        before = known["s1i1", date(2026, 6, 9)].energy_wh
    late = readings("s3i1", NOON, NOON + timedelta(hours=26))
    running.write(late)
    with running.database.transaction() as session:
        assert refresh_daily_energy(session, running.series, NOON + timedelta(days=1)) > 0
        again = daily_energy(session, ["s1i1", "s3i1"], date(2026, 6, 1), date(2026, 7, 1))
        assert again["s1i1", date(2026, 6, 9)].energy_wh == before
        assert ("s3i1", date(2026, 6, 10)) in again


def test_refreshing_twice_changes_nothing(running):
    with running.database.transaction() as session:
        refresh_daily_energy(session, running.series, NOON)
        first = energy_sums(session, ["s1i1", "s1i2"], date(2026, 6, 1), date(2026, 6, 10))
    with running.database.transaction() as session:
        refresh_daily_energy(session, running.series, NOON)
        assert energy_sums(session, ["s1i1", "s1i2"], date(2026, 6, 1), date(2026, 6, 10)) == first


def test_bars_are_the_sum_of_the_days_and_rank_compares_stations(troubled):
    with troubled.database.reading() as session:
        days = day_bars(session, CLERK, "s1", NOON, days=5)
        month = month_bars(session, CLERK, "s1", NOON, months=2)
        assert [bar.energy_wh is None for bar in days] == [True, True, True, False, False]
        assert month[0].energy_wh is None
        assert month[1].energy_wh == sum(bar.energy_wh or 0 for bar in days)
        assert month[1].final_yield_h == month[1].energy_wh / 100_000
        rank = yield_rank(session, CLERK, "s3", Period.parse("2026-06"))
        assert (rank.rank, rank.stations) == (3, 3)


def test_curves_leave_a_step_without_data_empty(troubled):
    with troubled.database.reading() as session:
        curves = day_curves(session, troubled.series, CLERK, "s3", NOON)
    assert len(curves.times) == len(curves.today) == 96
    assert set(curves.today) == {None}
    assert curves.yesterday[36] is not None
    # One station runs in full and one with half of its power; the third has no data and does not count.
    assert curves.county_median[44] == pytest.approx(0.75 * 2 * bell(MIDNIGHT + timedelta(hours=11)))
    assert curves.county_median[60] is None


# Announced work


def test_announced_work_shows_while_it_lasts(running):
    start, end = NOON - timedelta(hours=1), NOON + timedelta(hours=2)
    with running.database.transaction() as session:
        announce(session, CLERK, "s1", (start, end, "清洗组件"), NOON - timedelta(days=1))
    with running.database.reading() as session:
        view = station_view(session, running.series, CLERK, "s1", NOON)
        assert view.state is StationState.PLANNED
        assert "清洗组件" in view.opinion.reason
        assert planned_between(session, NOON, end) == [("s1", start, end, "清洗组件")]


def test_work_announced_after_it_began_is_not_planned(running):
    with running.database.transaction() as session, pytest.raises(AnnouncedTooLateError):
        announce(session, CLERK, "s1", (NOON - timedelta(hours=1), NOON, "补记"), NOON)


def test_work_outside_the_area_is_refused_and_the_table_is_append_only(running):
    maintainer = Actor("m", "运维", Role.MAINTENANCE, "529901102201")
    span = (NOON + timedelta(hours=1), NOON + timedelta(hours=2), "检修")
    with running.database.transaction() as session, pytest.raises(LookupError):
        announce(session, maintainer, "s1", span, NOON)
    with running.database.transaction() as session:
        announce(session, maintainer, "s3", span, NOON)
    with pytest.raises(DatabaseError), running.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE planned_work SET description = 'x'")


def test_grid_without_voltage_is_told_apart_from_a_fault(running):
    dead = [
        Sample(
            device_id, NOON + timedelta(minutes=5), NOON,
            {"active_power_w": 0.0, "state": int(DeviceState.FAULT), "voltage_a_v": 0.0},
        )
        for device_id in ("s2i1", "s2i2")
    ]  # fmt: skip
    running.series.write(samples_to_table(dead))
    with running.database.reading() as session:
        view = station_view(session, running.series, CLERK, "s2", NOON + timedelta(minutes=6))
    assert view.state is StationState.GRID_OUTAGE
