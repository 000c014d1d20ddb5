"""The log of batches that are not filed yet.

Owns files of checked records, one file for each table in memory, numbered in the order of their beginning.
`append` returns when the record is on the disk. It knows nothing of DuckDB and does not look into a batch.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

_HEAD = struct.Struct("<II")
_ENDING = ".log"


class BatchLog:
    """The log beside one database file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._descriptor: int | None = None
        self._size = 0

    def segments(self) -> list[int]:
        """Return the numbers of the files, in order."""
        return sorted(int(path.stem) for path in self._folder.glob(f"*{_ENDING}"))

    def read(self, segment: int) -> Iterator[pa.Table]:
        """Yield the batches of a file up to the first record that is not whole.

        Such a record was never acknowledged if it is the last. A file that goes on behind it was damaged: a
        copy of it is kept under the ending `.damaged`.
        """
        path = self._path(segment)
        content = path.read_bytes()
        position = 0
        while position + _HEAD.size <= len(content):
            length, checksum = _HEAD.unpack_from(content, position)
            payload = content[position + _HEAD.size : position + _HEAD.size + length]
            if len(payload) < length or zlib.crc32(payload) != checksum:
                break
            position += _HEAD.size + length
            with pa.ipc.open_stream(payload) as reader:
                yield reader.read_all()
        else:
            return
        if position + _HEAD.size + length < len(content):
            path.with_suffix(".damaged").write_bytes(content)

    def begin(self, segment: int) -> None:
        """Go on in a new file; raises OSError when it cannot be made."""
        path = self._path(segment)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DSYNC, 0o600)
        self._close()
        self._descriptor, self._size = descriptor, 0
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def append(self, batch: pa.Table) -> None:
        """Write a batch durably; raises OSError when nothing of it was kept."""
        if self._descriptor is None:
            raise OSError("the log is closed")
        used = [name for name in batch.column_names if batch.column(name).null_count < batch.num_rows]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.select(used).schema) as writer:
            writer.write_table(batch.select(used))
        payload = sink.getvalue().to_pybytes()
        record = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        done = False
        try:
            _write_all(self._descriptor, record)
            done = True
        finally:
            if not done:
                self.take_back()
        self._last = self._size
        self._size += len(record)

    def take_back(self, *, last: bool = False) -> None:
        """Cut off what was written behind the last whole record, or that record too."""
        if self._descriptor is not None:
            self._size = self._last if last else self._size
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)

    def remove(self, segment: int) -> None:
        """Delete a file whose batches are filed."""
        self._path(segment).unlink(missing_ok=True)

    def size_bytes(self) -> int:
        """Return the size of all files [bytes]."""
        return sum(path.stat().st_size for path in self._folder.glob(f"*{_ENDING}"))

    def close(self) -> None:
        """Let go of the files; the folder goes when nothing waits in it."""
        self._close()
        if not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:012}{_ENDING}"


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
