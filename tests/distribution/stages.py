"""A county right before each act with money, as files, and the act: for proofs that do it over and over.

Every act may be done again: what is done already is left, as the pages and the scheduler do it.
"""

import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from distribution.approval.runs import live_run
from distribution.closing.month import close_month
from distribution.disbursing import ready_payouts, send_batch, take_return
from distribution.ledger.journal import head
from distribution.payout.payouts import BatchOrder, PayoutFilter, payouts
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role
from store.db import Base, open_database

FIRST, SECOND = "520499101201", "520499101202"
MONTH = "2026-10"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
NOTICED = datetime(2026, 11, 17, 2, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
PAID = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
STAGES = ("close", "approve", "post", "export", "answer")


@dataclass
class Prepared:
    """A county in a file of its own before an act; `ring` and `answer` are what the act needs besides."""

    stage: str
    path: Path
    ring: object
    answer: tuple[bytes, str] = (b"", "")
    batch_id: str = ""

    def copy(self, target: Path) -> "Prepared":
        shutil.copyfile(self.path, target)
        return Prepared(self.stage, target, self.ring, self.answer, self.batch_id)


def act(database, prepared: Prepared) -> None:
    """Do the act of a stage on a database, to its end; what was done before is not done twice."""
    _ACTS[prepared.stage](database, prepared)


def _close(database, _prepared):
    close_month(database, None, SYSTEM, MONTH, NOW)


def _approve(database, _prepared):
    from distribution.approval.voting.votes import Ballot, vote
    from tests.distribution.conftest import COUNTY, TOWN

    for voter in (TOWN, COUNTY):
        with database.transaction() as session:
            run = live_run(session, FIRST, MONTH)
            vote(session, voter, run.id, Ballot(run.content_hash), NOW)


def _export(database, prepared):
    with database.transaction() as session:
        chosen = tuple(one.id for one in ready_payouts(session, FINANCE, book=FIRST))
        if chosen:
            send_batch(session, FINANCE, prepared.ring, BatchOrder(chosen), PAID)


def _answer(database, prepared):
    with database.transaction() as session:
        take_return(session, FINANCE, prepared.answer, prepared.batch_id, PAID)


_ACTS = {"close": _close, "approve": _approve, "post": _close, "export": _export, "answer": _answer}


def end_of(database):
    """Return where everything stands after an act: equal ends have equal hashes; the books must be whole."""
    with database.reading() as session:
        assert verify(session) == []
        run = live_run(session, FIRST, MONTH)
        paid = payouts(session, SYSTEM, PayoutFilter(book=FIRST))
        return run.state, run.content_hash, head(session, FIRST), [(one.id, one.state) for one in paid]


def prepare(folder: Path) -> dict[str, Prepared]:
    """Build one county and keep a copy of it right before each act."""
    from tests.distribution.conftest import build

    life = folder / "life.sqlite3"
    database = open_database(f"sqlite:///{life}")
    Base.metadata.create_all(database.engine)
    county = build(database)
    found = {}

    def keep(stage, answer=(b"", ""), batch_id=""):
        path = folder / f"{stage}.sqlite3"
        _copy(life, path)
        found[stage] = Prepared(stage, path, county.ring, answer, batch_id)

    live(county, keep)
    database.close()
    return found


def live(county, keep) -> None:
    """Bring a county from its first bill to the bank's answer; `keep` is told right before each act."""
    county.october()
    county.cost()
    keep("close")
    county.close(now=NOW)
    county.to_notice(now=NOTICED)
    county.close(now=NOW)
    keep("approve")
    county.approve(now=NOW)
    keep("post")
    county.close(now=NOW)
    county.remit(FIRST, 773300, date(2026, 11, 26))
    county.close(now=PAID)
    keep("export")
    batch, file = county.batch(now=PAID)
    rows = [line.split("|") for line in file.content.decode("gb18030").splitlines()[1:-1]]
    words = ("失败", "成功", "处理中")
    answers = (f"{row[1]},{row[5]},{word}" for row, word in zip(rows, words, strict=True))
    keep("answer", ("\n".join(["批内编号,金额,结果", *answers]).encode(), "回盘.csv"), batch.id)


def _copy(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as opened, sqlite3.connect(target) as copied:
        opened.backup(copied)
