"""What the collector connects to, and how each connection is doing.

Owns `DeviceLink` (one device as the collector needs it), the reader that builds the list from the
registry, and the status board that pages, API and metrics read. It opens no connection.
"""

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from registry.actors import Actor, area_prefix
from registry.stations import Device, devices, stations

MODBUS_TCP = "modbus-tcp"
MODBUS_RTU_TCP = "modbus-rtu-tcp"
MODBUS_SERIAL = "modbus-serial"
MODBUS_DIAL_IN = "modbus-dial-in"
MODBUS_DIAL_IN_TCP = "modbus-dial-in-tcp"
DLT645_TCP = "dlt645-tcp"
DLT645_SERIAL = "dlt645-serial"
MQTT = "mqtt"
DIAL_IN_TRANSPORTS = frozenset({MODBUS_DIAL_IN, MODBUS_DIAL_IN_TCP})
DLT645_TRANSPORTS = frozenset({DLT645_TCP, DLT645_SERIAL})
POLLED_TRANSPORTS = DIAL_IN_TRANSPORTS | {MODBUS_TCP, MODBUS_RTU_TCP, MODBUS_SERIAL} | DLT645_TRANSPORTS


@dataclass(frozen=True, slots=True)
class DeviceLink:
    """How one device is reached.

    `transport` is one of the constants of this module. For polled devices `host`, `port` and `unit_id`
    say where and `profile` names the device profile, with the ratios of a meter's transformers
    (`acrel_dtsd1352?pt=100&ct=30`; for DL/T 645 `serial` is the meter's address). For a
    serial line `host` is the path of the port with its settings (`/dev/ttyS0?baud=2400&parity=E`); for a
    dial-in DTU `host` is its registration packet (text, or `hex:…`), with RTU frames or, for
    `modbus-dial-in-tcp`, Modbus TCP frames inside. For MQTT `topic` is the filter of the device's messages,
    `profile` names the payload mapping and `serial` the name by which a payload with several devices calls
    it. `cycle_seconds` is the poll cycle [s], `rated_power_w` the AC rated power [W] or 0, `division_code`
    the village.
    """

    device_id: str
    station_id: str
    transport: str
    host: str = ""
    port: int = 502
    unit_id: int = 1
    profile: str = ""
    topic: str = ""
    cycle_seconds: int = 60
    rated_power_w: int = 0
    division_code: str = ""
    serial: str = ""

    @property
    def endpoint(self) -> str:
        """The line that the device shares with others: one owner, one request in flight."""
        return f"{self.transport}://{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """The place a person can find: `host:port#unit`, or the topic."""
        return self.topic if self.transport == MQTT else f"{self.host}:{self.port}#{self.unit_id}"


def links(session: Session, actor: Actor, *, on: date, areas: Collection[str] = ()) -> tuple[DeviceLink, ...]:
    """Return the links of the devices in the actor's area that stand there on a day and have a transport.

    With `areas` (division codes of 12 digits) only those of the stations that stand in one of them.
    """
    places = {station.id: station.division_code for station in stations(session, actor)}
    prefixes = tuple(area_prefix(area) for area in areas) or ("",)
    return tuple(
        link_of(device, places.get(device.station_id, ""))
        for device in devices(session, actor, on=on)
        if device.transport and places.get(device.station_id, "").startswith(prefixes)
    )


def link_of(device: Device, division_code: str) -> DeviceLink:
    """Return a device of the registry as the collector needs it."""
    return DeviceLink(
        device_id=device.id,
        station_id=device.station_id,
        transport=device.transport,
        host=device.host,
        port=device.port,
        unit_id=device.unit_id,
        profile=device.profile,
        topic=device.topic,
        cycle_seconds=device.cycle_seconds,
        rated_power_w=device.rated_power_w,
        division_code=division_code,
        serial=device.serial,
    )


class LinkState(StrEnum):
    """How a connection is doing, in the order in which a person wants to see it."""

    WAITING = "waiting"
    GOOD = "good"
    FAILING = "failing"
    BUSY = "busy"
    OVERSUBSCRIBED = "oversubscribed"
    CAPPED = "capped"
    MISCONFIGURED = "misconfigured"


LINK_STATE_LABELS = {
    LinkState.WAITING: "等待首次应答",
    LinkState.GOOD: "正常",
    LinkState.FAILING: "通信失败",
    LinkState.BUSY: "被占用",
    LinkState.OVERSUBSCRIBED: "轮询超载",
    LinkState.CAPPED: "今日已到上限",
    LinkState.MISCONFIGURED: "配置有误",
}


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """How one device's connection is doing; counts are since the collector started.

    `latency_ms` is the time of the last good poll [ms], `missed` the polls without a sample,
    `failures` the failures in a row, `requests` and `bytes_exchanged` what a SIM card pays for today.
    """

    link: DeviceLink
    state: LinkState = LinkState.WAITING
    last_good_at: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None
    latency_ms: float | None = None
    polls: int = 0
    missed: int = 0
    skipped: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    requests: int = 0
    bytes_exchanged: int = 0
    messages: int = 0

    @property
    def label(self) -> str:
        """The state in Chinese."""
        return LINK_STATE_LABELS[self.state]


@dataclass(frozen=True, slots=True)
class RefusedCaller:
    """Somebody who called and was not let in: from where, what it said (as it would be registered), why."""

    peer: str
    packet: str
    reason: str
    first_at: datetime
    last_at: datetime
    count: int


class StatusBoard:
    """The present status of every connection; written by the collector's threads, read by anyone."""

    def __init__(self, device_links: Iterable[DeviceLink] = ()) -> None:
        self._lock = threading.Lock()
        self._statuses = {link.device_id: ConnectionStatus(link) for link in device_links}

    def put_links(self, device_links: Iterable[DeviceLink]) -> None:
        """Take a new list of links; what is known of a device that stays is kept."""
        with self._lock:
            old = self._statuses
            self._statuses = {
                link.device_id: replace(old[link.device_id], link=link)
                if link.device_id in old
                else ConnectionStatus(link)
                for link in device_links
            }

    def get(self, device_id: str) -> ConnectionStatus | None:
        """Return the status of one device, or None when it is not on the list."""
        return self._statuses.get(device_id)

    def put(self, status: ConnectionStatus) -> None:
        """Replace the status of a device; a device that left the list meanwhile is ignored."""
        with self._lock:
            if status.link.device_id in self._statuses:
                self._statuses[status.link.device_id] = status

    def all(self) -> tuple[ConnectionStatus, ...]:
        """Return every status, in the order of the list."""
        with self._lock:
            return tuple(self._statuses.values())
