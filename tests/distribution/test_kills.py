"""Real kill -9 at random moments of closing, approving, posting, exporting and importing.

Twenty always, 1 000 with SUNLEDGER_SOAK (`make soak`). After each the books are whole, and doing the act
again ends as it ends without a kill: the same states and the same hashes.
"""

import os
import random
import signal
import time
from collections import Counter

import pytest

from distribution.verification import verify
from store.db import open_database
from tests.distribution.stages import STAGES, act, end_of, prepare

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
KILLS = 1_000 if SOAK else 20
SEED = 20261125
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("stages"))


def begin(prepared):
    """Do the act in a process of its own; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        act(open_database(f"sqlite:///{prepared.path}"), prepared)
        code = 0
    finally:
        os._exit(code)


def seconds_of(prepared):
    """Return how long the act takes in a process of its own on this machine now [s]."""
    start = time.monotonic()
    _pid, status = os.waitpid(begin(prepared), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return time.monotonic() - start


def test_a_kill_at_any_moment_leaves_nothing_half_done(stages, tmp_path):
    draw = random.Random(SEED)
    expected, longest = {}, {}
    for stage in STAGES:
        prepared = stages[stage].copy(tmp_path / f"whole_{stage}.sqlite3")
        longest[stage] = seconds_of(prepared)
        database = open_database(f"sqlite:///{prepared.path}")
        expected[stage] = end_of(database)
        database.close()
    done = Counter()
    for number in range(KILLS):
        stage = STAGES[number % len(STAGES)]
        prepared = stages[stage].copy(tmp_path / f"{number}.sqlite3")
        child = begin(prepared)
        time.sleep(draw.uniform(0, longest[stage]))
        os.kill(child, signal.SIGKILL)
        _pid, status = os.waitpid(child, 0)
        done[stage, "killed" if os.WIFSIGNALED(status) else "done before"] += 1
        database = open_database(f"sqlite:///{prepared.path}")
        with database.reading() as session:
            assert verify(session) == [], (stage, number)
        act(database, prepared)
        assert end_of(database) == expected[stage], (stage, number)
        database.close()
        for left in tmp_path.glob(f"{number}.sqlite3*"):
            left.unlink()
    print(f"\n{KILLS} kills, seed {SEED}: {dict(done)}")
    assert sum(count for (_stage, what), count in done.items() if what == "killed") > KILLS // 4
