"""Random months of random villages: page, Excel, CSV, PDF and ledger show the same figures, to the fen.

A hundred village months always, 10 000 with SUNLEDGER_SOAK (`make soak`).
"""

import csv
import html
import io
import os
import random
import re
import shutil
import sqlite3
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pypdf
import pytest
from python_calamine import CalamineWorkbook

from api.app import create_app
from api.schema import all_tables
from dashboards.web import Services
from distribution.approval.noticing.notices import NoticeTerms, open_notice
from distribution.approval.runs import submit
from distribution.approval.voting.votes import Ballot, vote
from distribution.disbursing import ready_payouts, send_batch
from distribution.exports.pdf import Letterhead, statement_pdf
from distribution.exports.sheets import statement_csv, statement_xlsx
from distribution.ledger.balances import balances
from distribution.ledger.journal import head, journals
from distribution.money import parse_yuan
from distribution.payout.payouts import BatchOrder
from distribution.settlement.receivables.remittances import RemittanceFact, record_remittance
from distribution.statement.village import village_statement
from registry.actors import SYSTEM, Actor, Role
from registry.enrolment import Enrolment, enrol
from registry.households import Household, NewPayeeAccount, add_household, add_payee_account
from registry.users import LoginPolicy, NewUser, create_user, open_session
from store.db import Base, open_database
from tests.dashboards.conftest import Browser
from tests.distribution.conftest import COUNTY, FINANCE, FIRST, SECOND, START, TOWN, County, build, clerk

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
WORLDS = 500 if SOAK else int(os.environ.get("W", "5"))
MONTHS = tuple(f"2026-{number:02d}" for number in range(1, 11))
SEED = 20261125
LATER = datetime(2026, 12, 5, tzinfo=UTC)
LONG = timedelta(days=900)
NAMES = "赵钱孙李周吴郑王㐱䶮欧阳"
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A county before its first bill with an auditor signed in, as a file; its keys; his cookie."""
    all_tables()
    path = tmp_path_factory.mktemp("months") / "base.sqlite3"
    database = open_database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    ring = build(database).ring
    with database.transaction() as session:
        create_user(session, COUNTY, NewUser("auditor", "郑洁", Role.AUDITOR, COUNTY.area), LATER, "x")
        connection = session.connection()
        connection.exec_driver_sql('UPDATE "user" SET must_change_password = 0')
        found = connection.exec_driver_sql("SELECT id FROM \"user\" WHERE login = 'auditor'").scalar()
        reader = Actor(found, "郑洁", Role.AUDITOR, COUNTY.area)
        token = open_session(session, reader, LATER, LoginPolicy(absolute=LONG)).token
    database.close()
    with sqlite3.connect(path) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path, ring, token


class World:
    """One county with random families, bills, receipts and costs, month after month."""

    def __init__(self, path, ring, draw):
        self.draw, self.readings = draw, Counter()
        self.county = County(open_database(f"sqlite:///{path}"), ring)
        with self.county.database.transaction() as session:
            for village, taken in ((FIRST, 3), (SECOND, 4)):
                for number in range(taken + 1, taken + draw.randint(1, 5)):
                    self._family(session, village, number)

    def _family(self, session, village, number):
        household = f"h_{village[-3:]}_{number}"
        name = "".join(self.draw.choices(NAMES, k=self.draw.randint(2, 4)))
        lives = Household(household, village, str(number), name, date(2020, 1, 1), f"{number}组")
        add_household(session, COUNTY, lives, START)
        account = NewPayeeAccount(
            household, name, "农商行", f"6228{number:04d}{household[2:5]}", date(2020, 1, 1)
        )
        add_payee_account(session, COUNTY, self.county.ring, account, START)
        weight = self.draw.randint(1, 9)
        enrol(
            session,
            COUNTY,
            Enrolment(household, village, "households", date(2020, 1, 1), weight=weight, document="村决"),
            START,
        )

    def live(self, month):
        """Bill, receive, spend and close a month; most villages go on to booking, some to the bank."""
        draw, year_month = self.draw, datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        middle = (year_month + timedelta(days=45)).replace(day=16, hour=2)
        for number, meter in ((1, "M1"), (2, "M2")):
            self._bill(month, number, meter, middle.date())
        if draw.random() < 0.7:
            self.county.cost(amount_fen=draw.randint(1, 90_000), month=month, voucher=f"发票 {month}")
        self.county.close(month, middle)
        chosen = [village for village in (FIRST, SECOND) if draw.random() < 0.7]
        if chosen:
            self._book([self.county.run(village, month) for village in chosen], middle)
        for village in chosen[: draw.randint(0, 1)]:
            self._pay(village, middle + timedelta(days=12))

    def _bill(self, month, number, meter, on):
        energy = self.draw.randint(1, 40_000) // (100, 1)[number == 1] * (100, 1)[number == 1] or 100
        fee, extra = ((energy * price + 50) // 100 for price in (3515, 4985))
        factor = (1, 100)[number - 1]
        before = self.readings[number]
        after = self.readings[number] = before + energy // factor
        row = f"000{number},{month},{meter},{factor},{before},{after},{energy},0.3515,{yuan_of(fee)}"
        bill = self.county.statement([f"{row},0.4985,{yuan_of(extra)}"], name=f"{month}-{number}.csv")
        assert bill.added, (bill.problems, bill.warnings)
        rows = [f"000{number},电费,{month},{yuan_of(fee)},{on},E{month}{number}"]
        if self.draw.random() < 0.4:
            part = self.draw.randint(1, extra)
            rows.append(f"000{number},财政补贴,{month},{yuan_of(part)},{on},S{month}{number}")
        assert not self.county.receipts(rows, name=f"到账{month}-{number}.csv").problems

    def _book(self, runs, middle):
        posted, decided = middle + timedelta(days=1), middle + timedelta(days=12)
        for run in runs:
            post_notice(self.county, run, posted)
        self.county.close(runs[0].period, decided)
        for run in runs:
            approve(self.county, run, decided)
        self.county.close(runs[0].period, decided)

    def _pay(self, village, now):
        with self.county.database.transaction() as session:
            due = sum(
                one.amount_fen
                for one in balances(session, SYSTEM, book=village, accounts=("due_from_county",))
            )
            if due > 0:
                fact = RemittanceFact(village, due, now.date(), f"R{village}{now:%Y%m}")
                record_remittance(session, FINANCE, fact, now)
        self.county.close(f"{now:%Y-%m}", now)
        with self.county.database.transaction() as session:
            chosen = tuple(one.id for one in ready_payouts(session, FINANCE, book=village))
            if chosen:
                send_batch(session, FINANCE, self.county.ring, BatchOrder(chosen), now)


def post_notice(county, run, now):
    with county.database.transaction() as session:
        submit(session, clerk(run.book, 1), run.id, run.content_hash, now)
        vote(session, clerk(run.book, 2), run.id, Ballot(run.content_hash, evidence=("e" * 64,)), now)
        end = head(session, run.book)
        terms = NoticeTerms(run.content_hash, ("a" * 64,), 7, False, end.seq, end.hash)
        open_notice(session, clerk(run.book, 1), run.id, terms, now)


def approve(county, run, now):
    with county.database.transaction() as session:
        vote(session, TOWN, run.id, Ballot(run.content_hash), now)
        vote(session, COUNTY, run.id, Ballot(run.content_hash), now)


def yuan_of(fen):
    return f"{fen // 100}.{fen % 100:02d}"


MONEY = re.compile(r"[−-]?\d[\d,]*\.\d\d")


def fen(text):
    return parse_yuan(text.replace("−", "-").replace(",", ""))


def rows_of(page):
    """Return the cells of each row of a page, as text."""
    for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        yield [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells]


def on_page(page):
    rows = [row for row in rows_of(page) if row and row[0].isdigit()]
    lines = [(row[2], row[3], fen(row[4])) for row in rows]
    sums = re.findall(r'class="term-amount">(.*?)</span>', page, re.DOTALL)
    terms = [fen(MONEY.search(re.sub(r"<[^>]+>", "", part))[0]) for part in sums]
    grand = re.search(r'class="grand".*?class="amount">(.*?)元', page, re.DOTALL)[1]
    return lines, terms, fen(MONEY.search(grand)[0])


def in_workbook(content):
    book_ = CalamineWorkbook.from_filelike(io.BytesIO(content))
    details = book_.get_sheet_by_name("明细").to_python()
    lines = [(row[2], row[3], round(row[5] * 100)) for row in details if isinstance(row[0], float)]
    summary = book_.get_sheet_by_name("收支").to_python()
    amounts = [round(row[1] * 100) for row in summary if len(row) > 1 and isinstance(row[1], float)]
    return lines, amounts[:-1], amounts[-1]


def in_csv(content):
    rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) if row]
    lines = [(row[2], row[3], fen(row[5])) for row in rows if row[0].isdigit()]
    return lines, fen(next(row[5] for row in rows if "合计" in row))


def on_paper(content):
    """Return the amounts on paper in their order: the sum's, the lines', the total."""
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    text = "\n".join(page.extract_text() for page in pages)
    return [fen(found) for found in MONEY.findall(text)]


def compare(found, page):
    """Return what differs between the statement, its page and its files."""
    expected = [(one.name, one.item, one.amount_fen) for one in found.lines]
    income, spent = found.income_fen, [one.amount_fen for one in found.deductions]
    lines, terms, grand = on_page(page)
    differences = []
    if lines != expected or grand != found.total_fen or terms[-1] != found.distributable.amount_fen:
        differences.append("page")
    if sum(terms[:-1]) - 2 * sum(spent) != terms[-1] or terms[0] > income:
        differences.append("terms")
    xlsx, amounts, whole = in_workbook(statement_xlsx(found))
    purses = [one.amount_fen for one in found.purses]
    if xlsx != expected or whole != found.total_fen or amounts[len(amounts) - len(purses) :] != purses:
        differences.append("xlsx")
    if in_csv(statement_csv(found)) != (expected, found.total_fen):
        differences.append("csv")
    paper = Counter(on_paper(statement_pdf(found, Letterhead(found.village_name))))
    wanted = Counter([one[2] for one in expected]) + Counter(
        [*purses, found.total_fen, found.distributable.amount_fen]
    )
    if wanted - paper:
        differences.append("pdf")
    return differences


def in_ledger(session, found):
    """Return by hand what the ledger gave to each line of a booked run."""
    given = Counter()
    for entry in journals(session, SYSTEM, book=found.village_code, sources=(found.run.id,)):
        for leg in entry.postings:
            if leg.line_no is not None:
                given[leg.line_no] -= leg.amount_fen
    return given


def test_page_excel_csv_pdf_and_ledger_agree(base, tmp_path, loop):
    path, ring, token = base
    draw = random.Random(SEED)
    seen, wrong = Counter(), []
    for number in range(WORLDS):
        copy = tmp_path / f"{number}.sqlite3"
        shutil.copyfile(path, copy)
        world = World(copy, ring, draw)
        for month in MONTHS:
            world.live(month)
        database = world.county.database
        services = Services(database, None, lambda: LATER, tmp_path, session_idle=LONG, session_lifetime=LONG)
        browser = Browser(create_app(services), loop)
        browser.cookies.set("sunledger", token)
        for month in MONTHS:
            for village in (FIRST, SECOND):
                answer = browser.get(f"/villages/{village}/statements/{month}")
                assert answer.status_code == 200, answer.headers
                with database.reading() as session:
                    found = village_statement(session, SYSTEM, village, month)
                    given = in_ledger(session, found)
                differences = compare(found, answer.text)
                lines = {one.line_no: one.amount_fen for one in found.lines}
                if found.difference_fen or (found.is_booked and +given != lines):
                    differences.append("ledger")
                seen["booked" if found.is_booked else "computed"] += 1
                seen["lines"] += len(found.lines)
                if differences:
                    wrong.append((number, village, month, differences))
        database.close()
        for left in tmp_path.glob(f"{number}.sqlite3*"):
            left.unlink()
    print(f"\n{WORLDS * len(MONTHS) * 2} village months, seed {SEED}: {dict(seen)}, {len(wrong)} differ")
    assert wrong == []
    assert seen["booked"] > WORLDS
