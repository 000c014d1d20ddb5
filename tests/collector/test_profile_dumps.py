"""Every dump is a case: decoded value by value, null where the wire says not available."""

import json
from pathlib import Path

import pytest

from collector.decode import decode_content, read_content, read_file
from collector.profile import Kind, Missing, load_profile, parse_profile, point_record
from collector.profile.decoding import decode
from collector.profile.dump import dump_words
from collector.profile.frames import crc16
from store.problem import ProblemsError

CASES = Path(__file__).parents[1] / "cases" / "dumps"
DEVICES = sorted(
    path.stem for path in CASES.glob("*.json") if path.stem not in {"growatt_words", "dlt645_2007"}
)


def _case(name):
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(params=DEVICES)
def case(request):
    return _case(request.param)


def test_every_stated_value_is_decoded_with_its_unit(case):
    points = {point.name: point for point in decode_content(load_profile(case["profile"]), case).points}
    for row in case["expected"]:
        point = points[row["point"]]
        assert (point.function_code, point.address) == (row["function_code"], row["address"])
        assert point.unit == row["unit"], row
        if isinstance(row["value"], int | float):
            assert point.value == pytest.approx(row["value"], rel=1e-12, abs=1e-12), row
        else:
            assert point.value == row["value"], row


def test_a_point_has_a_value_or_the_reason_why_not(case):
    for point in decode_content(load_profile(case["profile"]), case).points:
        assert (point.value is None) == (point.missing is not None)


def test_frames_alone_give_what_the_words_give(case):
    if "frames" not in case:
        return
    profile = load_profile(case["profile"])
    whole = decode_content(profile, case)
    alone = decode_content(profile, {**case, "registers": {}})
    assert {p.name: p.value for p in alone.points} == {p.name: p.value for p in whole.points}


def test_identity_state_and_alarms_are_read(case):
    decoded = decode_content(load_profile(case["profile"]), case)
    assert {"serial": decoded.identity.serial, "model": decoded.identity.model} == case["identity"]
    assert (None if decoded.state is None else decoded.state.name) == case["state"]
    assert [alarm.english for alarm in decoded.alarms] == case["alarms"]


def test_a_null_point_never_becomes_a_sample_value(case):
    decoded = decode_content(load_profile(case["profile"]), case)
    nulls = {point.quantity for point in decoded.points if point.value is None and point.quantity}
    known = {point.quantity for point in decoded.points if point.value is not None}
    derived = {item.quantity for item in load_profile(case["profile"]).derived}
    assert not (nulls - known - derived) & set(decoded.values)


def test_a_damaged_frame_is_refused(case):
    if "frames" not in case:
        return
    broken = json.loads(json.dumps(case))
    text = broken["frames"][0]["response"]
    broken["frames"][0]["response"] = text[:8] + ("0" if text[8] != "0" else "1") + text[9:-4] + "0000"
    with pytest.raises(ProblemsError):
        decode_content(load_profile(case["profile"]), broken)


@pytest.mark.parametrize("row", _case("growatt_words")["words"], ids=lambda row: row["about"])
def test_single_values_are_signed_paired_and_scaled_as_stated(row):
    text = (
        'schema = "sunledger-device-profile/1"\nvendor = "x"\nvendor_zh = "x"\nkind = "inverter"\n'
        'products = "x"\nconfidence = []\naddressing = { function_code = 4 }\n'
        f'registers = [{{ name = "it", document = 10, type = "{row["type"]}", scale = {row["scale"]} }}]\n'
    )
    words = {(4, 10 + n): word for n, word in enumerate(row["raw"]) if word is not None}
    (point,) = decode(parse_profile("x", text), words).points
    if "same pair read unsigned" in row["about"]:
        # An all-ones high word of an unsigned value is never a measurement: null, where others spiked.
        assert (point.value, point.missing) == (None, Missing.PARTIAL)
    elif row["value"] is None:
        assert (point.value, point.missing) == (None, Missing.NOT_READ)
    else:
        assert point.value == row["value"]


@pytest.mark.parametrize(
    "row",
    [row for row in _case("growatt_words")["words"] if row["address"] in {67, 69}],
    ids=lambda row: row["about"],
)
def test_growatt_tracker_counters_stand_where_the_report_says(row):
    words = {(4, row["address"] + n): word for n, word in enumerate(row["raw"])}
    (point,) = decode(load_profile("growatt_max_mid"), words).points
    assert (point.value, point.unit) == (row["value"] * 1000, "Wh")


def test_a_file_is_decoded_by_name_and_its_record_is_plain():
    decoded = read_file("goodwe_mt_smt", CASES / "goodwe_gw10k_ms30_tcp.json").decoded
    records = [point_record(point) for point in decoded.points]
    absent = next(record for record in records if record["name"] == "voltage_b")
    assert absent["value"] is None
    assert absent["missing"] == "not_available"
    assert absent["raw"] == [0xFFFF]
    json.dumps(records)


def test_an_unknown_schema_or_a_word_out_of_range_is_refused():
    profile = load_profile("goodwe_mt_smt")
    with pytest.raises(ProblemsError):
        decode_content(profile, {"schema": "something/1", "registers": {}})
    with pytest.raises(ProblemsError):
        decode_content(profile, {"schema": "pv-register-dump/1", "registers": {"30100": 70000}})


# What a stranger's file may hold


def _rtu(body: str) -> str:
    data = bytes.fromhex(body)
    return (data + crc16(data).to_bytes(2, "little")).hex()


def _sungrow(**content):
    return {"schema": "pv-register-dump/1", "address_base": "wire address", **content}


STATE_ANSWER = _rtu("0104021300")


def test_a_damaged_frame_loses_only_itself_and_is_named():
    good = {"request": _rtu("010413870001"), "response": _rtu("0104020132")}
    bad = {"request": _rtu("010413AD0001"), "response": STATE_ANSWER[:-4] + "ffff"}
    reading = read_content(load_profile("sungrow_sg_string"), _sungrow(frames=[good, bad]))
    points = {point.name: point for point in reading.points}
    assert points["model_code"].value == 0x0132
    assert (points["state"].value, points["state"].missing) == (None, Missing.DAMAGED)
    assert [problem.where for problem in reading.problems] == ["frames[2]"]
    assert points["energy_total"].missing is Missing.NOT_READ


def test_a_refused_read_is_told_apart_from_what_was_not_asked():
    refused = {"request": _rtu("010413AD0001"), "response": _rtu("018402")}
    good = {"request": _rtu("010413870001"), "response": _rtu("0104020132")}
    reading = read_content(load_profile("sungrow_sg_string"), _sungrow(frames=[refused, good]))
    points = {point.name: point for point in reading.points}
    assert points["state"].missing is Missing.REFUSED
    assert not reading.problems


def test_a_log_of_requests_and_answers_is_paired_and_writes_of_another_master_are_passed_over():
    log = [
        {"dir": "request", "hex": _rtu("0110138700010200AA")},
        {"dir": "response", "hex": _rtu("011013870001")},
        {"dir": "request", "hex": _rtu("010413AD0001")},
        {"dir": "response", "hex": STATE_ANSWER},
    ]
    reading = read_content(load_profile("sungrow_sg_string"), _sungrow(frames=log))
    assert {p.name: p.value for p in reading.points if p.value is not None}["state"] == 0x1300
    assert not reading.problems


@pytest.mark.parametrize(
    ("request_hex", "response_hex", "reason"),
    [
        (_rtu("020413AD0001"), STATE_ANSWER, "站号"),
        ("000500000006010413AD0001", "0004000000050104021300", "事务号"),
        (_rtu("010413AD0002"), STATE_ANSWER, "字节"),
    ],
)
def test_an_answer_to_another_question_gives_nothing(request_hex, response_hex, reason):
    frames = [{"request": request_hex, "response": response_hex}]
    with pytest.raises(ProblemsError, match=reason):
        read_content(load_profile("sungrow_sg_string"), _sungrow(frames=frames))


@pytest.mark.parametrize(
    ("base", "wire"),
    [
        ("wire address = documented number (no minus 1 here)", 5037),
        ("documented number minus 1 on the wire; keys are documented numbers", 5036),
        ("wire address", 5037),
    ],
)
def test_the_keys_are_printed_numbers_only_where_the_file_says_so(base, wire):
    dump = {"schema": "pv-register-dump/1", "address_base": base, "registers": {"input": {"5037": 1}}}
    assert list(dump_words(load_profile("sungrow_sg_string"), dump).words) == [(4, wire)]


@pytest.mark.parametrize("name", ["growatt_max_mid", "solis_string", "acrel_dtsd1352", "kstar_hybrid"])
def test_all_ones_are_no_measurement_where_no_pattern_is_documented(name):
    profile = load_profile(name)
    for field in profile.fields:
        if field.kind in {Kind.U16, Kind.U32} and not field.clock:
            words = dict.fromkeys(field.keys, 0xFFFF)
            (point,) = [point for point in decode(profile, words).points if point.name == field.name]
            assert point.value is None, field.name
