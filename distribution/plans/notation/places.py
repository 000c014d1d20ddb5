"""Where in a plan's TOML text something stands, so that every problem names file and line.

Owns a small scan of table headers and keys. It does not parse TOML; `tomllib` does.
"""

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*(\"[^\"]+\"|'[^']+'|[\w.-]+)\s*=")
_FENCES = ('"""', "'''")

Path = tuple[str | int, ...]


def scan(text: str) -> dict[Path, int]:
    """Return the line number [1-based] of every table and key of a TOML text, by its path."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if fence:
            fence = "" if fence in line else fence
            continue
        header = _HEADER.match(line)
        if header:
            table = _table(header[1], header[2], counts)
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            lines.setdefault((*table, *_parts(key[1])), number)
        fence = next((mark for mark in _FENCES if line.count(mark) % 2), "")
    return lines


def _table(bracket: str, name: str, counts: dict[Path, int]) -> Path:
    parts = _parts(name)
    path: Path = ()
    for depth, part in enumerate(parts):
        path = (*path, part)
        last = depth == len(parts) - 1
        if last and bracket == "[[":
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(name: str) -> list[str]:
    return [part.strip().strip("\"'") for part in re.findall(r"\"[^\"]+\"|'[^']+'|[^.]+", name)]


def line_of(lines: dict[Path, int], path: Sequence[str | int]) -> int | None:
    """Return the line of a path, or of the nearest table around it; None for a text without lines."""
    for length in range(len(path), 0, -1):
        found = lines.get(tuple(path[:length]))
        if found is not None:
            return found
    return None
