"""Top-ups, corrections and netting in statements, traces, files and books of outsiders."""

import io
import subprocess
import sys

import pypdf
from python_calamine import CalamineWorkbook

from distribution.closing.corrections import compute_top_up
from distribution.exports.beancount import beancount_text
from distribution.exports.hledger import hledger_text
from distribution.exports.pdf import Letterhead, household_pdf, statement_pdf
from distribution.exports.sheets import statement_xlsx
from distribution.ledger.balances import balances
from distribution.statement.household import household_statement
from distribution.statement.village import village_statement
from distribution.tracing import trace_line
from distribution.verification import verify
from registry.actors import SYSTEM
from tests.distribution.test_corrections import FIRST, OPEN, base, book, correct, weight
from tests.distribution.test_corrections import (
    test_an_approved_rule_nets_what_was_overpaid_up_to_its_cap_and_nothing_nets_without_it as november_nets,
)

OCTOBER = "2026-10"


def corrected(county):
    weight(county, "h_201_2", 4)
    return book(county, correct(county, base(county).id))


def text_of(pdf):
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages).replace("\n", "")


def adds_up(own):
    positive = own.total_fen + own.overpaid_fen
    return positive == own.paid_fen + own.owed_fen + own.netted_fen


def test_a_correction_stands_beside_its_month_with_what_is_owed_back(booked):
    with booked.database.reading() as session:
        before = village_statement(session, SYSTEM, FIRST, OCTOBER)
    made = corrected(booked)
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, FIRST, OCTOBER)
        own = household_statement(session, SYSTEM, "h_201_1", OCTOBER)
        way = trace_line(session, SYSTEM, made.id, sheet.further[0].lines[0].line_no)
    assert (sheet.total_fen, sheet.lines, sheet.difference_fen) == (before.total_fen, before.lines, 0)
    (further,) = sheet.further
    assert (further.kind_name, further.is_booked, further.amount_fen) == ("更正", True, 0)
    taken = -sum(line.amount_fen for line in further.lines if line.amount_fen < 0)
    assert sheet.recoverable_fen == taken > 0
    assert own.overpaid_fen == own.recoverable_fen > 0
    assert adds_up(own)
    assert any(line.item.endswith("（更正）") for line in own.lines)
    assert {"line", "rule", "entry"} <= {step.kind for step in way}


def test_the_files_show_a_correction_too(booked):
    corrected(booked)
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, FIRST, OCTOBER)
        own = household_statement(session, SYSTEM, "h_201_1", OCTOBER)
    rows = CalamineWorkbook.from_filelike(io.BytesIO(statement_xlsx(sheet))).get_sheet_by_name("补发和更正")
    shown = [round(row[6] * 100) for row in rows.to_python() if str(row[0]).startswith("更正第")]
    assert shown == [line.amount_fen for line in sheet.further[0].lines]
    head = Letterhead("上坪村")
    assert "另有更正第1版" in text_of(statement_pdf(sheet, head)).replace(" ", "")
    assert "目前待收回" in text_of(household_pdf(own, head))


def test_late_money_stands_beside_its_month(booked):
    booked.receipts(["0001,国家补贴,2026-10,5982.00,2026-12-01,BK100"], at=OPEN)
    booked.close(now=OPEN)
    with booked.database.transaction() as session:
        made = compute_top_up(session, SYSTEM, (FIRST, OCTOBER), OPEN)
    book(booked, made)
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, FIRST, OCTOBER)
        own = household_statement(session, SYSTEM, "h_201_2", OCTOBER)
        way = trace_line(session, SYSTEM, made.id, sheet.further[0].lines[0].line_no)
    assert [one.kind_name for one in sheet.further] == ["补发"]
    assert sheet.further[0].amount_fen == sum(line.amount_fen for line in sheet.further[0].lines) > 0
    assert adds_up(own)
    assert own.overpaid_fen == own.recoverable_fen == 0
    assert {"receipt", "settlement", "reading"} <= {step.kind for step in way}


def test_netted_money_is_no_gap_and_outsiders_find_the_books_whole(booked, tmp_path):
    november_nets(booked)
    with booked.database.reading() as session:
        assert verify(session) == []
        sheet = village_statement(session, SYSTEM, FIRST, "2026-11")
        owed = balances(session, SYSTEM, book=FIRST, accounts=("recoverable_household",))
        for household in ("h_201_1", "h_201_2", "h_201_3"):
            own = household_statement(session, SYSTEM, household, "2026")
            assert adds_up(own)
            held = sum(one.amount_fen for one in owed if one.holder == household)
            assert own.recoverable_fen == own.overpaid_fen - own.netted_fen == held
        (tmp_path / "books.beancount").write_text(beancount_text(session, SYSTEM), encoding="utf-8")
        (tmp_path / "books.journal").write_text(hledger_text(session, SYSTEM), encoding="utf-8")
    assert sheet.difference_fen == 0
    for command in (
        [f"{sys.prefix}/bin/bean-check", str(tmp_path / "books.beancount")],
        ["hledger", "-f", str(tmp_path / "books.journal"), "check", "accounts", "commodities"],
    ):
        environment = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
        checked = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
