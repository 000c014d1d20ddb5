"""Makes the pictures of the guides 接入一个电站 and 运维工单 (`make guide-pictures`).

Everything in them is real: a device that answers over TCP, the commands as they print, a living demo county
into which the device is taken. Only the nameplate is drawn.
"""

import asyncio
import contextlib
import html
import os
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typst
from playwright.sync_api import Browser, Page

from collector.modbus import Line
from collector.probe import probe
from collector.sheet import TEMPLATE, sheet_data, sheet_of
from documents.pdf import font_directory
from tests.collector.register_server import CASES, RegisterServer, recorded
from tests.living import browser, free_port, living_demo, log_in, sunledger
from tests.upkeep_pictures import take_pictures

TARGET = Path(__file__).parents[1] / "docs" / "images" / "connect"
LIVE_SECONDS = 50
TERMINAL = (
    "<body style='margin:0;background:#1e1e1e'><pre id='shot' style='margin:0;padding:14px 18px;"
    'display:inline-block;color:#e6e6e6;font:14px/1.45 "Noto Sans Mono CJK SC","Noto Sans SC",monospace\'>'
)
NAMEPLATE = """
<body style="margin:0;background:#fff"><div id="shot" style="width:560px;padding:20px 26px;
border:3px solid #555;border-radius:10px;background:#e6e6e2;font:16px/1.7 'Noto Sans SC',sans-serif">
<b style="font-size:22px">GOODWE　并网光伏逆变器</b><br>
型号 Model：<mark>GW50KS-MT</mark><br>额定功率：<mark>50 kW</mark>　交流 3×380 V 50 Hz<br>
序列号 S/N：<mark>5050KMTO233W0000</mark><br>
通信：RS-485 9600 8N1 / Modbus TCP 502　站号：<mark>1</mark></div>
"""


@contextmanager
def device() -> Iterator[int]:
    """Let a recorded inverter answer on a free port until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = RegisterServer({1: recorded("goodwe_gw50ks_mt")})
    try:
        yield asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def shoot(opened: Browser, content: str, name: str) -> None:
    """Photograph the element `shot` of a page of our own."""
    page = opened.new_page(viewport={"width": 1000, "height": 700}, locale="zh-CN")
    page.set_content(content)
    page.locator("#shot").screenshot(path=TARGET / f"{name}.jpg", type="jpeg", quality=80)
    page.close()


def terminal(opened: Browser, name: str, shown: str, *words: str) -> None:
    """Run a command and photograph what it prints under the line that a person types."""
    settings = {**os.environ, "COLUMNS": "92"}
    done = subprocess.run(sunledger(*words), capture_output=True, text=True, check=False, env=settings)
    text = f"$ {shown}\n{done.stdout}{done.stderr}".rstrip()
    shoot(opened, f"{TERMINAL}{html.escape(text)}</pre>", name)


def sheet_picture(port: int) -> None:
    """Draw the commissioning sheet of the device as the command writes it."""
    line = Line("127.0.0.1", port, timeout=1.0)
    (report,) = asyncio.run(probe(line, [1])).reports
    data = sheet_data([sheet_of(report, line)], datetime(2026, 11, 25, 4, 0, tzinfo=UTC))
    pages = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        font_paths=[str(font_directory())],
        ignore_system_fonts=True,
        format="png",
        ppi=72.0,
        sys_inputs={"data": data},
    )
    (TARGET / "3-sheet.png").write_bytes(pages if isinstance(pages, bytes) else pages[0])


def device_list(folder: Path, data: Path, port: int) -> tuple[Path, str]:
    """Write a list with one device of a real station of the demo; returns the file and the station."""
    with contextlib.closing(
        sqlite3.connect(f"file:{data / 'sunledger.sqlite3'}?mode=ro", uri=True)
    ) as opened:
        (station,) = opened.execute("SELECT name FROM station ORDER BY name LIMIT 1").fetchone()
    head = "电站,设备类型,编号,设备名称,序列号,额定功率(kW),投运日期,通信方式,设备档案,地址,端口,站号"
    row = f"{station},逆变器,9,9号逆变器 GW50KS-MT,5050KMTO233W0000,50,2026-11-01,Modbus TCP,goodwe_mt_smt"
    path = folder / "设备台账.csv"
    path.write_text(f"{head},采集周期(秒)\n{row},127.0.0.1,{port},1,10\n", encoding="utf-8-sig")
    return path, station


def snap(page: Page, name: str) -> None:
    """Photograph the window."""
    page.screenshot(path=TARGET / f"{name}.jpg", type="jpeg", quality=70)


def strange_dtu(port: int) -> None:
    """Call as a DTU that nobody has registered."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as calling:
        calling.sendall(b"CMCC-8613912")
        calling.settimeout(3)
        with contextlib.suppress(OSError):
            calling.recv(1)


def county_pictures(opened: Browser, folder: Path, port: int) -> None:
    """Take the device into a living demo county and photograph what a person sees there."""
    dial_in = free_port()
    os.environ["SUNLEDGER_DIAL_IN_PORT"] = str(dial_in)
    with living_demo(folder / "data", "--small") as demo:
        listed, _ = device_list(folder, demo.data, port)
        page = opened.new_page(viewport={"width": 1280, "height": 760}, locale="zh-CN")
        log_in(page, demo, "county")
        page.goto(f"{demo.url}/registry/import?kind=devices")
        page.select_option("#kind", "devices")
        page.set_input_files("#file", str(listed))
        page.click("text=先检查，不导入")
        page.wait_for_selector("text=逐行结果")
        snap(page, "4-import")
        with page.expect_navigation():
            page.click("button:has-text('导入 1 行')")
        strange_dtu(dial_in)
        time.sleep(LIVE_SECONDS)
        page.goto(f"{demo.url}/connections?q=5050KMTO233W0000")
        snap(page, "7-first-values")
        page.goto(f"{demo.url}/connections")
        snap(page, "8-connections")
        refused = page.locator("section:has(h2:has-text('被拒绝的 DTU'))")
        refused.screenshot(path=TARGET / "5-refused-dtu.jpg", type="jpeg", quality=80)
        page.close()
        take_pictures(opened, demo)


def pictures(opened: Browser, folder: Path, port: int) -> None:
    """Make the pictures that a browser takes."""
    shoot(opened, NAMEPLATE, "1-nameplate")
    place = f"127.0.0.1:{port}"
    terminal(opened, "2-probe", "sunledger probe 10.8.1.20 --unit 1", "probe", place, "--unit", "1")
    message = folder / "message.json"
    message.write_text('{"timestamp":1764043200000,"node":"inv01","values":{"active_power":47.9}}')
    words = ("mapping", "check", "neuron", "--message", str(message), "--device", "inv01")
    shown = "sunledger mapping check neuron --message message.json --device inv01"
    terminal(opened, "6-mapping", shown, *words)
    wrong = folder / "my.toml"
    wrong.write_text((CASES.parent / "profiles" / "wrong.toml").read_text(encoding="utf-8"))
    terminal(opened, "9-profile", "sunledger profiles check my.toml", "profiles", "check", str(wrong))
    county_pictures(opened, folder, port)


def main() -> None:
    """Make the pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, device() as port:
        sheet_picture(port)  # before the browser, which keeps the event loop of this thread
        with browser() as opened:
            pictures(opened, Path(folder), port)


if __name__ == "__main__":
    main()
