"""Where a data directory says that it holds a demo county.

Owns the place of the marker file and the watermark that everything from such a directory carries, whoever
opens it. What stands in the marker is `api.demo.seeding`'s.
"""

from pathlib import Path

WATERMARK = "演示数据"
FOLDER = "demo"
_FILE = "county.json"


def marker_file(data_dir: Path) -> Path:
    """Return where the marker of a data directory stands, whether it is there or not."""
    return data_dir / FOLDER / _FILE


def watermark_of(data_dir: Path, set_watermark: str) -> str:
    """Return the watermark of what comes from a data directory: a demo always says that it is one."""
    return set_watermark or (WATERMARK if marker_file(data_dir).is_file() else "")
