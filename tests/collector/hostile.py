"""A Modbus TCP server that misbehaves on order, written apart from the client that it judges.

It fails the test on any function code that is not a read, whatever its mood.
"""

import asyncio
import contextlib
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

READS = {1, 2, 3, 4, 43}
IDENTIFICATION = bytes([43, 14])
Mood = Callable[["Request", random.Random], bytes | None]


@dataclass(frozen=True)
class Request:
    transaction: int
    unit: int
    function: int
    address: int
    count: int

    def words(self) -> bytes:
        """The truthful data: every register holds its own address."""
        return b"".join(struct.pack(">H", (self.address + i) & 0xFFFF) for i in range(self.count))

    def answer(self, pdu: bytes, *, transaction: int | None = None, unit: int | None = None) -> bytes:
        transaction = self.transaction if transaction is None else transaction
        unit = self.unit if unit is None else unit
        return struct.pack(">HHHB", transaction & 0xFFFF, 0, len(pdu) + 1, unit & 0xFF) + pdu

    def truth(self) -> bytes:
        return self.answer(bytes([self.function, 2 * self.count]) + self.words())


def honest(request: Request, _chance: random.Random) -> bytes | None:
    return request.truth()


def silent(_request: Request, _chance: random.Random) -> bytes | None:
    return b""


def hang_up(_request: Request, _chance: random.Random) -> bytes | None:
    return None


def wrong_transaction(request: Request, chance: random.Random) -> bytes | None:
    pdu = bytes([request.function, 2 * request.count]) + lie(request, chance)
    return request.answer(pdu, transaction=request.transaction + chance.randint(1, 65535))


def wrong_unit(request: Request, chance: random.Random) -> bytes | None:
    pdu = bytes([request.function, 2 * request.count]) + lie(request, chance)
    return request.answer(pdu, unit=request.unit + chance.randint(1, 255))


def wrong_function(request: Request, chance: random.Random) -> bytes | None:
    return request.answer(bytes([7 - request.function, 2 * request.count]) + lie(request, chance))


def short(request: Request, chance: random.Random) -> bytes | None:
    count = chance.randrange(request.count)
    return request.answer(bytes([request.function, 2 * count]) + lie(request, chance)[: 2 * count])


def long(request: Request, chance: random.Random) -> bytes | None:
    extra = chance.randbytes(2 * chance.randint(1, 10))
    data = lie(request, chance) + extra
    return request.answer(bytes([request.function, len(data) & 0xFF]) + data)


def byte_count_lies(request: Request, chance: random.Random) -> bytes | None:
    count = (2 * request.count + chance.randint(1, 255)) & 0xFF
    return request.answer(bytes([request.function, count]) + lie(request, chance))


def trailing(request: Request, chance: random.Random) -> bytes | None:
    pdu = bytes([request.function, 2 * request.count]) + lie(request, chance)
    return request.answer(pdu) + chance.randbytes(chance.randint(1, 9))


def garbage(_request: Request, chance: random.Random) -> bytes | None:
    return chance.randbytes(chance.randint(1, 300))


def truncated(request: Request, chance: random.Random) -> bytes | None:
    whole = request.answer(bytes([request.function, 2 * request.count]) + lie(request, chance))
    return whole[: chance.randrange(1, len(whole))]


def other_protocol(request: Request, chance: random.Random) -> bytes | None:
    whole = bytearray(request.answer(bytes([request.function, 2 * request.count]) + lie(request, chance)))
    whole[2:4] = struct.pack(">H", chance.randint(1, 65535))
    return bytes(whole)


def exception(request: Request, chance: random.Random) -> bytes | None:
    return request.answer(bytes([request.function | 0x80, chance.randint(1, 11)]))


def busy(request: Request, _chance: random.Random) -> bytes | None:
    return request.answer(bytes([request.function | 0x80, 6]))


def previous_frame(request: Request, chance: random.Random) -> bytes | None:
    earlier = Request(request.transaction - 1, request.unit, request.function, 7, 125)
    return earlier.answer(bytes([earlier.function, 250]) + lie(earlier, chance))


def lie(request: Request, chance: random.Random) -> bytes:
    """Plausible words that differ from the truth in every register."""
    return bytes(byte ^ chance.randint(1, 255) for byte in request.words())


LIES: tuple[Mood, ...] = (
    wrong_transaction,
    wrong_unit,
    wrong_function,
    short,
    long,
    byte_count_lies,
    trailing,
    garbage,
    truncated,
    other_protocol,
    exception,
    previous_frame,
)


def any_lie(request: Request, chance: random.Random) -> bytes | None:
    return chance.choice(LIES)(request, chance)


@dataclass
class HostileServer:
    """Answers each request in the mood that `mood` chooses; `delay` is the seconds before an answer."""

    mood: Mood = honest
    delay: float = 0.0
    seed: int = 1
    drip: float = 0.0
    one_client: bool = False
    requests: list[Request] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    connections: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        self._chance = random.Random(self.seed)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await asyncio.sleep(0.02)
        assert self.writes == [], f"function codes {self.writes} were sent to a device"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.one_client and self._open:
            writer.transport.abort()
            return
        self._open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        self._open.discard(writer)
        writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readexactly(7)
        transaction, _, length, unit = struct.unpack(">HHHB", head)
        pdu = await reader.readexactly(length - 1)
        if pdu[0] not in READS or (pdu[0] == IDENTIFICATION[0] and pdu[1:2] != IDENTIFICATION[1:]):
            self.writes.append(pdu[0])
        request = Request(transaction, unit, pdu[0], *struct.unpack(">HH", pdu[1:5]))
        self.requests.append(request)
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = self.mood(request, self._chance)
        if answer is None:
            return False
        if self.drip:
            for byte in answer:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(self.drip)
        else:
            writer.write(answer)
            await writer.drain()
        return True
