"""Attachments are named by their content, written whole or not at all, and checked when read."""

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from documents.attachments import attachment_path, media_type, read_attachment, store_attachment
from documents.refusal import FileRefusedError


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200_000))
def test_what_is_kept_comes_back_and_twice_is_one_file(tmp_path, content):
    name = store_attachment(tmp_path, content)
    assert store_attachment(tmp_path, io.BytesIO(content)) == name
    assert read_attachment(tmp_path, name) == content
    assert not list(tmp_path.glob("incoming-*"))


def test_a_stream_over_the_limit_is_cut_off_and_leaves_nothing(tmp_path):
    class Endless(io.RawIOBase):
        served = 0

        def read(self, size: int = -1) -> bytes:
            self.served += size
            return b"x" * size

    stream = Endless()
    with pytest.raises(FileRefusedError, match="1 MB"):
        store_attachment(tmp_path, stream, limit_bytes=1 << 20)
    assert stream.served <= (1 << 20) + (1 << 17)
    assert files(tmp_path) == []


def test_a_changed_or_missing_file_is_reported(tmp_path):
    name = store_attachment(tmp_path, b"evidence")
    attachment_path(tmp_path, name).write_bytes(b"tampered")
    with pytest.raises(FileRefusedError, match="改动"):
        read_attachment(tmp_path, name)
    attachment_path(tmp_path, name).unlink()
    with pytest.raises(FileRefusedError, match="不在"):
        read_attachment(tmp_path, name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 63, "A" * 64, "a" * 64 + "\n/.."])
def test_only_a_hash_names_a_file(tmp_path, name):
    with pytest.raises(ValueError):
        attachment_path(tmp_path, name)


def test_the_kind_is_judged_by_content():
    assert [media_type(b"%PDF-1.7"), media_type(b"\xff\xd8\xff\xe0"), media_type(b"<svg")] == [
        "application/pdf",
        "image/jpeg",
        "application/octet-stream",
    ]
