import io

import pytest
import xlsxwriter

from distribution.settlement.columns import load_layout
from distribution.settlement.statements import read_statement
from documents.reading import FileRefusedError
from store.problem import ProblemsError

HEADING = "户号,结算月份,电表编号,倍率,上次示数,本次示数,上网电量(千瓦时),上网电价(元/千瓦时),上网电费(元)"
GOOD = "0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00"


def read(*rows, heading=HEADING, encoding="utf-8-sig"):
    text = "\n".join([heading, *rows]) + "\n"
    return read_statement(text.encode(encoding), "单.csv", load_layout("standard"))


def test_a_row_becomes_exact_figures():
    (row,) = read(GOOD).rows
    assert row.line.account_number == "0001"
    assert row.line.exported_energy_wh == 12_000_000
    assert row.line.electricity_fen == 421_800
    assert f"{row.line.electricity_price}" == "0.3515"


@pytest.mark.parametrize("month", ["202610", "2026年10月", "2026/10", "2026-10-01", "２０２６-１０"])
def test_months_are_read_as_people_write_them(month):
    (row,) = read(GOOD.replace("2026-10", month)).rows
    assert row.month == "2026-10"


def test_a_workbook_with_a_title_and_a_total_row_is_read():
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer)
    sheet = book.add_worksheet("十月")
    sheet.write(0, 0, "云泽县供电公司电费结算单")
    for column, text in enumerate(HEADING.split(",")):
        sheet.write(2, column, text)
    for column, value in enumerate(["0001", "2026-10", "M1", 1, 1000, 13000, 12000, 0.3515, 4218]):
        sheet.write(3, column, value)
    sheet.write(4, 0, "合计")
    sheet.write(4, 8, 4218)
    book.close()
    read_back = read_statement(buffer.getvalue(), "单.xlsx", load_layout("standard"))
    (row,) = read_back.rows
    assert read_back.problems == ()
    assert row.line.electricity_fen == 421_800
    assert row.places["electricity"] == "单.xlsx 十月!I4"


@pytest.mark.parametrize(
    ("old", "new", "cell", "what"),
    [
        ("12000,", "约12000,", "G2", "不是数字"),
        ("12000,", "12 000,", "G2", "不是数字"),
        ("12000,", ",", "G2", "缺少上网电量"),
        ("12000,", "-5,", "G2", "小于零"),
        ("4218.00", "4218.005", "I2", "至多两位小数"),
        ("0001,", ",", "A2", "缺少户号"),
        ("0001,", "5.20423E+17,", "A2", "科学计数"),
        ("2026-10", "十月", "B2", "不是年月"),
        ("2026-10", "2026-13", "B2", "不是年月"),
        (",1,", ",0,", "D2", "不是正整数"),
        (",1,", ",1.5,", "D2", "不是正整数"),
        ("0.3515", "三角五", "H2", "不是数字"),
        ("0.3515", "1e9", "H2", "不是数字"),
        ("0.3515", "NaN", "H2", "不是数字"),
    ],
)
def test_a_bad_cell_is_named_and_keeps_only_its_row_out(old, new, cell, what):
    result = read(GOOD.replace(old, new, 1), GOOD.replace("0001", "0002"))
    assert [row.line.account_number for row in result.rows] == ["0002"]
    (problem,) = result.problems
    assert problem.where.endswith(f"!{cell}")
    assert what in problem.what
    assert problem.how_to_fix


def test_full_width_digits_are_numbers():
    (row,) = read(GOOD.replace("12000", "１２０００")).rows
    assert row.line.exported_energy_wh == 12_000_000


def test_another_companys_headings_are_found():
    (row,) = read(GOOD, heading="客户编号,电费年月,表号,综合倍率,起码,止码,结算电量,电价,电费").rows
    assert row.line.current_reading == 13000


def test_gb18030_files_are_read():
    assert len(read(GOOD, encoding="gb18030").rows) == 1


def test_a_file_without_the_heading_says_what_is_needed():
    with pytest.raises(FileRefusedError, match="没有找到结算单的表头（户号、结算月份"):
        read_statement("甲,乙\n1,2\n".encode(), "x.csv", load_layout("standard"))


def test_an_unknown_layout_is_refused():
    with pytest.raises(ProblemsError, match="没有这个表格模板"):
        load_layout("nowhere")
