"""Lines as their SIM card, their load and an earlier run know them, and what other processes are told."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from collector.connections import LinkState
from collector.dialin import packet_text, without_heartbeats
from collector.learned import DeviceModel, Learned
from collector.metrics import registry
from collector.profile import load_profile
from collector.settings import MqttSettings
from registry.actors import Actor, Role
from tests.collector import hostile
from tests.collector.hostile import HostileServer
from tests.collector.plants import Bench, link, quick, utc_now

NOW = utc_now()
SETUP = Actor("setup", "安装", Role.COUNTY)
COUNTY, VILLAGE, OTHER = "520499000000", "520499101201", "520499102201"


async def soon(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def test_a_line_that_cost_enough_rests_for_the_day_and_says_so_once(tmp_path: Path) -> None:
    server = HostileServer()
    port = await server.start()
    links = [
        link(name, port, profile="eastron_sdm630", unit_id=n) for n, name in enumerate(("one", "two"), 1)
    ]
    bench = Bench(tmp_path, links, quick(daily_request_cap=4))
    await bench.collector.start()
    await soon(lambda: all(one.state is LinkState.CAPPED for one in bench.collector.connections()))
    asked = len(server.requests)
    await asyncio.sleep(2)
    await bench.collector.stop()
    assert len(server.requests) == asked <= 6
    shown = generate_latest(registry(bench.collector)).decode()
    assert 'sunledger_device_capped{device="one",station="station_one"} 1.0' in shown
    assert 'sunledger_device_requests_today{device="one",station="station_one"}' in shown
    assert "sunledger_dial_in_refused_total 0.0" in shown
    told = [event for event in bench.events if "已到上限" in event.message]
    assert len(told) == 2
    assert sum(one.requests for one in bench.collector.connections()) == asked
    await server.stop()
    bench.close()


async def test_a_line_with_too_many_devices_is_shown_as_overloaded(tmp_path: Path) -> None:
    def slow(request: hostile.Request, chance: object) -> bytes | None:
        time.sleep(0.25)  # blocks the only loop as a slow line would
        return hostile.honest(request, chance)  # type: ignore[arg-type]

    server = HostileServer(mood=slow)
    port = await server.start()
    links = [
        link(f"meter_{n}", port, profile="eastron_sdm630", unit_id=n, station_id="same") for n in range(1, 7)
    ]
    bench = Bench(tmp_path, links, quick(request_timeout_seconds=2.0))
    await bench.collector.start()
    await soon(
        lambda: any(one.state is LinkState.OVERSUBSCRIBED for one in bench.collector.connections()), 25
    )
    await bench.collector.stop()
    assert sum(one.skipped for one in bench.collector.connections()) >= 3
    await server.stop()
    bench.close()


async def test_what_a_device_lacks_is_not_asked_again_after_a_restart(tmp_path: Path) -> None:
    profile = load_profile("eastron_sdm630")
    absent = next(item for item in profile.fields if item.quantity == "power_factor")

    def picky(request: hostile.Request, chance: object) -> bytes | None:
        if request.address <= absent.address < request.address + request.count:
            return request.answer(bytes([request.function | 0x80, 2]))
        return hostile.honest(request, chance)  # type: ignore[arg-type]

    server = HostileServer(mood=picky)
    links = [link("meter", await server.start(), profile="eastron_sdm630")]
    (tmp_path / "first").mkdir()
    bench = Bench(tmp_path / "first", links)
    await bench.collector.start()
    await soon(lambda: len(bench.stored("meter")) > 0)
    await bench.collector.stop()
    learned = bench.collector.learned.all()
    bench.close()
    assert (absent.function_code, absent.address) in learned[DeviceModel("meter", "eastron_sdm630")]

    server.requests.clear()
    bench = Bench(tmp_path, links, learned=Learned(learned))
    await bench.collector.start()
    await soon(lambda: len(bench.stored("meter")) > 0)
    await bench.collector.stop()
    assert not any(one.address <= absent.address < one.address + one.count for one in server.requests)
    await server.stop()
    bench.close()


async def test_a_broker_that_only_a_device_names_must_lie_in_the_allowed_networks(tmp_path: Path) -> None:
    links = [link("m", 1883, transport="mqtt", host="127.0.0.1", topic="pv/a/b", profile="sunledger")]
    settings = quick(allowed_networks=("10.0.0.0/8",), mqtt=MqttSettings(host="10.9.9.9"))
    bench = Bench(tmp_path, links, settings)
    await bench.collector.start()
    (status,) = bench.collector.connections()
    await bench.collector.stop()
    assert status.state is LinkState.MISCONFIGURED
    assert "不在允许的网段" in status.last_error
    assert bench.collector.status().sessions == ()
    bench.close()


@pytest.mark.parametrize("query", ["baud=abc", "baud=-5", "baud=12345", "parity=X", "baud=", "parity="])
async def test_a_serial_port_that_cannot_be_set_so_is_a_wrong_setting(tmp_path: Path, query: str) -> None:
    bench = Bench(tmp_path, [link("m", 0, transport="modbus-serial", host=f"/dev/ttyS9?{query}")])
    await bench.collector.start()
    (status,) = bench.collector.connections()
    await bench.collector.stop()
    assert status.state is LinkState.MISCONFIGURED
    assert "不可用" in status.last_error
    bench.close()


def test_heartbeats_are_taken_from_both_ends_of_an_answer() -> None:
    assert without_heartbeats(b"hb!hb!\x01\x03\x02\x00\x01hb!", (b"hb!",)) == b"\x01\x03\x02\x00\x01"
    assert without_heartbeats(b"\xfe\x01\x03\xfe", (b"\xfe",)) == b"\x01\x03\xfe"
    assert without_heartbeats(b"", (b"hb!", b"")) == b""


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (b"VILLAGE-01", "VILLAGE-01"),
        (b"\x01\xff", "hex:01FF"),
        (b"AB\r\n", "hex:41420D0A"),
        (b"hex:1", "hex:6865783A31"),
    ],
)
def test_a_refused_packet_is_shown_as_it_would_be_registered(packet: bytes, text: str) -> None:
    assert packet_text(packet) == text
