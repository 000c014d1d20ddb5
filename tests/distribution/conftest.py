"""A small made-up county through which the rooms of distribution are proved."""

import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from distribution.approval.noticing.notices import NoticeTerms, open_notice
from distribution.approval.runs import live_run, submit
from distribution.approval.voting.votes import Ballot, vote
from distribution.closing.month import close_month
from distribution.disbursing import ready_payouts, send_batch
from distribution.ledger.journal import head
from distribution.payout.payouts import BatchOrder
from distribution.plans.tables import publish
from distribution.settlement.columns import load_layout
from distribution.settlement.imports import import_statement
from distribution.settlement.receipts import import_receipts
from distribution.settlement.receivables.remittances import RemittanceFact, record_remittance
from distribution.settlement.spending.costs import CostFact, record_cost
from distribution.settlement.statements import read_statement
from registry.actors import SYSTEM, Actor, Role
from registry.divisions import Division, add_division
from registry.enrolment import Attendance, Enrolment, Post, add_post, enrol, record_attendance
from registry.households import Household, NewPayeeAccount, add_household, add_payee_account
from registry.secrets import new_key_ring
from registry.stations import (
    RevenueMeter,
    Station,
    StationShare,
    add_revenue_meter,
    add_station,
    set_shares,
)
from store.db import Base, open_database

COUNTY_CODE = "520499000000"
TOWN_CODE = "520499101000"
FIRST, SECOND = "520499101201", "520499101202"
START = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
COUNTY = Actor("u_county", "县局", Role.COUNTY, COUNTY_CODE)
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, COUNTY_CODE)
TOWN = Actor("u_town", "镇办", Role.TOWNSHIP, TOWN_CODE)
PLAN = Path("distribution/plans/templates/default_county.toml")
HEADING = (
    "户号,结算月份,电表编号,倍率,上次示数,本次示数,上网电量(千瓦时),上网电价(元/千瓦时),上网电费(元),"
    "补贴单价(元/千瓦时),补贴金额(元)"
)
RECEIPT_HEADING = "户号,款项,所属月份,到账金额(元),到账日期,银行流水号"


def clerk(village, number=1):
    return Actor(f"u_{village}_{number}", f"村干部{number}", Role.VILLAGE, village)


@dataclass
class County:
    database: object
    ring: object
    now: datetime = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)

    def statement(self, rows, name="结算单.csv", *, dry_run=False, at=START, actor=FINANCE):
        text = "\n".join([HEADING, *rows]) + "\n"
        read = read_statement(text.encode("utf-8-sig"), name, load_layout("standard"))
        with self.database.transaction() as session:
            return import_statement(session, actor, read, at, dry_run=dry_run)

    def receipts(self, rows, at=START, name="到账.csv"):
        text = "\n".join([RECEIPT_HEADING, *rows]) + "\n"
        layout = load_layout("receipts")
        with self.database.transaction() as session:
            return import_receipts(session, FINANCE, (text.encode(), name, layout), at)

    def cost(self, kind="maintenance", amount_fen=60000, month="2026-10", village=FIRST, voucher="发票 7"):
        fact = CostFact(month, kind, "运维费", amount_fen, date(2026, 10, 12), voucher, village_code=village)
        with self.database.transaction() as session:
            return record_cost(session, FINANCE, fact, START)

    def remit(self, village, amount_fen, on, reference="BO-1"):
        with self.database.transaction() as session:
            return record_remittance(
                session, FINANCE, RemittanceFact(village, amount_fen, on, reference), START
            )

    def close(self, month="2026-10", now=None):
        now = now or datetime(2026, 11, 16, 2, 0, tzinfo=UTC)
        report = close_month(self.database, None, SYSTEM, month, now)
        return {one.village_code: one for one in report.villages}

    def october(self):
        """Import October's bill and the electricity money of both stations."""
        self.statement(
            [
                "0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00",
                "0002,2026-10,M2,100,50,350,30000,0.3515,10545.00,0.4985,14955.00",
            ]
        )
        self.receipts(
            [
                "0001,电费,2026-10,4218.00,2026-11-15,BK001",
                "0002,电费,2026-10,10545.00,2026-11-15,BK002",
            ]
        )

    def run(self, village=FIRST, month="2026-10"):
        with self.database.reading() as session:
            return live_run(session, village, month)

    def to_notice(self, village=FIRST, now=datetime(2026, 11, 17, 2, 0, tzinfo=UTC)):
        run = self.run(village)
        with self.database.transaction() as session:
            submit(session, clerk(village, 1), run.id, run.content_hash, now)
            vote(session, clerk(village, 2), run.id, Ballot(run.content_hash, evidence=("e" * 64,)), now)
            end = head(session, village)
            terms = NoticeTerms(run.content_hash, ("a" * 64,), 7, False, end.seq, end.hash)
            return open_notice(session, clerk(village, 1), run.id, terms, now)

    def approve(self, village=FIRST, now=datetime(2026, 11, 25, 2, 0, tzinfo=UTC)):
        run = self.run(village)
        with self.database.transaction() as session:
            vote(session, TOWN, run.id, Ballot(run.content_hash), now)
            vote(session, COUNTY, run.id, Ballot(run.content_hash), now)

    def batch(self, village=FIRST, now=datetime(2026, 11, 27, 2, 0, tzinfo=UTC), template="standard"):
        with self.database.transaction() as session:
            chosen = tuple(one.id for one in ready_payouts(session, FINANCE, book=village))
            return send_batch(session, FINANCE, self.ring, BatchOrder(chosen, template), now)


def build(database):
    ring = new_key_ring()
    with database.transaction() as session:
        for code, name, level, parent in (
            (COUNTY_CODE, "云山县", "county", ""),
            (TOWN_CODE, "云山镇", "township", COUNTY_CODE),
            (FIRST, "上坪村", "village", TOWN_CODE),
            (SECOND, "下坪村", "village", TOWN_CODE),
        ):
            division = Division(f"d_{code}", code, name, level, parent, date(2020, 1, 1))
            add_division(session, Actor("setup", "初始化", Role.COUNTY), division, START)
        _stations(session)
        for village, count in ((FIRST, 3), (SECOND, 4)):
            for number in range(1, count + 1):
                _household(session, ring, village, number)
        publish(session, COUNTY, PLAN.read_text(encoding="utf-8"), START)
    return County(database, ring)


def _stations(session):
    for number, (village, name, power) in enumerate(
        ((FIRST, "上坪村电站", 100_000), (FIRST, "联村电站", 300_000)), start=1
    ):
        station = Station(
            f"s{number}",
            name,
            "joint" if number == 2 else "village",
            village,
            power,
            26.0,
            106.0,
            account_number=f"000{number}",
        )
        add_station(session, COUNTY, station, START)
        meter = RevenueMeter(f"m{number}", station.id, f"M{number}", (1, 100)[number - 1], date(2020, 1, 1))
        add_revenue_meter(session, COUNTY, meter, START)
    parts = [
        StationShare("s2", village, weight, date(2020, 1, 1)) for village, weight in ((FIRST, 1), (SECOND, 2))
    ]
    set_shares(session, COUNTY, "s2", parts, START)


def _household(session, ring, village, number):
    household = f"h_{village[-3:]}_{number}"
    add_household(
        session,
        COUNTY,
        Household(
            household, village, str(number), f"张小{'一二三四五六'[number - 1]}", date(2020, 1, 1), "一组"
        ),
        START,
    )
    account = f"62170000{village[-3:]}{number:08d}"
    payee = NewPayeeAccount(household, f"张小{number}", "农商行", account, date(2020, 1, 1))
    add_payee_account(session, COUNTY, ring, payee, START)
    enrolment = Enrolment(
        household, village, "households", date(2020, 1, 1), weight=number, document="村决〔2020〕1号"
    )
    enrol(session, COUNTY, enrolment, START)
    if number == 1:
        post = Post(f"p_{household}", village, household, "保洁", 60_000, date(2020, 1, 1), document="聘书")
        add_post(session, COUNTY, post, START)
        attendance = Attendance(post.id, "2026-10", Decimal(1), document="考勤 10 月")
        record_attendance(session, COUNTY, [attendance], START + timedelta(days=1))


LATER = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)


def book_october(made):
    made.october()
    made.cost()
    made.close()
    made.to_notice()
    made.close(now=LATER)
    made.approve()
    made.close(now=LATER)
    return made


def _prepare(path, steps):
    """Make a county in a file of its own and close it, so that tests may copy it."""
    opened = open_database(f"sqlite:///{path}")
    Base.metadata.create_all(opened.engine)
    ring = steps(build(opened)).ring
    with opened.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.close()
    return path, ring


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A county before its first bill, and one whose first village has October posted, as files."""
    folder = tmp_path_factory.mktemp("county")
    return {
        "fresh": _prepare(folder / "fresh.sqlite3", lambda made: made),
        "booked": _prepare(folder / "booked.sqlite3", book_october),
    }


@pytest.fixture
def county_maker(prepared, tmp_path):
    """Make county after county, each on a copy of a prepared file; all are closed at the end."""
    opened = []

    def make(name="fresh"):
        source, ring = prepared[name]
        copy = tmp_path / f"county{len(opened)}.sqlite3"
        shutil.copyfile(source, copy)
        opened.append(open_database(f"sqlite:///{copy}"))
        return County(opened[-1], ring)

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def county(county_maker):
    return county_maker()


@pytest.fixture
def booked(county_maker):
    """The county with the first village's October posted."""
    return county_maker("booked")


@pytest.fixture
def county_postgres(postgres):
    return build(postgres)


@pytest.fixture
def booked_postgres(county_postgres):
    return book_october(county_postgres)
