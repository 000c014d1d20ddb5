"""Made-up photographs: a village notice board with sheets on it, an inverter on a wall, in a few shades.

Owns a tiny picture as PNG bytes. The demo needs evidence that can be opened; it must not look like a real
village's.
"""

import struct
import zlib

import numpy as np

from api.demo.weather import generator

_WIDTH, _HEIGHT = 320, 220
_WALL, _BOARD, _PAPER, _INK = (176, 168, 156), (122, 46, 40), (246, 243, 234), (96, 96, 100)
_CABINET, _DISPLAY, _LAMP = (214, 218, 222), (52, 64, 60), (46, 160, 84)


def board_photo(seed: int, key: int) -> bytes:
    """Return a PNG of a notice board with printed sheets; the same key always gives the same picture."""
    rng = generator(seed, 60, key)
    picture = np.full((_HEIGHT, _WIDTH, 3), _WALL, dtype=np.int16)
    picture[20:200, 16:304] = _BOARD
    for left in (30, 124, 218):
        top, width = int(rng.integers(34, 46)), int(rng.integers(70, 78))
        picture[top : top + 140, left : left + width] = _PAPER
        for line in range(top + 10, top + 132, 7):
            end = left + width - int(rng.integers(6, 30))
            picture[line : line + 2, left + 6 : end] = _INK
    light = np.linspace(-18, 18, _WIDTH)[None, :, None] + rng.integers(-1, 2, (1, _WIDTH, 1))
    return _png(np.clip(picture + light, 0, 255).astype(np.uint8))


def inverter_photo(seed: int, key: int) -> bytes:
    """Return a PNG of an inverter on a wall with its cables and lamp; the same key gives the same picture."""
    rng = generator(seed, 61, key)
    picture = np.full((_HEIGHT, _WIDTH, 3), _WALL, dtype=np.int16)
    left, top = int(rng.integers(70, 110)), int(rng.integers(24, 40))
    picture[top : top + 110, left : left + 150] = _CABINET
    picture[top + 12 : top + 46, left + 16 : left + 74] = _DISPLAY
    picture[top + 84 : top + 92, left + 120 : left + 130] = _LAMP
    for cable in range(left + 18, left + 140, int(rng.integers(14, 22))):
        picture[top + 110 : _HEIGHT, cable : cable + 4] = _INK
    light = np.linspace(14, -14, _HEIGHT)[:, None, None] + rng.integers(-1, 2, (_HEIGHT, 1, 1))
    return _png(np.clip(picture + light, 0, 255).astype(np.uint8))


def _png(pixels: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> bytes:
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
