"""Runs the roles of one process until it is asked to stop.

Owns signals and the order of a clean stop: the web first, so that nothing new begins, then scheduler and
collector, the stores last. A role loads its own libraries only: a collector has no use for the web's.
"""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import structlog
import uvicorn
from prometheus_client import start_http_server

from api.collecting import collecting
from api.door import open_door, shut_door
from api.hatch import hatch
from api.logs import configure_logs
from api.scheduler import Scheduler
from api.service import open_services, spare_loaded_code
from api.settings import ServiceRole, Settings
from collector.metrics import registry
from collector.runtime import Collector
from dashboards.web import Services
from store.engines.patience import PatientSeries
from store.periods import Clock
from store.problem import Problem, ProblemsError

logger = structlog.get_logger(__name__)
GRACE_SECONDS = 10


class Stop:
    """The wish to stop, from whatever signal and at whatever moment of the start it comes."""

    def __init__(self) -> None:
        self._wished = threading.Event()
        self._server: uvicorn.Server | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.wish())

    def wish(self) -> None:
        """Ask to stop."""
        self._wished.set()
        if self._server is not None:
            self._server.should_exit = True

    def run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        """Run a web server until somebody wishes to stop; it lets requests at hand come to their end."""
        self._server = server
        server.should_exit = self._wished.is_set()
        # The server takes the signals while it runs, and raises them again for us when it has ended.
        server.run(sockets=[listener])

    def wait(self) -> None:
        """Return when somebody wishes to stop."""
        self._wished.wait()


def run_service(settings: Settings, clock: Clock) -> None:
    """Run the roles of `settings` until SIGTERM or SIGINT; raises ProblemsError when it cannot start."""
    configure_logs(settings.log_level)
    spare_loaded_code()
    with open_services(settings, clock) as services:
        if isinstance(services.series, PatientSeries):
            logger.warning("the series store is away", reason=services.series.reason)
        run_roles(services, settings)


def run_roles(services: Services, settings: Settings) -> None:
    """Run the chosen roles on open stores until a signal asks to stop."""
    stop = Stop()
    roles = ",".join(sorted(settings.roles))
    with ExitStack() as stack:
        stack.callback(logger.info, "stopped", roles=roles)
        collector: Collector | None = None
        if ServiceRole.COLLECTOR in settings.roles:
            collector = stack.enter_context(collecting(services, settings))
        if ServiceRole.SCHEDULER in settings.roles:
            stack.enter_context(_scheduling(services, settings))
        logger.info("started", roles=roles)
        if ServiceRole.WEB in settings.roles:
            _serve(services, settings, collector, stop)
        else:
            if collector is not None:
                stack.enter_context(hatch(services, collector.spool))
            with _measured(settings, collector):
                stop.wait()
        logger.info("stopping", roles=roles)


@contextmanager
def _scheduling(services: Services, settings: Settings) -> Iterator[None]:
    from api.alarming import alarm_pulses
    from api.notifications.channels import channels_of
    from api.tasks import handlers, pulses, tasks

    beside = (*pulses(services), *alarm_pulses(services, channels_of(settings)))
    scheduler = Scheduler(services, handlers(services), tasks(), beside)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.stop()


@contextmanager
def _measured(settings: Settings, collector: Collector | None) -> Iterator[None]:
    """Show the figures of a collector that has no web beside it, where a port is set for them."""
    if collector is None or not settings.metrics_port:
        yield
        return
    place = (settings.metrics_host, settings.metrics_port)
    try:
        server, thread = start_http_server(place[1], place[0], registry(collector))
    except OSError as error:
        raise _no_listening(*place, error, "SUNLEDGER_METRICS_PORT") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _no_listening(host: str, port: int, error: OSError, setting: str) -> ProblemsError:
    return ProblemsError([Problem(f"{host}:{port}", f"不能监听：{error.strerror}", f"换一个端口：{setting}")])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise _no_listening(settings.host, settings.port, error, "--port") from error
    return listener


def _serve(services: Services, settings: Settings, collector: Collector | None, stop: Stop) -> None:
    from api.app import create_app
    from api.notifications.channels import channels_of

    services = replace(services, robots=tuple(channels_of(settings).webhooks))
    listener = _listen(settings)
    token = open_door(settings.data_dir, settings.host, settings.port)
    try:
        config = uvicorn.Config(
            create_app(services, control_token=token, collector=collector),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            lifespan="off",
        )
        stop.run(uvicorn.Server(config), listener)
    finally:
        shut_door(settings.data_dir, token)
        listener.close()
