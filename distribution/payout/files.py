"""The bank's file: rendering a batch by a template, and reading the bank's answer.

Owns how a batch looks on disk. The same lines and template always give the same bytes, so a file that was
lost is made again byte for byte. Pure: no database.
"""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from distribution.money import parse_yuan, yuan
from documents.cells import half_width
from documents.reading import read_sheets
from store.problem import Problem, ProblemsError

TEMPLATES = Path(__file__).parent / "templates"
_LEADERS = "=+-@\t\r"
_RESULTS = {
    "成功": "succeeded",
    "已发放": "succeeded",
    "失败": "failed",
    "退回": "returned",
    "退票": "returned",
    "处理中": "unknown",
    "未知": "unknown",
}
_HEADINGS = {
    "reference": ("批内编号", "业务编号"),
    "amount": ("金额", "交易金额", "金额(元)"),
    "result": ("结果", "处理结果", "状态"),
    "reason": ("失败原因", "原因", "备注"),
    "bank_reference": ("银行流水号", "流水号"),
}


class BatchTemplate(BaseModel):
    """How a bank wants its file: columns in order, separator, encoding, amounts, and a trailer or none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    encoding: Literal["gb18030", "gbk", "gb2312", "utf-8", "utf-8-sig"]
    separator: str
    line_end: str
    amount: Literal["yuan", "fen"]
    date: str
    extension: str
    columns: tuple[Literal["line", "reference", "holder", "account", "bank", "amount", "summary"], ...]
    heading: tuple[str, ...] = ()
    trailer: bool = True


def template_text(name_or_path: str | Path) -> str:
    """Return the text of a shipped template by name, or of a county's own by path."""
    path = name_or_path if isinstance(name_or_path, Path) else TEMPLATES / f"{name_or_path}.toml"
    if not path.is_file():
        raise ProblemsError([Problem(str(name_or_path), "没有这个代发模板", "请检查名称")])
    return path.read_text(encoding="utf-8")


def parse_template(text: str) -> BatchTemplate:
    """Return the template that a TOML text describes."""
    return BatchTemplate.model_validate(tomllib.loads(text))


@dataclass(frozen=True, slots=True, repr=False)
class BatchLine:
    """One payment of a batch with the whole account number; never printed, never logged."""

    line: int
    reference: str
    holder: str
    account: str
    bank: str
    amount_fen: int
    summary: str


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A rendered file: its bytes, hash and control totals."""

    content: bytes
    sha256: str
    line_count: int
    total_fen: int


def check_lines(lines: list[BatchLine], template: BatchTemplate) -> list[Problem]:
    """Return why lines cannot go into a file.

    No account, a name that is a formula, breaks the columns, or that the bank's charset cannot carry.
    """
    problems = []
    for line in lines:
        where = f"第 {line.line} 行 {line.holder}"
        if not line.account:
            problems.append(Problem(where, "没有收款账号", "请先在台账登记该户的收款账户"))
        texts = (line.holder, line.account, line.bank, line.summary)
        if any(text.startswith(tuple(_LEADERS)) for text in texts):
            problems.append(Problem(where, "户名、账号或摘要以公式符号开头", "请更正为真实户名"))
        if any(template.separator in text or "\n" in text or "\r" in text for text in texts):
            problems.append(
                Problem(where, f"户名、账号或摘要含有分隔符“{template.separator}”", "请去掉该符号")
            )
        lost = "".join(letter for text in texts for letter in text if not _carried(letter, template.encoding))
        if lost:
            what = f"银行文件的编码 {template.encoding.upper()} 写不出“{lost}”"
            problems.append(Problem(where, what, "请改用 GB 18030 的代发模板，或请银行给出该字的写法"))
    return problems


def _carried(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def render_batch(lines: list[BatchLine], template: BatchTemplate, number: str, on: date) -> BatchFile:
    """Return the bytes of a batch: heading, lines, and a trailer with number, count, total and date.

    Raises ProblemsError when a line cannot be written, each named.
    """
    problems = check_lines(lines, template)
    if problems:
        raise ProblemsError(problems)
    total = sum(line.amount_fen for line in lines)
    rows = [template.separator.join(template.heading)] if template.heading else []
    rows += [template.separator.join(_values(line, template)) for line in lines]
    if template.trailer:
        parts = (f"合计{len(lines)}笔", _amount(total, template), number, on.strftime(template.date))
        rows.append(template.separator.join(parts))
    content = (template.line_end.join(rows) + template.line_end).encode(template.encoding)
    return BatchFile(content, hashlib.sha256(content).hexdigest(), len(lines), total)


def _amount(amount_fen: int, template: BatchTemplate) -> str:
    return str(amount_fen) if template.amount == "fen" else f"{amount_fen // 100}.{amount_fen % 100:02d}"


def _values(line: BatchLine, template: BatchTemplate) -> list[str]:
    values = {
        "line": str(line.line),
        "reference": line.reference,
        "holder": line.holder,
        "account": line.account,
        "bank": line.bank,
        "amount": _amount(line.amount_fen, template),
        "summary": line.summary,
    }
    return [values[column] for column in template.columns]


@dataclass(frozen=True, slots=True)
class ReturnRow:
    """One row of a bank's answer: our reference, the amount [fen], and what became of it."""

    place: str
    reference: str
    amount_fen: int
    state: str
    reason: str
    bank_reference: str


def read_return(content: bytes, file_name: str) -> tuple[list[ReturnRow], list[Problem]]:
    """Read a bank's return file (CSV or Excel with 批内编号, 金额, 结果 …); bad rows are problems.

    Raises FileRefusedError when it is no table, and ProblemsError when it has no heading that is known, or
    its own total is not the total of its rows.
    """
    rows: list[ReturnRow] = []
    problems: list[Problem] = []
    totals: list[tuple[str, dict[str, str]]] = []
    found = False
    for sheet in read_sheets(_comma_separated(content), file_name):
        columns = _columns([cell.text for cell in sheet.rows[0]]) if sheet.rows else {}
        if not {"reference", "amount", "result"} <= set(columns):
            continue
        found = True
        for cells in sheet.rows[1:]:
            text = {field: half_width(cells[column].text) for field, column in columns.items()}
            place = f"{file_name} {sheet.name}!{cells[columns['reference']].address}"
            if text["reference"].startswith("合计"):
                totals.append((place, text))
            if not text["reference"] or text["reference"].startswith("合计"):
                continue
            try:
                amount_fen = parse_yuan(text["amount"])
            except ValueError as error:
                problems.append(Problem(place, str(error), "请核对银行回盘文件"))
                continue
            state = _RESULTS.get(text["result"])
            if state is None:
                problems.append(Problem(place, f"结果“{text['result']}”不认识", "按未知处理，请向银行查询"))
                state = "unknown"
            rows.append(
                ReturnRow(
                    place,
                    text["reference"],
                    amount_fen,
                    state,
                    text.get("reason", ""),
                    text.get("bank_reference", ""),
                )
            )
    if not found:
        raise ProblemsError(
            [Problem(file_name, "没有找到回盘文件的表头（批内编号、金额、结果）", "请选择银行的回盘文件")]
        )
    if not problems:
        _require_totals(rows, totals)
    return rows, problems


def _require_totals(rows: list[ReturnRow], totals: list[tuple[str, dict[str, str]]]) -> None:
    """Raise ProblemsError when the file's own count or total is not that of its rows: a part is missing."""
    for place, text in totals:
        counted = re.match(r"合计(\d+)笔", text["reference"])
        if counted and int(counted[1]) != len(rows):
            what = f"合计写 {counted[1]} 笔，明细有 {len(rows)} 笔"
            raise ProblemsError([Problem(place, what, "文件不完整，请向银行重新索取回盘文件")])
        total = sum(row.amount_fen for row in rows)
        if text["amount"] and text["amount"].replace(",", "") != yuan(total).replace(",", ""):
            what = f"合计写 {text['amount']} 元，明细加起来 {yuan(total)} 元"
            raise ProblemsError([Problem(place, what, "文件不完整，请向银行重新索取回盘文件")])


def _comma_separated(content: bytes) -> bytes:
    """Banks separate text by a bar, which the reader of tables does not know; workbooks stay as they are."""
    return content if content.startswith((b"PK", b"\xd0\xcf")) else content.replace(b"|", b",")


def _columns(heading: list[str]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for field, names in _HEADINGS.items():
        for column, text in enumerate(heading):
            if text in names:
                columns.setdefault(field, column)
    return columns
