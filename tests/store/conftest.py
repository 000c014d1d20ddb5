"""Real servers for the engines: each on a free loopback port, with its own folder, stopped by its process."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

RIGHT_FLAGS = ("-retentionPeriod", "100y", "-dedup.minScrapeInterval", "1ms")


Started = tuple[int, subprocess.Popen]
"""The port and the process of a server."""


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


@contextmanager
def victoria_metrics(
    folder: Path, flags: tuple[str, ...] = RIGHT_FLAGS, port: int = 0
) -> Iterator[tuple[int, subprocess.Popen]]:
    program = shutil.which("victoria-metrics")
    assert program, "VictoriaMetrics is missing: apt-get install victoria-metrics"
    port = port or unused_port()
    command = [program, "-storageDataPath", str(folder / "data"), "-httpListenAddr", f"127.0.0.1:{port}"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([*command, *flags], stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(port)
            yield port, process
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def start_victoria_metrics() -> Callable[..., AbstractContextManager[Started]]:
    return victoria_metrics
