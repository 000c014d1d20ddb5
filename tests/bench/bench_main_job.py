"""The main job on the full demo county: filling it, closing a month, its pages, starting it, letting it live.

Run with `python tests/bench/bench_main_job.py [DIRECTORY]`; a directory that a former run filled is used
again. Processor seconds are user and system together, without other programs of the machine. Beside our
figures, in the same run: a bare SQLite loop that writes as many rows as closing the month wrote, and a
FastAPI route that says hello.
"""

import asyncio
import contextlib
import gzip
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError

import httpx
from fastapi import FastAPI

from api.app import create_app
from api.commands.output import settings_of
from api.service import open_services, system_clock
from registry.actors import Actor, Role
from registry.users import LoginPolicy, open_session
from store.periods import Period, local_date

PROGRAM = Path(sys.prefix) / "bin" / "sunledger"
STEADY_SECONDS = int(os.environ.get("BENCH_STEADY_SECONDS", "60"))
ASKED = 9
TICKS = os.sysconf("SC_CLK_TCK")


def told(name: str, figure: str) -> None:
    print(f"  {name:<54}{figure}", flush=True)


def processor_time(arguments: list[str]) -> tuple[float, float]:
    """Run the program and return processor and wall seconds."""
    start = time.perf_counter()
    child = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL)
    _pid, status, used = os.wait4(child.pid, 0)
    assert status == 0, f"sunledger {' '.join(arguments)} ended with {status}"
    return used.ru_utime + used.ru_stime, time.perf_counter() - start


def rows_of(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "sunledger.sqlite3")) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return sum(database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names)  # noqa: S608, the names are the database's own


def bare_loop(folder: Path, count: int) -> float:
    """Write as many rows of 200 bytes in one transaction, and return the processor seconds."""
    start = time.process_time()
    with contextlib.closing(sqlite3.connect(folder / "bare.sqlite3")) as database:
        database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        database.execute("CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY, key TEXT, text TEXT)")
        for number in range(count):
            database.execute("INSERT INTO line (key, text) VALUES (?, ?)", (f"{number:020d}", "x" * 180))
        database.commit()
    (folder / "bare.sqlite3").unlink()
    return time.process_time() - start


def fill_and_close(folder: Path) -> None:
    """Fill the county as it was on the ninth, when the last month's papers are in and it is not closed."""
    today = local_date(system_clock())
    month = Period.month_of(today).previous()
    moment = f"{Period.month_of(today)}-09T10:00"
    startup, _ = processor_time(["--help"])
    told("the program and its help alone", f"{startup:8.2f} s processor")
    if not (folder / "sunledger.sqlite3").exists():
        used, wall = processor_time(["demo", "--data", str(folder), "--seed-only", "--at", moment])
        told("fill the full county, twelve months", f"{used:8.1f} s processor, {wall:6.1f} s")
    before = rows_of(folder)
    used, wall = processor_time(["close", str(month), "--data", str(folder)])
    written = rows_of(folder) - before
    told(f"close {month}, {written} rows", f"{used:8.2f} s processor, {wall:6.2f} s")
    told(
        f"  bare SQLite loop, {max(written, 1)} rows",
        f"{bare_loop(folder, max(written, 1)):8.2f} s processor",
    )
    used, wall = processor_time(["close", str(month), "--data", str(folder)])
    told(f"close {month} again", f"{used:8.2f} s processor, {wall:6.2f} s")


async def asked(client: httpx.AsyncClient, name: str, path: str) -> httpx.Response:
    """Ask for a page several times; the median is told in processor time of the server and the client."""
    figures = []
    for _ in range(ASKED):
        start = time.process_time()
        answer = await client.get(path)
        figures.append(time.process_time() - start)
        assert answer.status_code == httpx.codes.OK, f"{path}: {answer.status_code}"
    told(name, f"{sorted(figures)[ASKED // 2] * 1000:8.0f} ms processor")
    return answer


async def pages(application: FastAPI, token: str, paths: dict[str, str]) -> None:
    hello = FastAPI()
    hello.get("/hello")(lambda: {"hello": "world"})
    base = "http://127.0.0.1"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(hello), base_url=base) as client:
        await asked(client, "a FastAPI route that says hello", "/hello")
    transport, cookies = httpx.ASGITransport(application), {"sunledger": token}
    async with httpx.AsyncClient(transport=transport, base_url=base, cookies=cookies) as client:
        for name, path in paths.items():
            answer = await asked(client, name, path)
            if path == "/":
                await first_load(client, answer)


async def first_load(client: httpx.AsyncClient, page: httpx.Response) -> None:
    """Add up what a browser fetches for the overview, compressed, with and without the chart library."""
    linked = set(re.findall(r'<(?:link|script|img)[^>]*(?:href|src)="(/[^"#]+)"', page.text))
    sizes = {"/": len(gzip.compress(page.content))}
    for address in linked:
        sizes[address] = len(gzip.compress((await client.get(address)).content))
    plain = sum(size for address, size in sizes.items() if "chart" not in address)
    told("overview, first load without charts, gzip", f"{plain / 1000:8.1f} kB")
    told("  with charts", f"{sum(sizes.values()) / 1000:8.1f} kB in {len(sizes)} requests")


def ask_pages(folder: Path) -> None:
    clock = system_clock
    with open_services(settings_of(None, folder), clock) as services:
        with services.database.transaction() as session:
            connection = session.connection()
            person = "SELECT id, name, role, area FROM \"user\" WHERE login = 'county'"
            user, name, role, area = connection.exec_driver_sql(person).one()
            connection.exec_driver_sql("UPDATE \"user\" SET must_change_password = 0 WHERE login = 'county'")
            policy = LoginPolicy(idle=timedelta(hours=1))
            token = open_session(session, Actor(user, name, Role(role), area), clock(), policy).token
            station = connection.exec_driver_sql("SELECT min(id) FROM station").scalar_one()
            booked = "SELECT book, period FROM run WHERE state = 'closed' ORDER BY period DESC, book LIMIT 1"
            village, month = connection.exec_driver_sql(booked).one()
        paths = {
            "overview": "/",
            "list of stations": "/stations",
            "a station": f"/stations/{station}",
            "a village's statement": f"/villages/{village}/statements/{month}",
            "settlements of a month": f"/settlements?month={month}",
            "payouts of a month": f"/payouts?month={month}",
        }
        asyncio.run(pages(create_app(services), token, paths))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def used_by(pid: int) -> tuple[float, float]:
    """Return the processor seconds and resident megabytes of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    resident = re.search(r"VmRSS:\s+(\d+)", status)
    assert resident
    return (int(fields[11]) + int(fields[12])) / TICKS, int(resident[1]) / 1000


def live(folder: Path) -> None:
    """Start the demo on the filled directory (topped up first), and watch it."""
    processor_time(["demo", "--data", str(folder), "--seed-only"])
    port, start = free_port(), time.perf_counter()
    child = subprocess.Popen(
        [PROGRAM, "demo", "--data", str(folder), "--port", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        while True:
            with contextlib.suppress(URLError, ConnectionError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5).read()
                break
            assert child.poll() is None, "the demo ended"
            time.sleep(0.05)
        wall = time.perf_counter() - start
        told("start to first page, warm", f"{used_by(child.pid)[0]:8.2f} s processor, {wall:6.1f} s")
        time.sleep(STEADY_SECONDS / 4)
        before = used_by(child.pid)[0]
        time.sleep(STEADY_SECONDS)
        after, resident = used_by(child.pid)
        told("steady state, share of one core", f"{(after - before) / STEADY_SECONDS:8.1%}")
        told("  resident", f"{resident:8.0f} MB")
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=60)


def main() -> None:
    with contextlib.ExitStack() as stack:
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
        folder = given or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fill_and_close(folder)
        ask_pages(folder)
        live(folder)


if __name__ == "__main__":
    main()
