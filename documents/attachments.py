"""Files kept by the hash of their content.

Owns how uploaded and generated files lie on disk: one file per SHA-256, written whole or not at all,
never changed. What a file belongs to, and who may see it, is kept by the caller.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from documents.refusal import FileRefusedError

LIMIT_BYTES = 20 << 20
_CHUNK = 1 << 16
_HASH = re.compile(r"^[0-9a-f]{64}$")
_MEDIA = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
)


def attachment_path(directory: Path, sha256: str) -> Path:
    """Return where the file of a hash lies, whether it exists or not; raises ValueError for no hash."""
    if not _HASH.match(sha256):
        raise ValueError("an attachment is named by 64 hexadecimal digits")
    return directory / sha256[:2] / sha256


def store_attachment(directory: Path, content: bytes | BinaryIO, limit_bytes: int = LIMIT_BYTES) -> str:
    """Keep a file and return its SHA-256; the same content twice is one file.

    The file and its folder are on disk when this returns. Raises FileRefusedError once `limit_bytes` are
    exceeded; nothing is left behind then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor, temporary = tempfile.mkstemp(prefix="incoming-", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for chunk in _chunks(content):
                size += len(chunk)
                if size > limit_bytes:
                    raise FileRefusedError("附件", f"超过 {limit_bytes >> 20} MB", "请压缩图片或拆成几个文件")
                digest.update(chunk)
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        target = attachment_path(directory, digest.hexdigest())
        target.parent.mkdir(exist_ok=True)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    _sync_directory(target.parent)
    _sync_directory(directory)
    return digest.hexdigest()


def _chunks(content: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    while chunk := content.read(_CHUNK):
        yield chunk


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_attachment(directory: Path, sha256: str) -> bytes:
    """Return the content of a kept file; raises FileRefusedError when it is missing or was changed."""
    path = attachment_path(directory, sha256)
    if not path.is_file():
        raise FileRefusedError(f"附件 {sha256[:8]}", "文件不在了", "请从备份恢复附件目录")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FileRefusedError(f"附件 {sha256[:8]}", "文件内容被改动过", "请从备份恢复，并查明原因")
    return content


def media_type(content: bytes) -> str:
    """Return the media type that the first bytes show, `application/octet-stream` if none is known."""
    return next((kind for mark, kind in _MEDIA if content.startswith(mark)), "application/octet-stream")
