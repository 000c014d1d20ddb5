"""Sparkplug B: births give names, data values, deaths silence; what no birth declared is never guessed."""

import contextlib
import math
import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.connections import DeviceLink
from collector.payloads.sparkplug import (
    Metric,
    Payload,
    Place,
    SparkplugError,
    parse_payload,
    parse_topic,
    place_of,
    typed,
)
from collector.routes import Heard, Incoming, Listener, RouteTable
from tests.collector.plants import link
from tests.collector.sparkplug import metric, payload

NOW = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
MS = round(NOW.timestamp() * 1000) - 60_000
POWER, ENERGY = 11, 12


def device(name: str = "inv01", **changes: object) -> DeviceLink:
    chosen = {"transport": "mqtt", "topic": f"spBv1.0/pv/+/edge/{name}", "profile": "sparkplug"}
    return link(name, 0, station_id="station_a", **(chosen | changes))


def listener(*links: DeviceLink, memory: dict[str, bytes] | None = None) -> Listener:
    return Listener(RouteTable(links or [device()]), memory or {})


def tell(who: Listener, kind: str, data: bytes = b"", name: str = "inv01") -> Heard:
    levels = ["spBv1.0", "pv", kind, "edge", *([name] if kind.startswith("D") else [])]
    return who.read(Incoming("/".join(levels), data, 0, 1, retained=False, generation=1), NOW)


def birth(seq: int = 1, *, power: int = POWER, energy: int = ENERGY) -> bytes:
    return payload(
        [
            metric("Active Power", 1.5, alias=power, datatype=10, at=MS),
            metric("Total Energy", 10_023, alias=energy, datatype=8, at=MS),
            metric("Firmware", "V1", datatype=12, at=MS),
        ],
        at=MS,
        seq=seq,
    )


def test_a_birth_names_the_metrics_and_data_speaks_by_alias() -> None:
    who = listener()
    born = tell(who, "DBIRTH", birth())
    assert [sample.values for sample in born.samples] == [
        {"active_power_w": 1.5, "generated_energy_wh": 10_023_000}
    ]
    data = payload([metric(alias=POWER, value=-7.25, at=MS + 5000), metric(alias=ENERGY, null=True)], seq=2)
    heard = tell(who, "DDATA", data)
    (sample,) = heard.samples
    assert (sample.device_id, sample.values) == ("inv01", {"active_power_w": -7.25})
    assert sample.time == NOW - timedelta(seconds=55)
    assert heard.rejected == []


def test_what_was_declared_outlives_a_restart() -> None:
    memory = tell(listener(), "DBIRTH", birth()).memory
    again = listener(memory=dict(memory))
    heard = tell(again, "DDATA", payload([metric(alias=ENERGY, value=20, at=MS)]))
    assert [sample.values for sample in heard.samples] == [{"generated_energy_wh": 20_000}]


def test_an_alias_without_a_birth_is_set_aside_and_never_guessed() -> None:
    who = listener()
    heard = tell(who, "DDATA", payload([metric(alias=POWER, value=5.0, at=MS)]))
    assert heard.samples == []
    assert "别名 11" in heard.rejected[0].reason
    tell(who, "DBIRTH", birth())
    tell(who, "NBIRTH", payload([metric("bdSeq", 1)], seq=0))
    assert tell(who, "DDATA", payload([metric(alias=POWER, value=5.0, at=MS)])).samples == []


def test_a_message_of_before_the_birth_is_not_read_with_its_aliases() -> None:
    memory = dict(tell(listener(), "DBIRTH", birth()).memory)
    message = Incoming(
        "spBv1.0/pv/DDATA/edge/inv01",
        payload([metric(alias=POWER, value=5.0, at=MS)]),
        mid=0,
        qos=0,
        retained=False,
        generation=0,
    )
    assert listener(memory=memory).read(message, NOW - timedelta(minutes=1)).samples == []
    assert len(listener(memory=memory).read(message, NOW + timedelta(minutes=1)).samples) == 1


def test_deaths_name_the_devices_that_are_gone() -> None:
    who = listener(device(), device("inv02"), device("far", topic="spBv1.0/pv/+/other/far"))
    assert [one.device_id for one in tell(who, "DDEATH").departed] == ["inv01"]
    assert {one.device_id for one in tell(who, "NDEATH").departed} == {"inv01", "inv02"}


def test_lost_messages_show_as_a_gap_in_the_sequence() -> None:
    who = listener()
    tell(who, "NBIRTH", payload([], seq=0))
    assert tell(who, "DBIRTH", birth(seq=1)).gaps == []
    assert tell(who, "DDATA", payload([], seq=2)).gaps == []
    assert tell(who, "DDATA", payload([], seq=2)).gaps == []
    assert tell(who, "DDATA", payload([], seq=4)).gaps == ["pv/edge"]
    tell(who, "DDATA", payload([], seq=255))
    assert tell(who, "DDATA", payload([], seq=0)).gaps == []
    assert tell(who, "NBIRTH", payload([], seq=0)).gaps == []


def test_a_stranger_behind_a_known_edge_node_is_refused_and_the_node_itself_is_not() -> None:
    who = listener()
    stranger = tell(who, "DDATA", birth(), name="stranger")
    assert [item.reason for item in stranger.rejected] == ["这个主题没有登记设备"]
    assert tell(who, "NDATA", payload([metric("Uptime", 5)])).rejected == []


@pytest.mark.parametrize(
    "data",
    [b"\x08", b"\x12\x05abc", b"\xff" * 20, b"\x0b", payload([metric("x", 1)])[:-3], b"\x12\x03\x0a\x01\xff"],
)
def test_broken_bytes_are_set_aside_with_a_reason(data: bytes) -> None:
    heard = tell(listener(), "DDATA", data)
    assert heard.samples == []
    assert len(heard.rejected) == 1


def test_the_filters_take_every_message_of_an_edge_node_and_are_not_shared() -> None:
    table = RouteTable(
        [device(), device("inv02"), link("a", 0, transport="mqtt", topic="a", profile="sunledger")]
    )
    assert table.undivided == ("spBv1.0/pv/+/edge/#",)
    assert table.shareable == ("a",)


def test_a_link_that_is_no_sparkplug_place_or_is_taken_is_shown() -> None:
    table = RouteTable(
        [device(), device("twin", topic=device().topic), device("bad", topic="spBv1.0/pv/DDATA/edge/bad")]
    )
    assert [(one.device_id, "已登记" in why) for one, why in table.problems] == [
        ("twin", True),
        ("bad", False),
    ]


@pytest.mark.parametrize(
    ("topic", "place"),
    [
        ("spBv1.0/g/DDATA/e/d", Place("g", "e", "d")),
        ("spBv1.0/g/NDATA/e", Place("g", "e")),
        ("spBv1.0/g/DDATA/e", None),
        ("spBv1.0/g/NDATA/e/d", None),
        ("spBv1.0/g/NCMD/e", None),
        ("spAv1.0/g/NDATA/e", None),
    ],
)
def test_topics(topic: str, place: Place | None) -> None:
    found = parse_topic(topic)
    assert (found and found[1]) == place


def test_places() -> None:
    assert place_of("spBv1.0/g/+/e/d") == Place("g", "e", "d")
    assert place_of("spBv1.0/+/+/e/d") is None
    assert place_of("spBv1.0/g/+/e/#") is None


@pytest.mark.parametrize(
    ("value", "datatype", "wanted"),
    [
        (0xFFFFFFFF, 3, -1),
        (0xFF, 1, -1),
        (0xFFFF8000, 2, -32768),
        (2**64 - 5, 4, -5),
        (7, 7, 7),
        (True, 3, True),
    ],
)
def test_signed_integers_come_as_their_twos_complement(value: int, datatype: int, wanted: int) -> None:
    assert typed(value, datatype) == wanted


NAMES = st.text(min_size=1, max_size=8)
STAMPS = st.none() | st.integers(0, 2**63)
VALUES = st.integers(0, 2**64 - 1) | st.floats(allow_nan=False) | st.booleans() | st.text(max_size=8)


@given(st.lists(st.tuples(NAMES, VALUES, st.none() | st.integers(0, 2**64 - 1), STAMPS), max_size=6), STAMPS)
def test_every_payload_comes_back_as_it_was_sent(rows: list[tuple], at: int | None) -> None:
    data = payload(
        [metric(name, value, alias=alias, at=stamp) for name, value, alias, stamp in rows], at=at, seq=9
    )
    metrics = tuple(Metric(name, alias, stamp, None, value) for name, value, alias, stamp in rows)
    assert parse_payload(data) == Payload(metrics, at, 9)


@given(st.floats(width=32, allow_nan=False))
def test_a_float_of_32_bits_is_read_exactly(value: float) -> None:
    found = parse_payload(payload([metric("x", value, datatype=9)])).metrics[0].value
    assert struct.pack("<f", found) == struct.pack("<f", value)
    assert math.isfinite(found) == math.isfinite(value)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with contextlib.suppress(SparkplugError):
        parse_payload(data)
    for kind in ("NBIRTH", "DBIRTH", "DDATA", "NDEATH"):
        tell(listener(), kind, data)
