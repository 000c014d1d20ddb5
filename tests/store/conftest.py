"""Real servers for the engines: each on a free loopback port, with its own folder, stopped by its process."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import httpx
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


INFLUX_TOKEN = "a-token-for-tests-only"


def influxd() -> str:
    """Return the server's program; `make influxd` builds it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sunledger" / "influxd"
    built = sorted(cache.glob("*/influxd"))
    found = str(built[-1]) if built else shutil.which("influxd")
    assert found, "InfluxDB 2 is missing: make influxd, or set SUNLEDGER_TEST_INFLUXDB_URL"
    return found


@contextmanager
def influx(folder: Path, port: int = 0) -> Iterator[tuple[int, subprocess.Popen]]:
    """A real InfluxDB of its own in a folder, set up on its first start."""
    port = port or unused_port()
    folder.mkdir(exist_ok=True)
    options = {
        "engine-path": folder / "engine",
        "bolt-path": folder / "bolt.db",
        "sqlite-path": folder / "sqlite.db",
        "http-bind-address": f"127.0.0.1:{port}",
        "log-level": "warn",
    }
    command = [influxd(), *(f"--{name}={value}" for name, value in options.items()), "--reporting-disabled"]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(port)
            set_up_influx(port)
            yield port, process
        finally:
            process.terminate()


def set_up_influx(port: int) -> None:
    """Make organization and token, unless that was done before."""
    wanted = {"username": "root", "password": "only-for-tests", "org": "county", "bucket": "first"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        for _ in range(200):
            with suppress(httpx.TransportError):
                if client.get("/health").status_code == httpx.codes.OK:
                    break
            time.sleep(0.05)
        if client.get("/api/v2/setup").json()["allowed"]:
            client.post("/api/v2/setup", json={**wanted, "token": INFLUX_TOKEN}).raise_for_status()


@pytest.fixture(scope="session")
def start_influx() -> Callable[..., AbstractContextManager[Started]]:
    return influx


@pytest.fixture(scope="session")
def start_victoria_metrics() -> Callable[..., AbstractContextManager[Started]]:
    return victoria_metrics
