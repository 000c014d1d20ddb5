"""Honest tables are read exactly; awkward ones give a message that names the place."""

import io
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from documents.cells import CellKind, cell_address, half_width
from documents.reading import FileRefusedError, Limits, read_sheets


def made_by_excel(rows: list[list[object]], sheet: str = "表一") -> bytes:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False})
    worksheet = book.add_worksheet(sheet)
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            worksheet.write(number, column, value)
    book.close()
    return buffer.getvalue()


def texts(source: bytes, name: str = "表.xlsx") -> list[list[str]]:
    return [[cell.text for cell in row] for row in read_sheets(source, name)[0].rows]


def test_identity_numbers_leading_zeros_and_19_digit_accounts_keep_every_digit():
    row = ["52042319900307123X", "007", "6217007200012345678"]
    assert texts(made_by_excel([row])) == [row]


def test_a_long_number_typed_as_a_number_is_marked_as_lost_and_never_repaired():
    cell = read_sheets(made_by_excel([[520423199003071234]]), "表.xlsx")[0].rows[0][0]
    assert cell.kind is CellKind.LOSSY
    assert cell.address == "A1"


def test_scientific_notation_in_a_csv_is_marked_as_lost():
    cell = read_sheets("账号\n6.217E+18\n".encode(), "账号.csv")[0].rows[1][0]
    assert (cell.kind, cell.text) == (CellKind.LOSSY, "6.217E+18")


def test_amounts_come_as_plain_decimal_text():
    assert texts(made_by_excel([[0.1 + 0.2, 12470, 1234.56, -0.05, 1e-7]])) == [
        ["0.3", "12470", "1234.56", "-0.05", "0.0000001"]
    ]


def test_surrounding_blanks_of_every_width_are_cut_and_inner_ones_kept():
    assert texts(made_by_excel([["\u3000张 三\u00a0\ufeff", "  "]])) == [["张 三", ""]]


def test_full_width_digits_can_be_made_common():
    assert half_width("１２，３４５．６　") == "12,345.6"


def test_hidden_rows_and_merged_cells_are_reported(workbook, sheet_part, row_part):
    rows = row_part(1, "合并") + row_part(2, "藏着", attributes='hidden="1"')
    merged = '<mergeCells count="1"><mergeCell ref="A1:C1"/></mergeCells>'
    content = workbook({"xl/worksheets/sheet1.xml": sheet_part(rows, merged)})
    sheet = read_sheets(content, "表.xlsx")[0]
    assert (sheet.name, sheet.hidden_rows, sheet.merged) == ("表一", (2,), ("A1:C1",))


def test_every_sheet_is_handed_out_and_hidden_ones_say_so():
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.add_worksheet("六月").write(0, 0, "甲")
    hidden = book.add_worksheet("底稿")
    hidden.write(0, 0, "乙")
    hidden.hide()
    book.close()
    assert [(sheet.name, sheet.hidden) for sheet in read_sheets(buffer.getvalue(), "两张.xlsx")] == [
        ("六月", False),
        ("底稿", True),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_encodings_of_the_field_are_read_with_rare_characters(encoding):
    assert texts("户主,金额\n㐱𫖯𬀩䶮,1\n".encode(encoding), "户.csv")[1] == ["㐱𫖯𬀩䶮", "1"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_delimiters_are_recognised(delimiter):
    assert texts(f"甲{delimiter}乙\n一{delimiter}二\n".encode(), "表.csv") == [["甲", "乙"], ["一", "二"]]


def test_an_unclosed_quote_names_its_line():
    with pytest.raises(FileRefusedError) as refused:
        read_sheets('甲,乙\n"一,二\n'.encode(), "坏.csv")
    assert "第" in refused.value.where
    assert "引号" in refused.value.what


def test_rows_of_a_csv_are_made_equally_long():
    assert texts("甲,乙,丙\n一\n".encode(), "短.csv") == [["甲", "乙", "丙"], ["一", "", ""]]


def test_addresses_follow_the_screen():
    assert [cell_address(0, 0), cell_address(36, 3), cell_address(9, 26), cell_address(0, 701)] == [
        "A1",
        "D37",
        "AA10",
        "ZZ1",
    ]


def test_a_path_is_read_like_its_content(tmp_path: Path):
    path = tmp_path / "电费.csv"
    path.write_bytes("户号\n0012\n".encode())
    sheet = read_sheets(path)[0]
    assert (sheet.name, sheet.rows[1][0].text) == ("电费", "0012")


def test_too_many_rows_are_refused_with_the_limit_in_words():
    with pytest.raises(FileRefusedError, match="20000 行"):
        read_sheets(b"a\n" * 20_001, "长.csv")
    with pytest.raises(FileRefusedError, match="20 行"):
        read_sheets(made_by_excel([["甲"]] * 21), "长.xlsx", Limits(rows=20))


_CELLS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=12
).map(lambda text: text.strip(" \t\r\n\u00a0\u3000\u200b\u200c\u200d\ufeff"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(_CELLS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_any_text_survives_excel(rows):
    padded = [["x", *row, "x"] for row in rows]
    assert texts(made_by_excel(padded)) == padded
