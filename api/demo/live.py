"""Plays the demo county live: every station as real devices on this machine's loopback.

Owns the thread with the Modbus servers, the embedded broker and the MQTT publishers, and the ports that
they listen on. The collector treats them as it would treat the field; it is started by the service.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.demo.seeding import open_county, open_plant
from collector.broker import EmbeddedBroker
from collector.connections import MODBUS_TCP, DeviceLink, links
from collector.plant import PlantSource
from collector.simulator import Simulator
from registry.actors import SYSTEM
from registry.stations import DeviceRow
from store.db import Database
from store.periods import Clock, local_date

HOST = "127.0.0.1"
_START_SECONDS = 30
_STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class LiveCounty:
    """Where the living county is reached: the broker's port, and how many devices answer."""

    mqtt_port: int
    polled_devices: int
    pushed_devices: int
    simulator: Simulator

    @property
    def mqtt_url(self) -> str:
        """The broker's address as the settings write it."""
        return f"mqtt://{HOST}:{self.mqtt_port}"


@contextmanager
def live_county(database: Database, data_dir: Path, clock: Clock) -> Iterator[LiveCounty]:
    """Let the seeded county of a data directory answer while the block runs.

    Ports that are taken are replaced by free ones, in the registry too, before anything listens. Raises
    ProblemsError where the directory holds no demo, OSError when a port is taken at the last moment.
    """
    plant = open_plant(data_dir, open_county(data_dir))
    with database.transaction() as session:
        settle_ports(session)
        listed = links(session, SYSTEM, on=local_date(clock()))
    stage = _Stage(listed, plant, clock)
    stage.start()
    try:
        yield stage.county
    finally:
        stage.stop()


def settle_ports(session: Session) -> None:
    """Give every simulated endpoint a port that is free now; devices that share one go on sharing it."""
    rows = session.scalars(select(DeviceRow).where(DeviceRow.transport == MODBUS_TCP)).all()
    taken = {row.port for row in rows}
    chosen = {port: port if _is_free(port) else _free_port(taken) for port in sorted(taken)}
    for row in rows:
        if row.host == HOST and chosen[row.port] != row.port:
            row.port = chosen[row.port]
    session.flush()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port(reserved: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in reserved:
            reserved.add(port)
            return port


class _Stage:
    """The thread in which broker and simulators run on an event loop of their own."""

    def __init__(self, listed: tuple[DeviceLink, ...], source: PlantSource, clock: Clock) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-county", daemon=True)
        port = _free_port(set())
        self._broker = EmbeddedBroker(port, HOST)
        simulator = Simulator(listed, source, clock, broker=(HOST, port))
        polled = sum(link.transport == MODBUS_TCP for link in listed)
        self.county = LiveCounty(port, polled, len(listed) - polled, simulator)

    def start(self) -> None:
        self._thread.start()
        opened = False
        try:
            self._run(self._open()).result(_START_SECONDS)
            opened = True
        finally:
            if not opened:
                self.stop()

    async def _open(self) -> None:
        await self._broker.start()
        await self.county.simulator.start()

    def stop(self) -> None:
        self._run(self._close()).result(_STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        self._loop.close()

    async def _close(self) -> None:
        await self.county.simulator.stop()
        await self._broker.stop()

    def _run(self, work: Coroutine[None, None, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)
