"""The corpus of files that offices really send, and of those made to harm; each with its right answer.

Owns the files only, built part by part. An answer is the count of rows that are added, or words that must
stand in a problem.
"""

import io
import zipfile
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import openpyxl
from openpyxl.styles import Font

from tests.documents.conftest import build_workbook, sheet_xml, text_row
from tests.registry.conftest import VILLAGES, made_up_id

VILLAGE = VILLAGES[0]
HEAD = ("村代码", "户编号", "户主姓名", "登记日期", "户主身份证号", "开户行", "银行账号")
NUMBER = made_up_id(981)
GOOD = (VILLAGE, "801", "钱多多", "2026-01-05", NUMBER, "农信社", "6217000000001111")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Sent:
    """A file with its name, and what must come of it: rows added, or words in a problem."""

    name: str
    content: bytes
    added: int = 0
    words: str = ""


def changed(**columns: str) -> tuple[str, ...]:
    """The good row with other texts, by place: c0 is the village code."""
    return tuple(columns.get(f"c{place}", text) for place, text in enumerate(GOOD))


def csv(
    *rows: tuple[str, ...], encoding: str = "utf-8-sig", head: tuple[str, ...] = HEAD, mark: str = ","
) -> bytes:
    """A CSV of rows under a header."""
    return "\r\n".join(mark.join(row) for row in (head, *rows)).encode(encoding)


def xlsx(*rows: tuple[object, ...], head: tuple[str, ...] = HEAD, shape=None) -> bytes:
    """A workbook of rows under a header, as openpyxl writes it; `shape` may change it."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "农户"
    for row in (head, *rows):
        sheet.append(row)
    if shape is not None:
        shape(book, sheet)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def part(name: str, data: str | bytes) -> bytes:
    """A workbook with one part added or replaced."""
    return build_workbook({name: data}, text_row(1, *HEAD) + text_row(2, *GOOD))


def _merged(_book, sheet):
    sheet.append(changed(c1="802", c2="孙多多", c4="", c5="", c6=""))
    sheet.merge_cells("A2:A3")


def _title_above(_book, sheet):
    sheet.insert_rows(1, 2)
    sheet["A1"] = "某县农户登记表"
    sheet.merge_cells("A1:G1")


def _hidden_row(_book, sheet):
    sheet.row_dimensions[2].hidden = True


def _second_same(book, sheet):
    book.copy_worksheet(sheet)


def _second_hidden(book, sheet):
    book.copy_worksheet(sheet).sheet_state = "hidden"


def _second_other(book, _sheet):
    book.create_sheet("说明")["A1"] = "填表说明"


def _all_hidden(book, sheet):
    book.create_sheet("空")
    sheet.sheet_state = "hidden"


def _blank_tail(_book, sheet):
    for number in range(3, 400):
        sheet.cell(number, 1).font = Font(bold=True)


def _formula(_book, sheet):
    sheet["C2"] = '=HYPERLINK("http://127.0.0.1/","钱多多")'


def _totals(_book, sheet):
    sheet.append(("合计", "1 户"))


def _entity(declaration: str) -> bytes:
    return part("xl/sharedStrings.xml", f'<?xml version="1.0"?><!DOCTYPE a [{declaration}]><a>&f;</a>')


def _laughs() -> bytes:
    names = "abcdefghij"
    entities = "<!ENTITY a 'ha'>" + "".join(
        f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in pairwise(names)
    )
    return part("xl/sharedStrings.xml", f"<!DOCTYPE s [{entities}]><s>&j;</s>")


def _archive(name: str, data: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def _encrypted_entry() -> bytes:
    content = bytearray(part("xl/extra.bin", b"x" * 50))
    place = content.rfind(b"xl/extra.bin")
    content[place - 46 + 8] |= 1
    return bytes(content)


def _many_rows(count: int) -> bytes:
    return csv(*((VILLAGE, str(number), "甲乙", "2026-01-05", "", "", "") for number in range(count)))


ORDINARY = (
    Sent("utf8.csv", csv(GOOD), 1),
    Sent("utf8无标记.csv", csv(GOOD, encoding="utf-8"), 1),
    Sent("gb18030.csv", csv(GOOD, encoding="gb18030"), 1),
    Sent("utf16.csv", csv(GOOD, encoding="utf-16"), 1),
    Sent("制表符.csv", csv(GOOD, mark="\t"), 1),
    Sent("分号.csv", csv(GOOD, mark=";"), 1),
    Sent("生僻字.csv", csv(changed(c2="王㼆䶮"), encoding="gb18030"), 1),
    Sent("扩展区.csv", csv(changed(c2="李𫖯𬀩"), encoding="gb18030"), 1),
    Sent("间隔号.csv", csv(changed(c2="买买提·艾力")), 1),
    Sent("全角数字.csv", csv(changed(c0="".join(chr(ord(c) + 0xFEE0) for c in VILLAGE), c1="８０１")), 1),
    Sent("前后空格.csv", csv(tuple(f"　{text} " for text in GOOD)), 1),
    Sent("小写x.csv", csv(changed(c4="11010519491231002x")), 1),
    Sent("文本数字.xlsx", xlsx(GOOD), 1),
    Sent("日期格.xlsx", xlsx((*GOOD[:3], date(2026, 1, 5), *GOOD[4:])), 1),
    Sent("斜线日期.csv", csv(changed(c3="2026/1/5")), 1),
    Sent("中文日期.csv", csv(changed(c3="2026年1月5日")), 1),
    Sent("紧凑日期.csv", csv(changed(c3="20260105")), 1),
    Sent("标题行.xlsx", xlsx(GOOD, shape=_title_above), 1),
    Sent("隐藏行.xlsx", xlsx(GOOD, shape=_hidden_row), 1),
    Sent("隐藏表.xlsx", xlsx(GOOD, shape=_second_hidden), 1),
    Sent("说明表.xlsx", xlsx(GOOD, shape=_second_other), 1),
    Sent("合计行.xlsx", xlsx(GOOD, shape=_totals), 1),
    Sent("尾部空行.xlsx", xlsx(GOOD, shape=_blank_tail), 1),
    Sent("空行.csv", csv(("",) * 7, GOOD, ("",) * 7), 1),
    Sent("列序不同.csv", csv(GOOD[::-1], head=HEAD[::-1]), 1),
    Sent(
        "别名表头.csv",
        csv(GOOD, head=("行政村代码", "编号", "姓名", "纳入日期", "身份证号", "银行", "账号")),
        1,
    ),
    Sent("带星表头.csv", csv(GOOD, head=tuple(f"{one} *" for one in HEAD)), 1),
    Sent("引号换行.csv", csv(changed(c5='"农信社"')), 1),
    Sent("撇号公式.csv", csv(changed(c5="'=农信社")), 1),
)
"""Files that are taken in whole."""

WRONG_CELLS = (
    Sent("合并.xlsx", xlsx(GOOD, shape=_merged), words="合并单元格"),
    Sent("两张表.xlsx", xlsx(GOOD, shape=_second_same), words="都像"),
    Sent("全隐藏.xlsx", xlsx(GOOD, shape=_all_hidden), words="找不到"),
    Sent("数字身份证.xlsx", xlsx((*GOOD[:4], 520491196001001908, *GOOD[5:])), words="身份证号是数字格式"),
    Sent("数字账号.xlsx", xlsx((*GOOD[:6], 6217000000001111)), words="银行账号是数字格式"),
    Sent("科学记数.csv", csv(changed(c4="5.20423E+17")), words="E2"),
    Sent("科学记数账号.csv", csv(changed(c6="6.217E+15")), words="G2"),
    Sent("十五位.csv", csv(changed(c4="110105491231002")), words="18 位"),
    Sent("校验位.csv", csv(changed(c4="110105194912310021")), words="校验位"),
    Sent("不存在的生日.csv", csv(changed(c4="110105194902300020")), words="E2"),
    Sent("还没出生.csv", csv(changed(c4="110105209912310027")), words="E2"),
    Sent("不存在的日子.csv", csv(changed(c3="2026-02-30")), words="不存在"),
    Sent("不是日子.csv", csv(changed(c3="去年")), words="不是日期"),
    Sent("外县.csv", csv(changed(c0=VILLAGES[-1])), words="辖区"),
    Sent("没有的村.csv", csv(changed(c0="520491100999")), words="不是已登记的村"),
    Sent("短代码.csv", csv(changed(c0="5204")), words="12 位"),
    Sent("公式姓名.csv", csv(changed(c2="=1+1")), words="不像姓名"),
    Sent("换行姓名.csv", csv(changed(c2='"钱\n多多"')), words="换行"),
    Sent("反向字符.csv", csv(changed(c2="钱\u202e多多")), words="不可见"),
    Sent("网页姓名.csv", csv(changed(c2="<script>")), words="不像姓名"),
    Sent("太长.csv", csv(changed(c2="钱" * 60)), words="超过 50"),
    Sent("空姓名.csv", csv(changed(c2="")), words="是空的"),
    Sent("重复行.csv", csv(GOOD, GOOD), words="重复或重叠"),
    Sent("没有表头.csv", b"\xef\xbb\xbf" + ",".join(GOOD).encode(), words="找不到"),
    Sent("只有表头.csv", csv(), words="没有数据"),
    Sent("公式错误.xlsx", xlsx((*GOOD[:2], "#REF!", *GOOD[3:])), words="C2"),
    Sent("公式.xlsx", xlsx(GOOD, shape=_formula), words="C2"),
    Sent("引号不成对.csv", csv(changed(c2='"钱')), words="引号"),
)
"""Files with a wrong cell or header: the problem names the place."""

HARMFUL = (
    Sent("空.xlsx", b"", words="空的"),
    Sent("截断.xlsx", xlsx(GOOD)[:900], words="损坏"),
    Sent("半截.xlsx", xlsx(GOOD)[:-200], words="损坏"),
    Sent("网页.xls", b"<html><table><tr><td>1</td></tr></table></html>", words="网页"),
    Sent("表二〇〇三.xls", b"<?xml version='1.0'?><Workbook/>", words="网页或 XML"),
    Sent("单据.xlsx", b"%PDF-1.7", words="不是表格"),
    Sent("图片.xlsx", b"\x89PNG\r\n\x1a\n", words="不是表格"),
    Sent("压缩.xlsx", b"Rar!\x1a\x07", words="不是表格"),
    Sent("乱码.csv", b"\x00\x01\x02\x00", words="不是文本"),
    Sent("过大.csv", b"x" * ((10 << 20) + 1), words="10 MB"),
    Sent("两万行.csv", _many_rows(20_001), words="20000 行"),
    Sent("宽表.csv", ",".join("列" for _ in range(300)).encode(), words="列"),
    Sent("旧表.xls", _OLE + bytes(512) + "Workbook".encode("utf-16-le"), words="损坏"),
    Sent("加密.xlsx", _OLE + bytes(512) + "EncryptedPackage".encode("utf-16-le"), words="密码"),
    Sent("旧宏.xls", _OLE + bytes(512) + "Workbook_VBA_PROJECT_CUR".encode("utf-16-le"), words="宏"),
    Sent("宏.xlsx", part("xl/vbaProject.bin", b"x"), words="宏"),
    Sent("宏表.xlsx", part("xl/macrosheets/sheet1.xml", "<a/>"), words="宏"),
    Sent("外链.xlsx", part("xl/externalLinks/externalLink1.xml", "<a/>"), words="链接"),
    Sent("嵌入.xlsx", part("xl/embeddings/oleObject1.bin", b"x"), words="嵌有"),
    Sent("控件.xlsx", part("xl/activeX/activeX1.xml", "<a/>"), words="控件"),
    Sent("连接.xlsx", part("xl/connections.xml", "<a/>"), words="外部数据连接"),
    Sent("文档.xlsx", part("word/document.xml", "<a/>"), words="Word"),
    Sent("二进制表.xlsx", part("xl/workbook.bin", b"x"), words="xlsb"),
    Sent("压缩炸弹.xlsx", part("xl/media/a.bin", bytes(120 << 20)), words="展开后过大"),
    Sent("高压缩比.xlsx", part("xl/a.bin", bytes(3 << 20)), words="展开后过大"),
    Sent("读文件.xlsx", _entity('<!ENTITY f SYSTEM "file:///etc/passwd">'), words="实体"),
    Sent("外连.xlsx", _entity('<!ENTITY f SYSTEM "http://127.0.0.1:9/x">'), words="实体"),
    Sent(
        "参数实体.xlsx",
        _entity('<!ENTITY % p SYSTEM "file:///etc/passwd"> %p; <!ENTITY f "x">'),
        words="实体",
    ),
    Sent("十亿笑.xlsx", _laughs(), words="实体"),
    Sent("路径.xlsx", _archive("../../etc/passwd"), words="压缩包"),
    Sent("套娃.xlsx", _archive("inner.xlsx", xlsx(GOOD)), words="压缩包"),
    Sent("加密条目.xlsx", _encrypted_entry(), words="加密"),
    Sent("坏结构.xlsx", part("xl/worksheets/sheet1.xml", "<worksheet><sheetData>"), words="损坏"),
    Sent(
        "行号过大.xlsx", part("xl/worksheets/sheet1.xml", sheet_xml('<row r="1048576"/>')), words="20000 行"
    ),
)
"""Files that are refused whole."""

CORPUS = (*ORDINARY, *WRONG_CELLS, *HARMFUL)
