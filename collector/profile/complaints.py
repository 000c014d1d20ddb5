"""What is wrong with a profile file, in Chinese, with line and row.

Owns finding the line of a row of a TOML list, and the words for what the schema refuses. It does not parse
TOML; `tomllib` does.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from collector.profile.document import known_keys
from store.problem import Problem

GUIDE = "写法见 docs/profile-format.md"
Row = tuple[str, int]
ROW_DEPTH = 2

_HEADER = re.compile(r"\[\[?\s*([\w.-]+)\s*\]\]?")
_KEY = re.compile(r"([\w-]+)\s*=")
_MARK = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#.*|[\[\]{}]')
_WORDS = {
    "missing": ("缺少这一项", "补上"),
    "extra_forbidden": ("没有这样的项", "检查拼写"),
    "literal_error": ("“{input}” 不在可选值之中", "可选：{expected}"),
    "enum": ("“{input}” 不在可选值之中", "可选：{expected}"),
    "string_pattern_mismatch": ("“{input}” 的写法不对", "应符合 {pattern}"),
    "greater_than_equal": ("{input} 太小", "不能小于 {ge}"),
    "less_than_equal": ("{input} 太大", "不能大于 {le}"),
    "greater_than": ("{input} 太小", "应大于 {gt}"),
    "int_type": ("“{input}” 不是整数", "写整数，十进制或 0x 十六进制"),
    "int_parsing": ("“{input}” 不是整数", "写整数，十进制或 0x 十六进制"),
    "int_from_float": ("{input} 不是整数", "写整数"),
    "decimal_parsing": ("“{input}” 不是数", "写数，例如 0.1"),
    "decimal_type": ("“{input}” 不是数", "写数，例如 0.1"),
    "string_type": ("{input} 不是文字", "加上引号"),
    "bool_type": ("“{input}” 不是 true 或 false", "写 true 或 false"),
    "bool_parsing": ("“{input}” 不是 true 或 false", "写 true 或 false"),
    "tuple_type": ("应是一个列表", "写成 [ … ]"),
    "model_type": ("应是一组 键 = 值", "写成 {{ 键 = 值, … }}"),
    "dict_type": ("应是一组 键 = 值", "写成 {{ 键 = 值, … }}"),
    "too_short": ("项数太少", "至少 {min_length} 项"),
    "too_long": ("项数太多", "最多 {max_length} 项"),
}
_VARIANTS = frozenset({"decimal", "int", "constrained-int"})


class _Scan:
    """Goes through the lines of a file once; strings and comments are stepped over."""

    def __init__(self) -> None:
        self.lines: dict[Row, int] = {}
        self._counts: dict[str, int] = {}
        self._key = ""
        self._in_table = False
        self._depth = 0

    def take(self, line: str, number: int) -> None:
        """Note the table, key or rows that begin on a line."""
        bare = line.strip()
        header = _HEADER.fullmatch(bare) if not self._depth else None
        if header:
            self._key, self._in_table = header[1].split(".")[0], True
            self._note(number, is_row=bare.startswith("[["))
            return
        start = _KEY.match(bare) if not self._depth and not self._in_table else None
        if start:
            self._key = start[1]
            self._note(number, is_row=False)
        for mark in _MARK.findall(line):
            if mark in {"[", "{"}:
                self._depth += 1
                if mark == "{" and self._depth == ROW_DEPTH and not self._in_table:
                    self._note(number, is_row=True)
            elif mark in {"]", "}"}:
                self._depth -= 1

    def _note(self, number: int, *, is_row: bool) -> None:
        if is_row:
            self._counts[self._key] = self._counts.get(self._key, -1) + 1
        self.lines.setdefault((self._key, self._counts[self._key] if is_row else -1), number)


def rows_in(text: str) -> dict[Row, int]:
    """Return the line [1-based] of every key (row −1) and of every row of a list, by key and number."""
    scan = _Scan()
    for number, line in enumerate(text.splitlines(), start=1):
        scan.take(line, number)
    return scan.lines


def _value_at(content: object, path: Sequence[int | str]) -> object:
    for part in path:
        if isinstance(content, Mapping):
            content = content.get(part)
        elif isinstance(content, Sequence) and isinstance(part, int) and part < len(content):
            content = content[part]
        else:
            return None
    return content


def _place(content: object, lines: Mapping[Row, int], path: Sequence[int | str]) -> str:
    """Return `第 12 行 registers 第 3 个（energy_total）的 scale`."""
    key = str(path[0]) if path else ""
    row = path[1] if len(path) > 1 and isinstance(path[1], int) else -1
    line = lines.get((key, row)) or lines.get((key, -1))
    words = f"第 {line} 行 {key}" if line else key
    for depth, part in enumerate(path[1:], start=1):
        if not isinstance(part, int):
            words += f" 的 {part}" if part not in _VARIANTS else ""
            continue
        found = _value_at(content, path[: depth + 1])
        name = found.get("name") or found.get("register") if isinstance(found, Mapping) else None
        words += f" 第 {part + 1} 个" + (f"（{name}）" if name else "")
    return words


def in_chinese(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return what pydantic found wrong at a place (one of its `errors()`), and what to do."""
    if item["type"] not in _WORDS:
        return item["msg"].removeprefix("Value error, "), "改正"
    what, how = _WORDS[item["type"]]
    context = {"input": item.get("input"), **item.get("ctx", {})}
    return what.format_map(context), how.format_map(context).replace(" or ", "、")


def _problem(name: str, content: object, lines: Mapping[Row, int], item: Mapping[str, Any]) -> Problem:
    path = tuple(item["loc"])
    what, how = in_chinese(item)
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), known_keys(), n=1)
        how = f"是不是 {near[0]}？" if near else how
    place = f"{name}.toml {_place(content, lines, path)}"
    return Problem(place, what, f"{how}；{GUIDE}")


def complaints(name: str, text: str, content: object, error: ValidationError) -> list[Problem]:
    """Return what the schema refuses in a profile, each place once, in Chinese."""
    lines = rows_in(text)
    found: dict[str, Problem] = {}
    for item in error.errors():
        problem = _problem(name, content, lines, item)
        found.setdefault(problem.where, problem)
    return list(found.values())


def located(problems: Sequence[Problem], text: str) -> list[Problem]:
    """Return problems of named rows with the line on which the row stands."""
    lines = text.splitlines()
    found: list[Problem] = []
    for problem in problems:
        name = re.escape(problem.where.rpartition(".")[2])
        number = next((n for n, line in enumerate(lines, 1) if re.search(rf'name = "{name}"', line)), 0)
        file, _, place = problem.where.partition(" ")
        found.append(replace(problem, where=f"{file} 第 {number} 行 {place}") if number else problem)
    return found
