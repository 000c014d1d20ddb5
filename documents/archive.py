"""Looking into a spreadsheet container before any spreadsheet library touches it.

Owns the checks against zip bombs, entity attacks, macros, external links and embedded objects, by
content and never by file name. It reads no cell.
"""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from documents.limits import MIB, Limits
from documents.refusal import FileRefusedError

_CHUNK = 1 << 16
_ACTIVE_PARTS = {
    "vbaproject": ("文件里有宏", "请另存为不带宏的“Excel 工作簿（.xlsx）”"),
    "macrosheets": ("文件里有宏表", "请另存为不带宏的“Excel 工作簿（.xlsx）”"),
    "externallinks": ("文件里有指向其他文件的链接", "请在“数据”里断开链接，并把公式粘贴为数值"),
    "activex": ("文件里有控件", "请删去控件后另存"),
    "embeddings": ("文件里嵌有别的文件", "请删去嵌入的对象后另存"),
    "connections.xml": ("文件里有外部数据连接", "请删去数据连接后另存"),
    "querytables": ("文件里有外部查询", "请删去外部查询后另存"),
    "customui": ("文件里有自定义功能区", "请另存为普通的 .xlsx"),
}
_OTHER_CONTAINERS = {
    "content.xml": "这是 ODS 表格",
    "word/document.xml": "这是 Word 文档",
    "ppt/presentation.xml": "这是演示文稿",
    "xl/workbook.bin": "这是 xlsb 二进制表格",
}


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """What a sheet's XML says that its cells do not: hidden row numbers and merged ranges."""

    hidden_rows: tuple[int, ...] = ()
    merged: tuple[str, ...] = ()


class _Counter:
    """Target of the XML parser: counts rows, remembers hidden rows and merged ranges, keeps no tree."""

    def __init__(self, where: str, limits: Limits) -> None:
        self._where, self._limits = where, limits
        self.hidden_rows: list[int] = []
        self.merged: list[str] = []
        self.sheets: list[tuple[str, str]] = []
        self.targets: dict[str, str] = {}
        self.external = False
        self._rows = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Look at one element as it opens."""
        name = tag.rpartition("}")[2]
        if name == "row":
            self._row(attributes)
        elif name == "mergeCell" and len(self.merged) < self._limits.rows:
            self.merged.append(attributes.get("ref", ""))
        elif name == "sheet":
            key = next((value for key, value in attributes.items() if key.endswith("}id")), "")
            self.sheets.append((attributes.get("name", ""), key))
        elif name == "Relationship":
            self.targets[attributes.get("Id", "")] = attributes.get("Target", "")
            kind = attributes.get("Type", "")
            if attributes.get("TargetMode") == "External" and not kind.endswith("/hyperlink"):
                self.external = True

    def _row(self, attributes: dict[str, str]) -> None:
        self._rows += 1
        number = attributes.get("r", str(self._rows))
        if self._rows > self._limits.rows or (number.isdigit() and int(number) > self._limits.rows):
            raise FileRefusedError(
                self._where, f"超过 {self._limits.rows} 行", "请删去空白的行，或拆成几个文件"
            )
        if attributes.get("hidden") in {"1", "true"} and number.isdigit():
            self.hidden_rows.append(int(number))

    def end(self, tag: str) -> None:
        """Ignore the end of an element."""

    def data(self, text: str) -> None:
        """Ignore text."""

    def close(self) -> "_Counter":
        """Hand out what was seen."""
        return self


def check_archive(content: bytes, name: str, limits: Limits) -> dict[str, SheetFacts]:
    """Check an .xlsx container; returns the facts of each sheet by its name.

    Raises FileRefusedError for bombs (declared and real sizes), entities, macros, external links,
    embedded files, encrypted or duplicate entries, and other containers.
    """
    entries = _entries(content, name, limits)
    names = {entry.filename.lower() for entry in entries}
    _refuse_active_parts(names, name)
    parsed: dict[str, _Counter] = {}
    for entry in entries:
        data = _unpacked(content, entry, name)
        if entry.filename.lower().endswith((".xml", ".rels", ".vml")):
            parsed[entry.filename] = _parsed(data, f"{name} 内部 {entry.filename}", limits)
        if entry.filename == "[Content_Types].xml" and b"macroEnabled" in data:
            raise FileRefusedError(name, *_ACTIVE_PARTS["vbaproject"])
    if any(counter.external for counter in parsed.values()):
        raise FileRefusedError(name, *_ACTIVE_PARTS["externallinks"])
    return _sheet_facts(parsed)


def _entries(content: bytes, name: str, limits: Limits) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, struct.error, ValueError, RuntimeError) as error:
        raise FileRefusedError(
            name, "压缩结构已损坏", "请用 WPS 或 Excel 打开后另存为新的 .xlsx 文件"
        ) from error
    too_big = FileRefusedError(name, "展开后过大", "这不像正常的表格，请另存为新的 .xlsx 后再试")
    if len(entries) > limits.entries or sum(entry.file_size for entry in entries) > limits.unpacked_bytes:
        raise too_big
    seen: set[str] = set()
    reached = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        if entry.file_size > MIB and entry.file_size > limits.ratio * max(entry.compress_size, 1):
            raise too_big
        if entry.filename.lower() in seen or entry.header_offset < reached:
            raise FileRefusedError(name, "内部条目重复或重叠", "请用 WPS 或 Excel 打开后另存")
        if entry.flag_bits & 0x1 or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise FileRefusedError(name, "内部条目加密或用了特殊压缩", "请取消密码后另存为普通 .xlsx")
        seen.add(entry.filename.lower())
        reached = entry.header_offset + entry.compress_size
    return entries


def _refuse_active_parts(names: set[str], name: str) -> None:
    for part, what in _OTHER_CONTAINERS.items():
        if part in names:
            raise FileRefusedError(name, what, "请另存为“Excel 工作簿（.xlsx）”")
    for mark, (what, how) in _ACTIVE_PARTS.items():
        if any(mark in part for part in names):
            raise FileRefusedError(name, what, how)
    if "xl/workbook.xml" not in names:
        raise FileRefusedError(name, "这是压缩包，不是 Excel 表格", "请解压后选择其中的 .xlsx 文件")


def _unpacked(content: bytes, entry: zipfile.ZipInfo, name: str) -> bytes:
    """Unpack by ourselves and count: what an entry declares is a claim, and readers differ on it."""
    damaged = FileRefusedError(name, "压缩结构与声明不符", "请用 WPS 或 Excel 打开后另存为新的 .xlsx 文件")
    start = entry.header_offset
    if content[start : start + 4] != b"PK\x03\x04" or len(content) < start + 30:
        raise damaged
    method, name_length, extra_length = struct.unpack("<8xH16xHH", content[start : start + 30])
    start += 30 + name_length + extra_length
    packed = memoryview(content)[start : start + entry.compress_size]
    if method != entry.compress_type:
        raise damaged
    if method == zipfile.ZIP_STORED:
        data = bytes(packed)
    else:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(packed, entry.file_size + 1)
        except zlib.error as error:
            raise damaged from error
        if inflater.unconsumed_tail or not inflater.eof:
            raise damaged
    if len(data) != entry.file_size:
        raise damaged
    return data


def _parsed(data: bytes, where: str, limits: Limits) -> _Counter:
    counter = _Counter(where, limits)
    parser: Any = DefusedXMLParser(
        target=counter, forbid_dtd=True, forbid_entities=True, forbid_external=True
    )
    try:
        for start in range(0, len(data), _CHUNK):
            parser.feed(data[start : start + _CHUNK])
        parser.close()
    except DefusedXmlException as error:
        raise FileRefusedError(where, "内含实体定义，可能是攻击文件", "请勿导入来历不明的文件") from error
    except ParseError as error:
        raise FileRefusedError(
            where, "内容已损坏", "请用 WPS 或 Excel 打开后另存为新的 .xlsx 文件"
        ) from error
    return counter


def _sheet_facts(parsed: dict[str, _Counter]) -> dict[str, SheetFacts]:
    workbook = parsed.get("xl/workbook.xml")
    relations = parsed.get("xl/_rels/workbook.xml.rels")
    if workbook is None or relations is None:
        return {}
    facts = {}
    for sheet, key in workbook.sheets:
        target = relations.targets.get(key, "").lstrip("/")
        counter = parsed.get(target if target.startswith("xl/") else f"xl/{target}")
        if counter is not None:
            facts[sheet] = SheetFacts(tuple(counter.hidden_rows), tuple(counter.merged))
    return facts


def check_compound_file(content: bytes, name: str) -> None:
    """Check an old .xls (OLE compound file); raises FileRefusedError for macros, passwords, other kinds."""
    if _directory_name("EncryptedPackage") in content or _directory_name("EncryptionInfo") in content:
        raise FileRefusedError(name, "文件有打开密码", "请取消密码后另存，再导入")
    if _directory_name("_VBA_PROJECT_CUR") in content or _directory_name("_VBA_PROJECT") in content:
        raise FileRefusedError(name, *_ACTIVE_PARTS["vbaproject"])
    if _directory_name("Workbook") not in content and _directory_name("Book") not in content:
        raise FileRefusedError(name, "这不是 Excel 表格", "请用 WPS 或 Excel 另存为 .xlsx 文件")


def _directory_name(text: str) -> bytes:
    return text.encode("utf-16-le")
