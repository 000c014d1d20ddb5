"""The MQTT half of the collector's bench: rate beside a bare paho subscriber, and lag behind a backlog.

The broker is a real Mosquitto without persistence, so that it is not what is measured.
"""

import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as paho
import pyarrow as pa
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collector.connections import DeviceLink, StatusBoard
from collector.drain import Drain
from collector.mqtt import MqttIngest
from collector.notices import EventRelay, Throttle
from collector.outlet import Outlet
from collector.settings import CollectorSettings, MqttSettings
from collector.spool import Spool
from store.samples import Sample
from store.series import SeriesStore, WriteResult, open_series
from tests.bench.polling_clients import p99

MESSAGES = 12_000
TOPIC = "pv/a/b"
LINK = DeviceLink("b", "a", "mqtt", profile="sunledger", topic=TOPIC)
BACKLOG_MINUTES, BACKLOG_DEVICES = 600, 500
LIVE_RATE = 50


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def broker() -> Iterator[int]:
    """Run a Mosquitto on a free port for the time of a block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            "max_inflight_messages 2000\nset_tcp_nodelay true\n"
        )
        process = subprocess.Popen(["mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield port
        finally:
            process.terminate()
            process.wait()


def fill(port: int) -> None:
    """Publish messages of 500 bytes at QoS 1 while no subscriber is connected."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(2000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    start = round(now().timestamp() * 1000) - MESSAGES * 10
    for number in range(MESSAGES):
        body = {"time": start + number, "active_power_w": number, "generated_energy_wh": number}
        info = client.publish(TOPIC, json.dumps(body | {"pad": "x" * 420}), qos=1)
    info.wait_for_publish(120)
    while client._out_messages:
        time.sleep(0.01)
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


def subscribe_once(port: int, client_id: str) -> None:
    """Make the session that the broker will queue for."""
    client = connected(port, client_id)
    client.subscribe(TOPIC, 1)
    client.loop_start()
    time.sleep(0.5)
    client.disconnect()
    client.loop_stop()


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


def ingest(port: int, spool: Spool) -> MqttIngest:
    """Return an ingest into a spool, not started."""
    outlet = Outlet(spool, StatusBoard([LINK]), Throttle(EventRelay(lambda _: None)))
    settings = MqttSettings(port=port, client_id="ingest", protocol=5, batch_messages=2000)
    return MqttIngest(settings, [LINK], outlet, now)


def into_spool(port: int, folder: Path) -> float:
    """Take queued messages into the durable spool; returns messages a second."""
    spool = Spool(folder / "spool.sqlite3")
    mqtt = ingest(port, spool)
    began = time.perf_counter()
    mqtt.start()
    while spool.balance().published < MESSAGES:
        time.sleep(0.01)
    took = time.perf_counter() - began
    mqtt.stop()
    spool.close()
    return MESSAGES / took


def throughput() -> None:
    """Print the rate into the spool beside a subscriber that only counts."""
    with broker() as port, tempfile.TemporaryDirectory() as folder:
        for name in ("bare", "ingest"):
            subscribe_once(port, name)
        fill(port)
        alone = bare_subscriber(port)
        rate = into_spool(port, Path(folder))
    print(f"MQTT, {MESSAGES} queued messages of 500 bytes, QoS 1, manual acknowledgement")
    print(f"  bare paho that only counts    {alone:,.0f} messages/s")
    print(f"  ingest into the durable spool {rate:,.0f} messages/s, ratio {rate / alone:.2f}")


class Watched:
    """A store that notes how old the live samples are when it has stored them."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self.settling = store.settling
        self.lags: list[float] = []

    def write(self, batch: pa.Table) -> WriteResult:
        result = self._store.write(batch)
        done = now()
        for device, moment in zip(batch["device_id"].to_pylist(), batch["time"].to_pylist(), strict=True):
            if device == LINK.device_id:
                self.lags.append((done - moment).total_seconds())
        return result


def backlog(spool: Spool) -> int:
    """Put hours of minutes into a spool, as an outage of the store leaves them."""
    start = now() - timedelta(days=2)
    values = {"active_power_w": 45_600.0, "generated_energy_wh": 123_456_700, "state": 3}
    for first in range(0, BACKLOG_MINUTES, 10):
        spool.append(
            [
                Sample(f"d{device}", start + timedelta(minutes=minute), start, values)
                for minute in range(first, first + 10)
                for device in range(BACKLOG_DEVICES)
            ],
            at=now(),
        )
    return BACKLOG_MINUTES * BACKLOG_DEVICES


def publish_live(port: int, stop: threading.Event) -> None:
    """Publish numbered live messages at a steady rate until told to stop."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    while not stop.wait(1 / LIVE_RATE):
        body = {"time": round(now().timestamp() * 1000), "active_power_w": 1.0}
        client.publish(TOPIC, json.dumps(body), qos=1)
    client.disconnect()
    client.loop_stop()


def lag() -> None:
    """Print how long live messages take into the store while a backlog drains."""
    with broker() as port, tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool.sqlite3")
        rows = backlog(spool)
        series = open_series(f"duckdb:///{Path(folder) / 'series.duckdb'}")
        store, relay = Watched(series), EventRelay(lambda _: None)
        drain = Drain(spool, store, now, Throttle(relay), CollectorSettings())
        mqtt = ingest(port, spool)
        mqtt.start()
        while not mqtt.session.subscribed:
            time.sleep(0.01)
        stop = threading.Event()
        live = threading.Thread(target=publish_live, args=(port, stop))
        began = time.monotonic()
        live.start()
        drain.start()
        while spool.balance().waiting > BACKLOG_DEVICES and time.monotonic() - began < 60:
            time.sleep(0.05)
        took = time.monotonic() - began
        lags = list(store.lags)
        stop.set()
        live.join()
        mqtt.stop()
        drain.stop()
        spool.close()
        series.close()
    print(f"live messages while {rows} rows of backlog drain in {took:.1f} s")
    print(
        f"  lag from device time to the store p99 {p99(lags):.2f} s, at most {max(lags):.2f} s ({len(lags)})"
    )
