from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import String, text
from sqlalchemy.exc import DatabaseError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.db import Database, UtcDateTime, guard_append_only, new_id, open_database
from store.problem import ProblemsError


class Own(DeclarativeBase):
    """A base of its own, so that the program's tables stay the program's."""


class Fact(Own):
    __tablename__ = "test_fact"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


guard_append_only(Fact.__table__)
NOON = datetime(2026, 10, 1, 4, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest) -> Database:
    database = request.getfixturevalue("database" if request.param == "sqlite" else "postgres")
    Own.metadata.create_all(database.engine)
    return database


def test_a_block_that_fails_leaves_nothing(opened: Database) -> None:
    with pytest.raises(ZeroDivisionError), opened.transaction() as session:
        session.add(Fact(id="1", at=NOON))
        session.flush()
        1 / 0  # noqa: B018
    with opened.reading() as session:
        assert session.query(Fact).count() == 0


def test_instants_come_back_as_they_went(opened: Database) -> None:
    with opened.transaction() as session:
        session.add(Fact(id="1", at=NOON))
    with opened.reading() as session:
        assert session.get_one(Fact, "1").at == NOON


def test_an_instant_without_a_zone_is_refused(opened: Database) -> None:
    with pytest.raises(StatementError), opened.transaction() as session:
        session.add(Fact(id="1", at=datetime(2026, 1, 1)))  # noqa: DTZ001


@pytest.mark.parametrize("statement", ["UPDATE test_fact SET id = 'x'", "DELETE FROM test_fact"])
def test_an_append_only_table_refuses_change(opened: Database, statement: str) -> None:
    with opened.transaction() as session:
        session.add(Fact(id="1", at=NOON))
    with pytest.raises(DatabaseError, match="append-only"), opened.transaction() as session:
        session.execute(text(statement))


def test_a_reader_cannot_write_on_postgresql(postgres: Database) -> None:
    Own.metadata.create_all(postgres.engine)
    with pytest.raises(DatabaseError), postgres.reading() as session:
        session.add(Fact(id="1", at=NOON))
        session.commit()


@pytest.mark.parametrize("url", ["nonsense", "mysql://u@h/d", "postgresql+psycopg://u@127.0.0.1:9/none"])
def test_a_database_that_cannot_be_used_is_one_clear_line(url: str) -> None:
    with pytest.raises(ProblemsError, match="SUNLEDGER_DATABASE_URL"):
        open_database(url)


def test_an_unwritable_path_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match="SUNLEDGER_DATABASE_URL"):
        open_database(f"sqlite:///{tmp_path / 'missing' / 'x.sqlite3'}")


def test_ids_are_never_the_same() -> None:
    assert len({new_id("run") for _ in range(1000)}) == 1000
