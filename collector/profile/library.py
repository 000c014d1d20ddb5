"""The profiles that are shipped, and profiles from a file.

Owns finding, reading and checking profile files. A profile's name is its file's stem.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from collector.profile.compilation import compile_profile
from collector.profile.complaints import complaints, located
from collector.profile.document import ProfileDocument
from collector.profile.types import Field, MeterItem, Profile, Ratios
from collector.textfiles import read_toml, read_utf8
from store.problem import Problem, ProblemsError

Readable = TypeVar("Readable", Field, MeterItem)
_LONGEST_RATIO = 6


def _folder() -> Path:
    return Path(str(resources.files("collector") / "profiles"))


def list_profiles() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def parse_profile(name: str, text: str) -> Profile:
    """Return the profile written in `text`; raises ProblemsError with every place that is wrong."""
    content = read_toml(text, f"{name}.toml", Decimal)
    try:
        document = ProfileDocument.model_validate(content)
    except ValidationError as error:
        raise ProblemsError(complaints(name, text, content, error)) from error
    try:
        return compile_profile(name, document)
    except ProblemsError as error:
        raise ProblemsError(located(error.problems, text)) from error


def read_profile(path: Path) -> Profile:
    """Return the profile of a file; raises ProblemsError when it cannot be read or used."""
    return parse_profile(path.stem, read_utf8(path))


@cache
def load_profile(name: str) -> Profile:
    """Return a shipped profile by name, or a profile file when the name ends in `.toml`.

    A meter behind instrument transformers is written `acrel_dtsd1352?pt=100&ct=30`: the profile comes with
    their ratios multiplied in. Raises ProblemsError for an unknown name, a profile that cannot be used, or
    ratios that are none.
    """
    stem, mark, query = name.partition("?")
    if mark:
        return with_ratios(load_profile(stem), _ratios(name, query))
    if name.endswith(".toml"):
        return read_profile(Path(name))
    if name not in list_profiles():
        raise ProblemsError(
            [Problem(f"档案 {name}", "没有这个设备档案", "可用的档案：" + "、".join(list_profiles()))]
        )
    return read_profile(_folder() / f"{name}.toml")


def _ratios(name: str, query: str) -> Ratios:
    """Return the ratios written after a profile's name."""
    found: dict[str, int] = {}
    for part in query.split("&"):
        key, _, text = part.partition("=")
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < _LONGEST_RATIO else 0
        if key not in {"pt", "ct"} or key in found or not number:
            how = "写成 档案?pt=100&ct=30：pt 电压互感器变比，ct 电流互感器变比，都是不小于 1 的整数"
            raise ProblemsError([Problem(f"档案 {name}", f"“{part}”不是互感器变比", how)])
        found[key] = number
    return Ratios(**found)


def with_ratios(profile: Profile, ratios: Ratios) -> Profile:
    """Return a profile with the ratios of the transformers in front of its meter multiplied in.

    Raises ProblemsError where the profile's readings are of the primary side already.
    """
    if not any(field.ratio for field in profile.fields) and not any(item.ratio for item in profile.items):
        how = "去掉档案后面的 ?pt=…&ct=…，或换成读数要乘变比的档案"
        raise ProblemsError([Problem(f"档案 {profile.name}", "这个档案的读数不乘互感器变比", how)])
    return replace(
        profile,
        fields=tuple(_scaled(item, ratios) for item in profile.fields),
        items=tuple(_scaled(item, ratios) for item in profile.items),
    )


def _scaled(item: Readable, ratios: Ratios) -> Readable:
    product = math.prod(ratios.pt if name == "pt" else ratios.ct for name in item.ratio)
    return replace(item, numerator=item.numerator * product, ratio=())


def check_profiles(paths: Sequence[Path] = ()) -> list[Problem]:
    """Return what is wrong with the given profile files, or with all shipped ones when none is given."""
    problems: list[Problem] = []
    for path in paths or sorted(_folder().glob("*.toml")):
        try:
            read_profile(path)
        except ProblemsError as error:
            problems.extend(error.problems)
    return problems
