"""The audit chain: append-only, and tampering is found wherever it happens."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry import audit
from registry.actors import Actor, NotPermittedError, Role

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
CLERK = Actor("clerk", "县经办", Role.COUNTY)
AUDITOR = Actor("auditor", "审计", Role.AUDITOR)


def write(database, count: int = 8) -> None:
    with database.transaction() as session:
        for number in range(count):
            entry = audit.Entry("edit", "station", f"s{number}", {"n": number}, {"n": number + 1}, "更正")
            audit.record(session, CLERK, entry, NOW + timedelta(minutes=number))


def tamper(database, *statements: str) -> None:
    names = ("audit_event_no_update", "audit_event_no_delete", "audit_event_chained")
    with database.engine.begin() as connection:
        for name in names:
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
        for statement in statements:
            connection.execute(text(statement))


def test_an_untouched_chain_has_no_problem(both) -> None:
    with both.transaction() as session:
        assert audit.verify(session) == []
    write(both)
    with both.transaction() as session:
        assert audit.verify(session, audit.head(session)) == []
        assert audit.head(session).seq == 8


def test_an_event_can_be_neither_edited_nor_removed(both) -> None:
    write(both)
    for statement in (
        "UPDATE audit_event SET reason = 'x' WHERE seq = 3",
        "DELETE FROM audit_event WHERE seq = 8",
        (
            "INSERT INTO audit_event SELECT seq + 50, at, actor_id, action, object_kind, object_id, "
            "before_hash, after_hash, reason, detail, hash, previous_hash FROM audit_event WHERE seq = 8"
        ),
    ):
        with pytest.raises(DBAPIError), both.transaction() as session:
            session.execute(text(statement))


COLUMNS = ["actor_id", "action", "object_kind", "object_id", "reason", "detail", "before_hash", "after_hash"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seq=st.integers(1, 8), column=st.sampled_from(COLUMNS))
def test_any_altered_column_of_any_event_is_found(database, seq, column) -> None:
    with database.transaction() as session:
        empty = audit.head(session).seq == 0
    if empty:
        write(database)
    tamper(database, "CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM audit_event")
    tamper(database, f"UPDATE audit_event SET {column} = {column} || 'x' WHERE seq = {seq}")  # noqa: S608
    with database.transaction() as session:
        problems = audit.verify(session)
        assert [problem.what for problem in problems] == ["内容被改动过"]
        assert str(seq) in problems[0].where
    tamper(database, "DELETE FROM audit_event", "INSERT INTO audit_event SELECT * FROM kept")


@pytest.mark.parametrize("seq", [1, 4, 7])
def test_a_removed_event_is_found(database, seq) -> None:
    write(database)
    tamper(database, f"DELETE FROM audit_event WHERE seq = {seq}")  # noqa: S608
    with database.transaction() as session:
        assert any("缺少" in problem.what for problem in audit.verify(session))


def test_a_cut_tail_is_found_by_the_head_that_was_kept_outside(database) -> None:
    write(database)
    with database.transaction() as session:
        kept = audit.head(session)
    tamper(database, "DELETE FROM audit_event WHERE seq > 6")
    with database.transaction() as session:
        assert audit.verify(session) == []
        assert [problem.what for problem in audit.verify(session, kept)] == ["末尾缺失，应至少有 8 条"]


def test_only_an_auditor_reads_the_chain_newest_first(database) -> None:
    write(database)
    with database.transaction() as session:
        assert [event.seq for event in audit.events(session, AUDITOR, limit=2)] == [8, 7]
        assert [event.seq for event in audit.events(session, AUDITOR, object_id="s2")] == [3]
        with pytest.raises(NotPermittedError):
            audit.events(session, CLERK)


def test_writers_at_the_same_time_make_one_chain(both) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, both, 5) for _ in range(4)]:
            done.result()
    with both.transaction() as session:
        assert audit.head(session).seq == 20
        assert audit.verify(session) == []
