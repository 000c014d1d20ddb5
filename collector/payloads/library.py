"""The mappings that are shipped, and mappings from a file.

Owns finding, reading and checking mapping files. A shipped mapping's name is its file's stem.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from collector.payloads.document import PayloadMapping
from collector.profile.complaints import in_chinese
from collector.textfiles import read_toml, read_utf8
from store.problem import Problem, ProblemsError


def parse_mapping(text: str, where: str) -> PayloadMapping:
    """Read a mapping from TOML text; raises ProblemsError naming every place that is wrong."""
    try:
        return PayloadMapping.model_validate(read_toml(text, where))
    except ValidationError as error:
        problems = [
            Problem(
                f"{where} {'.'.join(str(part) for part in item['loc'])}".strip(),
                in_chinese(item)[0],
                "对照 docs/mapping-format.md 修改",
            )
            for item in error.errors()
        ]
        raise ProblemsError(problems) from error


def read_mapping(path: Path) -> PayloadMapping:
    """Return the mapping of a file; raises ProblemsError when it cannot be read or used."""
    return parse_mapping(read_utf8(path), path.name)


def list_mappings() -> tuple[str, ...]:
    """Return the names of the mappings that are shipped."""
    folder = files("collector") / "mappings"
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


@cache
def load_mapping(name: str) -> PayloadMapping:
    """Return a shipped mapping by name, or a mapping file when `name` ends in `.toml`.

    Raises ProblemsError for an unknown name or a mapping that cannot be used.
    """
    if name.endswith(".toml"):
        return read_mapping(Path(name))
    if name not in list_mappings():
        known = "、".join(list_mappings())
        raise ProblemsError([Problem(f"映射 {name}", "没有这个映射", f"可用的有：{known}")])
    return read_mapping(Path(str(files("collector") / "mappings" / f"{name}.toml")))
