"""From evidence to a state with its reason."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.states import (
    DISPLAY_ORDER,
    LOOKS,
    Evidence,
    Opinion,
    Part,
    StationState,
    device_state,
    duration_words,
    station_state,
)
from store.samples import DeviceState, Sample

NOW = datetime(2026, 6, 10, 4, 0, tzinfo=UTC)
DAY, NIGHT = 60.0, -20.0


def evidence(values, *, age=timedelta(minutes=1), elevation=DAY, then=None, **more):
    sample = None if values is None else Sample("d", NOW - age, NOW - age, values)
    heard = elevation if then is None else then
    return Evidence(NOW, sample, 50_000, 60, elevation, heard, **more)


RUNNING = {"active_power_w": 30_000.0, "state": int(DeviceState.RUNNING), "voltage_a_v": 230.0}


@pytest.mark.parametrize(
    ("given_evidence", "state", "words"),
    [
        (evidence(RUNNING), StationState.NORMAL, "发电正常"),
        (evidence(None), StationState.UNKNOWN, "从未收到数据"),
        (evidence({"frequency_hz": 50.0}), StationState.UNKNOWN, "没有功率和状态"),
        (evidence(RUNNING, age=timedelta(hours=3)), StationState.OFFLINE, "数据停在 09:00（3 小时前）"),
        (evidence(RUNNING | {"state": int(DeviceState.DERATED)}), StationState.CURTAILED, "限功率"),
        (evidence(RUNNING | {"alarm_words_1": 4}), StationState.WARNING, "告警"),
        (evidence({"active_power_w": 0.0, "state": int(DeviceState.FAULT)}), StationState.FAULT, "故障停机"),
        (
            evidence({"active_power_w": 0.0, "state": int(DeviceState.GRID_FAULT)}),
            StationState.GRID_OUTAGE,
            "电网",
        ),
        (
            evidence({"active_power_w": 0.0, "voltage_a_v": 0.0, "voltage_b_v": 1.0, "voltage_c_v": 0.0}),
            StationState.GRID_OUTAGE,
            "电网侧无电压",
        ),
        (evidence({"active_power_w": 0.0, "state": int(DeviceState.STOPPED)}), StationState.FAULT, "停机"),
        (evidence({"active_power_w": 0.0}, neighbours=0.6), StationState.FAULT, "60%"),
        (evidence({"active_power_w": 0.0}, neighbours=0.01), StationState.NORMAL, "日照不足"),
        (evidence({"active_power_w": 0.0}), StationState.WARNING, "没有可比"),
        (evidence({"active_power_w": 0.0}, elevation=3.0), StationState.NIGHT, "等待日照"),
        (evidence({"active_power_w": 0.0}, elevation=NIGHT), StationState.NIGHT, "夜间"),
        (evidence(RUNNING, planned="更换风扇"), StationState.PLANNED, "更换风扇"),
    ],
)
def test_evidence_gives_a_state_and_says_why(given_evidence, state, words):
    opinion = device_state(given_evidence)
    assert opinion.state is state
    assert words in opinion.reason


def test_silence_since_dusk_is_sleep_but_silence_since_noon_is_a_lost_link():
    asleep = evidence(RUNNING, age=timedelta(hours=5), elevation=NIGHT, then=3.0)
    assert device_state(asleep).state is StationState.NIGHT
    lost = evidence(RUNNING, age=timedelta(hours=9), elevation=NIGHT, then=50.0)
    assert device_state(lost).state is StationState.OFFLINE


@given(
    power=st.one_of(st.none(), st.floats(0, 200)),
    code=st.one_of(st.none(), st.integers(0, 8)),
    voltage=st.one_of(st.none(), st.floats(0, 260)),
    elevation=st.floats(-60, -0.5),
    minutes=st.integers(0, 600),
)
def test_night_is_never_a_fault(power, code, voltage, elevation, minutes):
    pairs = {"active_power_w": power, "state": code, "voltage_a_v": voltage}
    values = {name: value for name, value in pairs.items() if value is not None}
    opinion = device_state(
        evidence(values, age=timedelta(minutes=minutes), elevation=elevation, then=elevation)
    )
    assert opinion.state not in {StationState.FAULT, StationState.GRID_OUTAGE, StationState.WARNING}
    assert opinion.reason


def test_every_state_has_its_own_word_shape_and_rank():
    assert set(LOOKS) == set(StationState) == set(DISPLAY_ORDER)
    for attribute in ("word", "shape", "colour", "rank"):
        assert len({getattr(look, attribute) for look in LOOKS.values()}) == len(StationState)


def _parts(*states, rated=50_000):
    return [Part(f"{n}号逆变器", rated, Opinion(s, LOOKS[s].word)) for n, s in enumerate(states, start=1)]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((StationState.NORMAL, StationState.NORMAL), StationState.NORMAL),
        ((StationState.FAULT, StationState.FAULT), StationState.FAULT),
        ((StationState.FAULT, StationState.NORMAL), StationState.FAULT),
        ((StationState.FAULT, StationState.NORMAL, StationState.NORMAL), StationState.WARNING),
        ((StationState.OFFLINE, StationState.NORMAL, StationState.NORMAL), StationState.WARNING),
        ((StationState.NIGHT, StationState.NIGHT, StationState.OFFLINE), StationState.NIGHT),
        ((StationState.WARNING, StationState.NORMAL, StationState.NORMAL), StationState.WARNING),
        ((), StationState.UNKNOWN),
    ],
)
def test_a_station_is_what_half_of_its_power_is(states, expected):
    assert station_state(_parts(*states)).state is expected


def test_a_station_with_one_small_inverter_down_names_it_with_its_share():
    parts = [
        *_parts(StationState.NORMAL, rated=80_000),
        Part("2号逆变器", 20_000, Opinion(StationState.FAULT, "停机")),
    ]
    opinion = station_state(parts)
    assert (opinion.state, opinion.reason) == (StationState.WARNING, "2号逆变器故障，占容量 20%")


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=3, hours=4), "3 天 4 小时"),
        (timedelta(days=2), "2 天"),
        (timedelta(hours=2, minutes=5), "2 小时 5 分"),
        (timedelta(hours=2), "2 小时"),
        (timedelta(minutes=12, seconds=50), "12 分钟"),
        (timedelta(minutes=-3), "0 分钟"),
    ],
)
def test_durations_are_read_as_words(span, words):
    assert duration_words(span) == words
