import io
import subprocess
import sys
from datetime import date

import openpyxl
import pypdf
import pytest

from distribution.approval.noticing.notices import notice_list, notice_of
from distribution.disbursing import take_return
from distribution.exports.beancount import beancount_text
from distribution.exports.hledger import hledger_text
from distribution.exports.pdf import Letterhead, household_pdf, notice_pdf, statement_pdf
from distribution.exports.sheets import (
    household_xlsx,
    settlement_xlsx,
    statement_csv,
    statement_xlsx,
    station_money_csv,
)
from distribution.money import yuan
from distribution.settlement.reads import settlements
from distribution.statement.household import household_statement
from distribution.statement.station import station_money
from distribution.statement.village import village_statement
from registry.actors import SYSTEM

VILLAGE = "520499101201"


@pytest.fixture
def paid(booked):
    booked.remit(VILLAGE, 773300, date(2026, 11, 26))
    booked.close()
    batch, file = booked.batch()
    rows = ["批内编号,金额,结果"]
    for line in file.content.decode("gb18030").splitlines()[1:-1]:
        parts = line.split("|")
        rows.append(f"{parts[1]},{parts[5]},成功")
    with booked.database.transaction() as session:
        from datetime import UTC, datetime

        from registry.actors import Actor, Role

        finance = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
        moment = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
        take_return(session, finance, ("\n".join(rows).encode(), "回盘.csv"), batch.id, moment)
    return booked


def test_beancount_itself_finds_nothing_wrong(paid, tmp_path):
    path = tmp_path / "books.beancount"
    with paid.database.reading() as session:
        path.write_text(beancount_text(session, SYSTEM), encoding="utf-8")
    checker = f"{sys.prefix}/bin/bean-check"
    checked = subprocess.run([checker, str(path)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    path.write_text(path.read_text(encoding="utf-8").replace("7733.00", "7733.01", 1), encoding="utf-8")
    assert subprocess.run([checker, str(path)], capture_output=True, check=False).returncode != 0


def test_hledger_itself_finds_nothing_wrong(paid, tmp_path):
    path = tmp_path / "books.journal"
    with paid.database.reading() as session:
        path.write_text(hledger_text(session, SYSTEM), encoding="utf-8")
    command = ["hledger", "-f", str(path), "check", "accounts", "commodities"]
    environment = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    checked = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (checked.returncode, checked.stderr) == (0, "")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("= 0.00 CNY", "= 0.01 CNY", 1), encoding="utf-8")
    assert subprocess.run(command, capture_output=True, check=False, env=environment).returncode != 0


def _text(content):
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    return "".join(page.extract_text() for page in pages).replace("\n", "").replace(" ", "")


def test_the_notice_on_paper_is_masked_and_adds_up(booked):
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, VILLAGE, "2026-10")
        notice, content = notice_of(session, SYSTEM, sheet.run.id)
    pdf = notice_pdf(
        content,
        notice,
        Letterhead("上坪村", ("村务监督委员会 0851-00000000",), "https://x.invalid/n", "演示数据"),
    )
    text = _text(pdf)
    assert "关于上坪村光伏电站2026年10月收益分配的公示" in text
    assert "张*一" in text
    assert "张小一" not in text
    assert yuan(content.total_fen) in text
    assert "2026年11月17日至2026年11月23日（7日）" in text
    assert "人民币" in text
    assert pdf == notice_pdf(
        content,
        notice,
        Letterhead("上坪村", ("村务监督委员会 0851-00000000",), "https://x.invalid/n", "演示数据"),
    )


def test_a_draft_notice_can_be_printed_before_it_is_posted(county):
    county.october()
    county.close()
    with county.database.reading() as session:
        run = county.run()
        content = notice_list(session, SYSTEM, run.id)
    assert "张贴后填写" in _text(notice_pdf(content, None, Letterhead("上坪村")))


def test_page_pdf_workbook_and_csv_show_the_same_sums(paid):
    with paid.database.reading() as session:
        sheet = village_statement(session, SYSTEM, VILLAGE, "2026-10")
        own = household_statement(session, SYSTEM, "h_201_1", "2026")
    text = _text(statement_pdf(sheet, Letterhead("上坪村")))
    for amount in (sheet.income_fen, sheet.distributable.amount_fen, sheet.total_fen):
        assert yuan(amount) in text
    workbook = openpyxl.load_workbook(io.BytesIO(statement_xlsx(sheet)))
    values = [cell.value for row in workbook["明细"].iter_rows() for cell in row]
    assert float(yuan(sheet.total_fen).replace(",", "")) in values
    assert str(sheet.total_fen // 100) in statement_csv(sheet).decode("utf-8-sig").replace(",", "")
    assert yuan(own.total_fen) in _text(household_pdf(own, Letterhead("上坪村")))
    assert household_xlsx(own).startswith(b"PK")


def test_the_reconciliation_sheet_lists_each_tariff_line(booked):
    with booked.database.reading() as session:
        bills = settlements(session, SYSTEM, month="2026-10")
        months = station_money(session, SYSTEM, "s1")
    workbook = openpyxl.load_workbook(io.BytesIO(settlement_xlsx(bills, {"s1": "上坪村电站"})))
    values = [cell.value for row in workbook["结算单"].iter_rows() for cell in row]
    assert "0001" in values
    assert 14763 in values
    assert "待到账" in station_money_csv("上坪村电站", months).decode("utf-8-sig")
