"""Modbus TCP devices for benches, in a process of their own: every loopback address is one device.

Run as `python -m tests.bench.modbus_rig DELAY SILENT`: listens on 127/8 at one port and answers each
read after DELAY seconds with the registers of the bench's profile. Devices with a number divisible by SILENT
(0: none) take requests and never answer; behind the first address the unit id names the device.
Prints its port; a line on standard input prints what was asked since the line before.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collector.encode import encode
from collector.profile import load_profile, plan_blocks

PROFILE = "growatt_max_mid"
SHOWN = {
    "active_power_w": 45600.0,
    "generated_energy_wh": 123_456_700,
    "frequency_hz": 50.0,
    "voltage_a_v": 231.0,
    "current_a_a": 65.0,
    "state": 3,
}


def address_of(number: int) -> str:
    """Return the loopback address of a device."""
    return f"127.{1 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


def number_of(address: str) -> int:
    """Return the device of a loopback address."""
    _, high, middle, low = map(int, address.split("."))
    return (high - 1) * 62_500 + middle * 250 + low - 1


class Rig:
    """What every connection shares: answers by request, who is silent, what was asked."""

    def __init__(self, delay: float, silent: int) -> None:
        self.delay, self.silent = delay, silent
        self.requests = 0
        self.asked: dict[int, list[float]] = {}
        self._first: dict[int, bytes] = {}
        self._words = encode(load_profile(PROFILE), SHOWN, at=datetime.now(UTC))
        self._bodies: dict[bytes, bytes] = {}

    def body(self, pdu: bytes) -> bytes:
        known = self._bodies.get(pdu)
        if known is None:
            code, address, count = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
            words = (self._words.get((code, address + n), 0).to_bytes(2, "big") for n in range(count))
            content = b"".join(words)
            known = self._bodies[pdu] = bytes([code, len(content)]) + content
        return known

    def note(self, device: int, pdu: bytes) -> None:
        """Count a request; the request with which a device's polls begin is when it was polled."""
        self.requests += 1
        if self._first.setdefault(device, pdu) == pdu:
            self.asked.setdefault(device, []).append(time.time())


class Device(asyncio.Protocol):
    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._number = number_of(transport.get_extra_info("sockname")[0])

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 12:
            self._answer(self._buffer[:12])
            self._buffer = self._buffer[12:]

    def _answer(self, frame: bytes) -> None:
        rig, unit = self._rig, frame[6]
        device = self._number or unit
        rig.note(device, frame[7:12])
        if rig.silent and device % rig.silent == 0:
            return
        body = rig.body(frame[7:12])
        answer = frame[:4] + (len(body) + 1).to_bytes(2, "big") + frame[6:7] + body
        asyncio.get_running_loop().call_later(rig.delay, self._transport.write, answer)


async def serve(delay: float, silent: int) -> None:
    rig = Rig(delay, silent)
    loop = asyncio.get_running_loop()
    everywhere = "0.0.0.0"  # noqa: S104, only so can one listener be three thousand loopback addresses
    server = await loop.create_server(lambda: Device(rig), everywhere, 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps({"requests": rig.requests, "asked": rig.asked}), flush=True)
        rig.requests, rig.asked = 0, {}


@dataclass
class Running:
    """A rig that runs: its port, and what it was asked."""

    port: int
    process: subprocess.Popen[str]

    def told(self) -> tuple[int, dict[int, list[float]]]:
        """Return requests, and times of the polls by device, since the last call."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        content = json.loads(self.process.stdout.readline())
        return content["requests"], {int(device): times for device, times in content["asked"].items()}


@contextmanager
def rig(delay: float, silent: int = 0) -> Iterator[Running]:
    """Run a rig for the time of a block."""
    command = [sys.executable, "-m", "tests.bench.modbus_rig", str(delay), str(silent)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Running(int(process.stdout.readline()), process)
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


def blocks() -> tuple[tuple[int, int, int], ...]:
    """Return function code, address and count of every read of one poll."""
    return tuple(
        (block.function_code, block.address, block.count) for block in plan_blocks(load_profile(PROFILE))
    )


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), int(sys.argv[2])))
