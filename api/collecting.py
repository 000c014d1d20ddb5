"""The collector as a role of this process.

Owns its thread and event loop, how settings become the collector's, and the watch over the registry: a
device that is added, moved or removed there is taken over without dropping the other connections.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import unquote, urlsplit

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.service import only_collector, spool_of
from api.settings import MQTT_PORTS, Settings
from collector.connections import ConnectionStatus, DeviceLink, links
from collector.learned import DeviceModel, Learned, Places
from collector.reports import (
    CollectorReport,
    collector_reports,
    keep_learned,
    recall_learned,
    report_collector,
    report_connections,
    report_refused,
    report_start,
)
from collector.runtime import Collector
from collector.settings import CollectorSettings, DialInSettings, MqttSettings
from collector.spool import Spool
from dashboards.web import Services
from registry.actors import SYSTEM
from store.events import Event, EventKind, Severity, record
from store.periods import local_date

logger = structlog.get_logger(__name__)
RELOAD_SECONDS = 30
REPORT_SECONDS = 15
STOP_SECONDS = 90


def mqtt_settings(settings: Settings) -> MqttSettings | None:
    """Return how to reach the broker of `mqtt_url`, checked by the settings; None when it is empty."""
    if not settings.mqtt_url:
        return None
    parts = urlsplit(settings.mqtt_url)
    return MqttSettings(
        host=parts.hostname or "",
        port=parts.port or MQTT_PORTS[parts.scheme],
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        certificate_authority=settings.mqtt_certificate_authority if parts.scheme == "mqtts" else "",
        protocol=settings.mqtt_protocol,
        client_id=settings.mqtt_client_id,
        shared_group=settings.mqtt_shared_group,
    )


def dial_in_settings(settings: Settings) -> DialInSettings | None:
    """Return where DTUs call; None when no port is set for them."""
    if not settings.dial_in_port:
        return None
    return DialInSettings(
        host=settings.dial_in_host,
        port=settings.dial_in_port,
        heartbeats=settings.dial_in_heartbeats,
        networks=tuple(str(network) for network in settings.dial_in_networks),
        takeover_seconds=settings.dial_in_takeover_seconds,
    )


def collector_settings(settings: Settings) -> CollectorSettings:
    """Return the settings of the service as the collector wants them."""
    return CollectorSettings(
        allowed_networks=tuple(str(network) for network in settings.modbus_networks),
        serial_ports=settings.serial_ports,
        daily_request_cap=settings.line_daily_requests,
        daily_byte_cap=settings.line_daily_megabytes * 1_000_000,
        dial_in=dial_in_settings(settings),
        mqtt=mqtt_settings(settings),
    )


def _links(services: Services, areas: tuple[str, ...]) -> tuple[DeviceLink, ...]:
    with services.database.reading() as session:
        return links(session, SYSTEM, on=local_date(services.clock()), areas=areas)


class Reporter:
    """Tells the other processes how the collector of a name is doing; says again only what has changed."""

    def __init__(self, services: Services, name: str) -> None:
        self._services = services
        self._name = name
        self._started_at = services.clock()
        self._reported_at: datetime | None = None
        self._told: Mapping[str, ConnectionStatus] = {}
        self._learned: Mapping[DeviceModel, Places] = {}

    def report(self, collector: Collector, settings: CollectorSettings) -> None:
        """Write the present state; a database that is away is asked again next time."""
        present = {one.link.device_id: one for one in collector.connections()}
        changed = [one for name, one in present.items() if self._told.get(name) != one]
        gone = self._told.keys() - present.keys()
        learned = collector.learned.all()
        new = {device: places for device, places in learned.items() if self._learned.get(device) != places}
        now, dial_in = self._services.clock(), collector.dial_in
        said = CollectorReport(
            at=now,
            started_at=self._started_at,
            dial_in_port=dial_in.port if dial_in is not None else 0,
            daily_requests_cap=settings.daily_request_cap,
            daily_bytes_cap=settings.daily_byte_cap,
            name=self._name,
        )
        try:
            with self._services.database.transaction() as session:
                if self._reported_at is None:
                    report_start(session, self._name)
                else:
                    self._look_for_a_namesake(session, self._reported_at)
                report_connections(session, self._name, changed, gone)
                report_refused(session, self._name, dial_in.refused() if dial_in is not None else ())
                keep_learned(session, new, now)
                report_collector(session, said)
        except SQLAlchemyError as error:
            logger.warning("connections not reported", error=str(error))
            return
        self._told, self._learned, self._reported_at = present, learned, now

    def _look_for_a_namesake(self, session: Session, since: datetime) -> None:
        """Tell when another collector has reported under our name since our last report [UTC]."""
        other = next((one for one in collector_reports(session) if one.name == self._name), None)
        if other is None or other.at <= since or other.started_at == self._started_at:
            return
        message = f"另一个采集程序也叫 {self._name}，两边的连接情况互相覆盖：给它另设 collector_name"
        event = Event(
            self._services.clock(), EventKind.COMMUNICATION, Severity.ERROR, "collector", self._name, message
        )
        record(session, event)
        logger.error("another collector has our name", name=self._name)


class _Stage:
    """The thread in which the collector runs."""

    def __init__(self, services: Services, settings: Settings, spool: Spool) -> None:
        self._services = services
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="collector", daemon=True)
        self._watch: asyncio.Task[None] | None = None
        self._reporting: asyncio.Task[None] | None = None
        self._reporter = Reporter(services, settings.collector_name)
        self._areas = settings.collector_areas
        self._known = _links(services, self._areas)
        self._settings = collector_settings(settings)
        with services.database.transaction() as session:
            learned = Learned(recall_learned(session, services.clock()))
        self.collector = Collector(
            self._known,
            spool=spool,
            series=services.series,
            clock=services.clock,
            on_event=self._keep,
            settings=self._settings,
            learned=learned,
        )

    def _keep(self, event: Event) -> None:
        with self._services.database.transaction() as session:
            record(session, event)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    async def _start(self) -> None:
        await self.collector.start()
        self._watch = asyncio.create_task(self._watch_registry(), name="registry watch")
        self._reporting = asyncio.create_task(self._report_for_ever(), name="connection reports")

    async def _watch_registry(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            try:
                found = await asyncio.to_thread(_links, self._services, self._areas)
            except SQLAlchemyError as error:
                # The devices that are known are polled on; the next turn asks again.
                logger.warning("the registry is out of reach", error=str(error))
                continue
            if found != self._known:
                await self.collector.reload(found)
                self._known = found

    async def _report_for_ever(self) -> None:
        while True:
            await asyncio.to_thread(self._reporter.report, self.collector, self._settings)
            await asyncio.sleep(REPORT_SECONDS)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        self._loop.close()

    async def _stop(self) -> None:
        tasks = [task for task in (self._watch, self._reporting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.collector.stop()
        await asyncio.to_thread(self._reporter.report, self.collector, self._settings)


@contextmanager
def collecting(services: Services, settings: Settings) -> Iterator[Collector]:
    """Collect from every device of the registry while the block runs; what was read is kept at its end."""
    with only_collector(settings.data_dir), spool_of(settings) as spool:
        stage = _Stage(services, settings, spool)
        stage.start()
        try:
            yield stage.collector
        finally:
            stage.stop()
