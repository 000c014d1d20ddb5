"""`sunledger` as processes of their own, and a station for them to collect from."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from collector.connections import links
from collector.simulator import Simulator
from registry.actors import SYSTEM, Actor, Role
from registry.divisions import Division, add_division
from registry.stations import Device, Station, add_device, add_station
from store.db import Database
from tests.collector.plants import SteadyPlant, utc_now

EDITOR = Actor("clerk", "台账员", Role.COUNTY)
START_SECONDS = 60
INVERTER, GATEWAY = "inverter_1", "gateway_1"
TOPIC = "pv/station_a/gateway_1"


class Process:
    """One `sunledger serve` with its log."""

    def __init__(self, log: Path, settings: dict[str, str], *words: str) -> None:
        self.log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command("serve", *words), env=environment(settings), stdout=stream, stderr=stream
            )

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, event: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while f"event='{event}'" not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def jobs_done(self) -> list[str]:
        return re.findall(r"event='job done' .*?key='([^']+)'", self.text())

    def stop(self) -> None:
        """Stop cleanly; the log says so and holds no error."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.text()
        assert "event='stopped'" in self.text()
        assert "Traceback" not in self.text(), self.text()
        assert "level='error'" not in self.text(), self.text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.kill()


def command(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("sunledger")), *words]


def environment(settings: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUNLEDGER_")}
    return kept | settings


def register(database: Database, inverter_port: int) -> None:
    now, since = utc_now(), date(2020, 1, 1)
    places = [
        ("520000000000", "黔省", "province", ""),
        ("520400000000", "甲市", "prefecture", "520000000000"),
        ("520499000000", "云泽县", "county", "520400000000"),
        ("520499101000", "东乡镇", "township", "520499000000"),
        ("520499101201", "柳树村", "village", "520499101000"),
    ]
    with database.transaction() as session:
        for code, name, level, parent in places:
            add_division(session, EDITOR, Division(f"division_{code}", code, name, level, parent, since), now)
        station = Station("station_a", "柳树村电站", "village", "520499101201", 120_000, 26.2, 105.9)
        add_station(session, EDITOR, station, now)
        for device in (
            Device(
                INVERTER,
                "station_a",
                "inverter",
                "1 号逆变器",
                "sungrow_sg_string",
                since,
                host="127.0.0.1",
                port=inverter_port,
                cycle_seconds=1,
                rated_power_w=60_000,
            ),
            Device(
                GATEWAY,
                "station_a",
                "inverter",
                "2 号逆变器",
                "sunledger",
                since,
                transport="mqtt",
                topic=TOPIC,
                rated_power_w=60_000,
                position=1,
            ),
        ):
            add_device(session, EDITOR, device, now)


@contextmanager
def simulated(database: Database) -> Iterator[None]:
    """Run the registered Modbus inverter as a real server, in a loop of its own."""
    with database.reading() as session:
        found = [one for one in links(session, SYSTEM, on=utc_now().date()) if one.transport == "modbus-tcp"]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    simulator = Simulator(found, SteadyPlant(), utc_now)
    asyncio.run_coroutine_threadsafe(simulator.start(), loop).result(10)
    yield
    asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
