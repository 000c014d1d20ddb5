"""Simulated devices that answer on the wire: Modbus TCP servers and MQTT publishers.

Owns turning a plant's values into what a device of a profile would send. It knows no physics: the values
come from a `PlantSource`. Simulated devices answer reads only.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simcore import SimCore

from collector.connections import MODBUS_TCP, MQTT, DeviceLink
from collector.encode import NOBODY, Encoder, encode_message
from collector.payloads import load_mapping
from collector.plant import PlantSource
from collector.profile import Identity, Profile, load_profile
from store.periods import Clock

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

READABLE = frozenset({1, 2, 3, 4})
FRESH_SECONDS = 1.0
Words = Mapping[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """A device behind a unit id: whose values it shows, as which family, under which nameplate."""

    device_id: str
    unit_id: int
    profile: Profile
    identity: Identity = NOBODY


class _Unit:
    """The register image of one device, made anew when it is older than a second."""

    def __init__(self, device: SimulatedDevice, source: PlantSource, clock: Clock) -> None:
        self._device = device
        self._source = source
        self._clock = clock
        self._encoder = Encoder(device.profile, device.identity)
        self._words: Words | None = None
        self._made_at = float("-inf")
        self._spans: dict[int, tuple[int, int]] = {}
        self._forbidden = device.profile.rules.forbidden

    def image(self) -> Words | None:
        """Return the present words, or None when the device is silent."""
        moment = time.monotonic()
        if moment - self._made_at > FRESH_SECONDS:
            now = self._clock()
            values = self._source.values(self._device.device_id, now)
            self._words = None if values is None else self._encoder.words(values, now)
            self._made_at = moment
        return self._words

    def read(self, function_code: int, address: int, count: int) -> list[int] | ExcCodes | None:
        """Return the words of a block, an exception, or None for silence."""
        words = self.image()
        if words is None:
            return None
        first, end = self._span(function_code, words)
        if address < first or address + count > end:
            return ExcCodes.ILLEGAL_ADDRESS
        for code, low, high in self._forbidden:
            if code == function_code and low < address + count and address < high:
                return ExcCodes.ILLEGAL_ADDRESS
        return [words.get((function_code, address + index), 0) for index in range(count)]

    def _span(self, function_code: int, words: Words) -> tuple[int, int]:
        if function_code not in self._spans:
            listed = [address for code, address in words if code == function_code]
            self._spans[function_code] = (min(listed), max(listed) + 1) if listed else (0, 0)
        return self._spans[function_code]


class _PlantCore(SimCore):
    """What pymodbus's server asks for registers: the images of a plant's devices."""

    def __init__(self, units: Mapping[int, _Unit]) -> None:
        super().__init__(SimDevice(0, simdata=SimData(0, values=0, datatype=DataType.REGISTERS)))
        self.units = units
        self.functions_seen: set[int] = set()

    def device_ids(self) -> list[int]:
        """Return the unit ids that answer."""
        return list(self.units)

    async def async_getValues(  # noqa: N802, the name is pymodbus's
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        """Return the words of a block; a silent device is silent, behind a gateway exception 11."""
        self.functions_seen.add(func_code)
        unit = self.units.get(device_id)
        found = None if unit is None else unit.read(func_code, address, count)
        if found is not None:
            return found
        if len(self.units) > 1:
            return ExcCodes.GATEWAY_NO_RESPONSE
        raise NoSuchIdException("silent")

    async def async_setValues(  # noqa: N802, the name is pymodbus's
        self, device_id: int, func_code: int, address: int, values: list[int] | list[bool]
    ) -> ExcCodes | None:
        """Refuse: nothing is ever written to a simulated device."""
        del device_id, address, values
        self.functions_seen.add(func_code)
        return ExcCodes.ILLEGAL_FUNCTION


class ModbusSimulator:
    """One Modbus TCP server with one unit id (an inverter) or several (a gateway)."""

    def __init__(
        self,
        address: tuple[str, int],
        devices: Sequence[SimulatedDevice],
        source: PlantSource,
        clock: Clock,
    ) -> None:
        self.address = address
        self._core = _PlantCore({device.unit_id: _Unit(device, source, clock) for device in devices})
        self._server: ModbusTcpServer | None = None
        self.requests = 0

    @property
    def functions_seen(self) -> frozenset[int]:
        """Every function code that a client has used."""
        return frozenset(self._core.functions_seen)

    async def start(self) -> None:
        """Listen; raises OSError when the port is taken."""
        server = ModbusTcpServer(
            SimDevice(0, simdata=SimData(0, values=0, datatype=DataType.REGISTERS)),
            address=self.address,
            ignore_missing_devices=True,
            trace_pdu=self._see,
        )
        server.context = self._core
        if not await server.listen():
            raise OSError(f"cannot listen on {self.address[0]}:{self.address[1]}")
        self._server = server

    def _see(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if not sending:
            self.requests += 1
            self._core.functions_seen.add(pdu.function_code)
        return pdu

    async def stop(self) -> None:
        """Close every connection and the listener."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None


class MqttSimulator:
    """Publishes samples of MQTT devices on their topics with QoS 1, each at its own second of the cycle."""

    def __init__(
        self, broker: tuple[str, int], links: Sequence[DeviceLink], source: PlantSource, clock: Clock
    ) -> None:
        self._links = links
        self._source = source
        self._clock = clock
        self._broker = broker
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"sunledger-simulator-{broker[1]}",
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self.published = 0

    async def start(self) -> None:
        """Connect in the background and begin to publish."""
        self._client.connect_async(*self._broker)
        self._client.loop_start()
        self._tasks = [asyncio.create_task(self._publish(link)) for link in self._links]

    async def _publish(self, link: DeviceLink) -> None:
        mapping = load_mapping(link.profile)
        cycle = max(link.cycle_seconds, 1)
        await asyncio.sleep(zlib.crc32(link.device_id.encode()) % (cycle * 1000) / 1000)
        while True:
            began = time.monotonic()
            now = self._clock()
            values = self._source.values(link.device_id, now)
            if values is not None and self._client.is_connected():
                payload = encode_message(mapping, values, at=now, serial=link.serial or link.device_id)
                self._client.publish(link.topic, payload, qos=1)
                self.published += 1
            await asyncio.sleep(max(cycle - (time.monotonic() - began), 0))

    async def stop(self) -> None:
        """Stop publishing and disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)


def _nameplate(link: DeviceLink) -> Identity:
    serial = link.serial or f"SIM{zlib.crc32(link.device_id.encode()):08X}"
    return Identity(serial=serial, firmware="SIM", rated_power_w=link.rated_power_w or None)


class Simulator:
    """Every simulated device of a list of links: one server an endpoint, one publisher a broker.

    `broker` is where MQTT links without a host of their own publish. Links of other transports are left
    out. Start and stop it in one event loop.
    """

    def __init__(
        self,
        links: Iterable[DeviceLink],
        source: PlantSource,
        clock: Clock,
        broker: tuple[str, int] = ("127.0.0.1", 1883),
    ) -> None:
        listed = sorted(links, key=lambda link: (link.transport, link.host, link.port, link.unit_id))
        polled = [link for link in listed if link.transport == MODBUS_TCP]
        pushed = [link for link in listed if link.transport == MQTT]
        self.servers = [
            ModbusSimulator(
                address,
                [
                    SimulatedDevice(
                        link.device_id, link.unit_id, load_profile(link.profile), _nameplate(link)
                    )
                    for link in group
                ],
                source,
                clock,
            )
            for address, group in groupby(polled, key=lambda link: (link.host, link.port))
        ]
        self.publishers = [
            MqttSimulator((host, port) if host else broker, list(group), source, clock)
            for (host, port), group in groupby(pushed, key=lambda link: (link.host, link.port))
        ]

    async def start(self) -> None:
        """Start everything; raises OSError when a port is taken."""
        for server in self.servers:
            await server.start()
        for publisher in self.publishers:
            await publisher.start()

    async def stop(self) -> None:
        """Stop everything."""
        for publisher in self.publishers:
            await publisher.stop()
        for server in self.servers:
            await server.stop()
