"""The collector beside a bare pymodbus asyncio client, and MQTT ingest beside a bare paho subscriber.

Both sides of a pair run one after another in this process against the same servers in another process, so
that only ratios matter. Polling: the collector decodes, spools and stores; the bare client only reads.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pymodbus.client import AsyncModbusTcpClient

from collector.connections import DeviceLink, StatusBoard
from collector.mqtt import MqttIngest, Outlet
from collector.notices import EventRelay, Throttle
from collector.profile import load_profile, plan_blocks
from collector.runtime import Collector
from collector.settings import MqttSettings
from collector.spool import Spool
from store.series import open_series

DEVICES = int(os.environ.get("SUNLEDGER_BENCH_DEVICES", "300"))
CYCLE = int(os.environ.get("SUNLEDGER_BENCH_CYCLE", "2"))
SECONDS = int(os.environ.get("SUNLEDGER_BENCH_SECONDS", "12"))
DELAY = float(os.environ.get("SUNLEDGER_BENCH_DELAY", "0.05"))
PROFILE = "growatt_max_mid"
MESSAGES = 8_000

SERVER = """
import asyncio, sys
from datetime import UTC, datetime
from collector.encode import encode
from collector.profile import load_profile
count, delay = int(sys.argv[1]), float(sys.argv[2])
words = encode(load_profile("growatt_max_mid"), {"active_power_w": 45600.0, "generated_energy_wh": 123456700,
    "frequency_hz": 50.0, "voltage_a_v": 231.0, "current_a_a": 65.0, "state": 3}, at=datetime.now(UTC))

class Device(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        code, address, number = data[7], data[8] << 8 | data[9], data[10] << 8 | data[11]
        body = b"".join(words.get((code, address + i), 0).to_bytes(2, "big") for i in range(number))
        head = data[:4] + (len(body) + 3).to_bytes(2, "big") + data[6:8] + bytes([len(body)])
        if delay:
            asyncio.get_running_loop().call_later(delay, self.transport.write, head + body)
        else:
            self.transport.write(head + body)

async def main():
    loop = asyncio.get_running_loop()
    ports = []
    for _ in range(count):
        server = await loop.create_server(Device, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
    print(ports, flush=True)
    await asyncio.sleep(300)  # an orphan must not live on
asyncio.run(main())
"""


def now() -> datetime:
    return datetime.now(UTC)


async def bare(ports: list[int]) -> float:
    """Poll with pymodbus alone; returns CPU seconds per 1 000 device polls."""
    blocks = plan_blocks(load_profile(PROFILE))
    polls = 0

    async def device(number: int, port: int) -> None:
        nonlocal polls
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        await client.connect()
        due = time.monotonic() + number / len(ports) * CYCLE
        while True:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            due += CYCLE
            for block in blocks:
                read = (
                    client.read_input_registers if block.function_code == 4 else client.read_holding_registers
                )
                await read(block.address, count=block.count, device_id=1)
            polls += 1

    tasks = [asyncio.create_task(device(number, port)) for number, port in enumerate(ports)]
    await asyncio.sleep(CYCLE + 1)
    used, before = time.process_time(), polls
    await asyncio.sleep(SECONDS)
    used, polls = time.process_time() - used, polls - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return used / polls * 1000


async def whole(ports: list[int], folder: Path) -> tuple[float, int, int, float]:
    """Poll with the collector into spool and DuckDB; returns CPU per 1 000, polls, missed, p99 lateness."""
    links = [
        DeviceLink(f"d{n}", f"s{n}", "modbus-tcp", "127.0.0.1", port, 1, PROFILE, cycle_seconds=CYCLE)
        for n, port in enumerate(ports)
    ]
    spool, series = Spool(folder / "spool.sqlite3"), open_series(f"duckdb:///{folder / 'series.duckdb'}")
    collector = Collector(links, spool=spool, series=series, clock=now, on_event=lambda _: None)
    await collector.start()
    await asyncio.sleep(CYCLE + 1)
    used, before = time.process_time(), collector.connections()
    await asyncio.sleep(SECONDS)
    used, after = time.process_time() - used, collector.connections()
    polls = sum(one.polls for one in after) - sum(one.polls for one in before)
    missed = sum(one.missed + one.skipped for one in after) - sum(one.missed + one.skipped for one in before)
    await collector.stop()
    table = series.read(
        [link.device_id for link in links], datetime(2020, 1, 1, tzinfo=UTC), now(), ["active_power_w"]
    )
    times: dict[str, list[float]] = {}
    for name, moment in zip(table["device_id"].to_pylist(), table["time"].to_pylist(), strict=True):
        times.setdefault(name, []).append(moment.timestamp())
    late = [abs((one - first) % CYCLE) for first, *rest in times.values() for one in rest]
    late = [min(value, CYCLE - value) for value in late]
    assert collector.status().balance.difference == 0
    spool.close()
    series.close()
    return used / polls * 1000, polls, missed, statistics.quantiles(late, n=100)[98]


def polling() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(DEVICES), str(DELAY)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    ports = json.loads(process.stdout.readline())
    blocks = plan_blocks(load_profile(PROFILE))
    registers = sum(block.count for block in blocks)
    try:
        alone = asyncio.run(bare(ports))
        with tempfile.TemporaryDirectory() as folder:
            cost, polls, missed, late = asyncio.run(whole(ports, Path(folder)))
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    print(
        f"polling {DEVICES} devices every {CYCLE} s, {registers} registers in {len(blocks)} reads, "
        f"answers after {DELAY:g} s"
    )
    print(f"  bare pymodbus asyncio         {alone:.3f} CPU s per 1 000 polls")
    print(f"  collector, spool and DuckDB   {cost:.3f} CPU s per 1 000 polls, ratio {cost / alone:.2f}")
    print(f"  {polls} polls, {missed} missed or skipped, jitter p99 {late * 1000:.1f} ms")


def fill(port: int, first: int) -> None:
    """Publish messages of 500 bytes at QoS 1 while no subscriber is connected."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(2000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    start = round(now().timestamp() * 1000) - MESSAGES * 10
    for number in range(first, first + MESSAGES):
        body = {"time": start + number, "active_power_w": number, "generated_energy_wh": number}
        info = client.publish("pv/a/b", json.dumps(body | {"pad": "x" * 420}), qos=1)
    info.wait_for_publish(120)
    while client._out_messages:
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()


def subscribe_once(port: int, client_id: str) -> None:
    """Make the session that the broker will queue for."""
    client = connected(port, client_id)
    client.subscribe("pv/a/b", 1)
    client.loop_start()
    time.sleep(0.5)
    client.disconnect()
    client.loop_stop()


def connected(port: int, client_id: str) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        manual_ack=True,
    )
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    properties.ReceiveMaximum = 65_535
    client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    return client


def bare_subscriber(port: int) -> float:
    """Count queued messages with manual acknowledgement; returns messages a second."""
    client = connected(port, "bare")
    count = 0

    def counted(who: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        nonlocal count
        count += 1
        who.ack(message.mid, message.qos)

    client.on_message = counted
    began = time.perf_counter()
    while count < MESSAGES:
        client.loop(0.1)
    took = time.perf_counter() - began
    client.disconnect()
    return MESSAGES / took


def ingest(port: int, folder: Path) -> float:
    """Take queued messages into the durable spool; returns messages a second."""
    link = DeviceLink("b", "a", "mqtt", profile="sunledger", topic="pv/a/b")
    spool = Spool(folder / "spool.sqlite3")
    outlet = Outlet(spool, StatusBoard([link]), Throttle(EventRelay(lambda _: None)))
    settings = MqttSettings(port=port, client_id="ingest", batch_messages=2000)
    mqtt = MqttIngest(settings, [link], outlet, now)
    began = time.perf_counter()
    mqtt.start()
    while spool.balance().published < MESSAGES:
        time.sleep(0.01)
    took = time.perf_counter() - began
    mqtt.stop()
    spool.close()
    return MESSAGES / took


def mqtt() -> None:
    with tempfile.TemporaryDirectory() as folder:
        port = 18_830 + os.getpid() % 1000
        config = Path(folder) / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            "max_inflight_messages 2000\nset_tcp_nodelay true\n"
        )
        broker = subprocess.Popen(["mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            for name in ("bare", "ingest"):
                subscribe_once(port, name)
            fill(port, 0)
            alone = bare_subscriber(port)
            rate = ingest(port, Path(folder))
        finally:
            os.kill(broker.pid, signal.SIGTERM)
            broker.wait()
    print(f"MQTT, {MESSAGES} queued messages of 500 bytes, QoS 1, manual acknowledgement")
    print(f"  bare paho that only counts    {alone:,.0f} messages/s")
    print(f"  ingest into the durable spool {rate:,.0f} messages/s, ratio {rate / alone:.2f}")


if __name__ == "__main__":
    polling()
    mqtt()
