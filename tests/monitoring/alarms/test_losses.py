"""What a standstill cost is what others made meanwhile, however often and late it is reckoned."""

from datetime import timedelta

import pytest

from monitoring.alarms.losses import HABIT
from monitoring.alarms.reads import AlarmFilter
from monitoring.alarms.watch import estimate_losses
from monitoring.uptime.evaluation import Question, evaluate
from registry.actors import SYSTEM
from tests.monitoring.alarms.conftest import ALL, DEAD_GRID, FAULT, Watcher
from tests.monitoring.conftest import bell, readings


def _expected_wh(start, end):
    """What a 50 kW inverter makes between two instants, in steps of a minute."""
    total, moment = 0.0, start
    while moment < end:
        total += bell(moment) / 60
        moment += timedelta(minutes=1)
    return total


def _estimate(watcher):
    return estimate_losses(watcher.county.database, watcher.county.series, watcher.now)


def test_an_inverter_that_stood_still_cost_what_its_like_made(watcher: Watcher) -> None:
    watcher.run(240, s1i1=FAULT)
    _estimate(watcher)
    (one,) = watcher.alarms()
    assert one.lost_energy_wh == pytest.approx(_expected_wh(one.opened_at, watcher.now), rel=0.03)
    assert _estimate(watcher) == 0


def test_the_estimate_goes_on_while_it_lasts_and_stays_when_it_is_over(watcher: Watcher) -> None:
    watcher.run(60, s1i1=FAULT)
    _estimate(watcher)
    early = watcher.alarms()[0].lost_energy_wh
    watcher.run(60, s1i1=FAULT)
    watcher.run(60)
    _estimate(watcher)
    (over,) = watcher.alarms(AlarmFilter())
    assert over.closed_at is not None
    assert over.lost_energy_wh > early
    assert over.lost_energy_wh == pytest.approx(_expected_wh(over.opened_at, over.closed_at), rel=0.05)


def test_a_county_without_grid_is_measured_by_the_same_hours_of_other_days(watcher: Watcher) -> None:
    watcher.run(120, **dict.fromkeys(ALL, DEAD_GRID))
    _estimate(watcher)
    (one,) = watcher.alarms()
    assert one.affected_power_w == 300_000
    assert one.lost_energy_wh == pytest.approx(6 * _expected_wh(one.opened_at, watcher.now), rel=0.1)


@pytest.mark.parametrize("stopped", [["s1i1"], ["s2i1", "s2i2"], ALL])
def test_an_alarm_and_its_outage_cost_the_same(watcher: Watcher, stopped) -> None:
    wrong = FAULT if len(stopped) == 1 else DEAD_GRID
    watcher.run(240, **dict.fromkeys(stopped, wrong))
    _estimate(watcher)
    alarms = watcher.alarms()
    question = Question(min(one.opened_at for one in alarms) - HABIT, watcher.now)
    with watcher.county.database.reading() as session:
        found = evaluate(session, watcher.county.series, SYSTEM, question, watcher.now).outages()
    assert {one.device_id for one in found} == set(stopped)
    lost = sum(one.lost_wh for one in found)
    (alarm,) = [one for one in alarms if not one.parent_id]
    assert alarm.lost_energy_wh == pytest.approx(lost, rel=0.02)
    assert lost == pytest.approx(len(stopped) * _expected_wh(alarm.opened_at, watcher.now), rel=0.1)


def test_late_data_of_the_others_correct_the_estimate(watcher: Watcher) -> None:
    rest = [one for one in ALL if one != "s1i1"]
    watcher.run(120, silent=rest, s1i1=FAULT)
    _estimate(watcher)
    for device_id in rest:
        late = readings(device_id, watcher.now - timedelta(minutes=120), watcher.now, counter=5_000_000)
        watcher.county.write(late)
    _estimate(watcher)
    stopped = [one for one in watcher.alarms(AlarmFilter()) if one.device_id == "s1i1"]
    assert stopped[0].lost_energy_wh == pytest.approx(
        _expected_wh(stopped[0].opened_at, watcher.now), rel=0.05
    )
