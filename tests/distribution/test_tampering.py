"""Random hands in the database: an edit, a deletion, an insertion or a cut tail, each found and named.

Ten rounds always, 1 000 with SUNLEDGER_SOAK (`make soak`). The hands know the tables and no check.
"""

import os
import random
import re
import shutil
import sqlite3
from collections import Counter

import pytest

from distribution.verification import verify
from store.db import open_database
from tests.distribution.stages import act, prepare

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
ROUNDS = 1_000 if SOAK else 10
SEED = 20261125
pytestmark = pytest.mark.soak
TABLES = {
    "run": ("id",),
    "allocation_line": ("run_id", "line_no"),
    "vote": ("run_id",),
    "public_notice": ("run_id",),
    "journal": ("book", "seq"),
    "posting": ("book", "seq"),
    "payout": ("run_id",),
    "payout_attempt": ("batch_id",),
    "bank_batch": ("id",),
    "payee_account": ("household_id",),
    "plan_version": ("plan_id",),
    "plan_publication": ("plan_id",),
}
"""Table -> the columns by which whoever looks for the damage finds it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A county whose first village was paid and answered."""
    last = prepare(tmp_path_factory.mktemp("stages"))["answer"]
    database = open_database(f"sqlite:///{last.path}")
    act(database, last)
    with database.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    raw = sqlite3.connect(last.path)
    for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {trigger}")
    raw.commit()
    raw.close()
    return last.path


def changed(draw, value):
    """Return another value of the same kind."""
    if value is None:
        return draw.choice(["1", 1])
    if isinstance(value, int):
        return value + draw.choice([-100, -1, 1, 7, 10_000])
    if re.match(r"^20\d\d-\d\d-\d\d", value):
        year = str(int(value[:4]) + draw.choice([-1, 1]))
        return year + value[4:].replace("02-29", "02-28")
    place = draw.randrange(len(value) or 1)
    other = draw.choice([letter for letter in "0a7f甲" if letter != value[place : place + 1]])
    return value[:place] + other + value[place + 1 :]


class Hand:
    """One who changes one thing in one table."""

    def __init__(self, draw, raw):
        self.draw, self.raw = draw, raw

    def row(self, table):
        cursor = self.raw.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid")  # noqa: S608, a test
        names = [one[0] for one in cursor.description][1:]
        rowid, *values = self.draw.choice(cursor.fetchall())
        return rowid, dict(zip(names, values, strict=True))

    def edit(self, table):
        rowid, row = self.row(table)
        column = self.draw.choice(list(row))
        value = changed(self.draw, row[column])
        self.raw.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?", (value, rowid))  # noqa: S608, a test
        return row, column

    def delete(self, table):
        rowid, row = self.row(table)
        self.raw.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608, a test
        return row, "(deleted)"

    def insert(self, table):
        """Insert a row like another one, with as many columns made new as the table insists on."""
        _, fresh = self.row(table)
        fields = self.raw.execute(f"PRAGMA table_info({table})").fetchall()
        column = self.draw.choice([one[1] for one in fields if one[5]])
        marks = ", ".join("?" * len(fresh))
        while True:
            value = fresh[column]
            fresh[column] = value + 1_000 if isinstance(value, int) else changed(self.draw, value)
            try:
                self.raw.execute(f"INSERT INTO {table} VALUES ({marks})", list(fresh.values()))  # noqa: S608, a test
            except sqlite3.IntegrityError as error:
                column = self.draw.choice(re.findall(r"\.(\w+)", str(error)))
            else:
                return fresh, "(inserted)"

    def cut(self, _table):
        (book, end, printed) = self.raw.execute(
            "SELECT journal.book, max(seq), max(ledger_seq) FROM journal JOIN run ON run.book = journal.book "
            "JOIN public_notice ON public_notice.run_id = run.id"
        ).fetchone()
        first = self.draw.randint(1, end)
        for table in ("posting", "journal"):
            self.raw.execute(f"DELETE FROM {table} WHERE book = ? AND seq >= ?", (book, first))  # noqa: S608, a test
        return {"book": book, "seq": first, "printed": printed}, "(tail cut)"


def test_every_hand_in_the_database_is_found_and_named(whole, tmp_path):
    draw = random.Random(SEED)
    done, missed = Counter(), []
    while sum(done.values()) < ROUNDS:
        copy = tmp_path / "copy.sqlite3"
        shutil.copyfile(whole, copy)
        raw = sqlite3.connect(copy)
        raw.execute("PRAGMA ignore_check_constraints=ON")
        hand = Hand(draw, raw)
        way = draw.choices(["edit", "delete", "insert", "cut"], [6, 2, 2, 0.5])[0]
        table = "journal" if way == "cut" else draw.choice(list(TABLES))
        row, what = getattr(hand, way)(table)
        touched = raw.total_changes
        raw.commit()
        raw.close()
        if not touched:
            continue
        done[way, table] += 1
        opened = open_database(f"sqlite:///{copy}")
        with opened.reading() as session:
            problems = verify(session)
        opened.close()
        copy.unlink()
        if not any(names(table, row, problem.where, way) for problem in problems):
            missed.append((way, table, what, row, problems[:3]))
    print(f"\n{sum(done.values())} tamperings, seed {SEED}, {len(missed)} missed: {dict(done)}")
    assert missed == []
    assert {table for _way, table in done} == set(TABLES) or not SOAK


def names(table, row, where, way):
    """Tell whether a problem's place is the row that was touched, or for a cut the book's printed end."""
    if way == "cut":
        return row["book"] in where
    if table in {"journal", "posting"}:
        return row["book"] in where and any(
            f"第 {near} 号" in where for near in (row["seq"], row["seq"] + 1, row["seq"] - 1)
        )
    return any(str(row[column]) in where for column in ("id", *TABLES[table]) if column in row)
