"""A dump file of any device to its values: what `sunledger decode` shows.

Owns choosing the way of decoding by the profile's protocol, and the record of one point. Modbus and SunSpec
dumps are `profile.dump`'s; meter frames are `dlt645`'s.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collector.dlt645 import READ_DATA, decode_payloads, payloads_of, take_frames
from collector.profile import (
    DIRECT,
    Decoded,
    DumpReading,
    Missing,
    Point,
    Profile,
    Ratios,
    load_profile,
    read_dump,
    read_words,
)
from collector.profile.types import MeterItem
from store.problem import Problem, ProblemsError


def _meter_frames(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield place and hex text of each frame; a list of worked frames has them beside the values."""
    key = "frames" if content.get("frames") else "expected"
    frames = content.get(key, [])
    if not isinstance(frames, list):
        return
    for number, frame in enumerate(frames, start=1):
        text = frame.get("response") or frame.get("hex") or "" if isinstance(frame, dict) else frame
        asked = isinstance(frame, dict) and frame.get("dir") == "request"
        if text and not asked:
            yield f"{key}[{number}]", str(text)


def _read_meter(profile: Profile, content: Mapping[str, Any], ratios: Ratios) -> DumpReading:
    """Return what meter frames give, one point for each answer, in the order of the file."""
    points: list[Point] = []
    problems: list[Problem] = []
    payloads: dict[str, bytes] = {}
    for place, text in _meter_frames(content):
        try:
            frames = take_frames(bytes.fromhex(text)).frames
        except ValueError:
            problems.append(Problem(place, "不是十六进制字节", "写成 68…16 这样的十六进制字符"))
            continue
        if not frames:
            problems.append(Problem(place, "没有有效的 DL/T 645 帧", "检查报文的长度、校验和与结束符"))
        found = payloads_of(frames)
        points += decode_payloads(profile, found, ratios).points
        payloads.update(found)
    if not payloads:
        none = Problem("frames", "没有有效的 DL/T 645 应答帧", "检查报文和校验和")
        raise ProblemsError(problems or [none])
    unread = (_unread(item) for item in profile.items if item.identifier not in payloads)
    decoded = decode_payloads(profile, payloads, ratios)
    return DumpReading(decoded, (*points, *unread), tuple(problems))


def _unread(item: MeterItem) -> Point:
    number = int(item.identifier, 16)
    return Point(
        name=item.name,
        quantity=item.quantity,
        value=None,
        missing=Missing.NOT_READ,
        unit=item.unit,
        function_code=READ_DATA,
        address=number,
        document=number,
        raw=(),
    )


def read_content(profile: Profile, content: Mapping[str, Any], ratios: Ratios = DIRECT) -> DumpReading:
    """Return what the content of a dump gives under a profile, and what is damaged in it.

    Raises ProblemsError when nothing of it can be used.
    """
    reader = _read_meter if profile.protocol == "dlt645" else read_words
    return reader(profile, content, ratios)


def decode_content(profile: Profile, content: Mapping[str, Any], ratios: Ratios = DIRECT) -> Decoded:
    """Return what the content of a sound dump gives; raises ProblemsError for a damaged one."""
    reading = read_content(profile, content, ratios)
    if reading.problems:
        raise ProblemsError(reading.problems)
    return reading.decoded


def read_file(profile_name: str, path: Path, ratios: Ratios = DIRECT) -> DumpReading:
    """Return what a dump file gives under a named profile (or a profile file).

    Raises ProblemsError for an unknown profile, or a dump of which nothing can be used.
    """
    return read_content(load_profile(profile_name), read_dump(path), ratios)
