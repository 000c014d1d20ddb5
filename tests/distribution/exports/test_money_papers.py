import csv
import io
from datetime import date

import pypdf
import pytest
from python_calamine import CalamineWorkbook

from distribution.exports.money_papers import MONEY_KINDS, MoneyPaper, money_paper
from distribution.exports.papers import paper_csv, paper_pdf, paper_xlsx
from distribution.ledger.balances import balances
from distribution.ledger.journal import journals
from distribution.money import yuan
from distribution.payout.payouts import PayoutFilter, payouts
from distribution.statement.village import village_statement
from registry.actors import SYSTEM, Actor, Role

FIRST, SECOND = "520499101201", "520499101202"
OCTOBER = "2026-10"


@pytest.fixture
def paid(booked):
    booked.remit(FIRST, 500000, date(2026, 11, 26))
    booked.close()
    booked.batch()
    return booked


def paper_of(county, kind, month=OCTOBER, village="", actor=SYSTEM):
    with county.database.reading() as session:
        return money_paper(session, actor, MoneyPaper(kind, month, village))


@pytest.mark.parametrize("kind", [one.name for one in MONEY_KINDS])
def test_every_form_of_a_paper_has_the_same_figures(paid, kind):
    made = paper_of(paid, kind, "2026-11" if kind in {"ledger", "flow"} else OCTOBER, FIRST)
    assert made.sheet.rows
    read = CalamineWorkbook.from_filelike(io.BytesIO(paper_xlsx(made))).get_sheet_by_index(0).to_python()
    table = list(csv.reader(io.StringIO(paper_csv(made).decode("utf-8-sig"))))
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(paper_pdf(made))).pages)
    text = text.replace("\n", "").replace(" ", "")
    for place, column in enumerate(made.sheet.columns):
        if column.kind == "money":
            amounts = [row[place] for row in made.sheet.rows if row[place] is not None]
            assert [round(row[place] * 100) for row in read if len(row) > place and _is_amount(row, place)][
                : len(amounts)
            ] == amounts
            for amount in amounts:
                assert yuan(amount).replace("-", "") in text.replace("−", "-")
                assert any(
                    yuan(amount).replace(",", "") in row[place].replace(",", "")
                    for row in table
                    if len(row) > place
                )
    assert made.fingerprint in text


def _is_amount(row, place):
    return isinstance(row[place], float)


def test_a_sub_ledger_holds_every_leg_of_the_month_and_balances(paid):
    made = paper_of(paid, "ledger", "2026-11", FIRST)
    with paid.database.reading() as session:
        legs = [
            leg for one in journals(session, SYSTEM, book=FIRST, period="2026-11") for leg in one.postings
        ]
    assert len(made.sheet.rows) == len(legs) > 0
    assert (
        made.sheet.total[5]
        == made.sheet.total[6]
        == sum(leg.amount_fen for leg in legs if leg.amount_fen > 0)
    )
    assert "张小一" in {row[4] for row in made.sheet.rows}


def test_the_county_passes_on_what_it_took_in_and_shows_what_is_left(paid):
    before, now = (paper_of(paid, "flow", month) for month in (OCTOBER, "2026-11"))
    assert before.sheet.rows == []
    first = next(row for row in now.sheet.rows if row[0] == FIRST)
    with paid.database.reading() as session:
        due = balances(session, SYSTEM, accounts=("due_to_village",), holders=(FIRST,))
        bank = balances(session, SYSTEM, book=FIRST, accounts=("bank",))
    assert first[2:] == (0, 773300, 500000, 273300, sum(one.amount_fen for one in bank))
    assert -sum(one.amount_fen for one in due) == first[5]


def test_the_ratio_sheet_has_every_test_of_the_runs(paid):
    made = paper_of(paid, "ratios")
    with paid.database.reading() as session:
        tests = village_statement(session, SYSTEM, FIRST, OCTOBER).tests
    mine = [row for row in made.sheet.rows if row[0] == "上坪村"]
    assert len(mine) == len(tests) > 0
    assert {row[7] for row in mine} <= {"达到", "没有达到"}


def test_wages_stand_person_by_person_with_their_payment(paid):
    (wage,) = [row for row in paper_of(paid, "wages").sheet.rows if row[0] == "上坪村"]
    assert wage[2] == "张小一"
    assert wage[4:8] == ("保洁", "600.00 元 × 1 月 = 600.00 元", 60000, "银行处理中")


def test_the_township_adds_up_its_villages(paid):
    made = paper_of(paid, "township")
    with paid.database.reading() as session:
        sheets = [village_statement(session, SYSTEM, village, OCTOBER) for village in (FIRST, SECOND)]
        sent = payouts(session, SYSTEM, PayoutFilter(book=FIRST))
    assert made.sheet.total[3] == sum(one.income_fen for one in sheets)
    assert made.sheet.total[6] == sum(one.distributable.amount_fen for one in sheets)
    assert made.sheet.rows[0][8] == sum(one.amount_fen for one in sent)
    assert made.sheet.rows[0][3] - made.sheet.rows[0][4] + made.sheet.rows[0][5] == made.sheet.rows[0][6]


def test_nobody_gets_a_paper_of_another_area(paid):
    stranger = Actor("x", "邻村", Role.VILLAGE, SECOND)
    with pytest.raises(LookupError):
        paper_of(paid, "ledger", OCTOBER, FIRST, stranger)
    assert all(row[0] == SECOND for row in paper_of(paid, "flow", "2026-11", actor=stranger).sheet.rows)
    assert {row[0] for row in paper_of(paid, "township", actor=stranger).sheet.rows} == {"下坪村"}
