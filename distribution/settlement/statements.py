"""Reading a grid statement (电费结算单) file into lines with their places.

Owns the step from a file's cells to exact `SettlementLine`s. Pure but for the bounded reading of the
file; it knows no station and no database.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from distribution.money import round_fen
from distribution.settlement.columns import Heading, Layout, RowReader, find_heading
from distribution.types import SettlementLine
from documents.cells import CellKind, Sheet
from documents.reading import FileRefusedError, read_sheets
from store.problem import Problem

REQUIRED = ("account_number", "month", "exported_energy", "electricity_price", "electricity")
_WH_PER_UNIT = {"kWh": 1_000, "MWh": 1_000_000, "万kWh": 10_000_000}
_TOTAL_WORDS = ("合计", "总计", "小计")


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One usable row: its line, its month, and the places [file sheet!cell] of its figures by field."""

    month: str
    line: SettlementLine
    row_number: int
    places: dict[str, str]


@dataclass(frozen=True, slots=True)
class StatementFile:
    """What a file holds: usable rows, the problems of the others, and the file's hash.

    `refused_accounts` are the account and month of every bad row; `accounts` names the account number of a
    row by each place that a problem can have.
    """

    name: str
    sha256: str
    rows: tuple[StatementRow, ...]
    problems: tuple[Problem, ...]
    refused_accounts: frozenset[tuple[str, str]]
    accounts: Mapping[str, str] = field(default_factory=dict)


def sha256_of(source: Path | bytes) -> str:
    """Return the SHA-256 [64 hex digits] of a file's content."""
    return hashlib.sha256(source.read_bytes() if isinstance(source, Path) else source).hexdigest()


def read_statement(source: Path | bytes, file_name: str, layout: Layout) -> StatementFile:
    """Read a statement from CSV or Excel; every bad cell is a problem, good rows are returned beside it.

    Raises FileRefusedError when the file cannot be opened as a table.
    """
    rows: list[StatementRow] = []
    problems: list[Problem] = []
    refused: set[tuple[str, str]] = set()
    accounts: dict[str, str] = {}
    found = False
    for sheet in read_sheets(source, file_name):
        heading = find_heading(sheet, layout, REQUIRED)
        if heading is None:
            continue
        found = True
        for index in range(heading.row + 1, len(sheet.rows)):
            reader = RowReader(sheet, heading, index, file_name)
            accounts |= _read_row(reader, sheet, layout, (rows, problems, refused))
    if not found:
        raise FileRefusedError(
            file_name,
            "没有找到结算单的表头（" + "、".join(layout.columns[name][0] for name in REQUIRED) + "）",
            "请使用模板，或为这家供电公司另存一份列名对照",
        )
    return StatementFile(
        file_name, sha256_of(source), tuple(rows), tuple(problems), frozenset(refused), accounts
    )


def _read_row(
    reader: RowReader,
    sheet: Sheet,
    layout: Layout,
    into: tuple[list[StatementRow], list[Problem], set[tuple[str, str]]],
) -> dict[str, str]:
    """Read one row into the lists; returns its account number by each of its places."""
    cells = sheet.rows[reader.number - 1]
    filled = [cell for cell in cells if cell.kind is not CellKind.EMPTY]
    if not filled or filled[0].text.startswith(_TOTAL_WORDS):
        return {}
    rows, problems, refused = into
    row = _row(reader, layout)
    if reader.problems:
        problems.extend(reader.problems)
        refused.add((row.line.account_number, row.month))
    else:
        rows.append(row)
    return dict.fromkeys(
        (*row.places.values(), *(one.where for one in reader.problems)), row.line.account_number
    )


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
    places = {name: reader.place(name) for name in layout.columns}
    return StatementRow(reader.month("month", "结算月份"), line, reader.number, places)


def template_heading(layout: Layout) -> Heading:
    """Return the columns of an empty template in the order of the layout."""
    return Heading(0, {name: column for column, name in enumerate(layout.columns)})
