"""An encoder of Sparkplug B payloads for tests, written apart from the decoder that it judges."""

import ctypes
import struct
from collections.abc import Iterable


def varint(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def field(number: int, content: int | bytes) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content % 2**64)
    return varint(number << 3 | 2) + varint(len(content)) + content


def metric(  # noqa: PLR0913, the fields of a metric, by name
    name: str = "",
    value: object = None,
    *,
    alias: int | None = None,
    at: int | None = None,
    datatype: int | None = None,
    null: bool = False,
) -> bytes:
    """One metric; whole numbers go out as long_value, floats as double_value."""
    out = field(1, name.encode()) if name else b""
    for number, content in ((2, alias), (3, at), (4, datatype)):
        if content is not None:
            out += field(number, content)
    if null:
        return out + field(7, 1)
    if isinstance(value, bool):
        return out + field(14, int(value))
    if isinstance(value, int):
        narrow = datatype in {1, 2, 3, 5, 6, 7}
        return out + field(10 if narrow else 11, value % 2**32 if narrow else value)
    if isinstance(value, float):
        if datatype == 9:
            return out + varint(12 << 3 | 5) + struct.pack("<f", ctypes.c_float(value).value)
        return out + varint(13 << 3 | 1) + struct.pack("<d", value)
    return out + field(15, str(value).encode())


def payload(metrics: Iterable[bytes], *, at: int | None = None, seq: int | None = None) -> bytes:
    """One payload, with a uuid and a body, which a reader passes over."""
    out = field(1, at) if at is not None else b""
    out += b"".join(field(2, item) for item in metrics)
    if seq is not None:
        out += field(3, seq)
    return out + field(4, b"uuid") + field(5, b"\x00\x01")
