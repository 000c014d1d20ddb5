"""Register dumps (`pv-register-dump/1`): words or raw frames of a device, kept in a JSON file.

Owns reading such a file into words and decoding them under a profile. Where the file gives both words and
frames they must agree.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as Setting

from collector.profile.complaints import in_chinese
from collector.profile.decoding import decode
from collector.profile.discovery import bind_from_words
from collector.profile.frames import Request, read_request, read_response, writes
from collector.profile.types import DIRECT, Decoded, Field, Missing, Point, Profile, Ratios
from collector.textfiles import read_utf8
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

    def asked(self, place: str) -> Request | None:
        """Return what was asked, from the request or from the fields beside the answer, None if unsaid."""
        if self.request:
            return read_request(_bytes(self.request, place), place)
        start = self.wire_start if self.wire_start is not None else self.start_address
        count = self.count or self.register_count
        if start is None or count is None:
            return None
        return Request(self.function_code or 3, start, count)

    def answer(self) -> str:
        """Return the answer as hex text, empty when there is none."""
        return self.response or self.hex or ""


class RegisterDump(BaseModel):
    """The parts of a dump file that decoding needs; everything else in it is for people."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    format: str = Setting(alias="schema")
    id: str = ""
    address_base: str = ""
    function_code: int | None = None
    registers: dict[str, Any] = {}
    frames: tuple[DumpFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class DumpWords:
    """The words of a dump, why places that were asked for have none, and which frames are damaged."""

    words: Words
    lost: Mapping[tuple[int, int], Missing]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class DumpReading:
    """What a dump gives: the decoded device, every point of the profile, and what is wrong with the file.

    `points` lists what was read first, then the points of which the dump holds nothing, with the reason.
    """

    decoded: Decoded
    points: tuple[Point, ...]
    problems: tuple[Problem, ...] = ()


def _bytes(text: str, place: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise ProblemsError(
            [Problem(place, "不是十六进制字节", "写成 0104… 这样的偶数个十六进制字符")]
        ) from error


def _shift(profile: Profile, dump: RegisterDump) -> int:
    """Return what must be added to the keys of `registers` to get wire addresses.

    Keys are wire addresses unless the file says that they are printed numbers; then the file's own rule
    counts, or the profile's where it names none.
    """
    base = re.sub(r"\(?no minus (1|one)[^;)]*\)?", "", dump.address_base.lower())
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


def dump_words(profile: Profile, content: Mapping[str, Any]) -> DumpWords:
    """Return the words of a dump by (function code, wire address).

    A damaged frame gives no words and is named in the problems; the sound ones are kept. Raises
    ProblemsError when the dump is not of the known schema.
    """
    try:
        dump = RegisterDump.model_validate(dict(content))
    except ValidationError as error:
        problems = [
            Problem(
                ".".join(str(part) for part in item["loc"]), in_chinese(item)[0], f"按 {DUMP_SCHEMA} 改正"
            )
            for item in error.errors()
        ]
        raise ProblemsError(problems) from error
    if dump.format != DUMP_SCHEMA:
        raise ProblemsError([Problem("schema", f"是 “{dump.format}”", f"应为 {DUMP_SCHEMA}")])
    if not dump.registers and not dump.frames:
        how = f"按 {DUMP_SCHEMA}：registers 或 frames 至少有一样"
        raise ProblemsError([Problem("文件", "里面没有寄存器，也没有报文", how)])
    words = _registered(profile, dump)
    answers = _answers(dump)
    for answer in sorted(answers, key=lambda item: len(item.words), reverse=True):
        _merge(words, answer.words)
    lost = {key: answer.missing for answer in answers for key in answer.lost if key not in words}
    problems = [problem for answer in answers for problem in answer.problems]
    return DumpWords(words, lost, tuple(problems))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one frame gives: words, or the places that stay without and why."""

    words: Words
    lost: tuple[tuple[int, int], ...] = ()
    missing: Missing = Missing.REFUSED
    problems: tuple[Problem, ...] = ()


def _answers(dump: RegisterDump) -> list[_Answer]:
    """Return the answers among the frames; an answer without its request belongs to the one before it."""
    answers: list[_Answer] = []
    before: Request | None = None
    for number, frame in enumerate(dump.frames, start=1):
        place = f"frames[{number}]"
        is_request = frame.dir == "request"
        try:
            data = _bytes((frame.hex if is_request else frame.answer()) or frame.request or "", place)
            if not data or writes(data):
                before = None
                continue
            if is_request or not frame.answer():
                before = read_request(data, place)
                continue
            asked = frame.asked(place) or before
        except ProblemsError as error:
            answers.append(_Answer({}, problems=tuple(error.problems)))
            continue
        before = None
        answers.append(_answer(data, asked, place))
    return answers


def _answer(data: bytes, asked: Request | None, place: str) -> _Answer:
    if asked is None:
        unknown = Problem(place, "没有 request，也没有 start_address 与 register_count", "补上其中一种")
        return _Answer({}, problems=(unknown,))
    try:
        words = read_response(data, asked, place)
    except ProblemsError as error:
        return _Answer({}, asked.keys, Missing.DAMAGED, tuple(error.problems))
    return _Answer(words, () if words else asked.keys)


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
        if path.is_file() and path.stat().st_size > _MAX_BYTES:
            raise ProblemsError([Problem(str(path), "文件过大", "一个转储文件不超过 4 MB")])
        content = json.loads(read_utf8(path))
    except json.JSONDecodeError as error:
        place = f"第 {error.lineno} 行第 {error.colno} 列"
        raise ProblemsError([Problem(str(path), f"不是 JSON：{place}读不下去", "改正这里再试")]) from error
    except RecursionError as error:
        raise ProblemsError([Problem(str(path), "嵌套太深", f"按 {DUMP_SCHEMA} 的格式")]) from error
    if not isinstance(content, dict):
        raise ProblemsError([Problem(str(path), "不是 JSON 对象", f"按 {DUMP_SCHEMA} 的格式")])
    return content


def read_words(profile: Profile, content: Mapping[str, Any], ratios: Ratios = DIRECT) -> DumpReading:
    """Return everything that a dump gives under a profile, and which of its frames are damaged.

    Raises ProblemsError when nothing of the dump can be used.
    """
    found = dump_words(profile, content)
    if found.problems and not found.words:
        raise ProblemsError(found.problems)
    if profile.models and not profile.fields:
        profile = bind_from_words(profile, found.words)
    decoded = decode(profile, found.words, ratios)
    known = {point.name for point in decoded.points}
    unread = tuple(_unread(field) for field in profile.fields if field.name not in known)
    points = tuple(_explained(point, found.lost) for point in (*decoded.points, *unread))
    return DumpReading(decoded, points, found.problems)


def _unread(field: Field) -> Point:
    return Point(
        name=field.name,
        quantity=field.quantity,
        value=None,
        missing=Missing.NOT_READ,
        unit=field.unit,
        function_code=field.function_code,
        address=field.address,
        document=field.document,
        raw=(None,) * field.count,
    )


def _explained(point: Point, lost: Mapping[tuple[int, int], Missing]) -> Point:
    """Return a point that was not read with what became of its words, where the dump shows it."""
    if point.missing is not Missing.NOT_READ:
        return point
    keys = ((point.function_code, point.address + index) for index in range(len(point.raw)))
    return replace(point, missing=next((lost[key] for key in keys if key in lost), point.missing))


def decode_words(profile: Profile, content: Mapping[str, Any], ratios: Ratios = DIRECT) -> Decoded:
    """Return everything that a sound dump gives under a profile; raises ProblemsError for a damaged one."""
    reading = read_words(profile, content, ratios)
    if reading.problems:
        raise ProblemsError(reading.problems)
    return reading.decoded


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
