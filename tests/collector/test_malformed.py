"""Files that are wrong in every way that people manage: refused in Chinese, never a traceback."""

import re
from pathlib import Path

import pytest

from collector.decode import read_file
from collector.payloads.library import read_mapping
from collector.profile.library import read_profile
from store.problem import ProblemsError

HEAD = '"schema": "pv-register-dump/1"'
DUMPS = {
    "no JSON": (b'{"schema": "pv-', "不是 JSON：第 1 行第"),
    "nothing": (b"", "不是 JSON"),
    "no text": (b"\xff\xfe\x00", "不是 UTF-8 文本：第 1 个字节"),
    "deep": (b"[" * 100_000, "嵌套太深"),
    "a list": (b"[]", "不是 JSON 对象"),
    "no schema": (b"{}", "schema：缺少这一项"),
    "another schema": (b'{"schema": "pv-register-dump/2", "registers": {"1": 1}}', "应为 pv-register-dump/1"),
    "huge": (b'{"schema": "' + b"x" * 5_000_000 + b'"}', "文件过大"),
    "no content": (f"{{{HEAD}}}".encode(), "里面没有寄存器，也没有报文"),
    "registers are a number": (f'{{{HEAD}, "registers": 3}}'.encode(), "registers：应是一组 键 = 值"),
    "frames are a number": (f'{{{HEAD}, "frames": 3}}'.encode(), "frames：应是一个列表"),
    "no address": (f'{{{HEAD}, "registers": {{"x": 1}}}}'.encode(), "x"),
    "no word": (f'{{{HEAD}, "registers": {{"1": 70000}}}}'.encode(), "不是 0–65535 的整数"),
    "half a word": (f'{{{HEAD}, "registers": {{"1": 1.5}}}}'.encode(), "不是 0–65535 的整数"),
    "no hex": (f'{{{HEAD}, "frames": [{{"response": "01zz"}}]}}'.encode(), "不是十六进制字节"),
}
TOMLS = {
    "no TOML": (b"x = [", "不是有效的 TOML"),
    "no text": (b"\xff\xfe", "不是 UTF-8 文本"),
    "deep": (b"x = " + b"[" * 50_000, "嵌套太深"),
    "nothing": (b"", "缺少"),
    "a table is a number": (b"reading = 3\nmessage = 3\n", "应是一组 键 = 值"),
}
ENGLISH = re.compile(r"Errno|[Ii]nput should|[Ff]ield required|codec|Traceback")


def refusal(error: pytest.ExceptionInfo[ProblemsError]) -> str:
    text = str(error.value)
    assert not ENGLISH.search(text), text
    return text


@pytest.mark.parametrize("profile", ["sungrow_sg_string", "dlt645_2007", "sunspec"])
@pytest.mark.parametrize("name", DUMPS)
def test_a_malformed_dump_is_refused_in_words(tmp_path: Path, profile: str, name: str) -> None:
    content, words = DUMPS[name]
    path = tmp_path / "dump.json"
    path.write_bytes(content)
    with pytest.raises(ProblemsError) as error:
        read_file(profile, path)
    if profile == "sungrow_sg_string":
        assert words in refusal(error)


@pytest.mark.parametrize("read", [read_profile, read_mapping])
@pytest.mark.parametrize("name", TOMLS)
def test_a_malformed_profile_or_mapping_is_refused_in_words(tmp_path: Path, read, name: str) -> None:
    content, words = TOMLS[name]
    path = tmp_path / "file.toml"
    path.write_bytes(content)
    with pytest.raises(ProblemsError) as error:
        read(path)
    assert words in refusal(error)


def test_a_file_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    for read in (read_profile, read_mapping, lambda path: read_file("sunspec", path)):
        with pytest.raises(ProblemsError) as error:
            read(tmp_path / "none.toml")
        assert "没有这个文件" in refusal(error)
