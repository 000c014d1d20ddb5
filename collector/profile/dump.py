"""Register dumps (`pv-register-dump/1`): words or raw frames of a device, kept in a JSON file.

Owns reading such a file into words and decoding them under a profile. Where the file gives both words and
frames they must agree.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collector.profile.decoding import decode
from collector.profile.frames import Request, read_request, read_response
from collector.profile.types import DIRECT, Decoded, Point, Profile, Ratios
from store.problem import Problem, ProblemsError

DUMP_SCHEMA = "pv-register-dump/1"
_SPACES = {"input": 4, "holding": 3}
_WORD_MAX = 0xFFFF
_MAX_BYTES = 4_000_000

Words = dict[tuple[int, int], int]


class DumpFrame(BaseModel):
    """One captured exchange, or an answer with what was asked beside it."""

    model_config = ConfigDict(extra="ignore")

    request: str | None = None
    response: str | None = None
    hex: str | None = None
    dir: str = ""
    function_code: int | None = None
    start_address: int | None = None
    wire_start: int | None = None
    register_count: int | None = None
    count: int | None = None

    def asked(self, place: str) -> Request:
        """Return what was asked, from the request or from the fields beside the answer."""
        if self.request:
            return read_request(_bytes(self.request, place), place)
        start = self.wire_start if self.wire_start is not None else self.start_address
        count = self.count or self.register_count
        if start is None or count is None:
            raise ProblemsError(
                [Problem(place, "没有 request，也没有 start_address 与 register_count", "补上其中一种")]
            )
        return Request(self.function_code or 3, start, count)

    def answer(self) -> str:
        """Return the answer as hex text, empty when there is none."""
        return self.response or self.hex or ""


class RegisterDump(BaseModel):
    """The parts of a dump file that decoding needs; everything else in it is for people."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    format: str = Field(alias="schema")
    id: str = ""
    address_base: str = ""
    function_code: int | None = None
    registers: dict[str, Any] = {}
    frames: tuple[DumpFrame, ...] = ()


def _bytes(text: str, place: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise ProblemsError(
            [Problem(place, "不是十六进制字节", "写成 0104… 这样的偶数个十六进制字符")]
        ) from error


def _shift(profile: Profile, dump: RegisterDump) -> int:
    """Return what must be added to the keys of `registers` to get wire addresses.

    Keys are wire addresses unless the file says that they are printed numbers; then the file's own rule
    counts, or the profile's where it names none.
    """
    base = dump.address_base.lower()
    if re.search(r"minus 1|minus one|less one|[-−] ?1\b", base):
        return -1
    if "documented" not in base or re.search(r"wire address = documented|= wire", base):
        return 0
    shifts = [field.address - field.document for field in profile.fields]
    return max(set(shifts), key=shifts.count) if shifts else 0


def _cells(values: Mapping[str, Any], code: int, shift: int, place: str) -> Words:
    words: Words = {}
    for key, value in values.items():
        try:
            address = int(key, 0) + shift
        except ValueError as error:
            raise ProblemsError(
                [Problem(f"{place} {key}", "地址不是数字", "用十进制或 0x 十六进制")]
            ) from error
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _WORD_MAX:
            raise ProblemsError([Problem(f"{place} {key}", "值不是 0–65535 的整数", "写原始寄存器值")])
        words[code, address] = value
    return words


def _default_code(profile: Profile, dump: RegisterDump) -> int:
    if dump.function_code:
        return dump.function_code
    codes = [field.function_code for field in profile.fields]
    return max(set(codes), key=codes.count) if codes else 3


def _registered(profile: Profile, dump: RegisterDump) -> Words:
    shift = _shift(profile, dump)
    words: Words = {}
    flat: dict[str, Any] = {}
    for key, value in dump.registers.items():
        if key in _SPACES and isinstance(value, dict):
            words.update(_cells(value, _SPACES[key], shift, f"registers.{key}"))
        else:
            flat[key] = value
    words.update(_cells(flat, _default_code(profile, dump), shift, "registers"))
    return words


def dump_words(profile: Profile, content: Mapping[str, Any]) -> Words:
    """Return the words of a dump by (function code, wire address).

    Raises ProblemsError when the dump is not of the known schema, a frame is damaged, or words and frames
    contradict each other.
    """
    try:
        dump = RegisterDump.model_validate(dict(content))
    except ValidationError as error:
        problems = [
            Problem(".".join(str(part) for part in item["loc"]), item["msg"], f"按 {DUMP_SCHEMA} 改正")
            for item in error.errors()
        ]
        raise ProblemsError(problems) from error
    if dump.format != DUMP_SCHEMA:
        raise ProblemsError([Problem("schema", f"是 “{dump.format}”", f"应为 {DUMP_SCHEMA}")])
    words = _registered(profile, dump)
    for found in sorted(_answers(dump), key=len, reverse=True):
        _merge(words, found)
    return words


def _answers(dump: RegisterDump) -> Iterator[Words]:
    for number, frame in enumerate(dump.frames, start=1):
        place = f"frames[{number}]"
        if frame.answer() and frame.dir != "request":
            yield read_response(_bytes(frame.answer(), place), frame.asked(place), place)


def _merge(words: Words, found: Words) -> None:
    """Add the words of a frame where none are known yet.

    What the file lists as a register wins, and so does a longer answer over a shorter one: values must not
    be made of words from different moments.
    """
    for key, word in found.items():
        words.setdefault(key, word)


def read_dump(path: Path) -> dict[str, Any]:
    """Return the content of a dump file; raises ProblemsError when it is not readable JSON."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ProblemsError([Problem(str(path), "文件过大", "一个转储文件不超过 4 MB")])
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ProblemsError([Problem(str(path), f"读不出来：{error}", "检查路径和 JSON 格式")]) from error
    if not isinstance(content, dict):
        raise ProblemsError([Problem(str(path), "不是 JSON 对象", f"按 {DUMP_SCHEMA} 的格式")])
    return content


def decode_words(profile: Profile, content: Mapping[str, Any], ratios: Ratios = DIRECT) -> Decoded:
    """Return everything that a dump gives under a profile; raises ProblemsError for a damaged dump."""
    return decode(profile, dump_words(profile, content), ratios)


def decode_dump(profile: Profile, content: Mapping[str, Any], ratios: Ratios = DIRECT) -> tuple[Point, ...]:
    """Return the points of a dump in the profile's order, None where the wire says not available."""
    return decode_words(profile, content, ratios).points


def point_record(point: Point) -> dict[str, Any]:
    """Return a point as a plain record, the form of one line of `sunledger decode --json`."""
    return {
        "name": point.name,
        "quantity": point.quantity or point.name,
        "value": point.value,
        "missing": None if point.missing is None else str(point.missing),
        "unit": point.unit,
        "function_code": point.function_code,
        "address": point.address,
        "document": point.document,
        "raw": list(point.raw),
    }
