"""The profiles that are shipped, and profiles from a file.

Owns finding, reading and checking profile files. A profile's name is its file's stem.
"""

import re
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from collector.profile.compilation import compile_profile
from collector.profile.complaints import complaints, located
from collector.profile.document import ProfileDocument
from collector.profile.types import Profile
from store.problem import Problem, ProblemsError


def _folder() -> Path:
    return Path(str(resources.files("collector") / "profiles"))


def list_profiles() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def parse_profile(name: str, text: str) -> Profile:
    """Return the profile written in `text`; raises ProblemsError with every place that is wrong."""
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        problem = Problem(f"{name}.toml", f"不是有效的 TOML：{_toml_place(error)}", "改正这一行后再检查")
        raise ProblemsError([problem]) from error
    try:
        document = ProfileDocument.model_validate(content)
    except ValidationError as error:
        raise ProblemsError(complaints(name, text, content, error)) from error
    try:
        return compile_profile(name, document)
    except ProblemsError as error:
        raise ProblemsError(located(error.problems, text)) from error


def _toml_place(error: tomllib.TOMLDecodeError) -> str:
    """Return where reading TOML stopped."""
    found = re.search(r"line (\d+), column (\d+)", str(error))
    return f"读到第 {found[1]} 行第 {found[2]} 列读不下去" if found else "文件不完整，括号或引号没有闭合"


def read_profile(path: Path) -> Profile:
    """Return the profile of a file; raises ProblemsError when it cannot be read or used."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemsError([Problem(str(path), f"文件读不出来：{error}", "检查路径和编码")]) from error
    return parse_profile(path.stem, text)


@cache
def load_profile(name: str) -> Profile:
    """Return a shipped profile by name, or a profile file when `name` ends in `.toml`.

    Raises ProblemsError for an unknown name or a profile that cannot be used.
    """
    if name.endswith(".toml"):
        return read_profile(Path(name))
    if name not in list_profiles():
        raise ProblemsError(
            [Problem(f"档案 {name}", "没有这个设备档案", "可用的档案：" + "、".join(list_profiles()))]
        )
    return read_profile(_folder() / f"{name}.toml")


def check_profiles(paths: Sequence[Path] = ()) -> list[Problem]:
    """Return what is wrong with the given profile files, or with all shipped ones when none is given."""
    problems: list[Problem] = []
    for path in paths or sorted(_folder().glob("*.toml")):
        try:
            read_profile(path)
        except ProblemsError as error:
            problems.extend(error.problems)
    return problems
