"""DL/T 645 meters behind a transparent gateway and on a serial line: read through echo and noise."""

import asyncio
import contextlib
import os
import pty
import threading
import time
import tty
from pathlib import Path

from collector.connections import LinkState
from tests.collector.plants import Bench, link

ENERGY, POWER = "00010000", "02030000"


def framed(address: str, control: int, data: bytes) -> bytes:
    body = b"\x68" + bytes.fromhex(address)[::-1] + b"\x68" + bytes([control, len(data)])
    body += bytes((byte + 0x33) & 0xFF for byte in data)
    return body + bytes([sum(body) & 0xFF, 0x16])


class Meters:
    """Meters on one line: they echo the request, talk through noise and refuse what they do not have."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.controls: set[int] = set()
        self.asked: list[str] = []

    def answer(self, request: bytes) -> bytes:
        frame = request.lstrip(b"\xfe")
        control, data = frame[8], bytes((byte - 0x33) & 0xFF for byte in frame[10:-2])
        self.controls.add(control)
        address = frame[6:0:-1].hex().upper()
        if control == 0x13:
            return request + framed(self.addresses[0], 0x93, bytes.fromhex(self.addresses[0])[::-1])
        if address not in self.addresses:
            return request
        identifier = data[3::-1].hex().upper()
        self.asked.append(identifier)
        items = {ENERGY: bytes.fromhex("56341200"), POWER: bytes.fromhex("122580")}
        if identifier not in items:
            return request + framed(address, 0xD1, b"\x02")
        noise = b"\x00\x68\xff\xfe\xfe"
        other = framed("000000000009", 0x91, data + b"\x99\x99\x99\x00")
        return request + noise + other + b"\xfe\xfe" + framed(address, 0x91, data + items[identifier])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(64):
                for part in (
                    answer[i : i + 7] for answer in [self.answer(request)] for i in range(0, len(answer), 7)
                ):
                    writer.write(part)
                    await writer.drain()
        writer.close()


async def soon(condition: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def test_meters_behind_a_gateway_are_read_item_by_item(tmp_path: Path) -> None:
    meters = Meters("123456789012", "000000000161")
    server = await asyncio.start_server(meters.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    meter = {"transport": "dlt645-tcp", "profile": "dlt645_2007", "cycle_seconds": 3}
    links = [link("one", port, serial="123456789012", **meter), link("two", port, serial="161", **meter)]
    links.append(link("absent", port, serial="5", **meter))
    bench = Bench(tmp_path, links)
    await bench.collector.start()
    await soon(lambda: len(bench.stored("one")) >= 2 and len(bench.stored("two")) >= 1)
    await bench.collector.stop()
    sample = bench.stored("one")[0]
    assert sample.values["imported_energy_wh"] == 1_234_560
    assert sample.values["active_power_w"] == -251.2
    assert meters.controls <= {0x11, 0x13}
    assert meters.asked.count("02010100") == 2, "a refused item is asked of each meter once"
    states = {status.link.device_id: status.state for status in bench.collector.connections()}
    assert states["one"] is LinkState.GOOD
    assert states["absent"] is LinkState.FAILING
    assert bench.stored("absent") == []
    server.close()
    bench.close()
    await asyncio.sleep(0.05)


async def test_the_only_meter_of_a_serial_line_says_its_own_address(tmp_path: Path) -> None:
    controller, port = pty.openpty()
    tty.setraw(controller)
    tty.setraw(port)
    meters = Meters("000000000161")

    def answer_for_ever() -> None:
        with contextlib.suppress(OSError):
            while request := os.read(controller, 64):
                while not request.endswith(b"\x16"):
                    request += os.read(controller, 64)
                os.write(controller, meters.answer(request))

    threading.Thread(target=answer_for_ever, daemon=True).start()
    host = f"{os.ttyname(port)}?baud=2400&parity=N"
    links = [link("meter", 0, host=host, transport="dlt645-serial", profile="dlt645_2007", cycle_seconds=2)]
    bench = Bench(tmp_path, links)
    await bench.collector.start()
    await soon(lambda: len(bench.stored("meter")) >= 1)
    await bench.collector.stop()
    assert bench.stored("meter")[0].values["imported_energy_wh"] == 1_234_560
    assert 0x13 in meters.controls
    bench.close()
    os.close(port)
    os.close(controller)


async def test_a_meter_profile_on_a_modbus_line_is_a_wrong_setting(tmp_path: Path) -> None:
    links = [link("wrong", 1, profile="dlt645_2007")]
    bench = Bench(tmp_path, links)
    await bench.collector.start()
    assert bench.collector.connections()[0].state is LinkState.MISCONFIGURED
    await bench.collector.stop()
    bench.close()
