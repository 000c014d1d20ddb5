"""`sunledger demo`: fills a data directory with the demo county and lets it live.

Owns the order: schema, people and history, then devices, then the service on top, exactly as a county
would run it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from api.demo.county import FULL, CountySize
from api.demo.live import live_county
from api.demo.marker import WATERMARK
from api.demo.registration import Login
from api.demo.seeding import seed
from api.install import install
from api.logs import configure_logs
from api.run import run_roles
from api.service import open_services, spare_loaded_code
from api.settings import Settings
from store.periods import Clock

SITE_NAME = "云泽县光伏帮扶电站收益账本"
LOOPBACK = (IPv4Network("127.0.0.0/8"),)
CONSOLE = Console(highlight=False)


@contextmanager
def _bars() -> Iterator["_Bars"]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=CONSOLE) as progress:
        yield _Bars(progress)


class _Bars:
    """One bar for each step of the seeding."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show that a step has done `done` of `total`."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], completed=done, total=total)


def _show_logins(logins: tuple[Login, ...], port: int) -> None:
    CONSOLE.print(f"\n打开 http://127.0.0.1:{port}/ ，用下面的一次性口令登录（首次登录须修改）：\n")
    for login in logins:
        CONSOLE.print(f"  {login.login:<12} {login.password:<20} {login.name}", markup=False)
    CONSOLE.print("\n口令只显示这一次。按 Ctrl-C 停止。\n")


def run_demo(settings: Settings, clock: Clock, *, size: CountySize = FULL, seed_only: bool) -> None:
    """Fill the data directory (or top it up to now) and, unless `seed_only`, serve the living county.

    Raises ProblemsError where the directory holds something else or cannot be used.
    """
    configure_logs("WARNING")
    # The embedded broker's tasks complain of every client that leaves abruptly.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    spare_loaded_code()
    settings = settings.model_copy(
        update={"watermark": WATERMARK, "site_name": SITE_NAME, "modbus_networks": LOOPBACK}
    )
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    install(settings, clock(), administrator=False)
    with open_services(settings, clock) as services:
        with _bars() as progress:
            logins = seed(
                services.database, services.series, settings.data_dir, clock(), progress=progress, size=size
            )
        if logins:
            _show_logins(logins, settings.port)
        else:
            CONSOLE.print(f"\n打开 http://127.0.0.1:{settings.port}/ ，用上次的口令登录。")
            reset = f"sunledger user reset county --data {settings.data_dir}"
            CONSOLE.print(f"忘了口令，另开一个窗口运行：{reset}\n", markup=False, soft_wrap=True)
        if not seed_only:
            with live_county(services.database, settings.data_dir, clock) as live:
                run_roles(services, settings.model_copy(update={"mqtt_url": live.mqtt_url}))
                CONSOLE.print("正在停止演示 ...")
