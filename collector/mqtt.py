"""MQTT ingest: from the broker into the spool, acknowledged only after the durable commit.

Owns the session with the broker. It publishes nothing. Which device may speak on a topic is decided by
the list of links, never by the payload alone; what a payload means is decided by its mapping.
"""

import logging
import queue
import random
import ssl
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collector.connections import DeviceLink
from collector.delivery import Rejected
from collector.outlet import Outlet
from collector.routes import Heard, Incoming, Listener, RouteTable
from collector.settings import MqttSettings
from collector.spool import SpoolFullError
from store.events import Severity
from store.periods import Clock
from store.samples import Sample

LOG = logging.getLogger("sunledger.collector.mqtt")
QUEUE_MESSAGES = 20_000
RETRY_SECONDS = 1.0
SOON_SECONDS = 0.5
UNSUPPORTED_VERSION = "Unsupported protocol version"
_chance = random.SystemRandom()


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
        self._listener = Listener(RouteTable(links), outlet.spool.memory(""))
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
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def start(self) -> None:
        """Connect in the background; a broker that is away is tried again until it is there."""
        self._show_problems()
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
        old = self._filters
        self._listener.table = RouteTable(links)
        self._show_problems()
        gone = [item for item in old if item not in self._filters]
        if gone:
            self._client.unsubscribe(gone)
        self._subscribe([item for item in self._filters if item not in old])

    def _show_problems(self) -> None:
        for link, problem in self._listener.table.problems:
            self._outlet.misconfigured(link, problem, self._clock())

    @property
    def _filters(self) -> list[str]:
        """Everything to subscribe to, as the broker is told."""
        table, group = self._listener.table, self._settings.shared_group
        shared = f"$share/{group}/" if group else ""
        return [*(f"{shared}{item}" for item in table.shareable), *table.undivided]

    def _subscribe(self, filters: Sequence[str]) -> None:
        five = self._settings.protocol == int(MQTTProtocolVersion.MQTTv5)
        for start in range(0, len(filters), 100):
            names = filters[start : start + 100]
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
        self._subscribe(self._filters)

    def _on_connect_fail(self, _client: paho.Client, _userdata: object) -> None:
        # paho calls this while it handles the error, which it does not hand over.
        error = sys.exc_info()[1]
        if isinstance(error, ssl.SSLCertVerificationError):
            message = f"消息服务器的证书不可信：{error.verify_message}"
        elif isinstance(error, OSError):
            message = f"连不上消息服务器：{error.strerror or error}"
        else:
            message = "连不上消息服务器"
        if not self._stopping.is_set():
            self._failed(message)
        time.sleep(_chance.uniform(0, SOON_SECONDS))

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
        if self.session.connected:
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
                # This loop must live on. What was not acknowledged comes again on a new connection only.
                LOG.exception("batch of %d messages not taken", len(batch))
                self._failed(f"处理消息时出错，重新连接：{type(error).__name__}")
                self._stopping.wait(RETRY_SECONDS)
                self._reconnect()

    def _reconnect(self) -> None:
        """Leave and come back, so that the broker sends again what was not acknowledged."""
        self._client.disconnect()
        self._client.loop_stop()
        self._connect()

    def _read(self, message: Incoming, now: datetime) -> Heard:
        """Return what a message gives; one that our own code cannot bear is set aside like any bad one."""
        try:
            return self._listener.read(message, now)
        except Exception as error:
            # This loop must live on: a defect of ours must not make one message block all others.
            LOG.exception("message on %s not read", message.topic)
            reason = f"采集程序出错：{type(error).__name__}"
            return Heard(rejected=[Rejected(message.topic, reason, message.payload)])

    def _take(self, batch: Sequence[Incoming]) -> None:
        now = self._clock()
        samples: list[Sample] = []
        rejected: list[Rejected] = []
        memory: dict[str, bytes] = {}
        told: list[Heard] = []
        speakers: dict[str, DeviceLink] = {}
        for message in batch:
            heard = self._read(message, now)
            samples.extend(heard.samples)
            rejected.extend(heard.rejected)
            memory.update(heard.memory)
            speakers.update((link.device_id, link) for link in heard.speakers)
            if heard.departed or heard.gaps or heard.clocks:
                told.append(heard)
        while not self._committed(samples, rejected, memory, now):
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
        self._outlet.heard(speakers.values(), now)
        self._outlet.refused(rejected, now)
        for heard in told:
            self._outlet.noticed(heard, now)

    def _committed(
        self,
        samples: Sequence[Sample],
        rejected: Sequence[Rejected],
        memory: Mapping[str, bytes],
        now: datetime,
    ) -> bool:
        try:
            dropped = self._outlet.spool.append(samples, rejected, memory, at=now)
        except SpoolFullError as error:
            self._failed(str(error))
            return False
        if dropped:
            self._outlet.dropped(dropped, now)
        return True
