"""Static files of the pages: which built file stands for which name.

Owns the manifest of `dashboards.assets.build`. Where nothing has been built yet, style and page script
are served from their sources and charts are left out: the tables behind them remain.
"""

import json
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "src"
BUILT = Path(__file__).resolve().parent / "built"
FONTS = BUILT / "fonts"
URL_PREFIX = "/static"
_SERVED_SOURCES = {"page.js", "icon.svg", *(path.name for path in SOURCES.glob("*.css"))}


@cache
def _manifest(changed_ns: int) -> dict[str, str]:  # noqa: ARG001, a newer manifest is a new key
    plain: dict[str, dict[str, str]] = json.loads((BUILT / "manifest.json").read_text(encoding="utf-8"))
    return plain["files"]


def built_files() -> dict[str, str]:
    """Return the built file's name by asset name; empty when nothing is built."""
    manifest = BUILT / "manifest.json"
    return _manifest(manifest.stat().st_mtime_ns) if manifest.is_file() else {}


def asset_url(name: str) -> str:
    """Return the address of an asset such as `style.css`; empty when there is no such file."""
    built = built_files().get(name)
    if built:
        return f"{URL_PREFIX}/{built}"
    return f"{URL_PREFIX}/{name}" if name != "charts.js" and (SOURCES / name).is_file() else ""


def asset_file(name: str) -> tuple[Path, bool] | None:
    """Return a served file and whether its name holds its hash (so that it may be cached for ever)."""
    if name in built_files().values():
        return BUILT / name, True
    if name in _SERVED_SOURCES:
        return SOURCES / name, False
    return None
