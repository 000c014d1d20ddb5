"""Makes the picture of the README: `python -m tests.screenshot` (or `make screenshot`).

Seeds a full demo county in a temporary directory, lets it live at noon, and photographs the overview.
"""

import http.client
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "images" / "overview.jpg"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"]
PASSWORD = "Qing-shi-2026-zhen"
START_SECONDS = 600
LIVE_SECONDS = 70


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(port: int) -> None:
    """Wait for the service; raises TimeoutError."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError("the demo did not start")


def photograph(port: int, password: str) -> None:
    """Log in as the county officer and photograph the first screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1366, "height": 940}, locale="zh-CN")
        page.goto(f"http://127.0.0.1:{port}/login")
        page.fill("#login", "county")
        page.fill("#password", password)
        page.click("main button[type=submit]")
        fields = page.query_selector_all("main input[type=password]")
        for field, value in zip(fields, (password, PASSWORD, PASSWORD), strict=True):
            field.fill(value)
        page.click("main form button[type=submit]")
        page.goto(f"http://127.0.0.1:{port}/")
        TARGET.parent.mkdir(exist_ok=True)
        page.screenshot(path=TARGET, type="jpeg", quality=82)
        browser.close()


def main() -> None:
    """Make the picture."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output.txt"
        command = Path(sys.executable).with_name("sunledger")
        words = [command, "demo", "--data", folder, "--port", str(port), "--at", "12:30"]
        with output.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
            try:
                wait_until_up(port)
                time.sleep(LIVE_SECONDS)
                printed = output.read_text(encoding="utf-8")
                photograph(port, dict(re.findall(r"^  (\w+)\s+(\S{12,})\s", printed, re.MULTILINE))["county"])
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


if __name__ == "__main__":
    main()
