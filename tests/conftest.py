"""Fixtures that more than one suite needs: databases, and free ports."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from api.schema import all_tables
from store.db import Base, Database, open_database
from tests.postgres import own_postgres


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    all_tables()
    opened = open_database(f"sqlite:///{tmp_path / 'test.sqlite3'}")
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address of a real PostgreSQL server: the named one, or one of our own for this session."""
    named = os.environ.get("SUNLEDGER_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    with own_postgres() as address:
        yield address


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[Database]:
    """A PostgreSQL database with every table, in a schema of its own."""
    all_tables()
    opened = open_database(postgres_server)
    with opened.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
