"""A backup, made by the service that owns the stores or by the command itself."""

from pathlib import Path

from api.backup import ATTACHMENTS, Manifest, make_backup, missing_parts
from api.outcome import Outcome
from dashboards.web import Services

COLUMNS = {"part": "内容", "files": "文件数", "size_bytes": "字节"}


def backup(services: Services, *, target: str) -> Outcome:
    """Copy the data directory to the new directory `target`; raises ProblemsError when it cannot be done."""
    made = make_backup(services.data_dir, services.database, services.series, Path(target), services.clock())
    return outcome_of(made, f"已备份到 {target}")


def outcome_of(manifest: Manifest, done: str) -> Outcome:
    """Return what a backup holds, as rows, and in words what it cannot hold."""
    parts: dict[str, list[int]] = {}
    for file in manifest.files:
        part = ATTACHMENTS if file.path.startswith(f"{ATTACHMENTS}/") else file.path
        parts.setdefault(part, []).append(file.size)
    rows = tuple(
        {"part": part, "files": len(sizes), "size_bytes": sum(sizes)} for part, sizes in sorted(parts.items())
    )
    missing = missing_parts({part: len(sizes) for part, sizes in parts.items()})
    note = f"；不含{'、'.join(missing)}" if missing else ""
    return Outcome(f"{done}，{manifest.size_bytes:,} 字节{note}", COLUMNS, rows)
