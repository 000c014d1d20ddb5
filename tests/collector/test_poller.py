"""Polling: values arrive once, failures give events and never samples, and nobody waits for a bad device."""

import asyncio
import itertools
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from collector.connections import LinkState
from collector.costs import PREFIX, Cost, Costs
from collector.device import cycle_view, phase_of
from collector.profile import decode, load_profile, plan_blocks
from collector.simulator import Simulator
from store.events import EventKind
from tests.collector import hostile
from tests.collector.hostile import HostileServer
from tests.collector.plants import Bench, SteadyPlant, link, quick, utc_now

GOOD_DEVICES = 395 if os.environ.get("SUNLEDGER_SOAK") else 20


async def soon(condition: object, seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def test_polled_values_are_stored_at_the_time_of_the_reply(tmp_path: Path, free_port: int) -> None:
    links = [link("inverter_1", free_port), link("inverter_2", free_port, unit_id=2)]
    simulator = Simulator(links, SteadyPlant(), utc_now)
    await simulator.start()
    bench = Bench(tmp_path, links)
    began = utc_now()
    await bench.collector.start()
    await soon(lambda: len(bench.stored("inverter_1")) >= 2 and len(bench.stored("inverter_2")) >= 2)
    await bench.collector.stop()
    await simulator.stop()
    samples = bench.stored("inverter_1")
    assert all(began < sample.time < utc_now() for sample in samples)
    assert len({sample.time for sample in samples}) == len(samples)
    assert samples[0].values["generated_energy_wh"] == pytest.approx(123_456_700, abs=1000)
    assert samples[0].values["active_power_w"] == pytest.approx(45_600, abs=10)
    assert bench.collector.status().balance.difference == 0
    assert bench.collector.status().balance.waiting == 0
    assert {status.state for status in bench.collector.connections()} == {LinkState.GOOD}
    assert simulator.servers[0].functions_seen <= {3, 4}
    bench.close()


async def test_a_failed_poll_gives_an_event_and_no_sample(tmp_path: Path, free_port: int) -> None:
    links = [link("inverter_1", free_port)]
    plant = SteadyPlant()
    plant.silent = {"inverter_1"}
    simulator = Simulator(links, plant, utc_now)
    await simulator.start()
    bench = Bench(tmp_path, links)
    await bench.collector.start()
    await soon(lambda: bool(bench.events))
    assert bench.stored("inverter_1") == []
    event = bench.events[0]
    assert (event.kind, event.subject_id, event.division_code) == (
        EventKind.COMMUNICATION,
        "inverter_1",
        "520499101201",
    )
    assert "没有应答" in event.message
    status = bench.collector.connections()[0]
    assert (status.state, status.last_good_at) == (LinkState.FAILING, None)
    assert status.missed >= 1
    plant.silent = set()
    await soon(lambda: len(bench.stored("inverter_1")) > 0)
    await soon(lambda: any("通信恢复" in event.message for event in bench.events))
    await bench.collector.stop()
    await simulator.stop()
    bench.close()


async def test_a_device_that_is_away_at_the_start_is_found_when_it_comes(
    tmp_path: Path, free_port: int
) -> None:
    links = [link("inverter_1", free_port)]
    bench = Bench(tmp_path, links, quick(backoff_seconds=1.0))
    await bench.collector.start()
    await soon(lambda: bool(bench.events))
    assert "连不上" in bench.events[0].message
    simulator = Simulator(links, SteadyPlant(), utc_now)
    await simulator.start()
    await soon(lambda: len(bench.stored("inverter_1")) > 0)
    await bench.collector.stop()
    await simulator.stop()
    bench.close()


@pytest.mark.soak
async def test_bad_devices_delay_nobody(tmp_path: Path) -> None:
    """Wrong frames of every kind (F22), silence and one byte a second (F23), busy and hanging up (F24)."""
    bad = [
        HostileServer(mood=hostile.any_lie, seed=20260611),
        HostileServer(mood=hostile.silent),
        HostileServer(drip=1.0),
        HostileServer(mood=hostile.busy),
        HostileServer(mood=hostile.hang_up),
    ]
    good = [HostileServer() for _ in range(GOOD_DEVICES)]
    links = []
    for number, server in enumerate([*bad, *good]):
        name = f"{'bad' if number < len(bad) else 'good'}_{number}"
        links.append(link(name, await server.start(), profile="eastron_sdm630"))
    bench = Bench(tmp_path, links)
    await bench.collector.start()
    seconds = 6
    await asyncio.sleep(seconds)
    await bench.collector.stop()
    names = [item.device_id for item in links if item.device_id.startswith("good")]
    for status in bench.collector.connections():
        if status.link.device_id in names:
            assert (status.missed, status.skipped) == (0, 0)
            assert status.polls >= seconds - 1
    for name in names:
        times = [sample.time for sample in bench.stored(name)]
        gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
        assert max(gaps) < 1.5, f"{name} waited {max(gaps):.2f} s"
    assert all(bench.stored(item.device_id) == [] for item in links if item.device_id not in names)
    print(f"{len(good)} healthy devices beside {len(bad)} that misbehave, {seconds} s: 0 lost polls")
    for server in [*bad, *good]:
        await server.stop()
    bench.close()


async def test_an_address_that_a_device_lacks_is_found_once_and_left_out(tmp_path: Path) -> None:
    profile = load_profile("eastron_sdm630")
    absent = next(item for item in profile.fields if item.quantity == "power_factor").address

    def picky(request: hostile.Request, chance: object) -> bytes | None:
        if request.address <= absent < request.address + request.count:
            return request.answer(bytes([request.function | 0x80, 2]))
        return request.answer(
            bytes([request.function, 2 * request.count]) + b"\x42\x48\x00\x00" * (request.count // 2)
        )

    server = HostileServer(mood=picky)
    bench = Bench(tmp_path, [link("meter", await server.start(), profile="eastron_sdm630")])
    await bench.collector.start()
    await soon(lambda: len(bench.stored("meter")) >= 2)
    await bench.collector.stop()
    samples = bench.stored("meter")
    assert "power_factor" not in samples[0].values
    assert {"active_power_w", "imported_energy_wh"} <= samples[0].values.keys()
    assert {"active_power_w", "imported_energy_wh"} <= samples[1].values.keys()
    last = [
        request for request in server.requests if request.address <= absent < request.address + request.count
    ]
    assert len(last) <= 12
    await server.stop()
    bench.close()


async def test_a_busy_device_is_left_alone_and_shown_as_taken(tmp_path: Path) -> None:
    server = HostileServer(mood=lambda request, _: request.answer(bytes([request.function | 0x80, 6])))
    bench = Bench(tmp_path, [link("inverter", await server.start())])
    await bench.collector.start()
    await soon(lambda: bench.collector.connections()[0].state is LinkState.BUSY)
    await asyncio.sleep(5)
    await bench.collector.stop()
    assert len(server.requests) <= 4
    assert server.connections == 1
    await server.stop()
    bench.close()


async def test_the_list_is_reloaded_without_dropping_connections(tmp_path: Path) -> None:
    first, second = HostileServer(), HostileServer()
    one = link("one", await first.start(), profile="eastron_sdm630")
    two = link("two", await second.start(), profile="eastron_sdm630")
    bench = Bench(tmp_path, [one])
    await bench.collector.start()
    await soon(lambda: len(bench.stored("one")) > 0)
    await bench.collector.reload([one, two])
    await soon(lambda: len(bench.stored("two")) > 0)
    await bench.collector.reload([two])
    count = len(first.requests)
    await asyncio.sleep(1.5)
    assert len(first.requests) == count
    assert second.connections == 1
    assert [status.link.device_id for status in bench.collector.connections()] == ["two"]
    await bench.collector.stop()
    await first.stop()
    await second.stop()
    bench.close()


async def test_a_wrong_profile_is_shown_and_stops_nothing_else(tmp_path: Path) -> None:
    server = HostileServer()
    port = await server.start()
    links = [link("wrong", 1, profile="no_such_profile"), link("good", port, profile="eastron_sdm630")]
    bench = Bench(tmp_path, links)
    await bench.collector.start()
    await soon(lambda: len(bench.stored("good")) > 0)
    await bench.collector.stop()
    states = {status.link.device_id: status.state for status in bench.collector.connections()}
    assert states == {"wrong": LinkState.MISCONFIGURED, "good": LinkState.GOOD}
    assert any("no_such_profile" in event.message for event in bench.events)
    await server.stop()
    bench.close()


async def test_an_address_outside_the_allowed_networks_is_never_opened(tmp_path: Path) -> None:
    server = HostileServer()
    links = [link("inverter", await server.start())]
    bench = Bench(tmp_path, links, quick(allowed_networks=("10.0.0.0/8",)))
    await bench.collector.start()
    await soon(lambda: bench.collector.connections()[0].state is LinkState.MISCONFIGURED)
    await bench.collector.stop()
    assert server.connections == 0
    assert "不在允许的网段" in bench.collector.connections()[0].last_error
    await server.stop()
    bench.close()


async def test_a_daily_cap_of_requests_is_kept(tmp_path: Path) -> None:
    server = HostileServer()
    links = [link("inverter", await server.start(), profile="eastron_sdm630")]
    bench = Bench(tmp_path, links, quick(daily_request_cap=3))
    await bench.collector.start()
    await asyncio.sleep(5)
    await bench.collector.stop()
    assert 3 <= len(server.requests) <= 5
    await server.stop()
    bench.close()


async def test_a_daily_cap_holds_over_a_restart(tmp_path: Path) -> None:
    server = HostileServer()
    links = [link("inverter", await server.start(), profile="eastron_sdm630")]
    for _ in range(3):
        bench = Bench(tmp_path, links, quick(daily_request_cap=4))
        await bench.collector.start()
        await asyncio.sleep(2.2)
        await bench.collector.stop()
        state = bench.collector.connections()[0].state
        bench.close()
    assert 4 <= len(server.requests) <= 6
    assert state is LinkState.CAPPED
    await server.stop()


def test_costs_are_kept_by_day_and_told_once() -> None:
    costs = Costs()
    costs.charge("inverter", "2026-06-01", 2, 300)
    costs.charge("inverter", "2026-06-01", 2, 300)
    told = {name.removeprefix(PREFIX): content for name, content in costs.news().items()}
    assert costs.news() == {}
    again = Costs(told)
    assert again.of("inverter", "2026-06-01") == Cost("2026-06-01", 4, 600)
    assert again.of("inverter", "2026-06-02") == Cost("2026-06-02")
    assert again.charge("inverter", "2026-06-02", 1, 10) == Cost("2026-06-02", 1, 10)


def test_stations_are_spread_over_the_cycle_the_same_way_every_day() -> None:
    phases = [phase_of(f"station_{number}", 60.0) for number in range(1000)]
    assert phases == [phase_of(f"station_{number}", 60.0) for number in range(1000)]
    assert all(0 <= phase < 60 for phase in phases)
    counts = [sum(1 for phase in phases if second <= phase < second + 6) for second in range(0, 60, 6)]
    assert min(counts) > 60


def test_the_view_of_the_cycle_decodes_the_same_as_the_whole_profile() -> None:
    profile = load_profile("growatt_max_mid")
    words = {
        (block.function_code, block.address + index): (7 * index) % 50
        for block in plan_blocks(profile)
        for index in range(block.count)
    }
    whole, view = decode(profile, words), decode(cycle_view(profile), words)
    assert view.values == whole.values
    assert replace(view, points=(), identity=whole.identity) == replace(whole, points=())
