"""Runs the roles of one process until it is asked to stop.

Owns signals and the order of a clean stop: the web first, so that nothing new begins, then scheduler and
collector, the stores last.
"""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import structlog
import uvicorn

from api.app import create_app
from api.collecting import collecting
from api.door import open_door, shut_door
from api.logs import configure_logs
from api.scheduler import Scheduler
from api.service import open_services
from api.settings import ServiceRole, Settings
from api.tasks import handlers, tasks
from collector.runtime import Collector
from dashboards.web import Services
from store.periods import Clock
from store.problem import Problem, ProblemsError

logger = structlog.get_logger(__name__)
GRACE_SECONDS = 10


def run_service(settings: Settings, clock: Clock) -> None:
    """Run the roles of `settings` until SIGTERM or SIGINT; raises ProblemsError when it cannot start."""
    configure_logs(settings.log_level)
    with open_services(settings, clock) as services:
        run_roles(services, settings)


def run_roles(services: Services, settings: Settings) -> None:
    """Run the chosen roles on open stores until a signal asks to stop."""
    # Both signals arrive as KeyboardInterrupt, so that every role is stopped in order. The web server
    # raises the signal again after its own clean stop.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        stack.callback(logger.info, "stopped")
        collector: Collector | None = None
        if ServiceRole.COLLECTOR in settings.roles:
            collector = stack.enter_context(collecting(services, settings))
        if ServiceRole.SCHEDULER in settings.roles:
            stack.enter_context(_scheduling(services))
        logger.info("started", roles=",".join(sorted(settings.roles)))
        if ServiceRole.WEB in settings.roles:
            _serve(services, settings, collector)
        else:
            _wait_for_signal()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        logger.info("stopping")


@contextmanager
def _scheduling(services: Services) -> Iterator[None]:
    scheduler = Scheduler(services, handlers(services), tasks())
    scheduler.start()
    try:
        yield
    finally:
        scheduler.stop()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ProblemsError(
            [Problem(f"{settings.host}:{settings.port}", f"不能监听：{error.strerror}", "换一个端口：--port")]
        ) from error
    return listener


def _serve(services: Services, settings: Settings, collector: Collector | None) -> None:
    listener = _listen(settings)
    token = open_door(settings.data_dir, settings.port)
    try:
        application = create_app(services, control_token=token, collector=collector)
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            lifespan="off",
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        shut_door(settings.data_dir)
        listener.close()


def _wait_for_signal() -> None:
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
