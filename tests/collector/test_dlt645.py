"""DL/T 645-2007: worked frames, noise, echoes and refusals."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import dlt645
from collector.decode import decode_content
from collector.profile import Missing, Ratios, load_profile
from collector.profile.types import MeterItem
from store.problem import ProblemsError

CASE = json.loads(
    (Path(__file__).parents[1] / "cases" / "dumps" / "dlt645_2007.json").read_text(encoding="utf-8")
)
PROFILE = load_profile("dlt645_2007")
PROTOCOL = {row["about"]: bytes.fromhex(row["frame"]) for row in CASE["protocol"]}
ENERGY = next(item for item in PROFILE.items if item.identifier == "00010000")


@pytest.mark.parametrize("row", CASE["frames"], ids=lambda row: f"{row['identifier']} {row['meter']}")
def test_a_worked_answer_gives_its_stated_value(row):
    (frame,) = dlt645.take_frames(bytes.fromhex(row["response"])).frames
    assert (frame.address, frame.identifier) == (row["meter"], row["identifier"])
    item = next((item for item in PROFILE.items if item.identifier == row["identifier"]), None)
    if item is None:
        item = MeterItem("item", row["identifier"], len(frame.payload), 10, 1)
    assert dlt645.item_value(item, frame.payload) == pytest.approx(row["value"], rel=1e-12)


@pytest.mark.parametrize(
    "row", [row for row in CASE["frames"] if row["request"]], ids=lambda row: row["identifier"]
)
def test_the_request_for_an_item_is_the_worked_one(row):
    assert dlt645.read_request(row["meter"], row["identifier"], wake_up=0).hex().upper() == row["request"]


def test_requests_with_wildcard_wake_up_and_sequence_are_the_worked_ones():
    assert dlt645.address_request() == PROTOCOL["request: read meter address with the wildcard address"]
    assert (
        dlt645.read_request(dlt645.ANY_METER, "00010000")
        == PROTOCOL["request: forward active energy total, wildcard address"]
    )
    assert (
        dlt645.following_request("123456789012", "03300001", 1, wake_up=0)
        == PROTOCOL["request: follow-up frame for DI 03300001, sequence 1"]
    )


@pytest.mark.parametrize(
    "about",
    [
        "response: wrong checksum",
        "response: end byte wrong",
        "response: second start byte wrong",
        "response: length FFH",
        "only preamble",
    ],
)
def test_a_damaged_frame_gives_nothing(about):
    assert dlt645.take_frames(PROTOCOL[about]).frames == ()


def test_a_frame_that_is_cut_off_is_kept_until_the_rest_comes():
    taken = dlt645.take_frames(PROTOCOL["response: cut off"])
    assert (taken.frames, taken.rest) == ((), bytes.fromhex("681290785634126891083333"))
    whole = bytes.fromhex(CASE["frames"][0]["response"])
    first = dlt645.take_frames(whole[:9])
    assert dlt645.take_frames(first.rest + whole[9:]).frames[0].identifier == "00010000"


def test_the_echo_of_the_own_request_is_no_answer():
    frames = dlt645.take_frames(PROTOCOL["echo of the own request, then the answer"]).frames
    assert [frame.is_answer for frame in frames] == [False, True]
    assert list(dlt645.payloads_of(frames)) == ["00010000"]


def test_a_refusal_is_final_and_has_no_value():
    (frame,) = dlt645.take_frames(bytes.fromhex("6812907856341268D101358D16")).frames
    assert frame.is_error
    assert frame.data == b"\x02"
    assert dlt645.payloads_of([frame]) == {}


def test_a_frame_inside_a_concentrator_frame_is_found():
    frames = dlt645.take_frames(bytes.fromhex(CASE["wrapped"]["frame"])).frames
    assert [dlt645.item_value(ENERGY, frame.payload) for frame in frames] == [CASE["wrapped"]["value"]]


def test_reverse_power_carries_its_sign_in_the_top_bit():
    power = next(item for item in PROFILE.items if item.name == "active_power")
    assert dlt645.item_value(power, bytes.fromhex("122580")) == pytest.approx(-251.2)


def test_digits_that_are_none_are_not_available_and_ratios_multiply():
    assert dlt645.item_value(ENERGY, b"\xff\xff\xff\xff") is Missing.NOT_AVAILABLE
    assert dlt645.item_value(ENERGY, bytes.fromhex("26000000"), Ratios(pt=1, ct=40)) == 10_400


def test_a_dump_of_meter_frames_decodes_to_quantities():
    dump = {
        "schema": "pv-register-dump/1",
        "frames": [{"response": row["response"]} for row in CASE["frames"][:1]],
    }
    decoded = decode_content(PROFILE, dump)
    assert decoded.values == {"imported_energy_wh": 260}
    with pytest.raises(ProblemsError):
        decode_content(PROFILE, {"frames": [{"response": "6800"}]})


@given(before=st.binary(max_size=60).filter(lambda noise: 0x68 not in noise), after=st.binary(max_size=40))
def test_a_frame_in_the_middle_of_noise_is_found(before, after):
    whole = bytes.fromhex(CASE["frames"][0]["response"])
    frames = dlt645.take_frames(before + whole + after).frames
    assert frames[0].payload == bytes.fromhex("26000000")


@given(st.binary(max_size=300))
def test_noise_never_crashes_the_reader(noise):
    taken = dlt645.take_frames(noise)
    assert noise.endswith(taken.rest)
    for frame in taken.frames:
        dlt645.item_value(ENERGY, frame.payload)
