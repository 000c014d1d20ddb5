"""Identity comes from the topic: no message reaches the devices of another station than its topic's."""

import json
from datetime import UTC, datetime

import pytest

from collector.connections import DeviceLink
from collector.routes import CONTESTED, Heard, Incoming, Listener, RouteTable
from tests.collector.plants import link

NOW = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
STAMP = round(NOW.timestamp()) - 60


def mqtt(device: str, station: str, topic: str, profile: str, serial: str = "") -> DeviceLink:
    return link(device, 0, transport="mqtt", station_id=station, topic=topic, profile=profile, serial=serial)


def heard(links: list[DeviceLink], topic: str, body: object) -> Heard:
    listener = Listener(RouteTable(links), {})
    message = Incoming(topic, json.dumps(body).encode(), 0, 1, retained=False, generation=1)
    return listener.read(message, NOW)


SHARED = "pv/+/+"
LINKS = [
    mqtt("d1", "station_a", SHARED, "station_and_device", "inv01"),
    mqtt("d2", "station_a", SHARED, "station_and_device", "inv02"),
    mqtt("d3", "station_b", SHARED, "station_and_device", "inv01"),
]


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("pv/station_a/inv01", "d1"),
        ("pv/station_a/inv02", "d2"),
        ("pv/station_b/inv01", "d3"),
        ("pv/station_a/d1", "d1"),
    ],
)
def test_station_and_device_are_taken_from_the_topic(topic: str, device: str) -> None:
    found = heard(LINKS, topic, {"ts": STAMP, "active_power": 1})
    assert [sample.device_id for sample in found.samples] == [device]
    assert found.rejected == []


@pytest.mark.parametrize(
    "topic", ["pv/station_b/inv02", "pv/station_c/inv01", "pv/station_a", "x/station_a/inv01"]
)
def test_a_topic_of_nobody_is_refused(topic: str) -> None:
    found = heard(LINKS, topic, {"ts": STAMP, "active_power": 1})
    assert found.samples == []
    assert "没有登记" in found.rejected[0].reason


def test_two_stations_on_one_topic_are_refused_where_only_the_payload_could_tell_them_apart() -> None:
    links = [
        mqtt("d1", "station_a", "v1/gateway/telemetry", "thingsboard_gateway", "inv01"),
        mqtt("d2", "station_b", "v1/gateway/telemetry", "thingsboard_gateway", "inv02"),
        mqtt("d3", "station_b", "v1/gateway/b", "thingsboard_gateway", "inv03"),
    ]
    table = RouteTable(links)
    assert [one.device_id for one, _ in table.problems] == ["d1", "d2"]
    assert table.shareable == ("v1/gateway/b",)


def test_overlapping_filters_of_two_stations_accept_nothing() -> None:
    links = [
        mqtt("d1", "station_a", "pv/#", "neuron", "inv01"),
        mqtt("d2", "station_b", "pv/b", "neuron", "inv01"),
    ]
    body = {"timestamp": STAMP * 1000, "node": "inv01", "values": {"active_power": 1}}
    found = heard(links, "pv/b", body)
    assert (found.samples, found.rejected[0].reason) == ([], CONTESTED)
    assert [sample.device_id for sample in heard(links, "pv/a", body).samples] == ["d1"]


def test_a_device_of_another_topic_cannot_be_named_in_a_payload() -> None:
    links = [
        mqtt("d1", "station_a", "gw/a", "neuron", "inv01"),
        mqtt("d2", "station_b", "gw/b", "neuron", "inv02"),
    ]
    body = {"timestamp": STAMP * 1000, "node": "inv02", "values": {"active_power": 1}}
    found = heard(links, "gw/a", body)
    assert found.samples == []
    assert "inv02" in found.rejected[0].reason
