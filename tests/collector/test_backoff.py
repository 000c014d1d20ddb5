"""A device that refuses is asked at most twelve times in its first hour, and in every hour after."""

import asyncio
from collections.abc import Callable

import pytest

from collector.backoff import HOUR, Backoff
from collector.connections import DeviceLink, LinkState, StatusBoard
from collector.notices import EventRelay, Throttle
from collector.poller import Poller, Surroundings
from collector.settings import CollectorSettings
from store.events import Event
from store.samples import Sample
from tests.collector import hostile
from tests.collector.hasty import HastyLoop, hastily
from tests.collector.hostile import HostileServer
from tests.collector.plants import link

MOST = 12


def tries(cycle: float, hours: float) -> list[float]:
    """When something is tried that is due every cycle and always fails [s]."""
    backoff, found, turn = Backoff(), list[float](), 0
    while (now := turn * cycle) < hours * HOUR:
        if now >= backoff.not_before:
            found.append(now)
            backoff.failed(now, cycle)
        turn += 1
    return found


@pytest.mark.parametrize("cycle", [1.0, 5.0, 7.0, 10.0, 30.0, 60.0, 90.0, 300.0, 301.0, 900.0])
def test_no_hour_has_more_than_twelve_tries_and_none_is_left_out(cycle: float) -> None:
    for _ in range(20):
        found = tries(cycle, 6)
        for first in found:
            assert sum(first <= later < first + HOUR for later in found) <= MOST
        last_hour = [one for one in found if one >= 5 * HOUR]
        assert len(last_hour) >= min(HOUR / cycle, 9) - 1


def test_the_second_try_comes_in_the_next_cycle_and_success_forgets_the_rest() -> None:
    assert tries(60.0, 1)[:3] == [0.0, 60.0, 180.0]
    backoff = Backoff()
    for number in range(8):
        backoff.failed(number * 600.0, 60.0)
    backoff.succeeded()
    backoff.failed(5000.0, 60.0)
    assert backoff.not_before <= 5060.0


class Stand:
    """A poller in hasty time, without a store: what it does to the device is counted at the device."""

    def __init__(self, loop: HastyLoop, links: list[DeviceLink]) -> None:
        self.board, self.samples = StatusBoard(links), list[Sample]()
        self.events: list[Event] = []
        self._relay = EventRelay(self.events.append)
        settings = CollectorSettings(request_timeout_seconds=3.0)
        events = Throttle(self._relay)
        self.poller = Poller(Surroundings(settings, loop.clock, self.board, self.samples.append, events))
        self._links = links

    async def hour(self, until: Callable[[], bool] = lambda: False) -> None:
        """Poll for an hour, or until something is true."""
        await self.poller.put_links(self._links)
        for _ in range(int(HOUR / 20)):
            if until():
                break
            await asyncio.sleep(20)
        await self.poller.stop()


def a_line(port: int, devices: int) -> list[DeviceLink]:
    return [
        link(
            f"meter_{unit}",
            port,
            station_id="station_a",
            unit_id=unit,
            profile="eastron_sdm630",
            cycle_seconds=60,
        )
        for unit in range(1, devices + 1)
    ]


@pytest.mark.parametrize("devices", [1, 5])
def test_a_device_that_hangs_up_is_called_twelve_times_an_hour_and_shown_as_taken(
    devices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = HastyLoop()

    async def story() -> None:
        server = HostileServer(mood=hostile.hang_up)
        stand = Stand(loop, a_line(await server.start(), devices))
        await stand.hour()
        await server.stop()
        print(f"{devices} devices behind a gateway that hangs up: {server.connections} connects in an hour")
        assert 4 <= server.connections <= MOST
        states = {status.state for status in stand.board.all()}
        assert LinkState.BUSY in states
        assert states <= {LinkState.BUSY, LinkState.FAILING}
        assert not stand.samples

    hastily(story(), loop, monkeypatch)


def test_a_second_master_leaves_a_device_that_serves_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first master's connection stands; ours is dropped by the device as soon as it is made."""
    loop = HastyLoop()

    async def story() -> None:
        server = HostileServer(one_client=True)
        port = await server.start()
        _, first = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.01)
        stand = Stand(loop, a_line(port, 1))
        await stand.hour()
        assert 5 <= server.connections <= MOST + 1
        status = stand.board.all()[0]
        assert (status.state, "另一个主站" in status.last_error) == (LinkState.BUSY, True)
        first.close()
        await asyncio.sleep(0.01)
        again = Stand(loop, a_line(port, 1))
        await again.hour(lambda: bool(again.samples))
        assert again.samples
        await server.stop()

    hastily(story(), loop, monkeypatch)


def test_a_closed_port_is_knocked_at_twelve_times_an_hour(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = HastyLoop()

    async def story() -> None:
        stand = Stand(loop, a_line(free_port, 3))
        knocks: list[float] = []
        connect = loop.sock_connect

        async def counted(sock: object, address: object) -> None:
            knocks.append(loop.time())
            await connect(sock, address)  # type: ignore[arg-type]

        monkeypatch.setattr(loop, "sock_connect", counted)
        await stand.hour()
        print(f"closed port: {len(knocks)} connects in an hour")
        assert 4 <= len(knocks) <= MOST
        assert all("连不上" in status.last_error for status in stand.board.all())

    hastily(story(), loop, monkeypatch)
