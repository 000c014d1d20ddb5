"""How fast a county's payouts are split, posted as a chained entry, read back and proved.

Run with `python -m tests.bench.bench_ledger [payouts]`. Beside our figures, in the same run and on a
tenth of the payouts, stand beancount (its loader reads and checks our export) and hledger (`check` on our
export), where they are installed. SQLite is a file with `synchronous=FULL`; PostgreSQL is a local server.
"""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import text

import distribution.ledger.tables
from distribution.exports.beancount import beancount_text
from distribution.exports.hledger import hledger_text
from distribution.ledger.balances import balances, verify_books
from distribution.ledger.journal import post
from distribution.money import split
from distribution.types import Fund, JournalDraft, Posting
from registry.actors import SYSTEM
from store.db import Base, Database, open_database
from tests.postgres import own_postgres

BOOK = "520499101201"
NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
SEED = 20261125
OUTSIDERS_TAKE = 10  # hledger needs minutes for 50,000 accounts


@contextmanager
def timed(name):
    start = time.perf_counter()
    yield
    print(f"  {name:<46}{time.perf_counter() - start:8.3f} s", flush=True)


def income(total):
    legs = (
        Posting("deferred_income", "s1", total, Fund.ELECTRICITY),
        Posting("distributable", "", -total, Fund.ELECTRICITY),
    )
    return JournalDraft(BOOK, date(2026, 11, 1), "receipt", "电费到账", "bench:receipt", "bench", legs)


def allocation(total, amounts):
    legs = [Posting("distributable", "", total, Fund.ELECTRICITY)]
    legs += [
        Posting("payable_household", f"household_{number:06d}", -amount, Fund.ELECTRICITY, number + 1)
        for number, amount in enumerate(amounts)
        if amount
    ]
    return JournalDraft(BOOK, date(2026, 11, 2), "allocation", "收益分配", "bench:run", "bench", tuple(legs))


def end_to_end(database: Database, count: int) -> None:
    """Split, post, read back, prove, replay; the whole of the first three is the figure to compare."""
    draw = random.Random(SEED)
    weights = [draw.randint(1, 400) for _ in range(count)]
    keys = [f"household_{number:06d}" for number in range(count)]
    total = count * 41_337 + 17
    with database.transaction() as session:
        post(session, SYSTEM, income(total), NOW)
    start = time.perf_counter()
    with timed(f"split {total} fen over {count} households"):
        amounts = split(total, weights, keys)
    with timed("build, chain and post the entry"), database.transaction() as session:
        draft = allocation(total, amounts)
        post(session, SYSTEM, draft, NOW)
    with timed("read every household's balance back"), database.reading() as session:
        held = balances(session, SYSTEM, book=BOOK, accounts=("payable_household",))
        assert -sum(one.amount_fen for one in held) == total
    print(f"  {'allocate, chain, post and read back':<46}{time.perf_counter() - start:8.3f} s", flush=True)
    with timed("replay the same entry (nothing changes)"), database.transaction() as session:
        post(session, SYSTEM, draft, NOW)
    with timed("prove chain, balances and limits"), database.reading() as session:
        assert verify_books(session) == []


def outsiders(database: Database, folder: Path) -> None:
    """Let beancount and hledger read and check the same books."""
    with timed("export for beancount and hledger"), database.reading() as session:
        (folder / "books.beancount").write_text(beancount_text(session, SYSTEM), encoding="utf-8")
        (folder / "books.journal").write_text(hledger_text(session, SYSTEM), encoding="utf-8")
    bean_check = Path(sys.prefix) / "bin" / "bean-check"
    if bean_check.exists():
        with timed("beancount: bean-check --no-cache"):
            subprocess.run([bean_check, "--no-cache", folder / "books.beancount"], check=True)
    if shutil.which("hledger"):
        with timed("hledger: check"):
            command = ["hledger", "-f", folder / "books.journal", "check", "accounts", "commodities"]
            subprocess.run(command, check=True, env={"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"})


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    assert distribution.ledger.tables
    print(f"{count} payouts, seed {SEED}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("SQLite")
        database = open_database(f"sqlite:///{folder / 'bench.sqlite3'}")
        Base.metadata.create_all(database.engine)
        end_to_end(database, count)
        database.close()
        print("PostgreSQL")
        with own_postgres() as server_url:
            database = open_database(server_url)
            with database.engine.begin() as connection:
                connection.execute(text("SET client_min_messages = warning"))
            Base.metadata.create_all(database.engine)
            end_to_end(database, count)
            database.close()
        few = count // OUTSIDERS_TAKE
        print(f"SQLite, {few} payouts, checked by outsiders")
        database = open_database(f"sqlite:///{folder / 'few.sqlite3'}")
        Base.metadata.create_all(database.engine)
        end_to_end(database, few)
        outsiders(database, folder)
        database.close()


if __name__ == "__main__":
    main()
