"""A living demo county as a newcomer starts it, and a browser that looks at it; for tests and pictures."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NEW_PASSWORD = "Qing-shi-2026-zhen"
START_SECONDS = 600
STOP_SECONDS = 60


@dataclass
class Demo:
    """A running demo: where it is, its process, its one-time passwords, and whose were changed."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    passwords: dict[str, str]
    changed: set[str] = field(default_factory=set)


def sunledger(*words: str) -> list[str]:
    """Return the command line of the program of this environment."""
    return [str(Path(sys.executable).with_name("sunledger")), *words]


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().read() != b""
        except OSError:
            return False


def _wait_until_up(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None:
            raise AssertionError("the demo ended instead of starting")
        if time.monotonic() > deadline:
            raise AssertionError("the demo did not start in time")
        time.sleep(0.3)


@contextmanager
def living_demo(data: Path, *options: str) -> Iterator[Demo]:
    """Run `sunledger demo` on a data directory at noon until the block ends; it must stop cleanly."""
    port = free_port()
    words = sunledger("demo", "--data", str(data), "--port", str(port), "--at", "12:30", *options)
    output = data.parent / f"{data.name}.txt"
    with output.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, text=True)
        try:
            _wait_until_up(port, process)
            printed = output.read_text(encoding="utf-8")
            passwords = dict(re.findall(r"^  (\w+)\s+(\S{12,})\s", printed, re.MULTILINE))
            yield Demo(f"http://127.0.0.1:{port}", data, process, passwords)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(STOP_SECONDS)
    if code != 0:
        raise AssertionError(f"the demo ended with {code}: {output.read_text(encoding='utf-8')[-2000:]}")


@contextmanager
def browser() -> Iterator[Browser]:
    """Open a headless Chromium."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def log_in(page: Page, demo: Demo, login: str) -> None:
    """Log in, change the one-time password where it is due, and stand on the first page."""
    page.goto(f"{demo.url}/login")
    page.fill("#login", login)
    page.fill("#password", NEW_PASSWORD if login in demo.changed else demo.passwords[login])
    with page.expect_navigation():
        page.click("main button[type=submit]")
    if "/account/password" in page.url:
        page.wait_for_selector("main input[type=password]")
        old, *new = page.query_selector_all("main input[type=password]")
        old.fill(demo.passwords[login])
        for one in new:
            one.fill(NEW_PASSWORD)
        with page.expect_navigation():
            page.click("main form button[type=submit]")
        demo.changed.add(login)
    page.goto(f"{demo.url}/")
