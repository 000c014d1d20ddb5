"""Profiles: what is shipped, what is refused, decoding rules, and the plan of blocks."""

import json
import math
import os
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.profile import (
    EVERYTHING,
    ONCE,
    Kind,
    Missing,
    ModelPlace,
    Ratios,
    bind,
    catalogue_markdown,
    check_profiles,
    decode,
    explain,
    list_profiles,
    load_profile,
    parse_profile,
    plan_blocks,
    profile_json_schema,
)
from collector.profile.complaints import rows_in
from collector.profile.discovery import discover
from store.problem import ProblemsError
from store.samples import QUANTITIES, DeviceState

FOLDER = Path(__file__).parents[2] / "collector" / "profiles"
DOCS = Path(__file__).parents[2] / "docs"
MODBUS = [name for name in list_profiles() if load_profile(name).protocol == "modbus"]
HEAD = (
    'schema = "sunledger-device-profile/1"\nvendor = "x"\nvendor_zh = "x"\nkind = "inverter"\n'
    'products = "x"\nconfidence = []\n'
)


def _profile(body):
    return parse_profile("x", HEAD + body)


@pytest.fixture(params=list_profiles())
def profile(request):
    return load_profile(request.param)


def test_every_family_of_the_list_is_shipped():
    assert {
        "huawei_sun2000", "huawei_smartlogger", "sungrow_sg_string", "sungrow_logger", "goodwe_mt_smt",
        "growatt_max_mid", "growatt_tlx_3000", "solis_string", "solis_hybrid", "sofar_legacy", "sofar_g3",
        "sunspec", "chint_cps", "kstar_hybrid", "eastron_sdm630", "acrel_dtsd1352", "acrel_adw300",
        "chint_dtsu666", "dlt645_2007",
    } <= set(list_profiles())  # fmt: skip


def test_nothing_is_wrong_with_the_shipped_profiles():
    assert check_profiles() == []


def test_every_profile_says_how_sure_it_is(profile):
    assert profile.confidence
    assert all(item.group and item.level for item in profile.confidence)
    assert profile.gaps or profile.notes


def test_shipped_files_keep_the_published_json_schema():
    validator = jsonschema.Draft202012Validator(profile_json_schema())
    for path in FOLDER.glob("*.toml"):
        plain = json.loads(json.dumps(tomllib.loads(path.read_text(encoding="utf-8"))))
        assert list(validator.iter_errors(plain)) == [], path.name


@pytest.mark.parametrize("name", MODBUS)
def test_blocks_fetch_every_field_whole_within_what_the_device_bears(name):
    profile = load_profile(name)
    blocks = plan_blocks(profile, EVERYTHING)
    for block in blocks:
        alone = [f for f in profile.fields if (f.address, f.count) == (block.address, block.count)]
        inside = range(block.address + 1, block.address + block.count)
        assert alone or block.count <= profile.rules.max_block
        assert alone or not profile.rules.split_before & set(inside)
    for field in profile.fields:
        assert any(
            block.function_code == field.function_code
            and block.address <= field.address
            and field.address + field.count <= block.address + block.count
            for block in blocks
        ), field.name


@pytest.mark.parametrize("name", MODBUS)
def test_a_poll_takes_few_requests(name):
    assert len(plan_blocks(load_profile(name))) <= 5


def test_only_read_function_codes_occur(profile):
    assert {field.function_code for field in profile.fields} <= {1, 2, 3, 4}


def test_an_absent_register_is_left_out_and_not_read_over():
    profile = load_profile("sungrow_sg_string")
    field = profile.field_named("temperature")
    blocks = plan_blocks(profile, absent={(4, field.address)})
    assert all(not block.address <= field.address < block.address + block.count for block in blocks)


def test_identity_is_read_once_not_every_cycle():
    profile = load_profile("huawei_sun2000")
    serial = profile.field_named("serial")
    assert any(b.address <= serial.address < b.address + b.count for b in plan_blocks(profile, ONCE))
    assert not any(b.address <= serial.address < b.address + b.count for b in plan_blocks(profile))


def test_the_table_of_devices_is_what_the_profiles_say():
    assert (DOCS / "devices.md").read_text(encoding="utf-8") == catalogue_markdown()


def test_the_published_json_schema_is_what_the_program_checks_by():
    published = json.loads((DOCS / "device-profile.schema.json").read_text(encoding="utf-8"))
    assert published == profile_json_schema()


def test_the_example_of_the_guide_is_a_valid_profile():
    guide = (DOCS / "profile-format.md").read_text(encoding="utf-8")
    example = parse_profile("example", guide.split("```toml")[1].split("```")[0])
    decoded = decode(example, {(4, 1019): 0, (4, 1020): 12_345, (4, 1049): 1, (4, 1050): 1})
    assert decoded.values["generated_energy_wh"] == 1_234_500
    assert decoded.state is DeviceState.RUNNING
    assert [alarm.code for alarm in decoded.alarms] == ["E01"]


# What is refused


@pytest.mark.parametrize(
    "body",
    [
        'registers = [{ name = "a", document = 1, type = "u16", unit = "furlong" }]',
        'registers = [{ name = "a", document = 1, type = "u16", quantity = "no_such" }]',
        'registers = [{ name = "a", document = 1, type = "u16", unit = "V", quantity = "active_power_w" }]',
        'registers = [{ name = "a", document = 1, type = "str" }]',
        'registers = [{ name = "a", document = 0, type = "u16" }]\naddressing = { wire_offset = -1 }',
        'registers = [{name = "a", document = 1, type = "u16"}, {name = "a", document = 2, type = "u16"}]',
        'registers = [{ name = "a", document = 1, type = "u16", scale_register = "b" }]',
        'registers = [{ name = "a", document = 1, type = "u16", function_code = 6 }]',
        'registers = [{ name = "a", document = 1, type = "u16", surprise = 1 }]',
        "registers = []",
        "registers = [",
    ],
)
def test_a_profile_that_cannot_be_right_is_refused_with_its_place(body):
    with pytest.raises(ProblemsError) as refused:
        _profile(body)
    assert refused.value.problems[0].where.startswith("x.toml")


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(ProblemsError, match="sungrow_sg_string"):
        load_profile("no_such")


# Decoding


def test_sungrow_joins_the_low_word_first_and_huawei_the_high_word():
    sungrow = decode(load_profile("sungrow_sg_string"), {(4, 5003): 0x0304, (4, 5004): 0x0102})
    assert sungrow.values["generated_energy_wh"] == 0x01020304 * 1000
    huawei = decode(load_profile("huawei_sun2000"), {(3, 32106): 0x0102, (3, 32107): 0x0304})
    assert huawei.values["generated_energy_wh"] == 0x01020304 * 10


def test_half_a_value_is_no_value():
    decoded = decode(load_profile("huawei_sun2000"), {(3, 32106): 10_000})
    (point,) = decoded.points
    assert (point.value, point.missing) == (None, Missing.NOT_READ)
    assert decoded.values == {}


@pytest.mark.parametrize(
    ("raw", "reason"), [(0xFFFF, Missing.NOT_AVAILABLE), (0x7FFF, Missing.NOT_AVAILABLE)]
)
def test_a_not_available_pattern_is_null_never_a_number(raw, reason):
    (point,) = decode(load_profile("sungrow_sg_string"), {(4, 5007): raw}).points
    assert (point.value, point.missing) == (None, reason)


def test_alarm_words_are_exempt_from_the_not_available_rule():
    decoded = decode(load_profile("huawei_sun2000"), {(3, 32008): 0xFFFF, (3, 32009): 0, (3, 32010): 1})
    assert len(decoded.alarms) == 17
    assert decoded.values["alarm_words_1"] == 0xFFFF | 1 << 32
    assert decoded.alarms[0].chinese == "组串电压过高"


def test_stored_codes_can_be_explained_later():
    profile = load_profile("huawei_sun2000")
    decoded = decode(profile, {(3, 32008): 1 << 7, (3, 32009): 4, (3, 32010): 0, (3, 32089): 0x0300})
    stored = {name: decoded.values[name] for name in ("alarm_words_1",)}
    state, alarms = explain(profile, decoded.values["state_raw"], stored)
    assert state == "故障停机"
    assert [alarm.chinese for alarm in alarms] == ["电网掉电", "绝缘阻抗低"]
    assert alarms == decoded.alarms


def test_another_value_that_straddles_an_optional_pair_is_null():
    profile = load_profile("sungrow_sg_string")
    phase_b = profile.field_named("meter_power_b")
    for low, high in ((0xFFFF, 77), (0, 0xFFFF)):
        decoded = decode(profile, {(4, phase_b.address): low, (4, phase_b.address + 1): high})
        assert decoded.points[0].missing is Missing.PARTIAL
    small = decode(profile, {(4, phase_b.address): 0xFF00, (4, phase_b.address + 1): 0xFFFF})
    assert small.points[0].value == -256


def test_an_unknown_state_code_is_unknown_and_keeps_its_raw():
    decoded = decode(load_profile("huawei_sun2000"), {(3, 32089): 0x0777})
    assert decoded.state is DeviceState.UNKNOWN
    assert decoded.values["state_raw"] == 0x0777
    assert "0777" in decoded.state_text


def test_fault_time_and_code_count_only_while_the_device_is_in_fault():
    profile = load_profile("sungrow_sg_string")
    words = {(4, 5038 + n): word for n, word in enumerate((2015, 12, 21, 4, 12, 59, 10))}
    running = {p.name: p for p in decode(profile, {**words, (4, 5037): 0}).points}
    assert running["fault_code"].missing is Missing.NOT_APPLICABLE
    fault = decode(profile, {**words, (4, 5037): 0x5500})
    assert [alarm.english for alarm in fault.alarms] == ["grid outage"]


def test_sungrow_voltages_are_phase_or_line_by_the_output_type():
    profile = load_profile("sungrow_sg_string")
    assert decode(profile, {(4, 5001): 1, (4, 5018): 2301}).values["voltage_a_v"] == 230.1
    assert decode(profile, {(4, 5001): 2, (4, 5018): 4001}).values["voltage_ab_v"] == 400.1
    assert "voltage_a_v" not in decode(profile, {(4, 5018): 2301}).values


def test_growatt_power_factor_is_a_code_around_ten_thousand():
    profile = load_profile("growatt_max_mid")
    assert decode(profile, {(4, 100): 20_000}).values["power_factor"] == 1.0
    assert decode(profile, {(4, 100): 500}).values["power_factor"] == -0.95


def test_transformer_ratios_multiply_meter_readings():
    words = {(3, 20): 0, (3, 21): 250, (3, 97): 2305}
    profile = load_profile("acrel_dtsd1352")
    assert decode(profile, words).values == {"exported_energy_wh": 2500, "voltage_a_v": 230.5}
    through = decode(profile, words, Ratios(pt=1, ct=40)).values
    assert through == {"exported_energy_wh": 100_000, "voltage_a_v": 230.5}


def test_a_float_that_is_no_number_is_not_available():
    profile = load_profile("eastron_sdm630")
    (point,) = decode(profile, {(4, 0): 0x7FC0, (4, 1): 0}).points
    assert (point.value, point.missing) == (None, Missing.NOT_AVAILABLE)


def test_counters_are_whole_and_exact():
    value = decode(load_profile("growatt_max_mid"), {(4, 55): 0x00FF, (4, 56): 0xFFFE}).values
    assert value["generated_energy_wh"] == 0x00FFFFFE * 100
    assert isinstance(value["generated_energy_wh"], int)


def test_a_clock_is_shown_as_wall_time_of_shanghai():
    decoded = decode(load_profile("goodwe_mt_smt"), {(3, 30100): 6659, (3, 30101): 7436, (3, 30102): 5434})
    assert decoded.device_clock.isoformat() == "2026-03-29T12:21:58+08:00"
    broken = decode(load_profile("goodwe_mt_smt"), {(3, 30100): 0x1A15, (3, 30101): 1, (3, 30102): 0})
    assert broken.points[0].missing is Missing.UNREADABLE


# SunSpec


def test_sunspec_asleep_is_standby_not_fault():
    places = [ModelPlace(103, 40002, 50)]
    words = {(3, 40000): 0x5375, (3, 40001): 0x6E53, (3, 40002): 103, (3, 40003): 50, (3, 40054): 0xFFFF}
    words |= {(3, 40002 + offset): 0x8000 for offset in (14, 22)}
    words |= {(3, 40018): 0xFFFF, (3, 40019): 0xFFFE, (3, 40040): 0xFFFF, (3, 40017): 0}
    words |= {(3, 40026): 0, (3, 40027): 1234, (3, 40028): 1}
    decoded = decode(load_profile("sunspec"), words)
    assert decoded.state is DeviceState.STANDBY
    assert decoded.values["generated_energy_wh"] == 12_340
    assert bind(load_profile("sunspec"), places).field_named("m103_W").address == 40016


def test_sunspec_scale_factor_is_needed_and_read_with_the_value():
    bound = bind(load_profile("sunspec"), [ModelPlace(103, 40002, 50)])
    (point,) = [p for p in decode(bound, {(3, 40016): 1500}).points if p.name == "m103_W"]
    assert point.missing is Missing.NO_SCALE
    assert decode(bound, {(3, 40016): 1500, (3, 40017): 0xFFFF}).values["active_power_w"] == 150.0


def test_sunspec_power_factor_in_percent_becomes_a_ratio():
    bound = bind(load_profile("sunspec"), [ModelPlace(103, 40002, 50)])
    words = {(3, 40024): 0x10000 - 9977, (3, 40025): 0xFFFE}
    assert decode(bound, words).values["power_factor"] == pytest.approx(-0.9977)


def test_sunspec_walk_tries_each_base_and_ends_at_the_end_model():
    walk = discover(load_profile("sunspec"))
    assert next(walk).address == 40000
    assert walk.send(None).address == 50000
    assert walk.send([0x5375, 0x6E53]).address == 50002
    assert walk.send([1, 66]).address == 50070
    with pytest.raises(StopIteration) as done:
        walk.send([0xFFFF, 0])
    assert done.value.value.field_named("m1_SN").address == 50052


def test_a_part_of_a_map_without_its_marker_is_found_by_its_headers():
    words = {(3, 40069): 101, (3, 40070): 50, (3, 40083): 1500, (3, 40084): 0, (3, 40107): 4}
    decoded = decode(load_profile("sunspec"), words)
    assert decoded.values["active_power_w"] == 1500
    assert decoded.state is DeviceState.RUNNING


def test_a_device_without_a_marker_is_named_as_such():
    with pytest.raises(ProblemsError, match="SunSpec"):
        decode(load_profile("sunspec"), {(3, 40000): 1, (3, 40001): 2})


# Properties


@pytest.mark.soak
@settings(max_examples=100_000 if os.environ.get("SUNLEDGER_SOAK") else 300, deadline=None)
@given(data=st.data())
def test_any_words_decode_without_a_crash_and_within_the_rules(data):
    profile = load_profile(data.draw(st.sampled_from(MODBUS)))
    fields = data.draw(st.lists(st.sampled_from(profile.fields), min_size=1, max_size=12))
    words = {
        (field.function_code, field.address + n): data.draw(st.integers(0, 0xFFFF))
        for field in fields
        for n in range(field.count)
        if data.draw(st.integers(0, 9))
    }
    decoded = decode(profile, words)
    for point in decoded.points:
        assert (point.value is None) == (point.missing is not None)
        if isinstance(point.value, float):
            assert math.isfinite(point.value)
    for name, value in decoded.values.items():
        assert name in QUANTITIES
        assert math.isfinite(value)


@given(raw=st.integers(0, 0xFFFF_FFFF))
def test_a_counter_of_two_words_is_its_raw_number_scaled(raw):
    profile = load_profile("huawei_sun2000")
    decoded = decode(profile, {(3, 32106): raw >> 16, (3, 32107): raw & 0xFFFF})
    if raw >> 16 == 0xFFFF:
        assert "generated_energy_wh" not in decoded.values
    else:
        assert decoded.values["generated_energy_wh"] == raw * 10


def test_no_register_that_switches_a_device_is_decoded_as_a_quantity(profile):
    for field in profile.fields:
        if field.kind is not Kind.TEXT and "limit" in field.name:
            assert not field.quantity


@pytest.mark.parametrize(
    ("line", "where", "what", "how"),
    [
        (
            '{ name = "b", document = 2, type = "u33" }',
            "第 9 行 registers 第 2 个（b） 的 type",
            "“u33”",
            "u32",
        ),
        (
            '{ name = "b", document = -2, type = "u16" }',
            "第 9 行 registers 第 2 个（b） 的 document",
            "-2",
            "0",
        ),
        (
            '{ name = "b", document = 2, type = "u16", scal = 2 }',
            "第 2 个（b） 的 scal",
            "没有这样的项",
            "scale",
        ),
        ('{ name = "b", document = 2, type = "str" }', "第 9 行 registers.b", "length", "length"),
        ('{ name = "b", document = 2, type = "u16"', "x.toml", "不是有效的 TOML", "改正"),
    ],
)
def test_what_is_wrong_is_said_in_chinese_with_its_line(line, where, what, how):
    text = (
        'schema = "sunledger-device-profile/1"\nvendor = "x"\nvendor_zh = "x"\nkind = "inverter"\n'
        'products = "x"\nconfidence = []\nregisters = [\n  { name = "a", document = 1, type = "u16" },\n'
        f"  {line},\n]\n"
    )
    with pytest.raises(ProblemsError) as caught:
        parse_profile("x", text)
    (problem,) = caught.value.problems
    assert where in problem.where
    assert what in problem.what
    assert how in problem.how_to_fix


def test_rows_under_table_headers_have_their_lines_too():
    text = 'a = 1\n[[registers]]\nname = "x"\n\n[[registers]]\nname = "{ y"\nbits = [{ bit = 1 }]\n'
    assert rows_in(text) == {("a", -1): 1, ("registers", 0): 2, ("registers", 1): 5}
