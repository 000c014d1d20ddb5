"""The collector as one thing to start and stop.

Owns how poller, MQTT ingest, spool and store stand together: samples are gathered in memory for at most
a second, committed to the spool, and drained from there into the store by a thread of its own.
"""

import asyncio
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from collector.connections import MQTT, POLLED_TRANSPORTS, ConnectionStatus, DeviceLink, StatusBoard
from collector.costs import PREFIX as COST_PREFIX
from collector.costs import Costs
from collector.dialin import DialInListener
from collector.drain import Drain, DrainState
from collector.learned import Learned
from collector.modbus import Line
from collector.mqtt import MqttIngest, Session
from collector.networks import address_problem
from collector.notices import EventRelay, EventSink, Throttle
from collector.outlet import Outlet
from collector.poller import Poller, Surroundings
from collector.settings import CollectorSettings, MqttSettings
from collector.spool import Balance, Spool, SpoolFullError
from store.events import Event, EventKind, Severity
from store.periods import Clock
from store.samples import Sample
from store.series import SeriesStore

MEMORY_SAMPLES = 50_000
DEFAULT_SETTINGS = CollectorSettings()
Brokers = dict[str, tuple[MqttSettings, list[DeviceLink]]]
"""How each broker is reached and the links that it carries, by `host:port`."""


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """How everything is doing: connections, sessions with brokers, the drain, the balance, memory.

    `unspooled` samples wait in memory for the next commit; `overflowed` were lost there because the disk
    took nothing for too long.
    """

    connections: tuple[ConnectionStatus, ...]
    sessions: tuple[tuple[str, Session], ...]
    drain: DrainState
    balance: Balance
    spool_bytes: int
    unspooled: int
    overflowed: int
    events_lost: int


class Collector:
    """Collects from all links into the spool, and from the spool into the store.

    `learned` is what an earlier run found out about devices. `on_event` is called in a thread of its own.
    Start and stop it in one event loop; `status` may be
    called from any thread. The spool and the store stay the caller's to close, after `stop`.
    """

    def __init__(  # noqa: PLR0913, the things that a collector stands between, all by name
        self,
        links: Iterable[DeviceLink],
        *,
        spool: Spool,
        series: SeriesStore,
        clock: Clock,
        on_event: EventSink,
        settings: CollectorSettings = DEFAULT_SETTINGS,
        learned: Learned | None = None,
    ) -> None:
        self._links = tuple(links)
        self.spool = spool
        self._clock = clock
        self._settings = settings
        self._relay = EventRelay(on_event)
        self._events = Throttle(self._relay)
        self._board = StatusBoard(self._links)
        self._drain = Drain(spool, series, clock, self._events, settings)
        self._pending: list[Sample] = []
        self._pending_lock = threading.Lock()
        self._overflowed = 0
        self._flusher: asyncio.Task[None] | None = None
        self._ingests: dict[str, MqttIngest] = {}
        self.dial_in = DialInListener(settings.dial_in, self._events, clock) if settings.dial_in else None
        self.learned = learned or Learned()
        self._costs = Costs(spool.memory(COST_PREFIX))
        self._unkept: dict[str, bytes] = {}
        self._poller = Poller(
            Surroundings(
                settings,
                clock,
                self._board,
                self._take,
                self._events,
                dial_in=self.dial_in,
                learned=self.learned,
                costs=self._costs,
            )
        )

    def _take(self, sample: Sample) -> None:
        with self._pending_lock:
            self._pending.append(sample)

    async def start(self) -> None:
        """Begin to collect; devices, brokers and stores that are away are waited for, never required."""
        self._relay.start()
        if self.spool.set_aside is not None:
            message = f"采集队列文件损坏，已另存为 {self.spool.set_aside.name}，重新开始"
            self._tell(EventKind.DROP, Severity.ERROR, message)
        self._drain.start()
        self._flusher = asyncio.create_task(self._flush_for_ever(), name="collector flush")
        if self.dial_in is not None:
            await self.dial_in.start()
        await self._put(self._links)

    async def reload(self, links: Iterable[DeviceLink]) -> None:
        """Take a new list of devices without dropping the connections that stay."""
        await self._put(tuple(links))

    async def _put(self, links: tuple[DeviceLink, ...]) -> None:
        self._links = links
        self._board.put_links(links)
        await self._poller.put_links([link for link in links if link.transport in POLLED_TRANSPORTS])
        brokers = await self._allowed(self._by_broker(links))
        for broker in [name for name in self._ingests if name not in brokers]:
            await asyncio.to_thread(self._ingests.pop(broker).stop)
        for broker, (settings, group) in brokers.items():
            if broker in self._ingests:
                await asyncio.to_thread(self._ingests[broker].reload, group)
            else:
                outlet = Outlet(self.spool, self._board, self._events)
                ingest = MqttIngest(settings, group, outlet, self._clock)
                self._ingests[broker] = ingest
                ingest.start()

    def _by_broker(self, links: Sequence[DeviceLink]) -> Brokers:
        """Return the MQTT links by broker; a link without a host of its own uses the set broker."""
        base = self._settings.mqtt or MqttSettings()
        brokers: Brokers = {}
        for link in links:
            if link.transport != MQTT:
                continue
            settings = replace(base, host=link.host, port=link.port) if link.host else base
            brokers.setdefault(f"{settings.host}:{settings.port}", (settings, []))[1].append(link)
        return brokers

    async def _allowed(self, brokers: Brokers) -> Brokers:
        """Return the brokers that may be reached; one that only a device names is judged as devices are."""
        base, networks, allowed = self._settings.mqtt or MqttSettings(), self._settings.allowed_networks, {}
        for broker, (settings, group) in brokers.items():
            line = Line(settings.host, settings.port)
            problem = "" if settings.host == base.host else await address_problem(line, networks)
            if not problem:
                allowed[broker] = (settings, group)
                continue
            for link in group:
                Outlet(self.spool, self._board, self._events).misconfigured(link, problem, self._clock())
        return allowed

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.flush_seconds)
            await asyncio.to_thread(self._flush)

    def _flush(self) -> None:
        """Commit what was polled, and what it cost, to the spool; on a full disk keep it within limits."""
        with self._pending_lock:
            samples, self._pending = self._pending, []
        self._unkept |= self._costs.news()
        if not samples and not self._unkept:
            return
        now = self._clock()
        try:
            dropped = self.spool.append(samples, memory=self._unkept, at=now)
        except SpoolFullError as error:
            self._keep(samples)
            self._tell(EventKind.DROP, Severity.ERROR, str(error))
            return
        self._unkept = {}
        if dropped:
            self._tell(EventKind.DROP, Severity.ERROR, f"采集队列已满，丢弃最旧的 {dropped} 条数据")

    def _keep(self, samples: list[Sample]) -> None:
        with self._pending_lock:
            kept = samples + self._pending
            self._overflowed += max(len(kept) - MEMORY_SAMPLES, 0)
            self._pending = kept[-MEMORY_SAMPLES:]

    def _tell(self, kind: EventKind, severity: Severity, message: str) -> None:
        event = Event(self._clock(), kind, severity, "collector", "spool", message)
        self._events.tell(event, message[:10])

    async def stop(self) -> None:
        """Stop reading, commit what was read, hand over what can be handed over; nothing is lost."""
        await self._poller.stop()
        if self.dial_in is not None:
            await self.dial_in.stop()
        for ingest in self._ingests.values():
            await asyncio.to_thread(ingest.stop)
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
        await asyncio.to_thread(self._flush)
        await asyncio.to_thread(self._drain.stop)
        await asyncio.to_thread(self._relay.stop)

    def connections(self) -> tuple[ConnectionStatus, ...]:
        """Return the status of every connection."""
        return self._board.all()

    def status(self) -> CollectorStatus:
        """Return how everything is doing."""
        return CollectorStatus(
            connections=self._board.all(),
            sessions=tuple((broker, ingest.session) for broker, ingest in self._ingests.items()),
            drain=self._drain.state,
            balance=self.spool.balance(),
            spool_bytes=self.spool.size_bytes,
            unspooled=len(self._pending),
            overflowed=self._overflowed,
            events_lost=self._relay.lost,
        )
