"""A Modbus TCP server of a few lines that serves recorded registers; it shares no code with the product.

It fails the test that uses it on any function code that is not a read.
"""

import asyncio
import json
import struct
from collections.abc import Mapping
from pathlib import Path

CASES = Path(__file__).parents[1] / "cases" / "dumps"
READS = {3, 4}
Words = Mapping[tuple[int, int], int]


def recorded(name: str, *, function_code: int = 3) -> dict[tuple[int, int], int]:
    """Return the registers of a case file by function code and key."""
    content = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    return {(function_code, int(key)): word for key, word in content["registers"].items() if word is not None}


class RegisterServer:
    """Serves words by unit id; a unit that is absent never answers, an absent register is refused."""

    def __init__(self, units: Mapping[int, Words]) -> None:
        self.units = units
        self.functions: set[int] = set()
        self.most_at_once = 0
        self._open = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0.1)  # our side of the last connection ends too
        assert self.functions <= READS, f"a device was written to: {self.functions}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            while head := await reader.readexactly(7):
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                body = await reader.readexactly(length - 1)
                self.functions.add(body[0])
                answer = self._answer(unit, *struct.unpack(">BHH", body))
                if answer:
                    writer.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, unit: int, function: int, address: int, count: int) -> bytes:
        if unit not in self.units:
            return b""
        words = [self.units[unit].get((function, address + index)) for index in range(count)]
        if None in words:
            return bytes([function | 0x80, 2])
        return bytes([function, 2 * count]) + struct.pack(f">{count}H", *words)
