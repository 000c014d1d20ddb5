"""Backups of a data directory: written while the service runs, and put back.

Owns what belongs to a backup, the order in which it is copied, and the manifest by which it is checked. What
lies on servers (PostgreSQL, a time-series server) is backed up by their own tools.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from documents.files import write_whole
from registry.secrets import KEY_FILE_NAME, open_key_ring
from store.db import Database
from store.problem import Problem, ProblemsError
from store.series import CopyableSeries, open_series

FORMAT = "sunledger-backup/1"
MANIFEST = "manifest.json"
DATABASE = "sunledger.sqlite3"
SERIES = "series.duckdb"
SPOOL = "spool.sqlite3"
ATTACHMENTS = "attachments"
CONTENTS = (DATABASE, SERIES, SPOOL, KEY_FILE_NAME, ATTACHMENTS)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One file of a backup: its path in the directory, size [bytes] and SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds, when it was made [UTC] and by which version of the program."""

    made_at: datetime
    program: str
    files: tuple[BackupFile, ...]

    @property
    def size_bytes(self) -> int:
        """Size of everything in the backup [bytes]."""
        return sum(file.size for file in self.files)

    def as_bytes(self) -> bytes:
        """Return the manifest's file."""
        content = {
            "format": FORMAT,
            "made_at": self.made_at.astimezone(UTC).isoformat(),
            "program": self.program,
            "files": [asdict(file) for file in self.files],
        }
        return json.dumps(content, ensure_ascii=False, indent=1).encode()

    @classmethod
    def read(cls, backup: Path) -> "Manifest":
        """Read the manifest of a backup; raises ProblemsError when there is none that can be read."""
        try:
            plain = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
            files = tuple(BackupFile(**file) for file in plain["files"])
            manifest = cls(datetime.fromisoformat(plain["made_at"]), plain["program"], files)
            known = plain["format"] == FORMAT
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProblemsError(
                [Problem(str(backup), "不是完整的备份", "换一个备份；没有 manifest.json 的是没有做完的")]
            ) from error
        if not known:
            raise ProblemsError(
                [
                    Problem(
                        str(backup),
                        f"备份格式 {plain['format']} 不认识",
                        "用做这个备份的版本或更新的程序恢复",
                    )
                ]
            )
        return manifest


def make_backup(data_dir: Path, database: Database, series: object, target: Path, now: datetime) -> Manifest:
    """Copy everything a restore needs to the new directory `target`; the service goes on meanwhile.

    The order loses nothing: a sample leaves the spool only for the series, a row names an attachment only
    when that is on disk, and keys are only ever added. Raises ProblemsError when the target exists or
    cannot be written, or a copy is not sound; a half-made backup has no final name.
    """
    if target.exists():
        raise ProblemsError([Problem(str(target), "已经存在", "每次备份用一个新的目录名")])
    partial = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        if (data_dir / SPOOL).exists():
            _copy_sqlite(data_dir / SPOOL, partial / SPOOL)
        if isinstance(series, CopyableSeries):
            series.copy_to(partial / SERIES)
        if database.dialect == "sqlite":
            _copy_sqlite(Path(str(database.engine.url.database)), partial / DATABASE)
        for source in _attachments(data_dir):
            _copy(source, partial / source.relative_to(data_dir))
        if (data_dir / KEY_FILE_NAME).exists():
            _copy(data_dir / KEY_FILE_NAME, partial / KEY_FILE_NAME)
        files = tuple(_described(partial, path) for path in _files(partial))
        manifest = Manifest(now, version("sunledger"), files)
        write_whole(partial / MANIFEST, manifest.as_bytes())
        partial.rename(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise ProblemsError(
            [Problem(str(target), f"备份没有做成：{error}", "检查磁盘空间和权限后再做一次")]
        ) from error
    return manifest


def restore_backup(backup: Path, data_dir: Path) -> Manifest:
    """Put a backup back into an empty data directory, after checking every file of it.

    Raises ProblemsError when a file is missing or altered, the directory holds data already, or what was
    put back does not open.
    """
    manifest = Manifest.read(backup)
    problems = [problem for file in manifest.files for problem in _faults(backup, file)]
    problems += [
        Problem(str(data_dir / name), "目录里已有数据", "恢复到一个空目录，或先把旧数据移走")
        for name in CONTENTS
        if (data_dir / name).exists()
    ]
    if problems:
        raise ProblemsError(problems)
    try:
        for file in manifest.files:
            _copy(backup / file.path, data_dir / file.path)
    except OSError as error:
        raise ProblemsError(
            [Problem(str(data_dir), f"没有恢复完：{error.strerror}", "清空目录，检查磁盘空间后再做一次")]
        ) from error
    _prove(data_dir, {file.path for file in manifest.files})
    return manifest


def _prove(data_dir: Path, paths: set[str]) -> None:
    """Open what was put back; raises ProblemsError when something of it is not sound."""
    for name in sorted({DATABASE, SPOOL} & paths):
        _require_sound(data_dir / name)
    if SERIES in paths:
        open_series(f"duckdb:///{data_dir / SERIES}").close()
    if KEY_FILE_NAME in paths:
        open_key_ring(data_dir, create=False)


def _attachments(data_dir: Path) -> Iterator[Path]:
    for path in sorted((data_dir / ATTACHMENTS).glob("*/*")):
        if path.is_file():
            yield path


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file())


def _described(directory: Path, path: Path) -> BackupFile:
    return BackupFile(str(path.relative_to(directory)), path.stat().st_size, _sha256(path))


def _faults(backup: Path, file: BackupFile) -> Iterator[Problem]:
    path = backup / file.path
    if ".." in Path(file.path).parts or Path(file.path).parts[0] not in {*CONTENTS, f"{SERIES}.wal"}:
        yield Problem(str(path), "不是备份里该有的文件", "换一个备份，并查明原因")
    elif not path.is_file():
        yield Problem(str(path), "备份里缺这个文件", "换一个备份")
    elif path.stat().st_size != file.size or _sha256(path) != file.sha256:
        yield Problem(str(path), "与备份时不一样了", "换一个备份，并查明原因")


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database that others may be writing: one consistent moment of it, checked."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as read,
        closing(sqlite3.connect(target)) as written,
    ):
        read.backup(written)
        written.execute("PRAGMA journal_mode=DELETE")
    target.chmod(0o600)
    _require_sound(target)
    _sync(target)


def _require_sound(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        raise ProblemsError([Problem(str(path), f"数据库不完整：{verdict}", "检查磁盘，换一个备份")])


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source, target)
    target.chmod(0o600)
    _sync(target)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def missing_parts(files: Mapping[str, int]) -> tuple[str, ...]:
    """Say in words what is not among the files, because it lies on a server and has its own backup."""
    words = {
        DATABASE: "关系数据库（在服务器上，用 pg_dump 备份）",
        SERIES: "时序库（在服务器上，用它自己的快照备份）",
    }
    return tuple(text for name, text in words.items() if name not in files)
