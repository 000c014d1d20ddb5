"""Files made to harm are refused by content, in Chinese, within time, memory and without side effects."""

import io
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from documents.reading import FileRefusedError, Limits, read_sheets

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def refused(content: bytes, name: str = "来件.xlsx", limits: Limits | None = None) -> FileRefusedError:
    with pytest.raises(FileRefusedError) as caught:
        read_sheets(content, name, limits)
    error = caught.value
    assert error.where
    assert error.what
    assert error.how_to_fix
    return error


def test_a_bomb_that_declares_its_size_is_refused_before_unpacking(workbook):
    bomb = workbook({"xl/media/a.bin": bytes(120 << 20)})
    assert len(bomb) < 1 << 20
    started = time.monotonic()
    assert "展开后过大" in refused(bomb).what
    assert time.monotonic() - started < 5


def test_a_bomb_of_many_small_parts_is_refused(workbook):
    assert "展开后过大" in refused(workbook({f"xl/x{i}.bin": b"x" for i in range(2_001)})).what


def test_a_part_packed_beyond_the_ratio_is_refused(workbook):
    assert "展开后过大" in refused(workbook({"xl/comments.bin": bytes(3 << 20)})).what


def test_a_part_that_unpacks_to_more_than_it_declares_is_refused(workbook):
    content = bytearray(workbook({"xl/sharedStrings.xml": b"<a>" + b"x" * 50_000 + b"</a>"}))
    name = b"xl/sharedStrings.xml"
    local, central = content.find(name) - 30, content.rfind(name) - 46
    for place in (local + 22, central + 24):
        content[place : place + 4] = struct.pack("<I", 100)
    assert "不符" in refused(bytes(content)).what


def test_overlapping_parts_are_refused(workbook):
    content = bytearray(workbook({"xl/a.bin": b"a" * 500, "xl/b.bin": b"b" * 500}))
    first, second = content.rfind(b"xl/a.bin") - 46, content.rfind(b"xl/b.bin") - 46
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    assert refused(bytes(content)).what in {"内部条目重复或重叠", "压缩结构与声明不符", "压缩结构已损坏"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_parts_of_the_same_name_are_refused(workbook):
    buffer = io.BytesIO(workbook())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("XL/WORKBOOK.XML", "<other/>")
    assert "重复" in refused(buffer.getvalue()).what


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"xl/vbaProject.bin": b"x"}, "宏"),
        ({"xl/macrosheets/sheet1.xml": "<a/>"}, "宏"),
        ({"xl/externalLinks/externalLink1.xml": "<a/>"}, "链接"),
        ({"xl/embeddings/oleObject1.bin": b"x"}, "嵌有"),
        ({"xl/activeX/activeX1.xml": "<a/>"}, "控件"),
        ({"xl/connections.xml": "<a/>"}, "外部数据连接"),
        (
            {"[Content_Types].xml": "<Types>application/vnd.ms-excel.sheet.macroEnabled.main+xml</Types>"},
            "宏",
        ),
        ({"word/document.xml": "<a/>"}, "Word"),
        ({"xl/workbook.bin": b"x"}, "xlsb"),
    ],
)
def test_active_and_foreign_content_is_refused_whatever_the_file_is_called(workbook, parts, words):
    assert words in refused(workbook(parts), "安全.xlsx").what


def test_an_external_relationship_is_refused_and_a_hyperlink_is_not(workbook):
    def relation(kind: str) -> dict[str, str]:
        return {
            "xl/worksheets/_rels/sheet1.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/'
            f'2006/relationships"><Relationship Id="r1" Type="http://x/{kind}" Target="http://127.0.0.1/a" '
            'TargetMode="External"/></Relationships>'
        }

    assert "链接" in refused(workbook(relation("externalLinkPath"))).what
    assert read_sheets(workbook(relation("hyperlink")), "表.xlsx")


@pytest.fixture
def listener():
    hits: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                server.accept()[0].close()
            except TimeoutError:
                continue
            hits.append("connected")

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()[1], hits
    stop.set()
    thread.join()
    server.close()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/sharedStrings.xml"])
def test_entities_are_refused_without_reading_files_or_calling_out(workbook, listener, part, encoding):
    port, hits = listener
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>'
    attack = (
        f'{declaration}<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">'
        f'<!ENTITY h SYSTEM "http://127.0.0.1:{port}/x">]><a>&f;&h;</a>'
    )
    started = time.monotonic()
    error = refused(workbook({part: attack.encode(encoding)}))
    assert time.monotonic() - started < 1.5
    assert "实体" in error.what
    assert "root:" not in str(error)
    assert hits == []


def test_a_billion_laughs_cost_nothing(workbook):
    names = "abcdefghij"
    entities = "<!ENTITY a 'ha'>" + "".join(
        f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in pairwise(names)
    )
    started = time.monotonic()
    refused(workbook({"xl/sharedStrings.xml": f"<!DOCTYPE s [{entities}]><s>&j;</s>"}))
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "空.xlsx", "空的"),
        (b"x" * ((10 << 20) + 1), "大.csv", "10 MB"),
        (b"<html><table><tr><td>1</td></tr></table></html>", "导出.xls", "网页"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><a/>", "表.xls", "网页或 XML"),
        (b"%PDF-1.7 ...", "单.xlsx", "不是表格"),
        (b"\x89PNG\r\n\x1a\n", "图.xlsx", "不是表格"),
        (b"\x00\x01\x02\x00", "乱.csv", "不是文本"),
        (OLE + bytes(512) + "EncryptedPackage".encode("utf-16-le"), "密.xlsx", "密码"),
        (OLE + bytes(512) + "Workbook_VBA_PROJECT_CUR".encode("utf-16-le"), "宏.xls", "宏"),
        (OLE + bytes(512) + "WordDocument".encode("utf-16-le"), "文.xls", "不是 Excel"),
        (OLE + bytes(512) + "Workbook".encode("utf-16-le"), "坏.xls", "损坏"),
        (b"PK\x03\x04" + bytes(100), "断.xlsx", "损坏"),
    ],
)
def test_wrong_kinds_say_what_they_are(content, name, words):
    assert words in refused(content, name).what


def test_a_plain_archive_says_so(workbook):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../etc/passwd", "x")
    assert "压缩包" in refused(buffer.getvalue()).what


def test_a_heavy_sheet_stays_within_memory_and_time_and_leaves_this_process_alone(workbook):
    noise = zlib.compress(bytes(range(256)) * 64).hex()
    strings = "".join(f"<si><t>{noise}{number}</t></si>" for number in range(250_000))
    heavy = workbook({"xl/sharedStrings.xml": f"<sst>{strings}</sst>"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    refused(heavy, limits=Limits(ratio=100_000, memory_bytes=128 << 20, unpacked_bytes=400 << 20))
    assert time.monotonic() - started < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_the_child_stops_at_its_time_limit(workbook):
    rows = "".join(f'<row r="{number}"><c r="A{number}"><v>1</v></c></row>' for number in range(1, 20_000))
    content = workbook({f"xl/extra{part}.xml": f"<a>{rows}</a>" for part in range(60)})
    with pytest.raises(FileRefusedError):
        read_sheets(content, "慢.xlsx", Limits(seconds=1, rows=10**7))


def test_the_child_cannot_write_files():
    code = (
        "from documents.sandbox import _bound_self; from documents.limits import Limits;"
        "_bound_self(Limits()); open('/tmp/sunledger-sandbox-probe', 'w').write('x' * 10_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode != 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_a_crash(workbook, data):
    content = bytearray(workbook())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_sheets(bytes(content), "损.xlsx")
    except FileRefusedError as error:
        assert error.how_to_fix  # noqa: PT017, being read is as right as being refused
