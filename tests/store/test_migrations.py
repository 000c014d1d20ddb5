"""Migrations: the same tables and guards on both databases, forward only."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Column as SqlColumn
from sqlalchemy import Integer, MetaData, String, Table, text
from sqlalchemy.exc import DatabaseError

from store import migrations
from store.db import append_only_statements, guard, open_database
from store.problem import ProblemsError


@pytest.fixture
def versions(tmp_path, monkeypatch) -> Path:
    """A copy of the migration environment, so that a test generates its versions there."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, folder)
    for file in (folder / "versions").glob("0*.py"):
        file.unlink()
    monkeypatch.setattr(migrations, "__file__", str(folder / "__init__.py"))
    return folder / "versions"


def metadata() -> MetaData:
    tables = MetaData()
    ledger = Table("ledger", tables, SqlColumn("id", Integer, primary_key=True), SqlColumn("text", String(9)))
    guard(
        ledger,
        sqlite=append_only_statements("ledger", "sqlite"),
        postgresql=append_only_statements("ledger", "postgresql"),
    )
    return tables


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path):
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    else:
        opened = open_database(request.getfixturevalue("postgres_server"))
        with opened.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    yield opened
    opened.close()


def test_a_generated_version_makes_tables_and_guards_on_both_databases(empty, versions, tmp_path):
    maker = open_database(f"sqlite:///{tmp_path / 'maker.sqlite3'}")
    assert migrations.generate(maker, metadata(), "initial").parent == versions
    maker.close()
    assert migrations.upgrade(empty, metadata()) == "0001"
    assert migrations.upgrade(empty, metadata()) == "0001"
    migrations.check(empty)
    assert migrations.differences(empty, metadata()) == []
    with empty.transaction() as session:
        session.execute(text("INSERT INTO ledger (id, text) VALUES (1, 'a')"))
    with pytest.raises(DatabaseError, match="append-only"), empty.transaction() as session:
        session.execute(text("DELETE FROM ledger"))


def test_a_second_version_takes_existing_data_along(empty, versions, tmp_path):
    migrations.generate(empty, metadata(), "initial")
    migrations.upgrade(empty, metadata())
    with empty.transaction() as session:
        session.execute(text("INSERT INTO ledger (id, text) VALUES (1, 'a')"))
    wider = metadata()
    wider.tables["ledger"].append_column(SqlColumn("note", String(20)))
    migrations.generate(empty, wider, "add note")
    with pytest.raises(ProblemsError, match="sunledger migrate"):
        migrations.check(empty)
    assert migrations.upgrade(empty, wider) == "0002"
    with empty.reading() as session:
        row = session.execute(text("SELECT text, note FROM ledger"))
        assert row.one() == ("a", None)


def test_a_database_of_a_newer_program_is_refused(empty, versions):
    migrations.generate(empty, metadata(), "initial")
    migrations.upgrade(empty, metadata())
    with empty.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (migrations.check, lambda database: migrations.upgrade(database, metadata())):
        with pytest.raises(ProblemsError, match="比程序新"):
            refused(empty)


def test_an_empty_database_is_told_to_be_migrated(empty, versions):
    assert migrations.current(empty) is None
    migrations.generate(empty, metadata(), "initial")
    with pytest.raises(ProblemsError, match="sunledger migrate"):
        migrations.check(empty)
