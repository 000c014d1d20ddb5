"""MQTT ingest: from the broker into the spool, acknowledged only after the durable commit.

Owns the session with the broker. It publishes nothing. Which device may speak on a topic is decided by
the list of links, never by the payload alone; what a payload means is decided by its mapping.
"""

import logging
import queue
import random
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collector.connections import DeviceLink, LinkState, StatusBoard
from collector.notices import Throttle
from collector.payloads import PayloadMapping, Reading, load_mapping, read_message
from collector.settings import MqttSettings
from collector.spool import Rejected, Spool, SpoolFullError
from store.events import Event, EventKind, Severity
from store.periods import Clock
from store.problem import ProblemsError
from store.quality import check
from store.samples import Sample

LOG = logging.getLogger("sunledger.collector.mqtt")
QUEUE_MESSAGES = 20_000
ROUTES_KEPT = 50_000
RETRY_SECONDS = 1.0
SOON_SECONDS = 0.5
UNSUPPORTED_VERSION = "Unsupported protocol version"
_chance = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as it came, with the connection that it came on."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    retained: bool
    generation: int


@dataclass(frozen=True, slots=True)
class Route:
    """Who may speak on a topic through one mapping: the payload's name of each device to its link."""

    mapping: PayloadMapping
    links: Mapping[str, DeviceLink]
    devices: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """How the session with the broker is doing; counts since the start.

    `subscribed` tells that the broker has confirmed every subscription of this connection.
    """

    connected: bool = False
    subscribed: bool = False
    since: datetime | None = None
    messages: int = 0
    refused: int = 0
    last_error: str = ""


class RouteTable:
    """Finds the routes of a topic; what was found for a topic is remembered."""

    def __init__(self, links: Sequence[DeviceLink]) -> None:
        self.problems: list[tuple[DeviceLink, str]] = []
        self._groups: dict[tuple[str, str], list[DeviceLink]] = {}
        self._known: dict[str, tuple[Route, ...]] = {}
        for link in links:
            try:
                load_mapping(link.profile)
            except ProblemsError as error:
                self.problems.append((link, str(error)))
                continue
            self._groups.setdefault((link.topic, link.profile), []).append(link)

    @property
    def filters(self) -> tuple[str, ...]:
        """Every topic filter to subscribe to."""
        return tuple(sorted({topic for topic, _ in self._groups}))

    def routes(self, topic: str) -> tuple[Route, ...]:
        """Return the routes of a topic; none when nobody may speak there."""
        found = self._known.get(topic)
        if found is None:
            if len(self._known) > ROUTES_KEPT:
                self._known.clear()
            found = self._known[topic] = self._find(topic)
        return found

    def _find(self, topic: str) -> tuple[Route, ...]:
        by_mapping: dict[str, dict[str, DeviceLink]] = {}
        for (pattern, name), links in self._groups.items():
            if pattern == topic or paho.topic_matches_sub(pattern, topic):
                table = by_mapping.setdefault(name, {})
                table.update({link.serial or link.device_id: link for link in links})
        return tuple(
            Route(load_mapping(name), links, {serial: link.device_id for serial, link in links.items()})
            for name, links in by_mapping.items()
        )


def read_routed(
    table: RouteTable, message: Incoming, now: datetime
) -> tuple[list[Sample], list[Rejected], list[DeviceLink]]:
    """Return the samples of a message with their flags, what must go to quarantine, and who spoke."""
    routes = table.routes(message.topic)
    if not routes:
        return [], [Rejected(message.topic, "这个主题没有登记设备", message.payload)], []
    samples: list[Sample] = []
    faults: list[str] = []
    speakers: list[DeviceLink] = []
    for route in routes:
        if message.retained and route.mapping.time.missing == "receipt":
            reading = Reading(faults=("保留消息没有自己的采样时间，不能当作新数据",))
        else:
            reading = read_message(route.mapping, message.payload, route.devices, now)
        faults.extend(reading.faults)
        by_device = {link.device_id: link for link in route.links.values()}
        for sample in reading.samples:
            link = by_device[sample.device_id]
            speakers.append(link)
            samples.append(replace(sample, flags=check(sample, link.rated_power_w)))
    rejected = [Rejected(message.topic, "；".join(faults), message.payload)] if faults else []
    return samples, rejected, speakers


class Outlet:
    """Where the ingest puts what it has: the spool, the status board and the events."""

    def __init__(self, spool: Spool, board: StatusBoard, events: Throttle) -> None:
        self.spool = spool
        self._board = board
        self._events = events

    def heard(self, links: Iterable[DeviceLink], now: datetime) -> None:
        """Note on the board that these devices have spoken."""
        for link in links:
            status = self._board.get(link.device_id)
            if status is not None:
                self._board.put(
                    replace(
                        status,
                        state=LinkState.GOOD,
                        last_good_at=now,
                        messages=status.messages + 1,
                        failures=0,
                        failing_since=None,
                    )
                )

    def refused(self, rejected: Sequence[Rejected], now: datetime) -> None:
        """Tell about messages in quarantine, once an hour for each topic and reason."""
        for item in rejected:
            self._events.tell(
                Event(
                    at=now,
                    kind=EventKind.QUARANTINE,
                    severity=Severity.WARNING,
                    subject_kind="topic",
                    subject_id=item.source[:128],
                    message=f"消息不能用，已隔离：{item.reason}",
                    detail={"size": len(item.raw)},
                ),
                item.reason[:40],
            )

    def misconfigured(self, link: DeviceLink, problem: str, now: datetime) -> None:
        """Show a device whose mapping cannot be used."""
        status = self._board.get(link.device_id)
        if status is not None:
            self._board.put(
                replace(status, state=LinkState.MISCONFIGURED, last_error=problem, last_error_at=now)
            )
        self._events.tell(
            Event(
                at=now,
                kind=EventKind.COMMUNICATION,
                severity=Severity.ERROR,
                subject_kind="device",
                subject_id=link.device_id,
                message=f"设备接入配置有误：{problem}",
                division_code=link.division_code,
            ),
            "misconfigured",
        )

    def tell_broker(self, settings: MqttSettings, severity: Severity, message: str, now: datetime) -> None:
        """Tell how the session with the broker is doing."""
        place = f"{settings.host}:{settings.port}"
        self._events.tell(
            Event(
                at=now,
                kind=EventKind.COMMUNICATION,
                severity=severity,
                subject_kind="broker",
                subject_id=place,
                message=f"{message}（{place}）",
            ),
            message[:40],
        )


class MqttIngest:
    """One session with one broker: subscribes, decodes, commits, acknowledges.

    Threads: paho's network thread takes messages into a bounded queue and stops reading when it is full;
    a worker thread commits them in batches and acknowledges each after the commit.
    """

    def __init__(
        self, settings: MqttSettings, links: Sequence[DeviceLink], outlet: Outlet, clock: Clock
    ) -> None:
        self._settings = settings
        self._outlet = outlet
        self._clock = clock
        self._table = RouteTable(links)
        self._queue: queue.Queue[Incoming] = queue.Queue(QUEUE_MESSAGES)
        self._stopping = threading.Event()
        self._downgrading = threading.Event()
        self._generation = 0
        self._unconfirmed: set[int] = set()
        self._acknowledging = threading.Lock()
        self._worker = threading.Thread(target=self._work, name="collector-mqtt", daemon=True)
        self._client = self._make_client()
        self.session = Session()

    def _make_client(self) -> paho.Client:
        five = self._settings.protocol == int(MQTTProtocolVersion.MQTTv5)
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.client_id,
            clean_session=None if five else False,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._settings.password)
        if self._settings.certificate_authority:
            client.tls_set(self._settings.certificate_authority)
        client.reconnect_delay_set(1, max(self._settings.reconnect_seconds, 1))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def start(self) -> None:
        """Connect in the background; a broker that is away is tried again until it is there."""
        for link, problem in self._table.problems:
            self._outlet.misconfigured(link, problem, self._clock())
        self._worker.start()
        self._connect()

    def _connect(self) -> None:
        settings = self._settings
        if settings.protocol == int(MQTTProtocolVersion.MQTTv5):
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = settings.session_seconds
            properties.ReceiveMaximum = 65_535
            self._client.connect_async(
                settings.host,
                settings.port,
                settings.keepalive_seconds,
                clean_start=False,
                properties=properties,
            )
        else:
            self._client.connect_async(settings.host, settings.port, settings.keepalive_seconds)
        self._client.loop_start()

    def _speak_older(self) -> None:
        """Go on in MQTT 3.1.1 with a broker that does not know MQTT 5."""
        self._downgrading.clear()
        self._client.disconnect()
        self._client.loop_stop()
        self._settings = replace(self._settings, protocol=3)
        self._client = self._make_client()
        self._connect()

    def stop(self) -> None:
        """Finish the messages at hand and leave; the broker keeps the session and queues for us."""
        self._stopping.set()
        self._worker.join(timeout=30)
        self._client.disconnect()
        self._client.loop_stop()

    def reload(self, links: Sequence[DeviceLink]) -> None:
        """Take a new list of devices without dropping the connection."""
        old, self._table = self._table, RouteTable(links)
        for link, problem in self._table.problems:
            self._outlet.misconfigured(link, problem, self._clock())
        gone = [item for item in old.filters if item not in self._table.filters]
        if gone:
            self._client.unsubscribe([self._subscription(item) for item in gone])
        self._subscribe([item for item in self._table.filters if item not in old.filters])

    def _subscription(self, pattern: str) -> str:
        group = self._settings.shared_group
        return f"$share/{group}/{pattern}" if group else pattern

    def _subscribe(self, filters: Sequence[str]) -> None:
        five = self._settings.protocol == int(MQTTProtocolVersion.MQTTv5)
        for start in range(0, len(filters), 100):
            names = [self._subscription(item) for item in filters[start : start + 100]]
            if five:
                outcome = self._client.subscribe([(name, SubscribeOptions(qos=1)) for name in names])
            else:
                outcome = self._client.subscribe([(name, 1) for name in names])
            if outcome[1] is not None:
                self._unconfirmed.add(outcome[1])

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self._unconfirmed.discard(mid)
        refused = [reason for reason in reasons if reason.is_failure]
        if refused:
            message = f"消息服务器拒绝订阅：{refused[0]}"
            self.session = replace(self.session, last_error=message)
            self._outlet.tell_broker(self._settings, Severity.ERROR, message, self._clock())
        elif not self._unconfirmed:
            self.session = replace(self.session, subscribed=True)

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._acknowledging:
            self._generation += 1
        if reason == UNSUPPORTED_VERSION and self._settings.protocol == int(MQTTProtocolVersion.MQTTv5):
            self._downgrading.set()
            return
        if reason.is_failure:
            self._failed(f"消息服务器拒绝连接：{reason}")
            return
        self._unconfirmed.clear()
        self.session = replace(self.session, connected=True, since=self._clock(), last_error="")
        self._outlet.tell_broker(self._settings, Severity.INFO, "已连接消息服务器", self._clock())
        self._subscribe(self._table.filters)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._stopping.is_set() or self._downgrading.is_set():
            return
        self._failed(f"与消息服务器的连接断开：{reason}")
        # Many collectors must not come back in the same second.
        time.sleep(_chance.uniform(0, SOON_SECONDS))

    def _failed(self, message: str) -> None:
        self.session = replace(
            self.session, connected=False, subscribed=False, since=self._clock(), last_error=message
        )
        self._outlet.tell_broker(self._settings, Severity.WARNING, message, self._clock())

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = repr(message._topic)  # noqa: SLF001, the only way to the bytes of an unreadable topic
        item = Incoming(
            topic, bytes(message.payload), message.mid, message.qos, message.retain, self._generation
        )
        while not self._stopping.is_set():
            try:
                self._queue.put(item, timeout=SOON_SECONDS)
            except queue.Full:
                continue
            return

    def _batch(self) -> list[Incoming]:
        """Return the next messages: what comes within the batch time, at most the batch size."""
        try:
            batch = [self._queue.get(timeout=SOON_SECONDS)]
        except queue.Empty:
            return []
        deadline = time.monotonic() + self._settings.batch_seconds
        while len(batch) < self._settings.batch_messages:
            try:
                batch.append(self._queue.get(timeout=max(deadline - time.monotonic(), 0)))
            except queue.Empty:
                break
        return batch

    def _work(self) -> None:
        while not self._stopping.is_set():
            if self._downgrading.is_set():
                self._speak_older()
            batch = self._batch()
            if not batch:
                continue
            try:
                self._take(batch)
            except Exception as error:
                # This loop must live on: unacknowledged messages come again from the broker.
                LOG.exception("batch of %d messages not taken", len(batch))
                self._failed(f"处理消息时出错：{error}")
                self._stopping.wait(RETRY_SECONDS)

    def _take(self, batch: Sequence[Incoming]) -> None:
        now = self._clock()
        samples: list[Sample] = []
        rejected: list[Rejected] = []
        heard: dict[str, DeviceLink] = {}
        for message in batch:
            good, bad, speakers = read_routed(self._table, message, now)
            samples.extend(good)
            rejected.extend(bad)
            heard.update((link.device_id, link) for link in speakers)
        while not self._committed(samples, rejected, now):
            if self._stopping.wait(RETRY_SECONDS):
                return
        with self._acknowledging:
            for message in batch:
                # An identifier of an earlier connection may name another message by now.
                if message.qos and message.generation == self._generation:
                    self._client.ack(message.mid, message.qos)
        self.session = replace(
            self.session,
            messages=self.session.messages + len(batch),
            refused=self.session.refused + len(rejected),
        )
        self._outlet.heard(heard.values(), now)
        self._outlet.refused(rejected, now)

    def _committed(self, samples: Sequence[Sample], rejected: Sequence[Rejected], now: datetime) -> bool:
        try:
            self._outlet.spool.append(samples, rejected, at=now)
        except SpoolFullError as error:
            self._failed(str(error))
            return False
        return True
