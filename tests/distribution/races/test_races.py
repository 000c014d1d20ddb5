"""Several workers at once: exactly one run, one vote, one batch."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from distribution.approval.runs import submit
from distribution.approval.tables import RunRow, VoteRow
from distribution.approval.voting.votes import Ballot, vote
from distribution.disbursing import ready_payouts, send_batch
from distribution.ledger.tables import JournalRow
from distribution.payout.payouts import BatchOrder
from distribution.payout.tables import PayoutAttemptRow
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from store.db import open_database
from store.problem import ProblemsError

FIRST = "520499101201"
NOW = datetime(2026, 11, 17, 2, 0, tzinfo=UTC)
WORKERS = 4


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request):
    return request.getfixturevalue("county" if request.param == "sqlite" else "county_postgres")


def at_once(work):
    """Run `work(number)` in several threads that start together; returns results, or their exceptions."""
    barrier = Barrier(WORKERS)

    def one(number):
        barrier.wait()
        try:
            return work(number)
        except (ProblemsError, DBAPIError) as error:
            return error

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, range(WORKERS)))


def count(county, table):
    with county.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def own(county):
    url = county.database.engine.url.render_as_string(hide_password=False)
    return open_database(url)


def test_four_closers_make_one_run_and_one_set_of_entries(both):
    both.october()
    both.cost()

    def close(_number):
        from distribution.closing.month import close_month

        database = own(both)
        try:
            return close_month(database, None, SYSTEM, "2026-10", NOW)
        finally:
            database.close()

    reports = at_once(close)
    assert len({str(report) for report in reports}) == 1, reports
    assert count(both, RunRow) == 2
    entries = count(both, JournalRow)
    both.close(now=NOW)
    assert count(both, JournalRow) == entries
    with both.database.reading() as session:
        assert verify(session) == []


def test_a_double_click_of_two_browsers_is_one_vote(both):
    both.october()
    both.close(now=NOW)
    run = both.run()
    voter = Actor("u_2", "村干部二", Role.VILLAGE, FIRST)
    with both.database.transaction() as session:
        submit(session, Actor("u_1", "村干部一", Role.VILLAGE, FIRST), run.id, run.content_hash, NOW)

    def click(_number):
        with both.database.transaction() as session:
            return vote(session, voter, run.id, Ballot(run.content_hash), NOW).state

    assert set(at_once(click)) == {"village_agreed"}
    assert count(both, VoteRow) == 1


def test_four_exports_at_once_send_each_payment_once(both):
    both.october()
    both.close(now=NOW)
    both.to_notice()
    both.close(now=datetime(2026, 11, 25, 2, 0, tzinfo=UTC))
    both.approve()
    both.close(now=datetime(2026, 11, 25, 2, 0, tzinfo=UTC))
    both.remit(FIRST, 773300, date(2026, 11, 26))
    both.close(now=datetime(2026, 11, 26, 2, 0, tzinfo=UTC))
    finance = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
    with both.database.reading() as session:
        chosen = tuple(one.id for one in ready_payouts(session, finance, book=FIRST))
    moment = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)

    def export(_number):
        with both.database.transaction() as session:
            return send_batch(session, finance, both.ring, BatchOrder(chosen), moment)[0].number

    results = at_once(export)
    assert sum(isinstance(one, str) for one in results) == 1, results
    assert count(both, PayoutAttemptRow) == len(chosen)
