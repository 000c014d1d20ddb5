"""Random histories of batches, lost and doubled files and late answers against a bank that we play.

Fifty always, 1 000 over 100 000 lines with SUNLEDGER_SOAK (`make soak`). The bank below reads our files
itself and keeps its own count of what it paid; it shares no code with what it judges.
"""

import os
import random
import shutil
import sqlite3
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from distribution.disbursing import ready_payouts, send_batch, take_return
from distribution.ledger.balances import balances
from distribution.payout.batches import export_again
from distribution.payout.payouts import BatchOrder, PayoutFilter, payouts
from distribution.verification import verify
from registry.actors import SYSTEM
from registry.enrolment import Enrolment, enrol
from registry.households import (
    Household,
    NewPayeeAccount,
    add_household,
    add_payee_account,
    payee_accounts,
    withdraw_account,
)
from store.db import Base, open_database
from store.problem import ProblemsError
from tests.distribution.conftest import COUNTY, FINANCE, FIRST, START, County, build

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
HISTORIES = 1_000 if SOAK else 50
HOUSEHOLDS = 100 if SOAK else 12
SEED = 20261125
PAID = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
pytestmark = pytest.mark.soak


def family(session, ring, number):
    household = f"h_201_{number}"
    lives = Household(household, FIRST, str(number), f"李{number}", date(2020, 1, 1), "二组")
    add_household(session, COUNTY, lives, START)
    account = f"62280000201{number:08d}"
    payee = NewPayeeAccount(household, f"李{number}", "农商行", account, date(2020, 1, 1))
    add_payee_account(session, COUNTY, ring, payee, START)
    part = Enrolment(household, FIRST, "households", date(2020, 1, 1), weight=1, document="村决〔2020〕1号")
    enrol(session, COUNTY, part, START)


@pytest.fixture(scope="module")
def funded(tmp_path_factory):
    """A village whose October is posted and whose money is in its account, as a file."""
    path = tmp_path_factory.mktemp("bank") / "funded.sqlite3"
    database = open_database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    made = build(database)
    with database.transaction() as session:
        for number in range(4, HOUSEHOLDS + 1):
            family(session, made.ring, number)
    county = County(database, made.ring)
    county.october()
    county.cost()
    county.close()
    county.to_notice()
    county.close(now=datetime(2026, 11, 26, 2, 0, tzinfo=UTC))
    county.approve()
    county.close(now=datetime(2026, 11, 26, 2, 0, tzinfo=UTC))
    county.remit(FIRST, 773300, date(2026, 11, 26))
    county.close(now=PAID)
    database.close()
    with sqlite3.connect(path) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path, made.ring


class Bank:
    """A bank: pays each line of a batch number once, answers when it likes, and takes some money back."""

    def __init__(self, draw):
        self.draw, self.batches, self.paid, self.fates = draw, {}, Counter(), {}

    def receive(self, content):
        """Take a file in; a number that was here before is refused, so a file twice pays nothing twice."""
        heading, *lines, trailer = content.decode("gb18030").split("\r\n")[:-1]
        assert heading.startswith("序号|")
        rows = [line.split("|") for line in lines]
        _count, total, number, _day = trailer.split("|")
        assert trailer.startswith(f"合计{len(rows)}笔|")
        assert round(sum(float(row[5]) for row in rows), 2) == float(total)
        if number in self.batches:
            return
        self.batches[number] = {row[1]: row for row in rows}
        for row in rows:
            fate = self.draw.choices(["成功", "失败", "处理中", "退回"], [6, 2, 1, 1])[0]
            self.fates[row[1]] = fate
            self.paid[row[3]] += fen(row) if fate == "成功" else 0

    def move_on(self):
        """What hung is decided, and some money comes back from closed accounts."""
        for rows in self.batches.values():
            for reference, row in rows.items():
                if self.fates[reference] == "处理中" and self.draw.random() < 0.6:
                    self.fates[reference] = self.draw.choice(["成功", "失败"])
                    self.paid[row[3]] += fen(row) if self.fates[reference] == "成功" else 0
                elif self.fates[reference] == "成功" and self.draw.random() < 0.02:
                    self.fates[reference] = "退回"
                    self.paid[row[3]] -= fen(row)

    def answer(self, number, part=1.0):
        """Return an answer with some of a batch's lines in any order, and a line that nobody sent."""
        rows = [
            f"{reference},{row[5]},{self.fates[reference]}"
            for reference, row in self.batches[number].items()
            if self.draw.random() <= part
        ]
        rows.append(f"{self.draw.randrange(16**20):020X},1.00,成功")
        self.draw.shuffle(rows)
        return "\n".join(["批内编号,金额,结果", *rows]).encode(), f"{number}.csv"


def fen(row):
    whole, _, part = row[5].partition(".")
    return int(whole) * 100 + int(part)


class Office:
    """The finance office: sends, loses, sends twice, imports twice, and sends again what came back."""

    def __init__(self, county, draw, now):
        self.county, self.draw, self.now, self.bank, self.sent = county, draw, now, Bank(draw), {}

    def export(self):
        with self.county.database.transaction() as session:
            ready = [one.id for one in ready_payouts(session, FINANCE, book=FIRST)]
            chosen = self.draw.sample(ready, self.draw.randint(len(ready) // 2, len(ready)))
            if chosen:
                self.send(session, chosen)

    def send(self, session, chosen):
        batch, file = send_batch(session, FINANCE, self.county.ring, BatchOrder(tuple(chosen)), self.now)
        self.sent[batch.number] = (batch.id, file.content)

    def hand_over(self):
        for _id, content in (
            self.draw.sample(list(self.sent.values()), len(self.sent) // 2 + 1) if self.sent else ()
        ):
            self.bank.receive(content)

    def lose_and_hand_over(self):
        """Make a lost file again after some household's account changed; it is the same file."""
        if self.sent:
            self.change_an_account()
            batch_id, content = self.draw.choice(list(self.sent.values()))
            with self.county.database.transaction() as session:
                again = export_again(session, FINANCE, self.county.ring, batch_id, self.now).content
            assert again == content
            self.bank.receive(again)

    def change_an_account(self):
        household = f"h_201_{self.draw.randint(4, HOUSEHOLDS)}"
        with self.county.database.transaction() as session:
            for old in payee_accounts(session, COUNTY, household):
                withdraw_account(session, COUNTY, old.id, self.now)
            number = f"6230{self.draw.randrange(10**7):07d}{int(household[6:]):08d}"
            payee = NewPayeeAccount(household, f"李{household[6:]}", "信用社", number, date(2020, 1, 1))
            add_payee_account(session, COUNTY, self.county.ring, payee, self.now)

    def take_answers(self, part=0.7):
        for number in list(self.bank.batches):
            source = self.bank.answer(number, part)
            for _ in range(self.draw.randint(1, 2)):
                self.take(number, source)

    def take(self, number, source):
        batch_id, _content = self.sent[number]
        with self.county.database.transaction() as session:
            result = take_return(session, FINANCE, source, batch_id, self.now)
        assert len(result.problems) == 1

    def mix_answers_up(self):
        numbers = list(self.bank.batches)
        if len(numbers) > 1:
            one, other = self.draw.sample(numbers, 2)
            with pytest.raises(ProblemsError, match=one), self.county.database.transaction() as session:
                take_return(session, FINANCE, self.bank.answer(one), self.sent[other][0], self.now)

    def send_again(self):
        with self.county.database.reading() as session:
            every = payouts(session, FINANCE, PayoutFilter(book=FIRST))
        back = [one.id for one in every if one.state in {"failed", "returned"}]
        alive = [one.id for one in every if one.state in {"sent", "unknown", "succeeded"}]
        if back:
            with self.county.database.transaction() as session:
                self.send(session, self.draw.sample(back, self.draw.randint(1, len(back))))
        if alive:
            wrong = (*back[:1], self.draw.choice(alive))
            with pytest.raises(ProblemsError), self.county.database.transaction() as session:
                self.send(session, wrong)


ACTS = ("export", "hand_over", "lose_and_hand_over", "take_answers", "mix_answers_up", "send_again")


def owed(session):
    return {one.household_id: one for one in payouts(session, SYSTEM, PayoutFilter(book=FIRST))}


def check(office, amounts):
    """Nobody was paid more than he is owed, and every fen of each is in exactly one place."""
    with office.county.database.reading() as session:
        now = owed(session)
        held = balances(session, SYSTEM, book=FIRST)
    paid = Counter()
    for account, amount in office.bank.paid.items():
        paid[f"h_201_{int(account[-8:])}"] += amount
    for household, amount in paid.items():
        assert 0 <= amount <= amounts[household], household
    places = Counter()
    for one in held:
        if one.account in {"payable_household", "payout_clearing", "returned_household"}:
            places[one.holder] -= one.amount_fen
    for household, amount in amounts.items():
        booked = amount if now[household].state == "succeeded" else 0
        assert places[household] + booked == amount, household


def live_through(county, draw):
    office = Office(county, draw, PAID)
    with county.database.reading() as session:
        amounts = {one.household_id: one.amount_fen for one in owed(session).values()}
    for name in ("export", "hand_over", *draw.choices(ACTS, k=5)):
        getattr(office, name)()
        office.bank.move_on()
        office.now += timedelta(hours=draw.randint(1, 30))
    office.take_answers(part=1.0)
    check(office, amounts)
    with county.database.reading() as session:
        assert verify(session) == []
        succeeded = sum(one.amount_fen for one in owed(session).values() if one.state == "succeeded")
    assert succeeded == sum(office.bank.paid.values())
    return len(amounts), sum(len(rows) for rows in office.bank.batches.values())


def test_no_history_pays_anybody_twice(funded, tmp_path):
    path, ring = funded
    draw, lines, tries = random.Random(SEED), 0, 0
    for number in range(HISTORIES):
        copy = tmp_path / f"{number}.sqlite3"
        shutil.copyfile(path, copy)
        database = open_database(f"sqlite:///{copy}")
        owing, tried = live_through(County(database, ring), draw)
        lines, tries = lines + owing, tries + tried
        database.close()
        for left in tmp_path.glob(f"{number}.sqlite3*"):
            left.unlink()
    print(
        f"\n{HISTORIES} histories over {lines} payouts, {tries} lines at the bank, seed {SEED}: 0 paid twice"
    )
