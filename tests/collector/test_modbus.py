"""The client reads only, and no answer but the right one becomes words."""

import asyncio
import os
import random
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import modbus
from collector.modbus import (
    ForbiddenFunctionError,
    Line,
    ModbusClient,
    Ok,
    Permanent,
    Retryable,
    check_answer,
)
from tests.collector import hostile
from tests.collector.hostile import HostileServer, Request
from tests.collector.serial_line import crc

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
HOSTILE_ANSWERS = 50_000 if SOAK else 1_000
HOSTILE_FRAMES = 1_000_000 if SOAK else 10_000


async def opened(server: HostileServer, deadline: float = 1.0) -> ModbusClient:
    client = ModbusClient(Line("127.0.0.1", await server.start(), timeout=deadline))
    assert await client.connect()
    return client


async def test_the_words_asked_for_come_back() -> None:
    server = HostileServer()
    client = await opened(server)
    assert await client.read(1, 3, 100, 4) == Ok((100, 101, 102, 103))
    assert await client.read(9, 4, 65_533, 3) == Ok((65_533, 65_534, 65_535))
    assert (client.requests, client.bytes_exchanged) == (2, 12 + 17 + 12 + 15)
    client.close()
    await server.stop()


async def test_an_exception_is_never_a_value_and_keeps_the_connection() -> None:
    codes = iter((1, 2, 3, 4, 5, 6, 8, 10, 11))
    server = HostileServer(
        mood=lambda request, _: request.answer(bytes([request.function | 0x80, next(codes)]))
    )
    client = await opened(server)
    results = [await client.read(1, 3, 0, 2) for _ in range(9)]
    assert [type(result) for result in results] == [Permanent] * 3 + [Retryable] * 6
    assert [result.layer for result in results if isinstance(result, Retryable)] == [
        "exception",
        "busy",
        "busy",
        "exception",
        "exception",
        "exception",
    ]
    assert client.connected
    client.close()
    await server.stop()


@pytest.mark.parametrize("drip", [0.0, 0.05])
async def test_silence_and_one_byte_at_a_time_end_at_the_deadline(drip: float) -> None:
    server = HostileServer(mood=hostile.honest if drip else hostile.silent, drip=drip)
    client = await opened(server, deadline=0.3)
    began = time.monotonic()
    result = await client.read(1, 3, 0, 20)
    assert isinstance(result, Retryable)
    assert result.layer == "silence"
    assert time.monotonic() - began < 0.6
    assert not client.connected
    await server.stop()


async def test_a_connection_closed_during_a_request_is_noticed_at_once() -> None:
    server = HostileServer(mood=hostile.hang_up)
    client = await opened(server, deadline=5)
    began = time.monotonic()
    result = await client.read(1, 3, 0, 20)
    assert isinstance(result, Retryable)
    assert result.layer == "connect"
    assert time.monotonic() - began < 1
    await server.stop()


async def test_the_answer_to_an_earlier_request_is_not_taken_for_the_next() -> None:
    server = HostileServer(delay=0.4)
    client = await opened(server, deadline=0.2)
    assert isinstance(await client.read(1, 3, 0, 4), Retryable)
    server.delay = 0.0
    await client.connect()
    await asyncio.sleep(0.4)
    assert await client.read(1, 3, 50, 4) == Ok((50, 51, 52, 53))
    client.close()
    await server.stop()


@pytest.mark.soak
async def test_no_hostile_answer_becomes_a_value() -> None:
    seed = 20260602
    chance = random.Random(seed)
    server = HostileServer(mood=hostile.any_lie, seed=seed)
    client = await opened(server, deadline=0.02)
    outcomes: dict[str, int] = {}
    for _ in range(HOSTILE_ANSWERS):
        if not client.connected:
            await client.connect()
        function, count = chance.choice((3, 4)), chance.randint(1, 125)
        result = await client.read(chance.randint(1, 247), function, chance.randint(0, 65_000), count)
        name = result.layer if isinstance(result, Retryable) else type(result).__name__
        outcomes[name] = outcomes.get(name, 0) + 1
    print(f"seed {seed}, {HOSTILE_ANSWERS} hostile answers: {outcomes}")
    assert "Ok" not in outcomes
    client.close()
    await server.stop()


@pytest.mark.soak
def test_no_hostile_frame_passes_the_framer() -> None:
    seed = 20260604
    chance = random.Random(seed)
    framer = modbus.StrictSocketFramer(modbus.DecodePDU(False))
    passed = rejected = waiting = 0
    for _ in range(HOSTILE_FRAMES):
        request = Request(
            chance.randint(1, 65_000),
            chance.randint(1, 247),
            chance.choice((3, 4)),
            100,
            chance.randint(1, 125),
        )
        data = chance.choice(hostile.LIES)(request, chance)
        framer.expect(request.function, request.count)
        _, answer = framer.handleFrame(data or b"", request.unit, request.transaction)
        if answer is None:
            waiting += 1
        elif isinstance(answer, modbus.Answer) and answer.words:
            passed += 1
        else:
            rejected += 1
    print(f"seed {seed}: {HOSTILE_FRAMES} frames: {rejected} refused, {waiting} cut off, {passed} passed")
    assert passed == 0


@given(st.binary(max_size=300), st.sampled_from([1, 2, 3, 4]), st.integers(1, 125))
def test_any_bytes_give_words_only_when_they_are_exactly_the_answer(
    body: bytes, function: int, count: int
) -> None:
    answer = check_answer(body, function, count)
    expected = 2 * count if function in {3, 4} else (count + 7) // 8
    exact = len(body) == expected + 2 and body[0] == function and body[1] == expected
    assert bool(answer.words) == exact
    if answer.words:
        assert len(answer.words) == count


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=125))
def test_words_come_back_as_they_were_sent(words: list[int]) -> None:
    body = bytes([3, 2 * len(words)]) + struct.pack(f">{len(words)}H", *words)
    assert check_answer(body, 3, len(words)).words == tuple(words)


async def rtu_server(break_frame: bool = False) -> tuple[asyncio.Server, int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while frame := await reader.read(8):
            assert frame[-2:] == crc(frame[:-2])
            request = Request(0, frame[0], frame[1], *struct.unpack(">HH", frame[2:6]))
            answer = bytes([request.unit, request.function, 2 * request.count]) + request.words()
            answer += crc(answer)
            if break_frame:
                answer = answer[:5] + bytes([answer[5] ^ 1]) + answer[6:]
            writer.write(answer[:7])
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(answer[7:])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_rtu_frames_inside_tcp_are_read_and_checked() -> None:
    server, port = await rtu_server()
    client = ModbusClient(Line("127.0.0.1", port, rtu=True, timeout=1))
    assert await client.connect()
    assert await client.read(3, 4, 10, 5) == Ok((10, 11, 12, 13, 14))
    client.close()
    await asyncio.sleep(0.05)
    server.close()


async def test_an_rtu_frame_with_a_flipped_bit_is_refused() -> None:
    server, port = await rtu_server(break_frame=True)
    client = ModbusClient(Line("127.0.0.1", port, rtu=True, timeout=1))
    assert await client.connect()
    result = await client.read(3, 4, 10, 5)
    assert result == Retryable("frame", "校验错误")
    client.close()
    await asyncio.sleep(0.05)
    server.close()


@pytest.mark.parametrize(
    "payload", [b"\x05\x00", b"\x06\x00\x01\x00\x01", b"\x10", b"\x16", b"\x17", b"\x2b\x0d"]
)
def test_nothing_that_writes_can_be_framed(payload: bytes) -> None:
    for framer in (modbus.StrictSocketFramer, modbus.StrictRtuFramer):
        with pytest.raises(ForbiddenFunctionError):
            framer(modbus.DecodePDU(False)).encode(payload, 1, 1)


@pytest.mark.parametrize("pdu", [b"\x05\x00\x01\xff\x00", b"\x10\x00\x01\x00\x01", b"\x2b\x0d\x00\x00\x00"])
async def test_the_fault_injecting_server_sees_whatever_is_no_read(pdu: bytes) -> None:
    server = HostileServer()
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.start())
    writer.write(struct.pack(">HHHB", 1, 0, len(pdu) + 1, 1) + pdu)
    await reader.read(100)
    writer.close()
    with pytest.raises(AssertionError, match="were sent to a device"):
        await server.stop()


def test_the_client_has_no_function_that_writes() -> None:
    names = [name for name in dir(ModbusClient) if not name.startswith("_")]
    assert not [name for name in names if "write" in name or "mask" in name]
    assert set(modbus._REQUESTS) == {1, 2, 3, 4}
