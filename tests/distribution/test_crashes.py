"""The process dies at some SQL statement: nothing is half done, and doing it again gives the same end."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import event

from distribution.disbursing import take_return
from distribution.ledger.journal import head
from distribution.verification import verify
from registry.actors import Actor, Role

FIRST = "520499101201"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PAY = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
EVERY = 9


class PowerCutError(RuntimeError):
    """Raised in the middle of a transaction, where the process would have died."""


class Fuse:
    """Counts the SQL statements of a database and cuts the power at one of them."""

    def __init__(self, database):
        self.count, self.at = 0, None
        event.listen(database.engine, "before_cursor_execute", self)

    def __call__(self, *_arguments):
        self.count += 1
        if self.at is not None and self.count >= self.at:
            self.at = None
            raise PowerCutError

    def arm(self, statement):
        self.count, self.at = 0, statement


def compute(county):
    county.close(now=NOW)


def book(county):
    county.close(now=NOW)
    county.approve()
    county.close(now=NOW)


def pay(county):
    county.batch()


def answer(county):
    with county.database.transaction() as session:
        take_return(session, FINANCE, county.answer, county.sent.id, PAY)


def prepared(county, work):
    """Bring a county to the moment before `work`."""
    county.october()
    county.cost()
    if work is compute:
        return county
    county.close(now=NOW)
    county.to_notice()
    if work is book:
        return county
    book(county)
    county.remit(FIRST, 773300, date(2026, 11, 26))
    county.close(now=PAY)
    if work is answer:
        county.sent, file = county.batch()
        rows = [line.split("|") for line in file.content.decode("gb18030").splitlines()[1:-1]]
        text = "批内编号,金额,结果\n" + "\n".join(f"{row[1]},{row[5]},成功" for row in rows)
        county.answer = (text.encode(), "回盘.csv")
    return county


def end_of(county):
    with county.database.reading() as session:
        assert verify(session) == []
        run = county.run()
        return run.state, run.content_hash, head(session, FIRST).seq


@pytest.mark.parametrize("work", [compute, book, pay, answer])
def test_a_power_cut_at_any_statement_leaves_nothing_half_done(county_maker, work):
    whole = prepared(county_maker(), work)
    fuse = Fuse(whole.database)
    work(whole)
    statements, expected = fuse.count, end_of(whole)
    whole.database.close()
    for at in range(1, statements, max(EVERY, statements // 12)):
        county = prepared(county_maker(), work)
        fuse = Fuse(county.database)
        fuse.arm(at)
        with pytest.raises(PowerCutError):
            work(county)
        with county.database.reading() as session:
            assert verify(session) == []
        if work is book:
            county.close(now=NOW)
            if county.run().state == "notice_closed":
                county.approve()
            county.close(now=NOW)
        else:
            work(county)
        assert end_of(county) == expected
        county.database.close()
