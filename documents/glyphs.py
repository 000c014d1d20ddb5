"""Which characters a font file can draw.

Owns the reading of one table of a TrueType or OpenType file, so that a name with a rare character is
reported before it is printed as an empty box.
Source: OpenType specification, `cmap` table formats 4 and 12, and TrueType collections.
"""

import struct
from collections.abc import Iterator
from pathlib import Path


def covered_characters(font: Path) -> set[int]:
    """Return the code points that a .ttf, .otf or .ttc file (its first font) has a glyph for."""
    data = font.read_bytes()
    start = struct.unpack(">12xI", data[:16])[0] if data[:4] == b"ttcf" else 0
    (table_count,) = struct.unpack(">4xH", data[start : start + 6])
    for index in range(table_count):
        tag, offset = struct.unpack(">4s4xI", data[start + 12 + 16 * index : start + 24 + 16 * index])
        if tag == b"cmap":
            return set(_characters(data, offset))
    return set()


def _characters(data: bytes, cmap: int) -> Iterator[int]:
    (count,) = struct.unpack(">2xH", data[cmap : cmap + 4])
    for index in range(count):
        (offset,) = struct.unpack(">4xI", data[cmap + 4 + 8 * index : cmap + 12 + 8 * index])
        table = cmap + offset
        (kind,) = struct.unpack(">H", data[table : table + 2])
        if kind == 12:  # noqa: PLR2004, a format number of the specification
            yield from _grouped(data, table)
        elif kind == 4:  # noqa: PLR2004, a format number of the specification
            yield from _segmented(data, table)


def _grouped(data: bytes, table: int) -> Iterator[int]:
    (groups,) = struct.unpack(">12xI", data[table : table + 16])
    for first, last, _ in struct.iter_unpack(">III", data[table + 16 : table + 16 + 12 * groups]):
        yield from range(first, last + 1)


def _segmented(data: bytes, table: int) -> Iterator[int]:
    (doubled,) = struct.unpack(">6xH", data[table : table + 8])
    last = table + 14
    first = last + doubled + 2
    ends = struct.unpack(f">{doubled // 2}H", data[last : last + doubled])
    starts = struct.unpack(f">{doubled // 2}H", data[first : first + doubled])
    for begin, end in zip(starts, ends, strict=True):
        yield from range(begin, min(end, 0xFFFE) + 1)
