"""What is exported cannot become a formula, keeps every digit, and prints as it should."""

import io
import re
import shutil
import subprocess
import zipfile
from datetime import date
from pathlib import Path

import pytest
from defusedxml import ElementTree
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.reading import CellKind, read_sheets
from documents.writing import Column, ColumnKind, SheetContent, formula_safe, write_csv, write_xlsx

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
COLUMNS = (Column("户主"), Column("账号", width=24), Column("金额（元）", ColumnKind.MONEY))


def sheet(rows, total=None) -> SheetContent:
    return SheetContent("分配表", "石坝村 2025年6月 收益分配表", COLUMNS, rows, ("按户汇总",), total)


def parts_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def live_formulas(content: bytes) -> list[str]:
    return [
        ElementTree.tostring(element, "unicode")
        for name, part in parts_of(content).items()
        if name.startswith("xl/worksheets/sheet")
        for element in ElementTree.fromstring(part).iter(f"{MAIN}f")
    ]


HOSTILE = st.one_of(
    st.tuples(st.sampled_from(list("=+-@\t\r\n＝＋－＠ ")), st.text(max_size=20)).map("".join),
    st.sampled_from(
        [
            '=HYPERLINK("http://x","点")',
            "=cmd|' /C calc'!A0",
            "+1+1",
            "-2+3",
            "@SUM(1)",
            "\t=1",
            "http://x/",
            "{=1}",
            "1e5",
            "007",
        ]
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(HOSTILE, min_size=50, max_size=50))
def test_ten_thousand_hostile_texts_give_no_live_formula_and_no_link(names):
    content = write_xlsx([sheet([(name, name, 1) for name in names])])
    assert live_formulas(content) == []
    parts = parts_of(content)
    assert not any("externalLink" in name or b"<hyperlink" in part for name, part in parts.items())
    cells = ElementTree.fromstring(parts["xl/worksheets/sheet1.xml"]).iter(f"{MAIN}c")
    named = [cell for cell in cells if cell.get("r", "").startswith(("A", "B")) and cell.get("t") != "s"]
    assert not [cell for cell in named if cell.find(f"{MAIN}v") is not None]


@given(st.lists(HOSTILE, min_size=1, max_size=5))
def test_no_csv_cell_begins_like_a_formula_and_reading_gives_the_text_back(names):
    content = write_csv(sheet([(name, "1", 5) for name in names]))
    for field in re.findall(r'(?:^|,|\n)"?([^",\n]*)', content.decode("utf-8-sig")):
        assert not field.lstrip(" \u3000\u00a0").startswith(tuple("=+-@\t\r＝＋－＠"))


def test_a_guarded_text_is_read_back_without_its_guard():
    content = write_csv(sheet([("=1+1", "0012", -500)]))
    assert [cell.text for cell in read_sheets(content, "表.csv")[0].rows[1]] == ["=1+1", "0012", "-5.00"]
    assert formula_safe("张三") == "张三"


def test_identity_and_account_numbers_are_text_cells_and_come_back_whole():
    rows = [("张三", "6217007200012345678", 60_000), ("李四", "052042319900307123X", -1)]
    read = read_sheets(write_xlsx([sheet(rows)]), "表.xlsx")[0].rows
    assert [cell.text for row in read[3:5] for cell in row] == [
        "张三",
        "6217007200012345678",
        "600",
        "李四",
        "052042319900307123X",
        "-0.01",
    ]
    assert read[3][1].kind is CellKind.TEXT


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(10**13), 10**13), min_size=1, max_size=40))
def test_every_fen_survives_writing_and_reading(amounts):
    rows = [("甲", "1", amount) for amount in amounts]
    read = read_sheets(write_xlsx([sheet(rows)]), "表.xlsx")[0].rows[3:]
    assert [round(float(row[2].text) * 100) for row in read] == amounts


def test_title_notes_watermark_total_and_frozen_header_are_there():
    content = write_xlsx([sheet([("甲", "1", 5)], ("合计", "", 5))], watermark="演示数据")
    rows = [[cell.text for cell in row] for row in read_sheets(content, "表.xlsx")[0].rows]
    assert rows[0][0] == "石坝村 2025年6月 收益分配表"
    assert [rows[1][0], rows[2][0]] == ["演示数据", "按户汇总"]
    assert rows[3] == ["户主", "账号", "金额（元）"]
    assert rows[-1] == ["合计", "", "0.05"]
    xml = parts_of(content)["xl/worksheets/sheet1.xml"].decode()
    assert 'state="frozen"' in xml
    assert 'paperSize="9"' in xml


def test_the_same_content_gives_the_same_bytes():
    assert write_xlsx([sheet([("甲", "1", 5)])]) == write_xlsx([sheet([("甲", "1", 5)])])


def test_energy_dates_and_empty_cells_have_their_own_form():
    columns = (Column("日期", ColumnKind.DATE), Column("电量（kWh）", ColumnKind.ENERGY), Column("备注"))
    content = write_xlsx([SheetContent("a/b:*?", "标题", columns, [(date(2026, 10, 5), 124_600, None)])])
    read = read_sheets(content, "表.xlsx")[0]
    assert read.name == "a_b___"
    assert [cell.text for cell in read.rows[2]] == ["2026-10-05", "124.6", ""]


def test_characters_that_no_workbook_can_hold_are_left_out_and_too_long_texts_are_refused():
    read = read_sheets(write_xlsx([sheet([("张\x00\x0b\ud800三", "1", 1)])]), "表.xlsx")[0]
    assert read.rows[3][0].text == "张三"
    with pytest.raises(ValueError, match="32,767"):
        write_xlsx([sheet([("长" * 40_000, "1", 1)])])


def test_a_row_of_another_length_than_the_header_is_a_mistake():
    with pytest.raises(ValueError, match="2 cells, not 3"):
        write_xlsx([sheet([("甲", "1")])])


def test_an_office_program_changes_no_digit_and_finds_no_formula(tmp_path: Path):
    rows = [(f"=1+{number}", f"{6_217_007_200_012_340_000 + number}", number * 7) for number in range(300)]
    source = tmp_path / "原.xlsx"
    source.write_bytes(write_xlsx([sheet(rows)]))
    office = shutil.which("soffice")
    assert office, "LibreOffice is missing: apt-get install libreoffice-calc"
    for target in ("xlsx:Calc MS Excel 2007 XML", "xls:MS Excel 97"):
        folder = tmp_path / target.split(":")[0]
        subprocess.run(
            [
                *(office, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless"),
                *("--convert-to", target, "--outdir", str(folder), str(source)),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        converted = next(folder.iterdir())
        read = read_sheets(converted)[0].rows[3:]
        assert [row[1].text for row in read[:300]] == [row[1] for row in rows]
        assert [row[0].text for row in read[:300]] == [row[0] for row in rows]
