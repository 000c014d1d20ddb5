"""A photo keeps its picture and loses the place where it was taken."""

import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.pdf import render_pdf
from documents.pictures import JPEG, PNG, without_location
from documents.refusal import FileRefusedError

PLACE = b"26.2415N 105.7681E"


def png(*extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", 4, 2, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(range(12)) for _ in range(2)))
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def exif(orientation: int, order: str = ">") -> bytes:
    mark = b"MM" if order == ">" else b"II"
    tiff = mark + struct.pack(f"{order}HIH", 42, 8, 1)
    tiff += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack(f"{order}I", 0)
    return segment(0xE1, b"Exif\0\0" + tiff + PLACE)


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> bytes:
    """A real JPEG, made by poppler from a printed page."""
    folder: Path = tmp_path_factory.mktemp("photo")
    command = ["pdftoppm", "-jpeg", "-r", "20", "-singlefile", str(folder / "page.pdf"), str(folder / "page")]
    (folder / "page.typ").write_text("#set page(width: 80mm, height: 50mm)\n= 1\n", encoding="utf-8")
    (folder / "page.pdf").write_bytes(render_pdf(folder / "page.typ", {}))
    subprocess.run(command, check=True)
    return (folder / "page.jpg").read_bytes()


def with_segments(photo: bytes, *segments: bytes) -> bytes:
    return photo[:2] + b"".join(segments) + photo[2:]


def test_a_jpeg_loses_its_place_and_whatever_lies_behind_its_end(photo):
    told = with_segments(photo, exif(1), segment(0xFE, PLACE), segment(0xED, PLACE)) + b"MotionPhoto" + PLACE
    plain, kind = without_location(told)
    assert kind == JPEG
    assert PLACE not in plain
    assert plain.endswith(b"\xff\xd9")
    assert plain == without_location(photo)[0]


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_how_a_jpeg_must_be_turned_is_kept(photo, orientation, order):
    plain, _kind = without_location(with_segments(photo, exif(orientation, order)))
    assert PLACE not in plain
    assert plain[2:4] == b"\xff\xe1"
    assert struct.pack(">HHIH", 0x0112, 3, 1, orientation) in plain[:60]
    assert without_location(plain)[0] == plain


def test_the_picture_itself_does_not_change(photo, tmp_path):
    plain, _kind = without_location(with_segments(photo, exif(1)))
    (tmp_path / "after.jpg").write_bytes(plain)
    (tmp_path / "page.typ").write_text('#image("after.jpg")', encoding="utf-8")
    assert render_pdf(tmp_path / "page.typ", {}).startswith(b"%PDF")
    scan = photo.index(b"\xff\xda")
    assert plain.endswith(photo[scan:])


def test_a_png_keeps_only_what_makes_the_picture():
    told = png(chunk(b"eXIf", PLACE), chunk(b"tEXt", b"place\0" + PLACE), chunk(b"iTXt", PLACE)) + PLACE
    plain, kind = without_location(told)
    assert (plain, kind) == (png(), PNG)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"%PDF-1.7", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"<svg/>"]
)
def test_anything_else_is_refused(content):
    with pytest.raises(FileRefusedError):
        without_location(content)


@given(cut=st.integers(3, 600), noise=st.binary(max_size=40))
def test_a_damaged_picture_is_refused_or_cleaned_and_never_breaks(cut, noise):
    for whole in (png(chunk(b"tEXt", PLACE)), with_segments(b"\xff\xd8\xff\xd9", exif(6))):
        try:
            plain, _kind = without_location(whole[: min(cut, len(whole))] + noise)
        except FileRefusedError:
            continue
        assert PLACE not in plain
