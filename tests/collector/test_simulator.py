"""Simulated devices answer like real ones: to our decoder, to a foreign client, and never to a write."""

import asyncio
import subprocess
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.encode import Encoder, encode_message
from collector.modbus import Line, ModbusClient, Ok, Permanent, Retryable
from collector.payloads import Speaker, list_mappings, load_mapping, read_message
from collector.profile import Identity, decode, list_profiles, load_profile, plan_blocks
from collector.simulator import ModbusSimulator, Simulator
from tests.collector.plants import SteadyPlant, link, utc_now

NOON = datetime(2026, 6, 1, 4, 0, 5, tzinfo=UTC)
MODBUS_PROFILES = [name for name in list_profiles() if load_profile(name).protocol != "dlt645"]


@pytest.mark.parametrize("name", MODBUS_PROFILES)
@given(power=st.integers(0, 60_000), energy=st.integers(1_000, 900_000_000))
@settings(max_examples=15, deadline=None)
def test_what_a_profile_encodes_it_decodes(name: str, power: int, energy: int) -> None:
    encoder = Encoder(load_profile(name), Identity(serial="A1234", rated_power_w=60_000))
    shown = {
        "active_power_w": float(power),
        "generated_energy_wh": energy // 1000 * 1000,
        "exported_energy_wh": energy // 1000 * 1000,
        "state": 3,
    }
    words = encoder.words(shown, NOON)
    blocks = plan_blocks(encoder.profile)
    fetched = {
        (block.function_code, block.address + index): words.get(
            (block.function_code, block.address + index), 0
        )
        for block in blocks
        for index in range(block.count)
    }
    values = decode(encoder.profile, fetched).values
    has = {field.quantity for field in encoder.profile.fields}
    for quantity in has & {"generated_energy_wh", "exported_energy_wh"}:
        assert abs(values[quantity] - shown[quantity]) <= 10, quantity
    if "active_power_w" in has:
        assert values["active_power_w"] == pytest.approx(power, abs=10)
    if "state" in values:
        assert values["state"] == 3


def json_mappings() -> list[str]:
    """The mappings that a simulated device can speak; Sparkplug B has a protocol of its own."""
    return [name for name in list_mappings() if load_mapping(name).encoding == "json"]


@pytest.mark.parametrize("name", json_mappings())
def test_what_a_mapping_encodes_it_reads(name: str) -> None:
    mapping = load_mapping(name)
    shown = {"active_power_w": 45_600.0, "generated_energy_wh": 123_456_000, "exported_energy_wh": 5_000}
    message = encode_message(mapping, shown, at=NOON, serial="inv01")
    reading = read_message(mapping, message, {"inv01": Speaker("device_a")}, NOON)
    assert reading.faults == ()
    assert len(reading.samples) == 1
    sample = reading.samples[0]
    assert (sample.device_id, sample.time, sample.flags) == ("device_a", NOON, 0)
    assert sample.values == {key: value for key, value in shown.items() if key in mapping.quantities}


async def serving(port: int, plant: SteadyPlant, *units: int) -> ModbusSimulator:
    links = [link(f"device_{unit}", port, unit_id=unit) for unit in units]
    simulator = Simulator(links, plant, utc_now)
    await simulator.start()
    return simulator.servers[0]


async def test_a_foreign_client_reads_the_simulated_inverter(free_port: int) -> None:
    server = await serving(free_port, SteadyPlant(), 1)
    field = next(
        item for item in load_profile("sungrow_sg_string").fields if item.quantity == "generated_energy_wh"
    )
    command = ["mbpoll", "-m", "tcp", "-p", str(free_port), "-a", "1", "-0", "-1", "-q"]
    command += ["-t", "3" if field.function_code == 4 else "4"]
    command += ["-r", str(field.address), "-c", str(field.count), "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = (await process.communicate())[0].decode()
    words = [int(line.split(":")[1].split()[0]) for line in output.splitlines() if line.startswith("[")]
    assert len(words) == field.count, output
    low, high = words if field.low_word_first else words[::-1]
    assert (high << 16 | low) * field.numerator // field.denominator == pytest.approx(123_456_700, abs=1000)
    await server.stop()


async def test_a_write_is_refused_and_changes_nothing(free_port: int) -> None:
    server = await serving(free_port, SteadyPlant(), 1)
    process = await asyncio.create_subprocess_exec(
        *["mbpoll", "-m", "tcp", "-p", str(free_port), "-a", "1", "-0", "-t", "4", "-r", "5000"],
        *["-q", "127.0.0.1", "7"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert "Illegal function" in output
    assert server.functions_seen & {5, 6, 15, 16}
    await server.stop()


async def test_a_gateway_answers_for_its_units_and_says_when_one_is_silent(free_port: int) -> None:
    plant = SteadyPlant()
    plant.silent = {"device_2"}
    server = await serving(free_port, plant, 1, 2, 3)
    client = ModbusClient(Line("127.0.0.1", free_port, timeout=0.5))
    await client.connect()
    results = [await client.read(unit, 4, 5030, 2) for unit in (1, 2, 3, 4)]
    assert [type(result) for result in results] == [Ok, Retryable, Ok, Retryable]
    assert {result.exception_code for result in results if isinstance(result, Retryable)} == {11}
    assert isinstance(await client.read(1, 4, 60_000, 2), Permanent)
    client.close()
    await server.stop()


async def test_a_silent_inverter_is_silent(free_port: int) -> None:
    plant = SteadyPlant()
    plant.silent = {"device_1"}
    server = await serving(free_port, plant, 1)
    client = ModbusClient(Line("127.0.0.1", free_port, timeout=0.2))
    await client.connect()
    result = await client.read(1, 4, 5030, 2)
    assert isinstance(result, Retryable)
    assert result.layer == "silence"
    await server.stop()


async def test_the_image_is_made_once_a_second_not_once_a_request(free_port: int) -> None:
    plant = SteadyPlant()
    server = await serving(free_port, plant, 1)
    client = ModbusClient(Line("127.0.0.1", free_port, timeout=1))
    await client.connect()
    began = time.monotonic()
    for _ in range(20):
        assert isinstance(await client.read(1, 4, 5030, 2), Ok)
    assert len(plant.asked) <= 1 + (time.monotonic() - began)
    client.close()
    await server.stop()


def test_links_of_other_transports_are_left_out() -> None:
    links = [link("a", 1, transport="dlt645-tcp")]
    simulator = Simulator(links, SteadyPlant(), utc_now)
    assert (simulator.servers, simulator.publishers) == ([], [])
