"""A pseudo-terminal with RTU units at its far end, written apart from the client that it serves."""

import contextlib
import os
import pty
import struct
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.collector.register_server import READS, Words


def crc(frame: bytes) -> bytes:
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


class RtuUnits:
    """Answers reads of words by unit id; an absent unit is silent, an absent register is refused."""

    def __init__(self, units: Mapping[int, Words]) -> None:
        self.units = units
        self.functions: set[int] = set()

    def answer(self, request: bytes) -> bytes:
        unit, function, address, count = struct.unpack(">BBHH", request[:6])
        self.functions.add(function)
        if crc(request[:-2]) != request[-2:] or unit not in self.units:
            return b""
        words = [self.units[unit].get((function, address + index)) for index in range(count)]
        body = bytes([unit, function | 0x80, 2])
        if None not in words:
            body = bytes([unit, function, 2 * count]) + struct.pack(f">{count}H", *words)
        return body + crc(body)


@contextmanager
def serial_port(units: RtuUnits) -> Iterator[str]:
    """Give the path of a serial port behind which the units answer; a write fails the test."""
    controller, port = pty.openpty()
    tty.setraw(controller)
    tty.setraw(port)

    def answer_for_ever() -> None:
        with contextlib.suppress(OSError):
            while request := os.read(controller, 64):
                while len(request) < 8:
                    request += os.read(controller, 64)
                os.write(controller, units.answer(request))

    threading.Thread(target=answer_for_ever, daemon=True).start()
    yield os.ttyname(port)
    os.close(port)
    os.close(controller)
    assert units.functions <= READS, f"a device was written to: {units.functions}"
