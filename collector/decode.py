"""A dump file of any device to its values: what `sunledger decode` shows.

Owns choosing the way of decoding by the profile's protocol, and the record of one point. Modbus and SunSpec
dumps are `profile.dump`'s; meter frames are `dlt645`'s.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collector.dlt645 import decode_payloads, payloads_of, take_frames
from collector.profile import DIRECT, Decoded, Profile, Ratios, decode_words, load_profile, read_dump
from store.problem import Problem, ProblemsError


def _meter_bytes(content: Mapping[str, Any]) -> Iterator[bytes]:
    frames = content.get("frames", [])
    if not isinstance(frames, list):
        return
    for number, frame in enumerate(frames, start=1):
        text = frame.get("response") or frame.get("hex") or "" if isinstance(frame, dict) else frame
        try:
            yield bytes.fromhex(str(text))
        except ValueError as error:
            raise ProblemsError(
                [Problem(f"frames[{number}]", "不是十六进制字节", "写成 68…16 这样的十六进制字符")]
            ) from error


def decode_content(profile: Profile, content: Mapping[str, Any], ratios: Ratios = DIRECT) -> Decoded:
    """Return what the content of a dump gives under a profile; raises ProblemsError for a damaged dump."""
    if profile.protocol != "dlt645":
        return decode_words(profile, content, ratios)
    frames = take_frames(b"".join(_meter_bytes(content))).frames
    if not frames:
        raise ProblemsError([Problem("frames", "没有有效的 DL/T 645 应答帧", "检查报文和校验和")])
    return decode_payloads(profile, payloads_of(frames), ratios)


def decode_file(profile_name: str, path: Path, ratios: Ratios = DIRECT) -> Decoded:
    """Return what a dump file gives under a named profile (or a profile file).

    Raises ProblemsError for an unknown profile or an unreadable dump.
    """
    return decode_content(load_profile(profile_name), read_dump(path), ratios)
