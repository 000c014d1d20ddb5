"""Photographs as they are kept: JPEG and PNG only, without the place where they were taken.

Owns the check of what a picture is and the removal of what travels with it: EXIF (position, device,
owner), XMP, comments, previews and anything behind the end of the picture. How the picture has to be
turned is kept. It decodes no pixels.
"""

import struct

from documents.refusal import FileRefusedError

JPEG, PNG = "image/jpeg", "image/png"
_JPEG_START, _PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_UPRIGHT = 1
_ORIENTATIONS = range(1, 9)
_SPEAKING = frozenset({*range(0xE0, 0xF0), 0xFE})
"""Segments that say something beside the picture: application segments and comments."""
_JPEG_KEPT = frozenset({0xE0, 0xE2, 0xEE})
"""Of the application segments: JFIF, colour profile, and Adobe's colour transform."""
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"pHYs"}
)


def without_location(content: bytes) -> tuple[bytes, str]:
    """Return a picture without what travels with it, and its media type.

    Raises FileRefusedError for anything that is not a whole JPEG or PNG.
    """
    if content.startswith(_JPEG_START):
        return _plain_jpeg(content), JPEG
    if content.startswith(_PNG_START):
        return _plain_png(content), PNG
    raise _refused("不是 JPG 或 PNG 图片")


def _refused(what: str) -> FileRefusedError:
    return FileRefusedError("照片", what, "请用手机相机拍照后直接上传（JPG 或 PNG）")


def _plain_jpeg(content: bytes) -> bytes:
    kept, place, orientation = [_JPEG_START], 2, _UPRIGHT
    while True:
        marker, end = _segment(content, place)
        if marker == _END:
            raise _refused("图片里没有画面")
        if marker == _SCAN:
            break
        if marker == _EXIF and content[place + 4 : place + 10] == b"Exif\0\0":
            orientation = _orientation(content[place + 10 : end])
        if marker not in _SPEAKING or marker in _JPEG_KEPT:
            kept.append(content[place:end])
        place = end
    body = _scans(content, place)
    return b"".join((kept[0], _turned(orientation), *kept[1:], body))


def _segment(content: bytes, place: int) -> tuple[int, int]:
    """Return the marker of the segment at a place, and where the segment ends."""
    if place + 2 > len(content) or content[place] != 0xFF:  # noqa: PLR2004, every marker begins so
        raise _refused("图片文件不完整")
    marker = content[place + 1]
    if marker in _STANDALONE or marker == _END:
        return marker, place + 2
    if place + 4 > len(content):
        raise _refused("图片文件不完整")
    end = place + 2 + int(struct.unpack_from(">H", content, place + 2)[0])
    if end > len(content):
        raise _refused("图片文件不完整")
    return marker, end


def _scans(content: bytes, place: int) -> bytes:
    """Return everything from the first scan to the end of the picture; what lies behind it is cut off."""
    parts: list[bytes] = []
    while True:
        marker, end = _segment(content, place)
        if marker == _END:
            return b"".join((*parts, b"\xff\xd9"))
        if marker == _SCAN:
            end = _after_entropy(content, end)
        if marker not in _SPEAKING:
            parts.append(content[place:end])
        place = end


def _after_entropy(content: bytes, place: int) -> int:
    """Return where the entropy-coded data ends: at a marker that is neither stuffing nor restart."""
    while True:
        place = content.find(b"\xff", place)
        if place < 0 or place + 1 >= len(content):
            raise _refused("图片文件不完整")
        following = content[place + 1]
        if following and following != 0xFF and not 0xD0 <= following <= 0xD7:  # noqa: PLR2004, stuffing, fill, restart
            return place
        place += 1 if following == 0xFF else 2  # noqa: PLR2004, fill bytes may repeat


def _orientation(tiff: bytes) -> int:
    """Return how the picture has to be turned (1 to 8); 1 where the EXIF does not say."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:  # noqa: PLR2004, the head of a TIFF
        return _UPRIGHT
    start = struct.unpack_from(f"{order}I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return _UPRIGHT
    for number in range(struct.unpack_from(f"{order}H", tiff, start)[0]):
        entry = start + 2 + 12 * number
        if entry + 12 > len(tiff):
            break
        if struct.unpack_from(f"{order}H", tiff, entry)[0] == _ORIENTATION:
            value = int(struct.unpack_from(f"{order}H", tiff, entry + 8)[0])
            return value if value in _ORIENTATIONS else _UPRIGHT
    return _UPRIGHT


def _turned(orientation: int) -> bytes:
    """Return an EXIF segment that says nothing but how to turn the picture; empty when it stands upright."""
    if orientation == _UPRIGHT:
        return b""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    tiff = b"MM\0\x2a" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    body = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _plain_png(content: bytes) -> bytes:
    kept, place = [_PNG_START], len(_PNG_START)
    while True:
        if place + 12 > len(content):
            raise _refused("图片文件不完整")
        length, name = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content):
            raise _refused("图片文件不完整")
        if name in _PNG_KEPT:
            kept.append(content[place:end])
        if name == b"IEND":
            return b"".join(kept)
        place = end
