"""Mappings turn the common message conventions into samples, and never raise for what a message holds."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.payloads import Speaker, TopicNames, list_mappings, load_mapping, parse_mapping, read_message
from store.problem import ProblemsError
from store.quality import Flag

NOW = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
ONE, D = {"inv01": Speaker("device_1")}, {"": Speaker("d")}
MINUTE = NOW - timedelta(minutes=1)
MS = round(MINUTE.timestamp() * 1000)

CASES = [
    (
        "alink",
        {
            "id": "1",
            "version": "1.0",
            "params": {
                "ActivePower": {"value": 12.5, "time": MS},
                "TotalEnergy": {"value": "10023.4", "time": MS},
                "Ua": {"value": "--", "time": MS},
            },
        },
        {"active_power_w": 12_500.0, "generated_energy_wh": 10_023_400},
    ),
    (
        "cet_gateway",
        {
            "version": "1",
            "location_code": "x",
            "ts": MS // 1000,
            "properties": [
                {"type": "AI", "key": "总有功功率", "value": 3.25, "unit": "kW"},
                {"type": "AI", "key": "正向有功电度", "value": 100.01, "unit": "kWh"},
                {"type": "AI", "key": "频率", "value": None, "unit": "Hz"},
            ],
        },
        {"active_power_w": 3250.0, "exported_energy_wh": 100_010},
    ),
    (
        "grm_rtu",
        {
            "time": "2026-6-1 11:59:00",
            "Data": [{"name": "PAC", "value": "7.5"}, {"name": "E_TOTAL", "value": "0012.50"}],
        },
        {"active_power_w": 7500.0, "generated_energy_wh": 12_500},
    ),
    (
        "solinteg",
        {"rtcTime": MS, "resumeType": 1, "metric": {"pac": 900, "eDay": "--", "eTotal": 5.5}},
        {"active_power_w": 900.0, "generated_energy_wh": 5500},
    ),
    (
        "thingsboard_gateway",
        {"inv01": [{"ts": MS, "values": {"active_power": 100, "total_energy": 1.001}}]},
        {"active_power_w": 100.0, "generated_energy_wh": 1001},
    ),
    (
        "neuron",
        {"timestamp": MS, "node": "inv01", "group": "g", "values": {"active_power": 5}, "errors": {}},
        {"active_power_w": 5.0},
    ),
    (
        "neuron_tags",
        {
            "timestamp": MS,
            "node": "inv01",
            "tags": [{"name": "active_power", "value": 5}, {"name": "total_energy", "error": 2014}],
        },
        {"active_power_w": 5.0},
    ),
    (
        "telegraf",
        {
            "fields": {"active_power": 7.5, "total_energy": 2},
            "name": "modbus",
            "tags": {"host": "gw", "device": "inv01"},
            "timestamp": MS // 1000,
        },
        {"active_power_w": 7.5, "generated_energy_wh": 2000},
    ),
    (
        "batched_history",
        {"sn": "L1", "data": [{"t": MS // 1000, "inv01_pac": 1.5, "inv01_etotal": 2.5, "inv02_pac": 9}]},
        {"active_power_w": 1500.0, "generated_energy_wh": 2500},
    ),
]


@pytest.mark.parametrize(("name", "message", "values"), CASES, ids=[case[0] for case in CASES])
def test_the_common_conventions_are_read(name: str, message: object, values: dict[str, float]) -> None:
    reading = read_message(load_mapping(name), json.dumps(message).encode(), ONE, NOW)
    assert reading.faults == ()
    (sample,) = reading.samples
    assert (sample.device_id, sample.time, sample.received_at) == ("device_1", MINUTE, NOW)
    assert sample.values == values


def test_a_counter_is_exact_where_a_double_is_not() -> None:
    message = json.dumps({"rtcTime": MS, "metric": {"eTotal": "9007199254740.993"}}).encode()
    sample = read_message(load_mapping("solinteg"), message, D, NOW).samples[0]
    assert sample.values["generated_energy_wh"] == 9_007_199_254_740_993


def test_several_devices_in_one_message_are_told_apart_and_strangers_refused() -> None:
    body = {
        name: [{"ts": MS + index, "values": {"active_power": index}} for index in range(3)]
        for name in ("inv01", "inv02", "stranger")
    }
    devices = {"inv01": Speaker("device_1"), "inv02": Speaker("device_2")}
    reading = read_message(load_mapping("thingsboard_gateway"), json.dumps(body).encode(), devices, NOW)
    assert [sample.device_id for sample in reading.samples] == ["device_1"] * 3 + ["device_2"] * 3
    assert len(reading.faults) == 1
    assert "stranger" in reading.faults[0]


def test_a_topic_with_several_devices_needs_a_name_in_the_payload() -> None:
    reading = read_message(
        load_mapping("alink"), CASES_BYTES["alink"], {"a": Speaker("1"), "b": Speaker("2")}, NOW
    )
    assert reading.samples == ()
    assert "多台设备" in reading.faults[0]


CASES_BYTES = {name: json.dumps(message).encode() for name, message, _ in CASES}


@pytest.mark.parametrize(
    ("time", "fault", "flags"),
    [
        (MS, "", 0),
        (round((NOW + timedelta(minutes=4)).timestamp() * 1000), "", 0),
        (round((NOW + timedelta(minutes=6)).timestamp() * 1000), "", int(Flag.CLOCK)),
        (round((NOW - timedelta(days=40)).timestamp() * 1000), "", 0),
        (0, "早于 2015", 0),
        ("soon", "读不懂", 0),
        (True, "读不懂", 0),
        (1e300, "读不懂", 0),
        ([1], "读不懂", 0),
        (None, "没有采样时间", 0),
    ],
)
def test_a_time_is_kept_flagged_or_refused(time: object, fault: str, flags: int) -> None:
    message = json.dumps({"time": time, "active_power_w": 1}).encode()
    reading = read_message(load_mapping("sunledger"), message, D, NOW)
    assert fault in "".join(reading.faults)
    assert bool(reading.faults) == bool(fault)
    if not fault:
        assert reading.samples[0].flags == flags
        assert reading.samples[0].time == NOW if flags else reading.samples[0].time != NOW


@pytest.mark.parametrize("value", ["abc", [1], {"a": 1}, True, "1e400", "12,5"])
def test_what_is_no_number_is_named(value: object) -> None:
    message = json.dumps({"time": MS, "active_power_w": value}).encode()
    reading = read_message(load_mapping("sunledger"), message, D, NOW)
    assert reading.samples == ()
    assert "active_power_w" in reading.faults[0]


def test_a_state_is_translated_and_an_unknown_one_keeps_its_code() -> None:
    mapping = load_mapping("sunledger")
    known = read_message(mapping, json.dumps({"time": MS, "state": 3}).encode(), D, NOW).samples[0]
    strange = read_message(mapping, json.dumps({"time": MS, "state": 77}).encode(), D, NOW).samples[0]
    assert known.values == {"state": 3, "state_raw": 3}
    assert strange.values == {"state": 0, "state_raw": 77}


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("name = ", "m.toml", "不是有效的 TOML"),
        ("name = 'a'\ntitle = 'b'\n[quantities]\nno_such = {path='a'}", "m.toml", "没有名为 no_such"),
        ("name = 'a'\ntitle = 'b'\n[quantities]\nactive_power_w = {path='a'}", "m.toml", "单位是 W"),
        (
            "name = 'a'\ntitle = 'b'\n[quantities]\nactive_power_w = {path='a', unit='kWh'}",
            "m.toml",
            "换算不了",
        ),
        (
            "name = 'a'\ntitle = 'b'\n[quantities]\nactive_power_w = {path='a', unit='PS'}",
            "m.toml quantities.active_power_w",
            "不认识的单位",
        ),
        ("name = 'a'\ntitle = 'b'\nodd = 1\n[quantities]", "m.toml odd", ""),
        (
            "name = 'a'\ntitle = 'b'\n[message]\ntopic = 'a/{who}'\n[quantities]",
            "m.toml message.topic",
            "不认识",
        ),
        (
            "name = 'a'\ntitle = 'b'\n[message]\ntopic = 'a/{device}'\ndevices = 'keys'\n[quantities]",
            "m.toml message",
            "设备名已在主题里",
        ),
        (
            "name='a'\ntitle='b'\nencoding='sparkplug'\n[quantities]\nstate_raw = {path='a.b'}",
            "m.toml",
            "一个整体",
        ),
    ],
)
def test_a_wrong_mapping_names_the_place(text: str, place: str, what: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        parse_mapping(text, "m.toml")
    assert any(problem.where == place and what in problem.what for problem in caught.value.problems)


def test_points_with_times_of_their_own_become_samples_of_their_own() -> None:
    points = [
        {"key": "总有功功率", "value": 3, "timestamp": MS // 1000},
        {"key": "频率", "value": 50, "timestamp": MS // 1000},
        {"key": "正向有功电度", "value": 9, "timestamp": MS // 1000 - 900},
        {"key": "反向有功电度", "value": 1},
    ]
    body = json.dumps({"ts": MS // 1000 - 60, "properties": points}).encode()
    reading = read_message(load_mapping("cet_gateway"), body, ONE, NOW)
    found = {(MINUTE - sample.time).total_seconds(): sample.values for sample in reading.samples}
    assert found == {
        0: {"active_power_w": 3000.0, "frequency_hz": 50.0},
        900: {"exported_energy_wh": 9000},
        60: {"imported_energy_wh": 1000},
    }


def test_a_record_that_names_another_station_is_refused() -> None:
    mapping, speaker = load_mapping("station_and_device"), {"inv01": Speaker("device_1", "station_a")}
    names = TopicNames("station_a", "inv01")
    body = {"ts": MS // 1000, "active_power": 1, "station": "station_a"}
    kept = read_message(mapping, json.dumps(body).encode(), speaker, NOW, names)
    refused = read_message(mapping, json.dumps(body | {"station": "station_b"}).encode(), speaker, NOW, names)
    assert [sample.values for sample in kept.samples] == [{"active_power_w": 1000.0}]
    assert refused.samples == ()
    assert "另一个电站" in refused.faults[0]


@pytest.mark.parametrize(
    ("point", "payload", "values"),
    [
        ("ac/active_power", b"512.5", {"active_power_w": 512.5}),
        ("total_energy", b'"12.25"', {"generated_energy_wh": 12_250}),
        ("total_energy", b"12.25 ", {"generated_energy_wh": 12_250}),
        ("total_energy", b"--", {}),
        ("some/other", b"on", None),
        ("some/other", b"\xff\xff", None),
    ],
)
def test_a_topic_of_one_value(point: str, payload: bytes, values: dict[str, float] | None) -> None:
    names = TopicNames("station_a", "inv01", point)
    reading = read_message(load_mapping("value_per_topic"), payload, ONE, NOW, names)
    assert reading.faults == ()
    assert [sample.values for sample in reading.samples] == ([] if values is None else [values])
    assert all(sample.time == NOW for sample in reading.samples)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["time", "ts", "data", "values", "params", "Data", "x"]), inner)
    ),
    max_leaves=12,
)


JSON_MAPPINGS = st.sampled_from([name for name in list_mappings() if load_mapping(name).encoding == "json"])


@given(JSON_MAPPINGS, JSON)
def test_no_json_crashes_a_mapping(name: str, body: object) -> None:
    payload = json.dumps(body).encode()
    reading = read_message(load_mapping(name), payload, {"inv01": Speaker("d")}, NOW)
    assert reading.samples or reading.faults


@given(JSON_MAPPINGS, st.binary(max_size=400))
def test_no_bytes_crash_a_mapping(name: str, payload: bytes) -> None:
    reading = read_message(load_mapping(name), payload, {"inv01": Speaker("d")}, NOW)
    assert reading.samples or reading.faults


def test_a_huge_message_is_refused_before_it_is_read() -> None:
    reading = read_message(load_mapping("sunledger"), b"[" * 10_000_000, D, NOW)
    assert "超过" in reading.faults[0]
