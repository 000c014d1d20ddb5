"""The kept intervals of states: opened and closed as things happen, settled later, without overlap."""

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import select

from monitoring.states import StationState
from monitoring.tables import StateIntervalRow
from monitoring.uptime.causes import Cause
from monitoring.uptime.keeping import (
    forget_states,
    merged,
    open_states,
    refresh_states,
    settle_states,
    state_intervals,
    station_intervals,
)
from monitoring.uptime.results import StateInterval
from store.periods import local_midnight
from tests.monitoring.conftest import CADRE, CLERK, NOON, STEP, bell, readings

DAY = timedelta(days=1)
MORNING = local_midnight(NOON.date())


def _refresh(county, now):
    with county.database.transaction() as session:
        return refresh_states(session, county.series, now)


def _kept(county, interval, now, names=("s1i1", "s1"), actor=CLERK):
    with county.database.reading() as session:
        return state_intervals(session, actor, names, interval, now)


def _whole(county):
    """Check that the rows of every subject follow each other, the last one open; return them."""
    with county.database.reading() as session:
        rows = session.scalars(
            select(StateIntervalRow).order_by(StateIntervalRow.subject_id, StateIntervalRow.start)
        ).all()
    for subject, group in itertools.groupby(rows, key=lambda row: row.subject_id):
        for before, after in itertools.pairwise(list(group)):
            assert before.end is not None, subject
            assert before.end <= after.start, subject
    return rows


def test_a_state_that_lasts_is_one_interval(running):
    assert len(_refresh(running, NOON).opened) == 9
    assert _refresh(running, NOON + timedelta(minutes=1)).opened == ()
    with running.database.reading() as session:
        found = open_states(session, CLERK, NOON + timedelta(minutes=5))
    assert found["s1"].state is StationState.NORMAL
    assert found["s1"].end == NOON + timedelta(minutes=5)
    assert len(found) == 9


def test_a_change_closes_one_interval_and_opens_the_next(running):
    _refresh(running, NOON)
    later = NOON + timedelta(hours=1)
    for number, slot in itertools.product((1, 2, 3), (1, 2)):
        power = (lambda _moment: 0.0) if (number, slot) == (1, 1) else bell
        running.write(readings(f"s{number}i{slot}", NOON + STEP, later, counter=9e6, power=power))
    opened = {one.subject_id: one for one in _refresh(running, later).opened}
    assert set(opened) == {"s1i1", "s1"}
    assert opened["s1i1"].state is StationState.FAULT
    assert "不发电" in opened["s1i1"].reason
    _whole(running)
    kept = _kept(running, (NOON - DAY, later + DAY), later + STEP)["s1i1"]
    assert [one.state for one in kept] == [StationState.NORMAL, StationState.FAULT]
    assert kept[0].end == kept[1].start
    assert kept[-1].end == later + STEP


def test_settling_replaces_what_was_kept_and_late_data_change_it(running):
    _refresh(running, NOON)
    yesterday = (MORNING - DAY, MORNING)
    rows = settle_states(running.database, running.series, yesterday, NOON)
    assert rows == len([row for row in _whole(running) if row.settled])
    before = _kept(running, yesterday, NOON)
    assert {one.state for one in before["s1i1"]} == {StationState.NIGHT, StationState.NORMAL}
    assert {one.state for one in before["s1"]} == {StationState.NIGHT, StationState.NORMAL}
    assert before["s1i1"][0].start == yesterday[0]
    assert before["s1i1"][-1].end == yesterday[1]
    assert settle_states(running.database, running.series, yesterday, NOON) == rows
    assert _kept(running, yesterday, NOON) == before
    _whole(running)


def test_late_data_correct_a_gap(county):
    day = (MORNING - DAY, MORNING)
    gap = (day[0] + timedelta(hours=9), day[0] + timedelta(hours=13))
    for number, slot in itertools.product((1, 2, 3), (1, 2)):
        whole = readings(f"s{number}i{slot}", day[0], day[1])
        silent = (number, slot) == (1, 1)
        county.write([s for s in whole if not (silent and gap[0] <= s.time < gap[1])])
    settle_states(county.database, county.series, day, NOON)
    assert StationState.OFFLINE in {one.state for one in _kept(county, day, NOON)["s1i1"]}
    county.write([s for s in readings("s1i1", day[0], day[1]) if gap[0] <= s.time < gap[1]])
    settle_states(county.database, county.series, day, NOON)
    assert StationState.OFFLINE not in {one.state for one in _kept(county, day, NOON)["s1i1"]}
    _whole(county)


def test_a_running_interval_survives_the_settling_of_the_days_before_it(running):
    _refresh(running, NOON - DAY)
    settle_states(running.database, running.series, (MORNING - DAY, MORNING), NOON)
    with running.database.reading() as session:
        found = open_states(session, CLERK, NOON)
    assert found["s1i1"].start == MORNING
    _whole(running)


def test_what_is_beyond_its_time_is_forgotten_and_the_area_is_kept(running):
    settle_states(running.database, running.series, (MORNING - DAY, MORNING), NOON)
    assert set(_kept(running, (MORNING - DAY, MORNING), NOON, ("s1i1", "s2i1"), CADRE)) == {"s1i1"}
    with running.database.transaction() as session:
        assert forget_states(session, MORNING - 2 * DAY) == 0
        assert forget_states(session, MORNING) > 0
    assert _whole(running) == []


def _interval(hours, state, cause, reason="因"):
    start, end = (NOON + timedelta(hours=hour) for hour in hours)
    return StateInterval("d", start, end, state, cause, reason)


def test_a_station_is_weighted_by_rated_power():
    small = [_interval((0, 4), StationState.NORMAL, Cause.RUNNING)]
    large = [
        _interval((0, 2), StationState.NORMAL, Cause.RUNNING),
        _interval((2, 4), StationState.FAULT, Cause.FORCED),
    ]
    found = station_intervals("s", [("1号", 20_000, small), ("2号", 60_000, large)])
    assert [one.state for one in found] == [StationState.NORMAL, StationState.FAULT]
    assert found[1].cause is Cause.FORCED
    warned = station_intervals("s", [("1号", 60_000, small), ("2号", 20_000, large)])
    assert [one.state for one in warned] == [StationState.NORMAL, StationState.WARNING]
    assert "2号故障，占容量 25%" in warned[1].reason


@pytest.mark.parametrize(("reason", "count"), [("因", 1), ("另", 2)])
def test_neighbours_alike_are_one(reason, count):
    first = _interval((0, 1), StationState.NORMAL, Cause.RUNNING)
    second = _interval((1, 2), StationState.NORMAL, Cause.RUNNING, reason)
    assert len(merged([first, second])) == count
