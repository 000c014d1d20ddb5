"""A real Mosquitto from the settings that are shipped."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.plants import COLLECTOR

SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto"
STATIONS = ("station_a", "station_b", "station_1", "station_2", "station_3")


class Mosquitto:
    """A broker in a folder of its own; it can be killed and started again on the same files."""

    def __init__(self, folder: Path, port: int, tls: tuple[Path, Path, Path] | None = None) -> None:
        """`tls` are the files of the authority, of the certificate and of its key."""
        self.folder, self.port = folder, port
        folder.mkdir(parents=True, exist_ok=True)
        passwords = folder / "passwords"
        passwords.touch(mode=0o700)
        for name, secret in (COLLECTOR, *((station, f"{station}-secret") for station in STATIONS)):
            subprocess.run(["mosquitto_passwd", "-b", str(passwords), name, secret], check=True)
        text = (SHIPPED / "mosquitto.conf").read_text()
        for shipped, ours in (
            ("listener 1883 0.0.0.0", f"listener {port} 127.0.0.1\nuser root"),
            ("/etc/mosquitto/sunledger.passwd", str(passwords)),
            ("/etc/mosquitto/sunledger.acl", str(SHIPPED / "acl.conf")),
            ("/var/lib/mosquitto/", f"{folder}/"),
        ):
            assert shipped in text
            text = text.replace(shipped, ours)
        if tls is not None:
            for name, path in zip(("cafile", "certfile", "keyfile"), tls, strict=True):
                text = re.sub(rf"#{name} .*", f"{name} {path}", text, count=1)
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["mosquitto", "-c", str(self._settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, "mosquitto did not start; is the package installed?"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        self.end(signal.SIGKILL)


@pytest.fixture
def broker(tmp_path: Path, free_port: int) -> Iterator[Mosquitto]:
    running = Mosquitto(tmp_path / "mosquitto", free_port)
    running.start()
    yield running
    running.end()
