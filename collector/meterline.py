"""DL/T 645 meters on a line: a serial port, or a gateway that passes bytes through TCP.

Owns the connection and the exchange of one request and one answer; frames are `dlt645`'s. It sends the
two requests that read, and nothing else.
"""

import asyncio
import time
from dataclasses import dataclass, field

from pymodbus.transport.serialtransport import create_serial_connection

from collector.device import IDENTITY_SECONDS, Failure, Outcome, PolledDevice
from collector.dlt645 import Frame, address_request, decode_payloads, read_request, take_frames
from collector.modbus import Line, LineClient, Permanent, Retryable, peer_of

NO_SUCH_ITEM = 0x02
LONGEST_BUFFER = 4096


class _Reader(asyncio.Protocol):
    """Gathers bytes and wakes whoever waits for them."""

    def __init__(self) -> None:
        self.buffer = b""
        self.more = asyncio.Event()
        self.lost = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep the bytes; noise without end is cut."""
        self.buffer = (self.buffer + data)[-LONGEST_BUFFER:]
        self.more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        del exc
        self.lost = True
        self.more.set()


class MeterClient:
    """One line with DL/T 645 meters; its owner asks one thing at a time. `gap` is in seconds."""

    def __init__(self, line: Line, gap: float = 0.0) -> None:
        self.line = line
        self.requests = 0
        self.bytes_exchanged = 0
        self._gap = gap
        self._free_at = 0.0
        self._reader: _Reader | None = None

    @property
    def connected(self) -> bool:
        """Whether the line is open as far as we know."""
        return self._reader is not None and not self._reader.lost

    @property
    def peer(self) -> str:
        """The IP address that was reached, empty on a serial line or without a connection."""
        return peer_of(self._reader.transport) if self._reader is not None else ""

    async def connect(self) -> bool:
        """Open the line; tells whether it is open."""
        loop = asyncio.get_running_loop()
        reader = _Reader()
        try:
            async with asyncio.timeout(self.line.timeout):
                if self.line.serial:
                    await create_serial_connection(
                        loop,
                        lambda: reader,
                        self.line.host,
                        baudrate=self.line.baudrate,
                        bytesize=8,
                        parity=self.line.parity,
                        stopbits=1,
                    )
                else:
                    await loop.create_connection(lambda: reader, self.line.host, self.line.port)
        except (OSError, TimeoutError):
            return False
        self._reader = reader
        return True

    def close(self) -> None:
        """Close the line; it can be opened again."""
        if self._reader is not None and self._reader.transport is not None:
            self._reader.transport.abort()
        self._reader = None

    async def ask(self, request: bytes, address: str, identifier: str) -> Frame | Retryable | Permanent:
        """Send a request and return the meter's answer to it.

        Echoes, noise and answers of other meters or to other questions are passed over. An empty
        `address` takes any meter, an empty `identifier` any answer. A refusal is final for its item.
        """
        await asyncio.sleep(max(self._free_at - time.monotonic(), 0))
        reader = self._reader
        if reader is None or reader.transport is None:
            return Retryable("connect", "线路没有打开")
        reader.buffer = b""
        reader.transport.write(request)
        self.requests += 1
        self.bytes_exchanged += len(request)
        try:
            async with asyncio.timeout(self.line.timeout):
                frame = await self._answer(reader, address, identifier)
        except TimeoutError:
            return Retryable("silence", f"{self.line.timeout:g} 秒内没有应答")
        finally:
            self.bytes_exchanged += len(reader.buffer)
            self._free_at = time.monotonic() + self._gap
        if frame is None:
            self.close()
            return Retryable("connect", "连接被对方断开")
        if frame.is_error:
            return Permanent("电能表拒绝该数据项", frame.data[0] if frame.data else 0)
        return frame

    @staticmethod
    async def _answer(reader: _Reader, address: str, identifier: str) -> Frame | None:
        while True:
            for frame in take_frames(reader.buffer).frames:
                fits = frame.is_answer and address in {"", frame.address}
                if fits and (frame.is_error or identifier in {"", frame.identifier}):
                    return frame
            if reader.lost:
                return None
            reader.more.clear()
            await reader.more.wait()


@dataclass(slots=True)
class PolledMeter(PolledDevice):
    """A DL/T 645 meter on a line; its address is the link's serial number, or asked for."""

    _address: str = ""
    _refused: set[str] = field(default_factory=set)

    async def read(self, client: LineClient, now: float) -> Outcome:
        """Poll the meter once, item by item; an item that it refuses is not asked for again."""
        if not isinstance(client, MeterClient):
            return Outcome(failure=Failure("forbidden", "这条线路不是 DL/T 645 线路"))
        failure = await self._find_address(client)
        payloads: dict[str, bytes] = {}
        identify = now >= self._identity_due
        for item in self.profile.items:
            asked = item.quantity or (item.identity and identify)
            if failure is not None or not asked or item.identifier in self._refused:
                continue
            answer = await client.ask(
                read_request(self._address, item.identifier), self._address, item.identifier
            )
            if isinstance(answer, Frame):
                payloads[item.identifier] = answer.payload
            elif isinstance(answer, Permanent):
                self._refused.add(item.identifier)
            else:
                failure = Failure(answer.layer, answer.reason)
        if not payloads:
            return Outcome(failure=failure or Failure("exception", "电能表拒绝了全部数据项"))
        decoded = decode_payloads(self.profile, payloads)
        if identify and failure is None:
            self._identity_due = now + IDENTITY_SECONDS
        return Outcome(decoded, decoded if identify else None, failure)

    async def _find_address(self, client: MeterClient) -> Failure | None:
        """Take the address of the registry, or ask the only meter on the line for its own."""
        if self._address:
            return None
        if self.link.serial:
            self._address = self.link.serial.zfill(12)
            return None
        answer = await client.ask(address_request(), "", "")
        if isinstance(answer, Frame):
            self._address = answer.address
            return None
        return Failure(getattr(answer, "layer", "exception"), answer.reason)
