"""The ratios of the transformers in front of a meter reach the samples of the live collector."""

import asyncio
from pathlib import Path

import pytest

from collector.connections import LinkState
from collector.profile import load_profile
from store.problem import ProblemsError
from tests.collector.plants import Bench, link
from tests.collector.register_server import RegisterServer
from tests.collector.test_meterline import Meters
from tests.collector.test_poller import soon

PHASES = {97 + n: 2301 for n in range(3)} | {100 + n: 150 for n in range(3)}
DOUBLE_WORDS = {10: 12_345_678, 20: 7, 40: 0, 50: 0, 362: 2_000, 370: 100, 378: 2_100}


def acrel() -> dict[tuple[int, int], int]:
    """A meter that shows its secondary side: 123 456.78 kWh, 230.1 V, 1.5 A, 2 kW; by the maker's table."""
    words = {(3, address): 0 for address in range(400)}
    words |= {(3, address): word for address, word in PHASES.items()}
    for address, number in DOUBLE_WORDS.items():
        words[3, address], words[3, address + 1] = number >> 16, number & 0xFFFF
    return words


async def test_a_meter_behind_current_transformers_is_stored_in_primary_values(tmp_path: Path) -> None:
    server = RegisterServer({1: acrel(), 2: acrel(), 3: acrel()})
    port = await server.start()
    links = [
        link("direct", port, profile="acrel_dtsd1352"),
        link("low", port, unit_id=2, profile="acrel_dtsd1352?ct=30"),
        link("high", port, unit_id=3, profile="acrel_dtsd1352?pt=100&ct=20"),
    ]
    bench = Bench(tmp_path, links)
    await bench.collector.start()
    await soon(lambda: all(bench.stored(one.device_id) for one in links), 20)
    await bench.collector.stop()
    found = {one.device_id: bench.stored(one.device_id)[0].values for one in links}
    assert found["direct"]["imported_energy_wh"] == 123_456_780
    assert found["low"]["imported_energy_wh"] == 30 * 123_456_780
    assert found["high"]["imported_energy_wh"] == 2000 * 123_456_780
    assert found["low"]["active_power_w"] == pytest.approx(30 * 2000)
    assert found["low"]["voltage_a_v"] == pytest.approx(230.1)
    assert found["low"]["current_a_a"] == pytest.approx(45.0)
    assert found["high"]["voltage_a_v"] == pytest.approx(23_010)
    bench.close()
    await server.stop()


async def test_a_dlt645_meter_behind_current_transformers_is_stored_in_primary_values(tmp_path: Path) -> None:
    meters = Meters("123456789012")
    server = await asyncio.start_server(meters.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    one = link(
        "m", port, serial="123456789012", transport="dlt645-tcp", profile="dlt645_2007?ct=40", cycle_seconds=2
    )
    bench = Bench(tmp_path, [one])
    await bench.collector.start()
    await soon(lambda: bool(bench.stored("m")), 20)
    await bench.collector.stop()
    values = bench.stored("m")[0].values
    assert values["imported_energy_wh"] == 40 * 1_234_560
    assert values["active_power_w"] == pytest.approx(-40 * 251.2)
    server.close()
    bench.close()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "name", ["?", "?ct=0", "?ct=-1", "?ct=1.5", "?ct=30&ct=2", "?xt=3", "?ct=99999999", "?ct=³"]
)
def test_ratios_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ProblemsError, match="不是互感器变比"):
        load_profile(f"acrel_dtsd1352{name}")


async def test_a_profile_in_primary_values_takes_no_ratio(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [link("inverter", 1, profile="sungrow_sg_string?ct=30")])
    await bench.collector.start()
    (status,) = bench.collector.connections()
    await bench.collector.stop()
    assert status.state is LinkState.MISCONFIGURED
    assert "不乘互感器变比" in status.last_error
    bench.close()
