"""A file of history is played as live devices: the values, the pace and the gaps of then."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import generate_latest

from collector.metrics import registry
from collector.replay import ReplayPlant, replay_links
from collector.simulator import Simulator
from collector.telemetry import read_mapping
from tests.collector.plants import Bench, SteadyPlant, link, utc_now

STARTED = datetime(2026, 11, 1, tzinfo=UTC)
FIRST = datetime(2026, 6, 1, 2, 0, tzinfo=UTC)
MAPPING = """
format = "sunledger-telemetry/1"
[csv]
[time]
column = "time"
format = "iso"
zone = "UTC"
[device]
column = "sn"
[[quantity]]
name = "active_power_w"
column = "power"
unit = "W"
[[quantity]]
name = "generated_energy_wh"
column = "energy"
unit = "Wh"
"""


def written(folder: Path) -> tuple[Path, Path]:
    rows = ["time,sn,power,energy"]
    for minute in (*range(0, 30, 5), *range(60, 90, 5)):
        moment = FIRST + timedelta(minutes=minute)
        rows += [f"{moment:%Y-%m-%dT%H:%M:%S},{sn},{1000 + minute},{50_000 + minute}" for sn in ("a", "b")]
    data, mapping = folder / "history.csv", folder / "history.toml"
    data.write_text("\n".join(rows) + "\n")
    mapping.write_text(MAPPING)
    return data, mapping


def test_each_instant_shows_what_the_file_says_for_it(tmp_path: Path) -> None:
    data, mapping = written(tmp_path)
    plant = ReplayPlant(data, read_mapping(mapping), STARTED)
    assert len(plant.device_ids) == 2
    device = plant.device_ids[0]
    shown = [
        plant.values(device, STARTED + timedelta(minutes=minute)) for minute in (0, 6, 24, 30, 50, 61, 200)
    ]
    energies = [None if values is None else values["generated_energy_wh"] for values in shown]
    assert energies == [50_000, 50_005, 50_020, 50_025, None, 50_060, None]
    assert plant.values("stranger", STARTED) is None


def test_time_can_run_faster_and_start_later(tmp_path: Path) -> None:
    data, mapping = written(tmp_path)
    plant = ReplayPlant(data, read_mapping(mapping), STARTED, speed=60, origin=FIRST + timedelta(minutes=60))
    values = plant.values(plant.device_ids[1], STARTED + timedelta(seconds=11))
    assert values is not None
    assert values["active_power_w"] == 1070


async def test_a_replayed_file_is_polled_like_the_field(tmp_path: Path, free_port: int) -> None:
    data, mapping = written(tmp_path)
    plant = ReplayPlant(data, read_mapping(mapping), utc_now(), speed=60)
    links = replay_links(plant.device_ids, port=free_port, cycle_seconds=1)
    assert [one.unit_id for one in links] == [1, 2]
    simulator = Simulator(links, plant, utc_now)
    await simulator.start()
    bench = Bench(tmp_path, list(links))
    await bench.collector.start()
    deadline = time.monotonic() + 10
    while len(bench.stored(links[0].device_id)) < 3:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    await bench.collector.stop()
    await simulator.stop()
    powers = [sample.values["active_power_w"] for sample in bench.stored(links[0].device_id)]
    assert set(powers) <= {1000.0 + minute for minute in range(0, 90, 5)}
    bench.close()


async def test_metrics_name_every_device_and_where_samples_have_gone(tmp_path: Path, free_port: int) -> None:
    links = [link("inverter_1", free_port), link("inverter_2", 1)]
    simulator = Simulator(links[:1], SteadyPlant(), utc_now)
    await simulator.start()
    bench = Bench(tmp_path, links)
    await bench.collector.start()
    deadline = time.monotonic() + 10
    while not bench.stored("inverter_1") or bench.collector.connections()[1].missed == 0:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    text = generate_latest(registry(bench.collector)).decode()
    assert 'sunledger_device_good{device="inverter_1",station="station_inverter_1"} 1.0' in text
    assert 'sunledger_device_good{device="inverter_2",station="station_inverter_2"} 0.0' in text
    assert 'sunledger_spool_samples_total{fate="dropped"} 0.0' in text
    assert "sunledger_spool_imbalance 0.0" in text
    await bench.collector.stop()
    await simulator.stop()
    bench.close()
