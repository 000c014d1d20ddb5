"""Files between dry run and confirmation: kept sealed, for a day at most.

Owns the folder `waiting` of the data directory. A list of people is never lying there in the clear; it is
gone once it was taken in, or a day later.
"""

import hashlib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from registry.secrets import KeyRing, WrongKeyError
from store.problem import Problem, ProblemsError

FOLDER = "waiting"
_KEPT = timedelta(days=1)
_TOKEN = re.compile(r"^[0-9a-f]{64}$")


def keep(data_dir: Path, ring: KeyRing, content: bytes, now: datetime) -> str:
    """Seal a file and return the token by which it is found again; files older than a day are removed."""
    folder = data_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.iterdir():
        if datetime.fromtimestamp(path.stat().st_mtime, UTC) < now - _KEPT:
            path.unlink(missing_ok=True)
    token = hashlib.sha256(content).hexdigest()
    descriptor = os.open(folder / token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(ring.encrypt(FOLDER, content.decode("latin-1")))
    os.utime(folder / token, (now.timestamp(), now.timestamp()))
    return token


def waiting(data_dir: Path, ring: KeyRing, token: str) -> bytes:
    """Return a sealed file; raises ProblemsError when it is gone or does not open."""
    path = data_dir / FOLDER / (token if _TOKEN.match(token) else "absent")
    try:
        return ring.decrypt(FOLDER, path.read_text(encoding="ascii")).encode("latin-1")
    except (FileNotFoundError, WrongKeyError) as error:
        raise ProblemsError([Problem("文件", "已过期或不存在", "重新选择文件上传")]) from error


def forget(data_dir: Path, token: str) -> None:
    """Remove a sealed file."""
    if _TOKEN.match(token):
        (data_dir / FOLDER / token).unlink(missing_ok=True)
