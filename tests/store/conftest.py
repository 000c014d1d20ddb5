"""Real servers for the engines: each on a free loopback port, with its own folder, stopped by its process."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
def influx(folder: Path, port: int = 0, more: tuple[str, ...] = ()) -> Iterator[Started]:
    """A real InfluxDB of its own in a folder, set up on its first start; `more` are options."""
    port = port or unused_port()
    folder.mkdir(exist_ok=True)
    options = {
        "engine-path": folder / "engine",
        "bolt-path": folder / "bolt.db",
        "sqlite-path": folder / "sqlite.db",
        "http-bind-address": f"127.0.0.1:{port}",
        "log-level": "warn",
        "reporting-disabled": "true",
    }
    command = [influxd(), *(f"--{name}={value}" for name, value in options.items()), *more]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(port)
            set_up_influx(port, "https" if more else "http")
            yield port, process
        finally:
            process.terminate()


def set_up_influx(port: int, scheme: str) -> None:
    """Make organization and token, unless that was done before; any certificate will do here."""
    wanted = {"username": "root", "password": "only-for-tests", "org": "county", "bucket": "first"}
    base = f"{scheme}://127.0.0.1:{port}"
    with httpx.Client(base_url=base, timeout=30, verify=False) as client:  # noqa: S501, our own server
        for _ in range(200):
            with suppress(httpx.TransportError):
                if client.get("/health").status_code == httpx.codes.OK:
                    break
            time.sleep(0.05)
        if client.get("/api/v2/setup").json()["allowed"]:
            client.post("/api/v2/setup", json={**wanted, "token": INFLUX_TOKEN}).raise_for_status()


@dataclass(frozen=True)
class Certificates:
    """Files of a certificate authority of one's own, and of a server that it vouches for."""

    authority: Path
    server: Path
    key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made anew: an authority, and a server's certificate for 127.0.0.1 signed by it."""
    folder = tmp_path_factory.mktemp("certificates")
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("county CA", "series")]
    for place, authority in ((made.authority, True), (made.server, False)):
        own = 0 if authority else 1
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[own])
            .issuer_name(names[0])
            .public_key(keys[own].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            place_of = x509.IPAddress(ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([place_of]), critical=False)
        signed = builder.sign(keys[0], hashes.SHA256())
        place.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


@pytest.fixture(scope="session")
def start_influx() -> Callable[..., AbstractContextManager[Started]]:
    return influx


@pytest.fixture(scope="session")
def start_victoria_metrics() -> Callable[..., AbstractContextManager[Started]]:
    return victoria_metrics
