"""kill -9 of collector and broker, with a real Mosquitto: what was acknowledged is stored, once."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from collector.spool import Balance, Spool
from store.series import open_series
from tests.collector.conftest import Mosquitto
from tests.collector.plants import END, START, Bench, mqtt_link, to_county_broker, until, utc_now
from tests.collector.publishing import left, publisher

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
COLLECTOR_KILLS = 1000 if SOAK else 50
BROKER_KILLS = 100 if SOAK else 6
MESSAGES_A_LIFE = 40
TOPIC = "pv/station_a/inverter"
LIVES_IN_A_ROW = 10
MESSAGES_A_BROKER = 200
REPEATED_SECONDS = 10.0
"""What the guides tell gateways to send again after a lost connection [s]."""
LAST_MOMENT = 0.5
"""How long before a kill [s] the broker may have answered what it had not written yet."""


class Gateway:
    """A gateway that numbers its messages and knows which of them the broker has acknowledged.

    After a lost connection it sends again what was acknowledged within `repeats` seconds before.
    """

    def __init__(self, port: int, repeats: float = 0.0) -> None:
        self.began = round(utc_now().timestamp() * 1000) - 3_600_000
        self.sent = 0
        self.acknowledged: dict[int, float] = {}
        """When each number was acknowledged, by the monotonic clock."""
        self._numbers: dict[int, int] = {}
        self._client = publisher(port)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._published
        self.repeated = 0
        self._repeats = repeats
        self._parted = 0.0
        self._client.on_disconnect = self._disconnected
        self._client.on_connect = self._connected

    def _disconnected(self, *_rest: object) -> None:
        self._parted = time.monotonic()

    def _connected(self, *_rest: object) -> None:
        """Runs in the only thread that notes acknowledgements."""
        last = [number for number, at in self.acknowledged.items() if at >= self._parted - self._repeats]
        for number in last if self._repeats and self._parted else ():
            self._client.publish(TOPIC, self._body(number), qos=1)
            self.repeated += 1

    def _published(self, _client: paho.Client, _data: object, mid: int, *_rest: object) -> None:
        number = self._numbers.get(mid)
        if number is not None:
            self.acknowledged[number] = time.monotonic()

    def publish(self, count: int) -> None:
        for _ in range(count):
            info = self._client.publish(TOPIC, self._body(self.sent), qos=1)
            self._numbers[info.mid] = self.sent
            self.sent += 1

    def _body(self, number: int) -> str:
        """The same for a message that is repeated: a gateway keeps its time with the value."""
        return json.dumps({"time": self.began + number, "active_power_w": number})

    def is_heard(self, spool: Path) -> bool:
        """Publish something that is set aside, and tell whether it, or an earlier one, has come through."""
        self._client.publish(TOPIC, b"is anybody there?", qos=1).wait_for_publish(10)
        time.sleep(0.2)
        return spool.exists() and taken(spool) > 0

    @property
    def ahead(self) -> int:
        """How many messages the broker has not acknowledged yet."""
        return len(self._client._out_messages)

    def close(self) -> None:
        left(self._client)


class Nursery:
    """Starts collectors in a folder and kills them."""

    def __init__(self, folder: Path, port: int) -> None:
        command = [sys.executable, "-m", "tests.collector.nursery", str(folder), str(port)]
        self._process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._child = int(self._process.stdout.readline())

    def kill(self) -> None:
        assert self._process.stdout is not None
        os.kill(self._child, signal.SIGKILL)
        assert self._process.stdout.readline() == "gone\n"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def nursery(folder: Path, port: int) -> Iterator[Nursery]:
    made = Nursery(folder, port)
    try:
        yield made
    except BaseException:
        made.kill()
        raise
    finally:
        made.close()


def taken(path: Path) -> int:
    """How many samples a spool that is in use has taken so far."""
    row = None
    # A life that has just begun may not have made its tables yet.
    with (
        contextlib.closing(sqlite3.connect(path)) as connection,
        contextlib.suppress(sqlite3.OperationalError),
    ):
        row = connection.execute("SELECT value FROM tally WHERE name = 'published'").fetchone()
    return row[0] if row else 0


def quiet(path: Path, seconds: float) -> None:
    """Wait until a spool has taken nothing new for a while."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        now = taken(path)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)


def outcome(folder: Path) -> tuple[list[int], Balance, int]:
    """Drain what is left; return the numbers stored, in order, the balance, and the rows in the store."""
    spool = Spool(folder / "spool.sqlite3")
    store = open_series(f"duckdb:///{folder / 'series.duckdb'}")
    while spool.balance().waiting:
        assert not spool.deliver(store, now=utc_now()).unavailable
    table = store.read(["station_a_inverter"], START, END, ["active_power_w"])
    found = (
        [round(value) for value in table["active_power_w"].to_pylist()],
        spool.audit(),
        store.statistics().rows,
    )
    store.close()
    spool.close()
    return found


@pytest.mark.soak
def test_kill_9_of_the_collector_loses_and_doubles_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    seed = 20260603
    chance = random.Random(seed)
    with nursery(tmp_path, broker.port) as lives:
        lives.start()
        gateway = Gateway(broker.port)
        until(lambda: gateway.is_heard(tmp_path / "spool.sqlite3"))
        for number in range(COLLECTOR_KILLS):
            # The broker writes its whole file at every change: a long queue in it would slow it down.
            until(lambda: gateway.ahead < 4 * MESSAGES_A_LIFE, 120)
            before = taken(tmp_path / "spool.sqlite3")
            gateway.publish(MESSAGES_A_LIFE)
            if number % 2:
                # The other half may die before it has taken anything.
                until(lambda low=before: taken(tmp_path / "spool.sqlite3") > low, 120)
            if number % LIVES_IN_A_ROW == LIVES_IN_A_ROW - 1:
                # On a busy machine lives are too short to catch up with what is sent again and again.
                quiet(tmp_path / "spool.sqlite3", 2.0)
            time.sleep(chance.uniform(0.0, 0.4))
            lives.kill()
            lives.start()
        until(lambda: not gateway.ahead, 120)
        quiet(tmp_path / "spool.sqlite3", 2.0)
        lives.kill()
    gateway.close()
    stored, balance, rows = outcome(tmp_path)
    print(f"seed {seed}: {COLLECTOR_KILLS} kills, {gateway.sent} acknowledged by the broker, {balance}")
    assert stored == list(range(gateway.sent))
    assert rows == gateway.sent
    assert balance.difference == 0


@dataclass
class BrokerLives:
    """What came of a broker that was killed again and again."""

    acknowledged: dict[int, float]
    stored: list[int]
    killed: list[tuple[float, float]]
    sent: int
    repeated: int
    balance: Balance
    rows: int


async def kill_the_broker(folder: Path, broker: Mosquitto, seed: int, repeats: float) -> BrokerLives:
    """The collector is there in half of the rounds; in the others the broker alone holds the messages."""
    chance = random.Random(seed)
    bench = Bench(folder, [mqtt_link("station_a")], to_county_broker(broker.port, reconnect_seconds=1))
    await bench.collector.start()
    await asyncio.to_thread(until, lambda: bench.collector.status().sessions[0][1].subscribed)
    gateway, killed = Gateway(broker.port, repeats), list[tuple[float, float]]()
    for number in range(BROKER_KILLS):
        if number % 2 == 1:
            await bench.collector.reload([])
        await asyncio.to_thread(until, lambda: gateway.ahead < MESSAGES_A_BROKER, 120)
        gateway.publish(MESSAGES_A_BROKER)
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        begun = time.monotonic()
        broker.kill()
        broker.start()
        killed.append((begun - LAST_MOMENT, time.monotonic()))
        await bench.collector.reload([mqtt_link("station_a")])
    await asyncio.to_thread(until, lambda: not gateway.ahead, 120)
    await asyncio.to_thread(quiet, folder / "spool.sqlite3", 2.0)
    await bench.collector.stop()
    gateway.close()
    stored = [round(sample.values["active_power_w"]) for sample in bench.stored("station_a_inverter")]
    rows, balance = bench.series.statistics().rows, bench.spool.audit()
    bench.close()
    return BrokerLives(gateway.acknowledged, stored, killed, gateway.sent, gateway.repeated, balance, rows)


@pytest.mark.soak
async def test_kill_9_of_the_broker_loses_nothing_it_acknowledged(tmp_path: Path, broker: Mosquitto) -> None:
    """Mosquitto answers before it writes its file, in the same turn of its loop: what it acknowledged in the
    moment of its death may be gone, and nothing else.
    """
    seed = 20260605
    lives = await kill_the_broker(tmp_path, broker, seed, repeats=0.0)
    stored = set(lives.stored)
    gone = {number: at for number, at in lives.acknowledged.items() if number not in stored}
    last = {number for number, at in gone.items() if any(low <= at < high for low, high in lives.killed)}
    lost = gone.keys() - last
    print(
        f"seed {seed}: {BROKER_KILLS} kills, {len(lives.acknowledged)} acknowledged, {len(lost)} lost, "
        f"{len(last)} acknowledged in the last {LAST_MOMENT} s of a broker gone with it"
    )
    assert len(lives.acknowledged) >= lives.sent // 2
    assert not lost
    assert lives.balance.difference == 0


@pytest.mark.soak
async def test_a_gateway_that_repeats_its_last_seconds_loses_and_doubles_nothing(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """What the broker answered and did not write comes again, and is stored once under its own time."""
    seed = 20260606
    lives = await kill_the_broker(tmp_path, broker, seed, repeats=REPEATED_SECONDS)
    print(
        f"seed {seed}: {BROKER_KILLS} kills, {lives.sent} sent, {lives.repeated} sent again after a lost "
        f"connection, {lives.sent - len(set(lives.stored))} lost, {lives.rows - lives.sent} doubled"
    )
    assert lives.repeated > 0
    assert lives.stored == list(range(lives.sent))
    assert lives.rows == lives.sent
    assert lives.balance.difference == 0
