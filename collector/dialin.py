"""Listener for 4G DTUs that connect to us and name themselves.

Owns the listening port, the allow-list of registration packets and who holds which line. A caller that
names itself wrongly, twice, or not at all is refused and shown. What is read over an accepted connection
is the poller's: the same Modbus client, over a connection that the other side opened.
"""

import asyncio
import ipaddress
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from collector.connections import RefusedCaller
from collector.modbus import Line, ModbusClient
from collector.notices import Throttle
from collector.settings import DialInSettings
from store.events import Event, EventKind, Severity
from store.periods import Clock

LONGEST_PACKET = 256
SILENCES_UNTIL_CLOSED = 3
HEX_MARK = "hex:"
REFUSED_LIMIT = 200
SHOWN_BYTES = 64


def packet_bytes(text: str) -> bytes:
    """Return a registration packet or heartbeat: text as UTF-8, or bytes written as `hex:0A1B`.

    Raises ValueError for an empty packet or wrong hex digits.
    """
    packet = bytes.fromhex(text[len(HEX_MARK) :]) if text.startswith(HEX_MARK) else text.encode()
    if not packet or len(packet) > LONGEST_PACKET:
        raise ValueError(f"注册包应为 1 到 {LONGEST_PACKET} 字节：{text!r}")
    return packet


def packet_text(packet: bytes) -> str:
    """Return a packet as it is written in the list of devices: text where it is text, else `hex:…`."""
    text = packet.decode("ascii", errors="replace")
    readable = text.isprintable() and "\ufffd" not in text and text == text.strip()
    return text if readable and not text.startswith(HEX_MARK) else HEX_MARK + packet.hex().upper()


def without_heartbeats(data: bytes, heartbeats: Iterable[bytes]) -> bytes:
    """Return what is left of received bytes without the heartbeats before and after an answer.

    A heartbeat of a single byte is not looked for at the end, where it could be part of a checksum.
    """
    marks = [mark for mark in heartbeats if mark]
    while mark := next((mark for mark in marks if data.startswith(mark)), b""):
        data = data[len(mark) :]
    while mark := next((mark for mark in marks if len(mark) > 1 and data.endswith(mark)), b""):
        data = data[: -len(mark)]
    return data


class DialInClient(ModbusClient):
    """A Modbus client over a connection that the DTU opened; it cannot connect by itself.

    After silence the connection is kept, because a DTU takes long to call again: late bytes are thrown
    away for the length of a time-out instead. After three silences in a row it is closed.
    """

    def __init__(self, line: Line, gap: float = 0.0) -> None:
        super().__init__(line, gap)
        self._silences = 0
        self.caller: asyncio.Transport | None = None

    def adopt(self, transport: asyncio.Transport) -> None:
        """Take over a connection; an earlier one is dropped."""
        earlier = self.caller
        self.close()
        if earlier is not None:
            earlier.abort()
        self.caller = transport
        self._silences = 0
        self._manager.is_closing = False
        self._manager.connection_made(transport)

    async def connect(self) -> bool:
        """Tell whether the DTU has called."""
        return self.connected

    def distrust(self) -> None:
        """Throw late bytes away for a while, or end a connection that gives nothing any more."""
        self._silences += 1
        self._manager.recv_buffer = b""
        self._free_at = time.monotonic() + self.line.timeout
        if self._silences >= SILENCES_UNTIL_CLOSED:
            self.close()
            self._silences = 0

    def trust(self) -> None:
        """Note a sound answer."""
        self._silences = 0


@dataclass(slots=True)
class _Slot:
    """A line by its registration packet: its client, and when its DTU was last heard [monotonic s]."""

    client: DialInClient
    peer: str = ""
    heard_at: float = field(default=float("-inf"))


class _Caller(asyncio.Protocol):
    """One incoming connection, from its first byte to its end."""

    def __init__(self, listener: "DialInListener") -> None:
        self._listener = listener
        self._buffer = b""
        self._packet = b""
        self._slot: _Slot | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the registration packet, for a limited time."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101, what a TCP server is given
        self._transport = transport
        self.peer = str((transport.get_extra_info("peername") or ("?",))[0])
        if not self._listener.admit(self):
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._listener.settings.registration_seconds, self._too_late)

    def _too_late(self) -> None:
        self._listener.refuse(self, "没有发来注册包")
        self._end()

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take the registration packet, then hand everything but heartbeats to the client."""
        if self._slot is None:
            self._register(data)
            return
        self._slot.heard_at = time.monotonic()
        data = without_heartbeats(data, (self._packet, *self._listener.heartbeats))
        if data and self._slot.client.caller is self._transport:
            self._slot.client.receive(data)

    def _register(self, data: bytes) -> None:
        self._buffer = without_heartbeats(self._buffer + data, self._listener.heartbeats)
        if not self._buffer:
            return
        packet = self._listener.packet_at_start(self._buffer)
        if packet is None:
            if not self._listener.may_become_packet(self._buffer):
                self._listener.refuse(self, "注册包不在名单上", self._buffer)
                self._end()
            return
        if self._deadline is not None:
            self._deadline.cancel()
        slot = self._listener.slot(packet, self.peer)
        if slot is None or self._transport is None:
            self._listener.refuse(self, "注册包重复：已由另一台 DTU 使用", packet)
            self._end()
            return
        self._slot, self._packet = slot, packet
        slot.peer, slot.heard_at = self.peer, time.monotonic()
        slot.client.adopt(self._transport)
        self._listener.leave_lobby(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the client that its line is gone, unless another connection took over already."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._listener.leave_lobby(self)
        if self._slot is not None and self._slot.client.caller is self._transport:
            self._slot.client.lose(exc)
            self._slot.client.caller = None
            self._slot.heard_at = float("-inf")


class DialInListener:
    """The port on which DTUs call. Lines are known by registration packet only."""

    def __init__(self, settings: DialInSettings, events: Throttle, clock: Clock) -> None:
        self.settings = settings
        self.heartbeats = tuple(packet_bytes(text) for text in settings.heartbeats)
        self._events = events
        self._clock = clock
        self._slots: dict[bytes, _Slot] = {}
        self._lobby: set[_Caller] = set()
        self.refusals = 0
        self._refused: dict[tuple[str, str, str], RefusedCaller] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Caller(self), self.settings.host, self.settings.port, backlog=128
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else self.settings.port

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
            for caller in list(self._lobby):
                caller._end()  # noqa: SLF001, the listener and its callers are one thing
            for slot in self._slots.values():
                if slot.client.caller is not None:
                    slot.client.caller.abort()
            await asyncio.sleep(0)
            self._server = None

    def client_for(self, registration: str, line: Line, gap: float) -> DialInClient:
        """Return the client of a line; raises ValueError for a packet that no DTU can be told by."""
        packet = packet_bytes(registration)
        for known in self._slots:
            if known != packet and (known.startswith(packet) or packet.startswith(known)):
                raise ValueError(f"注册包 {registration!r} 与 {known!r} 分不清")
        slot = self._slots.setdefault(packet, _Slot(DialInClient(line, gap)))
        return slot.client

    def forget(self, registrations: Iterable[str]) -> None:
        """Take lines off the allow-list and end their connections."""
        for registration in registrations:
            slot = self._slots.pop(packet_bytes(registration), None)
            if slot is not None and slot.client.caller is not None:
                slot.client.caller.abort()

    def admit(self, caller: _Caller) -> bool:
        """Take a caller into the lobby, unless its network or the number of unnamed callers forbids it."""
        networks = self.settings.networks
        if networks:
            address = ipaddress.ip_address(caller.peer)
            if not any(address in ipaddress.ip_network(network) for network in networks):
                self.refuse(caller, "来自不允许的网段")
                return False
        if len(self._lobby) >= self.settings.lobby_connections:
            self.refuse(caller, "未注册的连接太多")
            return False
        self._lobby.add(caller)
        return True

    def leave_lobby(self, caller: _Caller) -> None:
        """Forget a caller that has named itself or gone."""
        self._lobby.discard(caller)

    def packet_at_start(self, buffer: bytes) -> bytes | None:
        """Return the registration packet that a stream begins with, or None."""
        return next((packet for packet in self._slots if buffer.startswith(packet)), None)

    def may_become_packet(self, buffer: bytes) -> bool:
        """Tell whether a stream may still turn out to begin with a packet on the list."""
        return len(buffer) < LONGEST_PACKET and any(packet.startswith(buffer) for packet in self._slots)

    def slot(self, packet: bytes, peer: str) -> _Slot | None:
        """Return the line of a packet, or None while another DTU is alive on it.

        The same address may always take over; another one only from a line that has been quiet.
        """
        slot = self._slots[packet]
        quiet = time.monotonic() - slot.heard_at > self.settings.takeover_seconds
        return slot if quiet or slot.peer == peer else None

    def refuse(self, caller: _Caller, reason: str, said: bytes = b"") -> None:
        """Show that a caller was refused: on the list, and as an event once an hour."""
        self.refusals += 1
        now, packet = self._clock(), packet_text(said[:SHOWN_BYTES]) if said else ""
        key = (caller.peer, packet, reason)
        known = self._refused.pop(key, None)
        first, count = (known.first_at, known.count) if known is not None else (now, 0)
        self._refused[key] = RefusedCaller(caller.peer, packet, reason, first, now, count + 1)
        if len(self._refused) > REFUSED_LIMIT:
            self._refused.pop(next(iter(self._refused)))
        event = Event(
            at=now,
            kind=EventKind.COMMUNICATION,
            severity=Severity.WARNING,
            subject_kind="dtu",
            subject_id=caller.peer,
            message=f"拒绝 DTU 接入：{reason}{f'（{packet}）' if packet else ''}（来自 {caller.peer}）",
        )
        self._events.tell(event, reason)

    def refused(self) -> tuple[RefusedCaller, ...]:
        """Return who was refused, the latest first."""
        return tuple(reversed(tuple(self._refused.values())))

    def connected(self) -> Mapping[bytes, str]:
        """Return the address of every DTU that is connected, by registration packet."""
        return {packet: slot.peer for packet, slot in self._slots.items() if slot.client.connected}
