"""MQTT ingest against a real Mosquitto: nothing that was acknowledged is lost, nothing is stored twice."""

import asyncio
import json
import random
import time
from datetime import timedelta
from pathlib import Path

import pytest

from collector.broker import EmbeddedBroker
from collector.connections import LinkState
from collector.simulator import Simulator
from store.events import EventKind
from store.quality import Flag
from tests.collector.conftest import Mosquitto
from tests.collector.plants import (
    Bench,
    SteadyPlant,
    age,
    mqtt_link,
    to_broker,
    to_county_broker,
    until,
    utc_now,
)
from tests.collector.publishing import left, message, publisher, send


async def ready(bench: Bench) -> None:
    await bench.collector.start()
    await asyncio.to_thread(until, lambda: bench.collector.status().sessions[0][1].subscribed)


@pytest.mark.parametrize("protocol", [3, 5])
async def test_a_message_becomes_a_sample_at_the_devices_time(
    tmp_path: Path, broker: Mosquitto, protocol: int
) -> None:
    version = 5 if protocol == 5 else 3
    bench = Bench(tmp_path, [mqtt_link("station_a")], to_county_broker(broker.port, protocol=version))
    await ready(bench)
    client = publisher(broker.port)
    await asyncio.to_thread(send, client, "pv/station_a/inverter", message(7, generated_energy_wh=123_456))
    await asyncio.to_thread(until, lambda: len(bench.stored("station_a_inverter")) == 1)
    sample = bench.stored("station_a_inverter")[0]
    assert sample.values == {"active_power_w": 7.0, "generated_energy_wh": 123_456}
    assert timedelta(minutes=59) < age(sample.time) < timedelta(minutes=61)
    status = bench.collector.connections()[0]
    assert (status.state, status.messages) == (LinkState.GOOD, 1)
    left(client)
    await bench.collector.stop()
    bench.close()


async def test_bad_messages_are_set_aside_with_their_reason_and_block_nothing(
    tmp_path: Path, broker: Mosquitto
) -> None:
    links = [mqtt_link("station_a"), mqtt_link("station_a", "other")]
    bench = Bench(tmp_path, links, to_county_broker(broker.port))
    await ready(bench)
    client = publisher(broker.port)
    bad = {
        "pv/station_a/inverter": [b"no json", b"\xff\xfe\x00", b"[" * 5000, b"", b'{"active_power_w": 5}'],
        "pv/station_a/other": [b'{"time": 1, "active_power_w": 5}'],
    }
    bad["pv/station_a/inverter"] += [message(1, active_power_w="viel"), message(1, frequency_hz=[1])]
    for topic, payloads in bad.items():
        for payload in payloads:
            await asyncio.to_thread(send, client, topic, payload)
    await asyncio.to_thread(send, client, "pv/station_a/inverter", message(9))
    await asyncio.to_thread(until, lambda: len(bench.stored("station_a_inverter")) == 1)
    reasons = [item.reason for item in bench.spool.quarantined()]
    assert len(reasons) == 8
    for part in ("不是 JSON", "没有采样时间", "早于 2015 年", "不是数"):
        assert any(part in reason for reason in reasons), part
    assert b"no json" in {item.raw for item in bench.spool.quarantined()}
    await asyncio.to_thread(
        until, lambda: sum(event.kind is EventKind.QUARANTINE for event in bench.events) >= 4
    )
    left(client)
    await bench.collector.stop()
    assert bench.spool.audit().difference == 0
    bench.close()


async def test_a_station_cannot_speak_for_another(tmp_path: Path, broker: Mosquitto) -> None:
    links = [mqtt_link("station_a"), mqtt_link("station_b")]
    bench = Bench(tmp_path, links, to_county_broker(broker.port))
    await ready(bench)
    spoofer, honest = publisher(broker.port, "station_a"), publisher(broker.port, "station_b")
    for _ in range(20):
        # The broker answers “not authorised” and throws the speaker out.
        spoofer.publish("pv/station_b/inverter", message(1), qos=1)
    await asyncio.sleep(0.5)
    left(spoofer)
    await asyncio.to_thread(send, honest, "pv/station_b/inverter", message(2, device="station_a_inverter"))
    await asyncio.to_thread(until, lambda: len(bench.stored("station_b_inverter")) == 1)
    assert bench.stored("station_b_inverter")[0].values["active_power_w"] == 2
    assert bench.stored("station_a_inverter") == []
    left(honest)
    await bench.collector.stop()
    bench.close()


async def test_a_time_far_ahead_is_kept_at_the_time_of_receipt_and_flagged(
    tmp_path: Path, broker: Mosquitto
) -> None:
    bench = Bench(tmp_path, [mqtt_link("station_a")], to_county_broker(broker.port))
    await ready(bench)
    client = publisher(broker.port)
    ahead = round((utc_now() + timedelta(hours=8)).timestamp() * 1000)
    await asyncio.to_thread(send, client, "pv/station_a/inverter", message(1, time=ahead))
    await asyncio.to_thread(until, lambda: len(bench.stored("station_a_inverter")) == 1)
    sample = bench.stored("station_a_inverter")[0]
    assert sample.flags & Flag.CLOCK
    assert age(sample.time) < timedelta(minutes=1)
    left(client)
    await bench.collector.stop()
    bench.close()


async def test_forty_days_of_history_are_stored_at_their_time_and_once(
    tmp_path: Path, broker: Mosquitto
) -> None:
    mapping = {"profile": "batched_history", "serial": "inv01"}
    bench = Bench(tmp_path, [mqtt_link("station_a", **mapping)], to_county_broker(broker.port))
    await ready(bench)
    client = publisher(broker.port)
    first = round((utc_now() - timedelta(days=40)).timestamp())
    records = [{"t": first + 900 * number, "inv01_pac": 1, "inv01_etotal": number} for number in range(3840)]
    random.Random(5).shuffle(records)
    for start in range(0, len(records), 500):
        for _ in range(2):
            payload = json.dumps({"sn": "x", "data": records[start : start + 500]}).encode()
            await asyncio.to_thread(send, client, "pv/station_a/inverter", payload)
    await asyncio.to_thread(until, lambda: len(bench.stored("station_a_inverter")) == 3840)
    left(client)
    await bench.collector.stop()
    samples = bench.stored("station_a_inverter")
    assert [sample.values["generated_energy_wh"] for sample in samples] == [1000 * n for n in range(3840)]
    balance = bench.spool.audit()
    assert (balance.stored, balance.duplicates, balance.difference) == (3840, 3840, 0)
    bench.close()


async def test_retained_messages_without_a_time_are_not_new_data(tmp_path: Path, broker: Mosquitto) -> None:
    bench = Bench(tmp_path, [mqtt_link("station_a")], to_county_broker(broker.port))
    client = publisher(broker.port)
    old = message(3)
    client.publish("pv/station_a/inverter", old, qos=1, retain=True).wait_for_publish(10)
    await ready(bench)
    await asyncio.to_thread(send, client, "pv/station_a/inverter", old)
    await asyncio.to_thread(until, lambda: bench.spool.balance().published == 2)
    await bench.collector.stop()
    assert len(bench.stored("station_a_inverter")) == 1
    left(client)
    bench.close()


async def test_a_broker_that_comes_back_is_found_again(tmp_path: Path, broker: Mosquitto) -> None:
    bench = Bench(tmp_path, [mqtt_link("station_a")], to_county_broker(broker.port, reconnect_seconds=2))
    await ready(bench)
    broker.kill()
    await asyncio.to_thread(until, lambda: not bench.collector.status().sessions[0][1].connected)
    broker.start()
    await asyncio.to_thread(until, lambda: bench.collector.status().sessions[0][1].subscribed)
    client = publisher(broker.port)
    await asyncio.to_thread(send, client, "pv/station_a/inverter", message(1))
    await asyncio.to_thread(until, lambda: len(bench.stored("station_a_inverter")) == 1)
    left(client)
    await bench.collector.stop()
    bench.close()


async def test_a_broker_that_is_not_there_is_shown_and_tried_again(tmp_path: Path, broker: Mosquitto) -> None:
    broker.kill()
    settings = to_county_broker(broker.port, reconnect_seconds=1)
    bench = Bench(tmp_path, [mqtt_link("station_a")], settings)
    await bench.collector.start()
    await asyncio.to_thread(until, lambda: "连不上" in bench.collector.status().sessions[0][1].last_error)
    broker.start()
    await asyncio.to_thread(until, lambda: bench.collector.status().sessions[0][1].subscribed)
    await bench.collector.stop()
    assert any("连不上" in event.message for event in bench.events)
    bench.close()


async def test_devices_come_and_go_without_dropping_the_session(tmp_path: Path, broker: Mosquitto) -> None:
    one, two = mqtt_link("station_a"), mqtt_link("station_b")
    bench = Bench(tmp_path, [one], to_county_broker(broker.port))
    await ready(bench)
    since = bench.collector.status().sessions[0][1].since
    await bench.collector.reload([one, two])
    await asyncio.to_thread(until, lambda: bench.collector.status().sessions[0][1].subscribed)
    await asyncio.sleep(0.3)
    client = publisher(broker.port, "station_b")
    await asyncio.to_thread(send, client, "pv/station_b/inverter", message(1))
    await asyncio.to_thread(until, lambda: len(bench.stored("station_b_inverter")) == 1)
    assert bench.collector.status().sessions[0][1].since == since
    await bench.collector.reload([])
    assert bench.collector.status().sessions == ()
    left(client)
    await bench.collector.stop()
    bench.close()


async def test_a_broker_without_version_5_is_spoken_to_in_version_3(tmp_path: Path, free_port: int) -> None:
    levels: list[int] = []

    async def old_broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packet = await reader.read(200)
        levels.append(packet[8])
        accepted = packet[8] == 4
        writer.write(bytes([0x20, 2, 0, 0 if accepted else 1]))
        await writer.drain()
        if accepted:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(old_broker, "127.0.0.1", free_port)
    bench = Bench(tmp_path, [mqtt_link("station_a")], to_county_broker(free_port, protocol=5))
    await bench.collector.start()
    deadline = time.monotonic() + 8
    while not bench.collector.status().sessions[0][1].connected:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert (levels[0], levels[-1]) == (5, 4)
    await bench.collector.stop()
    server.close()
    bench.close()
    await asyncio.sleep(0.05)


async def test_two_collectors_share_the_load_and_every_message_is_stored_once(
    tmp_path: Path, broker: Mosquitto
) -> None:
    links = [mqtt_link("station_a")]
    benches = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        changes = {"shared_group": "county", "client_id": name, "protocol": 5}
        benches.append(Bench(tmp_path / name, links, to_county_broker(broker.port, **changes)))
    for bench in benches:
        await ready(bench)
    client = publisher(broker.port)
    for number in range(300):
        client.publish("pv/station_a/inverter", message(number), qos=1)
    await asyncio.to_thread(
        until, lambda: sum(len(bench.stored("station_a_inverter")) for bench in benches) >= 300, 30
    )
    left(client)
    for bench in benches:
        await bench.collector.stop()
    halves = [
        [round(sample.values["active_power_w"]) for sample in bench.stored("station_a_inverter")]
        for bench in benches
    ]
    assert sorted(halves[0] + halves[1]) == list(range(300))
    assert min(map(len, halves)) > 50
    assert [bench.spool.audit().duplicates for bench in benches] == [0, 0]
    for bench in benches:
        bench.close()


async def test_simulated_devices_publish_through_the_embedded_broker(tmp_path: Path, free_port: int) -> None:
    links = [mqtt_link("station_a", host="127.0.0.1", port=free_port)]
    embedded = EmbeddedBroker(free_port)
    await embedded.start()
    simulator = Simulator(links, SteadyPlant(), utc_now)
    await simulator.start()
    bench = Bench(tmp_path, links, to_broker(free_port))
    await bench.collector.start()
    began = time.monotonic()
    while len(bench.stored("station_a_inverter")) < 2:
        assert time.monotonic() - began < 10
        await asyncio.sleep(0.1)
    sample = bench.stored("station_a_inverter")[0]
    assert sample.values["generated_energy_wh"] == 123_456_700
    assert sample.values["state"] == 3
    await bench.collector.stop()
    await simulator.stop()
    await embedded.stop()
    bench.close()
