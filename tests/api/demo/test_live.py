"""The living county answers on real wires with what its plant would show."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from pathlib import Path

import orjson
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient

from api.demo.county import SMALL, build_county
from api.demo.live import LiveCounty, live_county, settle_ports
from api.demo.registration import register_county
from api.demo.seeding import Marker
from collector.connections import MODBUS_TCP, MQTT
from collector.profile import decode, load_profile, plan_blocks
from registry.actors import SYSTEM
from registry.stations import Device, devices
from store.db import Database

ANCHOR = date(2026, 11, 25)
NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
SEED = 7
COUNTY = build_county(SEED, SMALL, ANCHOR)


@pytest.fixture
def living(database: Database, tmp_path: Path) -> Iterator[tuple[LiveCounty, tuple[Device, ...]]]:
    with database.transaction() as session:
        register_county(session, COUNTY)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "county.json").write_text(Marker(SEED, ANCHOR, SMALL).text(), encoding="utf-8")
    with live_county(database, tmp_path, lambda: NOON) as living:
        with database.reading() as session:
            listed = devices(session, SYSTEM, on=ANCHOR)
        yield living, listed


async def read(device: Device) -> dict[str, float | int]:
    client = AsyncModbusTcpClient(device.host, port=device.port, timeout=3)
    assert await client.connect()
    profile = load_profile(device.profile)
    words: dict[tuple[int, int], int] = {}
    for block in plan_blocks(profile):
        call = client.read_input_registers if block.function_code == 4 else client.read_holding_registers
        answer = await call(block.address, count=block.count, device_id=device.unit_id)
        assert not answer.isError()
        words |= {
            (block.function_code, block.address + place): word for place, word in enumerate(answer.registers)
        }
    client.close()
    return dict(decode(profile, words).values)


async def test_polled_devices_show_their_counters_behind_ports_and_gateways(living) -> None:
    county, listed = living
    plant = COUNTY.plant()
    polled = [device for device in listed if device.transport == MODBUS_TCP]
    assert county.polled_devices == len(polled)
    for device in polled:
        shown = plant.values(device.id, NOON)
        if shown is None:
            continue
        counter = "exported_energy_wh" if device.kind == "meter" else "generated_energy_wh"
        got = await asyncio.wait_for(read(device), 10)
        assert got[counter] == shown[counter]


def test_pushed_devices_publish_to_the_broker(living) -> None:
    county, listed = living
    pushed = {device.topic: device.id for device in listed if device.transport == MQTT}
    assert county.pushed_devices == len(pushed) > 0
    heard: dict[str, bytes] = {}
    one = threading.Event()

    def on_message(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        heard[message.topic] = message.payload
        one.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.on_message = on_message
    client.on_connect = lambda *_: client.subscribe("sunledger/#", qos=1)
    client.connect("127.0.0.1", county.mqtt_port)
    client.loop_start()
    assert one.wait(70)
    client.loop_stop()
    client.disconnect()
    topic, payload = next(iter(heard.items()))
    shown = COUNTY.plant().values(pushed[topic], NOON)
    message = orjson.loads(payload)
    counter = "exported_energy_wh" if topic.endswith("meter") else "generated_energy_wh"
    assert shown is not None
    assert message[counter] == shown[counter]


def test_a_port_that_is_taken_is_replaced_in_the_registry_too(database: Database) -> None:
    with database.transaction() as session:
        register_county(session, COUNTY)
    wanted = next(device.port for device in COUNTY.devices if device.transport == MODBUS_TCP)
    with closing(socket.socket()) as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # a demo that lives on this machine has taken it already
            squatter.bind(("127.0.0.1", wanted))
            squatter.listen()
        with database.transaction() as session:
            settle_ports(session)
    with database.reading() as session:
        now = {device.id: device.port for device in devices(session, SYSTEM)}
    moved = [device for device in COUNTY.devices if device.port == wanted]
    assert moved
    assert len({now[device.id] for device in moved}) == 1
    assert now[moved[0].id] != wanted
