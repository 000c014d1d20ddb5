"""Four workers at the same small month and the same vote, over and over: one run, one vote.

Twenty rounds always, 1 000 with SUNLEDGER_SOAK (`make soak`); every second one on PostgreSQL.
"""

import os
from collections import Counter

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.engine import make_url

from distribution.approval.runs import live_run
from distribution.approval.tables import RunRow, VoteRow
from distribution.approval.voting.votes import Ballot, vote
from distribution.closing.month import close_month
from distribution.ledger.tables import JournalRow
from distribution.verification import verify
from registry.actors import SYSTEM
from store.db import Base, open_database
from tests.distribution.conftest import TOWN, build
from tests.distribution.races.test_races import at_once
from tests.distribution.stages import FIRST, MONTH, NOW, live, prepare
from tests.postgres import own_postgres

ROUNDS = 1_000 if os.environ.get("SUNLEDGER_SOAK") else 20
pytestmark = pytest.mark.soak
RUNS_OF_A_CLOSE = 2
"""The county of the tests has two villages."""


class Embedded:
    """Copies of a county in files."""

    def __init__(self, folder):
        self.folder, self.stages = folder, prepare(folder)

    def url(self, stage):
        self.copy = self.stages[stage].copy(self.folder / "round.sqlite3")
        return f"sqlite:///{self.copy.path}"

    def drop(self):
        for one in self.folder.glob("round.sqlite3*"):
            one.unlink()


class Server:
    """Copies of a county's database on a real PostgreSQL server."""

    def __init__(self, url):
        self.address = make_url(url)
        self.admin = create_engine(self.address, isolation_level="AUTOCOMMIT")
        self._do("CREATE DATABASE life")
        database = open_database(self._url("life"))
        Base.metadata.create_all(database.engine)

        def keep(stage, *_needs):
            database.engine.dispose()
            database.close()
            self._do(f"CREATE DATABASE before_{stage} TEMPLATE life")

        live(build(database), keep)
        database.close()

    def _url(self, name):
        return self.address.set(database=name).render_as_string(hide_password=False)

    def _do(self, sql):
        with self.admin.connect() as connection:
            connection.execute(text(sql))

    def url(self, stage):
        self._do(f"CREATE DATABASE round TEMPLATE before_{stage}")
        return self._url("round")

    def drop(self):
        self._do("DROP DATABASE round WITH (FORCE)")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    with own_postgres() as url:
        server = Server(url)
        yield Embedded(tmp_path_factory.mktemp("stages")), server
        server.admin.dispose()


def counts(database, *tables):
    with database.reading() as session:
        assert verify(session) == []
        return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def close(url):
    def work(_number):
        own = open_database(url)
        try:
            return close_month(own, None, SYSTEM, MONTH, NOW)
        finally:
            own.close()

    return work


def click(url, run):
    def work(_number):
        own = open_database(url)
        try:
            with own.transaction() as session:
                return vote(session, TOWN, run.id, Ballot(run.content_hash), NOW).state
        finally:
            own.close()

    return work


def test_four_closers_and_four_clicks_make_one_run_and_one_vote(places):
    done, entries = Counter(), set()
    for number in range(ROUNDS):
        place = places[number % 2]
        url = place.url("close")
        reports = at_once(close(url))
        assert len({str(report) for report in reports}) == 1, (number, reports)
        database = open_database(url)
        runs, posted = counts(database, RunRow, JournalRow)
        database.close()
        place.drop()
        assert runs == RUNS_OF_A_CLOSE, number
        entries.add(posted)
        url = place.url("approve")
        database = open_database(url)
        (before,) = counts(database, VoteRow)
        with database.reading() as session:
            run = live_run(session, FIRST, MONTH)
        states = at_once(click(url, run))
        assert len(set(states)) == 1, (number, states)
        assert isinstance(states[0], str), (number, states)
        assert counts(database, VoteRow) == (before + 1,)
        database.close()
        place.drop()
        done[type(place).__name__] += 1
    print(f"\n{ROUNDS} rounds of four closers and four clicks: {dict(done)}, one run and one vote in each")
    assert len(entries) == 1
