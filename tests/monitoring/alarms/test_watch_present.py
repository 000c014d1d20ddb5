"""What stands still, is dark, silent or out of its limits becomes one alarm a cause, and ends by itself."""

from datetime import timedelta

import pytest

from monitoring.alarms.conditions.momentary import VendorAlarm
from monitoring.alarms.kinds import AlarmAction, AlarmKind, AlarmSeverity, SubjectKind
from monitoring.alarms.reads import AlarmFilter, history
from monitoring.alarms.watch import Manner
from tests.monitoring.alarms.conftest import ALL, DEAD_GRID, FAULT, IDLE, Watcher
from tests.monitoring.conftest import CLERK, COUNTY, NOON, TOWNSHIP


def _only(watcher):
    (one,) = watcher.alarms()
    return one


def test_a_stopped_inverter_is_an_alarm_after_a_quarter_of_an_hour(watcher: Watcher) -> None:
    watcher.run(15, s1i1=FAULT)
    assert watcher.alarms() == ()
    watcher.run(5, s1i1=FAULT)
    one = _only(watcher)
    assert (one.kind, one.severity, one.subject_kind) == (
        AlarmKind.OUTAGE, AlarmSeverity.CRITICAL, SubjectKind.DEVICE,
    )  # fmt: skip
    assert (one.device_name, one.station_name, one.division_name) == ("1号逆变器", "石坝村电站", "石坝村")
    assert NOON - timedelta(minutes=60) <= one.opened_at <= NOON + timedelta(minutes=5)
    assert one.detected_at == NOON + timedelta(minutes=20)
    assert "设备报故障停机" in one.cause
    assert one.deadline == one.detected_at + timedelta(hours=24)


def test_it_ends_by_itself_when_the_inverter_has_run_for_a_quarter_of_an_hour(watcher: Watcher) -> None:
    watcher.run(30, s1i1=FAULT)
    watcher.run(15)
    assert len(watcher.alarms()) == 1
    watcher.run(5)
    assert watcher.alarms() == ()
    (closed,) = watcher.alarms(AlarmFilter())
    assert closed.closed_at == NOON + timedelta(minutes=35)
    with watcher.county.database.reading() as session:
        told = history(session, CLERK, closed.id)
    assert [entry.action for entry in told] == [AlarmAction.OPEN, AlarmAction.CLOSE]


def test_a_short_stop_is_no_alarm_and_leaves_no_watch(watcher: Watcher) -> None:
    watcher.run(10, s1i1=FAULT)
    watcher.run(5)
    watcher.run(10, s1i1=FAULT)
    watcher.run(30)
    assert watcher.alarms(AlarmFilter()) == ()


def test_an_inverter_without_power_beside_others_that_run_is_told_after_an_hour(watcher: Watcher) -> None:
    watcher.run(60, s2i1=IDLE)
    assert watcher.alarms() == ()
    watcher.run(5, s2i1=IDLE)
    one = _only(watcher)
    assert one.kind is AlarmKind.ZERO_POWER
    assert "同类逆变器" in one.cause


def test_a_standstill_whose_reason_is_told_later_stays_one_alarm(watcher: Watcher) -> None:
    watcher.run(70, s2i1=IDLE)
    watcher.run(60, s2i1=FAULT)
    assert len(watcher.alarms(AlarmFilter(grouped=True))) == 1


def test_a_whole_station_down_is_one_alarm(watcher: Watcher) -> None:
    watcher.run(40, s1i1=FAULT, s1i2=FAULT)
    one = _only(watcher)
    assert (one.subject_kind, one.station_id, one.device_id) == (SubjectKind.STATION, "s1", "")
    assert one.affected_power_w == 100_000
    assert len(watcher.alarms(AlarmFilter(grouped=True))) == 1


def test_a_second_inverter_that_stops_puts_the_first_alarm_under_that_of_the_station(
    watcher: Watcher,
) -> None:
    watcher.run(30, s1i1=FAULT)
    first = _only(watcher)
    watcher.run(30, s1i1=FAULT, s1i2=FAULT)
    top = _only(watcher)
    assert top.subject_kind is SubjectKind.STATION
    (below,) = watcher.alarms(AlarmFilter(parent_id=top.id))
    assert below.id == first.id
    watcher.run(60, s1i1=FAULT)
    left = _only(watcher)
    assert (left.id, left.parent_id) == (first.id, "")
    with watcher.county.database.reading() as session:
        told = [entry.action for entry in history(session, CLERK, first.id)]
    assert told == [AlarmAction.OPEN, AlarmAction.GROUP, AlarmAction.RELEASE]


def test_a_loss_of_the_network_in_the_county_is_one_alarm(watcher: Watcher) -> None:
    watcher.run(120, silent=ALL)
    one = _only(watcher)
    assert (one.kind, one.subject_kind, one.division_code) == (
        AlarmKind.COMMUNICATION, SubjectKind.DIVISION, COUNTY,
    )  # fmt: skip
    assert "3 座电站中 3 座同时通信中断" in one.cause
    assert one.lost_energy_wh is None
    assert len(watcher.alarms(AlarmFilter(grouped=True))) == 1
    watcher.run(20)
    assert watcher.alarms() == ()


def test_a_station_that_was_silent_before_keeps_its_own_alarm(watcher: Watcher) -> None:
    watcher.run(120, silent=("s3i1", "s3i2"))
    own = _only(watcher)
    assert own.station_id == "s3"
    watcher.run(120, silent=ALL)
    assert own.id in {one.id for one in watcher.alarms()}


def test_a_dead_grid_in_three_villages_is_one_alarm(watcher: Watcher) -> None:
    watcher.run(40, **dict.fromkeys(ALL, DEAD_GRID))
    one = _only(watcher)
    assert (one.kind, one.division_code) == (AlarmKind.GRID_OUTAGE, COUNTY)
    assert one.affected_power_w == 300_000


def test_two_stations_of_a_township_of_two_are_too_few_to_be_one(watcher: Watcher) -> None:
    watcher.run(40, s1i1=DEAD_GRID, s1i2=DEAD_GRID, s2i1=DEAD_GRID, s2i2=DEAD_GRID)
    found = watcher.alarms()
    assert {one.station_id for one in found} == {"s1", "s2"}
    assert TOWNSHIP not in {one.division_code for one in found}


def test_nothing_is_wrong_at_night(watcher: Watcher) -> None:
    asleep = {**IDLE, "insulation_resistance_ohm": 0.0, "alarm_words_1": 3}
    watcher.run(18 * 60, step=15, **dict.fromkeys(ALL, asleep | {"active_power_w": 0.0}))
    night = [one for one in watcher.alarms(AlarmFilter(grouped=True)) if one.opened_at.hour >= 12]
    assert night == []


def test_an_outage_goes_on_through_the_night(watcher: Watcher) -> None:
    watcher.run(60, s1i1=FAULT)
    before = _only(watcher)
    watcher.run(14 * 60, step=15, s1i1=FAULT, **{one: IDLE for one in ALL if one != "s1i1"})
    # Dusk makes the others idle too; the fault itself is the same alarm in the morning.
    still = [one for one in watcher.alarms(AlarmFilter(open_only=True, grouped=True)) if one.id == before.id]
    assert len(still) == 1


@pytest.mark.parametrize(
    ("wrong", "kind", "text"),
    [
        ({"insulation_resistance_ohm": 12_000.0}, AlarmKind.INSULATION, "绝缘电阻 12.0 kΩ，低于 50 kΩ"),
        ({"internal_temperature_c": 84.0}, AlarmKind.OVER_TEMPERATURE, "机内 84.0 °C，高于 80 °C"),
        ({"voltage_a_v": 251.0}, AlarmKind.GRID_VOLTAGE, "A 相电压 251.0 V，高于额定 220 V 的 110%"),
        ({"voltage_a_v": 180.0}, AlarmKind.GRID_VOLTAGE, "A 相电压 180.0 V，低于额定 220 V 的 85%"),
        ({"frequency_hz": 50.4}, AlarmKind.GRID_FREQUENCY, "频率 50.40 Hz，高于 50.2 Hz"),
        ({"clock_skew_s": -1800}, AlarmKind.CLOCK, "设备时钟慢 30 分钟"),
    ],
)
def test_a_figure_beyond_its_limit_is_an_alarm_and_says_so(watcher: Watcher, wrong, kind, text) -> None:
    watcher.run(75, s1i1=wrong)
    one = _only(watcher)
    assert (one.kind, one.cause) == (kind, text)


def test_a_figure_between_the_limits_neither_begins_nor_ends_an_alarm(watcher: Watcher) -> None:
    watcher.run(60, s1i1={"internal_temperature_c": 76.0})
    assert watcher.alarms() == ()
    watcher.run(30, s1i1={"internal_temperature_c": 85.0})
    watcher.run(90, s1i1={"internal_temperature_c": 76.0})
    assert len(watcher.alarms()) == 1
    watcher.run(40, s1i1={"internal_temperature_c": 60.0})
    assert watcher.alarms() == ()


def test_an_inverter_behind_a_transformer_of_its_own_has_a_higher_nominal_voltage(watcher: Watcher) -> None:
    watcher.run(60, s1i1={"voltage_a_v": 285.0}, s2i1={"voltage_ab_v": 480.0, "voltage_a_v": 277.0})
    assert watcher.alarms() == ()


def test_an_insulation_of_nought_that_was_not_measured_is_no_alarm(watcher: Watcher) -> None:
    watcher.run(60, s1i1={"insulation_resistance_ohm": 0.0})
    assert watcher.alarms() == ()


def test_a_stop_by_bad_insulation_is_one_alarm_that_names_it(watcher: Watcher) -> None:
    watcher.run(40, s1i1=FAULT | {"insulation_resistance_ohm": 8_000.0})
    one = _only(watcher)
    assert one.kind is AlarmKind.OUTAGE
    assert "绝缘电阻 8.0 kΩ" in one.cause


def _explained(_profile, values):
    return (VendorAlarm("2031", True, "功率模块过温"),) if values.get("alarm_words_1") else ()


def test_the_devices_own_alarm_is_told_in_the_vendors_words(running) -> None:
    watcher = Watcher(running, manner=Manner(explain=_explained))
    watcher.run(30, s1i1={"alarm_words_1": 4})
    one = _only(watcher)
    assert (one.kind, one.severity) == (AlarmKind.VENDOR, AlarmSeverity.MAJOR)
    assert one.cause == "设备报“功率模块过温”（代码 2031）"
    watcher.run(60)
    assert watcher.alarms() == ()


def test_the_vendors_words_explain_a_standstill_and_are_no_second_alarm(running) -> None:
    watcher = Watcher(running, manner=Manner(explain=_explained))
    watcher.run(40, s1i1=FAULT | {"alarm_words_1": 4})
    one = _only(watcher)
    assert "功率模块过温" in one.cause
    assert len(watcher.alarms(AlarmFilter(grouped=True))) == 1


def test_looking_twice_at_the_same_instant_changes_nothing(watcher: Watcher) -> None:
    watcher.run(40, s1i1=FAULT)
    assert watcher.look() == ()
    assert len(watcher.alarms(AlarmFilter(grouped=True))) == 1


def test_a_device_that_was_taken_away_ends_its_alarm(watcher: Watcher) -> None:
    from dataclasses import replace

    from registry.stations import device, update_device

    watcher.run(40, s1i1=FAULT)
    with watcher.county.database.transaction() as session:
        held = device(session, CLERK, "s1i1")
        assert held is not None
        update_device(session, CLERK, replace(held, removed_on=watcher.now.date()), watcher.now)
    watcher.now += timedelta(days=1)
    watcher.look()
    watcher.now += timedelta(minutes=1)
    watcher.look()
    assert all(one.device_id != "s1i1" for one in watcher.alarms())
