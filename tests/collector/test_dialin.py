"""DTUs call, name themselves and are polled over their own connection; everybody else is refused."""

import asyncio
import contextlib
import struct
import time
from pathlib import Path

import pytest

from collector.connections import LinkState
from collector.settings import DialInSettings
from tests.collector.hostile import Request
from tests.collector.plants import Bench, link, quick
from tests.collector.test_modbus import crc


class Dtu:
    """A 4G DTU: calls, sends its packet, passes RTU frames through and strews heartbeats."""

    def __init__(self, port: int, packet: bytes, heartbeat: bytes = b"") -> None:
        self._port, self._packet, self._heartbeat = port, packet, heartbeat
        self.requests: list[Request] = []
        self.silent = False
        self.ended = asyncio.Event()

    async def call(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(self._packet)
        self._task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                frame = await self._reader.readexactly(8)
                assert frame[-2:] == crc(frame[:-2])
                request = Request(0, frame[0], frame[1], *struct.unpack(">HH", frame[2:6]))
                self.requests.append(request)
                if self.silent:
                    continue
                self._writer.write(self._heartbeat)
                await self._writer.drain()
                await asyncio.sleep(0.01)
                answer = bytes([request.unit, request.function, 2 * request.count])
                answer += b"\x42\x48\x00\x00" * (request.count // 2)
                self._writer.write(answer + crc(answer))
        self.ended.set()

    async def hang_up(self) -> None:
        self._writer.close()
        self._task.cancel()
        await asyncio.sleep(0.02)


def meter(name: str, packet: str, unit: int) -> object:
    return link(name, 0, host=packet, unit_id=unit, transport="modbus-dial-in", profile="eastron_sdm630")


async def soon(condition: object, seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


@pytest.fixture
async def bench(tmp_path: Path):
    links = [
        meter("meter_1", "VILLAGE-01", 1),
        meter("meter_2", "VILLAGE-01", 2),
        meter("other", "hex:0102FF", 1),
    ]
    dial_in = DialInSettings(
        "127.0.0.1", heartbeats=("hb!",), registration_seconds=0.5, takeover_seconds=1.0, lobby_connections=2
    )
    made = Bench(tmp_path, links, quick(dial_in=dial_in))  # type: ignore[arg-type]
    await made.collector.start()
    yield made
    await made.collector.stop()
    made.close()
    await asyncio.sleep(0.05)


def port(bench: Bench) -> int:
    assert bench.collector.dial_in is not None
    return bench.collector.dial_in.port


async def test_many_units_behind_one_dtu_are_polled_over_its_call(bench: Bench) -> None:
    dtu = Dtu(port(bench), b"VILLAGE-01", heartbeat=b"hb!")
    await dtu.call()
    await soon(lambda: len(bench.stored("meter_1")) >= 2 and len(bench.stored("meter_2")) >= 2)
    assert bench.stored("meter_1")[0].values["active_power_w"] == 50
    assert {request.unit for request in dtu.requests} == {1, 2}
    assert {request.function for request in dtu.requests} <= {3, 4}
    states = {status.link.device_id: status.state for status in bench.collector.connections()}
    assert states["meter_1"] is LinkState.GOOD
    assert states["other"] is not LinkState.GOOD
    await dtu.hang_up()


async def test_a_packet_of_bytes_names_a_line_too(bench: Bench) -> None:
    dtu = Dtu(port(bench), b"\x01\x02\xff")
    await dtu.call()
    await soon(lambda: len(bench.stored("other")) >= 1)
    await dtu.hang_up()


@pytest.mark.parametrize("packet", [b"STRANGER", b"VILLAGE-0", b"\x00" * 300])
async def test_who_is_not_on_the_list_is_refused_and_shown(bench: Bench, packet: bytes) -> None:
    dtu = Dtu(port(bench), packet)
    await dtu.call()
    await asyncio.wait_for(dtu.ended.wait(), 3)
    await soon(lambda: any("拒绝 DTU" in event.message for event in bench.events))
    assert dtu.requests == []
    await dtu.hang_up()


async def test_a_second_dtu_with_the_same_packet_is_refused_while_the_first_is_alive(bench: Bench) -> None:
    first = Dtu(port(bench), b"VILLAGE-01")
    await first.call()
    await soon(lambda: len(bench.stored("meter_1")) >= 1)
    assert bench.collector.dial_in is not None
    bench.collector.dial_in._slots[b"VILLAGE-01"].peer = "10.0.0.9"
    second = Dtu(port(bench), b"VILLAGE-01")
    await second.call()
    await asyncio.wait_for(second.ended.wait(), 3)
    await soon(lambda: any("注册包重复" in event.message for event in bench.events))
    count = len(first.requests)
    await soon(lambda: len(first.requests) > count)
    await first.hang_up()
    await second.hang_up()


async def test_a_new_call_takes_over_from_a_dead_connection(bench: Bench) -> None:
    first = Dtu(port(bench), b"VILLAGE-01")
    await first.call()
    await soon(lambda: len(bench.stored("meter_1")) >= 1)
    first.silent = True
    count = len(bench.stored("meter_1"))
    second = Dtu(port(bench), b"VILLAGE-01")
    await second.call()
    await asyncio.wait_for(first.ended.wait(), 3)
    await soon(lambda: len(bench.stored("meter_1")) > count)
    await first.hang_up()
    await second.hang_up()


async def test_unnamed_callers_are_few(bench: Bench) -> None:
    callers = [await asyncio.open_connection("127.0.0.1", port(bench)) for _ in range(5)]
    await asyncio.sleep(0.2)
    ended = [reader.at_eof() or reader.exception() is not None for reader, _ in callers]
    assert sum(ended) == 3
    for _, writer in callers:
        writer.close()
    await asyncio.sleep(0.1)


async def test_packets_that_cannot_be_told_apart_are_a_wrong_setting(tmp_path: Path) -> None:
    links = [meter("one", "AB", 1), meter("two", "ABC", 1)]
    made = Bench(tmp_path, links, quick(dial_in=DialInSettings("127.0.0.1")))  # type: ignore[arg-type]
    await made.collector.start()
    states = [status.state for status in made.collector.connections()]
    assert LinkState.MISCONFIGURED in states
    await made.collector.stop()
    made.close()


async def test_a_device_added_behind_a_dtu_is_polled_over_the_same_call(bench: Bench) -> None:
    dtu = Dtu(port(bench), b"VILLAGE-01")
    await dtu.call()
    await soon(lambda: len(bench.stored("meter_1")) >= 1)
    links = [
        meter("meter_1", "VILLAGE-01", 1),
        meter("late", "VILLAGE-01", 9),
        meter("other", "hex:0102FF", 1),
    ]
    await bench.collector.reload(links)  # type: ignore[arg-type]
    await soon(lambda: len(bench.stored("late")) >= 1)
    assert not dtu.ended.is_set()
    await bench.collector.reload([meter("other", "hex:0102FF", 1)])  # type: ignore[list-item]
    await asyncio.wait_for(dtu.ended.wait(), 3)
    await dtu.hang_up()


async def test_a_dtu_that_repeats_its_packet_and_strews_heartbeats_is_understood(bench: Bench) -> None:
    dtu = Dtu(port(bench), b"hb!VILLAGE-01", heartbeat=b"hb!VILLAGE-01hb!")
    await dtu.call()
    await soon(lambda: len(bench.stored("meter_1")) >= 2)
    await dtu.hang_up()


async def test_a_refused_caller_is_on_the_list_with_what_it_said(bench: Bench) -> None:
    for _ in range(2):
        dtu = Dtu(port(bench), b"\x02STRANGER")
        await dtu.call()
        await asyncio.wait_for(dtu.ended.wait(), 3)
        await dtu.hang_up()
    assert bench.collector.dial_in is not None
    (refused,) = bench.collector.dial_in.refused()
    assert (refused.packet, refused.reason, refused.count) == (
        "hex:02535452414E474552",
        "注册包不在名单上",
        2,
    )
