"""Whatever bytes come, decoders and mappings answer with values or reasons, and never with an exception.

Hypothesis makes inputs from the shapes of real ones and shrinks what it finds; a seeded mutator, which is a
hundred times faster, spoils real dumps and messages a million times in `make soak`.
"""

import contextlib
import json
import os
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.decode import decode_content
from collector.dlt645 import decode_payloads, payloads_of, take_frames
from collector.payloads import Speaker, TopicNames, list_mappings, load_mapping, read_message
from collector.payloads.sparkplug import SparkplugError, parse_payload
from collector.profile import decode, list_profiles, load_profile
from collector.routes import Incoming, Listener, RouteTable
from store.problem import ProblemsError
from tests.collector.plants import link
from tests.collector.sparkplug import metric, payload

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
EXAMPLES = 3_000 if SOAK else 60
MUTATIONS = 1_000_000 if SOAK else 10_000
SHARES = 4
NOW = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
MS = round(NOW.timestamp() * 1000)
PROFILES = [name for name in list_profiles() if load_profile(name).protocol == "modbus"]
JSON_MAPPINGS = [name for name in list_mappings() if load_mapping(name).encoding == "json"]

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
WORDS = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF]) | st.integers(0, 0xFFFF)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([MS, MS // 1000, "2026-06-01 12:00:00", "--", "", "NaN", "1e999", "12.5", "inv01"])
    | st.text(max_size=8)
)
KEYS = st.sampled_from(
    [
        *("time", "ts", "t", "timestamp", "data", "params", "values", "value", "name", "key", "properties"),
        *("Data", "tags", "fields", "metric", "rtcTime", "node", "device", "inv01", "inv01_pac", "state"),
        *("active_power", "active_power_w", "total_energy", "generated_energy_wh", "ActivePower", "station"),
    ]
)
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


@pytest.mark.soak
@fuzzed
@given(st.sampled_from(PROFILES), st.data())
def test_any_registers(name: str, data: Any) -> None:
    profile = load_profile(name)
    if profile.fields:
        keys = [key for field in profile.fields for key in field.keys]
        seed, start = data.draw(st.lists(WORDS, min_size=1, max_size=8)), data.draw(st.integers(0, 7))
        words = {key: seed[(index + start) % len(seed)] for index, key in enumerate(keys)}
        for key in data.draw(st.lists(st.sampled_from(keys), max_size=4)):
            words.pop(key, None)
    else:
        found = data.draw(st.lists(WORDS, min_size=2, max_size=60))
        words = {(3, 40_000 + index): word for index, word in enumerate([0x5375, 0x6E53, *found])}
    with contextlib.suppress(ProblemsError):
        decode(profile, words, with_points=data.draw(st.booleans()))


@pytest.mark.soak
@fuzzed
@given(
    st.sampled_from(list_profiles()),
    BODIES,
    st.lists(st.binary(max_size=60) | st.text(max_size=20), max_size=3),
)
def test_any_dump(name: str, body: object, frames: list[bytes | str]) -> None:
    texts = [frame.hex() if isinstance(frame, bytes) else frame for frame in frames]
    content: dict[str, Any] = {"format": "pv-register-dump/1", "frames": texts, "registers": body}
    with contextlib.suppress(ProblemsError):
        decode_content(load_profile(name), content)


@pytest.mark.soak
@fuzzed
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\x68", b"\xfe", b"\x16", b"\x91"]), max_size=8))
def test_any_meter_bytes(parts: list[bytes]) -> None:
    inner = b"".join(parts)[:200]
    body = b"\x68" + bytes(6) + b"\x68\x91" + bytes([len(inner)]) + inner
    whole = body + bytes([sum(body) & 0xFF]) + b"\x16"
    for data in (inner, whole, inner + whole + inner):
        decode_payloads(load_profile("dlt645_2007"), payloads_of(take_frames(data).frames))


@pytest.mark.soak
@fuzzed
@given(st.sampled_from(JSON_MAPPINGS), BODIES)
def test_any_json(name: str, body: object) -> None:
    names = TopicNames("a", "inv01", "total_energy") if name == "value_per_topic" else TopicNames()
    reading = read_message(
        load_mapping(name), json.dumps(body).encode(), {"inv01": Speaker("d", "a")}, NOW, names
    )
    assert reading.samples or reading.faults or names.point


@pytest.mark.soak
@fuzzed
@given(st.sampled_from(JSON_MAPPINGS), BODIES, st.binary(max_size=6), st.integers(0, 2000))
def test_any_broken_json(name: str, body: object, noise: bytes, place: int) -> None:
    data = json.dumps(body).encode()
    cut = data[: place % (len(data) + 1)] + noise + data[(place + len(noise)) % (len(data) + 1) :]
    read_message(load_mapping(name), cut, {"inv01": Speaker("d")}, NOW)


@pytest.mark.soak
@fuzzed
@given(st.binary(max_size=120), st.integers(0, 200), st.binary(max_size=4))
def test_any_sparkplug_bytes(data: bytes, place: int, noise: bytes) -> None:
    real = payload(
        [metric("Active Power", 1.5, alias=1, at=MS), metric(alias=2, value=7, at=MS)], at=MS, seq=1
    )
    for candidate in (data, real[: place % len(real)] + noise + real[place % len(real) :]):
        with contextlib.suppress(SparkplugError):
            parse_payload(candidate)


VALUES = st.integers(0, 2**64 - 1) | st.floats() | st.booleans() | st.text(max_size=6)
METRICS = st.builds(
    metric,
    st.sampled_from(["Active Power", "Total Energy", "Status", "x", ""]),
    VALUES,
    alias=st.none() | st.integers(0, 4),
    at=st.none() | st.just(MS) | st.integers(0, 2**64 - 1),
    datatype=st.none() | st.integers(0, 30) | st.integers(0, 2**64 - 1),
    null=st.booleans(),
)
KINDS = st.sampled_from(["NBIRTH", "DBIRTH", "DDATA", "DDATA", "NDATA", "DDEATH", "NDEATH"])
SPOKEN = st.tuples(KINDS, st.lists(METRICS, max_size=5), st.none() | st.integers(0, 255))


@pytest.mark.soak
@fuzzed
@given(st.lists(SPOKEN, min_size=1, max_size=6))
def test_any_conversation_of_an_edge_node(spoken: list[tuple[str, list[bytes], int | None]]) -> None:
    device = link("d", 0, transport="mqtt", topic="spBv1.0/g/+/e/d", profile="sparkplug")
    memory: dict[str, bytes] = {}
    for kind, metrics, seq in spoken:
        topic = f"spBv1.0/g/{kind}/e" + ("/d" if kind.startswith("D") else "")
        message = Incoming(topic, payload(metrics, seq=seq), 0, 1, retained=False, generation=1)
        # A new listener each time: what is remembered must be enough.
        memory.update(Listener(RouteTable([device]), memory).read(message, NOW).memory)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Spoil bytes as lines, software and people do: flips, cuts, repeats, noise, other numbers."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(out) + 1)
        kind = chance.randrange(6)
        if kind == 0 and out:
            out[place % len(out)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del out[place : place + chance.randint(1, 20)]
        elif kind == 2:
            out[place:place] = out[place : place + chance.randint(1, 40)]
        elif kind == 3:
            out[place:place] = chance.randbytes(chance.randint(1, 4))
        elif kind == 4:
            out[place : place + 2] = chance.choice(
                [b"-1", b"1e999", b"null", b"[]", b"{}", b'"', b"\xff\xff", b"99"]
            )
        else:
            del out[chance.randint(0, len(out)) :]
    return bytes(out)


MESSAGES = [
    b'{"time": %d, "active_power_w": 5.5, "generated_energy_wh": "12", "state": 3}' % MS,
    b'{"ts": %d, "values": {"active_power": 1, "total_energy": 2.5}, "station": "a"}' % MS,
    b'{"inv01": [{"ts": %d, "values": {"active_power": 100, "total_energy": 1.001}}]}' % MS,
    b'{"params": {"ActivePower": {"value": 12.5, "time": %d}, "TotalEnergy": {"value": "1"}}}' % MS,
    b'{"ts": %d, "properties": [{"key": "\xe9\xa2\x91\xe7\x8e\x87", "value": 50}]}' % (MS // 1000),
    b'{"time": "2026-6-1 11:59:00", "Data": [{"name": "PAC", "value": "7.5"}]}',
    b'{"rtcTime": %d, "metric": {"pac": 900, "eDay": "--", "eTotal": 5.5}}' % MS,
    b'{"timestamp": %d, "node": "inv01", "tags": [{"name": "active_power", "error": 3}]}' % MS,
    b'{"sn": "L", "data": [{"t": %d, "inv01_pac": 1.5, "inv01_etotal": 2.5}]}' % (MS // 1000),
    b'{"fields": {"active_power": 7}, "tags": {"device": "inv01"}, "timestamp": %d}' % (MS // 1000),
]
SPARKPLUGS = [
    payload(
        [metric("Active Power", 1.5, alias=1, datatype=10, at=MS), metric("Status", -3, datatype=3)], seq=1
    ),
    payload([metric(alias=1, value=7, at=MS), metric(alias=2, null=True)], at=MS, seq=2),
]
METER = bytes.fromhex("fefefefe68610100000000689108333334335933333316")


def try_one(chance: random.Random) -> None:
    """Spoil one input of one kind and hand it to its reader."""
    kind = chance.randrange(4)
    if kind == 0:
        name, data = chance.choice(JSON_MAPPINGS), mutated(chance.choice(MESSAGES), chance)
        read_message(load_mapping(name), data, {"inv01": Speaker("d", "a")}, NOW)
    elif kind == 1:
        with contextlib.suppress(SparkplugError):
            parse_payload(mutated(chance.choice(SPARKPLUGS), chance))
    elif kind == 2:
        data = mutated(METER * chance.randint(1, 3), chance)
        decode_payloads(load_profile("dlt645_2007"), payloads_of(take_frames(data).frames))
    else:
        profile = load_profile(chance.choice(PROFILES))
        fields = chance.sample(profile.fields, min(len(profile.fields), 12))
        edges = (0, 1, 0x7FFF, 0x8000, 0xFFFF, chance.getrandbits(16))
        words = {key: chance.choice(edges) for field in fields for key in field.keys if chance.random() < 0.9}
        with contextlib.suppress(ProblemsError):
            decode(profile, words, with_points=chance.random() < 0.5)


@pytest.mark.soak
@pytest.mark.parametrize("share", range(SHARES))
def test_spoiled_inputs_of_every_kind(share: int) -> None:
    seed, count = 20260610 + share, MUTATIONS // SHARES
    chance = random.Random(seed)
    for _ in range(count):
        try_one(chance)
    print(f"seed {seed}: {count} spoiled inputs, 0 crashes")
