"""Reading a grid statement (电费结算单) file into lines with their places.

Owns the step from a file's cells to exact `SettlementLine`s. Pure but for the bounded reading of the
file; it knows no station and no database.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from distribution.money import round_fen
from distribution.settlement.columns import Heading, Layout, Places, RowReader, find_heading
from distribution.types import LineDetail, SettlementLine
from documents.cells import CellKind, Sheet
from documents.limits import Limits
from documents.reading import FileRefusedError, read_sheets
from documents.streaming import stream_csv
from store.problem import Problem

REQUIRED = ("account_number", "month", "exported_energy", "electricity_price", "electricity")
FIELD_NAMES: Mapping[str, str] = {
    "account_number": "户号",
    "month": "结算月份",
    "meter_number": "电表编号",
    "meter_multiplier": "倍率",
    "previous_reading": "上次示数",
    "current_reading": "本次示数",
    "exported_energy": "上网电量",
    "electricity_price": "上网电价",
    "electricity": "上网电费",
    "subsidy_price": "补贴单价",
    "subsidy": "补贴金额",
    "local_subsidy": "地方补贴",
    "tax": "代扣税",
    "adjustment": "调整金额",
    "tariff_window": "电价时段",
    "previous_read_on": "上次抄表日期",
    "current_read_on": "本次抄表日期",
    "invoice_number": "发票号码",
    "invoice_state": "发票状态",
    "payee": "收款单位",
    "adjustment_reason": "调整原因",
}
_WH_PER_UNIT = {"kWh": 1_000, "MWh": 1_000_000, "万kWh": 10_000_000}
_TOTAL_WORDS = ("合计", "总计", "小计")
_SPREAD_FIELDS = ("account_number", "month", "meter_number", "meter_multiplier")
_DOWNWARD = re.compile(r"^([A-Z]+)(\d+):([A-Z]+)(\d+)$")


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One usable row: its line, its month, and the places [file sheet!cell] of its figures by field."""

    month: str
    line: SettlementLine
    row_number: int
    places: Places
    detail: LineDetail = field(default_factory=LineDetail)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One row that cannot be used: its number, what is known of its account and month, and what is wrong."""

    row_number: int
    account_number: str
    month: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class StatementFile:
    """What a file holds: usable rows, the problems of the others, and the file's hash.

    `refused` has an entry for each bad row and `refused_accounts` its account and month; `accounts` names
    the account number of a bad row by the place of each of its problems; `warnings` keep nothing out.
    """

    name: str
    sha256: str
    rows: tuple[StatementRow, ...]
    problems: tuple[Problem, ...]
    refused_accounts: frozenset[tuple[str, str]]
    accounts: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[RefusedRow, ...] = ()
    warnings: tuple[Problem, ...] = ()
    layout: str = ""


def sha256_of(source: Path | bytes) -> str:
    """Return the SHA-256 [64 hex digits] of a file's content."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_statement(source: Path | bytes, file_name: str, layout: Layout) -> StatementFile:
    """Read a statement from CSV or Excel; every bad cell is a problem, good rows are returned beside it.

    Raises FileRefusedError when the file cannot be opened as a table.
    """
    sheets = ((0, sheet) for sheet in read_sheets(source, file_name) if not sheet.hidden)
    return _read(sheets, (file_name, sha256_of(source)), layout, in_pieces=False)


def stream_statement(path: Path, layout: Layout) -> StatementFile:
    """Read a statement from this machine's disk: a CSV of any length in pieces, anything else as uploads are.

    Raises FileRefusedError when the file cannot be opened as a table.
    """
    if path.suffix.lower() != ".csv" or path.stat().st_size <= Limits().file_bytes // 4:
        return read_statement(path, path.name, layout)
    return _read(stream_csv(path), (path.name, sha256_of(path)), layout, in_pieces=True)


@dataclass
class _Found:
    rows: list[StatementRow] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    seen: bool = False


def _read(
    sheets: Iterable[tuple[int, Sheet]], file: tuple[str, str], layout: Layout, *, in_pieces: bool
) -> StatementFile:
    found, held = _Found(), None
    for offset, sheet in sheets:
        heading = held if in_pieces and held is not None else find_heading(sheet, layout, REQUIRED)
        if heading is None:
            continue
        first = 0 if held is not None and in_pieces else heading.row + 1
        held, found.seen = heading, True
        for reader in _readers(_spread(sheet, heading), heading, (first, offset), file[0]):
            _read_row(reader, layout, found)
        found.warnings += _hidden(sheet, heading, file[0])
    if not found.seen:
        raise FileRefusedError(
            file[0],
            "没有找到结算单的表头（" + "、".join(FIELD_NAMES[name] for name in REQUIRED) + "）",
            "请使用模板，或在导入页为这家供电公司保存一份列名对照",
        )
    return StatementFile(
        *file,
        tuple(found.rows),
        tuple(one.problem for one in found.refused),
        frozenset((one.account_number, one.month) for one in found.refused),
        {one.problem.where: one.account_number for one in found.refused},
        tuple(found.refused),
        tuple(found.warnings),
        layout.name,
    )


def _readers(sheet: Sheet, heading: Heading, start: tuple[int, int], file_name: str) -> Iterator[RowReader]:
    """Yield a reader for each row of figures; empty rows and totals are left out."""
    first, offset = start
    for index in range(first, len(sheet.rows)):
        filled = next((cell for cell in sheet.rows[index] if cell.kind is not CellKind.EMPTY), None)
        if filled is not None and not filled.text.startswith(_TOTAL_WORDS):
            yield RowReader(sheet, heading, index, file_name, offset=offset)


def _spread(sheet: Sheet, heading: Heading) -> Sheet:
    """Return a sheet whose downward merged names (户号, 月份, 电表) stand in each of their rows.

    An amount that is merged over several rows is not known row by row, and stays where it stands.
    """
    columns = {heading.columns[name] for name in _SPREAD_FIELDS if name in heading.columns}
    rows = [list(row) for row in sheet.rows] if sheet.merged else []
    for merged in sheet.merged:
        match = _DOWNWARD.match(merged)
        if match is None or match[1] != match[3]:
            continue
        top, bottom = int(match[2]) - 1, min(int(match[4]), len(rows))
        for column in columns:
            if top < len(rows) and rows[top][column].address == f"{match[1]}{match[2]}":
                for index in range(top + 1, bottom):
                    rows[index][column] = replace(rows[top][column], address=rows[index][column].address)
    return replace(sheet, rows=tuple(tuple(row) for row in rows)) if rows else sheet


def _hidden(sheet: Sheet, heading: Heading, file_name: str) -> list[Problem]:
    hidden = [number for number in sheet.hidden_rows if number > heading.row + 1]
    if not hidden:
        return []
    shown = "、".join(str(number) for number in hidden[:10])
    return [
        Problem(
            f"{file_name} {sheet.name}", f"第 {shown} 行在表里是隐藏的，已照常读入", "不该导入的请删去后重来"
        )
    ]


def _read_row(reader: RowReader, layout: Layout, found: _Found) -> None:
    row = _row(reader, layout)
    if not reader.problems:
        found.rows.append(row)
    for problem in reader.problems:
        found.refused.append(RefusedRow(reader.number, row.line.account_number, row.month, problem))


def _row(reader: RowReader, layout: Layout) -> StatementRow:
    energy = reader.decimal("exported_energy", "上网电量")
    energy_wh = energy * _WH_PER_UNIT[layout.energy_unit]
    if energy < 0:
        reader.refuse("exported_energy", "上网电量小于零", "退补电量请填在调整金额")
        energy_wh = Decimal(0)
    line = SettlementLine(
        account_number=reader.code("account_number", "户号"),
        meter_number=reader.code("meter_number", "电表编号", required=False),
        meter_multiplier=reader.whole("meter_multiplier", "倍率", default=1),
        previous_reading=reader.decimal("previous_reading", "上次示数", default=Decimal(0)),
        current_reading=reader.decimal("current_reading", "本次示数", default=Decimal(0)),
        exported_energy_wh=round_fen(energy_wh),
        electricity_price=reader.decimal("electricity_price", "上网电价"),
        electricity_fen=reader.fen("electricity", "上网电费"),
        subsidy_price=reader.decimal("subsidy_price", "补贴单价", default=Decimal(0)),
        subsidy_fen=reader.fen("subsidy", "补贴金额", default=0),
        local_subsidy_fen=reader.fen("local_subsidy", "地方补贴", default=0),
        tax_fen=reader.fen("tax", "代扣税", default=0),
        adjustment_fen=reader.fen("adjustment", "调整金额", default=0),
        tariff_window=reader.cell("tariff_window").text,
    )
    month = reader.month("month", "结算月份")
    return StatementRow(month, line, reader.number, reader.places, _detail(reader))


def _detail(reader: RowReader) -> LineDetail:
    return LineDetail(
        reader.code("invoice_number", "发票号码", required=False),
        reader.cell("invoice_state").text,
        reader.cell("payee").text,
        reader.optional_day("previous_read_on", "上次抄表日期"),
        reader.optional_day("current_read_on", "本次抄表日期"),
        reader.cell("adjustment_reason").text,
    )
